//! SIGTERM: what runs is answered, nothing new begins, and the end comes in time.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::json;

use crate::{
    fakes::{Browser, Match, PullRequest, Repository, World},
    support::{Agent, Server},
};

/// Platforms kill after thirty seconds.
const LONGEST: Duration = Duration::from_secs(30);

async fn connected(server: &Server) -> Agent {
    let agent = server.agent().await;
    let link = agent.call("connect_github", json!({})).await.link();
    assert!(Browser::new().approve(link, "octocat").await.says("Connected as @octocat"));
    agent
}

#[tokio::test]
async fn running_calls_are_answered_with_what_is_there() {
    let one = |number: u64| {
        PullRequest::new(number, &format!("Row {number}"))
            .comments(usize::try_from(number).unwrap())
    };
    let repository = Repository::new("octo", "hive").pull_requests((1..=3).map(one));
    let world = World::builder().repositories(vec![repository]);
    let mut server = Server::builder().world(world).program().start().await;
    let agents = join_all((0..8).map(|_| connected(&server))).await;
    // Of three summaries one is late; all agents share it.
    let gate = server.world.llm.hold(Match::new(|call| call.json().to_string().contains("Row 2")));
    // With and without the SDK's machinery.
    let calls = agents.iter().enumerate().map(async |(number, agent)| {
        let arguments = json!({ "repository": "octo/hive" });
        match number % 2 {
            0 => agent.call("summarize_prs", arguments).await,
            _ => agent.call_silently("summarize_prs", arguments).await,
        }
    });
    let stop = async {
        gate.until_waiting(1).await;
        // Everybody has their list, so everybody waits for that one.
        while server.world.github.count(|call| call.path == "/graphql") < agents.len() {
            tokio::task::yield_now().await;
        }
        server.tell_to_stop().await;
        let told = Instant::now();
        // Nobody new is let in. (The kernel may take a connection before it hears of the end.)
        while reqwest::get(server.url("/readyz")).await.is_ok_and(|answer| answer.status() == 200) {
            tokio::task::yield_now().await;
        }
        assert!(told.elapsed() < Duration::from_secs(2), "{:?}", told.elapsed());
        told
    };
    let (answers, told) = tokio::join!(join_all(calls), stop);
    println!("answered {:?} after SIGTERM", told.elapsed());
    for answer in &answers {
        assert!(!answer.is_error, "{}", answer.text);
        assert_eq!(answer.data["pending"], json!([2]), "{}", answer.text);
        assert_eq!(answer.data["pull_requests"].as_array().unwrap().len(), 3);
    }
    let ended = server.ended().await;
    assert!(ended.success(), "{ended:?}: {}", server.log());
    println!("ended {:?} after SIGTERM", told.elapsed());
    assert!(told.elapsed() < LONGEST, "{:?}", told.elapsed());
    assert!(!server.log().contains("panicked"), "{}", server.log());
}
