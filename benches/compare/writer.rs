//! Somebody else who writes to the store of our server, as another process of it would.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use rusqlite::Connection;

/// Writes until it is dropped.
pub struct Writer {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// One transaction after the other, none of which waits for the disk or changes a record.
    pub fn start(store: &Path) -> Self {
        let connection = Connection::open(store).unwrap();
        connection.pragma_update(None, "synchronous", "OFF").unwrap();
        let is_over = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&is_over);
        let thread = thread::spawn(move || {
            while !told.load(Ordering::Relaxed) {
                connection.execute("UPDATE sequence SET last = last + 1", []).unwrap();
            }
        });
        Self { is_over, thread: Some(thread) }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.take().map(JoinHandle::join).unwrap().unwrap();
    }
}
