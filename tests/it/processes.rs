//! Two processes on one `SQLite` file, and a file that is moved away under a process.
//!
//! A host may start the program once a window. Nothing tells them of each other: what one changes,
//! the other finds in the store.

use std::{process::Stdio, time::Duration};

use pr_summarizer::domain::{Clock as _, ManualClock, SystemClock};
use serde_json::json;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    net::TcpListener,
    process::{Child, Command},
    time::timeout,
};

use crate::{
    fakes::{Browser, FakeLlm, FakeScalekit, Match, World},
    support::{Agent, Balancer, Server},
};

const REPOSITORY: &str = "lighthouse-labs/beacon";

/// The program twice, with one state folder and one public address.
struct Pair {
    world: World,
    balancer: Balancer,
    _programs: [Child; 2],
    _state: TempDir,
}

impl Pair {
    async fn start() -> Self {
        let clock = ManualClock::new(SystemClock.now());
        let world = World::builder().clock(std::sync::Arc::new(clock)).start().await;
        let (balancer, state) = (Balancer::start().await, tempfile::tempdir().unwrap());
        // Both at once: both want to make the key and the tables.
        let programs = tokio::join!(
            program(&world, balancer.port, &state),
            program(&world, balancer.port, &state),
        );
        let programs = [programs.0, programs.1].map(|(port, program)| {
            balancer.add(port);
            program
        });
        Self { world, balancer, _programs: programs, _state: state }
    }

    async fn agent(&self) -> Agent {
        Agent::legacy(&format!("http://127.0.0.1:{}/mcp", self.balancer.port)).await
    }

    /// Begun at the first, called back at the second.
    async fn connect(&self, agent: &Agent, browser: &Browser) {
        self.balancer.only(0);
        let link = agent.call("connect_github", json!({})).await.link();
        let consent = browser.to_consent(link).await;
        self.balancer.only(1);
        let page = browser.press(&consent, "Authorize as octocat").await;
        assert!(page.says("Connected as @octocat"), "{page:?}");
    }

    async fn disconnect_at_the_first(&self, agent: &Agent) {
        self.balancer.only(0);
        let answer = agent.call("disconnect_github", json!({})).await;
        assert_eq!(answer.status(), "not_connected", "{}", answer.text);
    }
}

/// Starts it on a free port and returns when it listens.
async fn program(world: &World, public_port: u16, state: &TempDir) -> (u16, Child) {
    let free = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let mut program = Command::new(crate::support::program())
        .env_clear()
        .env("PORT", port.to_string())
        .env("PUBLIC_BASE_URL", format!("http://127.0.0.1:{public_port}"))
        .env("STATE_DIR", state.path())
        .env("SCALEKIT_ENVIRONMENT_URL", world.scalekit.url())
        .env("SCALEKIT_CLIENT_ID", FakeScalekit::CLIENT_ID)
        .env("SCALEKIT_CLIENT_SECRET", FakeScalekit::CLIENT_SECRET)
        .env("GITHUB_CONNECTION_NAME", FakeScalekit::CONNECTION_NAME)
        .env("OPENAI_BASE_URL", world.llm.url())
        .env("OPENAI_API_KEY", FakeLlm::API_KEY)
        .current_dir(state.path())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut log = BufReader::new(program.stderr.take().unwrap()).lines();
    while let Some(line) = log.next_line().await.unwrap() {
        if line.contains("serving MCP") {
            // A full pipe would stop the program.
            tokio::spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });
            return (port, program);
        }
    }
    panic!("the program ended by itself");
}

#[tokio::test]
async fn two_processes_on_one_file_are_one_server() {
    let pair = Pair::start().await;
    let (agent, browser) = (pair.agent().await, Browser::new());
    pair.connect(&agent, &browser).await;
    let one = json!({ "repository": REPOSITORY, "limit": 1 });
    let summary = agent.call("summarize_prs", one.clone()).await;
    assert!(!summary.is_error, "{}", summary.text);
    // The second has just answered, and would again without asking anybody; but the first let go.
    pair.disconnect_at_the_first(&agent).await;
    pair.balancer.only(1);
    let refused = agent.call("summarize_prs", one).await;
    assert_eq!((refused.is_error, refused.code()), (true, "not_connected"), "{}", refused.text);
    // With the refusal came a link.
    assert_eq!(agent.call("auth_status", json!({})).await.status(), "pending");

    // And while the second answers.
    pair.connect(&agent, &browser).await;
    let gate = pair.world.llm.hold(Match::any());
    let one = json!({ "repository": REPOSITORY, "limit": 1, "language": "French" });
    let running = agent.call("summarize_prs", one);
    let let_go = async {
        gate.until_waiting(1).await;
        pair.disconnect_at_the_first(&agent.again()).await;
    };
    let both = async { tokio::join!(running, let_go).0 };
    let answer = timeout(Duration::from_secs(15), both).await.expect("the call runs on");
    assert_eq!((answer.is_error, answer.code()), (true, "not_connected"), "{}", answer.text);
    assert!(answer.data.is_null(), "{}", answer.data);
    gate.release();
}

/// Each process keeps opened copies of what it reads with every call, and tells nothing from them
/// that the other has ended.
#[tokio::test]
async fn what_one_process_ends_is_ended_at_the_other_at_once() {
    let pair = Pair::start().await;
    for _ in 0..10 {
        let agent = pair.agent().await;
        pair.balancer.only(1);
        for _ in 0..2 {
            assert_eq!(agent.call("auth_status", json!({})).await.status(), "not_connected");
        }
        pair.balancer.only(0);
        let url = format!("http://127.0.0.1:{}/mcp", pair.balancer.port);
        let ended = agent.http.delete(url).header("mcp-session-id", agent.session());
        assert_eq!(ended.send().await.unwrap().status(), 204);
        pair.balancer.only(1);
        let call = json!({
            "jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": { "name": "auth_status", "arguments": {} },
        });
        assert_eq!(agent.send(call).await.status(), 404);
    }
}

/// Unix: elsewhere an open file cannot be moved.
#[cfg(unix)]
#[tokio::test]
async fn a_store_that_is_moved_away_is_told_and_used_again_when_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let (store, away) = (folder.path().join("store.db"), folder.path().join("away.db"));
    let mut server = Server::builder()
        .program()
        .set("STORE_URL", format!("sqlite:{}", store.display()))
        .start()
        .await;
    let agent = server.agent().await;
    let is_ready = async |server: &Server| {
        let answer = agent.http.get(server.url("/readyz")).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" });
    assert_eq!(is_ready(&server).await.0, 200);
    std::fs::rename(&store, &away).unwrap();
    let (status, text) = is_ready(&server).await;
    assert_eq!((status, text.as_str()), (503, "the store does not answer\n"));
    let refused = agent.send(ping.clone()).await;
    assert_eq!(refused.status(), 503);
    let text = refused.text().await.unwrap();
    assert!(text.contains("The store's file is no longer in its place."), "{text}");
    assert!(!text.contains("away.db") && !text.contains("store.db"), "{text}");
    // The log comes through a pipe.
    let is_told = async {
        while !server.log().contains("put the file back that was there") {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(15), is_told).await.expect("the log says nothing");
    std::fs::rename(&away, &store).unwrap();
    assert_eq!(is_ready(&server).await.0, 200);
    assert_eq!(agent.send(ping).await.status(), 200, "its session is still there");
    // The other way back: what is there at the next start is used.
    std::fs::remove_file(&store).unwrap();
    assert_eq!(is_ready(&server).await.0, 503);
    server.kill_and_restart().await;
    assert_eq!(is_ready(&server).await.0, 200);
    server.agent().await;
}
