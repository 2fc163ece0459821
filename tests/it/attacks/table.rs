//! The catalogue as the table of `SECURITY.md`, which is generated:
//! `UPDATE_DOCS=1 cargo test --test it attacks::table`.

use std::{fmt::Write as _, fs, path::Path};

use super::{CATALOGUE, Column};

const BEGIN: &str = "<!-- attacks: generated, do not edit -->";
const END: &str = "<!-- /attacks -->";

/// Attacks that are tried in real Chromium too, and by which program of `tests/browser`.
const IN_CHROMIUM: &[(&str, &str)] = &[
    ("a02", "flow"),
    ("a07", "attacks"),
    ("a08", "attacks"),
    ("a19", "attacks"),
    ("a20", "attacks"),
    ("a32", "flow"),
    ("a32", "attacks"),
    ("a37", "attacks"),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The rows, and the reasons below them.
fn table() -> String {
    let mut table =
        "| | Attack | What stops it | `session` | `single-user` | `oauth` | Also in Chromium |\n\
                     | --- | --- | --- | --- | --- | --- | --- |\n"
            .to_owned();
    let mut reasons: Vec<&str> = Vec::new();
    for row in CATALOGUE {
        let mut cells = String::new();
        for column in row.columns {
            let cell = match column {
                Column::Tested => "held".to_owned(),
                Column::NotApplicable(reason) => {
                    let place = reasons.iter().position(|known| *known == reason);
                    let place = place.unwrap_or_else(|| {
                        reasons.push(reason);
                        reasons.len() - 1
                    });
                    format!("n/a ({})", place + 1)
                }
            };
            let _ = write!(cells, " {cell} |");
        }
        let number = row.number.to_uppercase();
        let programs = in_chromium(row.number);
        let (attack, stopped_by) = (row.what, row.stopped_by);
        let _ = writeln!(table, "| {number} | {attack} | {stopped_by} |{cells} {programs} |");
    }
    table.push_str("\nNot applicable:\n\n");
    for (place, reason) in reasons.iter().enumerate() {
        let _ = writeln!(table, "{}. {reason}", place + 1);
    }
    table
}

fn in_chromium(number: &str) -> String {
    let programs = IN_CHROMIUM.iter().filter(|(of, _)| *of == number);
    let programs: Vec<_> = programs.map(|(_, program)| format!("`{program}.mjs`")).collect();
    programs.join(", ")
}

/// The scenarios of a browser program that name this attack.
fn scenarios(number: &str, program: &str) -> usize {
    let text = fs::read_to_string(root().join(format!("tests/browser/{program}.mjs"))).unwrap();
    let number = number.to_uppercase();
    let named = |line: &&str| {
        let (_, name) = line.split_once("report.scenario(\"").unwrap_or_default();
        name.split('"').next().unwrap_or_default().contains(&number)
    };
    text.lines().filter(named).count()
}

/// The table says what is tried, not what could be.
#[test]
fn the_browser_programs_try_what_the_table_says() {
    for (number, program) in IN_CHROMIUM {
        assert!(scenarios(number, program) > 0, "{program}.mjs does not try {number}");
    }
    for row in CATALOGUE {
        for program in ["attacks", "flow"] {
            let is_told = IN_CHROMIUM.contains(&(row.number, program));
            assert_eq!(scenarios(row.number, program) > 0, is_told, "{} {program}", row.number);
        }
    }
}

#[test]
fn the_security_document_carries_the_catalogue() {
    let path = root().join("SECURITY.md");
    let document = fs::read_to_string(&path).unwrap();
    let (before, rest) = document.split_once(BEGIN).expect("a place for the table");
    let (_, after) = rest.split_once(END).expect("the end of the table");
    let fresh = format!("{before}{BEGIN}\n{}{END}{after}", table());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &fresh).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap();
    assert!(
        written == fresh,
        "SECURITY.md is not what the catalogue says: UPDATE_DOCS=1 cargo test --test it attacks::table"
    );
}

#[test]
fn the_catalogue_is_whole() {
    let numbers: Vec<_> = CATALOGUE.iter().map(|row| row.number.to_owned()).collect();
    let all: Vec<_> = (1..=40).map(|number| format!("a{number:02}")).collect();
    assert_eq!(numbers, all);
    for row in CATALOGUE {
        let tried = row.columns.iter().any(|column| matches!(column, Column::Tested));
        assert!(tried, "{} is tried in no mode", row.number);
        assert!(!row.what.contains('|') && !row.stopped_by.contains('|'), "{}", row.number);
    }
}
