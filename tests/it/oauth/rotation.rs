//! `SESSION_SECRET` is rotated (`new,old`), and in the end the old one is dropped.

use serde_json::json;

use super::{Member, OAuthClient, client::error, client::parameter, login, member, start, tokens};
use crate::{
    fakes::{Browser, Page},
    support::Server,
};

use super::SECRET as OLD;

const NEW: &str = "the-secret-that-takes-over-32-bytes-long";

async fn restart_with(server: &mut Server, secrets: &str) {
    server.set("SESSION_SECRET", secrets);
    server.restart().await;
}

/// The code that came back, as tokens.
async fn redeemed(client: &OAuthClient, back: &Page) -> super::Tokens {
    tokens(client.redeem(&client.code(back)).await).await
}

#[tokio::test]
async fn a_rotation_interrupts_nobody_and_a_dropped_secret_is_no_error() {
    let mut server = start().await;
    let Member { browser, client, tokens: first, .. } = member(&server, "octocat").await;
    // Who is not here between the two restarts, and two who are at GitHub's page.
    let away = member(&server, "mira-holm").await;
    let (midway, late) = (Browser::new(), Browser::new());
    let midway_consent = client.to_github(&midway).await;
    let late_consent = client.to_github(&late).await;

    restart_with(&mut server, &format!("{NEW},{OLD}")).await;
    assert!(client.is_admitted(&first.access).await);
    let second = tokens(client.refresh(&first.refresh).await).await;
    let agent = client.agent(&second).await;
    assert_eq!(login(&agent).await.as_deref(), Some("octocat"));
    assert!(browser.get(server.url("/")).await.says("Your connection"));
    let back = midway.press(&midway_consent, "Authorize as octocat").await;
    assert!(client.is_admitted(&redeemed(&client, &back).await.access).await);

    restart_with(&mut server, NEW).await;
    assert!(client.is_admitted(&second.access).await);
    let third = tokens(client.refresh(&second.refresh).await).await;
    let agent = client.agent(&third).await;
    assert_eq!(login(&agent).await.as_deref(), Some("octocat"));
    let wanted = json!({ "repository": "lighthouse-labs/beacon", "limit": 1 });
    let answer = agent.call("summarize_prs", wanted.clone()).await;
    assert!(!answer.is_error, "{}", answer.text);
    assert!(browser.get(server.url("/")).await.says("Your connection"));
    // A client that the old secret signed is known still.
    let back = client.trip(&Browser::new(), "octocat").await;
    assert!(client.is_admitted(&redeemed(&client, &back).await.access).await);

    // What only the old secret opens is gone: told in the words of what has expired.
    let page = late.press(&late_consent, "Authorize as octocat").await;
    assert_eq!(page.status, 410, "{page:?}");
    assert!(!away.client.is_admitted(&away.tokens.access).await);
    let refused = away.client.refresh(&away.tokens.refresh).await;
    assert_eq!(error(refused).await, (400, "invalid_grant".to_owned()));
    let home = away.browser.get(server.url("/")).await;
    assert!(home.status == 200 && home.says("Sign in with GitHub"), "{home:?}");
    // And its person begins anew, with the client and the browser they had.
    let back = away.client.trip(&away.browser, "mira-holm").await;
    assert!(parameter(&back.url, "code").is_some(), "{back:?}");
    let agent = away.client.agent(&redeemed(&away.client, &back).await).await;
    assert_eq!(login(&agent).await.as_deref(), Some("mira-holm"));
    assert!(!agent.call("summarize_prs", wanted).await.is_error);
}
