//! Where a pull request stands: a rule, not an opinion.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
    /// Nothing stands in the way.
    Ready,
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
