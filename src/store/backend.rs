//! What a place to keep records must be able to do.
//!
//! The contract is small on purpose: a key-value table with compare-and-set and an index by expiry.
//! A database does it with one table, a key-value server with a hash, a sorted set and a few lines
//! of script. Times are Unix milliseconds and come from the caller, so that every backend agrees on
//! what is expired whatever its own clock says.

use std::fmt;

use async_trait::async_trait;

use crate::domain::failure::Result;

/// Marks one state of one record. Every write in a store gets a version that no write had before:
/// a record that was removed and inserted again never matches a version read earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub(super) i64);

/// A record as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// JSON text.
    pub value: String,
    /// Which state this is.
    pub version: Version,
    /// When it expires, in Unix milliseconds; it is expired *at* this moment, not after it.
    pub expires_at: i64,
}

/// Changes with every write, by whomever: while it is the same, so is everything that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataVersion([u8; 48]);

impl DataVersion {
    /// Told by these bytes.
    #[cfg(any(target_os = "linux", test))]
    pub(super) fn new(bytes: [u8; 48]) -> Self {
        Self(bytes)
    }
}

/// When a write may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// There is no live record. An expired one that nobody has removed yet is overwritten.
    Absent,
    /// The live record is still in this state.
    Unchanged(Version),
}

/// A place to keep records. `kind` separates the record types, `now` is in Unix milliseconds.
#[async_trait]
pub trait Backend: fmt::Debug + Send + Sync {
    /// The version of all that is kept, every acknowledged write included, if that is told much faster
    /// than a record is read.
    ///
    /// # Errors
    /// Those of [`Backend::get`].
    fn data_version(&self) -> Result<Option<DataVersion>> {
        Ok(None)
    }

    /// The live record under `key`.
    async fn get(&self, kind: &'static str, key: &str, now: i64) -> Result<Option<Row>>;

    /// Writes if the condition holds, and says whether it did. Once it has answered `true`, the
    /// record survives whatever the backend promises to survive.
    async fn put(
        &self,
        kind: &'static str,
        key: &str,
        value: String,
        expires_at: i64,
        condition: Condition,
        now: i64,
    ) -> Result<bool>;

    /// Removes the record, live or expired, if its version is the given one or none is given.
    async fn remove(&self, kind: &'static str, key: &str, version: Option<Version>)
    -> Result<bool>;

    /// Expired records that are still there, longest expired first, then by key.
    async fn expired(
        &self,
        kind: &'static str,
        now: i64,
        limit: usize,
    ) -> Result<Vec<(String, Row)>>;

    /// Removes up to `limit` expired records and says how many.
    async fn purge(&self, kind: &'static str, now: i64, limit: usize) -> Result<usize>;

    /// How many live records there are.
    async fn count(&self, kind: &'static str, now: i64) -> Result<u64>;

    /// Removes live records beyond the first `keep`, at most `limit`, soonest to expire first (then
    /// by key), and answers what it removed.
    async fn evict(
        &self,
        kind: &'static str,
        keep: u64,
        limit: usize,
        now: i64,
    ) -> Result<Vec<(String, Row)>>;

    /// Fails unless records can be read and written now.
    async fn ping(&self) -> Result<()>;
}
