//! Revoking that breaks off between two writes: what still stands can still be seen and ended.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;

use super::*;
use crate::{
    domain::{Failure, FailureCode},
    store::{Backend, Condition, Memory, Row},
};

/// A store that takes so many writes more, as if the process died then.
#[derive(Debug)]
struct BreaksOff {
    memory: Memory,
    writes_left: AtomicUsize,
}

impl BreaksOff {
    fn write(&self) -> Fallible<()> {
        let taken = self
            .writes_left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        taken.map(|_| ()).map_err(|_| Failure::new(FailureCode::StoreUnavailable, "It broke off."))
    }
}

#[async_trait]
impl Backend for BreaksOff {
    async fn get(&self, kind: &'static str, key: &str, now: i64) -> Fallible<Option<Row>> {
        self.memory.get(kind, key, now).await
    }

    async fn put(
        &self,
        kind: &'static str,
        key: &str,
        value: String,
        expires_at: i64,
        condition: Condition,
        now: i64,
    ) -> Fallible<bool> {
        self.write()?;
        self.memory.put(kind, key, value, expires_at, condition, now).await
    }

    async fn remove(
        &self,
        kind: &'static str,
        key: &str,
        version: Option<Version>,
    ) -> Fallible<bool> {
        self.write()?;
        self.memory.remove(kind, key, version).await
    }

    async fn expired(
        &self,
        kind: &'static str,
        now: i64,
        limit: usize,
    ) -> Fallible<Vec<(String, Row)>> {
        self.memory.expired(kind, now, limit).await
    }

    async fn purge(&self, kind: &'static str, now: i64, limit: usize) -> Fallible<usize> {
        self.write()?;
        self.memory.purge(kind, now, limit).await
    }

    async fn count(&self, kind: &'static str, now: i64) -> Fallible<u64> {
        self.memory.count(kind, now).await
    }

    async fn evict(
        &self,
        kind: &'static str,
        keep: u64,
        limit: usize,
        now: i64,
    ) -> Fallible<Vec<(String, Row)>> {
        self.write()?;
        self.memory.evict(kind, keep, limit, now).await
    }

    async fn ping(&self) -> Fallible<()> {
        self.memory.ping().await
    }
}

#[tokio::test]
async fn what_revoking_all_has_not_reached_is_still_listed_and_ended_by_the_next_try() {
    let mut broke_off = 0;
    for writes in 0.. {
        let (clock, backend) = (
            clock(),
            Arc::new(BreaksOff {
                memory: Memory::default(),
                writes_left: AtomicUsize::new(usize::MAX),
            }),
        );
        let store = Store::new(backend.clone(), Arc::new(clock.clone()));
        let world = world_on(store, clock);
        let principal = world.person.principal.clone();
        let epoch = world.grants.remember(&world.person).await.unwrap();
        let opened = [world.open().await, world.open().await, world.open().await];
        backend.writes_left.store(writes, Ordering::SeqCst);
        let revoked = world.grants.revoke_all(&principal).await;
        backend.writes_left.store(usize::MAX, Ordering::SeqCst);
        let listed: Vec<_> = world.grants.list(&principal).await.unwrap();
        for (id, tokens) in &opened {
            let stands = world.access(&tokens.access_token).await.is_ok();
            assert_eq!(stands, listed.iter().any(|view| view.id == *id), "after {writes} writes");
            assert!(!stands || revoked.is_err());
        }
        // Once it has begun, nothing of before is opened any more.
        let late = world.grants.open(terms(&world.person), &epoch).await;
        assert_eq!(late.is_ok(), writes == 0, "after {writes} writes");
        world.grants.revoke_all(&principal).await.unwrap();
        for (_, tokens) in opened.iter().chain(late.iter()) {
            assert!(world.access(&tokens.access_token).await.is_err());
            assert!(world.refresh(&refresh_of(tokens)).await.is_err());
        }
        assert!(world.is_empty().await);
        if revoked.is_ok() {
            break;
        }
        broke_off += 1;
    }
    // The epoch, three grants, the list.
    assert_eq!(broke_off, 5);
}
