//! WHAT. From a repository's name to a digest: choose, read, pack, prompt, summarize, check, assemble.
//!
//! One call lists the pull requests with every fact, as the caller; it is also the proof that the
//! caller may read. Conversations (one call) and diffs (one each) follow in parallel, and each
//! summary starts when its own parts are there. Whatever fails or is late costs its own part only:
//! facts always come. Nothing here outlives its caller but summaries whose caller ran out of time.

pub mod assemble;
pub mod cache;
pub mod check;
pub mod extract;
pub mod noise;
pub mod pack;
pub mod prompt;
mod reading;
pub mod render;
#[cfg(test)]
mod samples;
pub mod writing;

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use tokio::time::Instant;

use crate::{
    domain::{
        Clock, FailureCode,
        digest::{Coverage, Detail, Digest, RepositoryDigest, SummaryStatus, Usage},
        failure::Result,
        pull_request::PullRequest,
        ranking::Order,
        repository::{RepositoryName, RepositoryReference},
    },
    upstream::{
        github::{GitHub, ListQuery, PullRequestList},
        llm::Llm,
        transport::Call,
    },
};
use reading::{Parts, Reading};
use writing::{Answer, Cost, Outcome, Writing, WritingLimits};

/// Pull requests in one answer at most.
pub const MAX_PULL_REQUESTS: usize = 20;
/// Kept back from the deadline to put the answer together and send it.
const ASSEMBLY: Duration = Duration::from_millis(500);
/// Kept back from the deadline for the LLM: a diff that is not there by then is done without.
const WRITING_SHARE: u32 = 4;

/// Bounds of one answer.
#[derive(Debug, Clone)]
pub struct SummarizeSettings {
    /// For the whole answer. Hosts cut tool calls at about 60 s.
    pub deadline: Duration,
    /// Characters of each diff that the LLM sees.
    pub diff_budget_chars: usize,
    /// Bytes of packed diffs and conversations that are kept, each.
    pub cache_bytes: usize,
    /// Bounds of the writing.
    pub writing: WritingLimits,
}

impl Default for SummarizeSettings {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(45),
            diff_budget_chars: 14_000,
            cache_bytes: 16_000_000,
            writing: WritingLimits::default(),
        }
    }
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Of which repository; a pull request's own address asks for that one.
    pub repository: RepositoryReference,
    /// How many, 1 to [`MAX_PULL_REQUESTS`].
    pub limit: usize,
    /// These, instead of the first in an order; empty for the order.
    pub pull_requests: Vec<u64>,
    /// In which order.
    pub order: Order,
    /// Leave out drafts.
    pub exclude_drafts: bool,
    /// Leave out those opened by bots.
    pub exclude_bots: bool,
    /// Only those opened by this login.
    pub author: Option<String>,
    /// Only those with this label.
    pub label: Option<String>,
    /// Only those that want to change this branch.
    pub base: Option<String>,
    /// In which language to write; English if not said.
    pub language: Option<String>,
    /// How much to say.
    pub detail: Detail,
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
    clock: Arc<dyn Clock>,
}

/// One pull request's part of the answer.
struct Part {
    digest: Digest,
    warnings: Vec<String>,
    cost: Cost,
    cache_hits: u32,
}

impl Summarizer {
    /// With an LLM, or with extracts if there is none.
    pub fn new(settings: SummarizeSettings, llm: Option<Llm>, clock: Arc<dyn Clock>) -> Self {
        let writing = llm.map(|llm| Writing::new(llm, settings.writing.clone()));
        let reading = Reading::new(settings.cache_bytes, settings.diff_budget_chars);
        Self(Arc::new(Inner { settings, writing, reading, clock }))
    }

    /// The digest of the pull requests that `request` asks for, as `github`'s account sees them.
    pub async fn summarize(
        &self,
        github: &GitHub,
        request: &Request,
        progress: &dyn Progress,
        call: &Call,
    ) -> Result<RepositoryDigest> {
        let inner = &*self.0;
        let call = call.at_most(inner.settings.deadline);
        let list = inner.choose(github, request, &call.shortened(ASSEMBLY)).await?;
        let total = u32::try_from(list.pull_requests.len()).unwrap_or(u32::MAX);
        progress.report(
            0,
            total,
            format!("Reading {total} pull requests of {}", list.name_with_owner),
        );
        let read =
            &inner.reading.begin(github, &list, &call.shortened(call.remaining() / WRITING_SHARE));
        let answer_by = call.deadline().checked_sub(ASSEMBLY).unwrap_or_else(Instant::now);
        let mut work: FuturesUnordered<_> = list
            .pull_requests
            .iter()
            .enumerate()
            .map(|(position, pull_request)| async move {
                let part = match &inner.writing {
                    Some(writing) => {
                        let parts = read.parts(pull_request).await;
                        let repository = read.repository();
                        let prompt = question(repository, pull_request, &parts, request);
                        let coverage = coverage(pull_request, &parts, prompt.comments_used);
                        let answer = writing.write(prompt, answer_by).await;
                        inner.part(pull_request, parts, coverage, answer)
                    }
                    None => inner.extracted(pull_request),
                };
                (position, part)
            })
            .collect();
        let mut parts = Vec::with_capacity(list.pull_requests.len());
        while let Some((position, part)) = work.next().await {
            let done = u32::try_from(parts.len() + 1).unwrap_or(u32::MAX);
            progress.report(done, total, message(&part.digest));
            parts.push((position, part));
        }
        drop(work);
        parts.sort_unstable_by_key(|(position, _)| *position);
        let ranking = ranking(request);
        let mut digest = inner.collect(list, parts.into_iter().map(|(_, part)| part), ranking);
        digest.usage.github_requests = call.github_requests();
        Ok(digest)
    }
}

impl Inner {
    async fn choose(
        &self,
        github: &GitHub,
        request: &Request,
        call: &Call,
    ) -> Result<PullRequestList> {
        let repository = &request.repository.repository;
        let numbers = numbers(request);
        if !numbers.is_empty() {
            return github.by_number(repository, &numbers, call).await;
        }
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
        github.choose(&query, call).await
    }

    /// Without an LLM nothing but the list is read: the extract needs no more.
    fn extracted(&self, pull_request: &PullRequest) -> Part {
        let warning = "No LLM is configured: extracts stand in for summaries.".to_owned();
        let coverage = coverage(pull_request, &Parts::default(), 0);
        self.finish(pull_request, None, SummaryStatus::Extract, coverage, vec![warning])
    }

    /// One pull request's part, from what was asked and answered about it.
    fn part(
        &self,
        pull_request: &PullRequest,
        parts: Parts,
        coverage: Coverage,
        answer: Answer,
    ) -> Part {
        let (mut warnings, mut cache_hits) = (parts.warnings, parts.cache_hits);
        let mut paid = Cost::default();
        let (text, status) = match answer {
            Answer::Earlier(text) => {
                cache_hits += 1;
                (Some(text.to_string()), SummaryStatus::Cached)
            }
            Answer::Now(Outcome::Written(text), cost) => {
                cache_hits += u32::from(cost.llm_calls == 0);
                paid = cost;
                (Some(text.to_string()), SummaryStatus::Written)
            }
            Answer::Now(Outcome::Unusable(reason), cost) => {
                paid = cost;
                warnings.push(format!(
                    "#{}: the LLM wrote no summary ({reason}); an extract stands in.",
                    pull_request.number
                ));
                (None, SummaryStatus::Extract)
            }
            Answer::Now(Outcome::Failed(code, detail), cost) => {
                paid = cost;
                warnings.push(format!("{detail} Extracts stand in. ({})", code.slug()));
                (None, SummaryStatus::Extract)
            }
            Answer::Busy => {
                let code = FailureCode::LlmUnavailable.slug();
                warnings.push(format!(
                    "Too many summaries are being written. Extracts stand in. ({code})"
                ));
                (None, SummaryStatus::Extract)
            }
            Answer::Pending => (None, SummaryStatus::Pending),
        };
        let part = self.finish(pull_request, text, status, coverage, warnings);
        Part { cost: paid, cache_hits, ..part }
    }

    fn finish(
        &self,
        pull_request: &PullRequest,
        text: Option<String>,
        status: SummaryStatus,
        coverage: Coverage,
        warnings: Vec<String>,
    ) -> Part {
        let text = match status {
            SummaryStatus::Extract => Some(extract::extract(pull_request)),
            _ => text,
        };
        let digest = assemble::assemble(pull_request, text, status, coverage, self.clock.now());
        Part { digest, warnings, cost: Cost::default(), cache_hits: 0 }
    }

    fn collect(
        &self,
        list: PullRequestList,
        parts: impl Iterator<Item = Part>,
        ranking: String,
    ) -> RepositoryDigest {
        let mut warnings = list.warnings;
        for (number, reason) in list.absent {
            warnings.push(format!("#{number} is not summarized: {reason}."));
        }
        let mut usage = Usage::default();
        let mut pull_requests = Vec::new();
        for part in parts {
            usage.llm_calls += part.cost.llm_calls;
            usage.prompt_tokens += part.cost.prompt_tokens;
            usage.completion_tokens += part.cost.completion_tokens;
            usage.cache_hits += part.cache_hits;
            for warning in part.warnings {
                if !warnings.contains(&warning) {
                    warnings.push(warning);
                }
            }
            pull_requests.push(part.digest);
        }
        let pending: Vec<u64> = pull_requests
            .iter()
            .filter(|digest| digest.summary_status == SummaryStatus::Pending)
            .map(|digest| digest.number)
            .collect();
        RepositoryDigest {
            repository: list.name_with_owner.to_string(),
            url: list.url,
            open_pull_requests: list.open_pull_requests,
            ranking,
            pull_requests,
            complete: pending.is_empty(),
            pending,
            warnings,
            usage,
            generated_at: self.clock.now(),
        }
    }
}

/// What the LLM is asked about one pull request.
fn question(
    repository: &RepositoryName,
    pull_request: &PullRequest,
    parts: &Parts,
    request: &Request,
) -> prompt::Prompt {
    prompt::prompt(
        repository,
        pull_request,
        parts.conversation.as_deref(),
        parts.diff.as_deref().map(|diff| &diff.packed),
        request.language.as_deref(),
        request.detail,
    )
}

/// What of the change and the discussion was read.
fn coverage(pull_request: &PullRequest, parts: &Parts, comments_used: u64) -> Coverage {
    let packed = parts.diff.as_deref().map(|diff| &diff.packed);
    let said = pull_request.discussion().saturating_add(pull_request.reviews);
    Coverage {
        files: packed.map(pack::Packed::files),
        files_read: packed.map_or(0, |packed| packed.read),
        files_cut: packed.map_or(0, |packed| packed.cut),
        files_omitted: packed.map(|packed| packed.omitted.clone()).unwrap_or_default(),
        comments: parts.conversation.as_deref().map_or(said, |conversation| conversation.total),
        comments_used,
    }
}

/// The numbers asked for by name, the address's own first: each once, at most as many as an answer
/// holds.
fn numbers(request: &Request) -> Vec<u64> {
    let mut numbers: Vec<u64> = Vec::new();
    for number in request.repository.pull_request.iter().chain(&request.pull_requests).copied() {
        if !numbers.contains(&number) && numbers.len() < MAX_PULL_REQUESTS {
            numbers.push(number);
        }
    }
    numbers
}

fn ranking(request: &Request) -> String {
    if numbers(request).is_empty() {
        request.order.definition().to_owned()
    } else {
        "the numbers asked for, in that order".to_owned()
    }
}

/// What progress says of a finished pull request: nothing that strangers wrote.
fn message(digest: &Digest) -> String {
    let state = match digest.summary_status {
        SummaryStatus::Written => "summarized",
        SummaryStatus::Cached => "summarized earlier",
        SummaryStatus::Extract => "extracted",
        SummaryStatus::Pending => "still being written",
        SummaryStatus::Failed => "without a summary",
    };
    format!("#{} {state}", digest.number)
}

#[cfg(test)]
mod tests;
