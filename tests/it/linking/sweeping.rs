//! What ran out of time, and accounts that nobody points to.

use chrono::Duration;
use pr_summarizer::{
    domain::{Clock as _, SystemEntropy, UserId},
    identity::{
        connection::{ConnectionRecord, DeletionRecord},
        flow::{Ending, Flow, LIFETIME, Phase},
        principal::PrincipalRecord,
    },
};

use super::desk::{Desk, cookie, flow_in, octocat, somebody};
use crate::fakes::{Fault, Match};

const DELETE: &str = "/api/v1/connected_accounts:delete";

async fn deletion(desk: &Desk, user: &UserId) -> Option<DeletionRecord> {
    let due = desk.store.expired::<DeletionRecord>(100).await.unwrap();
    let mut due = due.into_iter().map(|(_, found)| found.value);
    due.find(|deletion| deletion.user == *user)
}

#[tokio::test]
async fn a_flow_that_ran_out_of_time_ends_and_its_agent_is_told() {
    let desk = Desk::new().await;
    let (untouched, pressed) = (somebody(), somebody());
    let untouched_flow = desk.begin(&untouched).await;
    let pressed_flow = desk.begin(&pressed).await;
    desk.consented(&pressed_flow, &cookie(), "octocat").await;
    let users =
        (desk.flow(&untouched_flow).await.value.user, desk.flow(&pressed_flow).await.value.user);
    assert!(desk.has_account(&users.1));
    // Not before its time.
    desk.clock.advance(LIFETIME - Duration::seconds(1));
    desk.sweep().await;
    assert_eq!(desk.principal(&pressed.id).await.flows, std::slice::from_ref(&pressed_flow));
    desk.clock.advance(Duration::seconds(1));
    desk.world.scalekit.clear_calls();
    desk.sweep().await;
    for (principal, flow) in [(&untouched, &untouched_flow), (&pressed, &pressed_flow)] {
        let record = desk.principal(&principal.id).await;
        assert!(record.flows.is_empty());
        assert_eq!(record.last_ending.unwrap().0, Ending::Expired);
        assert!(desk.kept::<Flow>(flow.as_str()).await.is_none());
    }
    // Only a flow whose button was pressed can have an account.
    assert!(!desk.has_account(&users.1));
    assert_eq!(desk.world.scalekit.count(|call| call.path.ends_with(":delete")), 1);
    // Nothing is left to do.
    desk.world.scalekit.clear_calls();
    desk.sweep().await;
    assert_eq!(desk.world.scalekit.calls().len(), 0);
    assert!(desk.store.expired::<Flow>(100).await.unwrap().is_empty());
}

/// A crash came between a flow's good end and the pointer: it moves when the flow is swept, but only
/// as long as the flow is still on its principal's list.
#[tokio::test]
async fn what_a_crash_left_is_brought_to_its_end() {
    let desk = Desk::new().await;
    let now = desk.clock.now();
    for was_open in [true, false] {
        let principal = somebody();
        let before = desk.begin(&principal).await;
        let user = UserId::mint(&SystemEntropy);
        let connection = ConnectionRecord {
            user: user.clone(),
            account: octocat(),
            verified: true,
            connected_at: now,
            principals: vec![principal.id.clone()],
            needs_reauthorization: false,
            last_used_at: now,
            superseded_by: None,
        };
        desk.keep(&user.digest(), &connection, now + Duration::hours(1)).await;
        let done = Phase::Done {
            binding: None,
            auth_request: None,
            browser: None,
            connection: user.clone(),
            account: octocat(),
        };
        let found = desk.flow(&before).await;
        let listed = Flow { phase: done, ..found.value };
        desk.store
            .replace(&format!("session/{}", before.as_str()), found.version, &listed, now)
            .await
            .unwrap();
        if !was_open {
            let found = desk.kept::<PrincipalRecord>(principal.id.as_str()).await.unwrap();
            let key = format!("session/{}", principal.id.as_str());
            let empty = PrincipalRecord::default();
            assert!(
                desk.store.replace(&key, found.version, &empty, found.expires_at).await.unwrap()
            );
        }
        desk.sweep().await;
        let record = desk.principal(&principal.id).await;
        assert_eq!(record.connection, was_open.then_some(user), "{was_open}");
        assert!(record.flows.is_empty());
        assert_eq!(desk.login(&principal).await, was_open.then(|| "octocat".to_owned()));
    }
    // The deletion after a flow was burned.
    let burned = flow_in(Phase::Burned(Ending::Declined), None, now);
    desk.keep(burned.id.as_str(), &burned, now).await;
    let calls = desk.world.scalekit.count(|call| call.path.ends_with(":delete"));
    desk.sweep().await;
    assert_eq!(desk.world.scalekit.count(|call| call.path.ends_with(":delete")), calls + 1);
}

#[tokio::test]
async fn an_account_that_cannot_be_deleted_is_tried_again_later_each_time() {
    let desk = Desk::new().await;
    let (principal, cookie) = (somebody(), cookie());
    let user = desk.connect(&principal, &cookie, "octocat").await;
    desk.linking.disconnect(&principal).await.unwrap();
    assert!(desk.connection(&user).await.is_none() && desk.login(&principal).await.is_none());
    desk.world.scalekit.inject(Match::path("POST", DELETE), Fault::status(500), 4);
    for (attempt, seconds) in [(1, 10), (2, 20), (3, 40), (4, 80)] {
        desk.sweep().await;
        assert!(desk.has_account(&user));
        let kept = desk.kept::<DeletionRecord>(&user.digest()).await.unwrap();
        assert_eq!(kept.value.attempts, attempt);
        assert_eq!(kept.expires_at - desk.clock.now(), Duration::seconds(seconds));
        // Not before it is due.
        desk.clock.advance(Duration::seconds(seconds - 1));
        desk.sweep().await;
        assert_eq!(
            desk.kept::<DeletionRecord>(&user.digest()).await.unwrap().value.attempts,
            attempt
        );
        desk.clock.advance(Duration::seconds(1));
    }
    desk.sweep().await;
    assert!(!desk.has_account(&user));
    assert!(deletion(&desk, &user).await.is_none());
}

#[tokio::test]
async fn a_connection_that_nobody_used_is_deleted_here_and_at_scalekit() {
    let desk = Desk::new().await;
    let (principal, cookie) = (somebody(), cookie());
    let user = desk.connect(&principal, &cookie, "octocat").await;
    desk.clock.advance(Duration::hours(24) - Duration::seconds(1));
    desk.sweep().await;
    assert_eq!(desk.login(&principal).await.as_deref(), Some("octocat"));
    desk.clock.advance(Duration::seconds(1));
    desk.sweep().await;
    assert!(!desk.has_account(&user) && desk.login(&principal).await.is_none());
    assert!(desk.store.expired::<ConnectionRecord>(100).await.unwrap().is_empty());
}

/// A use is noted to the hour, and keeps the connection for 24 hours more.
#[tokio::test]
async fn a_connection_that_is_used_is_kept() {
    let desk = Desk::new().await;
    let (principal, cookie) = (somebody(), cookie());
    let user = desk.connect(&principal, &cookie, "octocat").await;
    let start = desk.clock.now();
    for (minutes, used, ends) in [(59, 0, 1440), (1, 60, 1500), (59, 60, 1500), (121, 240, 1680)] {
        desk.clock.advance(Duration::minutes(minutes));
        desk.linking.github(&principal, &super::desk::call()).await.unwrap();
        let kept = desk.kept::<ConnectionRecord>(&user.digest()).await.unwrap();
        assert_eq!((kept.value.last_used_at - start).num_minutes(), used);
        assert_eq!((kept.expires_at - start).num_minutes(), ends);
    }
}

/// A successor that cannot be asked at the moment, or is refused for another reason, was not killed.
#[tokio::test]
async fn an_outage_after_a_deletion_is_not_taken_for_its_harm() {
    let desk = Desk::new().await;
    let (principal, cookie) = (somebody(), cookie());
    let old = desk.connect(&principal, &cookie, "octocat").await;
    desk.connect(&principal, &cookie, "octocat").await;
    let proxied = Match::prefix("GET", "/proxy/");
    desk.world.scalekit.inject(proxied, Fault::status(503), usize::MAX);
    desk.sweep().await;
    desk.world.scalekit.heal();
    assert!(!desk.has_account(&old));
    assert_eq!(desk.login(&principal).await.as_deref(), Some("octocat"));
    let newest = desk.connect(&principal, &cookie, "octocat").await;
    desk.sweep().await;
    assert_eq!(desk.world.scalekit.accounts().len(), 1);
    assert!(desk.has_account(&newest));
}

/// A successor that was disconnected itself before its predecessor was deleted was not killed by that,
/// so whoever reconnects leaves nothing behind.
#[tokio::test]
async fn a_successor_that_was_disconnected_is_not_taken_for_killed() {
    let desk = Desk::new().await;
    let (principal, cookie) = (somebody(), cookie());
    for _ in 0..2 {
        desk.connect(&principal, &cookie, "octocat").await;
    }
    desk.linking.disconnect(&principal).await.unwrap();
    // What was disconnected is due before what it had taken the place of.
    desk.clock.advance(Duration::seconds(1));
    desk.sweep().await;
    assert!(desk.world.scalekit.accounts().is_empty());
    let old = desk.connect(&principal, &cookie, "octocat").await;
    let newest = desk.connect(&principal, &cookie, "octocat").await;
    desk.sweep().await;
    assert!(!desk.has_account(&old) && desk.has_account(&newest));
}
