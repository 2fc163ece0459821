//! When to stop asking an upstream that is down, and how to notice that it is back.
//!
//! A state machine without a clock or a lock: it is told what happened and when. It opens after
//! [`ENOUGH`] requests in a row got no good answer; then one request in every pause is let
//! through to look, and the first answer of any kind but a server's error closes it again.
//! Source of the pattern: M. Nygard, "Release It!", 2nd edition, section 5.2.
//!
//! Two things keep one person's input from closing the way for everybody: of one asker at most
//! [`OF_ONE`] failures count against the upstream, and a run of failures that is one asker's alone
//! stops that asker only.

use std::time::Duration;

use tokio::time::Instant;

/// So many requests in a row without a good answer, and the upstream is taken to be down.
pub(super) const ENOUGH: usize = 5;

/// So many of them may be one asker's.
pub(super) const OF_ONE: usize = 3;

/// For whom a request is made, as far as this must be known: equal for the same caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Asker(pub(super) u64);

/// How a request failed in a way that the upstream is to blame for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// No connection came about.
    Connect,
    /// The connection broke.
    Interrupted,
    /// No answer, or no whole answer, in a time in which there should have been one.
    TimedOut,
    /// A status of 500 or above.
    ServerError,
}

impl FailureKind {
    /// The word for logs.
    pub fn slug(self) -> &'static str {
        match self {
            Self::Connect => "no_connection",
            Self::Interrupted => "interrupted",
            Self::TimedOut => "timed_out",
            Self::ServerError => "server_error",
        }
    }
}

/// Whether requests go through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// They do.
    Closed,
    /// They do not.
    Open,
    /// They do not, but one is on its way to look.
    HalfOpen,
}

/// What an event has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// It is open now: for everybody, or for one asker only.
    Opened { for_everybody: bool },
    /// It is closed again, after so long.
    Closed(Duration),
}

/// One request that failed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Failed {
    /// For whom; `None`: for nobody in particular, or it does not matter because nothing that
    /// anybody asks could have caused it.
    pub(super) asker: Option<Asker>,
    /// How.
    pub(super) kind: FailureKind,
    /// When it was sent.
    pub(super) sent_at: Instant,
}

/// The state machine.
#[derive(Debug)]
pub(super) struct Breaker {
    /// While it is open, one request in this time is let through.
    pause: Duration,
    /// Whose requests have failed since the last answer, one entry a request. Never more than
    /// twice [`ENOUGH`].
    run: Vec<Option<Asker>>,
    last_failure: Option<FailureKind>,
    answered_at: Option<Instant>,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    since: Instant,
    /// The only one it is open for; `None`: everybody.
    only: Option<Asker>,
    next_look: Instant,
    is_looking: bool,
}

impl Breaker {
    /// A closed one.
    pub(super) fn new(pause: Duration) -> Self {
        Self { pause, run: Vec::new(), last_failure: None, answered_at: None, open: None }
    }

    /// Whether a request of this asker may be sent now; if not, in how long one may be.
    pub(super) fn admit(&mut self, asker: Option<Asker>, now: Instant) -> Result<(), Duration> {
        let Some(open) = &mut self.open else { return Ok(()) };
        if open.only.is_some() && open.only != asker {
            return Ok(());
        }
        let wait = open.next_look.saturating_duration_since(now);
        if !wait.is_zero() {
            return Err(wait);
        }
        // Counted from its start: a look that hangs, or whose asker leaves, must not be the last.
        open.next_look = now + self.pause;
        open.is_looking = true;
        Ok(())
    }

    /// An answer came: the upstream is there.
    pub(super) fn answered(&mut self, now: Instant) -> Option<Change> {
        self.run.clear();
        self.answered_at = Some(now);
        let open = self.open.take()?;
        Some(Change::Closed(now.saturating_duration_since(open.since)))
    }

    /// A request failed.
    pub(super) fn failed(&mut self, failed: Failed, now: Instant) -> Option<Change> {
        // What was sent before the last answer says nothing that this answer does not refute; a
        // hundred slow time-outs must not follow a recovery with a second outage.
        if self.answered_at.is_some_and(|at| failed.sent_at < at) {
            return None;
        }
        self.last_failure = Some(failed.kind);
        if let Some(open) = &mut self.open {
            open.is_looking = false;
            // Open for everybody: nothing more to learn.
            open.only?;
        }
        let own = self.count(failed.asker);
        if failed.asker.is_none() || own < ENOUGH {
            self.run.push(failed.asker);
        }
        let only = if self.shared() >= ENOUGH {
            None
        } else if failed.asker.is_some() && self.count(failed.asker) >= ENOUGH {
            failed.asker
        } else {
            return None;
        };
        match &mut self.open {
            // Still this one asker alone.
            Some(open) if open.only == only => return None,
            Some(open) => open.only = only,
            None => {
                let next_look = now + self.pause;
                self.open = Some(Open { since: now, only, next_look, is_looking: false });
            }
        }
        Some(Change::Opened { for_everybody: only.is_none() })
    }

    /// Whether requests go through for everybody.
    pub(super) fn state(&self) -> BreakerState {
        match &self.open {
            Some(open) if open.only.is_none() && open.is_looking => BreakerState::HalfOpen,
            Some(open) if open.only.is_none() => BreakerState::Open,
            Some(_) | None => BreakerState::Closed,
        }
    }

    /// How the last request failed that did.
    pub(super) fn last_failure(&self) -> Option<FailureKind> {
        self.last_failure
    }

    fn count(&self, asker: Option<Asker>) -> usize {
        self.run.iter().filter(|one| **one == asker).count()
    }

    /// Failures that count against the upstream.
    fn shared(&self) -> usize {
        let counts = |(at, asker): &(usize, &Option<Asker>)| {
            let before = self.run.iter().take(*at).filter(|one| one == asker).count();
            asker.is_none() || before < OF_ONE
        };
        self.run.iter().enumerate().filter(counts).count()
    }
}

#[cfg(test)]
mod tests;
