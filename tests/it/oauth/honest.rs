//! What people do.

use serde_json::json;

use super::{
    Member, OAuthClient, login, member, parameter, start, start_in, tokens, until_accounts,
};
use crate::fakes::{Browser, Match, TokenStorage, World};

/// One trip authorizes the client and links GitHub: the first `summarize_prs` just works.
#[tokio::test]
async fn the_first_summary_just_works_in_both_eras() {
    for storage in [TokenStorage::PerRequest, TokenStorage::PerAccount] {
        let server = start_in(World::builder().token_storage(storage)).await;
        let client = OAuthClient::discover(&server).await;
        let tokens = client.authorized(&Browser::new(), "octocat").await;
        let wanted = json!({ "repository": "lighthouse-labs/beacon" });
        for agent in [client.agent(&tokens).await, client.modern_agent(&tokens)] {
            let answer = agent.call("summarize_prs", wanted.clone()).await;
            assert!(!answer.is_error, "{}", answer.text);
            assert!(!answer.data["pull_requests"].as_array().unwrap().is_empty());
            let status = agent.call("auth_status", json!({})).await;
            assert_eq!(status.data["auth_mode"], "oauth");
            assert_eq!(status.data["github_login"], "octocat");
            assert_eq!(status.data["verified"], true);
        }
        assert_eq!(server.world.scalekit.verify_calls().len(), 1);
    }
}

#[tokio::test]
async fn one_person_is_one_principal_in_whatever_client_and_browser() {
    let server = start().await;
    let first = member(&server, "octocat").await;
    let second = member(&server, "octocat").await;
    until_accounts(&server.world, 1).await;
    let stranger = member(&server, "mira-holm").await;
    for agent in [&first.agent, &second.agent] {
        assert_eq!(login(agent).await.as_deref(), Some("octocat"));
    }
    second.agent.call("disconnect_github", json!({})).await;
    assert_eq!(login(&first.agent).await, None);
    assert_eq!(login(&stranger.agent).await.as_deref(), Some("mira-holm"));
}

#[tokio::test]
async fn a_second_client_needs_consent_but_no_second_trip() {
    let server = start().await;
    let Member { browser, .. } = member(&server, "octocat").await;
    let verified = server.world.scalekit.verify_calls().len();
    let client = OAuthClient::discover(&server).await;
    let page = browser.get(client.authorize_url()).await;
    let back = browser.press(&page, "Allow as @octocat").await;
    let tokens = tokens(client.redeem(&client.code(&back)).await).await;
    let agent = client.agent(&tokens).await;
    assert_eq!(login(&agent).await.as_deref(), Some("octocat"));
    assert_eq!(server.world.scalekit.verify_calls().len(), verified);
}

/// Another trip of the same person leaves their other programs' running calls alone: it is the same
/// account, under another identifier.
#[tokio::test]
async fn a_second_clients_trip_ends_no_call_of_the_first() {
    let server = start().await;
    let first = member(&server, "octocat").await;
    let gate = server.world.llm.hold(Match::any());
    let wanted = json!({ "repository": "lighthouse-labs/beacon", "limit": 1 });
    let second = async {
        gate.until_waiting(1).await;
        let second = member(&server, "octocat").await;
        gate.release();
        second
    };
    let (answer, second) = tokio::join!(first.agent.call("summarize_prs", wanted), second);
    assert!(!answer.is_error, "{}", answer.text);
    assert_eq!(login(&second.agent).await.as_deref(), Some("octocat"));
}

#[tokio::test]
async fn whoever_declined_may_try_again_or_go_back() {
    let server = start().await;
    let (browser, client) = (Browser::new(), OAuthClient::discover(&server).await);
    let consent = client.to_github(&browser).await;
    let declined = browser.press(&consent, "Cancel").await;
    assert_eq!(declined.status, 403);
    assert!(declined.says("Nothing was connected"), "{declined:?}");
    let link = |text: &str| {
        let found = declined.links.iter().find(|link| link.text.contains(text));
        found.unwrap_or_else(|| panic!("no {text}: {declined:?}")).href.clone()
    };
    let back = browser.follow(&declined, &link("Go back")).await;
    assert_eq!(parameter(&back.url, "error").as_deref(), Some("access_denied"));
    assert!(back.url.as_str().starts_with(&client.redirect));
    let again = browser.follow(&declined, &link("Try again")).await;
    let consent = browser.press(&again, "Allow and go on").await;
    let done = browser.press(&consent, "Authorize as octocat").await;
    assert!(
        client.is_admitted(&tokens(client.redeem(&client.code(&done)).await).await.access).await
    );
    until_accounts(&server.world, 1).await;
}

#[tokio::test]
async fn whoever_presses_do_not_allow_goes_back_with_nothing() {
    let server = start().await;
    let (browser, client) = (Browser::new(), OAuthClient::discover(&server).await);
    let page = browser.get(client.authorize_url()).await;
    let back = browser.press(&page, "Do not allow").await;
    assert_eq!(parameter(&back.url, "error").as_deref(), Some("access_denied"));
    assert_eq!(parameter(&back.url, "code"), None);
    assert!(server.world.scalekit.calls().is_empty());
}

#[tokio::test]
async fn registrations_and_tokens_outlive_a_restart_and_a_new_secret() {
    let mut server = start().await;
    let Member { client, tokens, .. } = member(&server, "octocat").await;
    let rotated = format!("another-session-secret-of-32-bytes-or-more,{}", super::SECRET);
    server.set("SESSION_SECRET", &rotated);
    server.restart().await;
    assert!(client.is_admitted(&tokens.access).await);
    assert_eq!(login(&client.agent(&tokens).await).await.as_deref(), Some("octocat"));
    let again = client.authorized(&Browser::new(), "octocat").await;
    assert!(client.is_admitted(&again.access).await);
}

/// Who has had no live token for 30 days is forgotten, with the account at Scalekit.
#[tokio::test]
async fn a_person_without_a_live_token_is_forgotten() {
    let mut server = start().await;
    let gone = member(&server, "octocat").await;
    server.clock.advance(chrono::Duration::days(45));
    let stays = member(&server, "mira-holm").await;
    server.clock.advance(chrono::Duration::days(20));
    // A start sweeps first of all.
    server.restart().await;
    until_accounts(&server.world, 1).await;
    assert!(!gone.client.is_admitted(&gone.tokens.access).await);
    let fresh = tokens(stays.client.refresh(&stays.tokens.refresh).await).await;
    let agent = stays.client.agent(&fresh).await;
    assert_eq!(login(&agent).await.as_deref(), Some("mira-holm"));
    assert_eq!(login(&member(&server, "octocat").await.agent).await.as_deref(), Some("octocat"));
}
