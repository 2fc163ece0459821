//! What GitHub or the LLM did not say is null in the answer: never zero, never false, never empty.

use serde_json::{Value, json};

use crate::{
    fakes::{Browser, PullRequest, Repository, World},
    support::{Agent, Answer, Server},
};

fn busy() -> Repository {
    Repository::new("octo", "hive").pull_requests((1..=2).map(|number| {
        PullRequest::new(number, &format!("Feed the bees of row {number}"))
            .label("bees")
            .requests("mira-holm")
            .comments(3)
            .thread("feed.rs", false, &[("mira-holm", "Why?")])
            .review("tomasz-k", "APPROVED")
            .checks(3, 0, 0)
    }))
}

async fn connected() -> (Server, Agent) {
    let world = World::builder().repositories(vec![busy()]);
    let server = Server::builder().world(world).start().await;
    let agent = server.agent().await;
    let link = agent.call("connect_github", json!({})).await.link();
    assert!(Browser::new().approve(link, "octocat").await.says("Connected as @octocat"));
    (server, agent)
}

async fn ask(agent: &Agent) -> Answer {
    let answer = agent.call("summarize_prs", json!({ "repository": "octo/hive" })).await;
    assert!(!answer.is_error, "{}", answer.text);
    answer
}

fn of(answer: &Answer, number: u64) -> Value {
    let all = answer.data["pull_requests"].as_array().unwrap();
    all.iter().find(|one| one["number"] == number).unwrap().clone()
}

/// One field of one pull request fails at GitHub; its neighbour is whole.
#[tokio::test]
async fn a_field_that_fails_is_null_and_costs_only_itself() {
    for (field, places, words) in [
        ("author", &["/author"][..], Some("by ?")),
        ("totalCommentsCount", &["/discussion/review_comments"], Some("? comments")),
        ("reviews", &["/discussion/reviews"], Some("? reviews")),
        ("labels", &["/facts/labels"], Some("labels: unknown")),
        ("reviewRequests", &["/facts/review_requests"], None),
        ("latestOpinionatedReviews", &["/facts/approvals", "/facts/changes_requested"], None),
        (
            "statusCheckRollup",
            &["/facts/checks/passed", "/facts/checks/failed", "/facts/checks/pending"],
            Some("checks: unknown"),
        ),
        ("autoMergeRequest", &["/facts/auto_merge"], None),
    ] {
        let (server, agent) = connected().await;
        let coordinate = format!("PullRequest#1.{field}");
        server.world.github.break_field(&coordinate, "FORBIDDEN", "no", 1);
        let answer = ask(&agent).await;
        let (broken, whole) = (of(&answer, 1), of(&answer, 2));
        for place in places {
            assert_eq!(broken.pointer(place), Some(&Value::Null), "{field}: {broken}");
            assert!(!whole.pointer(place).unwrap().is_null(), "{field}: {whole}");
        }
        // The text says what it shows; the others stand in the structured part alone.
        if let Some(words) = words {
            let shown = answer.text.matches(words).count();
            assert_eq!(shown, 1, "{field}: {}", answer.text);
        }
        let warnings = answer.data["warnings"].to_string();
        assert!(warnings.contains("did not answer everything"), "{field}: {warnings}");
    }
}

/// A field that GitHub's schema never leaves null takes its pull request with it when it fails; the
/// answer says that something is missing and keeps the rest.
#[tokio::test]
async fn a_field_that_cannot_be_null_takes_its_pull_request_and_no_other() {
    for field in ["comments", "reviewThreads", "additions", "isInMergeQueue"] {
        let (server, agent) = connected().await;
        let coordinate = format!("PullRequest#1.{field}");
        server.world.github.break_field(&coordinate, "FORBIDDEN", "no", 1);
        let answer = ask(&agent).await;
        let shown = answer.data["pull_requests"].as_array().unwrap();
        assert_eq!(shown.len(), 1, "{field}: {}", answer.text);
        assert_eq!(shown[0]["number"], 2);
        assert_eq!(answer.data["open_pull_requests"], 2);
        let warnings = answer.data["warnings"].to_string();
        assert!(warnings.contains("did not answer everything"), "{field}: {warnings}");
    }
}

#[tokio::test]
async fn tokens_that_the_llm_does_not_count_are_null() {
    let (server, agent) = connected().await;
    server.world.llm.behave(crate::fakes::Behaviour::Uncounted);
    let answer = ask(&agent).await;
    let usage = &answer.data["usage"];
    assert_eq!((&usage["llm_calls"], &usage["prompt_tokens"]), (&json!(2), &Value::Null));
    assert_eq!(usage["completion_tokens"], Value::Null);
    server.clock.advance(chrono::Duration::seconds(16));
    let again = ask(&agent).await;
    assert_eq!(again.data["usage"]["prompt_tokens"], 0, "nothing was asked: that is known");
}
