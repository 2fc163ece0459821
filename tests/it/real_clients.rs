//! The official clients through a balancer that gives each connection to another instance, while
//! one instance after the other is replaced.
//!
//! They are Node's and Python's, so they run where somebody installed them and says so:
//! `REAL_CLIENTS=yes cargo test --test it real_clients`, as `.ci/run clients` does.

mod examples;
mod litellm;

use std::{path::PathBuf, process::Stdio, time::Duration};

use tokio::{process::Command, time::timeout};

use crate::support::Fleet;

/// One client's whole story takes seconds.
const LONGEST: Duration = Duration::from_mins(4);

/// Between one instance that was replaced and the next one; platforms take longer.
const PAUSE: Duration = Duration::from_millis(400);

const CLIENTS: [(&str, &str, &str); 3] = [
    ("typescript 1.x", "node", "typescript-1.x/client.mjs"),
    ("typescript 2.x", "node", "typescript-2.x/client.mjs"),
    ("python", "python/.venv/bin/python", "python/client.py"),
];

fn client(fleet: &Fleet, program: &str, script: &str) -> Command {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/clients");
    let program = if program.contains('/') { folder.join(program) } else { program.into() };
    let mut command = Command::new(program);
    command
        .arg(script)
        .current_dir(folder)
        .env("MCP_URL", format!("{}/mcp", fleet.origin()))
        .env("REPOSITORY", "lighthouse-labs/beacon")
        .env("PERSON", "octocat")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_official_clients_need_no_sticky_routing() {
    if std::env::var_os("REAL_CLIENTS").is_none() {
        println!("SKIPPED: REAL_CLIENTS is not set");
        return;
    }
    let mut fleet = Fleet::start("session").await.expect("a Redis server");
    for (name, program, script) in CLIENTS {
        let mut running = Box::pin(client(&fleet, program, script).output());
        let mut replaced = 0;
        let output = loop {
            fleet.end(replaced % 3).await;
            fleet.begin(replaced % 3).await;
            replaced += 1;
            if let Ok(output) = timeout(PAUSE, &mut running).await {
                break output.unwrap();
            }
            assert!(PAUSE * u32::try_from(replaced).unwrap() < LONGEST, "{name} does not end");
        };
        let said = String::from_utf8_lossy(&output.stdout);
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name}: {said}\n{complaint}");
        println!("{name}: {} ({replaced} instances replaced)", said.lines().last().unwrap_or(""));
    }
    assert!(fleet.given().iter().all(|given| *given > 5), "{:?}", fleet.given());
    println!("connections of the instances: {:?}", fleet.given());
}
