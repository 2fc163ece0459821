//! Which version the file has, as its WAL-index says.
//!
//! The index of the write-ahead log lies beside the store (`-shm`), and every process that has the
//! store open maps it. Its header names the last committed frame, a checksum over all frames up to
//! there, and salts that change when the log begins anew: equal headers mean equal content, whoever
//! writes. `SQLite` itself compares these bytes to see whether what a connection has read before is
//! still good (`walIndexTryHdr`). The header is replaced when a transaction takes effect, before its
//! writer hears of it.
//!
//! There are two copies of it; the one that is read here is written last. To read it in the middle of
//! a write, or as a writer left it who was killed between the two, can at worst pass for the version
//! before a write that nobody was told of.
//! Source: <https://www.sqlite.org/walformat.html#the_wal_index_header>
//!
//! Reading it costs a system call, where a transaction that reads costs two locks and more.

use std::{
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use super::super::backend::DataVersion;

/// The index, open for reading. A process that closes any descriptor of a file gives up its locks on
/// it, those of other descriptors too (fcntl(2)), and by locks on this file `SQLite` keeps processes
/// apart: so it is opened once a store, and closed after the connections of that store.
///
/// Whoever has written tells it ([`WalIndex::noted`]): an index that does not show what was written
/// is another file's, or is not what is mapped, and is not asked again.
#[derive(Debug)]
pub(super) struct WalIndex {
    #[cfg(target_os = "linux")]
    file: std::fs::File,
    is_of_another: AtomicBool,
}

impl WalIndex {
    /// What was written is in the store; `before` is the version that it had.
    pub(super) fn noted(&self, before: Option<&DataVersion>) {
        if before.is_some() && self.version().as_ref() == before {
            tracing::error!("the store's -shm file is not the one that is in use");
            self.is_of_another.store(true, Ordering::Relaxed);
        }
    }
}

#[cfg(target_os = "linux")]
impl WalIndex {
    /// The version of the format that is known here, and the byte that says that the header is there.
    const VERSION: u32 = 3_007_000;
    const IS_THERE: usize = 12;

    /// Of a store that is open. `None`: its version cannot be told.
    pub(super) fn open(store: &Path) -> Option<Self> {
        let mut path = store.as_os_str().to_owned();
        path.push("-shm");
        let file = std::fs::File::open(path).ok()?;
        Some(Self { file, is_of_another: AtomicBool::new(false) })
    }

    /// The version of the store; `None` while that cannot be told.
    pub(super) fn version(&self) -> Option<DataVersion> {
        use std::os::unix::fs::FileExt as _;
        if self.is_of_another.load(Ordering::Relaxed) {
            return None;
        }
        let mut header = [0; 48];
        self.file.read_exact_at(&mut header, 0).ok()?;
        let version = u32::from_ne_bytes(*header.first_chunk()?);
        let is_there = version == Self::VERSION && header.get(Self::IS_THERE) == Some(&1);
        is_there.then(|| DataVersion::new(header))
    }
}

/// Elsewhere it is not certain that what is read is what others have mapped.
#[cfg(not(target_os = "linux"))]
impl WalIndex {
    /// The version cannot be told.
    pub(super) fn open(_: &Path) -> Option<Self> {
        None
    }

    /// The version cannot be told.
    pub(super) fn version(&self) -> Option<DataVersion> {
        None
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// The header of an index, as far as it is looked at.
    fn index(change: u8) -> [u8; 48] {
        let mut header = [0; 48];
        header[..4].copy_from_slice(&WalIndex::VERSION.to_ne_bytes());
        (header[8], header[WalIndex::IS_THERE]) = (change, 1);
        header
    }

    #[test]
    fn an_index_that_does_not_show_what_was_written_is_not_asked_again() {
        let folder = tempfile::tempdir().unwrap();
        let (store, beside) = (folder.path().join("a.db"), folder.path().join("a.db-shm"));
        assert!(WalIndex::open(&store).is_none());
        std::fs::write(&beside, [0; 48]).unwrap();
        let found = WalIndex::open(&store).unwrap();
        assert_eq!(found.version(), None, "nothing is there yet");
        std::fs::write(&beside, index(1)).unwrap();
        let before = found.version();
        assert!(before.is_some());
        std::fs::write(&beside, index(2)).unwrap();
        found.noted(before.as_ref());
        let before = found.version();
        assert!(before.is_some());
        found.noted(before.as_ref());
        assert_eq!(found.version(), None);
    }
}
