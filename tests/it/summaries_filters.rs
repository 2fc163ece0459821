//! Filters and orders as GitHub is asked for them: each leaves out what it says, and nothing else.

use chrono::{DateTime, Duration, Utc};
use serde_json::{Value, json};

use crate::{
    fakes::{Browser, PullRequest, Repository, World},
    support::{Agent, Server},
};

fn day(day: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_760_000_000, 0).unwrap() + Duration::days(day)
}

/// Fifty that are discussed most and are nothing special, so that no filter can be met by the first
/// of them; and a few that are.
fn crowd() -> Repository {
    let plain = (1..=50).map(|number| {
        let pull = PullRequest::new(number, "Plain").opened(day(10)).comments(20);
        pull.later(Duration::days(10))
    });
    let special = [
        PullRequest::new(101, "Labelled, long ago").opened(day(1)).label("bees").comments(2),
        PullRequest::new(102, "For a release, new").opened(day(30)).base("release").comments(1),
        PullRequest::new(103, "By a bot").opened(day(12)).author("honeybot[bot]").comments(30),
        PullRequest::new(104, "Changed last").opened(day(11)).later(Duration::days(40)),
        PullRequest::new(105, "Labelled, by a bot")
            .opened(day(13))
            .author("honeybot[bot]")
            .label("bees")
            .comments(3),
    ];
    Repository::new("octo", "hive").pull_requests(plain.chain(special))
}

async fn connected() -> (Server, Agent) {
    let server =
        Server::builder().world(World::builder().repositories(vec![crowd()])).start().await;
    let agent = server.agent().await;
    let link = agent.call("connect_github", json!({})).await.link();
    assert!(Browser::new().approve(link, "octocat").await.says("Connected as @octocat"));
    (server, agent)
}

/// Which numbers are listed, in which order.
async fn listed(agent: &Agent, further: Value) -> Vec<u64> {
    let mut wanted = json!({ "repository": "octo/hive", "limit": 2 });
    wanted.as_object_mut().unwrap().extend(further.as_object().unwrap().clone());
    let answer = agent.call("summarize_prs", wanted).await;
    assert!(!answer.is_error, "{further}: {}", answer.text);
    let all = answer.data["pull_requests"].as_array().unwrap();
    all.iter().map(|one| one["number"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn each_filter_leaves_out_what_it_says() {
    let (_server, agent) = connected().await;
    for (filter, numbers) in [
        (json!({}), vec![103, 50]),
        (json!({ "label": "bees" }), vec![105, 101]),
        (json!({ "base": "release" }), vec![102]),
        (json!({ "exclude_bots": true }), vec![50, 49]),
        (json!({ "author": "honeybot" }), vec![103, 105]),
        (json!({ "label": "bees", "exclude_bots": true }), vec![101]),
        (json!({ "label": "wasps" }), vec![]),
        (json!({ "base": "wasps" }), vec![]),
    ] {
        assert_eq!(listed(&agent, filter.clone()).await, numbers, "{filter}");
    }
}

#[tokio::test]
async fn each_order_begins_where_it_says() {
    let (_server, agent) = connected().await;
    for (order, numbers) in [
        ("most_discussed", [103, 50]),
        ("recently_updated", [104, 102]),
        ("newest", [102, 105]),
        ("oldest", [101, 1]),
    ] {
        assert_eq!(listed(&agent, json!({ "order": order })).await, numbers, "{order}");
    }
}
