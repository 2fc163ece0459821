//! Pages that were left open while something changed: another person signed in to the same browser,
//! or everything was revoked elsewhere.

use super::{Member, OAuthClient, login, member, start, tokens};
use crate::{
    fakes::{Browser, Page},
    support::Server,
};

/// Signs this browser in to the person's page as somebody, whoever is signed in.
async fn sign_in(server: &Server, browser: &Browser, login: &str) -> Page {
    let client = OAuthClient::discover(server).await;
    client.trip(browser, login).await;
    let page = browser.get(server.url("/")).await;
    assert!(page.says(&format!("Connected as <strong>@{login}<")), "{page:?}");
    page
}

/// A button gives access as the person it names, and as nobody else.
#[tokio::test]
async fn allow_as_one_never_allows_as_another() {
    let server = start().await;
    let Member { browser, .. } = member(&server, "mira-holm").await;
    let client = OAuthClient::discover(&server).await;
    let stale = browser.get(client.authorize_url()).await;
    assert!(stale.form_with("Allow as @mira-holm").is_some(), "{stale:?}");
    // In another tab: "Use another".
    sign_in(&server, &browser, "octocat").await;
    let shown = browser.press(&stale, "Allow as @mira-holm").await;
    assert_eq!(client.arrived(), Vec::<String>::new());
    assert_eq!(shown.status, 409, "{shown:?}");
    assert!(shown.says("Nothing was allowed"), "{shown:?}");
    // The page is shown again, and says who it is now.
    assert!(shown.form_with("Allow as @mira-holm").is_none(), "{shown:?}");
    let back = browser.press(&shown, "Allow as @octocat").await;
    let tokens = tokens(client.redeem(&client.code(&back)).await).await;
    assert_eq!(login(&client.agent(&tokens).await).await.as_deref(), Some("octocat"));
}

/// The page says as whom it reads, and reads as nobody else.
#[tokio::test]
async fn a_question_is_not_read_as_another() {
    let server = start().await;
    let browser = Browser::new();
    let stale = sign_in(&server, &browser, "mira-holm").await;
    let fresh = sign_in(&server, &browser, "octocat").await;
    let asked = [("repository", "lighthouse-labs/beacon")];
    let before = server.world.github.count(|call| call.path == "/graphql");
    let shown = browser.press_with(&stale, "Summarize", &asked).await;
    assert_eq!(shown.status, 403, "{shown:?}");
    assert!(shown.says("somebody else has signed in"), "{shown:?}");
    assert_eq!(server.world.github.count(|call| call.path == "/graphql"), before);
    let answer = browser.press_with(&fresh, "Summarize", &asked).await;
    assert!(answer.status == 200 && answer.says("5 of 12 open pull requests"), "{answer:?}");
    // Another browser that copies the form is nobody here.
    let other = Browser::new();
    let shown = other.press_with(&fresh, "Summarize", &asked).await;
    assert_eq!(shown.status, 403, "{shown:?}");
}

/// The buttons of the person's page end only what the page showed.
#[tokio::test]
async fn no_button_of_ones_page_reaches_another() {
    let server = start().await;
    let mira = member(&server, "mira-holm").await;
    let octocat = member(&server, "octocat").await;
    let browser = Browser::new();
    let stale = sign_in(&server, &browser, "mira-holm").await;
    sign_in(&server, &browser, "octocat").await;
    for button in
        ["Disconnect GitHub", "Revoke", "Revoke all", "Sign out", "Delete everything about me"]
    {
        let shown = browser.press(&stale, button).await;
        assert_eq!(shown.status, 409, "{button}: {shown:?}");
        assert!(shown.says("Nothing was changed"), "{button}: {shown:?}");
        assert!(shown.says("Connected as <strong>@octocat<"), "{button}: {shown:?}");
    }
    for (member, own) in [(&mira, "mira-holm"), (&octocat, "octocat")] {
        assert!(member.client.is_admitted(&member.tokens.access).await, "{own}");
        assert_eq!(login(&member.agent).await.as_deref(), Some(own));
    }
    // The page that was shown works.
    let page = browser.get(server.url("/")).await;
    browser.press(&page, "Revoke all").await;
    assert!(!octocat.client.is_admitted(&octocat.tokens.access).await);
    assert!(mira.client.is_admitted(&mira.tokens.access).await);
}

/// Whoever has lost a computer ends what its browser could still allow.
#[tokio::test]
async fn revoking_all_signs_every_other_browser_out() {
    let server = start().await;
    let Member { browser: stolen, .. } = member(&server, "octocat").await;
    let thiefs = OAuthClient::discover(&server).await;
    let open = stolen.get(thiefs.authorize_url()).await;
    assert!(open.form_with("Allow as @octocat").is_some(), "{open:?}");
    let own = Browser::new();
    let page = sign_in(&server, &own, "octocat").await;
    let page = own.press(&page, "Revoke all").await;
    assert!(page.says("None."), "{page:?}");
    let refused = stolen.press(&open, "Allow as @octocat").await;
    assert_eq!(refused.status, 410, "{refused:?}");
    assert_eq!(thiefs.arrived(), Vec::<String>::new());
    assert!(stolen.get(thiefs.authorize_url()).await.form_with("Allow as @").is_none());
    assert!(!stolen.get(server.url("/")).await.says("Your connection"));
    // Here it goes on, and there is a button for it where there is nothing left to revoke.
    sign_in(&server, &stolen, "octocat").await;
    own.press(&own.get(server.url("/")).await, "End all other sign-ins").await;
    assert!(!stolen.get(server.url("/")).await.says("Your connection"));
    assert!(own.get(server.url("/")).await.says("Connected as <strong>@octocat<"));
}

/// Who signs out leaves no name behind in that browser.
#[tokio::test]
async fn signing_out_leaves_nothing_in_the_browser() {
    let server = start().await;
    let Member { browser, agent, .. } = member(&server, "octocat").await;
    assert!(browser.get(server.url("/connected")).await.says("@octocat"));
    let page = browser.get(server.url("/")).await;
    browser.press(&page, "Sign out").await;
    let page = browser.get(server.url("/connected")).await;
    assert!(!page.says("octocat") && page.form_with("Disconnect").is_none(), "{page:?}");
    assert_eq!(login(&agent).await.as_deref(), Some("octocat"));
}
