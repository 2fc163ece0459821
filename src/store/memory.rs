//! Records in memory: gone when the process ends. For tests, demonstrations, and whoever does not
//! mind linking GitHub again after a restart (`STORE_URL=memory:`).

use std::{
    collections::{BTreeSet, HashMap, hash_map::Entry},
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;

use super::backend::{Backend, Condition, Row, Version};
use crate::domain::failure::Result;

/// Records that are gone when the process ends. A std mutex, not an async one: it is held for a few
/// map operations and never across an await.
#[derive(Debug, Default)]
pub struct Memory(Mutex<Tables>);

#[derive(Debug, Default)]
struct Tables {
    last_version: i64,
    by_kind: HashMap<&'static str, Table>,
}

/// One kind of records. `by_expiry` holds exactly the keys of `rows`; every change goes through
/// [`Table::insert`] and [`Table::remove`] so that the two agree.
#[derive(Debug, Default)]
struct Table {
    rows: HashMap<String, Row>,
    by_expiry: BTreeSet<(i64, String)>,
}

impl Table {
    fn insert(&mut self, key: &str, row: Row) {
        self.remove(key);
        self.by_expiry.insert((row.expires_at, key.to_owned()));
        self.rows.insert(key.to_owned(), row);
    }

    fn remove(&mut self, key: &str) -> Option<Row> {
        let row = self.rows.remove(key)?;
        self.by_expiry.remove(&(row.expires_at, key.to_owned()));
        Some(row)
    }

    /// The keys of the expired records, longest expired first.
    fn expired(&self, now: i64) -> impl Iterator<Item = &String> {
        self.by_expiry.iter().take_while(move |(at, _)| *at <= now).map(|(_, key)| key)
    }

    /// The keys of the live records, soonest to expire first.
    fn live(&self, now: i64) -> impl Iterator<Item = &String> {
        // The first possible entry after `now`: the empty string sorts before every key.
        let start = (now.saturating_add(1), String::new());
        self.by_expiry.range(start..).map(|(_, key)| key)
    }

    fn take(&mut self, keys: Vec<String>) -> Vec<(String, Row)> {
        keys.into_iter().filter_map(|key| self.remove(&key).map(|row| (key, row))).collect()
    }
}

impl Memory {
    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Backend for Memory {
    async fn get(&self, kind: &'static str, key: &str, now: i64) -> Result<Option<Row>> {
        let tables = self.tables();
        let row = tables.by_kind.get(kind).and_then(|table| table.rows.get(key));
        Ok(row.filter(|row| row.expires_at > now).cloned())
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
        let mut tables = self.tables();
        let Tables { last_version, by_kind } = &mut *tables;
        let table = by_kind.entry(kind).or_default();
        let live = table.rows.get(key).filter(|row| row.expires_at > now).map(|row| row.version);
        let holds = match condition {
            Condition::Absent => live.is_none(),
            Condition::Unchanged(version) => live == Some(version),
        };
        if holds {
            *last_version += 1;
            table.insert(key, Row { value, version: Version(*last_version), expires_at });
        }
        Ok(holds)
    }

    async fn remove(
        &self,
        kind: &'static str,
        key: &str,
        version: Option<Version>,
    ) -> Result<bool> {
        let mut tables = self.tables();
        let Entry::Occupied(mut table) = tables.by_kind.entry(kind) else { return Ok(false) };
        let table = table.get_mut();
        let matches = table
            .rows
            .get(key)
            .is_some_and(|row| version.is_none_or(|version| row.version == version));
        Ok(matches && table.remove(key).is_some())
    }

    async fn expired(
        &self,
        kind: &'static str,
        now: i64,
        limit: usize,
    ) -> Result<Vec<(String, Row)>> {
        let tables = self.tables();
        let Some(table) = tables.by_kind.get(kind) else { return Ok(Vec::new()) };
        let rows = table.expired(now).take(limit);
        Ok(rows.filter_map(|key| Some((key.clone(), table.rows.get(key)?.clone()))).collect())
    }

    async fn purge(&self, kind: &'static str, now: i64, limit: usize) -> Result<usize> {
        let mut tables = self.tables();
        let Some(table) = tables.by_kind.get_mut(kind) else { return Ok(0) };
        let keys = table.expired(now).take(limit).cloned().collect();
        Ok(table.take(keys).len())
    }

    async fn count(&self, kind: &'static str, now: i64) -> Result<u64> {
        let tables = self.tables();
        let live = tables.by_kind.get(kind).map_or(0, |table| table.live(now).count());
        Ok(u64::try_from(live).unwrap_or(u64::MAX))
    }

    async fn evict(
        &self,
        kind: &'static str,
        keep: u64,
        limit: usize,
        now: i64,
    ) -> Result<Vec<(String, Row)>> {
        let mut tables = self.tables();
        let Some(table) = tables.by_kind.get_mut(kind) else { return Ok(Vec::new()) };
        let keep = usize::try_from(keep).unwrap_or(usize::MAX);
        let excess = table.live(now).count().saturating_sub(keep);
        let keys = table.live(now).take(excess.min(limit)).cloned().collect();
        Ok(table.take(keys))
    }

    async fn ping(&self) -> Result<()> {
        Ok(())
    }
}
