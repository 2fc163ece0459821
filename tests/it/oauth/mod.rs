//! `oauth` mode: strangers on one server, each proven by an access token of theirs.
//!
//! Attacks are in `crate::attacks`.

pub mod client;
mod honest;
mod page;
mod protocol;
mod rotation;
mod stale;
mod trips;

use serde_json::json;

use self::client::{OAuthClient, Tokens, parameter, tokens};
use crate::{
    fakes::{Browser, World, WorldBuilder},
    support::{Agent, Server},
};

pub const SECRET: &str = "a-session-secret-of-at-least-32-bytes!";

async fn start() -> Server {
    start_in(World::builder()).await
}

async fn start_in(world: WorldBuilder) -> Server {
    let server = Server::builder().world(world);
    server.set("AUTH_MODE", "oauth").set("SESSION_SECRET", SECRET).start().await
}

/// A person with a client that acts for them.
struct Member {
    browser: Browser,
    client: OAuthClient,
    tokens: Tokens,
    agent: Agent,
}

async fn member(server: &Server, login: &str) -> Member {
    let (browser, client) = (Browser::new(), OAuthClient::discover(server).await);
    let tokens = client.authorized(&browser, login).await;
    let agent = client.agent(&tokens).await;
    assert_eq!(self::login(&agent).await.as_deref(), Some(login));
    Member { browser, client, tokens, agent }
}

async fn login(agent: &Agent) -> Option<String> {
    let answer = agent.call("auth_status", json!({})).await;
    answer.data["github_login"].as_str().map(str::to_owned)
}

/// Until the sweeper has told Scalekit to forget all accounts but `left`.
async fn until_accounts(world: &World, left: usize) {
    for _ in 0..400 {
        if world.scalekit.accounts().len() == left {
            return;
        }
        tokio::time::timeout(std::time::Duration::from_millis(10), std::future::pending::<()>())
            .await
            .unwrap_err();
    }
    panic!("Scalekit still holds {:?}", world.scalekit.accounts());
}
