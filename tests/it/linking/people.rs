//! Finding out who the person is (`oauth` mode), at the desk: trips, repairs, signing in, leaving.

use chrono::Duration;
use pr_summarizer::{
    domain::{AuthMode, FailureCode, UserId, identifier::sha256_hex},
    identity::{
        BrowserCookie, ClientName, Person, Principal,
        connection::BrowserRecord,
        flow::{Ending, FlowPurpose, Phase, StateRecord},
        linking::{Callback, Status},
        principal::PrincipalRecord,
    },
};

use super::desk::{Desk, call, cookie, somebody};
use crate::fakes::{Browser, Match, VerificationMode, World};

async fn desk() -> Desk {
    Desk::of(World::builder(), AuthMode::OAuth).await
}

/// The trip as far as GitHub's consent.
async fn trip(desk: &Desk, cookie: &BrowserCookie, login: &str) -> Callback {
    let client = ClientName::claimed("Test Agent");
    let step = desk.linking.identify("what goes on".to_owned(), client, cookie, &call()).await;
    desk.authorized(&step.unwrap().link, login).await
}

async fn arrived(desk: &Desk, cookie: &BrowserCookie, login: &str) -> Person {
    let callback = trip(desk, cookie, login).await;
    let identified = desk.complete(&callback, cookie).await.unwrap().identified.unwrap();
    assert_eq!(identified.continuation, "what goes on");
    identified.person
}

fn caller(person: &Person) -> Principal {
    Principal { id: person.principal.clone(), client: ClientName::default() }
}

async fn user_of(desk: &Desk, person: &Person) -> Option<UserId> {
    desk.principal(&person.principal).await.connection
}

#[tokio::test]
async fn a_trip_tells_who_the_person_is_and_links_their_account() {
    let desk = desk().await;
    let (own, foreign) = (cookie(), cookie());
    let callback = trip(&desk, &own, "octocat").await;
    // Only the browser that started is told what would have gone on.
    let elsewhere = trip(&desk, &foreign, "octocat").await;
    let stranger = desk.complete(&elsewhere, &own).await.unwrap_err();
    assert_eq!(stranger.failure.code, FailureCode::BrowserMismatch);
    assert!(stranger.continuation.is_none());
    let person = desk.complete(&callback, &own).await.unwrap().identified.unwrap().person;
    assert_eq!(person.github_id, 583_231);
    // From now on the flow is the person's own, and ends with whatever ends theirs.
    let state = sha256_hex(callback.state.unwrap().as_bytes());
    let flow = desk.kept::<StateRecord>(&state).await.unwrap().value.flow;
    let owner = desk.linking.principal_of(&flow).await.unwrap();
    assert_eq!(owner.as_ref(), Some(&person.principal));
    let record = desk.principal(&person.principal).await;
    assert_eq!((record.github_id, record.flows.len()), (Some(583_231), 0));
    assert_eq!(desk.login(&caller(&person)).await.as_deref(), Some("octocat"));
    // Who comes again is the same person, and the account before is let go.
    let before = user_of(&desk, &person).await.unwrap();
    assert_eq!(arrived(&desk, &foreign, "octocat").await, person);
    assert_ne!(user_of(&desk, &person).await, Some(before.clone()));
    assert_ne!(arrived(&desk, &own, "mira-holm").await.principal, person.principal);
    desk.sweep().await;
    assert!(!desk.has_account(&before));
    assert_eq!(desk.world.scalekit.accounts().len(), 2);
}

#[tokio::test]
async fn whoever_started_is_told_that_the_trip_failed() {
    let desk = desk().await;
    let own = cookie();
    let callback = trip(&desk, &own, "octocat").await;
    let denied = Callback { error: Some("access_denied".to_owned()), ..callback };
    let told = desk.complete(&denied, &own).await.unwrap_err();
    assert_eq!(told.failure.code, FailureCode::AuthorizationDeclined);
    assert_eq!(told.continuation.as_deref(), Some("what goes on"));
    // Refused by Scalekit: the authorization was made for another trip.
    let (first, second) = (trip(&desk, &own, "octocat").await, trip(&desk, &own, "octocat").await);
    let swapped = Callback { auth_request_id: second.auth_request_id, ..first };
    let told = desk.complete(&swapped, &own).await.unwrap_err();
    assert_eq!(told.failure.code, FailureCode::BrowserMismatch);
    assert_eq!(told.continuation.as_deref(), Some("what goes on"));
}

/// The second of two callbacks must not end, at the client, what the first brings to its good end.
#[tokio::test]
async fn who_comes_twice_is_told_once_what_goes_on() {
    let desk = desk().await;
    let own = cookie();
    let callback = trip(&desk, &own, "octocat").await;
    let verify = Match::path("POST", "/api/v1/connected_accounts/user/verify");
    let gates = [
        desk.world.scalekit.hold(Match::prefix("GET", "/api/v1/")),
        desk.world.scalekit.hold(verify),
    ];
    let (first, second, ()) =
        tokio::join!(desk.complete(&callback, &own), desk.complete(&callback, &own), async {
            // Both have found the flow untouched.
            gates[0].until_waiting(2).await;
            gates[0].release();
            gates[1].until_waiting(1).await;
            gates[1].release();
        });
    let (good, late) = if first.is_ok() { (first, second) } else { (second, first) };
    assert_eq!(good.unwrap().identified.unwrap().continuation, "what goes on");
    let late = late.unwrap_err();
    assert_eq!(late.failure.code, FailureCode::AuthorizationPending);
    assert!(late.continuation.is_none());
    assert_eq!(desk.world.scalekit.verify_calls().len(), 1);
}

#[tokio::test]
async fn a_repair_takes_the_same_account_and_no_other() {
    let desk = desk().await;
    let own = cookie();
    let person = arrived(&desk, &own, "octocat").await;
    let (caller, before) = (caller(&person), user_of(&desk, &person).await.unwrap());
    let flow = desk.begin(&caller).await;
    assert_eq!(desk.flow(&flow).await.value.purpose, FlowPurpose::Repair { github_id: 583_231 });
    // No browser is offered an account it made before: the account itself must come back.
    let page = desk.linking.open(&flow, Some(&own)).await.unwrap();
    assert!(page.known_accounts.is_empty());
    let not_reused = desk.linking.reuse(&flow, &own, 583_231).await.unwrap_err();
    assert_eq!(not_reused.code, FailureCode::AuthorizationPending);
    let callback = desk.consented(&flow, &own, "mira-holm").await;
    let refused = desk.complete(&callback, &own).await.unwrap_err();
    assert_eq!(refused.failure.code, FailureCode::AccountMismatch);
    assert_eq!(user_of(&desk, &person).await, Some(before.clone()));
    assert!(matches!(
        desk.flow(&flow).await.value.phase,
        Phase::Burned(Ending::OtherAccount { login }) if login == "mira-holm"
    ));
    // In any browser.
    let (flow, elsewhere) = (desk.begin(&caller).await, cookie());
    let callback = desk.consented(&flow, &elsewhere, "octocat").await;
    desk.complete(&callback, &elsewhere).await.unwrap();
    let after = user_of(&desk, &person).await.unwrap();
    assert_ne!(after, before);
    desk.sweep().await;
    let left = desk.world.scalekit.accounts();
    assert_eq!(
        left.iter().map(|account| &*account.identifier).collect::<Vec<_>>(),
        [after.as_str()]
    );
    let nobody = desk.linking.begin(&somebody(), true, &call()).await.unwrap_err();
    assert_eq!(nobody.code, FailureCode::Unauthenticated);
}

#[tokio::test]
async fn a_browser_is_signed_in_for_twelve_hours() {
    let desk = desk().await;
    let (own, other) = (cookie(), cookie());
    let person = arrived(&desk, &own, "octocat").await;
    let signed_in = async |browser: &BrowserCookie| {
        let found = desk.linking.signed_in(browser).await.unwrap();
        found.map(|(found, epoch)| {
            assert_eq!(epoch, "an epoch");
            (found.person, found.account.map(|account| account.login))
        })
    };
    let connected = Some((person.clone(), Some("octocat".to_owned())));
    assert_eq!(signed_in(&own).await, None);
    desk.linking.sign_in(&person, "an epoch", &own).await.unwrap();
    assert_eq!((signed_in(&own).await, signed_in(&other).await), (connected.clone(), None));
    desk.clock.advance(BrowserRecord::SIGNED_IN - Duration::seconds(1));
    assert_eq!(signed_in(&own).await, connected);
    desk.clock.advance(Duration::seconds(1));
    assert_eq!(signed_in(&own).await, None);
    for browser in [&own, &other] {
        desk.linking.sign_in(&person, "an epoch", browser).await.unwrap();
    }
    desk.linking.sign_out(&own).await.unwrap();
    assert_eq!((signed_in(&own).await, signed_in(&other).await), (None, connected));
    // Who has disconnected is still who they are; who was forgotten is nobody.
    let access = desk.linking.github(&caller(&person), &call()).await.unwrap();
    desk.linking.note_refusal(&access).await;
    assert_eq!(signed_in(&other).await, Some((person.clone(), None)));
    desk.linking.disconnect_person(&person).await.unwrap();
    assert_eq!(signed_in(&other).await, Some((person.clone(), None)));
    desk.linking.forget(&person).await.unwrap();
    assert_eq!(signed_in(&other).await, None);
    assert!(desk.linking.person(&person.principal).await.unwrap().is_none());
}

#[tokio::test]
async fn forgetting_deletes_everything_and_the_same_account_is_somebody_new() {
    let desk = desk().await;
    let own = cookie();
    let person = arrived(&desk, &own, "octocat").await;
    let user = user_of(&desk, &person).await.unwrap();
    desk.begin(&caller(&person)).await;
    desk.linking.forget(&person).await.unwrap();
    assert!(desk.kept::<PrincipalRecord>(person.principal.as_str()).await.is_none());
    assert!(desk.connection(&user).await.is_none());
    desk.sweep().await;
    assert!(desk.world.scalekit.accounts().is_empty());
    assert_ne!(arrived(&desk, &own, "octocat").await.principal, person.principal);
}

/// Forgotten while GitHub is asked who came: what is being deleted does not grow a new flow.
#[tokio::test]
async fn a_person_who_is_forgotten_on_the_way_is_not_half_there() {
    let desk = desk().await;
    let own = cookie();
    let person = arrived(&desk, &own, "octocat").await;
    let callback = trip(&desk, &own, "octocat").await;
    let gate = desk.world.scalekit.hold(Match::prefix("GET", "/proxy/"));
    let (completed, ()) = tokio::join!(desk.complete(&callback, &own), async {
        gate.until_waiting(1).await;
        desk.linking.forget(&person).await.unwrap();
        gate.release();
    });
    let new = completed.unwrap().identified.unwrap().person;
    assert_ne!(new.principal, person.principal);
    assert!(desk.kept::<PrincipalRecord>(person.principal.as_str()).await.is_none());
    assert_eq!(desk.login(&caller(&new)).await.as_deref(), Some("octocat"));
}

/// Where nobody can tell whose browser linked an account, nobody is linked.
#[tokio::test]
async fn an_account_that_was_active_before_we_verified_is_refused() {
    let desk = desk().await;
    let own = cookie();
    let person = arrived(&desk, &own, "octocat").await;
    let before = user_of(&desk, &person).await.unwrap();
    desk.world.scalekit.configure(|set| set.verification = VerificationMode::ScalekitUsersOnly);
    let flow = desk.begin(&caller(&person)).await;
    let step = desk.linking.consent(&flow, &own, &call()).await.unwrap();
    let browser = Browser::new();
    let consent = browser.get(&step.link).await;
    browser.press(&consent, "Authorize as octocat").await;
    let user = desk.flow(&flow).await.value.user;
    assert!(desk.has_account(&user));
    // Found by a poll.
    let told = desk.status(&caller(&person)).await;
    assert!(matches!(told, Status::Connected(shown) if shown.verified));
    assert!(matches!(desk.flow(&flow).await.value.phase, Phase::Burned(Ending::Unverified)));
    // Found by a callback, as Scalekit's own page might yet send one.
    let client = ClientName::default();
    let step = desk.linking.identify("x".to_owned(), client, &own, &call()).await.unwrap();
    let consent = browser.get(&step.link).await;
    browser.press(&consent, "Authorize as octocat").await;
    let calls = desk.world.scalekit.calls();
    let asked = calls.iter().rfind(|call| call.path.ends_with("/magic_link")).unwrap().json();
    let state = asked["state"].as_str().map(str::to_owned);
    let callback = Callback { state, auth_request_id: Some("ar_1".to_owned()), error: None };
    let refused = desk.complete(&callback, &own).await.unwrap_err();
    assert_eq!(refused.failure.code, FailureCode::UnverifiedConnection);
    assert_eq!(desk.world.scalekit.verify_calls().len(), 1, "the first trip's");
    desk.sweep().await;
    assert_eq!(user_of(&desk, &person).await, Some(before.clone()));
    let left = desk.world.scalekit.accounts();
    assert_eq!(
        left.iter().map(|account| &*account.identifier).collect::<Vec<_>>(),
        [before.as_str()]
    );
}
