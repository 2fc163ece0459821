//! One suite for every backend: what is true of one store is true of all.

use std::sync::Arc;

use chrono::{Duration, TimeZone as _, Utc};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use super::{Change, MAX_KEY_BYTES, MAX_VALUE_BYTES, Record, RedisAddress, Seal, Store, Versioned};
use crate::domain::{ManualClock, SystemEntropy, Timestamp, clock::Clock as _};
use redis_server::RedisServer;

mod copies;
mod durability;
mod model;
mod outage;
#[path = "../../tests/redis/mod.rs"]
#[allow(unreachable_pub, reason = "shared with the integration tests")]
mod redis_server;
mod sealing;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Note(pub(super) String);

impl Record for Note {
    const KIND: &'static str = "note";
    const IS_READ_OFTEN: bool = true;
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Tally {
    total: u64,
}

impl Record for Tally {
    const KIND: &'static str = "tally";
}

/// A store under test, with what it stands on.
pub(super) struct Subject {
    pub(super) store: Store,
    pub(super) clock: ManualClock,
    _folder: Option<TempDir>,
    _redis: Option<RedisServer>,
}

impl Subject {
    pub(super) fn memory() -> Self {
        let clock = noon();
        let store = Store::memory(Arc::new(clock.clone()));
        Self { store, clock, _folder: None, _redis: None }
    }

    pub(super) async fn sqlite() -> Self {
        let (clock, folder) = (noon(), tempfile::tempdir().unwrap());
        let path = folder.path().join("store.db");
        let store = Store::sqlite(&path, Arc::new(clock.clone())).await.unwrap();
        let store = store.sealed(seal(&["a"])).await.unwrap();
        Self { store, clock, _folder: Some(folder), _redis: None }
    }

    /// `None` where no Redis is installed.
    pub(super) async fn redis() -> Option<Self> {
        let (clock, server) = (noon(), RedisServer::start()?);
        let store = redis(&server, &clock).await.sealed(seal(&["a"])).await.unwrap();
        Some(Self { store, clock, _folder: None, _redis: Some(server) })
    }

    pub(super) fn in_minutes(&self, minutes: i64) -> Timestamp {
        self.clock.now() + Duration::minutes(minutes)
    }

    async fn keep(&self, key: &str, minutes: i64) {
        assert!(self.store.insert(key, &note(key), self.in_minutes(minutes)).await.unwrap());
    }
}

pub(super) fn noon() -> ManualClock {
    ManualClock::new(Utc.with_ymd_and_hms(2026, 3, 14, 12, 0, 0).unwrap())
}

pub(super) async fn redis(server: &RedisServer, clock: &ManualClock) -> Store {
    let address = RedisAddress::parse(&server.url()).unwrap();
    Store::redis(&address, Arc::new(clock.clone()), Arc::new(SystemEntropy)).await.unwrap()
}

/// A seal of these keys, the first of which closes.
pub(super) fn seal(keys: &[&str]) -> Seal {
    let keys = keys.iter().map(|key| ((*key).to_owned(), [key.as_bytes()[0]; 32])).collect();
    Seal::new(keys, Arc::new(SystemEntropy))
}

pub(super) fn note(text: &str) -> Note {
    Note(text.to_owned())
}

fn keys<R>(records: &[(String, Versioned<R>)]) -> Vec<&str> {
    records.iter().map(|(key, _)| key.as_str()).collect()
}

/// Runs each test over each backend.
macro_rules! on_every_backend {
    ($($name:ident)*) => {
        mod memory {
            $(#[tokio::test]
            async fn $name() {
                super::$name(super::Subject::memory()).await;
            })*
        }

        mod sqlite {
            $(#[tokio::test]
            async fn $name() {
                super::$name(super::Subject::sqlite().await).await;
            })*
        }

        mod redis {
            $(#[tokio::test]
            async fn $name() {
                let Some(subject) = super::Subject::redis().await else { return };
                super::$name(subject).await;
            })*
        }
    };
}

on_every_backend! {
    keeps_what_it_is_given
    inserts_only_where_there_is_nothing
    replaces_only_what_is_unchanged
    a_version_never_comes_back
    an_expired_record_reads_as_absent
    a_sweeper_sees_what_has_expired
    purges_in_small_steps
    removes_many_in_order
    evicts_what_expires_first
    kinds_do_not_meet
    update_writes_or_leaves
    updates_from_all_sides_are_all_counted
    one_of_many_inserts_wins
    one_of_many_removals_wins
    refuses_what_is_too_large
    an_unreadable_record_is_a_failure_and_leaves_with_the_sweep
    answers_a_ping
}

async fn keeps_what_it_is_given(subject: Subject) {
    let store = &subject.store;
    let odd = note("\"quotes\", \n lines, \0 zero, 🦀, '; DROP TABLE record; --");
    let expires_at = subject.in_minutes(5) + Duration::microseconds(1_234);
    assert!(store.get::<Note>("a").await.unwrap().is_none());
    assert!(store.insert("a", &odd, expires_at).await.unwrap());
    let read = store.get::<Note>("a").await.unwrap().unwrap();
    assert_eq!(read.value, odd);
    assert_eq!(read.expires_at, subject.in_minutes(5) + Duration::milliseconds(1));

    let forever = Timestamp::MAX_UTC;
    assert!(store.insert("b", &note(""), forever).await.unwrap());
    let read = store.get::<Note>("b").await.unwrap().unwrap();
    assert_eq!(read.expires_at.timestamp_millis(), forever.timestamp_millis());

    assert!(store.remove::<Note>("a").await.unwrap());
    assert!(!store.remove::<Note>("a").await.unwrap());
    assert!(store.get::<Note>("a").await.unwrap().is_none());
}

async fn inserts_only_where_there_is_nothing(subject: Subject) {
    let store = &subject.store;
    subject.keep("a", 5).await;
    assert!(!store.insert("a", &note("other"), subject.in_minutes(9)).await.unwrap());
    assert_eq!(store.get::<Note>("a").await.unwrap().unwrap().value, note("a"));
    subject.clock.advance(Duration::minutes(5));
    assert!(store.insert("a", &note("later"), subject.in_minutes(9)).await.unwrap());
    assert_eq!(store.get::<Note>("a").await.unwrap().unwrap().value, note("later"));
    assert!(store.expired::<Note>(10).await.unwrap().is_empty());
}

async fn replaces_only_what_is_unchanged(subject: Subject) {
    let store = &subject.store;
    let later = subject.in_minutes(9);
    subject.keep("a", 5).await;
    let first = store.get::<Note>("a").await.unwrap().unwrap();
    assert!(store.replace("a", first.version, &note("b"), later).await.unwrap());
    assert!(!store.replace("a", first.version, &note("c"), later).await.unwrap());
    assert!(!store.replace("absent", first.version, &note("c"), later).await.unwrap());
    let second = store.get::<Note>("a").await.unwrap().unwrap();
    assert_eq!((second.value, second.expires_at), (note("b"), later));
    assert_ne!(second.version, first.version);

    assert!(!store.remove_if::<Note>("a", first.version).await.unwrap());
    subject.clock.advance(Duration::minutes(9));
    assert!(!store.replace("a", second.version, &note("d"), subject.in_minutes(1)).await.unwrap());
    assert!(store.remove_if::<Note>("a", second.version).await.unwrap());
}

async fn a_version_never_comes_back(subject: Subject) {
    let store = &subject.store;
    subject.keep("a", 5).await;
    let old = store.get::<Note>("a").await.unwrap().unwrap();
    assert!(store.remove::<Note>("a").await.unwrap());
    subject.keep("a", 5).await;
    assert!(!store.replace("a", old.version, &old.value, old.expires_at).await.unwrap());
    assert!(!store.remove_if::<Note>("a", old.version).await.unwrap());
}

async fn an_expired_record_reads_as_absent(subject: Subject) {
    let store = &subject.store;
    subject.keep("a", 5).await;
    subject.clock.advance(Duration::minutes(5) - Duration::milliseconds(1));
    assert!(store.get::<Note>("a").await.unwrap().is_some());
    assert_eq!(store.count::<Note>().await.unwrap(), 1);
    subject.clock.advance(Duration::milliseconds(1));
    assert!(store.get::<Note>("a").await.unwrap().is_none());
    assert_eq!(store.count::<Note>().await.unwrap(), 0);
    let touched = store.update("a", |_: &mut Versioned<Note>| Change::Write(())).await.unwrap();
    assert_eq!(touched, None);
    assert!(store.remove::<Note>("a").await.unwrap(), "it was still there for its sweeper");
}

async fn a_sweeper_sees_what_has_expired(subject: Subject) {
    let store = &subject.store;
    for (key, minutes) in [("c", 3), ("a", 1), ("b", 2), ("d", 4)] {
        subject.keep(key, minutes).await;
    }
    subject.clock.advance(Duration::minutes(3));
    assert_eq!(keys(&store.expired::<Note>(2).await.unwrap()), ["a", "b"]);
    let expired = store.expired::<Note>(10).await.unwrap();
    assert_eq!(keys(&expired), ["a", "b", "c"]);
    for (key, record) in &expired {
        assert_eq!(record.value, note(key));
        assert!(store.remove_if::<Note>(key, record.version).await.unwrap());
        assert!(!store.remove_if::<Note>(key, record.version).await.unwrap());
    }
    assert!(store.expired::<Note>(10).await.unwrap().is_empty());
    assert!(store.get::<Note>("d").await.unwrap().is_some());
}

async fn purges_in_small_steps(subject: Subject) {
    let store = &subject.store;
    for key in ["a", "b", "c"] {
        subject.keep(key, 1).await;
    }
    subject.keep("live", 2).await;
    assert_eq!(store.purge::<Note>(10).await.unwrap(), 0);
    subject.clock.advance(Duration::minutes(1));
    assert_eq!(store.purge::<Note>(2).await.unwrap(), 2);
    assert_eq!(keys(&store.expired::<Note>(10).await.unwrap()), ["c"]);
    assert_eq!(store.purge::<Note>(2).await.unwrap(), 1);
    assert_eq!(store.purge::<Note>(2).await.unwrap(), 0);
    assert_eq!(store.count::<Note>().await.unwrap(), 1);
}

/// More than a backend takes in one step.
async fn removes_many_in_order(subject: Subject) {
    let store = &subject.store;
    for n in 0..1_100 {
        subject.keep(&format!("old-{n:04}"), 1).await;
    }
    for n in 0..1_100 {
        subject.keep(&format!("new-{n:04}"), 3).await;
    }
    subject.clock.advance(Duration::minutes(1));
    assert_eq!(store.purge::<Note>(1_050).await.unwrap(), 1_050);
    assert_eq!(store.purge::<Note>(1_050).await.unwrap(), 50);
    let evicted = store.evict::<Note>(10, 1_050).await.unwrap();
    assert_eq!(evicted.len(), 1_050);
    assert!(keys(&evicted).is_sorted());
    assert_eq!(store.evict::<Note>(10, 1_050).await.unwrap().len(), 40);
    assert_eq!(store.count::<Note>().await.unwrap(), 10);
}

async fn evicts_what_expires_first(subject: Subject) {
    let store = &subject.store;
    for (key, minutes) in [("gone", 1), ("e", 6), ("b", 3), ("d", 5), ("c", 3), ("a", 2)] {
        subject.keep(key, minutes).await;
    }
    subject.clock.advance(Duration::minutes(1));
    assert!(store.evict::<Note>(5, 10).await.unwrap().is_empty());
    assert!(store.evict::<Note>(0, 0).await.unwrap().is_empty());
    assert_eq!(keys(&store.evict::<Note>(1, 3).await.unwrap()), ["a", "b", "c"]);
    assert_eq!(keys(&store.evict::<Note>(1, 3).await.unwrap()), ["d"]);
    assert!(store.get::<Note>("e").await.unwrap().is_some());
    assert_eq!(keys(&store.expired::<Note>(10).await.unwrap()), ["gone"], "left to its sweeper");
}

async fn kinds_do_not_meet(subject: Subject) {
    let store = &subject.store;
    subject.keep("a", 1).await;
    assert!(store.get::<Tally>("a").await.unwrap().is_none());
    assert!(store.insert("a", &Tally { total: 1 }, subject.in_minutes(1)).await.unwrap());
    assert!(store.remove::<Tally>("a").await.unwrap());
    assert!(store.get::<Note>("a").await.unwrap().is_some());
    subject.clock.advance(Duration::minutes(1));
    assert_eq!(store.purge::<Tally>(10).await.unwrap(), 0);
    assert_eq!(store.purge::<Note>(10).await.unwrap(), 1);
}

async fn update_writes_or_leaves(subject: Subject) {
    let store = &subject.store;
    let (soon, later) = (subject.in_minutes(1), subject.in_minutes(9));
    assert!(store.insert("a", &Tally { total: 1 }, soon).await.unwrap());
    let left = store
        .update("a", |tally: &mut Versioned<Tally>| {
            tally.value.total = 50;
            Change::Leave(tally.value.total)
        })
        .await;
    assert_eq!(left.unwrap(), Some(50));
    let read = store.get::<Tally>("a").await.unwrap().unwrap();
    assert_eq!((read.value.total, read.expires_at), (1, soon));
    let written = store
        .update("a", |tally: &mut Versioned<Tally>| {
            tally.value.total += 1;
            tally.expires_at = later;
            Change::Write(tally.value.total)
        })
        .await;
    assert_eq!(written.unwrap(), Some(2));
    let read = store.get::<Tally>("a").await.unwrap().unwrap();
    assert_eq!((read.value.total, read.expires_at), (2, later));
    let absent = store.update("b", |_: &mut Versioned<Tally>| Change::Write(())).await;
    assert_eq!(absent.unwrap(), None);
}

async fn updates_from_all_sides_are_all_counted(subject: Subject) {
    let store = &subject.store;
    assert!(store.insert("t", &Tally { total: 0 }, subject.in_minutes(1)).await.unwrap());
    let tasks: Vec<_> = (0..32)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                let add = |tally: &mut Versioned<Tally>| {
                    tally.value.total += 1;
                    Change::Write(tally.value.total)
                };
                store.update("t", add).await.unwrap().unwrap()
            })
        })
        .collect();
    let mut seen = std::collections::BTreeSet::new();
    for task in tasks {
        assert!(seen.insert(task.await.unwrap()), "two callers were told the same total");
    }
    assert_eq!(store.get::<Tally>("t").await.unwrap().unwrap().value.total, 32);
}

async fn one_of_many_inserts_wins(subject: Subject) {
    let expires_at = subject.in_minutes(1);
    let tasks: Vec<_> = (0..50)
        .map(|writer| {
            let store = subject.store.clone();
            let mine = note(&format!("writer {writer}"));
            tokio::spawn(async move {
                store.insert("a", &mine, expires_at).await.unwrap().then_some(mine)
            })
        })
        .collect();
    let mut winners = Vec::new();
    for task in tasks {
        winners.extend(task.await.unwrap());
    }
    assert_eq!(winners.len(), 1);
    let read = subject.store.get::<Note>("a").await.unwrap().unwrap();
    assert_eq!(read.value, winners[0]);
}

async fn one_of_many_removals_wins(subject: Subject) {
    subject.keep("a", 1).await;
    let version = subject.store.get::<Note>("a").await.unwrap().unwrap().version;
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let store = subject.store.clone();
            tokio::spawn(async move { store.remove_if::<Note>("a", version).await.unwrap() })
        })
        .collect();
    let mut wins = 0;
    for task in tasks {
        wins += usize::from(task.await.unwrap());
    }
    assert_eq!(wins, 1);
}

async fn refuses_what_is_too_large(subject: Subject) {
    let store = &subject.store;
    let expires_at = subject.in_minutes(1);
    let (longest, largest) = ("k".repeat(MAX_KEY_BYTES), note(&"v".repeat(MAX_VALUE_BYTES - 2)));
    assert!(store.insert(&longest, &largest, expires_at).await.unwrap());
    assert!(store.insert(&format!("{longest}k"), &note(""), expires_at).await.is_err());
    let larger = note(&"v".repeat(MAX_VALUE_BYTES - 1));
    assert!(store.insert("a", &larger, expires_at).await.is_err());
    assert_eq!(store.count::<Note>().await.unwrap(), 1);
}

async fn an_unreadable_record_is_a_failure_and_leaves_with_the_sweep(subject: Subject) {
    /// The same kind, as another version of the program would have written it.
    #[derive(Clone, Serialize, Deserialize)]
    struct OtherNote {
        secret: String,
    }
    impl Record for OtherNote {
        const KIND: &'static str = Note::KIND;
    }
    let store = &subject.store;
    let other = OtherNote { secret: "canary".to_owned() };
    assert!(store.insert("odd", &other, subject.in_minutes(1)).await.unwrap());
    subject.keep("good", 2).await;
    let failure = store.get::<Note>("odd").await.unwrap_err();
    assert!(!format!("{failure:?}").contains("canary"), "{failure:?}");
    subject.clock.advance(Duration::minutes(2));
    assert_eq!(keys(&store.expired::<Note>(10).await.unwrap()), ["good"]);
    assert!(store.expired::<OtherNote>(10).await.unwrap().is_empty());
    assert!(!store.remove::<Note>("odd").await.unwrap());
}

async fn answers_a_ping(subject: Subject) {
    subject.store.ping().await.unwrap();
}
