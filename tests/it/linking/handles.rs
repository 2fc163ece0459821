//! Clients without sessions (MCP 2026-07-28): handles, and asking the person through the client.

use serde_json::{Value, json};

use super::connected;
use crate::{fakes::Browser, support::Server};

#[tokio::test]
async fn a_handle_leads_back_to_the_connection() {
    let server = Server::start().await;
    let agent = server.modern_agent();
    let unconnected = agent.call("auth_status", json!({})).await;
    assert_eq!(unconnected.status(), "not_connected");
    let asked = agent.call("connect_github", json!({})).await;
    assert_eq!((asked.status(), asked.is_error), ("authorization_required", false));
    let handle = asked.data["connection"].as_str().unwrap().to_owned();
    assert_eq!(asked.handle(), handle);
    assert!(Browser::new().approve(asked.link(), "octocat").await.says("Connected as @octocat"));
    let with = json!({ "connection": handle });
    let known = agent.call("auth_status", with.clone()).await;
    assert_eq!(known.data["github_login"], "octocat");
    // Without it nobody is known; another client resumes with it.
    assert_eq!(agent.call("auth_status", json!({})).await.status(), "not_connected");
    let resumed = server.agent().await.call("auth_status", with).await;
    assert_eq!(resumed.data["github_login"], "octocat");
}

#[tokio::test]
async fn handles_that_are_none_are_unknown() {
    let server = Server::start().await;
    let agent = connected(&server, &Browser::new(), "octocat").await;
    for handle in ["", "con_", "usr_AAAAAAAAAAAAAAAAAAAAAA", &format!("con_{}", "A".repeat(43))] {
        for tool in ["auth_status", "connect_github", "disconnect_github"] {
            let answer = agent.call(tool, json!({ "connection": handle })).await;
            assert_eq!((answer.is_error, answer.code()), (true, "not_found"), "{tool}: {handle}");
        }
    }
}

#[tokio::test]
async fn a_handle_expires() {
    let server = Server::start().await;
    let agent = server.modern_agent();
    let handle = agent.call("connect_github", json!({})).await.handle();
    server.clock.advance(chrono::Duration::hours(13));
    let answer = agent.call("auth_status", json!({ "connection": handle })).await;
    assert_eq!(answer.code(), "not_found");
}

/// The link out of an input request.
fn asked_url(raw: &Value) -> String {
    assert_eq!(raw["resultType"], "input_required", "{raw}");
    let request = &raw["inputRequests"]["authorize"];
    assert_eq!(request["method"], "elicitation/create", "{raw}");
    assert_eq!(request["params"]["mode"], "url", "{raw}");
    request["params"]["url"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_client_that_can_ask_is_asked_and_its_retry_waits_for_the_browser() {
    let server = Server::start().await;
    let agent = server.asking_agent();
    let asked = agent.call("connect_github", json!({})).await;
    let url = asked_url(&asked.raw);
    assert!(!asked.raw.to_string().contains("con_"), "a state never holds a handle");
    let back = json!({
        "requestState": asked.raw["requestState"],
        "inputResponses": { "authorize": { "action": "accept" } },
    });
    let browser = Browser::new();
    let (answer, page) = tokio::join!(
        agent.call_with("connect_github", json!({}), back.clone()),
        browser.approve(url, "octocat")
    );
    assert!(page.says("Connected as @octocat"));
    assert_eq!(answer.status(), "connected", "{}", answer.raw);
    let handle = answer.handle();
    let known = agent.call("auth_status", json!({ "connection": handle })).await;
    assert_eq!(known.data["github_login"], "octocat");
    // A state works once: brought back again it is a new beginning, without the account.
    let replayed = agent.call_with("connect_github", json!({}), back).await;
    assert_eq!(replayed.raw["resultType"], "input_required");
}

#[tokio::test]
async fn a_person_who_declines_is_not_asked_again() {
    let server = Server::start().await;
    let agent = server.asking_agent();
    let asked = agent.call("connect_github", json!({})).await;
    let back = json!({
        "requestState": asked.raw["requestState"],
        "inputResponses": { "authorize": { "action": "decline" } },
    });
    let answer = agent.call_with("connect_github", json!({}), back).await;
    assert_eq!(answer.status(), "authorization_required", "{}", answer.raw);
    assert!(answer.text.contains("declined") && answer.data["url"].is_null(), "{}", answer.text);
    let page = Browser::new().get(asked_url(&asked.raw)).await;
    assert_eq!(page.status, 403, "{page:?}");
}
