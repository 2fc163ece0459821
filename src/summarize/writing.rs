//! Summaries being written: once for everybody who asks the same, and to the end.
//!
//! Whoever asks first starts the work; whoever asks the same meanwhile waits for it too. When the
//! last one leaves (a client that cancelled), the work is dropped. When they leave because their
//! time was up, it goes on in the background, within its own time limit, until the server stops or
//! the last caller for whom it does is forgotten, and the next call finds the result in the cache.

mod job;

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use tokio::{
    sync::{Semaphore, watch},
    time::{Instant, timeout_at},
};
use tokio_util::sync::CancellationToken;

use super::{
    cache::Cache,
    check::{Checked, check, complaint, without_claims},
    governor::{Allowance, Caller, Reservation},
    prompt::Prompt,
};
use crate::{
    domain::{Clock, FailureCode, clock::Timestamp, failure::Result},
    upstream::{llm::Llm, transport::Call},
};
use job::{Begun, Jobs, Seat, Table};

/// How long an LLM that answered with no summary is not asked the same again. Its answer may differ
/// the next time, but not so soon that every call should pay for another try.
const UNUSABLE_FOR: TimeDelta = TimeDelta::minutes(1);
/// Bytes that such an answer counts for in the cache.
const REASON_BYTES: usize = 64;

/// Bounds of the work.
#[derive(Debug, Clone)]
pub struct WritingLimits {
    /// Calls of the LLM at the same time, for all callers together.
    pub max_concurrent: usize,
    /// Summaries waiting or being written, for all callers together.
    pub max_queued: usize,
    /// Summaries being written that nobody waits for any more, for all callers together.
    pub max_in_background: usize,
    /// The same for one caller, so that the late lists of one end nobody else's.
    pub max_in_background_each: usize,
    /// How long one summary may take, its wait for a place included.
    pub time: Duration,
    /// Bytes of finished summaries that are kept.
    pub cache_bytes: usize,
}

impl Default for WritingLimits {
    fn default() -> Self {
        Self {
            max_concurrent: 16,
            max_queued: 512,
            max_in_background: 256,
            max_in_background_each: 40,
            time: Duration::from_mins(3),
            cache_bytes: 8_000_000,
        }
    }
}

/// What a summary cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Calls of the LLM, those included that were repeated because they failed or because the LLM
    /// refused a parameter.
    pub llm_calls: u32,
    /// Tokens read; `None` if the LLM did not say for every call.
    pub prompt_tokens: Option<u64>,
    /// Tokens written; `None` if the LLM did not say for every call.
    pub completion_tokens: Option<u64>,
}

impl Default for Cost {
    /// Nothing was asked: that no token was used is known.
    fn default() -> Self {
        Self { llm_calls: 0, prompt_tokens: Some(0), completion_tokens: Some(0) }
    }
}

/// Unknown as soon as one of the two is.
pub(super) fn sum(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    Some(a?.saturating_add(b?))
}

/// What came of asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The summary.
    Written(Arc<str>),
    /// The LLM answered, and not with a summary; the reason in words.
    Unusable(&'static str),
    /// The LLM did not answer; the code, and a sentence safe to show.
    Failed(FailureCode, String),
}

/// What one caller gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The summary, or what stands in its way.
    pub answer: Answer,
    /// A request with the text has been made, for this answer or for the one that it repeats.
    pub was_sent: bool,
}

/// The summary, or what stands in its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Written now, at this cost (none for those who only waited along or were told again).
    Now(Outcome, Cost),
    /// Written earlier.
    Earlier(Arc<str>),
    /// Still being written when the time was up.
    Pending,
    /// Too much is being written already.
    Busy,
    /// The caller's tokens are used up until then.
    Spent(Timestamp),
    /// The server stops.
    Interrupted,
}

impl Answer {
    /// Nothing was sent to anybody.
    fn unsent(self) -> Reply {
        Reply { answer: self, was_sent: false }
    }
}

/// Writes summaries with one LLM.
#[derive(Debug, Clone)]
pub struct Writing(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    llm: Llm,
    limits: WritingLimits,
    clock: Arc<dyn Clock>,
    places: Semaphore,
    finished: Cache<Finished>,
    jobs: Arc<Jobs>,
    stop: CancellationToken,
}

/// What was paid for and is not asked again.
#[derive(Debug, Clone)]
enum Finished {
    /// A summary.
    Written(Arc<str>),
    /// The LLM did not write one at that moment.
    Unusable(&'static str, Timestamp),
}

impl Writing {
    /// Nothing is being written yet; whatever is ends when `stop` is cancelled.
    pub fn new(
        llm: Llm,
        limits: WritingLimits,
        clock: Arc<dyn Clock>,
        stop: CancellationToken,
    ) -> Self {
        Self(Arc::new(Inner {
            places: Semaphore::new(limits.max_concurrent),
            finished: Cache::new(limits.cache_bytes),
            jobs: Arc::default(),
            stop,
            llm,
            clock,
            limits,
        }))
    }

    /// Who writes.
    pub fn llm(&self) -> &Llm {
        &self.0.llm
    }

    /// The summary that `prompt` asks for, or what stands in its way, by `deadline`, or at once
    /// when `hurry` is cancelled. Only what has to be written anew comes out of the allowance.
    pub async fn write(
        &self,
        prompt: Prompt,
        deadline: Instant,
        hurry: &CancellationToken,
        allowance: &Allowance,
    ) -> Reply {
        let (seat, is_first) = match self.seat(prompt, allowance) {
            Ok(seat) => seat,
            Err(reply) => return reply,
        };
        let mut landing = seat.landing.clone();
        let answer = tokio::select! {
            biased;
            landed = timeout_at(deadline, landing.wait_for(Option::is_some)) => match landed {
                Ok(Ok(landing)) => landing.as_ref().map_or(Answer::Pending, |(outcome, cost)| {
                    Answer::Now(outcome.clone(), if is_first { *cost } else { Cost::default() })
                }),
                // The job ended without a word: the server stops.
                Ok(Err(_)) => Answer::Interrupted,
                Err(_) if seat.keep(&self.0.limits) => Answer::Pending,
                Err(_) => Answer::Busy,
            },
            () = hurry.cancelled() => Answer::Interrupted,
        };
        Reply { answer, was_sent: seat.was_sent() }
    }

    /// Ends what is being written for this caller alone and waited for by none of their calls.
    pub fn forget(&self, caller: &Caller) {
        self.0.jobs.forget(caller);
    }

    /// Returns when nothing is written in the background any more that is now for this caller.
    pub async fn until_written(&self, caller: &Caller) {
        for mut landing in self.0.jobs.kept_for(caller) {
            // An error is an end too: the job has left.
            let _ = landing.wait_for(Option::is_some).await;
        }
    }

    /// A seat at the job that `prompt` asks for, and whether it begins with it; or the reply, where
    /// there is nothing to wait for.
    fn seat(&self, prompt: Prompt, allowance: &Allowance) -> Result<(Seat, bool), Reply> {
        let inner = &*self.0;
        let key = prompt.key(inner.llm.model());
        let mut table = inner.jobs.lock();
        // Looked up under the lock: a job enters the cache before it leaves the table.
        if let Some(answer) = inner.earlier(&key) {
            return Err(Reply { answer, was_sent: true });
        }
        if let Some(seat) = inner.jobs.join(&mut table, &key, allowance.caller()) {
            return Ok((seat, false));
        }
        if table.len() >= inner.limits.max_queued {
            return Err(Answer::Busy.unsent());
        }
        self.start(&mut table, &key, prompt, allowance).map_err(Answer::unsent)?;
        let seat = inner.jobs.join(&mut table, &key, allowance.caller());
        seat.map(|seat| (seat, true)).ok_or(Answer::Busy.unsent())
    }

    /// Starts a job in one of the caller's places.
    fn start(
        &self,
        table: &mut Table,
        key: &str,
        prompt: Prompt,
        allowance: &Allowance,
    ) -> Result<(), Answer> {
        let Ok(queued) = Arc::clone(&allowance.queue).try_acquire_owned() else {
            return Err(Answer::Busy);
        };
        let tokens = self.0.estimate(&prompt, &prompt.user);
        let reservation = allowance.reserve(tokens).map_err(Answer::Spent)?;
        let call = Call::within(self.0.limits.time).asked_by(allowance.caller().as_str());
        let (sender, landing) = watch::channel(None);
        let abandoned = self.0.stop.child_token();
        let begun = Begun { landing, call: call.clone(), abandoned: abandoned.clone() };
        let number = table.begin(key, begun);
        let (inner, allowance, key) = (Arc::clone(&self.0), allowance.clone(), key.to_owned());
        tokio::spawn(async move {
            let landing = tokio::select! {
                biased;
                () = abandoned.cancelled() => None,
                done = inner.work(&prompt, &allowance, reservation, &call) => Some(done),
            };
            if let Some((outcome, _)) = &landing {
                inner.keep(&key, outcome);
            }
            inner.jobs.end(&key, number);
            drop(queued);
            if landing.is_some() {
                // Without receivers nobody waits any more; the cache has it.
                let _ = sender.send(landing);
            }
        });
        Ok(())
    }
}

impl Inner {
    /// What is known already.
    fn earlier(&self, key: &str) -> Option<Answer> {
        match self.finished.get(key)? {
            Finished::Written(text) => Some(Answer::Earlier(text)),
            Finished::Unusable(reason, at) => (at..at + UNUSABLE_FOR)
                .contains(&self.clock.now())
                .then(|| Answer::Now(Outcome::Unusable(reason), Cost::default())),
        }
    }

    fn keep(&self, key: &str, outcome: &Outcome) {
        match outcome {
            Outcome::Written(text) => {
                self.finished.put(key, Finished::Written(Arc::clone(text)), text.len());
            }
            Outcome::Unusable(reason) => {
                let finished = Finished::Unusable(reason, self.clock.now());
                self.finished.put(key, finished, REASON_BYTES);
            }
            Outcome::Failed(..) => {}
        }
    }

    /// Tokens that one request may cost, from above: no usual text has fewer than two bytes to a
    /// token (measured: 3.6 characters in the middle, 2.3 at the fifth percentile).
    fn estimate(&self, prompt: &Prompt, user: &str) -> u64 {
        let bytes = prompt.system.len().saturating_add(user.len());
        let written = self.llm.most_tokens(prompt.max_tokens);
        u64::try_from(bytes / 2).unwrap_or(u64::MAX).saturating_add(written.into())
    }

    /// Waits in the caller's own line first, so that the common one holds few of each caller.
    async fn work(
        &self,
        prompt: &Prompt,
        allowance: &Allowance,
        reservation: Reservation,
        call: &Call,
    ) -> (Outcome, Cost) {
        let mut cost = Cost::default();
        let places = async {
            Some((allowance.writing.acquire().await.ok()?, self.places.acquire().await.ok()?))
        };
        let Ok(Some(_places)) = timeout_at(call.deadline(), places).await else {
            let detail = "The LLM is asked too much at the moment.".to_owned();
            return (Outcome::Failed(FailureCode::LlmUnavailable, detail), cost);
        };
        let outcome = match self.ask(prompt, &prompt.user, reservation, call, &mut cost).await {
            Ok(Checked::Sound(text)) => Outcome::Written(text.into()),
            Ok(Checked::Unusable(reason)) => Outcome::Unusable(reason),
            Ok(Checked::Opinionated { text, claims }) => {
                let again = complaint(prompt, &text, &claims);
                let second = match allowance.reserve(self.estimate(prompt, &again)) {
                    Ok(reserved) => self.ask(prompt, &again, reserved, call, &mut cost).await.ok(),
                    // The day's tokens do not suffice for another request.
                    Err(_) => None,
                };
                match second {
                    Some(Checked::Sound(repaired)) => Outcome::Written(repaired.into()),
                    Some(Checked::Opinionated { text, .. }) => trimmed(&text),
                    // The first draft without its claims is better than nothing.
                    Some(Checked::Unusable(_)) | None => trimmed(&text),
                }
            }
            Err(failure) => Outcome::Failed(failure.code, failure.detail.clone()),
        };
        (outcome, cost)
    }

    async fn ask(
        &self,
        prompt: &Prompt,
        user: &str,
        mut reservation: Reservation,
        call: &Call,
        cost: &mut Cost,
    ) -> Result<Checked> {
        let before = call.requests();
        reservation.begin();
        let answer = self.llm.complete(&prompt.system, user, prompt.max_tokens, call).await;
        let requests = call.requests().saturating_sub(before);
        let (read, written) = match &answer {
            Ok(completion) => (completion.prompt_tokens, completion.completion_tokens),
            // An LLM that is known to be down is not asked.
            Err(_) if requests == 0 => (Some(0), Some(0)),
            // What a request used that failed, nobody says.
            Err(_) => (None, None),
        };
        cost.llm_calls = cost.llm_calls.saturating_add(requests);
        cost.prompt_tokens = sum(cost.prompt_tokens, read);
        cost.completion_tokens = sum(cost.completion_tokens, written);
        // An LLM that does not say what it used is believed to have used what was set aside; some
        // say 0 for "not counted".
        if let Some(used) = sum(read, written).filter(|used| *used > 0 || requests == 0) {
            reservation.settle(used);
        }
        let completion = answer?;
        Ok(check(&completion.text, completion.is_cut, prompt))
    }
}

fn trimmed(text: &str) -> Outcome {
    without_claims(text).map_or(
        Outcome::Unusable("it stated a review, CI or merge status instead of a summary"),
        |text| Outcome::Written(text.into()),
    )
}

#[cfg(test)]
mod tests;
