//! Where a pull request stands: a rule, not an opinion.
//!
//! [`assess`] looks at facts only and takes the first rule that applies. What GitHub did not say is
//! passed over, never guessed, and named among the reasons: a reader sees which rules had nothing
//! to look at. No text of a pull request has a say in it, except logins in the reasons.

use chrono::TimeDelta;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    clock::Timestamp,
    pull_request::{
        CheckState, MergeState, Mergeable, PullRequest, Review, ReviewDecision, ReviewState,
    },
    text,
};

/// Without human activity for this long a pull request is called stale.
pub const STALE_AFTER: TimeDelta = TimeDelta::days(14);

/// Where a pull request stands; the first that applies, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// In the merge queue.
    Queued,
    /// A draft.
    Draft,
    /// Conflicts with the base branch.
    Conflicts,
    /// A check has failed.
    CiFailing,
    /// A reviewer's latest verdict asks for changes.
    ChangesRequested,
    /// Review threads nobody has resolved.
    UnresolvedThreads,
    /// Checks still run.
    CiPending,
    /// A review is required.
    NeedsReview,
    /// Approved, and none of the above is known to apply.
    Ready,
}

impl Stage {
    /// In words, for people.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Queued => "queued for merge",
            Self::Draft => "draft",
            Self::Conflicts => "merge conflicts",
            Self::CiFailing => "CI failing",
            Self::ChangesRequested => "changes requested",
            Self::UnresolvedThreads => "unresolved threads",
            Self::CiPending => "CI pending",
            Self::NeedsReview => "needs review",
            Self::Ready => "ready",
        }
    }
}

/// Whose turn it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NextActor {
    /// Who opened it.
    Author,
    /// Who is asked for a review.
    Reviewers,
    /// Who may merge.
    Maintainers,
    /// The checks.
    Ci,
    /// Nobody: it goes by itself.
    Nobody,
    /// The facts do not tell.
    Unknown,
}

impl NextActor {
    /// In words, for people.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Author => "the author",
            Self::Reviewers => "the reviewers",
            Self::Maintainers => "the maintainers",
            Self::Ci => "CI",
            Self::Nobody => "nobody",
            Self::Unknown => "unknown",
        }
    }
}

/// Where a pull request stands and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assessment {
    /// The first rule that applied.
    pub stage: Stage,
    /// No human activity for [`STALE_AFTER`]; unknown activity is not stale.
    pub stale: bool,
    /// Sentences: why this stage, then what qualifies it.
    pub reasons: Vec<String>,
    /// Whose turn it is.
    pub next_actor: NextActor,
    /// The verdicts it rests on.
    pub verdicts: Verdicts,
}

/// The verdicts of the reviewers who may write: per reviewer the latest, bots left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdicts {
    /// Who approves the commits as they are now.
    pub approvals: Vec<String>,
    /// Who approved an earlier commit: a note, not a verdict.
    pub earlier_approvals: Vec<String>,
    /// Who asks for changes.
    pub changes_requested: Vec<String>,
    /// Who of these did so on an earlier commit; it still counts until they look again.
    pub earlier_changes_requested: Vec<String>,
    /// Whose approval a newer request for review has cancelled.
    pub superseded_approvals: Vec<String>,
    /// Whose request for changes a newer request for review has cancelled.
    pub superseded_rejections: Vec<String>,
}

impl Verdicts {
    /// Reads them off the latest reviews.
    pub fn of(pull_request: &PullRequest) -> Self {
        let mut verdicts = Self::default();
        for review in latest_per_reviewer(pull_request.told_reviews()) {
            let login = text::title(&review.author.login, 64);
            let asked_again = pull_request
                .told_requests()
                .iter()
                .any(|requested| requested.eq_ignore_ascii_case(&review.author.login));
            let earlier = is_on_earlier_commit(review, pull_request);
            match review.state {
                ReviewState::Approved if asked_again => verdicts.superseded_approvals.push(login),
                ReviewState::ChangesRequested if asked_again => {
                    verdicts.superseded_rejections.push(login);
                }
                ReviewState::Approved if earlier => verdicts.earlier_approvals.push(login),
                ReviewState::Approved => verdicts.approvals.push(login),
                ReviewState::ChangesRequested => {
                    if earlier {
                        verdicts.earlier_changes_requested.push(login.clone());
                    }
                    verdicts.changes_requested.push(login);
                }
                ReviewState::Dismissed | ReviewState::Commented | ReviewState::Pending => {}
            }
        }
        verdicts
    }

    /// Who is asked to look again.
    fn superseded(&self) -> Vec<String> {
        [self.superseded_approvals.as_slice(), &self.superseded_rejections].concat()
    }
}

/// Each human reviewer's latest opinion. Deleted accounts share the name `ghost` and stay apart:
/// one may not overrule the other.
fn latest_per_reviewer(reviews: &[Review]) -> Vec<&Review> {
    let mut latest: Vec<&Review> = Vec::new();
    for review in reviews.iter().filter(|review| {
        !review.author.is_bot
            && !matches!(review.state, ReviewState::Commented | ReviewState::Pending)
    }) {
        let is_ghost = review.author.login == "ghost";
        let same = latest
            .iter_mut()
            .find(|seen| !is_ghost && seen.author.login.eq_ignore_ascii_case(&review.author.login));
        match same {
            Some(seen) if review.submitted_at >= seen.submitted_at => *seen = review,
            Some(_) => {}
            None => latest.push(review),
        }
    }
    latest
}

/// The commit tells; where GitHub did not name it, the dates do. Unknown counts as current.
fn is_on_earlier_commit(review: &Review, pull_request: &PullRequest) -> bool {
    match (&review.commit, review.submitted_at, pull_request.head_committed_at) {
        (Some(commit), _, _) => *commit != pull_request.head_ref_oid,
        (None, Some(submitted), Some(committed)) => submitted < committed,
        _ => false,
    }
}

/// Where `pull_request` stands at `now`.
pub fn assess(pull_request: &PullRequest, now: Timestamp) -> Assessment {
    let verdicts = Verdicts::of(pull_request);
    let mut reasons = Vec::new();
    let (stage, next_actor) = rules(pull_request, &verdicts, &mut reasons);
    let next_actor = match next_actor {
        NextActor::Author if pull_request.author.login == "ghost" => {
            reasons.push("The author's account no longer exists.".to_owned());
            NextActor::Maintainers
        }
        NextActor::Author if pull_request.author.is_bot => {
            reasons.push("The author is a bot.".to_owned());
            NextActor::Maintainers
        }
        NextActor::Maintainers
            if stage == Stage::Ready && pull_request.auto_merge == Some(true) =>
        {
            NextActor::Nobody
        }
        other => other,
    };
    reasons.extend(notes(pull_request, &verdicts, stage));
    Assessment {
        stage,
        stale: pull_request.last_human_activity.is_some_and(|last| now - last >= STALE_AFTER),
        reasons,
        next_actor,
        verdicts,
    }
}

/// The first rule that applies; `reasons` gets its reason, after what had to be passed over.
fn rules(
    pull_request: &PullRequest,
    verdicts: &Verdicts,
    reasons: &mut Vec<String>,
) -> (Stage, NextActor) {
    if pull_request.is_in_merge_queue == Some(true) {
        reasons.push("It is in the merge queue.".to_owned());
        return (Stage::Queued, NextActor::Nobody);
    }
    if pull_request.is_draft {
        reasons.push("It is a draft.".to_owned());
        return (Stage::Draft, NextActor::Author);
    }
    match pull_request.mergeable {
        Mergeable::Conflicting => {
            reasons.push("It conflicts with the base branch.".to_owned());
            return (Stage::Conflicts, NextActor::Author);
        }
        Mergeable::Unknown => {
            reasons.push("Whether it conflicts with the base branch is not known yet.".to_owned());
        }
        Mergeable::Mergeable => {}
    }
    let checks = pull_request.checks;
    match checks.state {
        CheckState::Failing => {
            reasons.push(counted(checks.failed, "check has failed", "checks have failed"));
            return (Stage::CiFailing, NextActor::Author);
        }
        CheckState::Unknown => reasons.push("How the checks stand is not known.".to_owned()),
        CheckState::Passing | CheckState::Pending | CheckState::None => {}
    }
    if let Some(reason) = changes_requested(pull_request, verdicts) {
        reasons.push(reason);
        return (Stage::ChangesRequested, NextActor::Author);
    }
    match (pull_request.unresolved_threads, pull_request.unresolved_threads_seen) {
        (Some(0), _) => {}
        (None, 0) => {
            reasons.push("Whether review threads are unresolved is not known.".to_owned());
        }
        (told, seen) => {
            reasons.push(unresolved(told, seen));
            return (Stage::UnresolvedThreads, NextActor::Author);
        }
    }
    if checks.state == CheckState::Pending {
        reasons.push(counted(checks.pending, "check is still running", "checks are still running"));
        return (Stage::CiPending, NextActor::Ci);
    }
    review_or_ready(pull_request, verdicts, reasons)
}

fn unresolved(told: Option<u64>, seen: u64) -> String {
    match (told, seen) {
        (Some(1), _) => "1 review thread is unresolved.".to_owned(),
        (Some(threads), _) => format!("{threads} review threads are unresolved."),
        (None, 1) => "At least 1 review thread is unresolved.".to_owned(),
        (None, seen) => format!("At least {seen} review threads are unresolved."),
    }
}

/// Somebody's verdict, or GitHub's word where the verdicts it rests on were not all told.
fn changes_requested(pull_request: &PullRequest, verdicts: &Verdicts) -> Option<String> {
    if !verdicts.changes_requested.is_empty() {
        return Some(format!("Changes requested by {}.", listed(&verdicts.changes_requested)));
    }
    let told = pull_request.review_decision == ReviewDecision::ChangesRequested;
    // GitHub keeps saying so after a re-request, until the reviewer answers: then it is their turn.
    // That somebody who approved is asked again does not explain it.
    (told && verdicts.superseded_rejections.is_empty())
        .then(|| "GitHub says that changes are requested.".to_owned())
}

/// The last two rules. Ready means approved: that no review is required is not an approval.
fn review_or_ready(
    pull_request: &PullRequest,
    verdicts: &Verdicts,
    reasons: &mut Vec<String>,
) -> (Stage, NextActor) {
    let approved = !verdicts.approvals.is_empty();
    let asked = !pull_request.told_requests().is_empty() || pull_request.has_unnamed_requests;
    let reviewers = match (asked, &pull_request.review_requests) {
        (true, _) => NextActor::Reviewers,
        (false, Some(_)) => NextActor::Maintainers,
        (false, None) => NextActor::Unknown,
    };
    let are_verdicts_known = pull_request.latest_reviews.is_some();
    match pull_request.review_decision {
        ReviewDecision::Approved => {
            reasons.push(if approved {
                format!("Approved by {}.", listed(&verdicts.approvals))
            } else {
                "GitHub says that it is approved.".to_owned()
            });
            ready(pull_request, reasons)
        }
        ReviewDecision::None if approved && verdicts.superseded().is_empty() => {
            reasons.push(format!("Approved by {}.", listed(&verdicts.approvals)));
            ready(pull_request, reasons)
        }
        ReviewDecision::None if approved => {
            reasons.push(
                "No review is required, but a reviewer has been asked to look again.".to_owned(),
            );
            (Stage::NeedsReview, NextActor::Reviewers)
        }
        ReviewDecision::None if !are_verdicts_known => {
            reasons.push(
                "No review is required; whether somebody has approved is not known.".to_owned(),
            );
            (Stage::NeedsReview, if asked { reviewers } else { NextActor::Unknown })
        }
        ReviewDecision::None => {
            reasons.push(
                "No review is required, but nobody with write access has approved the current \
                 commits."
                    .to_owned(),
            );
            (Stage::NeedsReview, reviewers)
        }
        ReviewDecision::ReviewRequired | ReviewDecision::ChangesRequested => {
            reasons.push("A review is required.".to_owned());
            (Stage::NeedsReview, reviewers)
        }
        ReviewDecision::Unknown => {
            reasons.push("Whether its reviews suffice is not known.".to_owned());
            (Stage::NeedsReview, if asked { NextActor::Reviewers } else { NextActor::Unknown })
        }
    }
}

/// Approved: the maintainers' turn, unless GitHub says that more is needed, or something that might
/// stand in the way is not known.
fn ready(pull_request: &PullRequest, reasons: &mut Vec<String>) -> (Stage, NextActor) {
    if pull_request.is_in_merge_queue.is_none() {
        reasons.push("Whether it is in a merge queue is not known.".to_owned());
    }
    let is_all_known = pull_request.mergeable != Mergeable::Unknown
        && pull_request.checks.state != CheckState::Unknown
        && pull_request.unresolved_threads.is_some()
        && pull_request.is_in_merge_queue.is_some();
    let next_actor = match pull_request.merge_state {
        MergeState::Behind => {
            reasons.push(
                "Its branch is behind the base branch and must be updated before the merge."
                    .to_owned(),
            );
            NextActor::Author
        }
        MergeState::Blocked => {
            reasons.push("GitHub says that a rule of the base branch blocks the merge.".to_owned());
            NextActor::Unknown
        }
        MergeState::Other | MergeState::Unknown if is_all_known => NextActor::Maintainers,
        MergeState::Other | MergeState::Unknown => NextActor::Unknown,
    };
    (Stage::Ready, next_actor)
}

/// What does not decide the stage and still matters to whoever reads it.
fn notes(pull_request: &PullRequest, verdicts: &Verdicts, stage: Stage) -> Vec<String> {
    let mut notes = Vec::new();
    let superseded = verdicts.superseded();
    if !superseded.is_empty() {
        notes.push(format!("Asked to review again: {}.", listed(&superseded)));
    }
    if !verdicts.earlier_approvals.is_empty() {
        notes.push(format!(
            "An earlier commit was approved by {}.",
            listed(&verdicts.earlier_approvals)
        ));
    }
    if stage == Stage::ChangesRequested && !verdicts.earlier_changes_requested.is_empty() {
        notes.push(format!(
            "Commits were added since the review by {}.",
            listed(&verdicts.earlier_changes_requested)
        ));
    }
    if stage == Stage::NeedsReview {
        let waiting: Vec<String> =
            pull_request.told_requests().iter().map(|login| text::title(login, 64)).collect();
        match (waiting.is_empty(), pull_request.has_unnamed_requests) {
            (true, false) => {}
            (true, true) => {
                notes.push("Waiting for somebody whom GitHub does not name.".to_owned());
            }
            (false, false) => notes.push(format!("Waiting for {}.", listed(&waiting))),
            (false, true) => notes.push(format!(
                "Waiting for {} and others whom GitHub does not name.",
                listed(&waiting)
            )),
        }
    }
    if stage == Stage::Ready && pull_request.checks.state == CheckState::None {
        notes.push("The last commit has no checks.".to_owned());
    }
    if pull_request.auto_merge == Some(true) {
        notes.push("GitHub merges it by itself when the requirements are met.".to_owned());
    }
    notes
}

fn counted(count: Option<u32>, one: &str, many: &str) -> String {
    match count {
        Some(1) => format!("1 {one}."),
        Some(count) if count > 1 => format!("{count} {many}."),
        // GitHub said that there are some, and not how many.
        _ => format!("At least 1 {one}."),
    }
}

/// At most five names: reasons are read by people.
fn listed(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown = names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().checked_sub(SHOWN) {
        Some(more) if more > 0 => format!("{shown} and {more} more"),
        _ => shown,
    }
}

#[cfg(test)]
mod tests;
