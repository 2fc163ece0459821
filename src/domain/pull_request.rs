//! A pull request as GitHub tells it: facts only, unknown where GitHub did not say.
//!
//! Field names follow GitHub's GraphQL schema. `None` means that GitHub gave no answer; it never
//! stands for zero or `false`.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::failure::FailureCode;

/// Who wrote something. GitHub answers `null` for deleted accounts: see [`Author::ghost`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Author {
    /// The name after the `@`; `ghost` for deleted accounts, empty if GitHub did not say.
    pub login: String,
    /// An app or a bot account (`__typename` is `Bot`, or the login ends in `[bot]`).
    pub is_bot: bool,
}

impl Author {
    /// The author of what a deleted account left behind.
    pub fn ghost() -> Self {
        Self { login: "ghost".to_owned(), is_bot: false }
    }

    /// Somebody whom GitHub did not name, which is not the same as a deleted account.
    pub fn unknown() -> Self {
        Self { login: String::new(), is_bot: false }
    }

    /// The name after the `@`; `None` if GitHub did not say.
    pub fn login(&self) -> Option<&str> {
        (!self.login.is_empty()).then_some(self.login.as_str())
    }
}

/// What GitHub's branch protection says of the reviews (`reviewDecision`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReviewDecision {
    /// Enough approvals.
    Approved,
    /// Somebody with a say wants changes.
    ChangesRequested,
    /// A review is still needed.
    ReviewRequired,
    /// No review is required (GitHub answers `null`); not the same as approved.
    None,
    /// GitHub did not answer.
    Unknown,
}

/// Whether the branch can be merged without conflicts (`mergeable`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mergeable {
    /// No conflicts.
    Mergeable,
    /// Conflicts with the base branch.
    Conflicting,
    /// GitHub is still computing it, or did not answer.
    Unknown,
}

/// What GitHub says of the merge as a whole (`mergeStateStatus`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MergeState {
    /// The branch must be brought up to date first.
    Behind,
    /// A rule of the base branch forbids the merge. Which, GitHub does not say; where only a bot
    /// or a queue may merge, it always says so.
    Blocked,
    /// Neither.
    Other,
    /// GitHub is still computing it, or did not answer.
    Unknown,
}

/// The checks of the head commit, taken together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckState {
    /// All that ran have passed.
    Passing,
    /// At least one has failed.
    Failing,
    /// Some still run, none has failed.
    Pending,
    /// The commit has no checks.
    None,
    /// GitHub did not answer.
    Unknown,
}

/// Check runs and commit statuses of the head commit, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Checks {
    /// All of them, taken together.
    pub state: CheckState,
    /// How many passed (success, neutral or skipped); null if GitHub did not say.
    pub passed: Option<u32>,
    /// How many failed (failure, error, cancelled, timed out, action required); null if GitHub did not say.
    pub failed: Option<u32>,
    /// How many have not finished; null if GitHub did not say.
    pub pending: Option<u32>,
}

impl Checks {
    /// GitHub did not answer.
    pub const UNKNOWN: Self =
        Self { state: CheckState::Unknown, passed: None, failed: None, pending: None };
}

/// The verdict of one review (`PullRequestReviewState`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ReviewState {
    /// Approved.
    Approved,
    /// Changes requested.
    ChangesRequested,
    /// An opinion without a verdict.
    Commented,
    /// A verdict that was taken back.
    Dismissed,
    /// Not submitted yet.
    Pending,
}

/// The latest verdict of one reviewer who may write (`latestOpinionatedReviews`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Review {
    /// Who.
    pub author: Author,
    /// The verdict.
    pub state: ReviewState,
    /// When it was submitted.
    pub submitted_at: Option<DateTime<Utc>>,
    /// The commit that was reviewed; older than the head means the verdict may be stale.
    pub commit: Option<String>,
    /// It is known to come without words of its own.
    pub is_silent: bool,
}

/// Everything the one facts query answers about a pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRequest {
    /// The number after the `#`.
    pub number: u64,
    /// As its author wrote it: untrusted text.
    pub title: String,
    /// Its page at GitHub.
    pub url: String,
    /// The description, as its author wrote it: untrusted text.
    pub body: String,
    /// Who opened it.
    pub author: Author,
    /// Not yet meant for review.
    pub is_draft: bool,
    /// When it was opened.
    pub created_at: DateTime<Utc>,
    /// When anything about it last changed.
    pub updated_at: DateTime<Utc>,
    /// The branch it wants to change.
    pub base_ref_name: String,
    /// The branch's commit that it would be merged into, when known.
    pub base_ref_oid: Option<String>,
    /// Its last commit.
    pub head_ref_oid: String,
    /// When its last commit was made, when known.
    pub head_committed_at: Option<DateTime<Utc>>,
    /// Lines added.
    pub additions: Option<u64>,
    /// Lines deleted.
    pub deletions: Option<u64>,
    /// Files changed.
    pub changed_files: Option<u64>,
    /// Comments in the conversation, without reviews (`comments.totalCount`); `None` if GitHub did
    /// not say.
    pub conversation_comments: Option<u64>,
    /// Comments on lines of the diff (`totalCommentsCount` less the conversation's); `None` if
    /// GitHub did not say.
    pub review_comments: Option<u64>,
    /// Reviews submitted, of every kind (`reviews.totalCount`); `None` if GitHub did not say.
    pub reviews: Option<u64>,
    /// Review threads nobody has resolved; `None` if GitHub did not tell all of them.
    pub unresolved_threads: Option<u64>,
    /// So many of them were seen.
    pub unresolved_threads_seen: u64,
    /// What branch protection says.
    pub review_decision: ReviewDecision,
    /// The latest verdict of each reviewer who may write, since anybody else may say anything;
    /// `None` if GitHub did not tell all of them.
    pub latest_reviews: Option<Vec<Review>>,
    /// Logins (or team names) whose review is asked for and has not come; `None` if GitHub did not
    /// say.
    pub review_requests: Option<Vec<String>>,
    /// Others are asked too, whom GitHub did not name: a team that this account may not see, or
    /// more than one answer holds.
    pub has_unnamed_requests: bool,
    /// Conflicts?
    pub mergeable: Mergeable,
    /// What else stands in the way.
    pub merge_state: MergeState,
    /// In a merge queue; `None` if GitHub did not say.
    pub is_in_merge_queue: Option<bool>,
    /// Will be merged by GitHub when the requirements are met; `None` if GitHub did not say.
    pub auto_merge: Option<bool>,
    /// The checks of the head commit.
    pub checks: Checks,
    /// Names of its labels; `None` if GitHub did not say.
    pub labels: Option<Vec<String>>,
    /// When a human last commented, reviewed or pushed, at the latest; `None` if the facts set no
    /// bound.
    pub last_human_activity: Option<DateTime<Utc>>,
}

impl PullRequest {
    /// The published measure of discussion: conversation comments plus review comments.
    /// Equals `totalCommentsCount`, and what GitHub sorts by under `sort=popularity`. `None` unless
    /// both are known.
    pub fn discussion(&self) -> Option<u64> {
        Some(self.conversation_comments?.saturating_add(self.review_comments?))
    }

    /// The same from what is known of it: where it ranks while a part is unknown.
    pub fn discussion_at_least(&self) -> u64 {
        let [conversation, review] = [self.conversation_comments, self.review_comments];
        conversation.unwrap_or_default().saturating_add(review.unwrap_or_default())
    }

    /// The latest verdict of each reviewer who may write, as far as GitHub told.
    pub fn told_reviews(&self) -> &[Review] {
        self.latest_reviews.as_deref().unwrap_or_default()
    }

    /// Whose review is asked for, as far as GitHub told.
    pub fn told_requests(&self) -> &[String] {
        self.review_requests.as_deref().unwrap_or_default()
    }

    /// Whose review is asked for; `None` unless all are known.
    pub fn all_requests(&self) -> Option<&[String]> {
        self.review_requests.as_deref().filter(|_| !self.has_unnamed_requests)
    }
}

/// One remark in a pull request's discussion: untrusted text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// Who.
    pub author: Author,
    /// When.
    pub created_at: DateTime<Utc>,
    /// What was said.
    pub body: String,
    /// Where in the discussion it stands.
    pub place: RemarkPlace,
}

/// Where in the discussion a remark stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RemarkPlace {
    /// The conversation.
    Conversation,
    /// The summary of a review with this verdict.
    Review(ReviewState),
    /// A thread on a file's lines.
    Thread {
        /// The file.
        path: String,
        /// Somebody marked the thread resolved; `None` if GitHub did not say.
        is_resolved: Option<bool>,
        /// The lines it was about have changed since; `None` if GitHub did not say.
        is_outdated: Option<bool>,
    },
}

/// What was said about a pull request, as far as one call reads it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conversation {
    /// Oldest first.
    pub remarks: Vec<Remark>,
    /// How many remarks there are in all; more than `remarks` holds when the call did not read all.
    /// `None` if GitHub did not say.
    pub total: Option<u64>,
}

/// How a file was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeType {
    /// New.
    Added,
    /// Gone.
    Deleted,
    /// Another name, perhaps with changes.
    Renamed,
    /// Changed in place (also copied, or a changed mode).
    Modified,
}

/// One file of a diff.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileDiff {
    /// Its path after the change (before, if deleted).
    pub path: String,
    /// Its path before a rename.
    pub previous_path: Option<String>,
    /// How it was changed.
    pub change: ChangeType,
    /// Lines added.
    pub additions: u64,
    /// Lines deleted.
    pub deletions: u64,
    /// The hunks (from the first `@@`); `None` for binary files, pure renames, submodules without
    /// text, and where GitHub left the patch out.
    pub patch: Option<String>,
    /// Git or GitHub marked it binary.
    pub is_binary: bool,
    /// A cap of ours left out the end of its patch, or all of it.
    pub is_cut: bool,
}

/// What a pull request changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diff {
    /// In GitHub's order.
    pub files: Vec<FileDiff>,
    /// Not all files are in `files`: GitHub lists at most 3,000, our own cap cut the answer, or
    /// reading was interrupted.
    pub is_truncated: bool,
    /// Only the first page of its files was read, because this way to GitHub has no other.
    pub is_first_page: bool,
    /// Why reading ended too early; the same request may read more the next time.
    pub interruption: Option<FailureCode>,
}
