//! The machine's clock, which the scripts of `--serve` can put forward: what ends after an hour ends
//! within a test.

use std::sync::{Arc, Mutex, PoisonError};

use chrono::Duration;
use pr_summarizer::domain::{Clock, SystemClock, Timestamp};

/// Runs with the machine's, ahead of it by what it was put forward.
#[derive(Debug, Clone, Default)]
pub(crate) struct SceneClock(Arc<Mutex<Duration>>);

impl SceneClock {
    pub(crate) fn put_forward(&self, by: Duration) {
        let mut ahead = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *ahead += by;
    }
}

impl Clock for SceneClock {
    fn now(&self) -> Timestamp {
        SystemClock.now() + *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
