//! Summaries being written: once for everybody who asks the same, and to the end.
//!
//! Whoever asks first starts the work; whoever asks the same meanwhile waits for it too. When the
//! last one leaves (a client that cancelled), the work is dropped. When they leave because their
//! time was up, it goes on in the background, within its own time limit and until the server stops,
//! and the next call finds the result in the cache.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Semaphore, watch},
    time::{Instant, timeout_at},
};
use tokio_util::sync::CancellationToken;

use super::{
    cache::Cache,
    check::{Checked, check, complaint, without_claims},
    governor::{Allowance, Reservation},
    prompt::Prompt,
};
use crate::{
    domain::{FailureCode, clock::Timestamp, failure::Result},
    upstream::{llm::Llm, transport::Call},
};

/// Bounds of the work.
#[derive(Debug, Clone)]
pub struct WritingLimits {
    /// Calls of the LLM at the same time, for all callers together.
    pub max_concurrent: usize,
    /// Summaries waiting or being written, for all callers together.
    pub max_queued: usize,
    /// Summaries being written that nobody waits for any more.
    pub max_in_background: usize,
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
            max_in_background: 64,
            time: Duration::from_mins(3),
            cache_bytes: 8_000_000,
        }
    }
}

/// What a summary cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Calls of the LLM.
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
pub enum Answer {
    /// Written now, at this cost (none for those who only waited along).
    Now(Outcome, Cost),
    /// Written earlier.
    Earlier(Arc<str>),
    /// Still being written when the time was up.
    Pending,
    /// Too much is being written already.
    Busy,
    /// The caller's tokens are used up until then.
    Spent(Timestamp),
}

/// Writes summaries with one LLM.
#[derive(Debug, Clone)]
pub struct Writing(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    llm: Llm,
    limits: WritingLimits,
    places: Semaphore,
    finished: Cache<Arc<str>>,
    /// A std mutex: it is never held across an await.
    running: Mutex<HashMap<String, Job>>,
    /// Jobs that are kept.
    in_background: Arc<AtomicUsize>,
    stop: CancellationToken,
}

/// A summary being written.
#[derive(Debug, Clone)]
struct Job {
    outcome: watch::Receiver<Option<(Outcome, Cost)>>,
    interest: Weak<Interest>,
    keeping: Arc<Keeping>,
}

/// Whether a job goes on without anybody waiting. Counted while it lives.
#[derive(Debug)]
struct Keeping {
    is_kept: AtomicBool,
    in_all: Arc<AtomicUsize>,
}

impl Keeping {
    fn is_kept(&self) -> bool {
        self.is_kept.load(Ordering::SeqCst)
    }

    /// Has the job go on; false if too many do already.
    fn keep(&self, most: usize) -> bool {
        if self.is_kept() {
            return true;
        }
        let one_more = |kept: usize| (kept < most).then_some(kept + 1);
        if self.in_all.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_more).is_err() {
            return false;
        }
        if self.is_kept.swap(true, Ordering::SeqCst) {
            // Somebody else kept it meanwhile, and counted it.
            self.in_all.fetch_sub(1, Ordering::SeqCst);
        }
        true
    }
}

impl Drop for Keeping {
    fn drop(&mut self) {
        if self.is_kept() {
            self.in_all.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

/// Held by everyone who waits; when the last one drops it, the work ends unless it is kept.
#[derive(Debug)]
struct Interest {
    keeping: Arc<Keeping>,
    abandoned: CancellationToken,
}

impl Drop for Interest {
    fn drop(&mut self) {
        if !self.keeping.is_kept() {
            self.abandoned.cancel();
        }
    }
}

impl Writing {
    /// Nothing is being written yet; whatever is ends when `stop` is cancelled.
    pub fn new(llm: Llm, limits: WritingLimits, stop: CancellationToken) -> Self {
        Self(Arc::new(Inner {
            places: Semaphore::new(limits.max_concurrent),
            finished: Cache::new(limits.cache_bytes),
            running: Mutex::default(),
            in_background: Arc::default(),
            stop,
            llm,
            limits,
        }))
    }

    /// Who writes.
    pub fn llm(&self) -> &Llm {
        &self.0.llm
    }

    /// The summary that `prompt` asks for, or what stands in its way, by `deadline`. Only what has
    /// to be written anew comes out of the allowance.
    pub async fn write(&self, prompt: Prompt, deadline: Instant, allowance: &Allowance) -> Answer {
        let key = prompt.key(self.0.llm.model());
        let (job, interest, is_first) = {
            let mut running = self.0.running.lock().unwrap_or_else(PoisonError::into_inner);
            // Looked up under the lock: a job enters the cache before it leaves this table.
            if let Some(text) = self.0.finished.get(&key) {
                return Answer::Earlier(text);
            }
            let joined = running.get(&key).cloned().and_then(|job| {
                let interest = job.interest.upgrade();
                // Nobody waits and nobody will: that job is ending, another one takes its place.
                (interest.is_some() || job.keeping.is_kept()).then_some((job, interest))
            });
            match joined {
                Some((job, interest)) => (job, interest, false),
                None if running.len() >= self.0.limits.max_queued => return Answer::Busy,
                None => {
                    let (job, interest) = match self.start(key.clone(), prompt, allowance) {
                        Ok(started) => started,
                        Err(answer) => return answer,
                    };
                    running.insert(key, job.clone());
                    (job, Some(interest), true)
                }
            }
        };
        let mut receiver = job.outcome.clone();
        let finished = timeout_at(deadline, receiver.wait_for(Option::is_some)).await;
        let answer = match finished {
            Ok(Ok(outcome)) => match &*outcome {
                Some((outcome, cost)) => {
                    Answer::Now(outcome.clone(), if is_first { *cost } else { Cost::default() })
                }
                None => Answer::Pending,
            },
            Err(_) if job.keeping.keep(self.0.limits.max_in_background) => Answer::Pending,
            // No room in the background, or the job ended without a word: the server stops.
            Ok(Err(_)) | Err(_) => Answer::Busy,
        };
        drop(interest);
        answer
    }

    /// Starts a job in one of the caller's places.
    fn start(
        &self,
        key: String,
        prompt: Prompt,
        allowance: &Allowance,
    ) -> Result<(Job, Arc<Interest>), Answer> {
        let Ok(queued) = Arc::clone(&allowance.queue).try_acquire_owned() else {
            return Err(Answer::Busy);
        };
        let reservation = allowance.reserve(estimate(&prompt)).map_err(Answer::Spent)?;
        let places = Arc::clone(&allowance.writing);
        let call = Call::within(self.0.limits.time).asked_by(allowance.caller().as_str());
        let (sender, outcome) = watch::channel(None);
        let in_all = Arc::clone(&self.0.in_background);
        let keeping = Arc::new(Keeping { is_kept: AtomicBool::new(false), in_all });
        let abandoned = self.0.stop.child_token();
        let interest =
            Arc::new(Interest { keeping: Arc::clone(&keeping), abandoned: abandoned.clone() });
        let interested = Arc::downgrade(&interest);
        let job = Job { outcome: outcome.clone(), interest: interested, keeping };
        let inner = Arc::clone(&self.0);
        tokio::spawn(async move {
            let outcome_of_work = tokio::select! {
                biased;
                () = abandoned.cancelled() => None,
                done = inner.work(&prompt, &places, &call) => Some(done),
            };
            // What was abandoned may have been read by the LLM: it stays spent.
            if let Some((_, cost)) = &outcome_of_work {
                settle(reservation, cost);
            }
            if let Some((Outcome::Written(text), _)) = &outcome_of_work {
                inner.finished.put(&key, Arc::clone(text), text.len());
            }
            inner.leave(&key, &outcome);
            drop(queued);
            if outcome_of_work.is_some() {
                // Without receivers nobody waits any more; the cache has it.
                let _ = sender.send(outcome_of_work);
            }
        });
        Ok((job, interest))
    }
}

/// Tokens that a summary may cost, from above: most languages have more bytes to a token.
fn estimate(prompt: &Prompt) -> u64 {
    let bytes = prompt.system.len().saturating_add(prompt.user.len());
    u64::try_from(bytes / 3).unwrap_or(u64::MAX).saturating_add(prompt.max_tokens.into())
}

/// An LLM that does not say what it used is believed to have used what was set aside.
fn settle(reservation: Reservation, cost: &Cost) {
    match sum(cost.prompt_tokens, cost.completion_tokens) {
        Some(used) if used > 0 || cost.llm_calls == 0 => reservation.settle(used),
        // Some servers say 0 for "not counted".
        Some(_) | None => {}
    }
}

impl Inner {
    /// Takes the job off the table, unless another one has taken its place.
    fn leave(&self, key: &str, outcome: &watch::Receiver<Option<(Outcome, Cost)>>) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if running.get(key).is_some_and(|job| job.outcome.same_channel(outcome)) {
            running.remove(key);
        }
    }

    /// Waits in the caller's own line first, so that the common one holds few of each caller.
    async fn work(&self, prompt: &Prompt, own: &Semaphore, call: &Call) -> (Outcome, Cost) {
        let mut cost = Cost::default();
        let places = async { Some((own.acquire().await.ok()?, self.places.acquire().await.ok()?)) };
        let Ok(Some(_places)) = timeout_at(call.deadline(), places).await else {
            let detail = "The LLM is asked too much at the moment.".to_owned();
            return (Outcome::Failed(FailureCode::LlmUnavailable, detail), cost);
        };
        let outcome = match self.ask(prompt, &prompt.user, call, &mut cost).await {
            Ok(Checked::Sound(text)) => Outcome::Written(text.into()),
            Ok(Checked::Unusable(reason)) => Outcome::Unusable(reason),
            Ok(Checked::Opinionated { text, claims }) => {
                let again = complaint(prompt, &text, &claims);
                let second = self.ask(prompt, &again, call, &mut cost).await;
                match second {
                    Ok(Checked::Sound(repaired)) => Outcome::Written(repaired.into()),
                    Ok(Checked::Opinionated { text, .. }) => trimmed(&text),
                    // The first draft without its claims is better than nothing.
                    Ok(Checked::Unusable(_)) | Err(_) => trimmed(&text),
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
        call: &Call,
        cost: &mut Cost,
    ) -> Result<Checked> {
        cost.llm_calls += 1;
        let answer = self.llm.complete(&prompt.system, user, prompt.max_tokens, call).await;
        // What a call used that failed, nobody says.
        let (read, written) = answer.as_ref().map_or((None, None), |completion| {
            (completion.prompt_tokens, completion.completion_tokens)
        });
        cost.prompt_tokens = sum(cost.prompt_tokens, read);
        cost.completion_tokens = sum(cost.completion_tokens, written);
        let completion = answer?;
        Ok(check(&completion.text, prompt))
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
