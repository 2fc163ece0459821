//! Parts put together: what each pull request's work came to, and the whole answer.

use super::{
    assemble, extract,
    governor::moment,
    pack,
    reading::Parts,
    writing::{Answer, Cost, Outcome, Reply, sum},
};
use crate::{
    domain::{
        FailureCode,
        clock::Timestamp,
        digest::{
            Coverage, Digest, Omission, OmissionReason, RepositoryDigest, SummaryStatus, Usage,
        },
        pull_request::PullRequest,
    },
    upstream::github::PullRequestList,
};

/// Why nothing is written whatever is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unwritten {
    /// There is no LLM.
    NoLlm,
    /// The repository is not known to be public, and private text stays here.
    Private,
}

impl Unwritten {
    fn warning(self) -> &'static str {
        match self {
            Self::NoLlm => "No LLM is configured: extracts stand in for summaries.",
            Self::Private => {
                "LLM_PRIVATE is off and this repository is not known to be public: its text is not \
                 sent to the LLM, and extracts stand in for summaries."
            }
        }
    }
}

/// One pull request's part of the answer.
pub(super) struct Part {
    pub(super) digest: Digest,
    warnings: Vec<String>,
    cost: Cost,
    cache_hits: u32,
    /// Its text was given to the LLM, for this answer or for the one that it repeats.
    was_sent: bool,
    /// Asked again at once, it would be the same.
    is_settled: bool,
}

/// Without the LLM nothing but the list is read: the extract needs no more.
pub(super) fn unwritten(pull_request: &PullRequest, why: Unwritten, now: Timestamp) -> Part {
    let coverage = coverage(pull_request, &Parts::default(), 0);
    let status = SummaryStatus::Extract;
    Part {
        digest: digest(pull_request, None, status, coverage, now),
        warnings: vec![why.warning().to_owned()],
        cost: Cost::default(),
        cache_hits: 0,
        was_sent: false,
        is_settled: true,
    }
}

/// What is told of pull requests that the server's end caught up with.
const INTERRUPTED: &str =
    "The server was told to stop while it read and wrote: ask again for the rest.";

/// The server ends before anything but the list was read of it.
pub(super) fn interrupted(pull_request: &PullRequest, now: Timestamp) -> Part {
    let coverage = coverage(pull_request, &Parts::default(), 0);
    Part {
        digest: digest(pull_request, None, SummaryStatus::Pending, coverage, now),
        warnings: vec![INTERRUPTED.to_owned()],
        cost: Cost::default(),
        cache_hits: 0,
        was_sent: false,
        is_settled: false,
    }
}

/// One pull request's part, from what was read of it and what the LLM answered about it.
pub(super) fn part(
    pull_request: &PullRequest,
    parts: Parts,
    comments_used: u64,
    reply: Reply,
    now: Timestamp,
) -> Part {
    let coverage = coverage(pull_request, &parts, comments_used);
    let (mut warnings, mut cache_hits) = (parts.warnings, parts.cache_hits);
    let (mut cost, mut is_settled) = (Cost::default(), parts.is_whole);
    let was_sent = reply.was_sent;
    let (text, status) = match reply.answer {
        Answer::Earlier(text) => {
            cache_hits += 1;
            (Some(text.to_string()), SummaryStatus::Cached)
        }
        Answer::Now(outcome, paid) => {
            cost = paid;
            match outcome {
                Outcome::Written(text) => {
                    cache_hits += u32::from(cost.llm_calls == 0);
                    (Some(text.to_string()), SummaryStatus::Written)
                }
                Outcome::Unusable(reason) => {
                    is_settled = false;
                    warnings.push(format!(
                        "#{}: the LLM wrote no summary ({reason}); an extract stands in.",
                        pull_request.number
                    ));
                    (None, SummaryStatus::Extract)
                }
                Outcome::Failed(code, detail) => {
                    is_settled = false;
                    warnings.push(format!("{detail} Extracts stand in. ({})", code.slug()));
                    (None, SummaryStatus::Extract)
                }
            }
        }
        Answer::Busy => {
            is_settled = false;
            let code = FailureCode::LlmUnavailable.slug();
            warnings
                .push(format!("Too many summaries are being written. Extracts stand in. ({code})"));
            (None, SummaryStatus::Extract)
        }
        Answer::Spent(until) => {
            is_settled = false;
            warnings.push(format!(
                "The LLM's tokens for this caller are used up until {}. Extracts stand in.",
                moment(until)
            ));
            (None, SummaryStatus::Extract)
        }
        Answer::Pending => {
            is_settled = false;
            (None, SummaryStatus::Pending)
        }
        Answer::Interrupted => {
            is_settled = false;
            warnings.push(INTERRUPTED.to_owned());
            (None, SummaryStatus::Pending)
        }
    };
    let digest = digest(pull_request, text, status, coverage, now);
    Part { digest, warnings, cost, cache_hits, was_sent, is_settled }
}

fn digest(
    pull_request: &PullRequest,
    text: Option<String>,
    status: SummaryStatus,
    coverage: Coverage,
    now: Timestamp,
) -> Digest {
    let text = match status {
        SummaryStatus::Extract => Some(extract::extract(pull_request)),
        _ => text,
    };
    assemble::assemble(pull_request, text, status, coverage, now)
}

/// The whole answer, and whether it would be the same if it were asked again at once.
pub(super) fn collect(
    list: PullRequestList,
    parts: impl Iterator<Item = Part>,
    ranking: String,
    llm_host: Option<&str>,
    read_at: Timestamp,
) -> (RepositoryDigest, bool) {
    let mut warnings = list.warnings;
    for (number, reason) in list.absent {
        warnings.push(format!("#{number} is not summarized: {reason}."));
    }
    let mut usage = Usage::NOTHING;
    let mut pull_requests = Vec::new();
    let (mut was_sent, mut is_settled) = (false, true);
    for part in parts {
        usage.llm_calls += part.cost.llm_calls;
        usage.prompt_tokens = sum(usage.prompt_tokens, part.cost.prompt_tokens);
        usage.completion_tokens = sum(usage.completion_tokens, part.cost.completion_tokens);
        usage.cache_hits += part.cache_hits;
        was_sent |= part.was_sent;
        is_settled &= part.is_settled;
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
    let digest = RepositoryDigest {
        repository: list.name_with_owner.to_string(),
        url: list.url,
        open_pull_requests: list.open_pull_requests,
        ranking,
        pull_requests,
        complete: pending.is_empty(),
        pending,
        warnings,
        llm_host: llm_host.filter(|_| was_sent).map(str::to_owned),
        usage,
        generated_at: read_at,
    };
    (digest, is_settled)
}

/// The same answer given again: it cost nothing this time.
pub(super) fn again(mut digest: RepositoryDigest) -> RepositoryDigest {
    for part in &mut digest.pull_requests {
        if part.summary_status == SummaryStatus::Written {
            part.summary_status = SummaryStatus::Cached;
        }
    }
    let cache_hits = u32::try_from(digest.pull_requests.len()).unwrap_or(u32::MAX);
    digest.usage = Usage { cache_hits, ..Usage::NOTHING };
    digest
}

/// What of the change and the discussion was read.
fn coverage(pull_request: &PullRequest, parts: &Parts, comments_used: u64) -> Coverage {
    let packed = parts.diff.as_deref().map(|diff| &diff.packed);
    let said = pull_request
        .discussion()
        .zip(pull_request.reviews)
        .map(|(comments, reviews)| comments.saturating_add(reviews));
    // A diff may end before the change does; the list said how many files that has.
    let listed = packed.map(pack::Packed::files);
    let told = pull_request.changed_files;
    let is_truncated = packed.is_some_and(|packed| packed.is_truncated);
    let files = listed
        .filter(|_| !is_truncated || told.is_some())
        .map(|listed| listed.max(told.unwrap_or_default()));
    let mut omissions = packed.map(|packed| packed.omissions.clone()).unwrap_or_default();
    let unlisted = files.zip(listed).map_or(0, |(files, listed)| files.saturating_sub(listed));
    if unlisted > 0 {
        omissions.push(Omission { reason: OmissionReason::Unlisted, files: unlisted });
    }
    Coverage {
        files,
        files_read: packed.map_or(0, |packed| packed.read),
        files_cut: packed.map_or(0, |packed| packed.cut),
        files_omitted: packed.map(|packed| packed.omitted.clone()).unwrap_or_default(),
        omissions,
        comments: parts.conversation.as_deref().map_or(said, |conversation| conversation.total),
        comments_used,
    }
}

/// What progress says of a finished pull request: nothing that strangers wrote.
pub(super) fn message(digest: &Digest) -> String {
    let state = match digest.summary_status {
        SummaryStatus::Written => "summarized",
        SummaryStatus::Cached => "summarized earlier",
        SummaryStatus::Extract => "extracted",
        SummaryStatus::Pending => "still being written",
        SummaryStatus::Failed => "without a summary",
    };
    format!("#{} {state}", digest.number)
}
