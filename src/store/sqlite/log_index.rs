//! Which state the file is in, as the index of its write-ahead log says.
//!
//! That index lies beside the store (`-shm`), and every process that has the store open maps it. Its
//! header names the last committed frame of the log, a checksum over all frames up to there, and
//! salts that change when the log begins anew: equal headers mean equal content, whoever writes. It
//! is replaced when a transaction takes effect, before its writer hears of it.
//! Source: <https://www.sqlite.org/walformat.html#the_wal_index_header>
//!
//! Reading it costs a system call, where a transaction that reads costs two locks and more.

use std::path::Path;

use super::super::backend::Snapshot;

/// The index, open for reading. **Must outlive all connections of this process to the store**: a
/// process that closes any descriptor of a file gives up its locks on it, those of other
/// descriptors too (fcntl(2)), and by locks on this file `SQLite` keeps processes apart.
#[derive(Debug)]
pub(super) struct LogIndex(#[cfg(target_os = "linux")] std::fs::File);

#[cfg(target_os = "linux")]
impl LogIndex {
    /// The version of the format that is known here, and the byte that says that the header is there.
    const VERSION: u32 = 3_007_000;
    const IS_THERE: usize = 12;

    /// Of a store that is open. `None`: its state cannot be told.
    pub(super) fn open(store: &Path) -> Option<Self> {
        let mut path = store.as_os_str().to_owned();
        path.push("-shm");
        std::fs::File::open(path).ok().map(Self)
    }

    /// The state of the store; `None` while that cannot be told.
    pub(super) fn snapshot(&self) -> Option<Snapshot> {
        use std::os::unix::fs::FileExt as _;
        // The first of its two copies, which is written last.
        let mut header = [0; 48];
        self.0.read_exact_at(&mut header, 0).ok()?;
        let version = u32::from_ne_bytes(*header.first_chunk()?);
        let is_there = version == Self::VERSION && header.get(Self::IS_THERE) == Some(&1);
        is_there.then(|| Snapshot::new(header))
    }
}

/// Elsewhere it is not certain that what is read is what others have mapped.
#[cfg(not(target_os = "linux"))]
impl LogIndex {
    /// The state cannot be told.
    pub(super) fn open(_: &Path) -> Option<Self> {
        None
    }

    /// The state cannot be told.
    pub(super) fn snapshot(&self) -> Option<Snapshot> {
        None
    }
}
