//! One call of ours, which all requests made for it share.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::{LONGEST, Purpose, breaker::Asker};

/// One call of ours: for whom, until when it may last, and what it has cost so far. Clones share the
/// count.
#[derive(Debug, Clone)]
pub struct Call {
    deadline: Instant,
    counts: Arc<Counts>,
    asker: Option<Asker>,
}

/// Attempts, retries included.
#[derive(Debug, Default)]
struct Counts {
    github: AtomicU32,
    in_all: AtomicU32,
}

impl Call {
    /// A call that ends at `deadline`.
    pub fn until(deadline: Instant) -> Self {
        Self { deadline, counts: Arc::default(), asker: None }
    }

    /// A call that ends after `time`, counted from now.
    pub fn within(time: Duration) -> Self {
        Self::until(Instant::now() + time.min(LONGEST))
    }

    /// The same call in the name of a caller, so that what they ask for is not held against an
    /// upstream more than once. Equal names are one caller; the name itself is not kept.
    #[must_use]
    pub fn asked_by(self, caller: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        caller.hash(&mut hasher);
        Self { asker: Some(Asker(hasher.finish())), ..self }
    }

    /// In whose name, if in anybody's.
    pub(super) fn asker(&self) -> Option<Asker> {
        self.asker
    }

    /// When it ends.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// How much time is left.
    pub fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Requests to GitHub so far, retries included.
    pub fn github_requests(&self) -> u32 {
        self.counts.github.load(Ordering::Relaxed)
    }

    /// Requests to any upstream so far, retries included.
    pub fn requests(&self) -> u32 {
        self.counts.in_all.load(Ordering::Relaxed)
    }

    /// The same call, ending `by` earlier, so that its caller keeps time for something else.
    #[must_use]
    pub fn shortened(&self, by: Duration) -> Self {
        let deadline = self.deadline.checked_sub(by).unwrap_or_else(Instant::now);
        Self { deadline, ..self.clone() }
    }

    /// The same call, ending after `time` at the latest.
    #[must_use]
    pub fn at_most(&self, time: Duration) -> Self {
        let deadline = self.deadline.min(Instant::now() + time.min(LONGEST));
        Self { deadline, ..self.clone() }
    }

    /// The same call with so much time from now on, whatever it had.
    #[must_use]
    pub fn renewed(&self, time: Duration) -> Self {
        Self { deadline: Instant::now() + time.min(LONGEST), ..self.clone() }
    }

    pub(super) fn count(&self, purpose: Purpose) {
        self.counts.in_all.fetch_add(1, Ordering::Relaxed);
        if purpose == Purpose::GitHub {
            self.counts.github.fetch_add(1, Ordering::Relaxed);
        }
    }
}
