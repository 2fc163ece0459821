//! What a connection is doing, and until when it may.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    task::Context,
    time::Duration,
};

use tokio::time::Instant;

use super::{FrontSettings, crowd::Place};

/// So long nothing has to be looked at when nothing is limited at the moment.
const LONG: Duration = Duration::from_hours(24);

/// Told by the socket and by the bodies; asked by the connection's own task, in which all of them
/// run. Clones are of the same connection.
#[derive(Debug, Clone)]
pub(super) struct Meter(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: Arc<FrontSettings>,
    place: Place,
    state: Mutex<State>,
    flaw: AtomicU8,
    /// A request has begun since the connection's task came to its turn.
    has_begun: AtomicBool,
}

#[derive(Debug)]
struct State {
    step: Step,
    /// The client takes nothing of its answer; cut at that moment.
    unread_until: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Idle {
        until: Instant,
    },
    Head {
        until: Instant,
    },
    /// The body has its own limit, the answer that of its call.
    Answering,
}

/// Why a body was not read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaw {
    /// It took too long.
    Late = 1,
    /// There was no room for it.
    Crowded = 2,
}

impl Meter {
    pub(super) fn new(settings: Arc<FrontSettings>, place: Place) -> Self {
        let step = Step::Idle { until: Instant::now() + settings.idle };
        let state = Mutex::new(State { step, unread_until: None });
        Self(Arc::new(Inner {
            settings,
            place,
            state,
            flaw: AtomicU8::new(0),
            has_begun: AtomicBool::new(false),
        }))
    }

    pub(super) fn settings(&self) -> &FrontSettings {
        &self.0.settings
    }

    /// Bytes came in: if nothing was going on, a head has begun.
    pub(super) fn arrived(&self) {
        let mut state = self.lock();
        if let Step::Idle { .. } = state.step {
            state.step = Step::Head { until: Instant::now() + self.0.settings.head };
        }
    }

    /// The connection's task has come to its turn.
    pub(super) fn turn(&self) {
        self.0.has_begun.store(false, Ordering::Relaxed);
    }

    /// A request begins. False: it is not the first of this turn, and others should have theirs first:
    /// requests that came together, each answered at once, would otherwise keep a thread to themselves.
    pub(super) fn is_in_turn(&self) -> bool {
        !self.0.has_begun.swap(true, Ordering::Relaxed)
    }

    /// A head is complete.
    pub(super) fn head_ended(&self) {
        self.lock().step = Step::Answering;
        self.0.flaw.store(0, Ordering::Relaxed);
    }

    /// The request is there as a whole. False: the connection was told to go before that.
    pub(super) fn body_ended(&self) -> bool {
        self.0.place.begin()
    }

    /// The answer is on its way as a whole.
    pub(super) fn answered(&self) {
        self.lock().step = Step::Idle { until: Instant::now() + self.0.settings.idle };
        self.0.place.end();
    }

    /// The client's buffer takes no more at the moment.
    pub(super) fn stuck(&self) {
        let until = Instant::now() + self.0.settings.unread;
        self.lock().unread_until.get_or_insert(until);
    }

    /// The client took something.
    pub(super) fn taken(&self) {
        self.lock().unread_until = None;
    }

    pub(super) fn flawed(&self, flaw: Flaw) {
        self.0.flaw.store(flaw as u8, Ordering::Relaxed);
    }

    pub(super) fn flaw(&self) -> Option<Flaw> {
        let told = self.0.flaw.load(Ordering::Relaxed);
        [Flaw::Late, Flaw::Crowded].into_iter().find(|flaw| *flaw as u8 == told)
    }

    /// When the connection ends if nothing changes.
    pub(super) fn deadline(&self) -> Instant {
        let state = self.lock();
        let step = match state.step {
            Step::Idle { until } | Step::Head { until } => Some(until),
            Step::Answering => None,
        };
        let first = step.into_iter().chain(state.unread_until).min();
        first.unwrap_or_else(|| Instant::now() + LONG)
    }

    /// Whether the connection has to make room; if not, the task is woken when it has to.
    pub(super) fn is_dismissed(&self, context: &Context<'_>) -> bool {
        self.0.place.is_dismissed(context)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
