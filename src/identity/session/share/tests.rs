//! However many sessions a person opens, and in whatever order they are used.

use std::sync::Arc;

use chrono::Duration;
use futures_util::future::join_all;

use super::{
    super::{SessionRecord, Sessions},
    MOST_OF_ONE_PERSON, SessionList,
};
use crate::{
    domain::{
        AuthMode, Clock as _, ManualClock, PrincipalId, SessionId, SystemClock, SystemEntropy,
    },
    identity::ClientName,
    store::Store,
};

struct House {
    clock: ManualClock,
    store: Store,
    sessions: Sessions,
}

fn house() -> House {
    let clock = ManualClock::new(SystemClock.now());
    let store = Store::memory(Arc::new(clock.clone()));
    let (mode, entropy) = (AuthMode::OAuth, Arc::new(SystemEntropy));
    let sessions = Sessions::new(store.clone(), mode, Arc::new(clock.clone()), entropy);
    House { clock, store, sessions }
}

fn person() -> PrincipalId {
    PrincipalId::mint(&SystemEntropy)
}

impl House {
    async fn open(&self, person: &PrincipalId) -> SessionId {
        self.sessions.open(ClientName::default(), Some(person)).await.unwrap()
    }

    async fn lives(&self, session: &SessionId, person: &PrincipalId) -> bool {
        self.sessions.find(session, Some(person)).await.unwrap().is_some()
    }

    async fn kept(&self) -> u64 {
        self.store.count::<SessionRecord>().await.unwrap()
    }
}

const MOST: u64 = MOST_OF_ONE_PERSON as u64;

#[tokio::test]
async fn the_longest_idle_goes_and_nobody_elses() {
    let house = house();
    let (ann, bob) = (person(), person());
    let of_bob = house.open(&bob).await;
    let mut sessions = Vec::new();
    for _ in 0..MOST_OF_ONE_PERSON {
        sessions.push(house.open(&ann).await);
        house.clock.advance(Duration::seconds(1));
    }
    // The first is used once more; from then on the second is the longest idle.
    house.clock.advance(Duration::minutes(11));
    assert!(house.lives(&sessions[0], &ann).await);
    for round in 0..3 {
        sessions.push(house.open(&ann).await);
        assert_eq!(house.kept().await, MOST + 1, "{round}");
    }
    let mut gone = Vec::new();
    for (number, session) in sessions.iter().enumerate() {
        if !house.lives(session, &ann).await {
            gone.push(number);
        }
    }
    assert_eq!(gone, [1, 2, 3]);
    assert!(house.lives(&of_bob, &bob).await);
}

#[tokio::test]
async fn closed_and_expired_sessions_count_no_longer() {
    let house = house();
    let ann = person();
    let mut sessions = Vec::new();
    for _ in 0..MOST_OF_ONE_PERSON {
        sessions.push(house.open(&ann).await);
    }
    assert!(house.sessions.close(&sessions[5], Some(&ann)).await.unwrap());
    sessions.push(house.open(&ann).await);
    assert!(house.lives(&sessions[0], &ann).await);
    house.clock.advance(Duration::hours(13));
    let late = house.open(&ann).await;
    let key = house.sessions.list_key(&ann);
    let list = house.store.get::<SessionList>(&key).await.unwrap().unwrap();
    assert_eq!(list.value.sessions.len(), 1);
    assert!(house.lives(&late, &ann).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_at_once_stay_within_the_limit() {
    let house = Arc::new(house());
    let ann = person();
    let programs = (0..8).map(|_| {
        let (house, ann) = (Arc::clone(&house), ann.clone());
        tokio::spawn(async move {
            let mut opened = Vec::new();
            for _ in 0..40 {
                opened.push(house.open(&ann).await);
            }
            opened
        })
    });
    let mut lives = 0;
    for opened in join_all(programs).await {
        for session in opened.unwrap() {
            lives += usize::from(house.lives(&session, &ann).await);
        }
    }
    assert_eq!(lives, MOST_OF_ONE_PERSON);
    assert_eq!(house.kept().await, MOST);
}

#[tokio::test]
async fn all_sessions_of_a_person_end_together() {
    let house = house();
    let (ann, bob) = (person(), person());
    let (of_ann, of_bob) = (house.open(&ann).await, house.open(&bob).await);
    house.open(&ann).await;
    house.sessions.end_all(&ann).await.unwrap();
    assert!(!house.lives(&of_ann, &ann).await);
    assert!(house.lives(&of_bob, &bob).await);
    assert_eq!(house.kept().await, 1);
    assert_eq!(house.store.count::<SessionList>().await.unwrap(), 1);
}
