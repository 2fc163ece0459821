//! Whether the file is still where it was opened.
//!
//! A file that was moved away, deleted or replaced can be written to as long as it is open, and what
//! is written is lost with the process. Looking costs a microsecond, so it is done before
//! each use and after each write, and nothing is acknowledged that nobody will find again. Put back, it is used again.

use std::{fs, io, path::PathBuf};

use rusqlite::{Error, ffi};

/// The file that was opened: its path, and which file that was.
#[derive(Debug, Clone)]
pub(super) struct Place {
    path: PathBuf,
    identity: Option<Identity>,
}

/// Device and number of a file. On Windows, where an open file cannot be moved or deleted, nothing is
/// compared.
type Identity = (u64, u64);

impl Place {
    /// Of the file that is there now.
    pub(super) fn of(path: PathBuf) -> io::Result<Self> {
        let identity = identity(&fs::metadata(&path)?);
        Ok(Self { path, identity })
    }

    /// Fails unless the same file is still there.
    pub(super) fn check(&self) -> Result<(), Error> {
        let Some(opened) = self.identity else { return Ok(()) };
        let what = match fs::metadata(&self.path).map(|found| identity(&found)) {
            Ok(Some(found)) if found == opened => return Ok(()),
            Ok(_) => "another file is in its place".to_owned(),
            Err(error) => error.kind().to_string(),
        };
        let reason = format!(
            "{}: {what}; put the file back that was there when the server started, or restart the \
             server to use what is there",
            self.path.display(),
        );
        Err(Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_READONLY_DBMOVED), Some(reason)))
    }
}

/// Whether [`Place::check`] said it.
pub(super) fn has_moved(error: &Error) -> bool {
    error.sqlite_error().is_some_and(|it| it.extended_code == ffi::SQLITE_READONLY_DBMOVED)
}

#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "elsewhere there is none")]
fn identity(file: &fs::Metadata) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt as _;
    Some((file.dev(), file.ino()))
}

#[cfg(not(unix))]
fn identity(_: &fs::Metadata) -> Option<Identity> {
    None
}
