//! Prompts and their completions, in both eras: what hosts offer as commands.

use serde_json::{Value, json};

use crate::{fakes::Browser, support::Server};

fn completion(typed: &str) -> Value {
    json!({
        "ref": { "type": "ref/prompt", "name": "pr_digest" },
        "argument": { "name": "repository", "value": typed },
    })
}

fn values(answer: &Value) -> Vec<&str> {
    let values = answer["result"]["completion"]["values"].as_array();
    values.unwrap_or_else(|| panic!("{answer}")).iter().filter_map(Value::as_str).collect()
}

#[tokio::test]
async fn prompts_are_listed_filled_in_and_checked() {
    let server = Server::start().await;
    let modern = server.modern_agent();
    for agent in [&server.agent().await, &modern] {
        let listed = agent.request("prompts/list", json!({})).await;
        let prompts = listed["result"]["prompts"].as_array().unwrap();
        let names: Vec<_> = prompts.iter().filter_map(|prompt| prompt["name"].as_str()).collect();
        assert_eq!(names, ["pr_digest", "stand_up", "review_queue"]);
        for name in names {
            let arguments = json!({ "repository": "lighthouse-labs/beacon" });
            let params = json!({ "name": name, "arguments": arguments });
            let filled = agent.request("prompts/get", params).await;
            let text = filled["result"]["messages"][0]["content"]["text"].as_str().unwrap();
            assert!(text.contains("\"lighthouse-labs/beacon\""), "{text}");
        }
        for (params, says) in [
            (json!({ "name": "pr_digest", "arguments": {} }), "Next: "),
            (json!({ "name": "pr_digest", "arguments": { "repository": "no" } }), "Next: "),
            (json!({ "name": "digest" }), "prompts/list"),
        ] {
            let refused = agent.request("prompts/get", params).await;
            assert_eq!(refused["error"]["code"], -32602, "{refused}");
            assert!(refused["error"]["message"].as_str().unwrap().contains(says), "{refused}");
        }
    }
}

#[tokio::test]
async fn a_person_is_offered_the_repositories_they_asked_about_until_they_disconnect() {
    let server = Server::start().await;
    let (agent, other) = (server.agent().await, server.agent().await);
    assert!(values(&agent.request("completion/complete", completion("")).await).is_empty());
    Browser::new().approve(agent.call("connect_github", json!({})).await.link(), "octocat").await;
    Browser::new().approve(other.call("connect_github", json!({})).await.link(), "mira-holm").await;
    let asked = json!({ "repository": "Lighthouse-Labs/beacon" });
    assert!(!agent.call("summarize_prs", asked).await.is_error);
    let unknown = json!({ "repository": "lighthouse-labs/no-such-thing" });
    assert!(agent.call("summarize_prs", unknown).await.is_error);
    // As GitHub spells it; and only what was answered.
    for typed in ["", "light", "BEA"] {
        let offered = agent.request("completion/complete", completion(typed)).await;
        assert_eq!(values(&offered), ["lighthouse-labs/beacon"], "{typed}");
    }
    assert!(values(&agent.request("completion/complete", completion("x")).await).is_empty());
    assert!(values(&other.request("completion/complete", completion("")).await).is_empty());
    agent.call("disconnect_github", json!({})).await;
    assert!(values(&agent.request("completion/complete", completion("")).await).is_empty());
}
