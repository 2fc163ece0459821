//! What one caller may ask: how much at once, how much in a minute, how many of the LLM's tokens
//! in a day, and not at all while GitHub's own limit for their account is used up.
//!
//! Callers wait in a line of their own first; only once all together run as many calls as the server
//! bears do they wait for one another, and each holds few of those places.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::{Days, NaiveDate, NaiveTime, TimeDelta};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};

use crate::domain::{
    Clock, Failure, FailureCode,
    clock::Timestamp,
    failure::Result,
    identifier::{PrincipalId, sha256_hex},
};

/// In which time calls are counted.
const MINUTE: TimeDelta = TimeDelta::minutes(1);
/// GitHub counts by the hour: nobody is kept waiting for longer than that on its account.
const LONGEST_HOLD: TimeDelta = TimeDelta::hours(1);
/// What a caller is told to wait whose own calls are all still running.
const BUSY: Duration = Duration::from_secs(5);

/// Who is calling, as far as this room must know: equal for the same person, and nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Caller(Arc<str>);

impl Caller {
    /// The caller with this principal.
    pub fn new(principal: &PrincipalId) -> Self {
        Self(principal.digest().into())
    }

    /// A caller for programs that serve one person, who chooses the name.
    pub fn named(name: &str) -> Self {
        Self(sha256_hex(name.as_bytes()).into())
    }

    /// A name for nobody but this program.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Bounds of each caller, and of all together.
#[derive(Debug, Clone)]
pub struct GovernorLimits {
    /// Calls of one caller at the same time; more wait.
    pub concurrent: usize,
    /// Calls of all callers at the same time; more wait.
    pub concurrent_in_all: usize,
    /// Calls of one caller in a minute.
    pub calls_per_minute: usize,
    /// Summaries that the LLM writes for one caller at the same time, so that a long list of one
    /// leaves room for the short list of another.
    pub writing: usize,
    /// Summaries of one caller waiting or being written.
    pub queued: usize,
    /// Tokens of the LLM, read and written, that one caller may cost in a day (UTC); `None` is no
    /// limit.
    pub daily_tokens: Option<u64>,
    /// Callers that are remembered.
    pub max_callers: usize,
}

impl Default for GovernorLimits {
    fn default() -> Self {
        Self {
            concurrent: 4,
            concurrent_in_all: 256,
            calls_per_minute: 30,
            writing: 8,
            queued: 100,
            daily_tokens: None,
            max_callers: 10_000,
        }
    }
}

/// Lets callers in; clones share what they know.
#[derive(Debug, Clone)]
pub struct Governor(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limits: GovernorLimits,
    clock: Arc<dyn Clock>,
    everybody: Arc<Semaphore>,
    /// A std mutex: it is never held across an await.
    callers: Mutex<HashMap<Caller, Record>>,
}

/// What is remembered about a caller.
#[derive(Debug)]
struct Record {
    running: Arc<Semaphore>,
    writing: Arc<Semaphore>,
    queue: Arc<Semaphore>,
    /// When the calls of the last minute came.
    calls: VecDeque<Timestamp>,
    seen: Timestamp,
    /// The account whose limit at GitHub is used up, and until when.
    hold: Option<(String, Timestamp)>,
    /// The day, and the tokens it has cost so far.
    tokens: (NaiveDate, u64),
}

/// A call that was let in; its place is free again when this is dropped.
#[derive(Debug)]
pub struct Admission {
    /// What it may cost.
    pub allowance: Allowance,
    _places: (OwnedSemaphorePermit, OwnedSemaphorePermit),
}

/// What one caller may have written.
#[derive(Debug, Clone)]
pub struct Allowance {
    governor: Governor,
    caller: Caller,
    /// Places for summaries being written for this caller.
    pub writing: Arc<Semaphore>,
    /// Places for summaries waiting or being written for this caller.
    pub queue: Arc<Semaphore>,
}

/// Tokens that were set aside: given back if nothing began with them, else spent until it is said
/// how many it really were.
#[derive(Debug)]
pub struct Reservation {
    allowance: Allowance,
    day: NaiveDate,
    tokens: u64,
    is_begun: bool,
}

impl Governor {
    /// Nobody has called yet.
    pub fn new(limits: GovernorLimits, clock: Arc<dyn Clock>) -> Self {
        let everybody = Arc::new(Semaphore::new(limits.concurrent_in_all));
        Self(Arc::new(Inner { limits, clock, everybody, callers: Mutex::default() }))
    }

    /// Lets a call of `caller` with this GitHub `account` in, once there is a place; waits for one
    /// until `deadline`.
    ///
    /// # Errors
    /// `too_many_requests`, `github_rate_limited`, each with how long to wait.
    pub async fn admit(
        &self,
        caller: &Caller,
        account: &str,
        deadline: Instant,
    ) -> Result<Admission> {
        let (running, writing, queue) = self.enter(caller, account)?;
        let places = async {
            let own = running.acquire_owned().await.ok()?;
            let shared = Arc::clone(&self.0.everybody).acquire_owned().await.ok()?;
            Some((own, shared))
        };
        let Ok(Some(places)) = timeout_at(deadline, places).await else {
            let sentence = "Too many summaries are under way already.";
            return Err(Failure::new(FailureCode::TooManyRequests, sentence).retry_after(BUSY));
        };
        let allowance =
            Allowance { governor: self.clone(), caller: caller.clone(), writing, queue };
        Ok(Admission { allowance, _places: places })
    }

    /// Remembers that GitHub's limit for this account is used up, so that nobody asks in vain. An
    /// earlier word of a later moment stands.
    pub fn hold(&self, caller: &Caller, account: &str, until: Timestamp) {
        let until = until.min(self.0.clock.now() + LONGEST_HOLD);
        if let Some(record) = self.lock().get_mut(caller) {
            let before = record.hold.take().filter(|(held, _)| held == account);
            let until = before.map_or(until, |(_, before)| before.max(until));
            record.hold = Some((account.to_owned(), until));
        }
    }

    /// Counts the call, and hands out the caller's lines to wait in.
    fn enter(
        &self,
        caller: &Caller,
        account: &str,
    ) -> Result<(Arc<Semaphore>, Arc<Semaphore>, Arc<Semaphore>)> {
        let (limits, now) = (&self.0.limits, self.0.clock.now());
        let mut callers = self.lock();
        if !callers.contains_key(caller) && callers.len() >= limits.max_callers {
            make_room(&mut callers);
        }
        let record = callers.entry(caller.clone()).or_insert_with(|| Record::new(limits, now));
        record.seen = now;
        record.hold.take_if(|(_, until)| *until <= now);
        if let Some((_, until)) = record.hold.as_ref().filter(|(held, _)| held == account) {
            return Err(Failure::new(
                FailureCode::GitHubRateLimited,
                format!(
                    "GitHub's rate limit for this account is used up until {}.",
                    moment(*until)
                ),
            )
            .retry_after(wait(*until - now)));
        }
        // A clock that was set back makes no minute longer than one.
        record.calls.retain(|call| (*call..*call + MINUTE).contains(&now));
        if record.calls.len() >= limits.calls_per_minute {
            let free = record.calls.front().map_or(MINUTE, |oldest| *oldest + MINUTE - now);
            return Err(Failure::new(
                FailureCode::TooManyRequests,
                format!("More than {} calls in a minute.", limits.calls_per_minute),
            )
            .retry_after(wait(free)));
        }
        record.calls.push_back(now);
        Ok((record.running.clone(), record.writing.clone(), record.queue.clone()))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Caller, Record>> {
        self.0.callers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Record {
    fn new(limits: &GovernorLimits, now: Timestamp) -> Self {
        Self {
            running: Arc::new(Semaphore::new(limits.concurrent)),
            writing: Arc::new(Semaphore::new(limits.writing)),
            queue: Arc::new(Semaphore::new(limits.queued)),
            calls: VecDeque::new(),
            seen: now,
            hold: None,
            tokens: (now.date_naive(), 0),
        }
    }
}

/// Forgets the tenth that was seen longest ago, at least one: at the bound this is done once for
/// many newcomers and not for each.
fn make_room(callers: &mut HashMap<Caller, Record>) {
    let mut seen: Vec<Timestamp> = callers.values().map(|record| record.seen).collect();
    seen.sort_unstable();
    let mut surplus = callers.len() / 10 + 1;
    if let Some(until) = seen.get(surplus - 1).copied() {
        callers.retain(|_, record| {
            let goes = surplus > 0 && record.seen <= until;
            surplus -= usize::from(goes);
            !goes
        });
    }
}

impl Allowance {
    /// Whose it is.
    pub(super) fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Sets `tokens` aside before they are spent.
    ///
    /// # Errors
    /// When the day's tokens do not suffice: the moment from which there are new ones.
    pub fn reserve(&self, tokens: u64) -> Result<Reservation, Timestamp> {
        let (inner, now) = (&*self.governor.0, self.governor.0.clock.now());
        let day = now.date_naive();
        let mut callers = self.governor.lock();
        let record =
            callers.entry(self.caller.clone()).or_insert_with(|| Record::new(&inner.limits, now));
        if record.tokens.0 != day {
            record.tokens = (day, 0);
        }
        let spent = record.tokens.1.saturating_add(tokens);
        if inner.limits.daily_tokens.is_some_and(|most| spent > most) {
            let tomorrow = day.checked_add_days(Days::new(1)).unwrap_or(day);
            return Err(tomorrow.and_time(NaiveTime::MIN).and_utc());
        }
        record.tokens.1 = spent;
        Ok(Reservation { allowance: self.clone(), day, tokens, is_begun: false })
    }
}

impl Reservation {
    /// From now on they are spent: what is asked may be paid for even if its answer is not awaited.
    pub fn begin(&mut self) {
        self.is_begun = true;
    }

    /// What it really cost.
    pub fn settle(mut self, tokens: u64) {
        self.correct(tokens);
        self.is_begun = true;
    }

    fn correct(&self, tokens: u64) {
        let mut callers = self.allowance.governor.lock();
        if let Some(record) =
            callers.get_mut(&self.allowance.caller).filter(|record| record.tokens.0 == self.day)
        {
            record.tokens.1 = record.tokens.1.saturating_sub(self.tokens).saturating_add(tokens);
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if !self.is_begun {
            self.correct(0);
        }
    }
}

/// A moment as agents and people are told it.
pub(super) fn moment(at: Timestamp) -> String {
    at.format("%Y-%m-%d %H:%M UTC").to_string()
}

/// Never nothing: who is told to wait for 0 s comes back at once.
fn wait(time: TimeDelta) -> Duration {
    time.to_std().unwrap_or_default().max(Duration::from_secs(1))
}

#[cfg(test)]
mod tests;
