//! What `summarize_prs` answers: the contract with agents.
//!
//! Plain structs with schemas. Field names and shapes are held by snapshot tests.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    pull_request::{Checks, Mergeable, ReviewDecision},
    stage::{NextActor, Stage},
};

/// How much is said about each pull request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Detail {
    /// Three or four sentences.
    #[default]
    Concise,
    /// A few paragraphs.
    Full,
}

/// The answer about one repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RepositoryDigest {
    /// owner/repo, as GitHub spells it today.
    pub repository: String,
    /// The repository's page.
    pub url: String,
    /// Open pull requests in all; null if GitHub did not say.
    pub open_pull_requests: Option<u64>,
    /// By which definition the list is ordered.
    pub ranking: String,
    /// The pull requests, in that order.
    pub pull_requests: Vec<Digest>,
    /// False while summaries are still being written: the same call again completes them.
    pub complete: bool,
    /// Numbers of the pull requests whose summary is still being written.
    pub pending: Vec<u64>,
    /// What the reader should know about how this answer came to be.
    pub warnings: Vec<String>,
    /// The machine whose LLM was given text of these pull requests, for this answer or for an
    /// earlier one that it repeats; null if none was.
    pub llm_host: Option<String>,
    /// What this answer cost.
    pub usage: Usage,
    /// When the facts were read.
    pub generated_at: DateTime<Utc>,
}

/// One pull request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Digest {
    /// The number after the #.
    pub number: u64,
    /// Its title (text by its author).
    pub title: String,
    /// Its page at GitHub.
    pub url: String,
    /// Login of who opened it; null if GitHub did not say.
    pub author: Option<String>,
    /// Where it stands, by rule.
    pub stage: Stage,
    /// No human activity for 14 days.
    pub stale: bool,
    /// Why it is in this stage.
    pub reasons: Vec<String>,
    /// Whose turn it is.
    pub next_actor: NextActor,
    /// How much was said.
    pub discussion: Discussion,
    /// What GitHub states.
    pub facts: Facts,
    /// What it does and what the discussion is about, derived from untrusted text; null while pending.
    pub summary: Option<String>,
    /// Where the summary comes from.
    pub summary_status: SummaryStatus,
    /// What of the change and the discussion was read.
    pub coverage: Coverage,
}

/// How much was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Discussion {
    /// Comments in the conversation; null if unknown.
    pub conversation_comments: Option<u64>,
    /// Comments on lines of the diff; null if unknown.
    pub review_comments: Option<u64>,
    /// Reviews submitted; null if unknown.
    pub reviews: Option<u64>,
    /// Review threads not resolved; null unless all were seen.
    pub unresolved_threads: Option<u64>,
}

/// What GitHub states; null and "unknown" where it did not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Facts {
    /// Not yet meant for review.
    pub draft: bool,
    /// When it was opened.
    pub created_at: DateTime<Utc>,
    /// When anything last changed.
    pub updated_at: DateTime<Utc>,
    /// The branch it wants to change.
    pub base: String,
    /// Lines added.
    pub additions: Option<u64>,
    /// Lines deleted.
    pub deletions: Option<u64>,
    /// Files changed.
    pub changed_files: Option<u64>,
    /// What branch protection says, which may count approvals of earlier commits; "none" means
    /// that no review is required.
    pub review_decision: ReviewDecision,
    /// People with write access whose latest verdict approves the last commit, without those who
    /// are asked to look again; null if unknown.
    pub approvals: Option<u32>,
    /// People with write access whose latest verdict asks for changes, without those who are asked
    /// to look again; null if unknown.
    pub changes_requested: Option<u32>,
    /// Whose review is asked for and has not come; null unless all are known.
    pub review_requests: Option<Vec<String>>,
    /// Checks of the last commit.
    pub checks: Checks,
    /// Conflicts with the base branch?
    pub mergeable: Mergeable,
    /// In a merge queue; null if unknown.
    pub in_merge_queue: Option<bool>,
    /// GitHub will merge it when the requirements are met; null if unknown.
    pub auto_merge: Option<bool>,
    /// Its labels; null if unknown.
    pub labels: Option<Vec<String>>,
}

/// Where a summary comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SummaryStatus {
    /// Written by the LLM for this answer.
    Written,
    /// Written by the LLM earlier; nothing it depends on has changed.
    Cached,
    /// Title and first sentences, without an LLM.
    Extract,
    /// Still being written.
    Pending,
    /// Not to be had; the warnings say why.
    Failed,
}

/// What was read and what was not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Coverage {
    /// Files the change touches: those read, cut and omitted; null if the diff could not be read or
    /// nobody said how many there are.
    pub files: Option<u64>,
    /// Files read whole.
    pub files_read: u64,
    /// Files read in part.
    pub files_cut: u64,
    /// Files not read, with the reason: the first 50 of them.
    pub files_omitted: Vec<OmittedFile>,
    /// How many files were not read for which reason, those included that are not named.
    pub omissions: Vec<Omission>,
    /// Comments there are; null if unknown.
    pub comments: Option<u64>,
    /// Comments read.
    pub comments_used: u64,
}

/// A file that was not read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OmittedFile {
    /// Its path.
    pub path: String,
    /// Why.
    pub reason: OmissionReason,
}

/// How many files were not read for one reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Omission {
    /// Why.
    pub reason: OmissionReason,
    /// How many.
    pub files: u64,
}

/// Why a file was not read.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum OmissionReason {
    /// Not text.
    Binary,
    /// Written by a program.
    Generated,
    /// A lock file of a package manager.
    LockFile,
    /// Somebody else's code, kept in the repository.
    Vendored,
    /// Squeezed for machines.
    Minified,
    /// GitHub gave no patch for it.
    NoPatch,
    /// Renamed without changes.
    RenamedOnly,
    /// A pointer to another repository.
    Submodule,
    /// No room left in the budget.
    Budget,
    /// Its patch was beyond what this server reads of one change.
    OverLimit,
    /// It is known only that there is such a file: the list of files ended before it.
    Unlisted,
}

/// What an answer cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Usage {
    /// Requests to GitHub.
    pub github_requests: u32,
    /// Calls of the LLM, repeated ones included.
    pub llm_calls: u32,
    /// Tokens read by the LLM, as it says; null if it did not say for every call.
    pub prompt_tokens: Option<u64>,
    /// Tokens written by the LLM, as it says; null if it did not say for every call.
    pub completion_tokens: Option<u64>,
    /// Parts taken from the cache.
    pub cache_hits: u32,
}

impl Usage {
    /// Nothing was asked, so nothing was used: these zeros are known.
    pub const NOTHING: Self = Self {
        github_requests: 0,
        llm_calls: 0,
        prompt_tokens: Some(0),
        completion_tokens: Some(0),
        cache_hits: 0,
    };
}
