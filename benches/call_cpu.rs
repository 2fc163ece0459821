//! How much processor time a call costs the server: `cargo bench --bench call_cpu`.
//!
//! The program runs as a process of its own against the fake worlds, which live here, so that only
//! its own time is counted: what Linux says its threads have run (`schedstat`, in nanoseconds).
//! The kinds of calls take turns in rounds; quote medians and compare within one run. What the LLM's
//! client costs alone is measured in a third process that does nothing but ask for completions.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    unreachable_pub,
    reason = "a measurement stops at the first surprise"
)]

#[path = "../tests/fakes/mod.rs"]
mod fakes;
#[path = "../tests/it/support/mod.rs"]
#[allow(dead_code, unused_imports, reason = "shared with the tests, which use more of it")]
mod support;

use std::{fs, process::Stdio, sync::Arc, time::Duration};

use pr_summarizer::{
    domain::SystemEntropy,
    upstream::{
        llm::{Llm, LlmSettings},
        transport::Call,
    },
};
use serde_json::json;
use tokio::process::Command;

use fakes::{Browser, FakeLlm, FileChange, PullRequest, Repository, World};
use support::{Agent, Server};

const ROUNDS: usize = 12;
/// Calls of one kind in a round; fewer than a principal may make in a minute.
const CALLS: usize = 8;
/// Says to this program that it shall be the LLM's client alone.
const CLIENT: &str = "--llm-client";
/// Who writes nothing: without an address or a key there are extracts.
const NOBODY: [&str; 2] = ["OPENAI_BASE_URL", "OPENAI_API_KEY"];

#[tokio::main]
async fn main() {
    let arguments: Vec<_> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == CLIENT) {
        return llm_client(&arguments[at + 1]).await;
    }
    let repositories = || (0..(ROUNDS + 1) * CALLS).map(repository).collect::<Vec<_>>();
    let world = || World::builder().repositories(repositories());
    let written = Server::builder().world(world()).program().start().await;
    let mut extracts = Server::builder().world(world()).program();
    for name in NOBODY {
        extracts = extracts.set(name, "");
    }
    let extracts = extracts.start().await;

    let mut figures: [Vec<f64>; 5] = Default::default();
    for round in 0..=ROUNDS {
        let first = round * CALLS;
        // New principals each time: none reaches its limit, and none is answered from its window.
        let (one, two) = (connected(&written).await, connected(&written).await);
        let bare = connected(&extracts).await;
        let status = repeat(&one, "auth_status", |_| json!({}));
        let figure = [
            cost(&written, status).await,
            cost(&written, summarize(&one, first)).await,
            cost(&written, summarize(&two, first)).await,
            cost(&extracts, summarize(&bare, first)).await,
            client_cost(&written).await,
        ];
        // The first round warms up.
        if round > 0 {
            figures.iter_mut().zip(figure).for_each(|(all, one)| all.push(one));
        }
    }
    let beyond: Vec<_> = figures[1].iter().zip(&figures[4]).map(|(all, llm)| all - llm).collect();
    println!("CPU of the server in ms per call: median (min to max) of {ROUNDS} rounds");
    for (what, values) in [
        ("auth_status", &figures[0]),
        ("summarize_prs, five anew, LLM writes", &figures[1]),
        ("  of it the LLM client alone (5 completions)", &figures[4]),
        ("  of it the rest, round by round", &beyond),
        ("summarize_prs, five anew, extracts", &figures[3]),
        ("summarize_prs, nothing changed", &figures[2]),
    ] {
        println!("{what:48} {}", spread(values));
    }
}

/// Five pull requests of a usual size: about 9 kB of diff in three files, and a discussion.
fn repository(number: usize) -> Repository {
    Repository::new("bench", &format!("repo-{number}")).pull_requests((1..=5).map(|n| {
        let source = |path: &str, lines: usize| {
            let text: Vec<_> = (0..lines)
                .map(|line| format!("let value_{line} = compute(input_{number}, {n}, {line});"))
                .collect();
            FileChange::added(path, &text.join("\n"))
        };
        PullRequest::new(n, &format!("Rework the parser of part {n}"))
            .diff(vec![
                source("src/parser.rs", 100),
                source("src/lexer.rs", 40),
                source("tests/parser.rs", 30),
            ])
            .comments(6)
            .thread("src/parser.rs", false, &[("mira-holm", "Why is this computed twice?")])
            .review("tomasz-k", "APPROVED")
            .checks(3, 0, 0)
    }))
}

async fn connected(server: &Server) -> Agent {
    let agent = server.agent().await;
    let link = agent.call("connect_github", json!({})).await.link();
    assert!(Browser::new().approve(link, "octocat").await.says("Connected as @octocat"));
    agent
}

async fn summarize(agent: &Agent, first: usize) {
    repeat(
        agent,
        "summarize_prs",
        |n| json!({ "repository": format!("bench/repo-{}", first + n) }),
    )
    .await;
}

async fn repeat(agent: &Agent, tool: &str, arguments: impl Fn(usize) -> serde_json::Value) {
    for n in 0..CALLS {
        let answer = agent.call(tool, arguments(n)).await;
        assert!(!answer.is_error, "{}", answer.text);
    }
}

/// Milliseconds that the server ran for one of the calls.
async fn cost(server: &Server, calls: impl Future<Output = ()>) -> f64 {
    let pid = server.pid().expect("the program runs");
    let before = ran(pid);
    calls.await;
    (ran(pid) - before) / CALLS as f64
}

/// The same for five completions by a process that does nothing else.
async fn client_cost(server: &Server) -> f64 {
    let output = Command::new(std::env::current_exe().unwrap())
        .args([CLIENT, &server.world.llm.url()])
        .stderr(Stdio::inherit())
        .output()
        .await
        .unwrap();
    String::from_utf8(output.stdout).unwrap().trim().parse().expect("milliseconds")
}

/// Asks for what a call of five asks for, and prints what one such call costs.
async fn llm_client(url: &str) {
    let settings = LlmSettings {
        base_url: Some(url.parse().unwrap()),
        api_key: Some(FakeLlm::API_KEY.to_owned().into()),
        model: "gpt-4.1-mini".to_owned(),
        answer_timeout: Duration::from_secs(20),
    };
    let llm = Llm::new(settings, Arc::new(SystemEntropy)).unwrap();
    let user = format!("Title: Rework the parser\n{}", "let value = compute(input);\n".repeat(320));
    let five = async || {
        let call = Call::within(Duration::from_secs(20));
        let asked = (0..5).map(|_| llm.complete(&user, &user, 400, &call));
        for answer in futures_util::future::join_all(asked).await {
            answer.unwrap();
        }
    };
    five().await;
    let before = ran(std::process::id());
    for _ in 0..CALLS {
        five().await;
    }
    println!("{}", (ran(std::process::id()) - before) / CALLS as f64);
}

/// How long the threads of a process have run, in milliseconds.
fn ran(pid: u32) -> f64 {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).expect("Linux");
    let of_thread = |path: std::path::PathBuf| {
        let text = fs::read_to_string(path.join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    };
    let all: u64 = threads.filter_map(|thread| of_thread(thread.ok()?.path())).sum();
    all as f64 / 1e6
}

fn spread(values: &[f64]) -> String {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let (min, max) = (values[0], values[values.len() - 1]);
    format!("{:.2} ({min:.2} to {max:.2})", values[values.len() / 2])
}
