//! The example clients and the morning digest: each way that they end.

use std::{
    path::{Path, PathBuf},
    process::{Output, Stdio},
};

use tokio::process::Command;

use crate::{
    fakes::{Fault, Match, World},
    support::Server,
};

const REPOSITORY: &str = "lighthouse-labs/beacon";
const HEADING: &str = "# lighthouse-labs/beacon: 5 of 12 open pull requests\n";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The folder of the programs under test.
fn built() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_pr-summarizer")).parent().unwrap().to_owned()
}

/// Whether nobody said that the clients are installed.
pub(super) fn skipped() -> bool {
    let skipped = std::env::var_os("REAL_CLIENTS").is_none();
    if skipped {
        println!("SKIPPED: REAL_CLIENTS is not set");
    }
    skipped
}

/// How each client is called.
fn clients() -> [(&'static str, Vec<PathBuf>); 3] {
    let clients = root().join("examples/clients");
    let python = root().join("tests/clients/python/.venv/bin/python");
    [
        ("python", vec![python, clients.join("summarize.py")]),
        ("typescript", vec![clients.join("node_modules/.bin/tsx"), clients.join("summarize.ts")]),
        ("rust", vec![built().join("examples/summarize")]),
    ]
}

/// Runs a client against `url`; its browser approves as octocat, or what `more` says.
async fn run(client: &[PathBuf], arguments: &[&str], url: &str, more: &[(&str, &str)]) -> Output {
    let browser = format!("node {}", root().join("tests/clients/shared/approve.mjs").display());
    Command::new(&client[0])
        .args(&client[1..])
        .args(arguments)
        .env("MCP_URL", url)
        .env("BROWSER", browser)
        .env("PERSON", "octocat")
        .env("NO_PROXY", "*")
        .envs(more.iter().copied())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap()
}

/// Checks how a program ended, and answers what it printed and what it said beside.
fn ended(name: &str, output: Output, code: i32) -> (String, String) {
    let printed = String::from_utf8(output.stdout).unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{name}: {printed}\n{said}");
    (printed, said)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn example_clients_end_with_the_codes_they_document() {
    if skipped() {
        return;
    }
    let server = Server::start().await;
    let url = server.url("/mcp");
    let decline =
        format!("node {} --decline", root().join("tests/clients/shared/approve.mjs").display());
    for (name, client) in clients() {
        let answered = run(&client, &[REPOSITORY], &url, &[]).await;
        let (printed, said) = ended(name, answered, 0);
        assert!(printed.starts_with(HEADING), "{name}: {printed}");
        assert_eq!(printed.matches("\n## #").count(), 5, "{name}: {printed}");
        assert!(said.contains(&server.url("/connect/")), "{name}: {said}");
        assert!(said.contains("5/5 "), "{name} shows no progress: {said}");

        let unknown = run(&client, &["lighthouse-labs/none"], &url, &[]).await;
        let (printed, said) = ended(name, unknown, 1);
        assert!(printed.is_empty() && said.contains("no such repository"), "{name}: {said}");

        ended(name, run(&client, &[], &url, &[]).await, 2);

        let declined = run(&client, &[REPOSITORY], &url, &[("BROWSER", &decline)]).await;
        let (printed, said) = ended(name, declined, 3);
        assert!(printed.is_empty() && said.contains("declined"), "{name}: {said}");

        let nowhere = server.url("/nothing");
        let (printed, said) = ended(name, run(&client, &[REPOSITORY], &nowhere, &[]).await, 4);
        assert!(printed.is_empty() && said.contains(&nowhere), "{name}: {said}");
        println!("{name}: 0, 1, 2, 3 and 4");
    }
}

/// Reads as the operator's token, which is one that cannot say whose it is, as in a workflow.
async fn of_a_token(deadline_seconds: &str) -> Server {
    let server = Server::builder()
        .world(World::builder())
        .set("GITHUB_TOKEN", "{token:octocat}")
        .set("GITHUB_API_URL", "{github}")
        .set("SCALEKIT_ENVIRONMENT_URL", "")
        .set("SCALEKIT_CLIENT_ID", "")
        .set("SCALEKIT_CLIENT_SECRET", "")
        .set("GITHUB_CONNECTION_NAME", "")
        .set("SUMMARY_DEADLINE_SECONDS", deadline_seconds)
        .start()
        .await;
    refuse_to_name(&server);
    server
}

/// GitHub does not tell the token of a workflow whose it is.
fn refuse_to_name(server: &Server) {
    let refusal = r#"{"message":"Resource not accessible by integration","status":"403"}"#;
    let refusal = Fault::Status(403, refusal.to_owned(), Vec::new());
    server.world.github.inject(Match::path("GET", "/user"), refusal, usize::MAX);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn example_clients_show_a_key_and_print_what_is_there_when_parts_are_missing() {
    if skipped() {
        return;
    }
    let server = of_a_token("5").await;
    let (url, key) = (server.url("/mcp"), server.local_key());
    for (name, client) in clients() {
        let (printed, _) = ended(name, run(&client, &[REPOSITORY], &url, &[]).await, 4);
        assert!(printed.is_empty(), "{name}: {printed}");
    }
    let gate = server.world.llm.hold(Match::any());
    let waited = clients().map(|(name, client)| {
        let (url, key) = (url.clone(), key.clone());
        tokio::spawn(async move {
            let output = run(&client, &[REPOSITORY], &url, &[("MCP_KEY", &key)]).await;
            let (printed, _) = ended(name, output, 5);
            assert!(printed.starts_with(HEADING), "{name}: {printed}");
            assert!(printed.contains("still being written"), "{name}: {printed}");
        })
    });
    for waited in waited {
        waited.await.unwrap();
    }
    gate.release();
    for (name, client) in clients() {
        let output = run(&client, &[REPOSITORY], &url, &[("MCP_KEY", &key)]).await;
        let (printed, _) = ended(name, output, 0);
        assert!(!printed.contains("still being written"), "{name}: {printed}");
        println!("{name}: with a key, 4, 5 and 0");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_morning_digest_reaches_the_summary_of_the_job() {
    if skipped() {
        return;
    }
    // For its worlds; the script starts a server of its own.
    let server = of_a_token("45").await;
    let folder = tempfile::tempdir().unwrap();
    let summary = folder.path().join("summary.md");
    let free = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = free.local_addr().unwrap().port().to_string();
    drop(free);
    let run = |repository: &'static str| {
        Command::new("bash")
            .arg(root().join("examples/ci/morning-digest.sh"))
            .arg(repository)
            .current_dir(folder.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("BUILT", built())
            .env("PORT", &port)
            .env("GITHUB_STEP_SUMMARY", &summary)
            .env("GITHUB_TOKEN", server.world.github.token_of("octocat"))
            .env("GITHUB_API_URL", server.world.github.url())
            .env("OPENAI_BASE_URL", server.world.llm.url())
            .env("OPENAI_API_KEY", crate::fakes::FakeLlm::API_KEY)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
    };
    std::fs::write(&summary, "What was there.\n").unwrap();
    ended("morning digest", run(REPOSITORY).await.unwrap(), 0);
    let posted = std::fs::read_to_string(&summary).unwrap();
    assert!(posted.starts_with(&format!("What was there.\n{HEADING}")), "{posted}");
    assert_eq!(posted.matches("\n## #").count(), 5, "{posted}");

    let (_, said) = ended("no repository", run("lighthouse-labs/none").await.unwrap(), 1);
    assert!(said.contains("no such repository") && said.contains("There is no digest"), "{said}");
    assert_eq!(std::fs::read_to_string(&summary).unwrap(), posted);
    let reached = tokio::net::TcpStream::connect(format!("127.0.0.1:{port}")).await;
    assert!(reached.is_err(), "the server goes on");
}

#[test]
fn the_morning_digest_may_only_read() {
    let text = std::fs::read_to_string(root().join("examples/ci/morning-digest.yml")).unwrap();
    let workflow = &yaml_rust2::YamlLoader::load_from_str(&text).unwrap()[0];
    let permissions = workflow["permissions"].as_hash().unwrap();
    let mut granted: Vec<_> = permissions.keys().map(|key| key.as_str().unwrap()).collect();
    granted.sort_unstable();
    assert_eq!(granted, ["checks", "contents", "pull-requests", "statuses"]);
    assert!(permissions.values().all(|access| access.as_str() == Some("read")), "{permissions:?}");
    let job = &workflow["jobs"]["digest"];
    assert!(job["permissions"].is_badvalue() && !job["timeout-minutes"].is_badvalue());
    let steps = job["steps"].as_vec().unwrap();
    let runs: Vec<_> = steps.iter().filter_map(|step| step["run"].as_str()).collect();
    assert!(runs.iter().any(|run| run.contains("examples/ci/morning-digest.sh")), "{runs:?}");
    // What stands in `run` is a script: an expression in it could carry somebody's text into it.
    assert!(runs.iter().all(|run| !run.contains("${{")), "{runs:?}");
}
