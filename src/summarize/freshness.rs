//! Whole answers for a few seconds: who asks the same again at once gets the same again.
//!
//! An answer is found only by the caller it was made for, with the account it was read with and
//! the arguments it was asked with, and counts from the moment its facts were read. Whether that
//! account is still the caller's own is checked at the door, before anything is served.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use chrono::TimeDelta;

use super::{governor::Caller, request::Request};
use crate::domain::{clock::Timestamp, digest::RepositoryDigest};

/// How long facts pass for fresh.
const FRESH: TimeDelta = TimeDelta::seconds(15);
/// Answers kept for one caller.
const PER_CALLER: usize = 4;

/// The answers of the last seconds, within a bound of bytes.
#[derive(Debug)]
pub(super) struct Freshness {
    /// A std mutex: it is never held across an await.
    kept: Mutex<Kept>,
    max_bytes: usize,
}

#[derive(Debug, Default)]
struct Kept {
    by_caller: HashMap<Caller, Vec<Fresh>>,
    /// Every answer by when it came, the oldest first; some may be gone already.
    arrivals: VecDeque<(u64, Caller)>,
    next: u64,
    bytes: usize,
}

#[derive(Debug)]
struct Fresh {
    arrival: u64,
    account: String,
    request: Request,
    answer: RepositoryDigest,
    bytes: usize,
}

impl Fresh {
    fn read_at(&self) -> Timestamp {
        self.answer.generated_at
    }
}

impl Freshness {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self { kept: Mutex::default(), max_bytes }
    }

    /// The answer to the same question of the same caller with the same account, while it is fresh.
    pub(super) fn get(
        &self,
        caller: &Caller,
        account: &str,
        request: &Request,
        now: Timestamp,
    ) -> Option<RepositoryDigest> {
        let kept = self.lock();
        kept.by_caller
            .get(caller)?
            .iter()
            .find(|fresh| {
                fresh.account == account
                    && fresh.request == *request
                    && is_fresh(fresh.read_at(), now)
            })
            .map(|fresh| fresh.answer.clone())
    }

    /// Keeps an answer, unless its facts are too old by now.
    pub(super) fn put(
        &self,
        caller: &Caller,
        account: &str,
        request: &Request,
        answer: &RepositoryDigest,
        now: Timestamp,
    ) {
        let bytes = size(answer);
        if !is_fresh(answer.generated_at, now) || bytes > self.max_bytes {
            return;
        }
        let mut kept = self.lock();
        kept.drop_stale(now);
        let arrival = kept.next;
        kept.next += 1;
        kept.bytes += bytes;
        kept.arrivals.push_back((arrival, caller.clone()));
        let own = kept.by_caller.entry(caller.clone()).or_default();
        own.push(Fresh {
            arrival,
            account: account.to_owned(),
            request: request.clone(),
            answer: answer.clone(),
            bytes,
        });
        let surplus = own
            .iter()
            .position(|fresh| {
                fresh.arrival != arrival && fresh.account == account && fresh.request == *request
            })
            .or((own.len() > PER_CALLER).then_some(0));
        if let Some(position) = surplus {
            let gone = own.remove(position).bytes;
            kept.bytes -= gone;
        }
        while kept.bytes > self.max_bytes && kept.drop_oldest() {}
    }

    /// Drops whatever was made for this caller.
    pub(super) fn forget(&self, caller: &Caller) {
        let mut kept = self.lock();
        let gone: usize =
            kept.by_caller.remove(caller).iter().flatten().map(|fresh| fresh.bytes).sum();
        kept.bytes -= gone;
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn drop_stale(&mut self, now: Timestamp) {
        while let Some((arrival, caller)) = self.arrivals.front() {
            let own = self.by_caller.get(caller).map(Vec::as_slice).unwrap_or_default();
            let living = own.iter().find(|fresh| fresh.arrival == *arrival);
            if living.is_some_and(|fresh| is_fresh(fresh.read_at(), now)) {
                break;
            }
            self.drop_oldest();
        }
    }

    /// Drops the answer that came first; false if there was none.
    fn drop_oldest(&mut self) -> bool {
        let Some((arrival, caller)) = self.arrivals.pop_front() else { return false };
        if let Some(own) = self.by_caller.get_mut(&caller) {
            if let Some(position) = own.iter().position(|fresh| fresh.arrival == arrival) {
                self.bytes -= own.remove(position).bytes;
            }
            if own.is_empty() {
                self.by_caller.remove(&caller);
            }
        }
        true
    }
}

/// Facts of the future come from a clock that was set back: how old they are is not known.
fn is_fresh(read_at: Timestamp, now: Timestamp) -> bool {
    (TimeDelta::zero()..=FRESH).contains(&(now - read_at))
}

/// About how many bytes an answer takes.
fn size(answer: &RepositoryDigest) -> usize {
    let parts = answer.pull_requests.iter().map(|digest| {
        let words = digest.reasons.iter().chain(digest.facts.labels.iter().flatten());
        let paths = digest.coverage.files_omitted.iter().map(|omitted| omitted.path.len() + 40);
        1_000
            + digest.title.len()
            + digest.summary.as_ref().map_or(0, String::len)
            + words
                .chain(digest.facts.review_requests.iter().flatten())
                .map(|word| word.len() + 24)
                .sum::<usize>()
            + paths.sum::<usize>()
    });
    1_000 + answer.warnings.iter().map(String::len).sum::<usize>() + parts.sum::<usize>()
}

#[cfg(test)]
mod tests;
