//! Faults and attacks that no other test tries: stale polls, clients that leave, odd messages.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{
    fakes::{Browser, Fault, Match},
    support::{Agent, Server},
};

async fn link(agent: &Agent, further: Value) -> String {
    agent.call("connect_github", further).await.link()
}

/// A poll that was held up moves the pointer back to an older account and destroys the newer one.
#[tokio::test]
async fn a_stale_poll_does_not_move_the_pointer_back() {
    let server = Server::start().await;
    let agent = server.agent().await;
    let (one, two, three) = (Browser::new(), Browser::new(), Browser::new());
    one.to_consent(link(&agent, json!({})).await).await;
    let first = server.world.scalekit.accounts()[0].identifier.clone();
    let second = two.to_consent(link(&agent, json!({})).await).await;
    let gate = server.world.scalekit.hold(Match::new(move |call| {
        call.path.ends_with("/details") && call.parameter("identifier").as_deref() == Some(&first)
    }));
    let poll = agent.call("auth_status", json!({}));
    let rest = async {
        gate.until_waiting(1).await;
        assert!(two.press(&second, "Authorize as octocat").await.says("Connected as @octocat"));
        let again = link(&agent, json!({ "reconnect": true })).await;
        assert!(three.approve(again, "mira-holm").await.says("Connected as @mira-holm"));
        gate.release();
    };
    let (_, ()) = tokio::join!(poll, rest);
    let now = agent.call("auth_status", json!({})).await;
    println!("{}", now.text);
    assert_eq!(now.data["github_login"], "mira-holm", "{}", now.text);
}

/// The page says "Disconnect @mira-holm"; pressed twice it must not disconnect @octocat too.
#[tokio::test]
async fn a_button_pressed_twice_disconnects_one_account() {
    let server = Server::start().await;
    let browser = Browser::new();
    let (a, b) = (server.agent().await, server.agent().await);
    assert!(browser.approve(link(&a, json!({})).await, "octocat").await.says("octocat"));
    let page = browser.approve(link(&b, json!({})).await, "mira-holm").await;
    assert!(page.says("Disconnect @mira-holm"), "{page:?}");
    browser.press(&page, "Disconnect @mira-holm").await;
    browser.press(&page, "Disconnect @mira-holm").await;
    let left = a.call("auth_status", json!({})).await;
    assert_eq!(left.data["github_login"], "octocat", "{}", left.text);
}

/// The retry's time is up while the person is still at GitHub.
#[tokio::test]
async fn a_retry_whose_time_is_up_says_so_and_keeps_the_handle() {
    let server = Server::start().await;
    let agent = server.asking_agent();
    let asked = agent.call("connect_github", json!({})).await;
    let url = asked.raw["inputRequests"]["authorize"]["params"]["url"].as_str().unwrap().to_owned();
    Browser::new().to_consent(url).await;
    let back = json!({
        "requestState": asked.raw["requestState"],
        "inputResponses": { "authorize": { "action": "accept" } },
    });
    let answer = agent.call_with("connect_github", json!({}), back).await;
    println!("{}", answer.raw);
    assert!(!answer.is_error, "{}", answer.raw);
    answer.handle();
}

/// Scalekit stumbles once while the client waits: the one-time state is spent.
#[tokio::test]
async fn an_outage_during_the_retry_keeps_the_handle() {
    let server = Server::start().await;
    let agent = server.asking_agent();
    let asked = agent.call("connect_github", json!({})).await;
    let url = asked.raw["inputRequests"]["authorize"]["params"]["url"].as_str().unwrap().to_owned();
    Browser::new().to_consent(url).await;
    server.world.scalekit.inject(
        Match::path("GET", "/api/v1/connected_accounts/details"),
        Fault::status(500),
        1,
    );
    let back = json!({
        "requestState": asked.raw["requestState"],
        "inputResponses": { "authorize": { "action": "accept" } },
    });
    let answer =
        timeout(Duration::from_secs(5), agent.call_with("connect_github", json!({}), back)).await;
    if let Ok(answer) = answer {
        println!("{}", answer.raw);
        assert!(answer.raw.to_string().contains("con_"), "the principal is lost: {}", answer.raw);
    }
}

/// One open flow and an outage: a new link, and the status, come from the store.
#[tokio::test]
async fn an_outage_does_not_stop_new_links() {
    let server = Server::start().await;
    let agent = server.agent().await;
    Browser::new().to_consent(link(&agent, json!({})).await).await;
    server.world.scalekit.inject(Match::any(), Fault::status(500), usize::MAX);
    let status = agent.call("auth_status", json!({})).await;
    let again = agent.call("connect_github", json!({})).await;
    server.world.scalekit.heal();
    println!("{}\n{}", status.text, again.text);
    assert!(!status.is_error && !again.is_error);
}

async fn connected(server: &Server) -> Agent {
    let agent = server.agent().await;
    let link = link(&agent, json!({})).await;
    assert!(Browser::new().approve(link, "octocat").await.says("Connected as @octocat"));
    agent
}

/// An id used twice at a time: the second call can still be cancelled when the first has ended.
#[tokio::test]
async fn a_call_whose_id_is_used_twice_can_be_cancelled() {
    let server = Server::start().await;
    let agent = connected(&server).await;
    let gate = server.world.llm.hold(Match::any());
    let slow = json!({ "jsonrpc": "2.0", "id": 5, "method": "tools/call",
        "params": { "name": "summarize_prs", "arguments": { "repository": "lighthouse-labs/beacon", "limit": 1 } } });
    let quick = json!({ "jsonrpc": "2.0", "id": 5, "method": "tools/call",
        "params": { "name": "auth_status", "arguments": {} } });
    let call = async { agent.send(slow).await.text().await };
    let other = async {
        gate.until_waiting(1).await;
        agent.send(quick).await;
        agent.send(json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 5 } })).await;
        timeout(Duration::from_secs(2), gate.until_waiting(0)).await.expect("it still runs");
    };
    tokio::select! { _ = call => {}, () = other => {} }
    assert_eq!(gate.waiting(), 0);
}

/// The log at its loudest holds no secret, no link and no text of a pull request.
#[tokio::test]
async fn the_loudest_log_tells_nothing() {
    let server = Server::builder().program().set("RUST_LOG", "trace").start().await;
    let agent = server.agent().await;
    let browser = Browser::new();
    let shown = link(&agent, json!({})).await;
    let page = browser.approve(&shown, "octocat").await;
    assert!(page.says("Connected as @octocat"));
    let modern = server.modern_agent();
    let asked = modern.call("connect_github", json!({})).await;
    let handle = asked.handle();
    modern.call("auth_status", json!({ "connection": handle, "x": handle })).await;
    modern.call("auth_status", json!({ "connection": [handle] })).await;
    modern.call("connect_github", json!({ "reconnect": handle })).await;
    modern.call("summarize_prs", json!({ "repository": handle })).await;
    modern.call(&handle, json!({})).await;
    let forwarded = browser.get(asked.link()).await;
    browser.press(&forwarded, "Use @octocat again").await;
    modern
        .call(
            "summarize_prs",
            json!({ "repository": "lighthouse-labs/beacon", "connection": handle }),
        )
        .await;
    for fault in [Fault::Reset, Fault::Garbage, Fault::Html, Fault::status(401), Fault::status(500)]
    {
        server.world.scalekit.inject(Match::any(), fault.clone(), 8);
        server.world.llm.inject(Match::any(), fault, 4);
        agent
            .call(
                "summarize_prs",
                json!({ "repository": "lighthouse-labs/beacon", "order": "newest" }),
            )
            .await;
        let other = server.agent().await;
        let begun = other.call("connect_github", json!({})).await;
        Browser::new().to_consent(begun.link()).await;
        server.world.scalekit.heal();
        server.world.llm.heal();
    }
    let again = link(&agent, json!({ "reconnect": true })).await;
    let consent = Browser::new().to_consent(&again).await;
    let mismatch = Browser::new().press(&consent, "Authorize as octocat").await;
    assert_eq!(mismatch.status, 403);
    let mut secrets = vec![
        ("session", agent.session().to_owned()),
        ("handle", handle),
        ("flow", shown.rsplit('/').next().unwrap().to_owned()),
        ("client secret", crate::fakes::FakeScalekit::CLIENT_SECRET.to_owned()),
        ("llm key", crate::fakes::FakeLlm::API_KEY.to_owned()),
        ("title", "magicLink".to_owned()),
    ];
    for call in server.world.scalekit.calls() {
        if let Some(state) = call.json()["state"].as_str() {
            secrets.push(("state", state.to_owned()));
        }
        if let Some(id) = call.json()["auth_request_id"].as_str() {
            secrets.push(("auth_request_id", id.to_owned()));
        }
        if let Some(id) = call.json()["identifier"].as_str() {
            secrets.push(("usr", id.to_owned()));
        }
        if let Some(token) = call.bearer() {
            secrets.push(("bearer", token.to_owned()));
        }
    }
    browser.jar(|jar| {
        secrets.push((
            "cookie",
            jar.get("127.0.0.1", "__Host-prs-browser").unwrap().value().to_owned(),
        ));
    });
    tokio::task::yield_now().await;
    let log = server.log();
    assert!(log.len() > 1_000, "{log}");
    secrets.sort();
    secrets.dedup();
    let found: Vec<_> =
        secrets.iter().filter(|(_, secret)| log.contains(secret.as_str())).collect();
    let lines: Vec<_> = log
        .lines()
        .filter(|line| found.iter().any(|(_, s)| line.contains(s.as_str())))
        .take(8)
        .collect();
    println!("{} bytes", log.len());
    for word in ["usr_", "pri_", "con_", "/connect/", "state=", "lighthouse"] {
        let n = log.lines().filter(|l| l.contains(word)).count();
        if n > 0 {
            println!("{word} x{n}: {}", log.lines().find(|l| l.contains(word)).unwrap());
        }
    }
    assert!(found.is_empty(), "{found:?}\n{lines:#?}");
}

/// kill -9 wherever Scalekit is being asked: at most one verification, and a way out.
#[tokio::test]
async fn killed_in_every_phase() {
    let mut bad = Vec::new();
    for (n, place) in [
        Match::path("POST", "/api/v1/connected_accounts"),
        Match::path("POST", "/api/v1/connected_accounts/magic_link"),
        Match::path("GET", "/api/v1/connected_accounts/details"),
        Match::path("POST", "/api/v1/connected_accounts/user/verify"),
        Match::path("GET", "/proxy/user"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut server = Server::builder().program().start().await;
        let (browser, agent) = (Browser::new(), server.agent().await);
        let shown = link(&agent, json!({})).await;
        let early = n < 2;
        let page = if early { browser.get(&shown).await } else { browser.to_consent(&shown).await };
        let gate = server.world.scalekit.hold(place);
        {
            let press =
                browser.press(&page, if early { "Connect GitHub" } else { "Authorize as octocat" });
            tokio::select! {
                // The browser panics when the server dies; it is dropped before.
                page = press => panic!("{n}: {page:?}"),
                () = gate.until_waiting(1) => {}
            }
        }
        server.kill_and_restart().await;
        gate.release();
        let status = agent.call("auth_status", json!({})).await;
        let now = browser.get(&shown).await;
        println!("{n}: {} | link now {} {}", status.text.replace('\n', " "), now.status, now.title);
        let again = agent.call("connect_github", json!({})).await;
        if again.status() == "authorization_required" {
            let done = Browser::new().approve(again.link(), "octocat").await;
            if !done.says("Connected as @octocat") {
                bad.push(format!("{n}: {done:?}"));
            }
        } else if again.status() != "connected" {
            bad.push(format!("{n}: {}", again.text));
        }
        let last = agent.call("auth_status", json!({})).await;
        if last.status() != "connected" {
            bad.push(format!("{n}: {}", last.text));
        }
    }
    assert!(bad.is_empty(), "{bad:#?}");
}

/// Everything at once: whatever wins, the store and Scalekit agree in the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callbacks_racing_with_polls_disconnects_and_strangers() {
    let server = Server::start().await;
    let mut bad = Vec::new();
    for round in 0..40 {
        let (browser, agent) = (Browser::new(), server.agent().await);
        let consent = browser.to_consent(link(&agent, json!({})).await).await;
        let calls = server.world.scalekit.calls();
        let state =
            calls.iter().rev().find(|c| c.path.ends_with("magic_link")).unwrap().json()["state"]
                .as_str()
                .unwrap()
                .to_owned();
        let stranger = Browser::new();
        let forged = server.url(&format!("/user/verify?state={state}&auth_request_id=other"));
        let hit = |n: u64| {
            let (stranger, forged) = (&stranger, &forged);
            async move {
                let _ = timeout(Duration::from_micros(n * 700), std::future::pending::<()>()).await;
                stranger.get(forged).await
            }
        };
        let (page, hits, ()) =
            tokio::join!(browser.press(&consent, "Authorize as octocat"), hit(round), async {
                for _ in 0..4 {
                    agent.call("auth_status", json!({})).await;
                }
            });
        let _ = timeout(Duration::from_millis(60), std::future::pending::<()>()).await;
        let status = agent.call("auth_status", json!({})).await;
        if hits.status == 403 && status.status() == "connected" {
            bad.push(format!(
                "{round}: a stranger held the state and it is still connected; page {} stranger {}",
                page.status, hits.status
            ));
        }
        let active = server.world.scalekit.active_accounts().len();
        if status.status() == "connected" && active == 0 {
            bad.push(format!("{round}: connected without an account"));
        }
        if status.status() != "connected" && active != 0 {
            bad.push(format!("{round}: {active} accounts left behind, {}", status.text));
        }
        agent.call("disconnect_github", json!({})).await;
        let _ = timeout(Duration::from_millis(60), std::future::pending::<()>()).await;
    }
    assert!(bad.is_empty(), "{bad:#?}");
}
