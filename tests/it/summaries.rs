//! From a repository's name to a digest, through the real server and the fake worlds.

use serde_json::{Value, json};

use crate::{
    fakes::{Browser, Fault, Match},
    support::{Agent, Answer, Server},
};

/// A server with the story's repository, and an agent whose person is connected.
async fn connected(server: &Server) -> Agent {
    let agent = server.agent().await;
    let link = agent.call("connect_github", json!({})).await.link();
    assert!(Browser::new().approve(link, "octocat").await.says("Connected as @octocat"));
    agent
}

async fn summarize(agent: &Agent, further: Value) -> Answer {
    let mut wanted = json!({ "repository": "lighthouse-labs/beacon" });
    wanted.as_object_mut().unwrap().extend(further.as_object().unwrap().clone());
    agent.call("summarize_prs", wanted).await
}

fn numbers(answer: &Answer) -> Vec<u64> {
    let all = answer.data["pull_requests"].as_array().unwrap();
    all.iter().map(|one| one["number"].as_u64().unwrap()).collect()
}

/// Requests to GitHub about pull requests, without what linking asked.
fn github_calls(server: &Server) -> usize {
    server.world.github.api_calls().iter().filter(|call| call.path != "/user").count()
}

#[tokio::test]
async fn the_first_answer_costs_two_calls_and_one_more_for_each_diff() {
    let server = Server::start().await;
    let agent = connected(&server).await;
    let answer = summarize(&agent, json!({ "limit": 3, "pull_requests": [] })).await;
    assert!(!answer.is_error, "{}", answer.text);
    assert_eq!(numbers(&answer).len(), 3);
    // At once, when the list is known, and for each pull request.
    assert_eq!(answer.progress.len(), 2 + 3, "{:?}", answer.progress);
    // One of the three has a diff that GitHub refuses whole: its files come in pages.
    let pages = server.world.github.count(|call| call.path.ends_with("/files"));
    assert!(github_calls(&server) - pages <= 2 + 3, "{}", github_calls(&server));
    assert_eq!(server.world.llm.prompts().len(), 3);
    assert_eq!(answer.data["usage"]["github_requests"], github_calls(&server));
    assert_eq!(answer.data["complete"], true);
}

#[tokio::test]
async fn the_most_discussed_come_first() {
    let server = Server::start().await;
    let agent = connected(&server).await;
    let answer = summarize(&agent, json!({})).await;
    assert_eq!(numbers(&answer), [431, 442, 438, 399, 440]);
    let discussed: Vec<u64> = answer.data["pull_requests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            let discussion = &one["discussion"];
            discussion["conversation_comments"].as_u64().unwrap()
                + discussion["review_comments"].as_u64().unwrap()
        })
        .collect();
    assert!(discussed.is_sorted_by(|a, b| a >= b), "{discussed:?}");
    assert!(answer.data["ranking"].as_str().unwrap().contains("conversation comments"));
    let stages: Vec<&str> = answer.data["pull_requests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["stage"].as_str().unwrap())
        .collect();
    assert_eq!(
        stages,
        ["changes_requested", "ci_failing", "conflicts", "unresolved_threads", "ready"]
    );
}

#[tokio::test]
async fn chosen_numbers_and_addresses_of_pull_requests() {
    let server = Server::start().await;
    let agent = connected(&server).await;
    let one = agent
        .call(
            "summarize_prs",
            json!({ "repository": "https://github.com/lighthouse-labs/beacon/pull/438/files" }),
        )
        .await;
    assert_eq!(numbers(&one), [438]);
    // Another forge's repository is not one of the same name at GitHub.
    for elsewhere in
        ["https://gitlab.com/lighthouse-labs/beacon", "git@ghe.example:lighthouse-labs/beacon.git"]
    {
        let refused = agent.call("summarize_prs", json!({ "repository": elsewhere })).await;
        assert_eq!(refused.code(), "invalid_repository", "{}", refused.text);
        assert!(refused.text.contains("this server reads github.com"), "{}", refused.text);
        let host = if elsewhere.contains("gitlab") { "gitlab.com" } else { "ghe.example" };
        assert!(refused.text.contains(&format!("at {host};")), "{}", refused.text);
    }
    let chosen = summarize(&agent, json!({ "pull_requests": [442, 431, 442] })).await;
    assert_eq!(numbers(&chosen), [442, 431]);
    // Everything is in the cache now, so all is reported in one moment; nothing of it is lost.
    let again = summarize(&agent, json!({ "pull_requests": [442, 431] })).await;
    assert_eq!(again.progress.len(), 2 + 2, "{:?}", again.progress);
    let absent = summarize(&agent, json!({ "pull_requests": [438, 1] })).await;
    assert_eq!(numbers(&absent), [438]);
    assert!(absent.data["warnings"].to_string().contains('1'), "{}", absent.text);
}

#[tokio::test]
async fn one_failing_diff_or_summary_costs_only_itself() {
    let server = Server::start().await;
    let agent = connected(&server).await;
    let diff = Match::prefix("GET", "/repos/lighthouse-labs/beacon/pulls/431");
    server.world.github.inject(diff, Fault::status(500), 10);
    server
        .world
        .llm
        .when(|prompt| prompt.user.contains("438"), crate::fakes::Behaviour::Status(500));
    let answer = summarize(&agent, json!({})).await;
    assert_eq!(numbers(&answer), [431, 442, 438, 399, 440]);
    let of = |number: u64| {
        let all = answer.data["pull_requests"].as_array().unwrap();
        all.iter().find(|one| one["number"] == number).unwrap().clone()
    };
    assert!(of(431)["coverage"]["files"].is_null(), "{}", of(431));
    assert_eq!(of(438)["summary_status"], "extract", "{}", of(438));
    assert_eq!(of(440)["summary_status"], "written");
    assert!(!answer.data["warnings"].as_array().unwrap().is_empty());
    server.world.github.heal();
}

#[tokio::test]
async fn failures_of_github_are_told_as_designed() {
    let server = Server::start().await;
    let agent = connected(&server).await;
    let missing =
        agent.call("summarize_prs", json!({ "repository": "lighthouse-labs/none" })).await;
    assert_eq!(missing.code(), "repository_not_found");
    server.world.github.exhaust_rate_limit("octocat", true);
    let limited = summarize(&agent, json!({})).await;
    assert_eq!(limited.code(), "github_rate_limited", "{}", limited.text);
    server.world.github.exhaust_rate_limit("octocat", false);
    // Nobody asks GitHub in vain before the limit is reset.
    let asked = server.world.github.calls().len();
    let held = summarize(&agent, json!({})).await;
    assert_eq!(held.code(), "github_rate_limited", "{}", held.text);
    assert!(held.raw.to_string().contains("retry_after_seconds"), "{}", held.raw);
    assert_eq!(server.world.github.calls().len(), asked);
    server.clock.advance(chrono::Duration::minutes(31));
    server.world.github.inject(Match::path("POST", "/graphql"), Fault::status(500), 10);
    let down = summarize(&agent, json!({})).await;
    assert_eq!(down.code(), "github_unavailable", "{}", down.text);
    server.world.github.heal();
    server.world.scalekit.revoke_github_grant("octocat");
    let revoked = summarize(&agent, json!({})).await;
    assert_eq!(revoked.code(), "reauthorization_required", "{}", revoked.text);
    assert_eq!(agent.call("auth_status", json!({})).await.status(), "expired");
    // The way out.
    let again = agent.call("connect_github", json!({ "reconnect": true })).await;
    assert!(Browser::new().approve(again.link(), "octocat").await.says("Connected as @octocat"));
    assert!(!summarize(&agent, json!({ "limit": 1 })).await.is_error);
}
