//! Hears all that this process logs, at the loudest, and knows what must not be told.

use std::{
    io,
    sync::{
        Arc, Mutex, Once, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
    },
};

use pr_summarizer::{
    config::{LogFormat, LogSettings},
    telemetry,
};
use tracing_subscriber::fmt::MakeWriter;

use crate::fakes::canaries;

type Heard = Mutex<Vec<u8>>;

/// Who listens now.
static EARS: Mutex<Vec<Weak<Heard>>> = Mutex::new(Vec::new());

/// Bytes of logs that were looked through.
static SEARCHED: AtomicUsize = AtomicUsize::new(0);

/// What was logged in this process, by whomever, since it was opened. When it is dropped, it is
/// looked through.
pub struct Ear(Arc<Heard>);

impl Ear {
    pub fn open() -> Self {
        static BEGIN: Once = Once::new();
        BEGIN.call_once(|| {
            canaries::listen();
            let loudest = LogSettings { format: LogFormat::Text, filter: "trace".parse().unwrap() };
            tracing::subscriber::set_global_default(telemetry::subscriber(&loudest, Everyone))
                .expect("nobody else listens");
        });
        let heard = Arc::default();
        let mut ears = EARS.lock().unwrap_or_else(PoisonError::into_inner);
        ears.retain(|ear| ear.strong_count() > 0);
        ears.push(Arc::downgrade(&heard));
        Self(heard)
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            assert_tells_nothing(&String::from_utf8_lossy(&heard));
        }
    }
}

/// Fails if anything stands in a log that passed through any world, browser or client.
pub fn assert_tells_nothing(log: &str) {
    let (canaries, found) = canaries::found_in(log);
    let searched = SEARCHED.fetch_add(log.len(), Ordering::Relaxed) + log.len();
    println!("{canaries} canaries in {} bytes of a log ({searched} in all)", log.len());
    assert!(found.is_empty(), "in the log: {found:?}");
}

/// Writes to all who listen.
struct Everyone;

impl io::Write for Everyone {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        for ear in EARS.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            if let Some(heard) = ear.upgrade() {
                heard.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(line);
            }
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Everyone {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        Self
    }
}

#[test]
fn what_is_told_is_heard() {
    let ear = Ear::open();
    // No canary: everybody who listens hears it.
    tracing::trace!(target: "pr_summarizer::of_no_room", "a line at the loudest");
    let heard = String::from_utf8(ear.0.lock().unwrap().clone()).unwrap();
    assert!(heard.contains("TRACE pr_summarizer::of_no_room: a line at the loudest"), "{heard}");
}

#[test]
fn words_and_texts_are_found_wherever_they_stand() {
    canaries::listen();
    canaries::note("word", "Word_of-sixteen-or-more");
    canaries::note("text", "A text with spaces, and more.");
    for (log, count) in [
        ("?x=AAWord_of-sixteen-or-moreBB&", 1),
        ("Word_of-sixteen-or-mor", 0),
        ("told: A text with spaces, and more.", 1),
        ("Word_of-sixteen-or-more A text with spaces, and more.", 2),
    ] {
        assert_eq!(canaries::found_in(log).1.len(), count, "{log}");
    }
}
