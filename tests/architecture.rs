//! The shape of the source, checked: which room may use which, how long a file may be, and that
//! the documents written from the settings' table are fresh.
//!
//! `UPDATE_DOCS=1 cargo test --test architecture` writes those documents anew.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a checker that stumbles is a failed check"
)]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use pr_summarizer::config;

#[path = "architecture/source.rs"]
mod source;

use source::{code_without_comments, crate_paths, paths};

/// The rooms from the ground up. A room may use those before it, and itself.
const ROOMS: &[&str] = &[
    "domain",
    "measure",
    "upstream",
    "store",
    "identity",
    "oauth",
    "summarize",
    "mcp",
    "http",
    "front",
    "config",
    "telemetry",
    "app",
];

/// Doors of the same house that meet only in `app`.
const STRANGERS: &[(&str, &str)] = &[("http", "mcp")];

const LONGEST_FILE: usize = 500;

const SETTINGS_BEGIN: &str = "<!-- settings:begin -->";
const SETTINGS_END: &str = "<!-- settings:end -->";

/// The oldest release of the MCP SDK that may be used: that with which all protocol tests are run. Its
/// fixes are not ported back, and some came without an advisory (3.4: what an `Origin` may be; 3.11:
/// bounds for buffered answers), so the floor rises with the release that is tested.
const RMCP_FLOOR: [u64; 3] = [3, 11, 0];

/// The SDK's published advisories, and the first release without the fault.
/// Source: <https://github.com/modelcontextprotocol/rust-sdk/security/advisories>. `RustSec` has the
/// first only (RUSTSEC-2026-0189), so a look there is part of every update.
const RMCP_ADVISORIES: &[(&str, [u64; 3])] = &[
    // DNS rebinding: `Host` was not checked (CVE-2026-42559).
    ("GHSA-89vp-x53w-74fx", [1, 4, 0]),
    // Sessions of strangers that were never given back.
    ("GHSA-9pj6-vhgr-3mwh", [2, 0, 0]),
    // The client believed metadata of another resource.
    ("GHSA-33f5-2c5q-wgwj", [2, 0, 0]),
    // The client took its headers along to another origin (CVE-2026-64684).
    ("GHSA-9g45-5xwm-f3wc", [2, 1, 0]),
];

struct SourceFile {
    /// From the crate's root, with forward slashes.
    path: String,
    text: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folders: &[&str]) -> Vec<SourceFile> {
    let mut files = Vec::new();
    let mut folders: Vec<PathBuf> = folders.iter().map(|folder| root().join(folder)).collect();
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() {
                if path.file_name().is_some_and(|name| name != "node_modules" && name != "target") {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let relative = path.strip_prefix(root()).unwrap();
                let relative = relative.to_str().unwrap().replace('\\', "/");
                files.push(SourceFile { path: relative, text: fs::read_to_string(&path).unwrap() });
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

/// The room a file belongs to; `lib.rs` and `main.rs` belong to none.
fn room_of(path: &str) -> Option<&str> {
    let first = path.strip_prefix("src/")?.split('/').next()?;
    let room = first.strip_suffix(".rs").unwrap_or(first);
    (room != "lib" && room != "main").then_some(room)
}

/// How far the file's module is below the crate's root.
fn module_depth(path: &str) -> usize {
    let module = path.trim_start_matches("src/").trim_end_matches(".rs");
    module.trim_end_matches("/mod").split('/').count()
}

/// What is wrong with the uses in a file, if anything.
fn forbidden_uses(path: &str, text: &str) -> Vec<String> {
    let Some(room) = room_of(path) else { return Vec::new() };
    let Some(floor) = ROOMS.iter().position(|name| *name == room) else {
        return vec![format!(
            "{path}: `{room}` is not in the list of rooms in tests/architecture.rs"
        )];
    };
    crate_paths(text, module_depth(path))
        .into_iter()
        .filter_map(|(line, used)| {
            // What is no room is a macro or an item of lib.rs, which holds none.
            let other = ROOMS.iter().position(|name| *name == used)?;
            let why = if other > floor {
                "only rooms before it in the list"
            } else if STRANGERS.contains(&(room, used.as_str())) {
                "the two doors meet only in `app`"
            } else {
                return None;
            };
            Some(format!("{path}:{line}: `{room}` must not use `{used}` ({why})"))
        })
        .collect()
}

/// What is wrong with the form of a file, if anything.
fn malformed(path: &str, text: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    if !text.starts_with("//!") {
        complaints.push(format!("{path}: begin with `//!` and say what the file is for"));
    }
    let lines = text.lines().count();
    if lines > LONGEST_FILE {
        complaints.push(format!("{path}: {lines} lines; split it, {LONGEST_FILE} is the most"));
    }
    complaints
}

/// What does not belong into the code of a file, if anything.
fn unwelcome(path: &str, text: &str) -> Vec<String> {
    let code = code_without_comments(text);
    let is_config = path.starts_with("src/config/") || !path.starts_with("src/");
    let mut complaints = Vec::new();
    for (number, line) in code.lines().enumerate() {
        let line: String = line.chars().filter(|c| !c.is_whitespace()).collect();
        let mut complain = |what: &str| {
            complaints.push(format!("{path}:{}: {what}", number + 1));
        };
        if line.contains("todo!(") || line.contains("unimplemented!(") {
            complain("finish it, or leave it out");
        }
        if line.contains("#[ignore") {
            complain("a test that does not run proves nothing");
        }
    }
    if !is_config {
        let named = paths(&code, "std").into_iter().filter(|(_, name)| name == "env");
        let called = paths(&code, "env").into_iter();
        let lines: BTreeSet<_> = named.chain(called).map(|(line, _)| line).collect();
        complaints.extend(
            lines.iter().map(|line| format!("{path}:{line}: only `config` names the environment")),
        );
    }
    complaints
}

fn assert_nothing(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n\n{}\n", complaints.join("\n"));
}

#[test]
fn rooms_use_only_the_rooms_below_them() {
    let files = rust_files(&["src"]);
    assert!(files.len() > 10, "the source was not found");
    let complaints: Vec<_> =
        files.iter().flat_map(|file| forbidden_uses(&file.path, &file.text)).collect();
    assert_nothing(&complaints);
}

#[test]
fn the_map_names_every_room() {
    let map = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let mut complaints = Vec::new();
    for file in rust_files(&["src"]) {
        let Some(room) = room_of(&file.path) else { continue };
        if !map.contains(&format!("pub mod {room};")) {
            complaints.push(format!("src/lib.rs: add `pub mod {room};`"));
        }
    }
    complaints.dedup();
    assert_nothing(&complaints);
}

#[test]
fn every_file_says_what_it_is_for_and_stays_short() {
    let files = rust_files(&["src", "tests", "examples", "benches"]);
    assert_nothing(
        &files.iter().flat_map(|file| malformed(&file.path, &file.text)).collect::<Vec<_>>(),
    );
}

#[test]
fn nothing_is_left_undone_and_only_config_names_the_environment() {
    let files = rust_files(&["src", "tests", "examples", "benches"]);
    // These rules' own samples break them.
    let files = files.iter().filter(|file| !file.path.starts_with("tests/architecture"));
    assert_nothing(&files.flat_map(|file| unwelcome(&file.path, &file.text)).collect::<Vec<_>>());
}

/// The document with its table of settings replaced; `None`: it has no place for one.
fn with_settings(document: &str, table: &str) -> Option<String> {
    let (before, rest) = document.split_once(SETTINGS_BEGIN)?;
    let (_, after) = rest.split_once(SETTINGS_END)?;
    Some(format!("{before}{SETTINGS_BEGIN}\n{table}{SETTINGS_END}{after}"))
}

fn check_document(path: &str, fresh: &str) {
    let path = root().join(path);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, fresh).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == fresh,
        "{} is not what the table of settings says: UPDATE_DOCS=1 cargo test --test architecture",
        path.display(),
    );
}

#[test]
fn the_example_environment_is_fresh() {
    check_document(".env.example", &config::render_env_example());
}

#[test]
fn the_readmes_settings_are_fresh() {
    let Ok(readme) = fs::read_to_string(root().join("README.md")) else { return };
    let fresh = with_settings(&readme, &config::render_readme_table());
    let fresh = fresh.expect("README.md needs the lines settings:begin and settings:end");
    check_document("README.md", &fresh);
}

/// `3.11` and `3.11.0` alike.
fn version(text: &str) -> [u64; 3] {
    let mut numbers = text.split('.').map(|number| number.parse().unwrap());
    std::array::from_fn(|_| numbers.next().unwrap_or_default())
}

/// What stands in quotes behind the first `key = "` after `start`.
fn quoted<'t>(text: &'t str, start: &str, key: &str) -> &'t str {
    let (_, rest) = text.split_once(start).unwrap();
    let (_, rest) = rest.split_once(&format!("{key} = \"")).unwrap();
    rest.split_once('"').unwrap().0
}

#[test]
fn the_sdk_is_not_older_than_its_fixes() {
    let file = |name: &str| fs::read_to_string(root().join(name)).unwrap();
    let locked = quoted(&file("Cargo.lock"), "name = \"rmcp\"\n", "version").to_owned();
    assert!(version(&locked) >= RMCP_FLOOR, "rmcp {locked} is older than its fixes");
    let wanted = quoted(&file("Cargo.toml"), "\nrmcp = {", "version").to_owned();
    assert!(version(&wanted) >= RMCP_FLOOR, "Cargo.toml would take rmcp {wanted}");
    for (advisory, fixed) in RMCP_ADVISORIES {
        assert!(*fixed <= RMCP_FLOOR, "{advisory} is not fixed at the floor");
    }
    let floor = RMCP_FLOOR.map(|number| number.to_string()).join(".");
    assert!(
        file("deny.toml").contains(&format!("\"rmcp:<{floor}\"")),
        "deny.toml has another floor"
    );
}

mod checks_can_fail {
    use super::*;

    #[test]
    fn a_use_upwards_is_found() {
        let upwards = "use crate::{domain::Secret,\n    http::{guard, pages}};\n";
        assert_eq!(
            forbidden_uses("src/store/mod.rs", upwards),
            ["src/store/mod.rs:2: `store` must not use `http` (only rooms before it in the list)"]
        );
        assert!(forbidden_uses("src/app.rs", upwards).is_empty());
        assert!(forbidden_uses("src/main.rs", upwards).is_empty());
        assert_eq!(forbidden_uses("src/http/mod.rs", "fn f() { crate::mcp::g() }").len(), 1);
        assert_eq!(forbidden_uses("src/domain/mod.rs", "pub(in crate::store) fn f() {}").len(), 1);
        assert_eq!(forbidden_uses("src/store/mod.rs", "use super::http::guard;").len(), 1);
        assert_eq!(
            forbidden_uses("src/store/sqlite/file.rs", "use super::super::super::http;").len(),
            1
        );
        assert!(forbidden_uses("src/store/sqlite/file.rs", "use super::super::http;").is_empty());
        assert_eq!(forbidden_uses("src/cellar/mod.rs", "").len(), 1);
    }

    #[test]
    fn a_file_without_a_word_or_without_an_end_is_found() {
        assert_eq!(malformed("a.rs", "fn f() {}").len(), 1);
        assert_eq!(malformed("a.rs", &"//! x\n".repeat(LONGEST_FILE + 1)).len(), 1);
        assert!(malformed("a.rs", &"//! x\n".repeat(LONGEST_FILE)).is_empty());
    }

    #[test]
    fn what_does_not_belong_is_found() {
        for code in [
            "fn f() { todo!() }",
            "fn f() { unimplemented!(\"x\") }",
            "#[ignore]\nfn f() {}",
            "#[ignore = \"slow\"]\nfn f() {}",
            "use std::env;",
            "use std::{\n    env,\n    fs,\n};",
            "use ::std::env::var;",
            "fn f() { std :: env :: var(\"X\"); }",
        ] {
            assert_eq!(unwelcome("src/store/mod.rs", code).len(), 1, "{code}");
        }
        for code in ["// todo!()", "/* std::env */", "const V: &str = env!(\"V\");", "\"todo!()\""]
        {
            assert!(unwelcome("src/store/mod.rs", code).is_empty(), "{code}");
        }
        assert!(unwelcome("src/config/environment.rs", "use std::env;").is_empty());
        assert!(unwelcome("tests/it/main.rs", "use std::env;").is_empty());
    }

    #[test]
    fn a_stale_table_is_replaced_and_a_missing_one_noticed() {
        let readme = "# X\n<!-- settings:begin -->\nold\n<!-- settings:end -->\nend\n";
        let fresh = with_settings(readme, "| new |\n").unwrap();
        assert_eq!(fresh, "# X\n<!-- settings:begin -->\n| new |\n<!-- settings:end -->\nend\n");
        assert_eq!(with_settings(&fresh, "| new |\n").unwrap(), fresh);
        assert_eq!(with_settings("# X\n", ""), None);
    }
}

/// Whoever adds a kind of record says how long it is kept and what deletes it.
#[test]
fn every_kind_of_record_is_in_the_table() {
    let files = rust_files(&["src"]);
    let declared: BTreeSet<String> = files
        .iter()
        .filter(|file| !file.path.contains("/tests"))
        .flat_map(|file| file.text.lines())
        .filter_map(|line| line.trim().strip_prefix("const KIND: &'static str = \""))
        .map(|rest| rest.split('"').next().unwrap().to_owned())
        .collect();
    let map = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let listed: BTreeSet<String> = map
        .lines()
        .filter_map(|line| line.strip_prefix("//! | `")?.split('`').next().map(str::to_owned))
        .collect();
    assert!(declared.len() > 10, "{declared:?}");
    assert_eq!(declared, listed, "the table \"What is kept\" in src/lib.rs");
}
