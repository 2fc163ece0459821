//! WHAT. From a repository's name to a digest: choose, read, pack, prompt, summarize, check, assemble.
//!
//! One call lists the pull requests with every fact, as the caller; it is also the proof that the
//! caller may read. Conversations (one call) and diffs (one each) follow in parallel, and each
//! summary starts when its own parts are there. Whatever fails or is late costs its own part only:
//! facts always come. Nothing here outlives its caller but summaries whose caller ran out of time,
//! and those end with the server.
//!
//! A person's question comes in through [`asking`], the same way from every door.
//!
//! What is kept between calls is found in two ways only: parts by keys that GitHub has just
//! returned to this caller ([`cache`]), whole answers by the caller they were made for, for a few
//! seconds (`freshness`). How much a caller may ask is up to the [`governor`].

mod answer;
pub mod asking;
pub mod assemble;
pub mod cache;
pub mod check;
pub mod extract;
mod flight;
mod freshness;
pub mod governor;
pub mod noise;
pub mod pack;
pub mod prompt;
mod reading;
pub mod render;
mod request;
#[cfg(test)]
mod samples;
pub mod writing;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use chrono::TimeDelta;
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use asking::Asking;
pub use governor::Caller;
pub use request::{MAX_PULL_REQUESTS, Request};

use crate::{
    domain::{
        Clock, Failure, FailureCode, Timestamp,
        digest::{RepositoryDigest, Usage},
        failure::Result,
        pull_request::PullRequest,
    },
    measure,
    upstream::{
        github::{GitHub, ListQuery, PullRequestList, RateLimit},
        llm::Llm,
        transport::Call,
    },
};
use answer::{Part, Unwritten};
use freshness::Freshness;
use governor::{Allowance, Governor, GovernorLimits, moment};
use reading::{Begun, Reading};
use writing::{Writing, WritingLimits};

/// Kept back from the deadline to put the answer together and send it.
const ASSEMBLY: Duration = Duration::from_millis(500);
/// Kept back from the deadline for the LLM: a diff that is not there by then is done without.
const WRITING_SHARE: u32 = 4;
/// Of the time there is, so much may pass while waiting to be let in.
const WAITING_SHARE: u32 = 4;
/// How long GitHub's limit is believed to be used up when it does not say.
const UNSTATED_WAIT: Duration = Duration::from_mins(1);
/// What is told with summaries in a language in which no statement of a status is recognized.
const UNCHECKED_LANGUAGE: &str = "Summaries in this language are not checked for statements about \
                                  review, CI or merge: where one differs from the facts, the facts \
                                  are right.";
/// How long a caller is told to wait for a server that was told to stop: a restart takes seconds.
const COME_BACK: Duration = Duration::from_secs(5);

/// Bounds of one answer, and of what is kept.
#[derive(Debug, Clone)]
pub struct SummarizeSettings {
    /// For the whole answer. Hosts cut tool calls at about 60 s.
    pub deadline: Duration,
    /// Characters of each diff that the LLM sees.
    pub diff_budget_chars: usize,
    /// The LLM may read repositories that are not known to be public.
    pub llm_reads_private: bool,
    /// Bytes of packed diffs, of conversations, and of whole answers that are kept, each.
    pub cache_bytes: usize,
    /// Bounds of the writing.
    pub writing: WritingLimits,
    /// Bounds of each caller.
    pub governor: GovernorLimits,
}

impl Default for SummarizeSettings {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(45),
            diff_budget_chars: 14_000,
            llm_reads_private: true,
            cache_bytes: 16_000_000,
            writing: WritingLimits::default(),
            governor: GovernorLimits::default(),
        }
    }
}

/// Hears how far the work is.
pub trait Progress: Send + Sync {
    /// `done` of `total` pull requests are finished. Called once when the list is known, and after
    /// each pull request.
    fn report(&self, done: u32, total: u32, message: String);
}

/// For callers who do not ask.
impl Progress for () {
    fn report(&self, _done: u32, _total: u32, _message: String) {}
}

/// Makes digests; clones share caches and the work in progress.
#[derive(Debug, Clone)]
pub struct Summarizer(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: SummarizeSettings,
    writing: Option<Writing>,
    reading: Reading,
    freshness: Freshness,
    governor: Governor,
    clock: Arc<dyn Clock>,
    ending: Ending,
}

/// When the work ends with the server.
#[derive(Debug, Clone, Default)]
pub struct Ending {
    /// Answers leave as they are: what is not there yet is pending.
    pub hurry: CancellationToken,
    /// What is written in the background ends.
    pub stop: CancellationToken,
}

/// Who asks, and with which account.
struct Asker<'a> {
    caller: &'a Caller,
    github: &'a GitHub,
    account: String,
}

impl Summarizer {
    /// With an LLM, or with extracts if there is none.
    pub fn new(
        settings: SummarizeSettings,
        llm: Option<Llm>,
        clock: Arc<dyn Clock>,
        ending: Ending,
    ) -> Self {
        let writing = llm.map(|llm| {
            Writing::new(llm, settings.writing.clone(), Arc::clone(&clock), ending.stop.clone())
        });
        let reading = Reading::new(settings.cache_bytes, settings.diff_budget_chars);
        let freshness = Freshness::new(settings.cache_bytes);
        let governor = Governor::new(settings.governor.clone(), Arc::clone(&clock));
        Self(Arc::new(Inner { settings, writing, reading, freshness, governor, clock, ending }))
    }

    /// The machine that pull requests' texts are sent to; `None` if they stay here.
    pub fn llm_host(&self) -> Option<&str> {
        self.0.writing.as_ref().map(|writing| writing.llm().host())
    }

    /// Drops the answers that were kept for this caller, whose account has changed or gone, and ends
    /// what is written in the background for nobody else: a text that still waits for its place is
    /// not sent to the LLM any more.
    pub fn forget(&self, caller: &Caller) {
        self.0.freshness.forget(caller);
        if let Some(writing) = &self.0.writing {
            writing.forget(caller);
        }
    }

    /// Returns when nothing is written in the background any more that is now for this caller.
    pub async fn until_written(&self, caller: &Caller) {
        if let Some(writing) = &self.0.writing {
            writing.until_written(caller).await;
        }
    }

    /// The digest of the pull requests that `request` asks for, as `github`'s account sees them.
    /// `github` must be `caller`'s own access at this moment: an answer of the last seconds is
    /// given without asking GitHub again.
    ///
    /// # Errors
    /// Those of listing the pull requests; `too_many_requests` and `github_rate_limited` with how
    /// long to wait; `stopping`.
    pub async fn summarize(
        &self,
        caller: &Caller,
        github: &GitHub,
        request: &Request,
        progress: &dyn Progress,
        call: &Call,
    ) -> Result<RepositoryDigest> {
        let inner = &*self.0;
        let call = call.at_most(inner.settings.deadline).asked_by(caller.as_str());
        let asker = Asker { caller, github, account: github.account() };
        let patience = Instant::now() + call.remaining() / WAITING_SHARE;
        let admission = inner.governor.admit(caller, &asker.account, patience).await?;
        let now = inner.clock.now();
        if let Some(kept) = inner.freshness.get(caller, &asker.account, request, now) {
            return Ok(answer::again(kept));
        }
        let listing = call.shortened(ASSEMBLY);
        let mut list = tokio::select! {
            list = inner.choose(&asker, request, &listing) => list?,
            () = inner.ending.hurry.cancelled() => return Err(stopping()),
        };
        let read_at = inner.clock.now();
        let may_ask = inner.look_at_the_limit(&asker, &mut list);
        let total = u32::try_from(list.pull_requests.len()).unwrap_or(u32::MAX);
        progress.report(
            0,
            total,
            format!("Reading {total} pull requests of {}", list.name_with_owner),
        );
        let reading_ends = call.shortened(call.remaining() / WRITING_SHARE);
        let read = inner.reading.begin(github, &list, may_ask, &reading_ends);
        let answer_by = call.deadline().checked_sub(ASSEMBLY).unwrap_or_else(Instant::now);
        let allowance = &admission.allowance;
        let work = Work { asker: &asker, request, list: &list, read: &read, allowance, answer_by };
        let parts = inner.parts(&work, progress, total).await;
        let ranking = request.ranking(list.is_chosen_by_github);
        let limits = github.rate_limits();
        // That the list's own is used up has been said.
        let graphql = limits.graphql.filter(|_| may_ask);
        let now = inner.clock.now();
        warn_of_limits(&[(graphql, "points"), (limits.rest, "REST requests")], now, &mut list);
        list.warnings.extend(request.warnings());
        if self.llm_host().is_some() && !check::checks_language(request.language.as_deref()) {
            list.warnings.push(UNCHECKED_LANGUAGE.to_owned());
        }
        let (mut digest, is_settled) =
            answer::collect(list, parts.into_iter(), ranking, self.llm_host(), read_at);
        digest.usage.github_requests = call.github_requests();
        let Usage { cache_hits, llm_calls, .. } = digest.usage;
        measure::summary(cache_hits, llm_calls, digest.pending.len());
        if is_settled {
            let now = inner.clock.now();
            inner.freshness.put(caller, &asker.account, request, &digest, now);
        }
        Ok(digest)
    }
}

/// Everything that the parts of one answer have in common.
struct Work<'a, 'r> {
    asker: &'a Asker<'a>,
    request: &'a Request,
    list: &'a PullRequestList,
    read: &'a Begun<'r>,
    allowance: &'a Allowance,
    answer_by: Instant,
}

impl Inner {
    /// The list, or GitHub's refusal, which is remembered if it says to come back later.
    async fn choose(
        &self,
        asker: &Asker<'_>,
        request: &Request,
        call: &Call,
    ) -> Result<PullRequestList> {
        let repository = &request.repository.repository;
        let numbers = request.numbers();
        let list = if numbers.is_empty() {
            let query = ListQuery {
                repository: repository.clone(),
                limit: request.limit.clamp(1, MAX_PULL_REQUESTS),
                order: request.order,
                exclude_drafts: request.exclude_drafts,
                exclude_bots: request.exclude_bots,
                author: request.author.clone(),
                label: request.label.clone(),
                base: request.base.clone(),
            };
            asker.github.choose(&query, call).await
        } else {
            asker.github.by_number(repository, &numbers, call).await
        };
        list.inspect_err(|failure| self.note_limit(asker, failure))
    }

    fn note_limit(&self, asker: &Asker<'_>, failure: &Failure) {
        if failure.code == FailureCode::GitHubRateLimited {
            self.hold(asker, failure.retry_after.unwrap_or(UNSTATED_WAIT));
        }
    }

    fn hold(&self, asker: &Asker<'_>, wait: Duration) {
        let wait = TimeDelta::from_std(wait).ok();
        if let Some(until) = wait.and_then(|wait| self.clock.now().checked_add_signed(wait)) {
            self.governor.hold(asker.caller, &asker.account, until);
        }
    }

    /// Says when nothing of GitHub's limit is left. False: nothing is, and asking on would be in vain.
    fn look_at_the_limit(&self, asker: &Asker<'_>, list: &mut PullRequestList) -> bool {
        let Some(told) = list.rate_limit else { return true };
        if told.remaining > 0 {
            return true;
        }
        match told.reset_at {
            Some(at) => self.governor.hold(asker.caller, &asker.account, at),
            None => self.hold(asker, UNSTATED_WAIT),
        }
        list.warnings.push(format!(
            "GitHub's rate limit for this account is used up{}: what was not read before is missing.",
            until(told.reset_at)
        ));
        false
    }

    /// Every pull request's part, in the list's order. In a hurry each ends with what it has.
    async fn parts(&self, work: &Work<'_, '_>, progress: &dyn Progress, total: u32) -> Vec<Part> {
        let listed = work.list.pull_requests.iter().enumerate();
        let mut under_way: FuturesUnordered<_> = listed
            .map(|(position, pull_request)| async move {
                (position, self.part(work, pull_request).await)
            })
            .collect();
        let mut parts: BTreeMap<usize, Part> = BTreeMap::new();
        while let Some((position, part)) = under_way.next().await {
            let done = u32::try_from(parts.len() + 1).unwrap_or(u32::MAX);
            progress.report(done, total, answer::message(&part.digest));
            parts.insert(position, part);
        }
        parts.into_values().collect()
    }

    async fn part(&self, work: &Work<'_, '_>, pull_request: &PullRequest) -> Part {
        let writing = match &self.writing {
            None => Err(Unwritten::NoLlm),
            // Unknown is not public.
            Some(_) if work.list.is_private != Some(false) && !self.settings.llm_reads_private => {
                Err(Unwritten::Private)
            }
            Some(writing) => Ok(writing),
        };
        let writing = match writing {
            Ok(writing) => writing,
            Err(why) => return answer::unwritten(pull_request, why, self.clock.now()),
        };
        let hurry = &self.ending.hurry;
        let parts = tokio::select! {
            biased;
            parts = work.read.parts(pull_request) => parts,
            () = hurry.cancelled() => {
                return answer::interrupted(pull_request, self.clock.now());
            }
        };
        if let Some(wait) = parts.limited {
            self.hold(work.asker, wait);
        }
        let prompt = prompt::prompt(
            &work.list.name_with_owner,
            pull_request,
            parts.conversation.as_deref(),
            parts.diff.as_deref().map(|diff| &diff.packed),
            work.request.language.as_deref(),
            work.request.detail,
        );
        let comments_used = prompt.comments_used;
        let reply = writing.write(prompt, work.answer_by, hurry, work.allowance).await;
        answer::part(pull_request, parts, comments_used, reply, self.clock.now())
    }
}

/// Says when little is left of one of GitHub's limits, after all that this call has asked.
fn warn_of_limits(
    limits: &[(Option<RateLimit>, &str)],
    now: Timestamp,
    list: &mut PullRequestList,
) {
    for (limit, unit) in limits {
        let left = limit.filter(|limit| limit.is_low() && limit.reset_at.is_none_or(|at| now < at));
        if let Some(left) = left
            && let Some(limit) = left.limit
        {
            list.warnings.push(format!(
                "Of GitHub's rate limit for this account {} of {limit} {unit} are left{}.",
                left.remaining,
                until(left.reset_at)
            ));
        }
    }
}

fn until(at: Option<Timestamp>) -> String {
    at.map_or_else(String::new, |at| format!(" until {}", moment(at)))
}

fn stopping() -> Box<Failure> {
    let sentence = "The server was told to stop before GitHub had answered.";
    Failure::new(FailureCode::Stopping, sentence).retry_after(COME_BACK)
}

#[cfg(test)]
mod tests;
