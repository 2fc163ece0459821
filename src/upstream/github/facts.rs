//! From GitHub's answer about a pull request to our facts. Null stays unknown.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;

use super::graphql::Gaps;
use crate::domain::pull_request::{
    Author, CheckState, Checks, MergeState, Mergeable, PullRequest, Review, ReviewDecision,
    ReviewState,
};

/// A GraphQL connection; every level of it may be null.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Connection<T> {
    #[serde(default)]
    pub(super) total_count: Option<u64>,
    nodes: Option<Vec<Option<T>>>,
}

impl<T> Connection<T> {
    /// Whether the page that was asked for has no hole.
    pub(super) fn has_no_hole(&self) -> bool {
        self.nodes.as_ref().is_some_and(|nodes| nodes.iter().all(Option::is_some))
    }

    /// Whether every node there is was told.
    fn is_whole(&self) -> bool {
        let count = self.nodes.as_ref().and_then(|nodes| u64::try_from(nodes.len()).ok());
        self.has_no_hole() && count.zip(self.total_count).is_some_and(|(n, total)| n >= total)
    }

    /// Its nodes, if every one there is was told: a part would pass for the whole.
    fn into_whole(self) -> Option<Vec<T>> {
        self.is_whole().then(|| self.into_nodes().collect())
    }

    /// Its nodes without those that are null, to look at.
    pub(super) fn seen(&self) -> impl Iterator<Item = &T> {
        self.nodes.iter().flatten().flatten()
    }

    /// Its nodes without those that are null.
    pub(super) fn into_nodes(self) -> impl Iterator<Item = T> {
        self.nodes.into_iter().flatten().flatten()
    }
}

/// The nodes of a connection that may be missing altogether.
pub(super) fn nodes<T>(connection: Option<Connection<T>>) -> impl Iterator<Item = T> {
    connection.into_iter().flat_map(Connection::into_nodes)
}

#[derive(Debug, Deserialize)]
pub(super) struct Actor {
    #[serde(rename = "__typename")]
    typename: Option<String>,
    login: String,
}

impl Actor {
    fn is_bot(&self) -> bool {
        self.typename.as_deref() == Some("Bot") || self.login.ends_with("[bot]")
    }
}

/// Who wrote it; null is a deleted account.
pub(super) fn author(actor: Option<Actor>) -> Author {
    actor.map_or_else(Author::ghost, |actor| Author { is_bot: actor.is_bot(), login: actor.login })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Node {
    number: u64,
    title: String,
    url: String,
    #[serde(default)]
    body: Option<String>,
    is_draft: bool,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    author: Option<Actor>,
    base_ref_name: String,
    base_ref_oid: Option<String>,
    head_ref_oid: String,
    additions: Option<u64>,
    deletions: Option<u64>,
    changed_files: Option<u64>,
    total_comments_count: Option<u64>,
    comments: Option<Connection<Activity>>,
    reviews: Option<Connection<Activity>>,
    drafts: Option<Connection<Draft>>,
    review_decision: Option<String>,
    latest_opinionated_reviews: Option<Connection<ReviewNode>>,
    review_requests: Option<Connection<ReviewRequest>>,
    review_threads: Option<Connection<Thread>>,
    mergeable: Option<String>,
    merge_state_status: Option<String>,
    is_in_merge_queue: Option<bool>,
    auto_merge_request: Option<Value>,
    labels: Option<Connection<Label>>,
    commits: Option<Connection<PullRequestCommit>>,
    status_check_rollup: Option<Rollup>,
}

#[derive(Debug, Deserialize)]
struct Activity {
    #[serde(alias = "createdAt", alias = "submittedAt")]
    at: Option<DateTime<Utc>>,
    author: Option<Actor>,
}

/// A review that the reader has not submitted.
#[derive(Debug, Deserialize)]
struct Draft {
    comments: Option<Connection<DraftComment>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct DraftComment {
    /// Null: it begins a thread.
    reply_to: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReviewNode {
    body: Option<String>,
    state: String,
    submitted_at: Option<DateTime<Utc>>,
    author: Option<Actor>,
    commit: Option<Oid>,
}

#[derive(Debug, Deserialize)]
struct Oid {
    oid: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReviewRequest {
    requested_reviewer: Option<Reviewer>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reviewer {
    login: Option<String>,
    combined_slug: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Thread {
    is_resolved: bool,
}

#[derive(Debug, Deserialize)]
struct Label {
    name: String,
}

#[derive(Debug, Deserialize)]
struct PullRequestCommit {
    commit: Commit,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Commit {
    committed_date: DateTime<Utc>,
    message_headline: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Rollup {
    state: Option<String>,
    contexts: Option<Contexts>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Contexts {
    check_run_counts_by_state: Option<Vec<StateCount>>,
    status_context_counts_by_state: Option<Vec<StateCount>>,
}

#[derive(Debug, Deserialize)]
struct StateCount {
    state: String,
    count: u32,
}

/// A pull request that was read, and what there is to say about the reading.
pub(super) struct Read {
    pub(super) pull_request: PullRequest,
    /// GitHub did not say how many comments of one kind there are, so the measure may be too low.
    pub(super) is_undercounted: bool,
}

/// GitHub answered that the commit has none.
const NO_CHECKS: Checks =
    Checks { state: CheckState::None, passed: Some(0), failed: Some(0), pending: Some(0) };

/// Reads one pull request found at `path`; `None` if GitHub left out what makes it one.
/// `with_checks` says whether the checks were asked for.
pub(super) fn read(value: &Value, path: &[&str], gaps: &Gaps, with_checks: bool) -> Option<Read> {
    let node = Node::deserialize(value).ok()?;
    let is_gap = |field: &str| {
        let field_path: Vec<&str> = path.iter().copied().chain([field]).collect();
        gaps.contains(&field_path)
    };
    let conversation_comments = node.comments.as_ref().and_then(|comments| comments.total_count);
    let author = match node.author {
        None if is_gap("author") => Author::unknown(),
        told => author(told),
    };
    let commit = nodes(node.commits).last().map(|last| last.commit);
    let head_committed_at = commit.as_ref().map(|commit| commit.committed_date);
    let pushed_at = commit
        .filter(|commit| !author.is_bot && !is_base_merge(commit))
        // A commit's date is its author's claim; GitHub's own clock bounds it.
        .map(|commit| commit.committed_date.min(node.updated_at));
    let reviews = node.reviews.as_ref().and_then(|reviews| reviews.total_count);
    let spoke_at = [node.comments, node.reviews].map(last_human);
    let last_human_activity = match spoke_at {
        [Ok(commented), Ok(reviewed)] => {
            [commented, reviewed, pushed_at, Some(node.created_at)].into_iter().flatten().max()
        }
        // Nobody is called idle for a gap.
        _ => None,
    };
    let threads = threads(node.review_threads, node.drafts);
    let requests = requests(node.review_requests);
    let checks = match node.status_check_rollup {
        Some(rollup) => checks(rollup),
        None if with_checks && !is_gap("statusCheckRollup") => NO_CHECKS,
        None => Checks::UNKNOWN,
    };
    let pull_request = PullRequest {
        number: node.number,
        title: node.title,
        url: node.url,
        body: node.body.unwrap_or_default(),
        author,
        is_draft: node.is_draft,
        created_at: node.created_at,
        updated_at: node.updated_at,
        base_ref_name: node.base_ref_name,
        base_ref_oid: node.base_ref_oid,
        head_ref_oid: node.head_ref_oid,
        head_committed_at,
        additions: node.additions,
        deletions: node.deletions,
        changed_files: node.changed_files,
        conversation_comments,
        review_comments: node
            .total_comments_count
            .zip(conversation_comments)
            .map(|(total, conversation)| total.saturating_sub(conversation)),
        reviews,
        unresolved_threads: threads.exactly,
        unresolved_threads_seen: threads.at_least,
        review_decision: decision(node.review_decision.as_deref(), is_gap("reviewDecision")),
        latest_reviews: node
            .latest_opinionated_reviews
            .and_then(Connection::into_whole)
            .and_then(|all| all.into_iter().map(review).collect()),
        has_unnamed_requests: requests.as_ref().is_some_and(|requests| requests.has_unnamed),
        review_requests: requests.map(|requests| requests.named),
        mergeable: match node.mergeable.as_deref() {
            Some("MERGEABLE") => Mergeable::Mergeable,
            Some("CONFLICTING") => Mergeable::Conflicting,
            _ => Mergeable::Unknown,
        },
        merge_state: merge_state(node.merge_state_status.as_deref()),
        is_in_merge_queue: node.is_in_merge_queue,
        auto_merge: (!is_gap("autoMergeRequest")).then_some(node.auto_merge_request.is_some()),
        checks,
        labels: node
            .labels
            .and_then(Connection::into_whole)
            .map(|all| all.into_iter().map(|label| label.name).collect()),
        last_human_activity,
    };
    let is_undercounted = pull_request.discussion().is_none();
    Some(Read { pull_request, is_undercounted })
}

/// Whether the commit only brings the base branch in (the button "Update branch"): no progress.
fn is_base_merge(commit: &Commit) -> bool {
    commit.message_headline.as_ref().is_some_and(|headline| {
        headline.starts_with("Merge branch '") || headline.starts_with("Merge remote-tracking ")
    })
}

/// It may have been at any time.
struct Untold;

/// When a human was last active, at the latest; `None`: never.
fn last_human(told: Option<Connection<Activity>>) -> Result<Option<DateTime<Utc>>, Untold> {
    let told = told.filter(Connection::has_no_hole).ok_or(Untold)?;
    let is_whole = told.is_whole();
    let all: Vec<Activity> = told.into_nodes().collect();
    let human = |activity: &&Activity| !activity.author.as_ref().is_some_and(Actor::is_bot);
    let last = all.iter().filter(human).filter_map(|activity| activity.at).max();
    if last.is_some() || is_whole {
        return Ok(last);
    }
    // Only bots on a full page: what it does not hold is older than what it holds.
    let moments: Option<Vec<_>> = all.iter().map(|activity| activity.at).collect();
    moments.unwrap_or_default().into_iter().min().map(Some).ok_or(Untold)
}

/// Unresolved threads.
struct Threads {
    /// Only when all were seen; a part of them would be a wrong number.
    exactly: Option<u64>,
    at_least: u64,
}

/// The reader's own drafts are told among the threads, always unresolved, and are nobody's turn yet.
fn threads(told: Option<Connection<Thread>>, drafts: Option<Connection<Draft>>) -> Threads {
    let begun = drafts.and_then(Connection::into_whole).and_then(|all| {
        let comments = all.into_iter().map(|draft| draft.comments.and_then(Connection::into_whole));
        let comments = comments.collect::<Option<Vec<_>>>()?.into_iter().flatten();
        u64::try_from(comments.filter(|comment| comment.reply_to.is_none()).count()).ok()
    });
    let (Some(told), Some(begun)) = (told, begun) else {
        return Threads { exactly: None, at_least: 0 };
    };
    let is_whole = told.is_whole();
    let open = told.into_nodes().filter(|thread| !thread.is_resolved).count();
    let at_least = u64::try_from(open).unwrap_or(u64::MAX).saturating_sub(begun);
    Threads { exactly: is_whole.then_some(at_least), at_least }
}

/// Whose review is asked for.
struct Requests {
    named: Vec<String>,
    has_unnamed: bool,
}

/// `None` if GitHub did not even say how many.
fn requests(told: Option<Connection<ReviewRequest>>) -> Option<Requests> {
    let told = told?;
    let total = told.total_count?;
    let named: Vec<String> = told
        .into_nodes()
        .filter_map(|request| request.requested_reviewer)
        .filter_map(|reviewer| reviewer.login.or(reviewer.combined_slug))
        .collect();
    let has_unnamed = u64::try_from(named.len()).is_ok_and(|named| named < total);
    Some(Requests { named, has_unnamed })
}

/// In either spelling, GraphQL's or REST's.
pub(super) fn merge_state(told: Option<&str>) -> MergeState {
    match told.map(str::to_ascii_uppercase).as_deref() {
        Some("BEHIND") => MergeState::Behind,
        Some("BLOCKED") => MergeState::Blocked,
        None | Some("UNKNOWN") => MergeState::Unknown,
        Some(_) => MergeState::Other,
    }
}

fn decision(decision: Option<&str>, is_gap: bool) -> ReviewDecision {
    match decision {
        Some("APPROVED") => ReviewDecision::Approved,
        Some("CHANGES_REQUESTED") => ReviewDecision::ChangesRequested,
        Some("REVIEW_REQUIRED") => ReviewDecision::ReviewRequired,
        None if !is_gap => ReviewDecision::None,
        _ => ReviewDecision::Unknown,
    }
}

/// The verdict of a review; `None` for one that we do not know.
pub(super) fn review_state(state: &str) -> Option<ReviewState> {
    match state {
        "APPROVED" => Some(ReviewState::Approved),
        "CHANGES_REQUESTED" => Some(ReviewState::ChangesRequested),
        "COMMENTED" => Some(ReviewState::Commented),
        "DISMISSED" => Some(ReviewState::Dismissed),
        "PENDING" => Some(ReviewState::Pending),
        _ => None,
    }
}

fn review(node: ReviewNode) -> Option<Review> {
    Some(Review {
        state: review_state(&node.state)?,
        author: author(node.author),
        submitted_at: node.submitted_at,
        commit: node.commit.map(|commit| commit.oid),
        is_silent: node.body.is_some_and(|body| body.trim().is_empty()),
    })
}

/// From counts by state; where GitHub gave none, from its own verdict.
fn checks(rollup: Rollup) -> Checks {
    let counted = rollup.contexts.and_then(|contexts| {
        let mut all = contexts.check_run_counts_by_state?;
        all.extend(contexts.status_context_counts_by_state?);
        tally(all.into_iter().map(|counted| (counted.state, counted.count)))
    });
    counted.unwrap_or_else(|| {
        let state = match rollup.state.as_deref() {
            Some("SUCCESS") => CheckState::Passing,
            Some("FAILURE" | "ERROR") => CheckState::Failing,
            Some("PENDING" | "EXPECTED") => CheckState::Pending,
            _ => CheckState::Unknown,
        };
        Checks { state, ..Checks::UNKNOWN }
    })
}

/// All checks together, from how many are in which state; `None` if there is a state that we do not
/// know: then no count is right.
pub(super) fn tally(states: impl Iterator<Item = (String, u32)>) -> Option<Checks> {
    let (mut passed, mut failed, mut pending) = (0_u32, 0_u32, 0_u32);
    for (state, count) in states {
        let sum = match state.as_str() {
            "SUCCESS" | "NEUTRAL" | "SKIPPED" => &mut passed,
            "FAILURE" | "ERROR" | "CANCELLED" | "TIMED_OUT" | "ACTION_REQUIRED"
            | "STARTUP_FAILURE" => &mut failed,
            "PENDING" | "EXPECTED" | "QUEUED" | "IN_PROGRESS" | "WAITING" | "STALE" => &mut pending,
            _ => return None,
        };
        *sum = sum.saturating_add(count);
    }
    let state = match (failed, pending, passed) {
        (1.., _, _) => CheckState::Failing,
        (0, 1.., _) => CheckState::Pending,
        (0, 0, 1..) => CheckState::Passing,
        (0, 0, 0) => CheckState::None,
    };
    Some(Checks { state, passed: Some(passed), failed: Some(failed), pending: Some(pending) })
}

#[cfg(test)]
mod tests;
