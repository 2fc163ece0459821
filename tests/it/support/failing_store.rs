//! A store in memory that fails at its n-th write: as a full disk does, or a process that dies.

use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;
use pr_summarizer::{
    domain::{Failure, FailureCode, failure::Result},
    store::{Backend, Condition, Memory, Row, Version},
};

/// How much fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failing {
    /// That write alone; whoever wanted it is told.
    OneWrite,
    /// Everything from that write on, until the store is mended: nobody is left to be told.
    FromThereOn,
}

#[derive(Debug, Default)]
pub struct FailingStore {
    memory: Memory,
    plan: Mutex<Plan>,
}

#[derive(Debug, Default)]
struct Plan {
    /// How many writes are let through before one fails.
    fails_after: Option<(usize, Failing)>,
    has_failed: bool,
    is_broken: bool,
}

impl FailingStore {
    /// From now on so many writes succeed, and the next one fails.
    pub fn fail_after(&self, writes: usize, failing: Failing) {
        *self.plan() =
            Plan { fails_after: Some((writes, failing)), has_failed: false, is_broken: false };
    }

    /// Nothing fails any more. Whether anything had.
    pub fn mend(&self) -> bool {
        std::mem::take(&mut *self.plan()).has_failed
    }

    /// The records of a kind as they are kept, expired ones that nobody removed included.
    pub async fn kept(&self, kind: &'static str) -> Vec<String> {
        let rows = self.memory.expired(kind, i64::MAX, usize::MAX).await.unwrap();
        rows.into_iter().map(|(_, row)| row.value).collect()
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap()
    }

    fn read(&self) -> Result<()> {
        if self.plan().is_broken { Err(broken()) } else { Ok(()) }
    }

    fn write(&self) -> Result<()> {
        self.read()?;
        let mut plan = self.plan();
        match plan.fails_after {
            None => Ok(()),
            Some((0, failing)) => {
                plan.fails_after = None;
                plan.has_failed = true;
                plan.is_broken = failing == Failing::FromThereOn;
                Err(broken())
            }
            Some((more, failing)) => {
                plan.fails_after = Some((more - 1, failing));
                Ok(())
            }
        }
    }
}

fn broken() -> Box<Failure> {
    Failure::new(FailureCode::Internal, "The store fails because a test wants it to.")
}

#[async_trait]
impl Backend for FailingStore {
    async fn get(&self, kind: &'static str, key: &str, now: i64) -> Result<Option<Row>> {
        self.read()?;
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
    ) -> Result<bool> {
        self.write()?;
        self.memory.put(kind, key, value, expires_at, condition, now).await
    }

    async fn remove(
        &self,
        kind: &'static str,
        key: &str,
        version: Option<Version>,
    ) -> Result<bool> {
        self.write()?;
        self.memory.remove(kind, key, version).await
    }

    async fn expired(
        &self,
        kind: &'static str,
        now: i64,
        limit: usize,
    ) -> Result<Vec<(String, Row)>> {
        self.read()?;
        self.memory.expired(kind, now, limit).await
    }

    async fn purge(&self, kind: &'static str, now: i64, limit: usize) -> Result<usize> {
        self.read()?;
        self.memory.purge(kind, now, limit).await
    }

    async fn count(&self, kind: &'static str, now: i64) -> Result<u64> {
        self.read()?;
        self.memory.count(kind, now).await
    }

    async fn evict(
        &self,
        kind: &'static str,
        keep: u64,
        limit: usize,
        now: i64,
    ) -> Result<Vec<(String, Row)>> {
        self.read()?;
        self.memory.evict(kind, keep, limit, now).await
    }

    async fn ping(&self) -> Result<()> {
        self.read()
    }
}
