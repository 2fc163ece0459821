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
