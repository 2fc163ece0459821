//! The server beside what a user would run or write instead: `benches/compare/run.sh`, which builds it as it ships.
//!
//! Each server is a process of its own on loopback, and this one is the client of all, with the fake worlds in
//! which ours lives. A round asks every server in turn, in another order each time; ratios are made within a
//! round, because the machine changes from one to the next. `--write` writes BENCHMARKS.md; `--gates` measures
//! only what is compared with the floor, fails where a bound is missed, and needs neither Node nor Python.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    unreachable_pub,
    missing_docs,
    reason = "a measurement stops at the first surprise"
)]

#[path = "../../tests/fakes/mod.rs"]
mod fakes;
#[path = "../../tests/it/oauth/client.rs"]
#[allow(dead_code, reason = "shared with the tests, which use more of it")]
mod oauth_client;
#[path = "../../tests/it/support/mod.rs"]
#[allow(dead_code, unused_imports, reason = "shared with the tests, which use more of it")]
mod support;

mod contenders;
mod floor;
mod load;
mod process;
mod report;
mod rounds;
mod upstream;
mod wire;
mod writer;

use std::{fs, path::Path};

use clap::{Parser, Subcommand};

/// Measure servers of the Model Context Protocol side by side.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    role: Option<Role>,
    /// How often all of them are measured.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Only those whose name holds this.
    #[arg(long)]
    only: Vec<String>,
    /// Write BENCHMARKS.md.
    #[arg(long, conflicts_with_all = ["only", "gates"])]
    write: bool,
    /// Compare with the floor alone, and fail where a bound is missed.
    #[arg(long, conflicts_with = "only")]
    gates: bool,
    /// Said by `cargo bench`; means nothing.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// Be the floor; started by a measurement.
    #[command(hide = true)]
    Floor { manner: String },
}

// One thread: servers that are measured keep the other processor.
#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments = Arguments::parse();
    if let Some(Role::Floor { manner }) = &arguments.role {
        let manner = floor::Manner::named(manner);
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        return std::thread::spawn(move || runtime.block_on(floor::serve(manner))).join().unwrap();
    }
    let only = &arguments.only;
    let wanted = |name: &str| {
        if arguments.gates {
            return [contenders::OURS, contenders::OURS_OAUTH, contenders::FLOOR].contains(&name);
        }
        only.is_empty() || only.iter().any(|part| name.contains(part.as_str()))
    };
    let results = rounds::run(arguments.rounds, arguments.gates, wanted).await;
    report::print(&results);
    let gates = report::ratios(&results);
    for gate in &gates {
        println!("{}", gate.line());
    }
    if arguments.write {
        assert!(std::env::var_os("PROGRAM").is_some(), "run.sh says which program ships");
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let by_hand = fs::read_to_string(folder.join("benches/compare/by_hand.md")).unwrap();
        let text = report::document(&results, &support::program(), &by_hand);
        fs::write(folder.join("BENCHMARKS.md"), text).unwrap();
    }
    assert!(!arguments.gates || gates.len() == 4, "not everything was measured");
    assert!(!arguments.gates || gates.iter().all(|gate| gate.is_kept), "a bound is missed");
}
