//! A store whose every operation is a step: a gate before it, and one between a write and whatever
//! follows from it, so that others come in between and the process can end there.

use std::sync::Arc;

use async_trait::async_trait;
use pr_summarizer::{
    domain::failure::Result,
    store::{Backend, Condition, DataVersion, Row, Version},
};

use super::gates::Gates;

/// Kinds of which expired records are simply dropped, by the dozen: no step of their own.
const DROPPED: [&str; 7] =
    ["session", "session-list", "handle", "page", "claim", "browser", "harmful-deletions"];

#[derive(Debug)]
pub struct Stepping {
    backend: Arc<dyn Backend>,
    gates: Gates,
}

impl Stepping {
    pub fn new(backend: Arc<dyn Backend>, gates: Gates) -> Self {
        Self { backend, gates }
    }

    async fn step(&self, what: &str, kind: &str, key: &str) {
        // Keys are long, and their beginning says which mode it is.
        let key = key.rsplit('/').next().unwrap_or_default();
        let key: String = key.chars().take(8).collect();
        self.gates.pass(|| format!("{what} {kind} {key}")).await;
    }
}

#[async_trait]
impl Backend for Stepping {
    /// No step: what is told so is told as fast as it is asked.
    fn data_version(&self) -> Result<Option<DataVersion>> {
        self.backend.data_version()
    }

    async fn get(&self, kind: &'static str, key: &str, now: i64) -> Result<Option<Row>> {
        self.step("get", kind, key).await;
        self.backend.get(kind, key, now).await
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
        let what = match condition {
            Condition::Absent => "insert",
            Condition::Unchanged(_) => "replace",
        };
        self.step(what, kind, key).await;
        let written = self.backend.put(kind, key, value, expires_at, condition, now).await;
        let what = if matches!(written, Ok(true)) { "after the write of" } else { "no write of" };
        self.step(what, kind, key).await;
        written
    }

    async fn remove(
        &self,
        kind: &'static str,
        key: &str,
        version: Option<Version>,
    ) -> Result<bool> {
        self.step("remove", kind, key).await;
        let removed = self.backend.remove(kind, key, version).await;
        self.step("after the removal of", kind, key).await;
        removed
    }

    async fn expired(
        &self,
        kind: &'static str,
        now: i64,
        limit: usize,
    ) -> Result<Vec<(String, Row)>> {
        self.step("look for expired", kind, "").await;
        self.backend.expired(kind, now, limit).await
    }

    async fn purge(&self, kind: &'static str, now: i64, limit: usize) -> Result<usize> {
        if !DROPPED.contains(&kind) {
            self.step("purge", kind, "").await;
        }
        self.backend.purge(kind, now, limit).await
    }

    async fn count(&self, kind: &'static str, now: i64) -> Result<u64> {
        self.backend.count(kind, now).await
    }

    async fn evict(
        &self,
        kind: &'static str,
        keep: u64,
        limit: usize,
        now: i64,
    ) -> Result<Vec<(String, Row)>> {
        self.backend.evict(kind, keep, limit, now).await
    }

    async fn ping(&self) -> Result<()> {
        self.backend.ping().await
    }
}
