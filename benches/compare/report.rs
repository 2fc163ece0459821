//! What is said of the results: gates, tables, and BENCHMARKS.md.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use chrono::Utc;
use serde_json::Value;

use crate::{
    contenders::{FLOOR, LEAST, OURS, OURS_OAUTH},
    rounds::{CLIENTS, Figure, Figures, Results},
};

/// Bounds as ratios to the floor. They hold for debug builds too, beside a floor that is one.
const STATUS: f64 = 1.25;
const LIST: f64 = 1.0;

/// Values of the rounds: their median, the least and the greatest.
struct Spread {
    median: f64,
    least: f64,
    most: f64,
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let (least, most) = (*values.first()?, *values.last()?);
        let median = f64::midpoint(values[(values.len() - 1) / 2], values[values.len() / 2]);
        Some(Self { median, least, most })
    }

    fn text(&self, digits: usize) -> String {
        let Self { median, least, most } = self;
        format!("{median:.digits$} ({least:.digits$} to {most:.digits$})")
    }
}

/// One bound, and what was measured.
pub struct Gate {
    pub what: String,
    pub bound: String,
    measured: String,
    pub is_kept: bool,
}

impl Gate {
    pub fn line(&self) -> String {
        let kept = if self.is_kept { "kept" } else { "**missed**" };
        format!("| {} | {} | {} | {kept} |", self.what, self.bound, self.measured)
    }
}

fn values(results: &Results, name: &str, figure: Figure) -> Vec<f64> {
    let rounds = results.get(name).map(Vec::as_slice).unwrap_or_default();
    rounds.iter().filter_map(|round| round.get(&figure).copied()).collect()
}

/// Of two contenders, round by round.
fn ratio(results: &Results, of: &str, to: &str, figure: Figure) -> Option<Spread> {
    let (of, to) = (values(results, of, figure), values(results, to, figure));
    Spread::of(of.iter().zip(&to).map(|(of, to)| of / to).collect())
}

/// What is bound by the floor: the same on every machine, so it may fail a build.
pub fn ratios(results: &Results) -> Vec<Gate> {
    let bounds = [(Figure::Status, "auth_status", STATUS), (Figure::List, "tools/list", LIST)];
    let mut gates = Vec::new();
    for (figure, what, bound) in bounds {
        for ours in [OURS, OURS_OAUTH] {
            let Some(spread) = ratio(results, ours, FLOOR, figure) else { continue };
            gates.push(Gate {
                what: format!("`{what}`, processor time, {}: times the floor", mode(ours)),
                bound: format!("≤ {bound}"),
                measured: spread.text(2),
                is_kept: spread.median <= bound,
            });
        }
    }
    gates
}

fn mode(name: &str) -> &str {
    name.rsplit(", ").next().unwrap_or(name)
}

/// All bounds.
pub fn gates(results: &Results, program: &Path) -> Vec<Gate> {
    let mut gates = ratios(results);
    for ours in [OURS, OURS_OAUTH] {
        let others = results.keys().filter(|name| ![OURS, OURS_OAUTH, FLOOR, LEAST].contains(name));
        let better = others.filter_map(|other| ratio(results, other, ours, Figure::Status));
        if let Some(best) = better.min_by(|a, b| a.median.total_cmp(&b.median)) {
            gates.push(Gate {
                what: format!(
                    "`auth_status`, processor time of the best other SDK: times {}",
                    mode(ours)
                ),
                bound: "≥ 6".to_owned(),
                measured: best.text(1),
                is_kept: best.median >= 6.0,
            });
        }
    }
    let mut absolute = |what: &str,
                        figure,
                        scale: f64,
                        at_most: Option<f64>,
                        at_least: Option<f64>,
                        unit: &str| {
        let values = values(results, OURS, figure).iter().map(|value| value * scale).collect();
        let Some(spread) = Spread::of(values) else { return };
        let bound = at_most.map_or_else(
            || format!("≥ {}", at_least.unwrap_or_default()),
            |bound| format!("≤ {bound}"),
        );
        gates.push(Gate {
            what: what.to_owned(),
            bound: format!("{bound} {unit}"),
            measured: format!("{} {unit}", spread.text(1)),
            is_kept: at_most.is_none_or(|bound| spread.median <= bound)
                && at_least.is_none_or(|bound| spread.median >= bound),
        });
    };
    absolute(
        "256 clients, an upstream of 50 ms: share of its limit",
        Figure::Share,
        100.0,
        None,
        Some(70.0),
        "%",
    );
    absolute("the same: 99 of 100 calls", Figure::ShareNinetyNine, 1.0, Some(120.0), None, "ms");
    absolute(
        "cold start, to the first good answer",
        Figure::ColdStart,
        1.0,
        Some(25.0),
        None,
        "ms",
    );
    absolute("resident when idle", Figure::Idle, 1.0 / 1024.0, Some(12.0), None, "MiB");
    absolute("resident for a session", Figure::Session, 1.0, Some(1024.0), None, "bytes");
    let size = fs::metadata(program).map_or(f64::NAN, |it| it.len() as f64 / 1e6);
    gates.push(Gate {
        what: "the program's file".to_owned(),
        bound: "≤ 12 MB".to_owned(),
        measured: format!("{size:.1} MB"),
        is_kept: size <= 12.0,
    });
    gates
}

/// The whole document. `by_hand` is what no measurement knows.
pub fn document(results: &Results, program: &Path, by_hand: &str) -> String {
    let rounds = results.values().map(Vec::len).max().unwrap_or_default();
    let mut text = format!(
        "<!-- Made by `benches/compare/run.sh --write`; what is written by hand is in \
         benches/compare/by_hand.md. -->\n# Benchmarks\n\n{}\n\n{} rounds on {}.\n\n## Bounds\n\n\
         | What | Bound | Measured: median (least to most) | |\n| --- | --- | --- | --- |\n",
        "The server beside a bare server of the SDK that it is built with (the floor), and beside what one would \
         write otherwise. Compare within this page: absolute times belong to the machine of that day.",
        rounds,
        machine(),
    );
    for gate in gates(results, program) {
        writeln!(text, "{}", gate.line()).unwrap();
    }
    text.push_str("\n## Side by side\n\n");
    let columns: Vec<_> = results.keys().copied().collect();
    writeln!(text, "| | {} |", columns.join(" | ")).unwrap();
    writeln!(text, "| --- |{}", " --- |".repeat(columns.len())).unwrap();
    for (what, figure, digits) in rows() {
        let cells = columns.iter().map(|name| {
            Spread::of(values(results, name, figure)).map_or("–".to_owned(), |it| it.text(digits))
        });
        writeln!(text, "| {what} | {} |", cells.collect::<Vec<_>>().join(" | ")).unwrap();
    }
    text.push_str("\n## Ratios to the floor, round by round\n\n| | `auth_status` | `tools/list` |\n| --- | --- | --- |\n");
    for floor in [FLOOR, LEAST] {
        for name in columns.iter().filter(|name| **name != floor) {
            let cell = |figure| {
                ratio(results, name, floor, figure).map_or("–".to_owned(), |it| it.text(2))
            };
            writeln!(
                text,
                "| {name} / {floor} | {} | {} |",
                cell(Figure::Status),
                cell(Figure::List)
            )
            .unwrap();
        }
    }
    writeln!(text, "\nVersions: {}.\n\n{}", versions(), by_hand.trim()).unwrap();
    text
}

fn rows() -> Vec<(String, Figure, usize)> {
    let mut rows = vec![
        ("`auth_status`: CPU of 1,000 calls, ms".to_owned(), Figure::Status, 1),
        (
            "the same while another process writes without a pause".to_owned(),
            Figure::StatusWritten,
            1,
        ),
        ("`tools/list`: CPU of 1,000 calls, ms".to_owned(), Figure::List, 1),
    ];
    for clients in CLIENTS {
        rows.push((format!("{clients} at a time: p50, ms"), Figure::Half(clients), 2));
        rows.push((format!("{clients} at a time: p99, ms"), Figure::NinetyNine(clients), 2));
    }
    rows.extend([
        ("upstream of 50 ms, 256 at a time: share of the limit".to_owned(), Figure::Share, 2),
        ("the same: p99, ms".to_owned(), Figure::ShareNinetyNine, 1),
        ("the same: CPU of 1,000 calls, ms".to_owned(), Figure::ShareCost, 1),
        ("cold start, ms".to_owned(), Figure::ColdStart, 1),
        ("resident when idle, KiB".to_owned(), Figure::Idle, 0),
        ("resident for a session, bytes".to_owned(), Figure::Session, 0),
    ]);
    rows
}

/// When, and on what.
fn machine() -> String {
    let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processors
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1))
        .unwrap_or("an unknown processor");
    let count = processors.lines().filter(|line| line.starts_with("processor")).count();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let compiler = said("rustc", "--version");
    format!(
        "{}, {count} cores of {model}, Linux {}, {compiler}",
        Utc::now().format("%Y-%m-%d"),
        kernel.trim()
    )
}

/// What was compared with.
fn versions() -> String {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let lock = fs::read_to_string(root.join("Cargo.lock")).unwrap_or_default();
    let rmcp =
        lock.split("name = \"rmcp\"\nversion = \"").nth(1).and_then(|rest| rest.split('"').next());
    let mut versions = vec![format!("rmcp {}", rmcp.unwrap_or("?"))];
    let servers = root.join("benches/compare/servers");
    for folder in ["typescript-1.x", "typescript-2.x"] {
        let text =
            fs::read_to_string(servers.join(folder).join("package.json")).unwrap_or_default();
        let package: Value = serde_json::from_str(&text).unwrap_or_default();
        for (name, version) in package["dependencies"].as_object().into_iter().flatten() {
            if name.starts_with("@modelcontextprotocol/") {
                versions.push(format!("{name} {}", version.as_str().unwrap_or("?")));
            }
        }
    }
    let text = fs::read_to_string(servers.join("fastmcp/requirements.txt")).unwrap_or_default();
    versions.extend(
        text.lines().find(|line| line.starts_with("fastmcp==")).map(|line| line.replace("==", " ")),
    );
    versions.extend([format!("Node {}", said("node", "--version")), said("python3", "--version")]);
    versions.join(", ")
}

fn said(program: &str, argument: &str) -> String {
    let output = Command::new(program).arg(argument).output();
    output.map(|it| String::from_utf8_lossy(&it.stdout).trim().to_owned()).unwrap_or_default()
}

/// For the one who looks at the terminal.
pub fn print(results: &Results) {
    for (name, rounds) in results {
        println!("{name}");
        let figures: std::collections::BTreeSet<_> =
            rounds.iter().flat_map(Figures::keys).collect();
        for figure in figures {
            if let Some(spread) = Spread::of(values(results, name, *figure)) {
                println!("  {:20} {}", format!("{figure:?}"), spread.text(2));
            }
        }
    }
}
