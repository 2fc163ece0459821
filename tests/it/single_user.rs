//! One person, one machine: the local key, the durable principal, the operator's token.

use serde_json::json;

use crate::{
    fakes::Browser,
    support::{Agent, Server},
};

async fn agent(server: &Server) -> Agent {
    Agent::legacy_with(&server.url("/mcp"), Some(server.local_key()), "Host").await
}

#[tokio::test]
async fn the_key_is_needed_on_every_method() {
    let server = Server::builder().set("AUTH_MODE", "single-user").start().await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    for key in [None, Some("wrong"), Some("")] {
        for method in ["POST", "GET", "DELETE"] {
            let mut request = http.request(method.parse().unwrap(), server.url("/mcp"));
            if let Some(key) = key {
                request = request.bearer_auth(key);
            }
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), 401, "{method} {key:?}");
            assert_eq!(answer.headers()["www-authenticate"], "Bearer");
        }
    }
    assert_eq!(agent(&server).await.call("auth_status", json!({})).await.status(), "not_connected");
}

#[tokio::test]
async fn all_hosts_of_the_machine_share_one_connection_that_lasts() {
    let mut server = Server::builder().set("AUTH_MODE", "single-user").start().await;
    let first = agent(&server).await;
    let link = first.call("connect_github", json!({})).await.link();
    assert!(Browser::new().approve(link, "octocat").await.says("Connected as @octocat"));
    server.restart().await;
    server.clock.advance(chrono::Duration::days(30));
    let modern = server.modern_agent().with_key(server.local_key());
    for agent in [agent(&server).await, modern] {
        let answer = agent.call("auth_status", json!({})).await;
        assert_eq!(answer.data["github_login"], "octocat");
        assert_eq!(answer.data["auth_mode"], "single-user");
    }
}

#[tokio::test]
async fn the_operators_token_needs_no_linking() {
    let builder = Server::builder()
        .set("GITHUB_TOKEN", "{token:octocat}")
        .set("GITHUB_API_URL", "{github}")
        .set("SCALEKIT_ENVIRONMENT_URL", "")
        .set("SCALEKIT_CLIENT_ID", "")
        .set("SCALEKIT_CLIENT_SECRET", "")
        .set("GITHUB_CONNECTION_NAME", "");
    let server = builder.start().await;
    let agent = agent(&server).await;
    let connected = agent.call("connect_github", json!({})).await;
    assert_eq!(
        (connected.status(), &connected.data["github_login"]),
        ("connected", &json!("octocat"))
    );
    let status = agent.call("auth_status", json!({})).await;
    assert_eq!(status.data["github_access"], "token");
    let refused = agent.call("disconnect_github", json!({})).await;
    assert!(refused.is_error && refused.text.contains("GITHUB_TOKEN"), "{}", refused.text);
    assert_eq!(server.world.scalekit.calls().len(), 0);
}

/// A38: a record of one mode is nobody's in another.
#[tokio::test]
async fn a38_no_record_crosses_modes() {
    let mut server = Server::start().await;
    let browser = Browser::new();
    let agent = server.agent().await;
    let link = agent.call("connect_github", json!({})).await.link();
    assert!(browser.approve(link, "octocat").await.says("Connected as @octocat"));
    server.set("AUTH_MODE", "single-user");
    server.restart().await;
    let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" });
    assert_eq!(agent.with_key(server.local_key()).send(ping).await.status(), 404);
    let page = browser.get(server.url("/connected")).await;
    assert!(!page.says("octocat"), "{page:?}");
    let now = self::agent(&server).await.call("auth_status", json!({})).await;
    assert_eq!(now.status(), "not_connected");
}
