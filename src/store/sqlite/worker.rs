//! The one thread that writes, and the connection that only looks.
//!
//! Writes wait for the disk, so they run on a thread of their own. Whatever has queued up while a
//! transaction was being written shares the next transaction: many writers pay for one flush, a lone
//! writer waits for nobody. Looking up one record waits for nothing and takes microseconds, less
//! than handing it to another thread and back: it happens where it is asked for.

use std::{
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use rusqlite::{Connection, Error, ErrorCode, TransactionBehavior, ffi};
use tokio::sync::{mpsc, oneshot};

use super::{
    super::backend::DataVersion,
    file,
    place::{self, Place},
    wal_index::WalIndex,
};
use crate::domain::failure::{Failure, FailureCode, Result};

/// How many jobs may wait; who comes later waits to be let in.
const QUEUE: usize = 1024;

/// How many jobs share a transaction at most, so that the first of them is not held up for long.
const BATCH: usize = 256;

/// What a caller is told to wait when it failed.
const TRY_AGAIN: Duration = Duration::from_secs(5);

/// What a job does to the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Nothing but look.
    Read,
    /// Change something.
    Write,
}

/// Sends jobs to the thread, which ends when this is dropped.
pub(super) struct Worker {
    queue: mpsc::Sender<Job>,
    reader: Mutex<Connection>,
    place: Place,
    // After the reader, and shared with the thread, which drops its own after the writer.
    index: Option<Arc<WalIndex>>,
}

struct Job {
    access: Access,
    run: Run,
}

/// Does the work, or takes note that it cannot be done.
type Run = Box<dyn FnOnce(Outcome<&Connection>) -> Announcement + Send>;

/// Tells the caller how its job went, once the fate of the transaction is known.
type Announcement = Box<dyn FnOnce(Outcome<()>)>;

/// Shared, because all jobs of a transaction fail with it.
type Outcome<T> = std::result::Result<T, Arc<Error>>;

impl Worker {
    /// Opens the file on a thread of its own.
    pub(super) async fn start(path: PathBuf) -> Result<Self> {
        let (queue, jobs) = mpsc::channel(QUEUE);
        let (opened, opening) = oneshot::channel();
        thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || match file::open(&path) {
                Err(failure) => drop(opened.send(Err(failure))),
                Ok(file::Connections { writer, reader, place, index }) => {
                    let index = index.map(Arc::new);
                    drop(opened.send(Ok((reader, place.clone(), index.clone()))));
                    work(writer, &place, index.as_deref(), jobs);
                    drop(index);
                }
            })
            .map_err(|error| {
                Failure::new(FailureCode::Internal, "The store's thread could not be started.")
                    .caused_by(error)
            })?;
        let (reader, place, index) = opening.await.or_else(|_| stopped())??;
        Ok(Self { queue, reader: Mutex::new(reader), place, index })
    }

    /// The version that the file has, unless that cannot be told.
    pub(super) fn data_version(&self) -> Result<Option<DataVersion>> {
        match self.place.check() {
            Ok(()) => Ok(self.index.as_ref().and_then(|index| index.version())),
            Err(moved) => failed(Arc::new(moved)),
        }
    }

    /// Looks something up by its key, on the caller's thread; sees every write that was answered
    /// before. While another process has the file locked (it opens or leaves it) the thread does it,
    /// which may wait.
    pub(super) async fn look<T: Send + 'static>(
        &self,
        job: impl Fn(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        if let Err(moved) = self.place.check() {
            return failed(Arc::new(moved));
        }
        // Never held while anything is awaited.
        let outcome = job(&self.reader.lock().unwrap_or_else(PoisonError::into_inner));
        match outcome {
            Err(error) if is_locked(&error) => self.run(Access::Read, job).await,
            outcome => outcome.map_err(Arc::new).or_else(failed),
        }
    }

    /// Runs `job` on the thread. A job that writes has reached the disk when this answers. A caller
    /// that stops waiting does not stop the job.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        access: Access,
        job: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        let (announce, announced) = oneshot::channel();
        let run = Box::new(move |connection: Outcome<&Connection>| {
            let outcome = connection.and_then(|connection| job(connection).map_err(Arc::new));
            let announcement: Announcement = Box::new(move |end: Outcome<()>| {
                drop(announce.send(end.and(outcome)));
            });
            announcement
        });
        self.queue.send(Job { access, run }).await.or_else(|_| stopped())?;
        announced.await.or_else(|_| stopped())?.or_else(failed)
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").finish_non_exhaustive()
    }
}

fn work(
    mut connection: Connection,
    place: &Place,
    index: Option<&WalIndex>,
    mut jobs: mpsc::Receiver<Job>,
) {
    while let Some(first) = jobs.blocking_recv() {
        let mut batch = vec![first];
        while batch.len() < BATCH {
            let Ok(job) = jobs.try_recv() else { break };
            batch.push(job);
        }
        let before = index.and_then(WalIndex::version);
        let written = || {
            if let Some(index) = index {
                index.noted(before.as_ref());
            }
        };
        perform(&mut connection, &|| place.check(), &written, batch);
    }
}

/// Runs the jobs in one transaction, if there is one that writes; `check` fails where the file is no
/// longer the one that whoever comes next will find, and `written` is told when something was written,
/// before anybody else is.
fn perform(
    connection: &mut Connection,
    check: &dyn Fn() -> Result<(), Error>,
    written: &dyn Fn(),
    batch: Vec<Job>,
) {
    if let Err(moved) = check() {
        return refuse(batch, moved);
    }
    if batch.iter().all(|job| job.access == Access::Read) {
        for job in batch {
            (job.run)(Ok(connection))(Ok(()));
        }
        return;
    }
    // Immediate: the lock is taken now, where waiting for another process is possible, and not
    // halfway through, where it is not.
    let transaction = match connection.transaction_with_behavior(TransactionBehavior::Immediate) {
        Ok(transaction) => transaction,
        Err(error) => return refuse(batch, error),
    };
    let changes = transaction.total_changes();
    let mut announcements = Vec::with_capacity(batch.len());
    for job in batch {
        // A full disk or a failed read ends the whole transaction at once. What came after it would
        // then be written on its own, while its caller is told that it was not.
        let usable = if transaction.is_autocommit() { Err(aborted()) } else { Ok(&*transaction) };
        announcements.push((job.run)(usable));
    }
    let has_changed = transaction.total_changes() != changes;
    let end = if transaction.is_autocommit() {
        Err(aborted())
    } else {
        let committed = transaction.commit();
        if has_changed && committed.is_ok() {
            written();
        }
        committed.and_then(|()| check()).map_err(Arc::new)
    };
    for announce in announcements {
        announce(end.clone());
    }
}

fn refuse(batch: Vec<Job>, error: Error) {
    let error = Arc::new(error);
    for job in batch {
        (job.run)(Err(Arc::clone(&error)))(Ok(()));
    }
}

fn aborted() -> Arc<Error> {
    let reason = "the transaction was rolled back by an earlier error".to_owned();
    Arc::new(Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_ABORT_ROLLBACK), Some(reason)))
}

fn is_locked(error: &Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

fn failed<T>(error: Arc<Error>) -> Result<T> {
    let (code, detail) = match error.sqlite_error_code() {
        _ if is_locked(&error) => {
            (FailureCode::StoreUnavailable, "The store is in use by another process.")
        }
        _ if place::has_moved(&error) => {
            (FailureCode::StoreUnavailable, "The store's file is no longer in its place.")
        }
        Some(ErrorCode::DiskFull) => {
            (FailureCode::StoreUnavailable, "The disk of the store is full.")
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            (FailureCode::Internal, "The store is damaged.")
        }
        _ => (FailureCode::Internal, "The store could not be read or written."),
    };
    Err(Failure::new(code, detail).retry_after(TRY_AGAIN).caused_by(error))
}

fn stopped<T>() -> Result<T> {
    Err(Failure::new(FailureCode::Internal, "The store has stopped."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE t (n INTEGER UNIQUE)").unwrap();
        connection
    }

    /// A job that executes `sql`, and where its answer arrives.
    fn job(sql: &'static str) -> (Job, oneshot::Receiver<Outcome<()>>) {
        let (announce, announced) = oneshot::channel();
        let run = Box::new(move |connection: Outcome<&Connection>| {
            let outcome = connection.and_then(|it| it.execute_batch(sql).map_err(Arc::new));
            let announcement: Announcement =
                Box::new(move |end| drop(announce.send(end.and(outcome))));
            announcement
        });
        (Job { access: Access::Write, run }, announced)
    }

    /// Runs the statements as one batch; which of them were answered with success?
    fn perform_all(connection: &mut Connection, statements: &[&'static str]) -> Vec<bool> {
        let (jobs, answers): (Vec<_>, Vec<_>) = statements.iter().map(|sql| job(sql)).unzip();
        perform(connection, &|| Ok(()), &|| {}, jobs);
        answers.into_iter().map(|mut answer| answer.try_recv().unwrap().is_ok()).collect()
    }

    fn rows(connection: &Connection) -> i64 {
        connection.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap()
    }

    #[tokio::test]
    async fn what_a_lock_keeps_from_the_reader_the_thread_waits_for() {
        let folder = tempfile::tempdir().unwrap();
        let worker = Worker::start(folder.path().join("store.db")).await.unwrap();
        let locked = |code| {
            move |connection: &Connection| {
                if connection.is_readonly("main")? {
                    return Err(Error::SqliteFailure(ffi::Error::new(code), None));
                }
                Ok("the writer")
            }
        };
        assert_eq!(worker.look(locked(ffi::SQLITE_BUSY)).await.unwrap(), "the writer");
        // Anything else is said at once.
        assert!(worker.look(locked(ffi::SQLITE_IOERR)).await.is_err());
    }

    #[test]
    fn one_failing_job_costs_the_others_nothing() {
        let mut connection = table();
        let one = "INSERT INTO t VALUES (1)";
        let answers = perform_all(&mut connection, &[one, one, "INSERT INTO t VALUES (2)"]);
        assert_eq!(answers, [true, false, true]);
        assert_eq!(rows(&connection), 2);
    }

    #[test]
    fn a_lost_transaction_is_nobodys_success() {
        let mut connection = table();
        let batch = ["INSERT INTO t VALUES (1)", "ROLLBACK", "INSERT INTO t VALUES (2)"];
        assert_eq!(perform_all(&mut connection, &batch), [false, false, false]);
        assert_eq!(rows(&connection), 0);
        assert_eq!(perform_all(&mut connection, &batch[..1]), [true]);
        assert_eq!(rows(&connection), 1);
    }

    /// The file is moved away in the middle of a transaction: it was written, and for nobody.
    #[test]
    fn what_was_written_to_a_moved_file_is_nobodys_success() {
        let mut connection = table();
        let looks = std::cell::Cell::new(0);
        let check = || {
            looks.set(looks.get() + 1);
            if looks.get() == 1 { Ok(()) } else { Err(Error::InvalidQuery) }
        };
        let (write, mut answer) = job("INSERT INTO t VALUES (1)");
        perform(&mut connection, &check, &|| {}, vec![write]);
        assert!(answer.try_recv().unwrap().is_err());
        assert_eq!((looks.get(), rows(&connection)), (2, 1));
        let (write, mut answer) = job("INSERT INTO t VALUES (2)");
        perform(&mut connection, &check, &|| {}, vec![write]);
        assert!(answer.try_recv().unwrap().is_err());
        assert_eq!((looks.get(), rows(&connection)), (3, 1), "it was not even tried");
    }

    #[test]
    fn a_failed_commit_is_nobodys_success() {
        let mut connection = table();
        connection
            .execute_batch(
                "PRAGMA foreign_keys = ON;
                 CREATE TABLE child (n INTEGER REFERENCES t (n) DEFERRABLE INITIALLY DEFERRED)",
            )
            .unwrap();
        let batch = ["INSERT INTO t VALUES (1)", "INSERT INTO child VALUES (99)"];
        assert_eq!(perform_all(&mut connection, &batch), [false, false]);
        assert_eq!(rows(&connection), 0);
    }
}
