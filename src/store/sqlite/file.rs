//! Opening the file: whose it is, whether it is sound, and how old.

use std::{
    fs::{self, OpenOptions},
    io,
    path::Path,
    thread,
    time::Duration,
};

use rusqlite::{Connection, Error, ErrorCode, OpenFlags, TransactionBehavior};

use super::{place::Place, wal_index::WalIndex};
use crate::domain::failure::{Failure, FailureCode, Result};

/// Marks the file as ours ("PRSM"). Source: <https://www.sqlite.org/fileformat2.html#application_id>
const APPLICATION_ID: i64 = 0x5052_534D;

/// How long a writer waits for another process.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Kibibytes of pages that each connection keeps: the system keeps the file in memory anyway.
const PAGE_CACHE_KIB: i64 = 512;

/// How often switching to the write-ahead log is tried, and how long apart: that lock does not heed
/// the busy timeout when two processes open a new file at the same time.
const WAL_TRIES: u32 = 100;
const WAL_PAUSE: Duration = Duration::from_millis(20);

/// Each step brings the file from the version that is its index to the next. Steps are never edited
/// once released, only added.
const MIGRATIONS: &[&str] = &["
    CREATE TABLE record (
        kind       TEXT    NOT NULL,
        key        TEXT    NOT NULL,
        value      TEXT    NOT NULL,
        version    INTEGER NOT NULL,
        expires_at INTEGER NOT NULL, -- Unix milliseconds
        PRIMARY KEY (kind, key)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX record_by_expiry ON record (kind, expires_at, key);
    CREATE TABLE sequence (
        id   INTEGER PRIMARY KEY CHECK (id = 1),
        last INTEGER NOT NULL
    ) STRICT;
    INSERT INTO sequence (id, last) VALUES (1, 0);
"];

/// The two connections to one file, where it is, and which version it has.
pub(super) struct Connections {
    /// Reads and writes, and waits for other processes where it must.
    pub(super) writer: Connection,
    /// Only reads, and waits for nobody: beside a write-ahead log it need not.
    pub(super) reader: Connection,
    pub(super) place: Place,
    /// To be dropped after both connections.
    pub(super) index: Option<WalIndex>,
}

/// Opens the file, or makes it, and brings it up to date.
pub(super) fn open(path: &Path) -> Result<Connections> {
    let place = make_private(path).and_then(|()| Place::of(path.to_owned())).map_err(|error| {
        let detail = format!(
            "The store {} could not be opened: {}. Check STATE_DIR or STORE_URL: the folder must \
             exist and be writable by this user.",
            path.display(),
            error.kind(),
        );
        Failure::new(FailureCode::Internal, detail).caused_by(error)
    })?;
    let opened = prepare(path).and_then(|writer| {
        let reader = reader(path)?;
        // `SQLite` puts the index beside the file itself, not beside a link to it.
        let index = fs::canonicalize(path).ok().and_then(|path| WalIndex::open(&path));
        Ok(Connections { writer, reader, place, index })
    });
    opened.map_err(|refusal| {
        let detail = format!("The store {} {}", path.display(), refusal.reason());
        let failure = Failure::new(FailureCode::Internal, detail);
        match refusal {
            Refusal::Sqlite(error) => failure.caused_by(error),
            Refusal::Damaged(report) => failure.caused_by(report),
            Refusal::Foreign | Refusal::Newer => failure,
        }
    })
}

/// Why a file is not used.
#[derive(Debug)]
enum Refusal {
    Sqlite(Error),
    Damaged(String),
    Foreign,
    Newer,
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Sqlite(error)
    }
}

impl Refusal {
    fn reason(&self) -> &'static str {
        let code = match self {
            Self::Sqlite(error) => error.sqlite_error_code(),
            Self::Damaged(_) => Some(ErrorCode::DatabaseCorrupt),
            Self::Foreign => {
                return "belongs to another program. Let STORE_URL name a file of its own.";
            }
            Self::Newer => {
                return "was written by a newer version of pr-summarizer. Start that version, or \
                        let STORE_URL name another file.";
            }
        };
        match code {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                "is damaged. Restore it from a backup, or move it away (with its -wal and -shm \
                 files) to start with an empty one: everybody then links GitHub once more."
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                "is locked by another process. Stop that process, or let STORE_URL name another \
                 file."
            }
            Some(ErrorCode::ReadOnly) => {
                "is read-only. Give this user the right to write to it and to its folder."
            }
            _ => "could not be opened. Check the file, its folder and the free space on the disk.",
        }
    }
}

/// Makes the file before `SQLite` does, so that there is no moment in which others may read it; the
/// files beside it (`-wal`, `-shm`) get the same permissions from `SQLite`.
/// One that is there is not opened: closing it would give up the locks that another store of this
/// process has on it.
fn make_private(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => drop(made?),
    }
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        if metadata.permissions().mode() & 0o077 != 0 {
            fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        }
    }
    Ok(())
}

fn prepare(path: &Path) -> Result<Connection, Refusal> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(32);
    connection.pragma_update(None, "cache_size", -PAGE_CACHE_KIB)?;
    // Reads the header, so a file that is no database is found here, before anything is written.
    let owner: i64 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if owner != APPLICATION_ID && (owner != 0 || tables != 0) {
        return Err(Refusal::Foreign);
    }
    let report: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if report != "ok" {
        return Err(Refusal::Damaged(report));
    }
    use_write_ahead_log(&connection)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // What is removed is overwritten, not only unlinked; and a file from elsewhere runs no code.
    connection.pragma_update(None, "secure_delete", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    migrate(&mut connection)?;
    Ok(connection)
}

fn reader(path: &Path) -> Result<Connection, Refusal> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(Duration::ZERO)?;
    connection.pragma_update(None, "cache_size", -PAGE_CACHE_KIB)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    Ok(connection)
}

fn use_write_ahead_log(connection: &Connection) -> Result<(), Refusal> {
    let mut tries = 1;
    loop {
        match connection.pragma_update(None, "journal_mode", "WAL") {
            Err(error)
                if tries < WAL_TRIES
                    && error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) =>
            {
                tries += 1;
                thread::sleep(WAL_PAUSE);
            }
            outcome => return Ok(outcome?),
        }
    }
}

fn migrate(connection: &mut Connection) -> Result<(), Refusal> {
    // Without the lock first: nearly every start finds nothing to do and should wait for nobody.
    if missing_steps(connection)?.is_empty() {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Again under the lock: another process may have migrated in the meantime.
    let missing = missing_steps(&transaction)?;
    for step in missing {
        transaction.execute_batch(step)?;
    }
    transaction.execute_batch(&format!(
        "PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {};",
        MIGRATIONS.len(),
    ))?;
    Ok(transaction.commit()?)
}

fn missing_steps(connection: &Connection) -> Result<&'static [&'static str], Refusal> {
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let done = usize::try_from(version).map_err(|_| Refusal::Newer)?;
    MIGRATIONS.get(done..).ok_or(Refusal::Newer)
}
