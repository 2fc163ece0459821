//! One lane for each upstream: its breaker and its retry budget, shared by everybody's requests.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::{
    Answer, TransportError, TransportSettings,
    breaker::{Asker, Breaker, BreakerState, Change, Failed, FailureKind},
};

use crate::measure;

/// How an upstream is doing, as its answers tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Health {
    /// Its name.
    pub upstream: &'static str,
    /// Whether requests go through.
    pub state: BreakerState,
    /// How the last request failed that the upstream is to blame for; `None` if none did.
    pub last_failure: Option<FailureKind>,
}

/// What requests to one upstream share.
#[derive(Debug)]
pub(super) struct Lane {
    upstream: &'static str,
    /// `None`: many servers lie behind this name, and one says nothing of the others. A std mutex:
    /// it is never held across an await.
    breaker: Option<Mutex<Breaker>>,
    budget: RetryBudget,
}

impl Lane {
    pub(super) fn new(upstream: &'static str, settings: &TransportSettings) -> Self {
        measure::upstream_is_up(upstream, true);
        let breaker = Some(Mutex::new(Breaker::new(settings.outage_pause)));
        Self { breaker, ..Self::without_breaker(upstream, settings) }
    }

    pub(super) fn without_breaker(upstream: &'static str, settings: &TransportSettings) -> Self {
        Self { upstream, breaker: None, budget: RetryBudget::new(settings.retry_reserve) }
    }

    /// A new request: it earns its tenth of a retry if it may be sent. Otherwise, in how long one
    /// may be.
    pub(super) fn enter(&self, asker: Option<Asker>, now: Instant) -> Result<(), Duration> {
        if let Some(mut breaker) = self.breaker() {
            breaker.admit(asker, now)?;
        }
        self.budget.earn();
        Ok(())
    }

    /// Whether the request may be sent once more, as far as the budget goes; then it is paid for.
    pub(super) fn may_retry(&self) -> bool {
        self.budget.spend()
    }

    /// Whether the way is still open after the wait for a retry.
    pub(super) fn admits(&self, asker: Option<Asker>, now: Instant) -> bool {
        self.breaker().is_none_or(|mut breaker| breaker.admit(asker, now).is_ok())
    }

    /// Counts an attempt.
    pub(super) fn count(&self, outcome: &Result<Answer, TransportError>, time: Duration) {
        let outcome = match outcome {
            Ok(answer) => match answer.status.as_u16() {
                200..=399 => "answered",
                429 => "limited",
                400..=499 => "refused",
                _ => "server_error",
            },
            Err(TransportError::Connect(_)) => "no_connection",
            Err(TransportError::TimedOut) => "timed_out",
            Err(TransportError::Interrupted(_)) => "interrupted",
            Err(TransportError::TooLarge(_)) => "too_large",
            Err(TransportError::Malformed(_) | TransportError::Down(_)) => "malformed",
        };
        // Never to whom or about what: the address and the answer are somebody's own.
        tracing::trace!(upstream = self.upstream, outcome, ?time, "asked");
        measure::upstream_request(self.upstream, outcome, time);
    }

    pub(super) fn answered(&self, now: Instant) {
        let change = self.breaker().and_then(|mut breaker| breaker.answered(now));
        if let Some(Change::Closed(after)) = change {
            let seconds = after.as_secs();
            measure::upstream_is_up(self.upstream, true);
            tracing::info!(upstream = self.upstream, seconds, "an upstream answers again");
        }
    }

    pub(super) fn failed(&self, failed: Failed, now: Instant) {
        let change = self.breaker().and_then(|mut breaker| breaker.failed(failed, now));
        let (upstream, kind) = (self.upstream, failed.kind.slug());
        match change {
            Some(Change::Opened { for_everybody: true }) => {
                measure::upstream_is_up(upstream, false);
                tracing::warn!(
                    upstream,
                    kind,
                    "an upstream is down, and is asked only now and then"
                );
            }
            Some(Change::Opened { for_everybody: false }) => {
                tracing::info!(upstream, kind, "an upstream fails one caller, who has to wait");
            }
            Some(Change::Closed(_)) | None => {}
        }
    }

    /// `None` where there is no breaker.
    pub(super) fn health(&self) -> Option<Health> {
        let breaker = self.breaker()?;
        let (state, last_failure) = (breaker.state(), breaker.last_failure());
        Some(Health { upstream: self.upstream, state, last_failure })
    }

    fn breaker(&self) -> Option<MutexGuard<'_, Breaker>> {
        let breaker = self.breaker.as_ref()?;
        Some(breaker.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Allows one retry for ten requests, so that an upstream in trouble is not buried under ours.
#[derive(Debug)]
struct RetryBudget {
    /// In tenths of a retry.
    tenths: AtomicU32,
    reserve: u32,
}

impl RetryBudget {
    fn new(retries: u32) -> Self {
        let reserve = retries.saturating_mul(10);
        Self { tenths: AtomicU32::new(reserve), reserve }
    }

    fn earn(&self) {
        let more = |tenths: u32| (tenths < self.reserve).then_some(tenths + 1);
        let _ = self.tenths.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
    }

    fn spend(&self) -> bool {
        let less = |tenths: u32| tenths.checked_sub(10);
        self.tenths.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }
}
