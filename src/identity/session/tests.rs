//! Sessions and handles: how long they live, and whose they are.

use chrono::DateTime;

use super::*;
use crate::domain::{ManualClock, SystemEntropy};

struct World {
    sessions: Sessions,
    store: Store,
    clock: ManualClock,
}

fn world(mode: AuthMode) -> World {
    let clock = ManualClock::new(DateTime::from_timestamp(1_800_000_000, 0).unwrap());
    let store = Store::memory(Arc::new(clock.clone()));
    let sessions =
        Sessions::new(store.clone(), mode, Arc::new(clock.clone()), Arc::new(SystemEntropy));
    World { sessions, store, clock }
}

fn claude() -> ClientName {
    ClientName::claimed("Claude Code")
}

fn person() -> PrincipalId {
    PrincipalId::mint(&SystemEntropy)
}

impl World {
    async fn finds(&self, id: &SessionId) -> Option<PrincipalId> {
        self.sessions.find(id, None).await.unwrap().map(|principal| principal.id)
    }

    async fn finds_handle(&self, handle: &ConnectionHandle) -> Option<PrincipalId> {
        let found = self.sessions.find_handle(handle, claude()).await.unwrap();
        found.map(|principal| principal.id)
    }

    /// A session's or handle's last noted use and its end, in minutes since `start`.
    async fn noted<R: Bearer>(&self, digest: &str, start: Timestamp) -> (i64, i64) {
        let mut found = self.store.get::<R>(&self.sessions.key(digest)).await.unwrap().unwrap();
        let used = *found.value.last_used_at() - start;
        (used.num_minutes(), (found.expires_at - start).num_minutes())
    }
}

#[tokio::test]
async fn a_session_is_one_principal_with_its_programs_name() {
    let world = world(AuthMode::Session);
    assert_eq!(world.sessions.mode(), AuthMode::Session);
    let (one, other) = (
        world.sessions.open(claude(), None).await.unwrap(),
        world.sessions.open(claude(), None).await.unwrap(),
    );
    let found = world.sessions.find(&one, None).await.unwrap().unwrap();
    assert_eq!(found.client, claude());
    assert_eq!(world.finds(&one).await, Some(found.id.clone()));
    assert_ne!(world.finds(&other).await, Some(found.id));
    assert_eq!(world.finds(&SessionId::mint(&SystemEntropy)).await, None);
    assert!(world.sessions.close(&one, None).await.unwrap());
    assert!(!world.sessions.close(&one, None).await.unwrap());
    assert_eq!(world.finds(&one).await, None);
    assert!(world.finds(&other).await.is_some());
}

/// Uses are noted at most every ten minutes; each prolongs the session to 12 hours from then.
#[tokio::test]
async fn a_session_lives_12_idle_hours_and_at_most_7_days() {
    let world = world(AuthMode::Session);
    let start = world.clock.now();
    let session = world.sessions.open(claude(), None).await.unwrap();
    let digest = session.digest();
    for (advance, used, ends) in [(0, 0, 720), (9, 0, 720), (1, 10, 730), (719, 729, 1449)] {
        world.clock.advance(Duration::minutes(advance));
        assert!(world.finds(&session).await.is_some());
        assert_eq!(world.noted::<SessionRecord>(&digest, start).await, (used, ends));
    }
    world.clock.advance(Duration::hours(12));
    assert_eq!(world.finds(&session).await, None);
    // However busy, it ends after a week.
    let session = world.sessions.open(claude(), None).await.unwrap();
    for _ in 0..7 * 24 / 8 {
        assert!(world.finds(&session).await.is_some());
        world.clock.advance(Duration::hours(8));
    }
    assert_eq!(world.finds(&session).await, None);
}

#[tokio::test]
async fn a_handle_lives_12_idle_hours_and_at_most_7_days() {
    let world = world(AuthMode::Session);
    let start = world.clock.now();
    let (handle, principal) = world.sessions.new_handle(claude()).await.unwrap();
    assert_eq!(principal.client, claude());
    let digest = handle.digest();
    for (advance, used, ends) in [(0, 0, 720), (9, 0, 720), (1, 10, 730), (719, 729, 1449)] {
        world.clock.advance(Duration::minutes(advance));
        assert_eq!(world.finds_handle(&handle).await, Some(principal.id.clone()));
        assert_eq!(world.noted::<HandleRecord>(&digest, start).await, (used, ends));
    }
    world.clock.advance(Duration::hours(12));
    assert_eq!(world.finds_handle(&handle).await, None);
    let handle = world.sessions.handle_for(&principal.id).await.unwrap();
    for _ in 0..7 * 24 / 8 {
        assert_eq!(world.finds_handle(&handle).await, Some(principal.id.clone()));
        world.clock.advance(Duration::hours(8));
    }
    assert_eq!(world.finds_handle(&handle).await, None);
}

#[tokio::test]
async fn a_persons_session_needs_their_token() {
    let world = world(AuthMode::OAuth);
    let (octocat, hubot) = (person(), person());
    let unproven = world.sessions.open(claude(), None).await.unwrap_err();
    assert_eq!(unproven.code, FailureCode::Unauthenticated);
    let session = world.sessions.open(claude(), Some(&octocat)).await.unwrap();
    for (token_of, is_found) in [(None, false), (Some(&hubot), false), (Some(&octocat), true)] {
        let found = world.sessions.find(&session, token_of).await.unwrap();
        assert_eq!(found.map(|principal| principal.id), is_found.then(|| octocat.clone()));
    }
    assert!(!world.sessions.close(&session, Some(&hubot)).await.unwrap());
    assert!(!world.sessions.close(&session, None).await.unwrap());
    assert!(world.sessions.close(&session, Some(&octocat)).await.unwrap());
    // A handle proves nobody.
    let handle = world.sessions.handle_for(&octocat).await.unwrap();
    assert_eq!(world.finds_handle(&handle).await, None);
}

#[tokio::test]
async fn the_machine_is_one_principal() {
    let single = world(AuthMode::SingleUser);
    let machine = single.sessions.machine(claude()).await.unwrap();
    assert_eq!(machine.client, claude());
    assert_eq!(single.sessions.machine(ClientName::default()).await.unwrap().id, machine.id);
    for _ in 0..2 {
        let session = single.sessions.open(claude(), None).await.unwrap();
        assert_eq!(single.finds(&session).await, Some(machine.id.clone()));
    }
    assert_ne!(single.sessions.stranger(claude()).id, machine.id);
}

#[tokio::test]
async fn a_request_state_is_claimed_once() {
    let world = world(AuthMode::Session);
    assert!(world.sessions.claim_once("sealed").await.unwrap());
    assert!(!world.sessions.claim_once("sealed").await.unwrap());
    assert!(world.sessions.claim_once("another").await.unwrap());
    // Its own seal has run out by then.
    world.clock.advance(super::super::flow::LIFETIME - Duration::seconds(1));
    assert!(!world.sessions.claim_once("sealed").await.unwrap());
}

#[tokio::test]
async fn a_record_of_another_mode_is_unknown() {
    let world = world(AuthMode::Session);
    let session = world.sessions.open(claude(), None).await.unwrap();
    let clock = Arc::new(world.clock.clone());
    for mode in [AuthMode::SingleUser, AuthMode::OAuth] {
        let others =
            Sessions::new(world.store.clone(), mode, clock.clone(), Arc::new(SystemEntropy));
        assert!(others.find(&session, None).await.unwrap().is_none());
        assert!(!others.close(&session, None).await.unwrap());
    }
    assert!(world.finds(&session).await.is_some());
}

/// A person is proven by a token, and by nothing that a program could pass on.
#[tokio::test]
async fn in_oauth_mode_a_handle_is_nobodys_even_if_there_is_one() {
    for (mode, finds) in [(AuthMode::Session, true), (AuthMode::OAuth, false)] {
        let world = world(mode);
        let handle = ConnectionHandle::mint(&SystemEntropy);
        let now = world.clock.now();
        let record = HandleRecord { principal: person(), created_at: now, last_used_at: now };
        let key = world.sessions.key(&handle.digest());
        world.store.insert(&key, &record, now + chrono::Duration::hours(1)).await.unwrap();
        assert_eq!(world.finds_handle(&handle).await.is_some(), finds, "{mode:?}");
    }
}
