//! Records in an `SQLite` file: one table, an index by expiry, and a counter for the versions.
//!
//! A write is answered only after its transaction is on the disk (write-ahead log, `synchronous =
//! FULL`). Several processes of one machine may share one file; writers wait for each other.

use std::path::Path;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension as _, Row as SqlRow, named_params};

use self::worker::{Access, Worker};
use super::backend::{Backend, Condition, DataVersion, Row, Version};
use crate::domain::failure::Result;

mod file;
mod wal_index;
mod place;
mod worker;

/// How many records go in one transaction, so that nobody's write waits long for it.
const STEP: usize = 500;

/// A handle on the connections and their thread.
#[derive(Debug)]
pub(super) struct Sqlite(Worker);

impl Sqlite {
    /// Opens the file, or makes it.
    pub(super) async fn open(path: &Path) -> Result<Self> {
        Worker::start(path.to_owned()).await.map(Self)
    }
}

#[async_trait]
impl Backend for Sqlite {
    fn data_version(&self) -> Result<Option<DataVersion>> {
        self.0.data_version()
    }

    async fn get(&self, kind: &'static str, key: &str, now: i64) -> Result<Option<Row>> {
        let key = key.to_owned();
        let select = move |connection: &Connection| {
            connection
                .prepare_cached(
                    "SELECT key, value, version, expires_at FROM record
                     WHERE kind = :kind AND key = :key AND expires_at > :now",
                )?
                .query_row(named_params! { ":kind": kind, ":key": key, ":now": now }, entry)
                .optional()
        };
        Ok(self.0.look(select).await?.map(|(_, row)| row))
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
        let key = key.to_owned();
        let write = move |connection: &Connection| {
            // A number is used up even when the condition fails: gaps do no harm, repeats would.
            let next: i64 = connection
                .prepare_cached("UPDATE sequence SET last = last + 1 RETURNING last")?
                .query_row([], |row| row.get(0))?;
            let changed = match condition {
                Condition::Absent => connection
                    .prepare_cached(
                        "INSERT INTO record (kind, key, value, version, expires_at)
                         VALUES (:kind, :key, :value, :next, :expires_at)
                         ON CONFLICT (kind, key) DO UPDATE SET
                             value = excluded.value,
                             version = excluded.version,
                             expires_at = excluded.expires_at
                         WHERE record.expires_at <= :now",
                    )?
                    .execute(named_params! {
                        ":kind": kind, ":key": key, ":value": value,
                        ":next": next, ":expires_at": expires_at, ":now": now,
                    })?,
                Condition::Unchanged(version) => connection
                    .prepare_cached(
                        "UPDATE record
                         SET value = :value, version = :next, expires_at = :expires_at
                         WHERE kind = :kind AND key = :key AND version = :version
                             AND expires_at > :now",
                    )?
                    .execute(named_params! {
                        ":kind": kind, ":key": key, ":value": value, ":version": version.0,
                        ":next": next, ":expires_at": expires_at, ":now": now,
                    })?,
            };
            Ok(changed == 1)
        };
        self.0.run(Access::Write, write).await
    }

    async fn remove(
        &self,
        kind: &'static str,
        key: &str,
        version: Option<Version>,
    ) -> Result<bool> {
        let key = key.to_owned();
        let delete = move |connection: &Connection| {
            let removed = connection
                .prepare_cached(
                    "DELETE FROM record
                     WHERE kind = :kind AND key = :key AND version = coalesce(:version, version)",
                )?
                .execute(named_params! {
                    ":kind": kind, ":key": key, ":version": version.map(|version| version.0),
                })?;
            Ok(removed == 1)
        };
        self.0.run(Access::Write, delete).await
    }

    async fn expired(
        &self,
        kind: &'static str,
        now: i64,
        limit: usize,
    ) -> Result<Vec<(String, Row)>> {
        let select = move |connection: &Connection| {
            connection
                .prepare_cached(
                    "SELECT key, value, version, expires_at FROM record
                     WHERE kind = :kind AND expires_at <= :now
                     ORDER BY expires_at, key LIMIT :limit",
                )?
                .query_map(
                    named_params! { ":kind": kind, ":now": now, ":limit": clamp(limit) },
                    entry,
                )?
                .collect()
        };
        self.0.run(Access::Read, select).await
    }

    async fn purge(&self, kind: &'static str, now: i64, limit: usize) -> Result<usize> {
        let mut removed = 0;
        while removed < limit {
            let step = STEP.min(limit - removed);
            let taken = self.purge_step(kind, now, step).await?;
            removed += taken;
            if taken < step {
                break;
            }
        }
        Ok(removed)
    }
    async fn count(&self, kind: &'static str, now: i64) -> Result<u64> {
        let count = move |connection: &Connection| live(connection, kind, now);
        Ok(self.0.run(Access::Read, count).await?.unsigned_abs())
    }

    async fn evict(
        &self,
        kind: &'static str,
        keep: u64,
        limit: usize,
        now: i64,
    ) -> Result<Vec<(String, Row)>> {
        let mut removed = Vec::new();
        while removed.len() < limit {
            let step = STEP.min(limit - removed.len());
            let taken = self.evict_step(kind, keep, step, now).await?;
            let is_last = taken.len() < step;
            removed.extend(taken);
            if is_last {
                break;
            }
        }
        Ok(removed)
    }

    async fn ping(&self) -> Result<()> {
        // A write, because a full or read-only disk still reads well.
        let touch = |connection: &Connection| {
            connection.prepare_cached("UPDATE sequence SET last = last + 1")?.execute([])
        };
        self.0.run(Access::Write, touch).await.map(drop)
    }
}

impl Sqlite {
    async fn purge_step(&self, kind: &'static str, now: i64, limit: usize) -> Result<usize> {
        let delete = move |connection: &Connection| {
            connection
                .prepare_cached(
                    "DELETE FROM record WHERE kind = :kind AND key IN (
                         SELECT key FROM record WHERE kind = :kind AND expires_at <= :now
                         ORDER BY expires_at, key LIMIT :limit)",
                )?
                .execute(named_params! { ":kind": kind, ":now": now, ":limit": clamp(limit) })
        };
        self.0.run(Access::Write, delete).await
    }

    async fn evict_step(
        &self,
        kind: &'static str,
        keep: u64,
        limit: usize,
        now: i64,
    ) -> Result<Vec<(String, Row)>> {
        let evict = move |connection: &Connection| {
            let keep = i64::try_from(keep).unwrap_or(i64::MAX);
            let excess = (live(connection, kind, now)? - keep).clamp(0, clamp(limit));
            let mut removed: Vec<(String, Row)> = connection
                .prepare_cached(
                    "DELETE FROM record WHERE kind = :kind AND key IN (
                         SELECT key FROM record WHERE kind = :kind AND expires_at > :now
                         ORDER BY expires_at, key LIMIT :excess)
                     RETURNING key, value, version, expires_at",
                )?
                .query_map(named_params! { ":kind": kind, ":now": now, ":excess": excess }, entry)?
                .collect::<rusqlite::Result<_>>()?;
            // `RETURNING` promises no order.
            removed.sort_by(|(a, x), (b, y)| (x.expires_at, a).cmp(&(y.expires_at, b)));
            Ok(removed)
        };
        self.0.run(Access::Write, evict).await
    }
}

fn live(connection: &Connection, kind: &str, now: i64) -> rusqlite::Result<i64> {
    connection
        .prepare_cached("SELECT count(*) FROM record WHERE kind = :kind AND expires_at > :now")?
        .query_row(named_params! { ":kind": kind, ":now": now }, |row| row.get(0))
}

fn entry(row: &SqlRow<'_>) -> rusqlite::Result<(String, Row)> {
    let key = row.get(0)?;
    Ok((key, Row { value: row.get(1)?, version: Version(row.get(2)?), expires_at: row.get(3)? }))
}

fn clamp(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
