//! The person's page: who may act, and how to end it.

use serde_json::json;

use super::{Member, OAuthClient, login, member, start, tokens, until_accounts};
use crate::{
    fakes::Browser,
    support::{Agent, Server},
};

/// The person's page in a browser of theirs that has not been here.
async fn signed_in(server: &Server, login: &str) -> (Browser, crate::fakes::Page) {
    let browser = Browser::new();
    let home = browser.get(server.url("/")).await;
    assert!(!home.says("Programs that may act for you"), "{home:?}");
    let consent = browser.press(&home, "Sign in with GitHub").await;
    let page = browser.press(&consent, &format!("Authorize as {login}")).await;
    assert_eq!(page.url.as_str(), server.url("/"));
    assert!(page.says("Your connection") && page.says(&format!("@{login}")), "{page:?}");
    (browser, page)
}

#[tokio::test]
async fn the_page_revokes_one_client_or_all() {
    let server = start().await;
    let Member { client, tokens, .. } = member(&server, "octocat").await;
    let other = member(&server, "octocat").await;
    let stranger = member(&server, "mira-holm").await;
    let (browser, page) = signed_in(&server, "octocat").await;
    assert!(page.says("Test Client"), "{page:?}");
    assert_eq!(page.body.matches(">Revoke<").count(), 2);
    let page = browser.press(&page, "Revoke").await;
    assert_eq!(page.body.matches(">Revoke<").count(), 1, "{page:?}");
    let one = client.is_admitted(&tokens.access).await;
    assert_ne!(one, other.client.is_admitted(&other.tokens.access).await);
    let page = browser.press(&page, "Revoke all").await;
    assert!(page.says("None."), "{page:?}");
    for member in [&tokens, &other.tokens] {
        assert!(!client.is_admitted(&member.access).await);
    }
    let late = client.refresh(&tokens.refresh).await;
    assert_eq!(late.status(), 400);
    assert!(stranger.client.is_admitted(&stranger.tokens.access).await);
}

#[tokio::test]
async fn the_page_disconnects_and_connects_again() {
    let server = start().await;
    let Member { agent, .. } = member(&server, "octocat").await;
    let (browser, page) = signed_in(&server, "octocat").await;
    let page = browser.press(&page, "Disconnect GitHub").await;
    assert!(page.says("No GitHub account is connected"), "{page:?}");
    until_accounts(&server.world, 0).await;
    let answer =
        agent.call("summarize_prs", json!({ "repository": "lighthouse-labs/beacon" })).await;
    assert_eq!(answer.code(), "not_connected", "{}", answer.text);
    let consent = browser.press(&page, "Connect GitHub").await;
    let page = browser.press(&consent, "Authorize as octocat").await;
    assert!(page.says("@octocat"), "{page:?}");
    assert_eq!(login(&agent).await.as_deref(), Some("octocat"));
}

/// What passes for fresh goes with the access it was read for, even if the person allows it again at
/// once, with the connection they have.
#[tokio::test]
async fn revoking_drops_what_passes_for_fresh() {
    let server = start().await;
    let Member { browser, client, .. } = member(&server, "octocat").await;
    let wanted = json!({ "repository": "lighthouse-labs/beacon", "limit": 1 });
    let asked = || server.world.github.api_calls().len();
    for (button, is_kept) in [(None, true), (Some("Revoke"), false), (Some("Revoke all"), false)] {
        let before = agent_of(&client, &browser).await;
        assert!(!before.call("summarize_prs", wanted.clone()).await.is_error);
        let calls = asked();
        if let Some(button) = button {
            let mut page = browser.get(server.url("/")).await;
            while page.form_with(button).is_some() {
                page = browser.press(&page, button).await;
            }
        }
        let after = agent_of(&client, &browser).await;
        assert!(!after.call("summarize_prs", wanted.clone()).await.is_error);
        assert_eq!(asked() == calls, is_kept, "{button:?}");
    }
}

/// An agent that the person allows without another trip to GitHub.
async fn agent_of(client: &OAuthClient, browser: &Browser) -> Agent {
    let page = browser.get(client.authorize_url()).await;
    let back = browser.press(&page, "Allow as @octocat").await;
    client.agent(&tokens(client.redeem(&client.code(&back)).await).await).await
}

#[tokio::test]
async fn deleting_everything_leaves_nothing() {
    let server = start().await;
    let before = server.world.github.living_tokens("octocat");
    let Member { client, tokens, .. } = member(&server, "octocat").await;
    let (browser, page) = signed_in(&server, "octocat").await;
    let page = browser.press(&page, "Delete everything about me").await;
    assert!(page.says("Sign in with GitHub"), "{page:?}");
    until_accounts(&server.world, 0).await;
    assert_eq!(server.world.github.living_tokens("octocat"), before);
    assert!(!client.is_admitted(&tokens.access).await);
    // Who comes back is somebody new, and may use everything.
    assert_eq!(login(&member(&server, "octocat").await.agent).await.as_deref(), Some("octocat"));
}

#[tokio::test]
async fn signing_in_lasts_twelve_hours_or_until_signing_out() {
    let server = start().await;
    let (browser, page) = signed_in(&server, "octocat").await;
    server.clock.advance(chrono::Duration::hours(11));
    assert!(browser.get(server.url("/")).await.says("Your connection"));
    server.clock.advance(chrono::Duration::hours(2));
    assert!(!browser.get(server.url("/")).await.says("Your connection"));
    // The page that was left open does nothing now.
    assert_eq!(browser.press(&page, "Delete everything about me").await.status, 410);
    let (browser, page) = signed_in(&server, "octocat").await;
    browser.press(&page, "Sign out").await;
    assert!(!browser.get(server.url("/")).await.says("Your connection"));
}
