//! What survives: restarts, crashes, outages; and what does not survive its time.

use chrono::Duration;
use serde_json::json;

use super::{connected, link, login, status, until_accounts};
use crate::{
    fakes::{Browser, DeletionMode, Fault, Match, World},
    support::Server,
};

#[tokio::test]
async fn a_connection_survives_a_restart() {
    let mut server = Server::start().await;
    let agent = connected(&server, &Browser::new(), "octocat").await;
    server.restart().await;
    assert_eq!(login(&agent).await.as_deref(), Some("octocat"));
    assert_eq!(server.world.scalekit.verify_calls().len(), 1);
}

#[tokio::test]
async fn a_link_survives_a_restart() {
    let mut server = Server::start().await;
    let (browser, agent) = (Browser::new(), server.agent().await);
    let consent = browser.to_consent(link(&agent).await).await;
    server.restart().await;
    assert!(browser.press(&consent, "Authorize as octocat").await.says("Connected as @octocat"));
    assert_eq!(status(&agent).await, "connected");
}

#[tokio::test]
async fn a_verification_whose_answer_is_lost_is_not_repeated() {
    let server = Server::start().await;
    let (browser, agent) = (Browser::new(), server.agent().await);
    let consent = browser.to_consent(link(&agent).await).await;
    let verify = Match::path("POST", "/api/v1/connected_accounts/user/verify");
    server.world.scalekit.inject(verify, Fault::status(503), 1);
    let page = browser.press(&consent, "Authorize as octocat").await;
    assert_eq!(page.status, 502, "{page:?}");
    assert_eq!(server.world.scalekit.verify_calls().len(), 1);
    assert_eq!(status(&agent).await, "pending");
    server.clock.advance(Duration::minutes(31));
    assert_eq!(status(&agent).await, "not_connected");
    // The way out works.
    assert!(browser.approve(link(&agent).await, "octocat").await.says("Connected as @octocat"));
}

#[tokio::test]
async fn an_outage_of_scalekit_leaves_the_flow_open() {
    let server = Server::start().await;
    let (browser, agent) = (Browser::new(), server.agent().await);
    let page = browser.get(link(&agent).await).await;
    server.world.scalekit.inject(Match::prefix("POST", "/api/v1/"), Fault::status(500), 20);
    let refused = browser.press(&page, "Connect GitHub").await;
    assert_eq!(refused.status, 502, "{refused:?}");
    server.world.scalekit.heal();
    assert!(browser.approve(&page.url, "octocat").await.says("Connected as @octocat"));
    assert_eq!(status(&agent).await, "connected");
    // An existing connection is told from the store, whatever Scalekit says.
    server.world.scalekit.inject(Match::any(), Fault::status(500), 20);
    assert_eq!(status(&agent).await, "connected");
    server.world.scalekit.heal();
}

#[tokio::test]
async fn the_sixth_open_link_ends_the_first() {
    let server = Server::start().await;
    let (browser, agent) = (Browser::new(), server.agent().await);
    let mut links = Vec::new();
    for _ in 0..6 {
        let link = link(&agent).await;
        browser.to_consent(&link).await;
        links.push(link);
    }
    let first = browser.get(&links[0]).await;
    assert_eq!(first.status, 410);
    assert!(first.says("newer link"), "{first:?}");
    assert_eq!(browser.get(&links[1]).await.status, 200);
    until_accounts(&server.world, 5).await;
}

#[tokio::test]
async fn a_session_ends_when_it_idles() {
    let server = Server::start().await;
    let agent = connected(&server, &Browser::new(), "octocat").await;
    server.clock.advance(Duration::hours(11));
    assert_eq!(status(&agent).await, "connected");
    server.clock.advance(Duration::hours(13));
    let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" });
    assert_eq!(agent.send(ping).await.status(), 404);
}

/// Should deleting one account revoke the person's whole grant, it is noticed and not done again.
#[tokio::test]
async fn a_deletion_that_revokes_the_grant_is_noticed() {
    let world = World::builder().deletion(DeletionMode::Grant);
    let server = Server::builder().world(world).start().await;
    let browser = Browser::new();
    let agent = connected(&server, &browser, "octocat").await;
    let reconnect = async || {
        let again = agent.call("connect_github", json!({ "reconnect": true })).await;
        let page = browser.get(again.link()).await;
        let button = if page.form_with("another").is_some() { "another" } else { "Connect GitHub" };
        let consent = browser.press(&page, button).await;
        assert!(
            browser.press(&consent, "Authorize as octocat").await.says("Connected as @octocat")
        );
    };
    reconnect().await;
    until_accounts(&server.world, 1).await;
    for _ in 0..400 {
        if status(&agent).await == "expired" {
            break;
        }
    }
    assert_eq!(status(&agent).await, "expired");
    reconnect().await;
    reconnect().await;
    assert_eq!(status(&agent).await, "connected");
    assert_eq!(server.world.github.living_tokens("octocat"), 2);
}
