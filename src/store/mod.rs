//! WHAT LASTS. Typed records under string keys, with compare-and-set and expiry.
//!
//! Whoever keeps something declares a [`Record`] and reads and writes it through a [`Store`]. There
//! are no transactions over several records: a design that needs one is asking for a record that
//! holds both, or for an order of writes in which every step alone is safe. That keeps the store
//! small enough to be implemented by anything with a key, a compare-and-set and a sorted index.
//!
//! Keys are public: who holds a bearer secret stores it under its digest. Values are JSON text, which
//! a store that outlives the process [seals](Store::sealed): backends then see ciphertext.
//! Time comes from the [`Clock`] the store was made with; a record that has expired reads as absent
//! at once, and stays on the disk until somebody has acted on it ([`Store::expired`]) or nobody
//! needs to ([`Store::purge`]).

use std::{borrow::Cow, path::Path, sync::Arc, time::Duration};

use chrono::DateTime;
use serde::{Serialize, de::DeserializeOwned};

pub use backend::{Backend, Condition, DataVersion, Row, Version};
pub use memory::Memory;
pub use redis::RedisAddress;
pub use seal::Seal;

use cache::Cache;

use crate::domain::{
    Entropy,
    clock::{Clock, Timestamp},
    failure::{Failure, FailureCode, Result},
};

mod backend;
mod cache;
mod memory;

mod redis;
mod seal;
mod sealed;
mod sqlite;
#[cfg(test)]
mod tests;

/// The longest key, in bytes.
pub const MAX_KEY_BYTES: usize = 256;

/// The longest value, in bytes of JSON.
pub const MAX_VALUE_BYTES: usize = 256 * 1024;

/// How often [`Store::update`] tries before it gives up. In every round somebody wins, so this many
/// callers may change one record at the same time.
const UPDATE_TRIES: usize = 100;

/// Something that is kept.
pub trait Record: Serialize + DeserializeOwned + Clone + Send + Sync + 'static {
    /// Separates this kind of records from all others. Once used, it must not change.
    const KIND: &'static str;

    /// Read by nearly every call: where the backend can tell its [`DataVersion`] (`SQLite` on Linux),
    /// an opened copy stays in memory until something is written.
    const IS_READ_OFTEN: bool = false;
}

/// A record as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versioned<R> {
    /// What is kept.
    pub value: R,
    /// Which state of the record this is.
    pub version: Version,
    /// From this moment on the record reads as absent; kept in whole milliseconds.
    pub expires_at: Timestamp,
}

/// What the closure of [`Store::update`] decided, with its answer to the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change<T> {
    /// Write the value and the expiry as they are now.
    Write(T),
    /// Leave the record as it was; whatever was changed in the copy is forgotten.
    Leave(T),
}

/// Keeps records. Cheap to clone; all clones are the same store.
#[derive(Debug, Clone)]
pub struct Store {
    backend: Arc<dyn Backend>,
    clock: Arc<dyn Clock>,
    seal: Option<Arc<Seal>>,
    cache: Arc<Cache>,
}

impl Store {
    /// A store on any backend.
    pub fn new(backend: Arc<dyn Backend>, clock: Arc<dyn Clock>) -> Self {
        Self { backend, clock, seal: None, cache: Arc::default() }
    }

    /// A store that is gone when the process ends.
    pub fn memory(clock: Arc<dyn Clock>) -> Self {
        Self::new(Arc::new(Memory::default()), clock)
    }

    /// A store in an `SQLite` file, which is made (readable by its owner only) if it is missing.
    ///
    /// A process opens a file once: when one of two such stores goes, the other's locks go with it,
    /// and other processes no longer notice it (fcntl(2)).
    ///
    /// Refuses a file that is damaged, belongs to another program or was written by a newer version
    /// of this one. The failure's sentence names the file and is meant for the operator.
    pub async fn sqlite(path: &Path, clock: Arc<dyn Clock>) -> Result<Self> {
        Ok(Self::new(Arc::new(sqlite::Sqlite::open(path).await?), clock))
    }

    /// A store in Redis or Valkey, which several instances may share.
    ///
    /// Waits some seconds for a server that is starting. The failure's sentence names the server
    /// without its password and is meant for the operator.
    pub async fn redis(
        address: &RedisAddress,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self> {
        Ok(Self::new(Arc::new(redis::Redis::open(address, entropy).await?), clock))
    }

    /// Where its records are kept, for tests that put something in between.
    #[doc(hidden)]
    pub fn backend(&self) -> Arc<dyn Backend> {
        Arc::clone(&self.backend)
    }

    /// The record under `key`, unless it has expired. One that is sealed under an older key is written
    /// anew on this occasion; one under a key that was dropped counts as absent.
    pub async fn get<R: Record>(&self, key: &str) -> Result<Option<Versioned<R>>> {
        if !R::IS_READ_OFTEN {
            return Ok(self.read(key).await?.map(|(record, _)| record));
        }
        // Asked before the record is read: a copy of what is written in between is good for nothing,
        // while one that is kept under a later version would be told when the record is long gone.
        let Some(version) = self.backend.data_version()? else {
            return Ok(self.read(key).await?.map(|(record, _)| record));
        };
        if let Some(copy) = self.cache.get::<R>(&version, key) {
            return Ok((copy.expires_at.timestamp_millis() > self.now()).then_some(copy));
        }
        let Some((record, length)) = self.read::<R>(key).await? else { return Ok(None) };
        if length <= cache::LONGEST {
            self.cache.keep(&version, key, &record);
        }
        Ok(Some(record))
    }

    /// The record, and how long it is as it is kept, in bytes.
    async fn read<R: Record>(&self, key: &str) -> Result<Option<(Versioned<R>, usize)>> {
        loop {
            let Some(row) = self.backend.get(R::KIND, key, self.now()).await? else {
                return Ok(None);
            };
            if self.is_lost(&row) {
                tracing::warn!(
                    kind = R::KIND,
                    "a record is sealed under a SESSION_SECRET that was dropped; it counts as absent"
                );
                return Ok(None);
            }
            let (record, is_fresh) = self.open(key, &row)?;
            if is_fresh {
                return Ok(Some((record, row.value.len())));
            }
            // Won or lost, what is there now is read once more.
            self.replace(key, row.version, &record.value, record.expires_at).await?;
        }
    }

    /// Keeps a new record. False: there is one already. An expired record does not count, not even
    /// while it waits for its sweeper, which then never sees it: keys of records that somebody must
    /// act on should not be used twice.
    pub async fn insert<R: Record>(
        &self,
        key: &str,
        value: &R,
        expires_at: Timestamp,
    ) -> Result<bool> {
        if self.put(key, value, expires_at, Condition::Absent).await? {
            return Ok(true);
        }
        // What can never be read again must not stand in the way.
        match self.backend.get(R::KIND, key, self.now()).await? {
            Some(row) if self.is_lost(&row) => {
                self.put(key, value, expires_at, Condition::Unchanged(row.version)).await
            }
            _ => Ok(false),
        }
    }

    /// Overwrites the record if it is still in the state `version`. False: it was changed, removed,
    /// or has expired since it was read.
    pub async fn replace<R: Record>(
        &self,
        key: &str,
        version: Version,
        value: &R,
        expires_at: Timestamp,
    ) -> Result<bool> {
        self.put(key, value, expires_at, Condition::Unchanged(version)).await
    }

    /// Removes the record, expired or not. False: there was none.
    pub async fn remove<R: Record>(&self, key: &str) -> Result<bool> {
        self.backend.remove(R::KIND, key, None).await
    }

    /// Removes the record, expired or not, if it is still in the state `version`. Of several who
    /// try, one gets `true`.
    pub async fn remove_if<R: Record>(&self, key: &str, version: Version) -> Result<bool> {
        self.backend.remove(R::KIND, key, Some(version)).await
    }

    /// Reads, changes and writes the record, again from the start whenever somebody else was
    /// faster. `change` may therefore run several times: it should do nothing but look at its
    /// argument, set `value` and `expires_at`, and decide. `None`: there is no such record (any
    /// more).
    ///
    /// ```
    /// # use pr_summarizer::{domain::{SystemClock, failure::Result}, store::{Change, Record, Store}};
    /// # use serde::{Deserialize, Serialize};
    /// #[derive(Clone, Serialize, Deserialize)]
    /// struct Seats { left: u32 }
    ///
    /// impl Record for Seats {
    ///     const KIND: &'static str = "seats";
    /// }
    ///
    /// async fn take_a_seat(store: &Store) -> Result<bool> {
    ///     let taken = store
    ///         .update("hall", |seats: &mut pr_summarizer::store::Versioned<Seats>| {
    ///             match seats.value.left.checked_sub(1) {
    ///                 None => Change::Leave(false),
    ///                 Some(left) => {
    ///                     seats.value.left = left;
    ///                     Change::Write(true)
    ///                 }
    ///             }
    ///         })
    ///         .await?;
    ///     Ok(taken.unwrap_or(false))
    /// }
    /// ```
    pub async fn update<R: Record, T: Send>(
        &self,
        key: &str,
        mut change: impl FnMut(&mut Versioned<R>) -> Change<T> + Send,
    ) -> Result<Option<T>> {
        for _ in 0..UPDATE_TRIES {
            let Some(mut record) = self.get::<R>(key).await? else { return Ok(None) };
            let version = record.version;
            match change(&mut record) {
                Change::Leave(answer) => return Ok(Some(answer)),
                Change::Write(answer) => {
                    if self.replace(key, version, &record.value, record.expires_at).await? {
                        return Ok(Some(answer));
                    }
                }
            }
        }
        Err(Failure::new(FailureCode::TooManyRequests, "Too many changes at once to one record.")
            .retry_after(Duration::from_secs(1)))
    }

    /// Records that have expired and are still there, longest expired first. A sweeper does for
    /// each what must be done, then calls [`Store::remove_if`] with its version.
    pub async fn expired<R: Record>(&self, limit: usize) -> Result<Vec<(String, Versioned<R>)>> {
        let rows = self.backend.expired(R::KIND, self.now(), limit).await?;
        let mut records = Vec::with_capacity(rows.len());
        for (key, row) in rows {
            match self.open(&key, &row) {
                Ok((record, _)) => records.push((key, record)),
                // Nobody can act on what cannot be read; left in place, it would come back first
                // in every sweep and in the end be all that a sweep sees.
                Err(failure) => {
                    tracing::warn!(kind = R::KIND, %failure, "dropping an unreadable record");
                    self.backend.remove(R::KIND, &key, Some(row.version)).await?;
                }
            }
        }
        Ok(records)
    }

    /// Removes up to `limit` expired records that nobody needs to act on, and says how many.
    pub async fn purge<R: Record>(&self, limit: usize) -> Result<usize> {
        self.backend.purge(R::KIND, self.now(), limit).await
    }

    /// How many live records there are. Costs a walk over an index: for sweeps, not for each call.
    pub async fn count<R: Record>(&self) -> Result<u64> {
        self.backend.count(R::KIND, self.now()).await
    }

    /// Makes room: removes live records beyond `keep`, those first that would expire first, at most
    /// `limit` of them, and answers what it removed. Costs as much as [`Store::count`].
    pub async fn evict<R: Record>(
        &self,
        keep: u64,
        limit: usize,
    ) -> Result<Vec<(String, Versioned<R>)>> {
        let rows = self.backend.evict(R::KIND, keep, limit, self.now()).await?;
        // An unreadable record is gone like the others, there is only nothing to tell about it.
        Ok(rows
            .into_iter()
            .filter_map(|(key, row)| {
                let (record, _) = self.open(&key, &row).ok()?;
                Some((key, record))
            })
            .collect())
    }

    /// Fails unless records can be read and written now.
    pub async fn ping(&self) -> Result<()> {
        self.backend.ping().await
    }

    fn now(&self) -> i64 {
        self.clock.now().timestamp_millis()
    }

    async fn put<R: Record>(
        &self,
        key: &str,
        value: &R,
        expires_at: Timestamp,
        condition: Condition,
    ) -> Result<bool> {
        let value = serde_json::to_string(value).map_err(|error| {
            Failure::new(FailureCode::Internal, "A record could not be written.").caused_by(error)
        })?;
        if key.len() > MAX_KEY_BYTES || value.len() > MAX_VALUE_BYTES {
            return Err(Failure::new(FailureCode::Internal, "A record is too large to be kept."));
        }
        let value = match &self.seal {
            Some(seal) => seal.close(R::KIND, key, &value)?,
            None => value,
        };
        let expires_at = expires_at.timestamp_millis();
        self.backend.put(R::KIND, key, value, expires_at, condition, self.now()).await
    }

    /// Whether a row is sealed under a secret that was dropped.
    fn is_lost(&self, row: &Row) -> bool {
        self.seal.as_ref().is_some_and(|seal| seal.is_lost(&row.value))
    }

    /// What a row holds, and whether it is sealed as it would be now.
    fn open<R: Record>(&self, key: &str, row: &Row) -> Result<(Versioned<R>, bool)> {
        let unreadable =
            || Failure::new(FailureCode::Internal, format!("A kept {} cannot be read.", R::KIND));
        let (text, is_fresh) = match &self.seal {
            Some(seal) => seal
                .open(R::KIND, key, &row.value)
                .map(|(text, is_fresh)| (Cow::Owned(text), is_fresh))
                .map_err(|why| unreadable().caused_by(why.to_string()))?,
            None => (Cow::Borrowed(row.value.as_str()), true),
        };
        // The error's own words may quote the value: only its kind goes on.
        let value = serde_json::from_str(&text)
            .map_err(|error| unreadable().caused_by(format!("{:?} error", error.classify())))?;
        let expires_at = DateTime::from_timestamp_millis(row.expires_at).ok_or_else(unreadable)?;
        Ok((Versioned { value, version: row.version, expires_at }, is_fresh))
    }
}
