//! Opened copies of records: when one is told, and when the backend is asked.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
};

use async_trait::async_trait;

use super::{Note, noon, note, seal};
use crate::{
    domain::{Timestamp, failure::Result},
    store::{Backend, Condition, DataVersion, Memory, Row, Store, Version, cache::LONGEST},
};

/// A backend that tells its version, and how often it was asked for a record.
#[derive(Debug, Default)]
struct Watched {
    memory: Memory,
    version: AtomicU64,
    looks: AtomicUsize,
    /// The next record that is read is gone before its reader hears of it.
    removes_what_is_read: AtomicBool,
}

impl Watched {
    fn written<T>(&self, outcome: T) -> T {
        self.version.fetch_add(1, Ordering::Relaxed);
        outcome
    }
}

#[async_trait]
impl Backend for Watched {
    fn data_version(&self) -> Result<Option<DataVersion>> {
        let mut bytes = [0; 48];
        bytes[..8].copy_from_slice(&self.version.load(Ordering::Relaxed).to_ne_bytes());
        Ok(Some(DataVersion::new(bytes)))
    }

    async fn get(&self, kind: &'static str, key: &str, now: i64) -> Result<Option<Row>> {
        self.looks.fetch_add(1, Ordering::Relaxed);
        let found = self.memory.get(kind, key, now).await;
        if self.removes_what_is_read.swap(false, Ordering::Relaxed) {
            self.remove(kind, key, None).await?;
        }
        found
    }

    async fn put(
        &self,
        kind: &'static str,
        key: &str,
        value: String,
        expires_at: i64,
        condition: Condition,
        now: i64,
    ) -> Result<bool> {
        self.written(self.memory.put(kind, key, value, expires_at, condition, now).await)
    }

    async fn remove(
        &self,
        kind: &'static str,
        key: &str,
        version: Option<Version>,
    ) -> Result<bool> {
        self.written(self.memory.remove(kind, key, version).await)
    }

    async fn expired(
        &self,
        kind: &'static str,
        now: i64,
        limit: usize,
    ) -> Result<Vec<(String, Row)>> {
        self.memory.expired(kind, now, limit).await
    }

    async fn purge(&self, kind: &'static str, now: i64, limit: usize) -> Result<usize> {
        self.written(self.memory.purge(kind, now, limit).await)
    }

    async fn count(&self, kind: &'static str, now: i64) -> Result<u64> {
        self.memory.count(kind, now).await
    }

    async fn evict(
        &self,
        kind: &'static str,
        keep: u64,
        limit: usize,
        now: i64,
    ) -> Result<Vec<(String, Row)>> {
        self.written(self.memory.evict(kind, keep, limit, now).await)
    }

    async fn ping(&self) -> Result<()> {
        self.memory.ping().await
    }
}

fn watched() -> (Arc<Watched>, Store) {
    let backend = Arc::new(Watched::default());
    (Arc::clone(&backend), Store::new(backend, Arc::new(noon())))
}

async fn told(store: &Store) -> Option<Note> {
    store.get::<Note>("a").await.unwrap().map(|found| found.value)
}

#[tokio::test]
async fn a_second_look_asks_nobody_until_something_is_written() {
    let (backend, store) = watched();
    assert!(store.insert("a", &note("x"), Timestamp::MAX_UTC).await.unwrap());
    for _ in 0..3 {
        assert_eq!(told(&store).await, Some(note("x")));
    }
    assert_eq!(backend.looks.load(Ordering::Relaxed), 1);
    assert!(store.insert("b", &note("y"), Timestamp::MAX_UTC).await.unwrap());
    assert_eq!(told(&store).await, Some(note("x")));
    assert_eq!(backend.looks.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn what_is_removed_while_it_is_read_is_told_at_most_once() {
    let (backend, store) = watched();
    assert!(store.insert("a", &note("x"), Timestamp::MAX_UTC).await.unwrap());
    backend.removes_what_is_read.store(true, Ordering::Relaxed);
    assert_eq!(told(&store).await, Some(note("x")));
    assert_eq!(told(&store).await, None);
}

#[tokio::test]
async fn what_is_long_is_not_copied() {
    let (backend, store) = watched();
    let long = note(&"x".repeat(LONGEST));
    assert!(store.insert("a", &long, Timestamp::MAX_UTC).await.unwrap());
    for looks in 1..=3 {
        assert_eq!(told(&store).await.as_ref(), Some(&long));
        assert_eq!(backend.looks.load(Ordering::Relaxed), looks);
    }
}

#[tokio::test]
async fn what_one_seal_opened_is_not_told_without_it() {
    let (_, plain) = watched();
    let sealed = plain.clone().sealed(seal(&["a"])).await.unwrap();
    assert!(sealed.insert("a", &note("x"), Timestamp::MAX_UTC).await.unwrap());
    assert_eq!(told(&sealed).await, Some(note("x")));
    assert!(plain.get::<Note>("a").await.is_err());
}
