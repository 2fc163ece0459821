//! What people do.

use chrono::Duration;
use serde_json::json;

use super::{callback, connected, link, login, status, until_accounts};
use crate::{
    fakes::{Browser, DenialMode, TokenStorage, VerificationMode, World},
    support::Server,
};

#[tokio::test]
async fn a_person_connects_in_either_way_scalekit_may_keep_tokens() {
    for storage in [TokenStorage::PerRequest, TokenStorage::PerAccount] {
        let server = Server::builder().world(World::builder().token_storage(storage)).start().await;
        let agent = connected(&server, &Browser::new(), "octocat").await;
        assert_eq!(server.world.scalekit.verify_calls().len(), 1);
        let answer = agent.call("auth_status", json!({})).await;
        assert_eq!(answer.data["verified"], true);
        assert_eq!(answer.data["auth_mode"], "session");
        assert_eq!(answer.data["github_access"], "scalekit_proxy");
        let again = agent.call("connect_github", json!({})).await;
        assert_eq!((again.status(), again.is_error), ("connected", false));
    }
}

#[tokio::test]
async fn the_browser_ends_on_an_address_without_parameters() {
    let server = Server::start().await;
    let page = Browser::new().approve(link(&server.agent().await).await, "octocat").await;
    assert_eq!(page.url.as_str(), server.url("/connected"));
    assert!(callback(&page).contains("auth_request_id="));
}

#[tokio::test]
async fn two_sessions_never_see_each_other() {
    let server = Server::start().await;
    let agent = connected(&server, &Browser::new(), "octocat").await;
    let other = server.agent().await;
    assert_eq!(status(&other).await, "not_connected");
    let third = connected(&server, &Browser::new(), "mira-holm").await;
    assert_eq!(login(&agent).await.as_deref(), Some("octocat"));
    assert_eq!(login(&third).await.as_deref(), Some("mira-holm"));
    other.call("disconnect_github", json!({})).await;
    assert_eq!(status(&agent).await, "connected");
}

#[tokio::test]
async fn pressing_the_button_twice_still_connects() {
    let server = Server::start().await;
    let (browser, agent) = (Browser::new(), server.agent().await);
    let page = browser.get(link(&agent).await).await;
    let early = browser.press(&page, "Connect GitHub").await;
    let again = browser.get(&page.url).await;
    let late = browser.press(&again, "Connect GitHub").await;
    drop(early);
    assert!(browser.press(&late, "Authorize as octocat").await.says("Connected as @octocat"));
    assert_eq!(status(&agent).await, "connected");
}

#[tokio::test]
async fn a_denial_is_told_to_the_person_and_to_the_agent() {
    let server = Server::start().await;
    let (browser, agent) = (Browser::new(), server.agent().await);
    let page = browser.decline(link(&agent).await).await;
    assert_eq!(page.status, 403);
    assert!(page.says("Nothing was connected"), "{page:?}");
    let answer = agent.call("auth_status", json!({})).await;
    assert_eq!(answer.status(), "not_connected");
    assert!(answer.text.contains("declined"), "{}", answer.text);
    until_accounts(&server.world, 0).await;
    // And the way out works.
    assert!(browser.approve(link(&agent).await, "octocat").await.says("Connected as @octocat"));
}

#[tokio::test]
async fn a_denial_that_never_comes_back_keeps_nobody_waiting() {
    let world = World::builder().denial(DenialMode::EndsAtScalekit);
    let server = Server::builder().world(world).start().await;
    let agent = server.agent().await;
    Browser::new().decline(link(&agent).await).await;
    assert_eq!(status(&agent).await, "pending");
    server.clock.advance(Duration::minutes(16));
    assert_eq!(status(&agent).await, "not_connected");
}

#[tokio::test]
async fn a_link_expires() {
    let server = Server::start().await;
    let (browser, agent) = (Browser::new(), server.agent().await);
    let old = link(&agent).await;
    server.clock.advance(Duration::minutes(16));
    let page = browser.get(&old).await;
    assert_eq!(page.status, 410);
    assert!(page.says("Ask your assistant to connect GitHub again"), "{page:?}");
    assert!(browser.approve(link(&agent).await, "octocat").await.says("Connected as @octocat"));
}

#[tokio::test]
async fn a_link_is_handed_out_again_while_it_is_fresh() {
    let server = Server::start().await;
    let agent = server.agent().await;
    let first = link(&agent).await;
    assert_eq!(link(&agent).await, first);
    server.clock.advance(Duration::minutes(11));
    assert_ne!(link(&agent).await, first);
}

#[tokio::test]
async fn reconnecting_replaces_the_account_only_when_the_new_one_is_proved() {
    let server = Server::start().await;
    let browser = Browser::new();
    let agent = connected(&server, &browser, "octocat").await;
    let again = agent.call("connect_github", json!({ "reconnect": true })).await;
    assert_eq!(again.status(), "authorization_required");
    assert_eq!(login(&agent).await.as_deref(), Some("octocat"));
    let page = browser.get(again.link()).await;
    let consent = browser.press(&page, "Connect another GitHub account").await;
    assert!(
        browser.press(&consent, "Authorize as mira-holm").await.says("Connected as @mira-holm")
    );
    assert_eq!(login(&agent).await.as_deref(), Some("mira-holm"));
    until_accounts(&server.world, 1).await;
}

#[tokio::test]
async fn a_browser_that_has_linked_before_may_use_the_account_again() {
    let server = Server::start().await;
    let browser = Browser::new();
    connected(&server, &browser, "octocat").await;
    let next = server.agent().await;
    let page = browser.get(link(&next).await).await;
    let done = browser.press(&page, "Use @octocat again").await;
    assert!(done.says("Connected as @octocat"), "{done:?}");
    assert_eq!(login(&next).await.as_deref(), Some("octocat"));
    assert_eq!(server.world.scalekit.verify_calls().len(), 1);
    // Another browser is not offered it.
    let stranger = Browser::new().get(link(&server.agent().await).await).await;
    assert!(stranger.form_with("again").is_none(), "{stranger:?}");
}

#[tokio::test]
async fn disconnecting_deletes_the_account_at_scalekit() {
    let server = Server::start().await;
    let agent = connected(&server, &Browser::new(), "octocat").await;
    let answer = agent.call("disconnect_github", json!({})).await;
    assert_eq!(answer.status(), "not_connected");
    assert_eq!(status(&agent).await, "not_connected");
    until_accounts(&server.world, 0).await;
    assert_eq!(server.world.github.living_tokens("octocat"), 0);
}

#[tokio::test]
async fn not_you_disconnects_from_the_page() {
    let server = Server::start().await;
    let (browser, agent) = (Browser::new(), server.agent().await);
    let page = browser.approve(link(&agent).await, "tomasz-k").await;
    let after = browser.press(&page, "Disconnect @tomasz-k").await;
    assert!(after.says("No GitHub account is connected from this browser"), "{after:?}");
    assert_eq!(status(&agent).await, "not_connected");
    until_accounts(&server.world, 0).await;
}

#[tokio::test]
async fn in_users_only_mode_the_status_call_finds_the_account_and_marks_it_unverified() {
    let world = World::builder().verification(VerificationMode::ScalekitUsersOnly);
    let server = Server::builder().world(world).start().await;
    let (browser, agent) = (Browser::new(), server.agent().await);
    assert_eq!(status(&agent).await, "not_connected");
    let page = browser.approve(link(&agent).await, "octocat").await;
    assert!(page.says("close this window"), "{page:?}");
    let answer = agent.call("auth_status", json!({})).await;
    assert_eq!(answer.status(), "connected");
    assert_eq!(answer.data["verified"], false);
    assert!(answer.text.contains("unverified"), "{}", answer.text);
    assert_eq!(server.world.scalekit.verify_calls().len(), 0);
}
