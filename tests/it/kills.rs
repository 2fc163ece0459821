//! kill -9, over and over, in every phase of the flow.
//!
//! `KILL_CYCLES=1000 cargo test --test it kills -- --nocapture` is the long form; without the
//! variable a few cycles run. Counted are: connections whose page said "Connected" and which are gone
//! afterwards, authorizations that were verified twice, and flows with no way out.

use std::{
    collections::{BTreeMap, VecDeque},
    env,
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::time::timeout;

use crate::{
    fakes::{Browser, Match},
    support::{Agent, Answer, Server, redis_server::RedisServer},
};

/// One round through all phases, and one more.
const FEW: usize = PHASES + 1;

const PHASES: usize = 8;

/// How many connections are kept under watch: GitHub keeps ten tokens per person.
const WATCHED: usize = 6;

/// How long a store may be away before that is a loss. Each refusal takes seconds by itself.
const PATIENCE: Duration = Duration::from_secs(30);

/// Redis is killed too, every so many cycles.
const REDIS_TOO: usize = 10;

/// Where in the flow the program is killed.
#[derive(Debug, Clone, Copy)]
enum Phase {
    /// While Scalekit is being asked this.
    Asking(&'static str, &'static str, Button),
    /// The link was handed out.
    LinkGiven,
    /// The page has said that it is connected.
    Acknowledged,
    /// At any moment of the callback, in microseconds after it was sent.
    Whenever(u64),
}

/// Which button makes the program ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Button {
    Connect,
    Authorize,
}

fn phase(cycle: usize) -> Phase {
    let accounts = "/api/v1/connected_accounts";
    match cycle % PHASES {
        0 => Phase::LinkGiven,
        1 => Phase::Asking("POST", accounts, Button::Connect),
        2 => Phase::Asking("POST", "/api/v1/connected_accounts/magic_link", Button::Connect),
        3 => Phase::Asking("GET", "/api/v1/connected_accounts/details", Button::Authorize),
        4 => Phase::Asking("POST", "/api/v1/connected_accounts/user/verify", Button::Authorize),
        5 => Phase::Asking("GET", "/proxy/user", Button::Authorize),
        6 => Phase::Acknowledged,
        // Spread over the time that a callback takes, differently in each round.
        _ => Phase::Whenever((cycle as u64).wrapping_mul(7_919) % 25_000),
    }
}

#[derive(Debug, Default)]
struct Tally {
    cycles: usize,
    acknowledged: usize,
    lost: usize,
    verified_twice: usize,
    stuck: usize,
    /// From the kill to the first good answer.
    slowest_return: Duration,
}

/// As a client would: where the store does not answer for a moment, it comes again.
async fn told(agent: &Agent, tool: &str) -> Answer {
    let end = Instant::now() + PATIENCE;
    loop {
        let answer = agent.call(tool, json!({})).await;
        if answer.code() != "store_unavailable" || Instant::now() >= end {
            return answer;
        }
    }
}

async fn is_connected(agent: &Agent) -> bool {
    told(agent, "auth_status").await.status() == "connected"
}

/// Brings a flow to `phase` and kills the program there. Whether "Connected" was said.
async fn interrupted(server: &mut Server, agent: &Agent, phase: Phase) -> bool {
    let browser = Browser::new();
    let link = agent.call("connect_github", json!({})).await.link();
    let mut said = false;
    match phase {
        Phase::LinkGiven => server.kill_and_restart().await,
        Phase::Acknowledged => {
            said = browser.approve(link, "octocat").await.says("Connected as @octocat");
            assert!(said, "an undisturbed flow fails");
            server.kill_and_restart().await;
        }
        Phase::Asking(method, path, button) => {
            let (page, text) = match button {
                Button::Connect => (browser.get(link).await, "Connect GitHub"),
                Button::Authorize => (browser.to_consent(link).await, "Authorize as octocat"),
            };
            let gate = server.world.scalekit.hold(Match::path(method, path));
            {
                let press = browser.press(&page, text);
                tokio::select! {
                    page = press => panic!("it must not get past {path}: {page:?}"),
                    () = gate.until_waiting(1) => {}
                }
            }
            server.kill_and_restart().await;
            gate.release();
        }
        Phase::Whenever(micros) => {
            let page = browser.to_consent(link).await;
            let press = browser.press(&page, "Authorize as octocat");
            if let Ok(page) = timeout(Duration::from_micros(micros), press).await {
                said = page.says("Connected as @octocat");
            }
            server.kill_and_restart().await;
        }
    }
    said
}

async fn run(store: &str, mut redis: Option<RedisServer>) {
    let cycles = env::var_os("KILL_CYCLES").and_then(|n| n.to_str()?.parse().ok()).unwrap_or(FEW);
    let mut server = Server::builder()
        .program()
        .set("STORE_URL", store)
        .set("SESSION_SECRET", "a-session-secret-of-at-least-32-bytes!")
        .start()
        .await;
    let mut tally = Tally::default();
    let mut watched: VecDeque<Agent> = VecDeque::new();
    let mut verified: BTreeMap<String, usize> = BTreeMap::new();
    for cycle in 0..cycles {
        let agent = server.agent().await;
        let phase = phase(cycle);
        let said = interrupted(&mut server, &agent, phase).await;
        let killed = Instant::now();
        if let Some(redis) = &mut redis
            && cycle % REDIS_TOO == REDIS_TOO - 1
        {
            redis.kill();
            redis.restart();
        }
        let connected = is_connected(&agent).await;
        tally.slowest_return = tally.slowest_return.max(killed.elapsed());
        tally.cycles += 1;
        tally.acknowledged += usize::from(said);
        if said && !connected {
            tally.lost += 1;
            println!("{cycle} {phase:?}: acknowledged and lost");
        }
        if !connected {
            // The way out: what the agent is given now leads to a connection.
            let again = told(&agent, "connect_github").await;
            let is_way_out = match again.status() {
                "connected" => true,
                "authorization_required" => {
                    let page = Browser::new().approve(again.link(), "octocat").await;
                    page.says("Connected as @octocat") && is_connected(&agent).await
                }
                _ => false,
            };
            if !is_way_out {
                tally.stuck += 1;
                println!("{cycle} {phase:?}: no way out: {}", again.text);
            }
        }
        // All that were connected before still are.
        for earlier in &watched {
            if !is_connected(earlier).await {
                tally.lost += 1;
                println!("{cycle} {phase:?}: an earlier connection is lost");
            }
        }
        watched.push_back(agent);
        if watched.len() > WATCHED {
            watched.pop_front().unwrap().call("disconnect_github", json!({})).await;
        }
        for call in server.world.scalekit.verify_calls() {
            let id = call.json()["auth_request_id"].as_str().unwrap().to_owned();
            *verified.entry(id).or_default() += 1;
        }
        server.world.scalekit.clear_calls();
    }
    tally.verified_twice = verified.values().filter(|times| **times > 1).count();
    println!("{store}: {tally:?}");
    assert_eq!((tally.lost, tally.verified_twice, tally.stuck), (0, 0, 0), "{tally:?}");
    assert_eq!(tally.cycles, cycles);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_stands_being_killed() {
    run("sqlite:", None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_stands_being_killed() {
    let Some(redis) = RedisServer::start() else { return };
    run(&redis.url(), Some(redis)).await;
}
