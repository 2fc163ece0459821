//! Records in Redis or Valkey, for several instances of the server.
//!
//! A record is a hash; each kind has a sorted set of its keys by expiry. What must not be torn apart
//! is a few lines of script, which the server runs whole. All names of a kind share a hash tag, so
//! that they lie in one slot of a cluster. Versions are drawn at random: no counter that a restored
//! backup could set back, and a write whose answer was lost is known when it is sent again.
//!
//! Expiry is decided by the caller's clock like everywhere else. Redis is told to drop a record only
//! [`SAFETY_NET`] later, should nobody ever sweep it.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use redis::{Cmd, Script, cmd};

use self::link::{Link, Retry};
use super::backend::{Backend, Condition, Row, Version};
use crate::domain::{Entropy, failure::Result};

pub use self::address::RedisAddress;

mod address;
mod link;

/// How long after its expiry a record that no sweeper took is dropped: longer than any outage of
/// Scalekit during which an account waits for its deletion.
const SAFETY_NET: Duration = Duration::from_hours(30 * 24);

/// How many records one script touches, so that nobody waits long for Redis to answer.
const BATCH: usize = 500;

/// Everything after this moment: the top of a sorted set.
const END_OF_TIME: &str = "+inf";

/// A handle on the connection to the server.
pub(super) struct Redis {
    link: Link,
    scripts: Scripts,
    entropy: Arc<dyn Entropy>,
}

struct Scripts {
    put: Script,
    remove: Script,
    take: Script,
}

/// A row as the scripts and `HMGET` answer it: value, version, expiry.
type Fields = (Option<String>, Option<i64>, Option<i64>);

impl Redis {
    /// Connects, and refuses a server that cannot keep what it is given.
    pub(super) async fn open(address: &RedisAddress, entropy: Arc<dyn Entropy>) -> Result<Self> {
        let scripts = Scripts {
            put: Script::new(include_str!("put.lua")),
            remove: Script::new(include_str!("remove.lua")),
            take: Script::new(include_str!("take.lua")),
        };
        Ok(Self { link: Link::open(address).await?, scripts, entropy })
    }

    /// Removes records of which `ARGV` of `take.lua` speaks, in small steps, up to `limit`.
    async fn take(
        &self,
        kind: &'static str,
        (from, to): (&str, &str),
        keep: u64,
        limit: usize,
        with_rows: bool,
    ) -> Result<Vec<(String, Row)>> {
        let names = Names(kind);
        let mut taken = Vec::new();
        while taken.len() < limit {
            let step = BATCH.min(limit - taken.len());
            let mut invocation = self.scripts.take.prepare_invoke();
            invocation.key(names.index()).arg(names.prefix()).arg(from).arg(to);
            invocation.arg(keep).arg(step).arg(u8::from(with_rows));
            let rows: Vec<(String, String, i64, i64)> =
                self.link.run_script(&invocation, Retry::Freely).await?;
            let is_last = rows.len() < step;
            taken.extend(rows.into_iter().map(|(key, value, version, expires_at)| {
                (key, Row { value, version: Version(version), expires_at })
            }));
            if is_last {
                break;
            }
        }
        Ok(taken)
    }

    /// Drops keys from an index whose records Redis has dropped by itself. No record has this
    /// version, so one that was made anew in between stays.
    async fn forget(&self, kind: &'static str, keys: &[String]) -> Result<()> {
        for key in keys {
            let mut invocation = self.scripts.remove.prepare_invoke();
            invocation.key(Names(kind).record(key)).key(Names(kind).index()).arg("gone").arg(key);
            let _: u8 = self.link.run_script(&invocation, Retry::Freely).await?;
        }
        Ok(())
    }

    fn next_version(&self) -> i64 {
        let mut bytes = [0_u8; 8];
        self.entropy.fill(&mut bytes);
        i64::from_be_bytes(bytes)
    }
}

#[async_trait]
impl Backend for Redis {
    async fn get(&self, kind: &'static str, key: &str, now: i64) -> Result<Option<Row>> {
        let fields: Fields = self.link.run(&read(&Names(kind).record(key))).await?;
        Ok(row(fields).filter(|row| row.expires_at > now))
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
        let names = Names(kind);
        let expected = match condition {
            Condition::Absent => String::new(),
            Condition::Unchanged(version) => version.0.to_string(),
        };
        let net = i64::try_from(SAFETY_NET.as_millis()).unwrap_or(i64::MAX);
        let keep_for = expires_at.saturating_sub(now).max(0).saturating_add(net);
        let mut invocation = self.scripts.put.prepare_invoke();
        invocation.key(names.record(key)).key(names.index());
        invocation.arg(self.next_version()).arg(expected).arg(now);
        invocation.arg(key).arg(value).arg(expires_at).arg(keep_for);
        self.link.run_script(&invocation, Retry::Freely).await
    }

    async fn remove(
        &self,
        kind: &'static str,
        key: &str,
        version: Option<Version>,
    ) -> Result<bool> {
        let names = Names(kind);
        let mut invocation = self.scripts.remove.prepare_invoke();
        invocation.key(names.record(key)).key(names.index());
        invocation.arg(version.map(|version| version.0.to_string()).unwrap_or_default()).arg(key);
        // Whoever is told `true` acts on it, so a removal whose answer was lost is not asked again:
        // it would answer `false` for what it did itself.
        self.link.run_script(&invocation, Retry::Never).await
    }

    async fn expired(
        &self,
        kind: &'static str,
        now: i64,
        limit: usize,
    ) -> Result<Vec<(String, Row)>> {
        let names = Names(kind);
        let mut select = cmd("ZRANGEBYSCORE");
        select.arg(names.index()).arg("-inf").arg(now).arg("LIMIT").arg(0).arg(limit);
        let keys: Vec<String> = self.link.run(&select).await?;
        let mut rows = Vec::with_capacity(keys.len());
        let mut gone = Vec::new();
        for some in keys.chunks(BATCH) {
            let mut pipeline = redis::pipe();
            for key in some {
                pipeline.add_command(read(&names.record(key)));
            }
            let found: Vec<Fields> = self.link.run_pipeline(&pipeline).await?;
            for (key, fields) in some.iter().zip(found) {
                match row(fields) {
                    // Prolonged since the index was read: no longer expired.
                    Some(row) if row.expires_at > now => {}
                    Some(row) => rows.push((key.clone(), row)),
                    None => gone.push(key.clone()),
                }
            }
        }
        self.forget(kind, &gone).await?;
        Ok(rows)
    }

    async fn purge(&self, kind: &'static str, now: i64, limit: usize) -> Result<usize> {
        Ok(self.take(kind, ("-inf", &now.to_string()), 0, limit, false).await?.len())
    }

    async fn count(&self, kind: &'static str, now: i64) -> Result<u64> {
        let mut count = cmd("ZCOUNT");
        count.arg(Names(kind).index()).arg(after(now)).arg(END_OF_TIME);
        self.link.run(&count).await
    }

    async fn evict(
        &self,
        kind: &'static str,
        keep: u64,
        limit: usize,
        now: i64,
    ) -> Result<Vec<(String, Row)>> {
        self.take(kind, (&after(now), END_OF_TIME), keep, limit, true).await
    }

    async fn ping(&self) -> Result<()> {
        // A write, because a replica and a server without memory still read well.
        let mut touch = cmd("SET");
        touch.arg("prs:ping").arg(1).arg("PX").arg(60_000);
        self.link.run::<()>(&touch).await
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis").finish_non_exhaustive()
    }
}

/// The names of one kind's keys. The braces hold the hash tag.
#[derive(Clone, Copy)]
struct Names(&'static str);

impl Names {
    fn index(self) -> String {
        format!("prs:{{{}}}:by-expiry", self.0)
    }

    fn prefix(self) -> String {
        format!("prs:{{{}}}:record:", self.0)
    }

    fn record(self, key: &str) -> String {
        self.prefix() + key
    }
}

fn read(record: &str) -> Cmd {
    let mut read = cmd("HMGET");
    read.arg(record).arg("value").arg("version").arg("expires_at");
    read
}

fn row((value, version, expires_at): Fields) -> Option<Row> {
    Some(Row { value: value?, version: Version(version?), expires_at: expires_at? })
}

/// The lower bound of what is live: expired *at* its moment, so not that moment itself.
fn after(now: i64) -> String {
    format!("({now}")
}
