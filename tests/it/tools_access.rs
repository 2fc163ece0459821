//! Linking and summarizing where Scalekit's proxy is off: with its tools instead.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    fakes::{Browser, Fault, FileChange, Match, ProxyMode, PullRequest, Repository, World},
    support::{Agent, Answer, Server},
};

async fn without_proxy() -> (Server, Agent) {
    let world = World::builder().proxy(ProxyMode::Disabled);
    let server = Server::builder().world(world).start().await;
    let agent = server.agent().await;
    let link = agent.call("connect_github", json!({})).await.link();
    assert!(Browser::new().approve(link, "octocat").await.says("Connected as @octocat"));
    (server, agent)
}

async fn summarize(agent: &Agent, further: Value) -> Answer {
    let mut wanted = json!({ "repository": "lighthouse-labs/beacon" });
    wanted.as_object_mut().unwrap().extend(further.as_object().unwrap().clone());
    agent.call("summarize_prs", wanted).await
}

fn by_number(answer: &Answer) -> BTreeMap<u64, Value> {
    let all = answer.data["pull_requests"].as_array().unwrap();
    all.iter().map(|one| (one["number"].as_u64().unwrap(), one.clone())).collect()
}

fn proxied(server: &Server) -> usize {
    server.world.scalekit.count(|call| call.path.starts_with("/proxy/"))
}

#[tokio::test]
async fn linking_and_summarizing_work_with_the_proxy_off() {
    let (server, agent) = without_proxy().await;
    let status = agent.call("auth_status", json!({})).await;
    assert_eq!(status.data["github_access"], "scalekit_tools", "{}", status.text);
    assert_eq!(status.data["github_login"], "octocat");
    assert_eq!(proxied(&server), 1, "one request finds out");
    server.world.scalekit.clear_calls();

    let answer = summarize(&agent, json!({})).await;
    assert!(!answer.is_error, "{}", answer.text);
    let found = by_number(&answer);
    assert_eq!(found.len(), 5);
    let tools = server.world.scalekit.tools_run();
    assert_eq!(tools.len(), 1 + 7 * 5, "{tools:?}");
    assert_eq!(answer.data["usage"]["github_requests"], 1 + 7 * 5);
    assert_eq!(proxied(&server), 0, "it is remembered");
    let ranking = answer.data["ranking"].as_str().unwrap();
    assert!(ranking.starts_with("chosen by GitHub's own order of popularity"), "{ranking}");
    let warnings = answer.data["warnings"].to_string();
    assert!(warnings.contains("enable the proxy"), "{warnings}");
    for one in found.values() {
        assert_eq!(one["summary_status"], "written", "{one}");
        assert!(one["discussion"]["unresolved_threads"].is_null());
        assert_eq!(one["facts"]["review_decision"], "unknown");
        assert!(one["facts"]["in_merge_queue"].is_null());
    }
    let spoken = server.world.llm.prompts();
    assert!(spoken.iter().any(|prompt| prompt.user.contains("thread on")));
    assert!(!spoken.iter().any(|prompt| prompt.user.contains("(open)")), "it is not known");
}

#[tokio::test]
async fn the_tools_tell_the_same_facts_as_far_as_they_tell() {
    let numbers = json!({ "pull_requests": [431, 442, 438, 399, 440] });
    let (_without, agent) = without_proxy().await;
    let by_tools = by_number(&summarize(&agent, numbers.clone()).await);
    let with = Server::start().await;
    let agent = with.agent().await;
    let link = agent.call("connect_github", json!({})).await.link();
    Browser::new().approve(link, "octocat").await;
    let by_proxy = by_number(&summarize(&agent, numbers).await);
    assert_eq!(by_tools.len(), 5);
    for (number, one) in &by_tools {
        let other = &by_proxy[number];
        for same in ["title", "url", "author"] {
            assert_eq!(one[same], other[same], "{number}");
        }
        for same in [
            "draft",
            "base",
            "additions",
            "deletions",
            "changed_files",
            "labels",
            "mergeable",
            "checks",
            "approvals",
            "changes_requested",
            "auto_merge",
        ] {
            assert_eq!(one["facts"][same], other["facts"][same], "{number} {same}");
        }
        for same in ["conversation_comments", "review_comments", "reviews"] {
            assert_eq!(one["discussion"][same], other["discussion"][same], "{number} {same}");
        }
        assert_eq!(
            one["coverage"]["comments_used"], other["coverage"]["comments_used"],
            "{number}"
        );
    }
}

#[tokio::test]
async fn filters_numbers_and_empty_lists() {
    let (server, agent) = without_proxy().await;
    let drafts = summarize(&agent, json!({ "limit": 20, "exclude_drafts": true })).await;
    assert!(by_number(&drafts).values().all(|one| one["facts"]["draft"] == false));
    let labelled = summarize(&agent, json!({ "label": "plugin" })).await;
    assert!(by_number(&labelled).contains_key(&399), "{}", labelled.text);
    let absent = summarize(&agent, json!({ "pull_requests": [438, 430, 7] })).await;
    assert_eq!(by_number(&absent).into_keys().collect::<Vec<_>>(), [438]);
    let warnings = absent.data["warnings"].to_string();
    assert!(warnings.contains("#7 is not summarized: no such pull request"), "{warnings}");
    assert!(warnings.contains("#430 is not summarized: "), "{warnings}");
    let none = summarize(&agent, json!({ "author": "nobody-at-all" })).await;
    assert_eq!(none.data["pull_requests"], json!([]));
    assert_eq!(none.data["repository"], "lighthouse-labs/beacon");
    let wrong = agent.call("summarize_prs", json!({ "repository": "lighthouse-labs/none" })).await;
    assert_eq!(wrong.code(), "repository_not_found", "{}", wrong.text);
    server.world.assert_clean();
}

#[tokio::test]
async fn refusals_keep_their_meaning_and_one_pull_request_costs_only_itself() {
    let (server, agent) = without_proxy().await;
    let github = &server.world.github;
    github.inject(
        Match::path("GET", "/repos/lighthouse-labs/beacon/pulls/431"),
        Fault::status(500),
        9,
    );
    github.inject(
        Match::new(|call| call.path.ends_with("/check-runs")),
        Fault::status(403),
        usize::MAX,
    );
    let partial = summarize(&agent, json!({})).await;
    assert_eq!(by_number(&partial).len(), 4);
    assert!(partial.data["warnings"].to_string().contains("#431"), "{}", partial.text);
    assert!(by_number(&partial).values().all(|one| one["facts"]["checks"]["state"] == "unknown"));
    github.heal();
    server.clock.advance(chrono::Duration::minutes(1));
    github.exhaust_rate_limit("octocat", true);
    assert_eq!(summarize(&agent, json!({})).await.code(), "github_rate_limited");
    github.exhaust_rate_limit("octocat", false);
    // Until the limit is reset nobody asks again; our own token is renewed for its age by then.
    server.clock.advance(chrono::Duration::hours(2));
    agent.call("summarize_prs", json!({ "repository": "lighthouse-labs/none" })).await;
    server.world.scalekit.revoke_github_grant("octocat");
    let before = server.world.scalekit.count(|call| call.path == "/oauth/token");
    assert_eq!(summarize(&agent, json!({})).await.code(), "reauthorization_required");
    let after = server.world.scalekit.count(|call| call.path == "/oauth/token");
    assert_eq!(before, after, "GitHub's refusal says nothing about our own token");
}

#[tokio::test]
async fn the_proxy_is_tried_again_when_the_memory_has_expired() {
    let (server, agent) = without_proxy().await;
    server.world.scalekit.configure(|settings| settings.proxy = ProxyMode::Enabled);
    summarize(&agent, json!({ "limit": 1 })).await;
    assert_eq!(proxied(&server), 1);
    server.clock.advance(chrono::Duration::minutes(11));
    let answer = summarize(&agent, json!({ "limit": 2 })).await;
    assert!(!answer.data["ranking"].as_str().unwrap().starts_with("chosen by GitHub"));
    assert_eq!(answer.data["warnings"], json!([]), "{}", answer.text);
    let status = agent.call("auth_status", json!({})).await;
    assert_eq!(status.data["github_access"], "scalekit_proxy");
}

#[tokio::test]
async fn what_a_first_page_does_not_hold_is_unknown_and_not_a_number() {
    let mut large = PullRequest::new(1, "Rename everything")
        .comments(131)
        .checks(40, 0, 0)
        .diff((0..45).map(|n| FileChange::added(&format!("src/f{n}.rs"), "fn f() {}")).collect());
    for n in 0..31 {
        large = large.review_saying(
            "hubot",
            if n == 30 { "APPROVED" } else { "CHANGES_REQUESTED" },
            "Hm.",
        );
    }
    let failing = PullRequest::new(2, "Break it").checks(40, 2, 0).review("hubot", "APPROVED");
    let repository = Repository::new("octo", "hello").pull_request(large).pull_request(failing);
    let world = World::builder().proxy(ProxyMode::Disabled).repositories(vec![repository]);
    let server = Server::builder().world(world).start().await;
    let agent = server.agent().await;
    let link = agent.call("connect_github", json!({})).await.link();
    Browser::new().approve(link, "octocat").await;
    let answer = agent.call("summarize_prs", json!({ "repository": "octo/hello" })).await;
    let found = by_number(&answer);
    let (large, failing) = (&found[&1], &found[&2]);
    assert_eq!(large["facts"]["approvals"], Value::Null, "the approval is on the second page");
    assert_eq!(large["facts"]["changes_requested"], Value::Null);
    assert_eq!(large["facts"]["checks"]["state"], "unknown");
    assert_eq!(large["coverage"]["comments"], 131 + 30);
    assert!(large["coverage"]["comments_used"].as_u64().unwrap() >= 30);
    let warnings = answer.data["warnings"].to_string();
    assert!(warnings.contains("No. 1 has 30 reviews or more"), "{warnings}");
    assert!(warnings.contains("Of the diff of no. 1 only the first page"), "{warnings}");
    // A failure that was seen is one, however many there are.
    assert_eq!(failing["facts"]["checks"]["state"], "failing");
    assert_eq!(failing["facts"]["checks"]["failed"], Value::Null);
    assert_eq!(failing["facts"]["approvals"], 1);
}
