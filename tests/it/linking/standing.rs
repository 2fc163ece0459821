//! How a principal stands, what a browser may use again, and what a handed-out access is worth.

use std::time::Duration;

use pr_summarizer::{
    domain::{AuthMode, FailureCode, GitHubAccess},
    identity::{
        flow::{Ending, Flow, Phase},
        linking::{Callback, Status},
        principal::{PrincipalRecord, key},
    },
};

use super::desk::{Desk, call, cookie, somebody};
use crate::fakes::{Browser, Fault, Match, VerificationMode, World};

/// Whether `future` is still waiting after everything that could wake it has run.
async fn is_waiting(future: impl Future) -> bool {
    tokio::time::timeout(Duration::from_millis(50), future).await.is_err()
}

#[tokio::test]
async fn a_connection_that_github_refused_is_expired_until_it_is_made_anew() {
    let desk = Desk::new().await;
    let (principal, own) = (somebody(), cookie());
    assert!(matches!(desk.status(&principal).await, Status::NotConnected { last_ending: None }));
    let refused = desk.linking.github(&principal, &call()).await.unwrap_err();
    assert_eq!(refused.code, FailureCode::NotConnected);
    let user = desk.connect(&principal, &own, "octocat").await;
    let Status::Connected(shown) = desk.status(&principal).await else { panic!("not connected") };
    assert!(shown.verified && shown.access == GitHubAccess::ScalekitProxy);
    assert_eq!(shown.connected_at, Some(desk.connection(&user).await.unwrap().connected_at));
    let begun = desk.linking.begin(&principal, false, &call()).await.unwrap();
    assert!(matches!(begun, Status::Connected(_)));
    let access = desk.linking.github(&principal, &call()).await.unwrap();
    desk.linking.note_refusal(&access).await;
    let Status::Expired { account, .. } = desk.status(&principal).await else {
        panic!("not expired")
    };
    assert_eq!(account.login, "octocat");
    let refused = desk.linking.github(&principal, &call()).await.unwrap_err();
    assert_eq!(refused.code, FailureCode::ReauthorizationRequired);
    // Nor is it offered to the browser that made it.
    assert!(desk.linking.last_connected(&own).await.unwrap().is_none());
    let flow = desk.begin(&principal).await;
    let page = desk.linking.open(&flow, Some(&own)).await.unwrap();
    assert!(page.known_accounts.is_empty());
    assert_eq!(page.client.get(), Some("Test Agent"));
    // A new link is under way, and then that.
    assert!(matches!(desk.status(&principal).await, Status::Pending(link) if link.flow == flow));
    let callback = desk.consented(&flow, &own, "octocat").await;
    desk.complete(&callback, &own).await.unwrap();
    assert_eq!(desk.login(&principal).await.as_deref(), Some("octocat"));
    desk.sweep().await;
    assert!(!desk.has_account(&user));
}

#[tokio::test]
async fn how_the_last_link_ended_is_told_until_there_is_another() {
    let desk = Desk::new().await;
    let (principal, own) = (somebody(), cookie());
    let flow = desk.begin(&principal).await;
    let good = desk.consented(&flow, &own, "octocat").await;
    let denied =
        Callback { error: Some("access_denied".to_owned()), auth_request_id: None, ..good.clone() };
    let declined = desk.complete(&denied, &own).await.unwrap_err();
    assert_eq!(declined.failure.code, FailureCode::AuthorizationDeclined);
    assert!(declined.continuation.is_none());
    let told = desk.status(&principal).await;
    assert!(
        matches!(told, Status::NotConnected { last_ending: Some(Ending::Declined) }),
        "{told:?}"
    );
    for refused in [
        desk.linking.open(&flow, Some(&own)).await.map(drop).unwrap_err(),
        desk.complete(&good, &own).await.unwrap_err().failure,
    ] {
        assert_eq!(refused.code, FailureCode::AuthorizationDeclined);
    }
    // A disconnect is no ending to be told of, and a newer link takes the old news away.
    let flow = desk.begin(&principal).await;
    assert!(desk.principal(&principal.id).await.last_ending.is_none());
    desk.linking.disconnect(&principal).await.unwrap();
    assert!(matches!(desk.flow(&flow).await.value.phase, Phase::Burned(Ending::Superseded)));
    let told = desk.status(&principal).await;
    assert!(matches!(told, Status::NotConnected { last_ending: None }), "{told:?}");
}

#[tokio::test]
async fn an_access_is_its_principals_own_until_that_changes() {
    let desk = Desk::new().await;
    let (principal, own) = (somebody(), cookie());
    desk.connect(&principal, &own, "octocat").await;
    let access = desk.linking.github(&principal, &call()).await.unwrap();
    assert!(desk.linking.holds(&principal, &access).await.unwrap());
    let other = somebody();
    assert!(!desk.linking.holds(&other, &access).await.unwrap());
    desk.connect(&other, &cookie(), "mira-holm").await;
    assert!(!desk.linking.holds(&other, &access).await.unwrap());
    // Another person's change wakes nobody; one's own does.
    {
        let lost = desk.linking.until_lost(&principal, &access);
        tokio::pin!(lost);
        assert!(is_waiting(&mut lost).await);
        desk.linking.disconnect(&other).await.unwrap();
        assert!(is_waiting(&mut lost).await);
        // Neither does the same account, connected once more.
        desk.connect(&principal, &own, "octocat").await;
        assert!(is_waiting(&mut lost).await);
        desk.connect(&principal, &own, "tomasz-k").await;
        lost.await.unwrap();
    }
    assert!(!desk.linking.holds(&principal, &access).await.unwrap());
    let access = desk.linking.github(&principal, &call()).await.unwrap();
    desk.linking.note_refusal(&access).await;
    assert!(!desk.linking.holds(&principal, &access).await.unwrap());
    desk.linking.disconnect(&principal).await.unwrap();
    assert!(!desk.linking.holds(&principal, &access).await.unwrap());
}

#[tokio::test]
async fn a_browser_uses_again_what_it_made_itself() {
    let desk = Desk::new().await;
    let (first, own) = (somebody(), cookie());
    let octocat = desk.connect(&first, &own, "octocat").await;
    let mira = desk.connect(&somebody(), &own, "mira-holm").await;
    // The same account twice is offered once, newest first.
    let again = desk.connect(&somebody(), &own, "octocat").await;
    let (next, stranger) = (somebody(), cookie());
    let flow = desk.begin(&next).await;
    let page = desk.linking.open(&flow, Some(&own)).await.unwrap();
    let logins: Vec<_> = page.known_accounts.iter().map(|account| account.login.as_str()).collect();
    assert_eq!(logins, ["octocat", "mira-holm"]);
    let octocats_number = page.known_accounts[0].id;
    for browser in [None, Some(&stranger)] {
        let page = desk.linking.open(&flow, browser).await.unwrap();
        assert!(page.known_accounts.is_empty());
    }
    for (browser, number) in [(&own, 7), (&stranger, octocats_number)] {
        let refused = desk.linking.reuse(&flow, browser, number).await.unwrap_err();
        assert_eq!(refused.code, FailureCode::AuthorizationExpired);
    }
    let account = desk.linking.reuse(&flow, &own, octocats_number).await.unwrap();
    assert_eq!(account.login, "octocat");
    assert_eq!(desk.principal(&next.id).await.connection, Some(again.clone()));
    let used = desk.linking.reuse(&flow, &own, octocats_number).await.unwrap_err();
    assert_eq!(used.code, FailureCode::AuthorizationExpired);
    // Once another browser has pressed the button, this one can no longer finish the link.
    let flow = desk.begin(&next).await;
    desk.linking.consent(&flow, &stranger, &call()).await.unwrap();
    let taken = desk.linking.reuse(&flow, &own, octocats_number).await.unwrap_err();
    assert_eq!(taken.code, FailureCode::AuthorizationPending);
    // "Not you?" disconnects the account that was named, for everybody who uses it.
    desk.linking.disconnect_here(&stranger, octocats_number).await.unwrap();
    desk.linking.disconnect_here(&own, 7).await.unwrap();
    assert_eq!(desk.login(&next).await.as_deref(), Some("octocat"));
    desk.linking.disconnect_here(&own, octocats_number).await.unwrap();
    assert!(desk.connection(&again).await.is_none() && desk.connection(&mira).await.is_some());
    assert_eq!(desk.login(&next).await, None);
    assert_eq!(desk.login(&first).await.as_deref(), Some("octocat"));
    assert!(desk.connection(&octocat).await.is_some());
}

/// The last of several principals that let a connection go takes it along.
#[tokio::test]
async fn a_shared_connection_lives_as_long_as_somebody_uses_it() {
    let desk = Desk::new().await;
    let (first, second, own) = (somebody(), somebody(), cookie());
    let shared = desk.connect(&first, &own, "octocat").await;
    let flow = desk.begin(&second).await;
    desk.linking.reuse(&flow, &own, 583_231).await.unwrap();
    let listed = desk.connection(&shared).await.unwrap().principals;
    assert_eq!(listed, [first.id.clone(), second.id.clone()]);
    desk.connect(&first, &own, "mira-holm").await;
    desk.sweep().await;
    assert_eq!(
        desk.connection(&shared).await.unwrap().principals,
        std::slice::from_ref(&second.id)
    );
    assert_eq!(desk.login(&second).await.as_deref(), Some("octocat"));
    assert!(desk.has_account(&shared));
    desk.connect(&second, &own, "mira-holm").await;
    desk.sweep().await;
    assert!(desk.connection(&shared).await.is_none() && !desk.has_account(&shared));
}

#[tokio::test]
async fn a_pending_link_is_told_whatever_ails_scalekit() {
    let desk = Desk::new().await;
    let (principal, own) = (somebody(), cookie());
    let flow = desk.begin(&principal).await;
    desk.consented(&flow, &own, "octocat").await;
    desk.world.scalekit.inject(Match::any(), Fault::status(500), usize::MAX);
    assert!(matches!(desk.status(&principal).await, Status::Pending(link) if link.flow == flow));
    desk.world.scalekit.heal();
    // What is the operator's fault is said, unless there is a connection to tell of.
    desk.world.scalekit.revoke_tokens();
    desk.world.scalekit.inject(Match::path("POST", "/oauth/token"), Fault::status(401), usize::MAX);
    let failed = desk.linking.status(&principal, &call()).await.unwrap_err();
    assert_eq!(failed.code, FailureCode::ScalekitRejectedUs);
    desk.world.scalekit.heal();
}

/// An account that became active without us, first found by a poll, then by its browser.
#[tokio::test]
async fn what_a_poll_adopted_is_simply_done_for_the_browser_that_started() {
    let users_only = World::builder().verification(VerificationMode::ScalekitUsersOnly);
    let desk = Desk::of(users_only, AuthMode::Session).await;
    let (principal, own) = (somebody(), cookie());
    let flow = desk.begin(&principal).await;
    let step = desk.linking.consent(&flow, &own, &call()).await.unwrap();
    assert!(matches!(desk.status(&principal).await, Status::Pending(_)));
    let browser = Browser::new();
    let consent = browser.get(&step.link).await;
    assert!(browser.press(&consent, "Authorize as octocat").await.says("close this window"));
    assert_eq!(desk.login(&principal).await.as_deref(), Some("octocat"));
    let user = desk.flow(&flow).await.value.user;
    assert!(!desk.connection(&user).await.unwrap().verified);
    let calls = desk.world.scalekit.calls();
    let asked = calls.iter().find(|call| call.path.ends_with("/magic_link")).unwrap().json();
    let callback = Callback {
        state: asked["state"].as_str().map(str::to_owned),
        auth_request_id: Some("ar_1".to_owned()),
        error: None,
    };
    let done = desk.complete(&callback, &own).await.unwrap();
    assert_eq!(done.account.login, "octocat");
    assert!(done.identified.is_none());
    assert_eq!(desk.world.scalekit.verify_calls().len(), 0);
    // To another browser it is not.
    let foreign = desk.complete(&callback, &cookie()).await.unwrap_err();
    assert_eq!(foreign.failure.code, FailureCode::BrowserMismatch);
    assert_eq!(desk.login(&principal).await, None);
}

/// A crash came between a flow's good end and the pointer, and then a disconnect.
#[tokio::test]
async fn a_disconnect_also_takes_what_was_done_and_not_pointed_to() {
    let desk = Desk::new().await;
    let (principal, own) = (somebody(), cookie());
    let user = desk.connect(&principal, &own, "octocat").await;
    let flow = desk.begin(&principal).await;
    let place = key(desk.mode, principal.id.as_str());
    let found = desk.kept::<PrincipalRecord>(principal.id.as_str()).await.unwrap();
    let unpointed = PrincipalRecord { connection: None, ..found.value };
    assert!(desk.store.replace(&place, found.version, &unpointed, found.expires_at).await.unwrap());
    let found = desk.flow(&flow).await;
    let account = desk.connection(&user).await.unwrap().account;
    let phase = Phase::Done {
        binding: None,
        auth_request: None,
        browser: None,
        connection: user.clone(),
        account,
    };
    let done = Flow { phase, ..found.value };
    let place = key(desk.mode, flow.as_str());
    assert!(desk.store.replace(&place, found.version, &done, found.expires_at).await.unwrap());
    desk.linking.disconnect(&principal).await.unwrap();
    assert!(desk.connection(&user).await.is_none());
    assert_eq!(desk.login(&principal).await, None);
    desk.sweep().await;
    assert!(!desk.has_account(&user));
}
