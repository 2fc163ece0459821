//! The table of summaries being written, and for whom.
//!
//! One mutex holds all that is true of a job, so each change is one step: a caller joins, leaves,
//! has it kept, or is forgotten. A job lives as long as somebody waits for it or has had it kept.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Cost, Outcome, WritingLimits};
use crate::{summarize::governor::Caller, upstream::transport::Call};

/// What came of a job; `None` until then.
pub(super) type Landing = Option<(Outcome, Cost)>;

/// All summaries being written.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    /// A std mutex: it is never held across an await.
    table: Mutex<Table>,
}

/// The jobs by what they were asked.
#[derive(Debug, Default)]
pub(super) struct Table {
    jobs: HashMap<String, Job>,
    begun: u64,
}

/// A summary being written.
#[derive(Debug)]
struct Job {
    /// Tells it from a later one that was asked the same.
    number: u64,
    landing: watch::Receiver<Landing>,
    /// What its requests are counted by.
    call: Call,
    abandoned: CancellationToken,
    owners: HashMap<Caller, Claim>,
}

/// What a job is to one caller; it goes when it is neither.
#[derive(Debug, Default)]
struct Claim {
    /// Calls that wait for it.
    waiting: usize,
    /// It goes on without them.
    is_kept: bool,
}

/// What a job needs that begins.
pub(super) struct Begun {
    /// Where its outcome comes.
    pub(super) landing: watch::Receiver<Landing>,
    /// Its requests count here.
    pub(super) call: Call,
    /// Cancelled when nobody wants it any more.
    pub(super) abandoned: CancellationToken,
}

/// A call's place at a job; leaving it may end the job.
#[derive(Debug)]
pub(super) struct Seat {
    jobs: Arc<Jobs>,
    key: String,
    number: u64,
    caller: Caller,
    /// Where the outcome comes.
    pub(super) landing: watch::Receiver<Landing>,
    call: Call,
}

impl Jobs {
    pub(super) fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A seat at the job that was asked this, if there is one.
    pub(super) fn join(
        self: &Arc<Self>,
        table: &mut Table,
        key: &str,
        caller: &Caller,
    ) -> Option<Seat> {
        let job = table.jobs.get_mut(key)?;
        job.owners.entry(caller.clone()).or_default().waiting += 1;
        Some(Seat {
            jobs: Arc::clone(self),
            key: key.to_owned(),
            number: job.number,
            caller: caller.clone(),
            landing: job.landing.clone(),
            call: job.call.clone(),
        })
    }

    /// Takes a job off the table, which has ended.
    pub(super) fn end(&self, key: &str, number: u64) {
        let mut table = self.lock();
        if table.find(key, number).is_some() {
            table.jobs.remove(key);
        }
    }

    /// What was kept for this caller is kept for them no longer. What their calls still wait for
    /// ends with those.
    pub(super) fn forget(&self, caller: &Caller) {
        self.lock().jobs.retain(|_, job| {
            if let Some(claim) = job.owners.get_mut(caller) {
                claim.is_kept = false;
            }
            job.is_wanted_without(caller)
        });
    }

    /// The outcomes that will come of what is kept for this caller.
    pub(super) fn kept_for(&self, caller: &Caller) -> Vec<watch::Receiver<Landing>> {
        let table = self.lock();
        let kept = table.jobs.values().filter(|job| job.is_kept_for(caller));
        kept.map(|job| job.landing.clone()).collect()
    }
}

impl Table {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Puts a job on the table, which nobody has a seat at yet; its number.
    pub(super) fn begin(&mut self, key: &str, begun: Begun) -> u64 {
        self.begun = self.begun.wrapping_add(1);
        let Begun { landing, call, abandoned } = begun;
        let number = self.begun;
        let job = Job { number, landing, call, abandoned, owners: HashMap::new() };
        self.jobs.insert(key.to_owned(), job);
        number
    }

    fn find(&mut self, key: &str, number: u64) -> Option<&mut Job> {
        self.jobs.get_mut(key).filter(|job| job.number == number)
    }
}

impl Job {
    fn is_kept(&self) -> bool {
        self.owners.values().any(|claim| claim.is_kept)
    }

    fn is_kept_for(&self, caller: &Caller) -> bool {
        self.owners.get(caller).is_some_and(|claim| claim.is_kept)
    }

    /// Ends the caller's claim if it is none any more, and the work if it was the last one.
    fn is_wanted_without(&mut self, caller: &Caller) -> bool {
        if self.owners.get(caller).is_some_and(|claim| claim.waiting == 0 && !claim.is_kept) {
            self.owners.remove(caller);
        }
        if self.owners.is_empty() {
            self.abandoned.cancel();
        }
        !self.owners.is_empty()
    }
}

impl Seat {
    /// The LLM's server was given the text: a request has begun.
    pub(super) fn was_sent(&self) -> bool {
        self.call.requests() > 0
    }

    /// Has the job go on without this call; false if too many of this caller or of all do already.
    pub(super) fn keep(&self, limits: &WritingLimits) -> bool {
        let mut table = self.jobs.lock();
        let own = table.jobs.values().filter(|job| job.is_kept_for(&self.caller)).count();
        let in_all = table.jobs.values().filter(|job| job.is_kept()).count();
        // It has ended meanwhile: the next call finds what came of it.
        let Some(job) = table.find(&self.key, self.number) else { return true };
        let is_new = !job.is_kept_for(&self.caller);
        if (is_new && own >= limits.max_in_background_each)
            || (!job.is_kept() && in_all >= limits.max_in_background)
        {
            return false;
        }
        if let Some(claim) = job.owners.get_mut(&self.caller) {
            claim.is_kept = true;
        }
        true
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut table = self.jobs.lock();
        let Some(job) = table.find(&self.key, self.number) else { return };
        if let Some(claim) = job.owners.get_mut(&self.caller) {
            claim.waiting = claim.waiting.saturating_sub(1);
        }
        if !job.is_wanted_without(&self.caller) {
            table.jobs.remove(&self.key);
        }
    }
}
