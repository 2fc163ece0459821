//! Summaries being written: once for everybody who asks the same, and to the end.
//!
//! Whoever asks first starts the work; whoever asks the same meanwhile waits for it too. When the
//! last one leaves (a client that cancelled), the work is dropped. When they leave because their
//! time was up, it goes on in the background, within its own time limit, and the next call finds
//! the result in the cache.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
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
    prompt::Prompt,
};
use crate::{
    domain::{FailureCode, failure::Result},
    upstream::{llm::Llm, transport::Call},
};

/// Bounds of the work.
#[derive(Debug, Clone)]
pub struct WritingLimits {
    /// Calls of the LLM at the same time, for all callers together.
    pub max_concurrent: usize,
    /// Summaries waiting or being written, for all callers together.
    pub max_queued: usize,
    /// How long one summary may take, its wait for a place included.
    pub time: Duration,
    /// Bytes of finished summaries that are kept.
    pub cache_bytes: usize,
}

impl Default for WritingLimits {
    fn default() -> Self {
        Self {
            max_concurrent: 16,
            max_queued: 256,
            time: Duration::from_mins(3),
            cache_bytes: 8_000_000,
        }
    }
}

/// What a summary cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    /// Calls of the LLM.
    pub llm_calls: u32,
    /// Tokens read.
    pub prompt_tokens: u64,
    /// Tokens written.
    pub completion_tokens: u64,
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
}

/// A summary being written.
#[derive(Debug, Clone)]
struct Job {
    outcome: watch::Receiver<Option<(Outcome, Cost)>>,
    interest: Weak<Interest>,
    /// Goes on without anybody waiting.
    is_kept: Arc<AtomicBool>,
}

/// Held by everyone who waits; when the last one drops it, the work ends unless it is kept.
#[derive(Debug)]
struct Interest {
    is_kept: Arc<AtomicBool>,
    abandoned: CancellationToken,
}

impl Drop for Interest {
    fn drop(&mut self) {
        if !self.is_kept.load(Ordering::SeqCst) {
            self.abandoned.cancel();
        }
    }
}

impl Writing {
    /// Nothing is being written yet.
    pub fn new(llm: Llm, limits: WritingLimits) -> Self {
        Self(Arc::new(Inner {
            places: Semaphore::new(limits.max_concurrent),
            finished: Cache::new(limits.cache_bytes),
            running: Mutex::default(),
            llm,
            limits,
        }))
    }

    /// The summary that `prompt` asks for, or what stands in its way, by `deadline`.
    pub async fn write(&self, prompt: Prompt, deadline: Instant) -> Answer {
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
                (interest.is_some() || job.is_kept.load(Ordering::SeqCst))
                    .then_some((job, interest))
            });
            match joined {
                Some((job, interest)) => (job, interest, false),
                None if running.len() >= self.0.limits.max_queued => return Answer::Busy,
                None => {
                    let (job, interest) = self.start(key.clone(), prompt);
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
            // The job ended without a word: it was dropped with its runtime.
            Ok(Err(_)) => Answer::Pending,
            Err(_) => {
                job.is_kept.store(true, Ordering::SeqCst);
                Answer::Pending
            }
        };
        drop(interest);
        answer
    }

    fn start(&self, key: String, prompt: Prompt) -> (Job, Arc<Interest>) {
        let (sender, outcome) = watch::channel(None);
        let is_kept = Arc::new(AtomicBool::new(false));
        let abandoned = CancellationToken::new();
        let interest =
            Arc::new(Interest { is_kept: Arc::clone(&is_kept), abandoned: abandoned.clone() });
        let job = Job { outcome: outcome.clone(), interest: Arc::downgrade(&interest), is_kept };
        let inner = Arc::clone(&self.0);
        tokio::spawn(async move {
            let outcome_of_work = tokio::select! {
                biased;
                () = abandoned.cancelled() => None,
                done = inner.work(&prompt) => Some(done),
            };
            if let Some((Outcome::Written(text), _)) = &outcome_of_work {
                inner.finished.put(&key, Arc::clone(text), text.len());
            }
            inner.leave(&key, &outcome);
            // Without receivers nobody waits any more; the cache has it.
            let _ = sender.send(outcome_of_work);
        });
        (job, interest)
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

    async fn work(&self, prompt: &Prompt) -> (Outcome, Cost) {
        let call = Call::within(self.limits.time);
        let mut cost = Cost::default();
        let Ok(Ok(_place)) = timeout_at(call.deadline(), self.places.acquire()).await else {
            let detail = "The LLM is asked too much at the moment.".to_owned();
            return (Outcome::Failed(FailureCode::LlmUnavailable, detail), cost);
        };
        let outcome = match self.ask(prompt, &prompt.user, &call, &mut cost).await {
            Ok(Checked::Sound(text)) => Outcome::Written(text.into()),
            Ok(Checked::Unusable(reason)) => Outcome::Unusable(reason),
            Ok(Checked::Opinionated { text, claims }) => {
                let again = complaint(prompt, &text, &claims);
                let second = self.ask(prompt, &again, &call, &mut cost).await;
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
        let completion = self.llm.complete(&prompt.system, user, prompt.max_tokens, call).await?;
        cost.prompt_tokens += completion.prompt_tokens;
        cost.completion_tokens += completion.completion_tokens;
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
