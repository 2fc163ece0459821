//! Facts, stage and summary side by side: one pull request's part of the answer.

use crate::domain::{
    clock::Timestamp,
    digest::{Coverage, Digest, Discussion, Facts, SummaryStatus},
    pull_request::PullRequest,
    stage::assess,
    text,
};

const TITLE_CHARS: usize = 300;
const NAME_CHARS: usize = 120;
const MAX_NAMES: usize = 30;

/// The digest of `pull_request` as of `now`. Every text in it is harmless to read.
pub fn assemble(
    pull_request: &PullRequest,
    summary: Option<String>,
    status: SummaryStatus,
    coverage: Coverage,
    now: Timestamp,
) -> Digest {
    let assessment = assess(pull_request, now);
    let verdicts = &assessment.verdicts;
    let are_told = pull_request.latest_reviews.is_some();
    let count = |names: &[String]| u32::try_from(names.len()).ok().filter(|_| are_told);
    let labels = pull_request.labels.as_ref().map(|labels| {
        labels.iter().take(MAX_NAMES).map(|name| text::name(name, NAME_CHARS)).collect()
    });
    // No login has a dot: what looks like a file's name in one is no file's.
    let logins = pull_request.all_requests().map(|logins| {
        logins.iter().take(MAX_NAMES).map(|login| text::title(login, NAME_CHARS)).collect()
    });
    Digest {
        number: pull_request.number,
        title: text::title(&pull_request.title, TITLE_CHARS),
        url: pull_request.url.clone(),
        author: pull_request.author.login().map(|login| text::title(login, NAME_CHARS)),
        stage: assessment.stage,
        stale: assessment.stale,
        reasons: assessment.reasons,
        next_actor: assessment.next_actor,
        discussion: Discussion {
            conversation_comments: pull_request.conversation_comments,
            review_comments: pull_request.review_comments,
            reviews: pull_request.reviews,
            unresolved_threads: pull_request.unresolved_threads,
        },
        facts: Facts {
            draft: pull_request.is_draft,
            created_at: pull_request.created_at,
            updated_at: pull_request.updated_at,
            base: text::name(&pull_request.base_ref_name, NAME_CHARS),
            additions: pull_request.additions,
            deletions: pull_request.deletions,
            changed_files: pull_request.changed_files,
            review_decision: pull_request.review_decision,
            approvals: count(&verdicts.approvals),
            changes_requested: count(&verdicts.changes_requested),
            review_requests: logins,
            checks: pull_request.checks,
            mergeable: pull_request.mergeable,
            in_merge_queue: pull_request.is_in_merge_queue,
            auto_merge: pull_request.auto_merge,
            labels,
        },
        summary,
        summary_status: status,
        coverage,
    }
}
