//! Two hands on one flow: callbacks, buttons and disconnects that come in between.

use std::sync::atomic::{AtomicBool, Ordering};

use pr_summarizer::{
    domain::{Entropy, FailureCode, SystemEntropy},
    identity::{
        flow::{Ending, MOST_PRESSES, Phase},
        linking::Callback,
    },
};

use super::desk::{Desk, call, cookie, somebody};
use crate::fakes::Match;

const VERIFY: &str = "/api/v1/connected_accounts/user/verify";

fn other_id(callback: &Callback) -> Callback {
    let entropy: &dyn Entropy = &SystemEntropy;
    Callback { auth_request_id: Some(entropy.token::<16>()), ..callback.clone() }
}

#[tokio::test]
async fn of_two_callbacks_of_one_browser_one_verifies() {
    let desk = Desk::new().await;
    let (principal, cookie) = (somebody(), cookie());
    let flow = desk.begin(&principal).await;
    let callback = desk.consented(&flow, &cookie, "octocat").await;
    let gate = desk.world.scalekit.hold(Match::path("POST", VERIFY));
    let (first, ()) = tokio::join!(desk.complete(&callback, &cookie), async {
        gate.until_waiting(1).await;
        for callback in [&callback, &other_id(&callback)] {
            let second = desk.complete(callback, &cookie).await.unwrap_err();
            assert_eq!(second.failure.code, FailureCode::AuthorizationPending);
        }
        for refused in [
            desk.linking.open(&flow, Some(&cookie)).await.map(drop),
            desk.linking.consent(&flow, &cookie, &call()).await.map(drop),
            desk.linking.reuse(&flow, &cookie, 583_231).await.map(drop),
        ] {
            assert_eq!(refused.unwrap_err().code, FailureCode::AuthorizationPending);
        }
        gate.release();
    });
    let completed = first.unwrap();
    assert_eq!(completed.account.login, "octocat");
    assert!(completed.identified.is_none());
    // Once is enough, whoever comes with what.
    for callback in [&callback, &other_id(&callback)] {
        let late = desk.complete(callback, &cookie).await.unwrap_err();
        assert_eq!(late.failure.code, FailureCode::AuthorizationExpired);
    }
    assert_eq!(desk.world.scalekit.verify_calls().len(), 1);
    assert_eq!(desk.login(&principal).await.as_deref(), Some("octocat"));
}

#[tokio::test]
async fn another_browser_that_comes_while_it_is_verified_ends_the_flow() {
    let desk = Desk::new().await;
    let (principal, own, foreign) = (somebody(), cookie(), cookie());
    let flow = desk.begin(&principal).await;
    let callback = desk.consented(&flow, &own, "octocat").await;
    let user = desk.flow(&flow).await.value.user;
    let gate = desk.world.scalekit.hold(Match::path("POST", VERIFY));
    let (first, ()) = tokio::join!(desk.complete(&callback, &own), async {
        gate.until_waiting(1).await;
        let second = desk.complete(&callback, &foreign).await.unwrap_err();
        assert_eq!(second.failure.code, FailureCode::BrowserMismatch);
        gate.release();
    });
    assert_eq!(first.unwrap_err().failure.code, FailureCode::BrowserMismatch);
    assert!(matches!(desk.flow(&flow).await.value.phase, Phase::Burned(Ending::OtherBrowser)));
    assert_eq!(desk.login(&principal).await, None);
    desk.sweep().await;
    assert!(!desk.has_account(&user));
}

/// The state, and nothing else, in a second browser after the first was connected.
#[tokio::test]
async fn another_authorization_from_another_browser_undoes_the_connection() {
    let desk = Desk::new().await;
    let (principal, own, foreign) = (somebody(), cookie(), cookie());
    let flow = desk.begin(&principal).await;
    let callback = desk.consented(&flow, &own, "octocat").await;
    desk.complete(&callback, &own).await.unwrap();
    // What anybody who saw the address can send tells nothing about whose account came.
    let bare = Callback { auth_request_id: None, ..callback.clone() };
    for (callback, browser) in
        [(&callback, Some(&foreign)), (&bare, Some(&foreign)), (&bare, None), (&callback, None)]
    {
        let late = desk.linking.complete(callback, browser, &call()).await.unwrap_err();
        assert_eq!(late.failure.code, FailureCode::AuthorizationExpired);
        assert_eq!(desk.login(&principal).await.as_deref(), Some("octocat"));
    }
    let undone = desk.complete(&other_id(&callback), &foreign).await.unwrap_err();
    assert_eq!(undone.failure.code, FailureCode::BrowserMismatch);
    assert_eq!(desk.login(&principal).await, None);
    assert!(matches!(desk.flow(&flow).await.value.phase, Phase::Burned(Ending::OtherBrowser)));
    desk.sweep().await;
    assert!(desk.world.scalekit.accounts().is_empty());
}

#[tokio::test]
async fn what_is_disconnected_while_github_is_asked_does_not_come_back() {
    let desk = Desk::new().await;
    let (principal, cookie) = (somebody(), cookie());
    let flow = desk.begin(&principal).await;
    let callback = desk.consented(&flow, &cookie, "octocat").await;
    let gate = desk.world.scalekit.hold(Match::prefix("GET", "/proxy/"));
    let (completed, ()) = tokio::join!(desk.complete(&callback, &cookie), async {
        gate.until_waiting(1).await;
        desk.linking.disconnect(&principal).await.unwrap();
        gate.release();
    });
    let refused = completed.unwrap_err().failure;
    assert_eq!(refused.code, FailureCode::AuthorizationExpired);
    assert_eq!(refused.detail, Ending::Superseded.sentence());
    assert_eq!(desk.login(&principal).await, None);
    desk.sweep().await;
    assert!(desk.world.scalekit.accounts().is_empty());
}

/// The callback and a poll finish the same flow; each is told the truth.
#[tokio::test]
async fn a_poll_and_a_callback_finish_together() {
    let desk = Desk::new().await;
    let (principal, cookie) = (somebody(), cookie());
    let flow = desk.begin(&principal).await;
    let callback = desk.consented(&flow, &cookie, "octocat").await;
    let gate = desk.world.scalekit.hold(Match::prefix("GET", "/proxy/"));
    let (completed, status, ()) = tokio::join!(
        desk.complete(&callback, &cookie),
        async {
            gate.until_waiting(1).await;
            desk.login(&principal).await
        },
        async {
            gate.until_waiting(2).await;
            gate.release();
        }
    );
    assert_eq!(completed.unwrap().account.login, "octocat");
    assert_eq!(status.as_deref(), Some("octocat"));
    assert!(desk.principal(&principal.id).await.flows.is_empty());
    desk.sweep().await;
    assert_eq!(desk.login(&principal).await.as_deref(), Some("octocat"));
    assert_eq!(
        desk.linking.last_connected(&cookie).await.unwrap().unwrap().account.login,
        "octocat"
    );
}

/// A poll is faster than the callback, and then there is a disconnect.
#[tokio::test]
async fn what_was_finished_and_disconnected_meanwhile_does_not_come_back() {
    let desk = Desk::new().await;
    let (principal, cookie) = (somebody(), cookie());
    let flow = desk.begin(&principal).await;
    let callback = desk.consented(&flow, &cookie, "octocat").await;
    let user = desk.flow(&flow).await.value.user;
    let is_first = AtomicBool::new(true);
    let gate = desk.world.scalekit.hold(Match::new(move |call| {
        call.path.starts_with("/proxy/") && is_first.swap(false, Ordering::SeqCst)
    }));
    let (_, ()) = tokio::join!(desk.complete(&callback, &cookie), async {
        gate.until_waiting(1).await;
        assert_eq!(desk.login(&principal).await.as_deref(), Some("octocat"));
        desk.linking.disconnect(&principal).await.unwrap();
        gate.release();
    });
    assert!(desk.connection(&user).await.is_none());
    assert_eq!(desk.login(&principal).await, None);
    desk.sweep().await;
    assert!(!desk.has_account(&user));
}

#[tokio::test]
async fn each_press_has_an_identifier_of_its_own_and_five_are_enough() {
    let desk = Desk::new().await;
    let (principal, own, foreign) = (somebody(), cookie(), cookie());
    let flow = desk.begin(&principal).await;
    let mut users = vec![desk.flow(&flow).await.value.user];
    for press in 1..=MOST_PRESSES {
        desk.linking.consent(&flow, &own, &call()).await.unwrap();
        let found = desk.flow(&flow).await.value;
        assert!(matches!(found.phase, Phase::Consenting { presses, .. } if presses == press));
        users.push(found.user);
        let other = desk.linking.consent(&flow, &foreign, &call()).await.unwrap_err();
        assert_eq!(other.code, FailureCode::BrowserMismatch);
    }
    // The first press uses the flow's own; what a press leaves behind is deleted.
    assert_eq!(users[0], users[1]);
    users.dedup();
    assert_eq!(users.len(), usize::from(MOST_PRESSES));
    let sixth = desk.linking.consent(&flow, &own, &call()).await.unwrap_err();
    assert_eq!(sixth.code, FailureCode::TooManyRequests);
    desk.sweep().await;
    let (last, former) = users.split_last().unwrap();
    assert!(desk.has_account(last) && !former.iter().any(|user| desk.has_account(user)));
    assert_eq!(desk.flow(&flow).await.value.user, *last);
}

/// A flow that ends while Scalekit is asked for its link leaves no account and hands out no link.
#[tokio::test]
async fn a_link_that_comes_too_late_is_not_handed_out() {
    let desk = Desk::new().await;
    let (principal, cookie) = (somebody(), cookie());
    let flow = desk.begin(&principal).await;
    let user = desk.flow(&flow).await.value.user;
    let gate =
        desk.world.scalekit.hold(Match::prefix("POST", "/api/v1/connected_accounts/magic_link"));
    let call = call();
    let (step, ()) = tokio::join!(desk.linking.consent(&flow, &cookie, &call), async {
        gate.until_waiting(1).await;
        desk.linking.decline(&flow).await.unwrap();
        // Swept before the account is made.
        desk.sweep().await;
        gate.release();
    });
    assert_eq!(step.unwrap_err().code, FailureCode::AuthorizationExpired);
    desk.sweep().await;
    assert!(!desk.has_account(&user));
}

#[tokio::test]
async fn a_callback_that_says_nothing_usable_changes_nothing() {
    let desk = Desk::new().await;
    let (principal, cookie) = (somebody(), cookie());
    let flow = desk.begin(&principal).await;
    let good = desk.consented(&flow, &cookie, "octocat").await;
    let texts = [
        String::new(),
        "a b".to_owned(),
        "a\u{7f}".to_owned(),
        "\u{e9}".to_owned(),
        "a".repeat(513),
    ];
    for text in &texts {
        let no_state = Callback { state: Some(text.clone()), ..good.clone() };
        let no_id = Callback { auth_request_id: Some(text.clone()), ..good.clone() };
        for callback in [no_state, no_id] {
            let refused = desk.complete(&callback, &cookie).await.unwrap_err();
            assert_eq!(refused.failure.code, FailureCode::InvalidArguments, "{text:?}");
        }
    }
    let longest = Callback { state: Some("a".repeat(512)), ..good.clone() };
    let unknown = desk.complete(&longest, &cookie).await.unwrap_err();
    assert_eq!(unknown.failure.code, FailureCode::AuthorizationExpired);
    assert_eq!(desk.world.scalekit.verify_calls().len(), 0);
    assert_eq!(desk.complete(&good, &cookie).await.unwrap().account.login, "octocat");
}
