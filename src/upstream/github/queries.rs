//! The GraphQL documents sent to GitHub.
//!
//! Checks are counted by GitHub (`…CountsByState`): asking for each of them is what makes such
//! queries slow. `$checks` switches them off when a query took too long.
//! Source: <https://docs.github.com/en/graphql/reference>

use std::fmt::Write as _;

/// What is asked about every listed pull request.
///
/// The last comments and reviews are asked for only by whom and when: a connection costs the same
/// for one as for twenty, and the last human among bots is looked for. What the reader has not
/// submitted, GitHub shows to them alone: their drafts are asked for to be left out of the threads,
/// because asking each thread for its state would cost a hundred times as much.
///
/// Verdicts are asked for only of those who may write, since anybody may review what is public; with
/// their words, because an approval may come with a wish.
const FACTS: &str = "
fragment Facts on PullRequest {
  number title url body state isDraft createdAt updatedAt
  author { __typename login }
  baseRefName baseRefOid headRefOid additions deletions changedFiles
  totalCommentsCount
  comments(last: 20) { totalCount nodes { createdAt author { __typename login } } }
  reviews(last: 20, states: [APPROVED, CHANGES_REQUESTED, COMMENTED, DISMISSED]) {
    totalCount nodes { submittedAt author { __typename login } }
  }
  drafts: reviews(first: 1, states: [PENDING]) {
    totalCount nodes { comments(first: 100) { totalCount nodes { replyTo { id } } } }
  }
  reviewDecision
  latestOpinionatedReviews(first: 100, writersOnly: true) {
    totalCount nodes { state submittedAt body author { __typename login } commit { oid } }
  }
  reviewRequests(first: 100) {
    totalCount
    nodes {
      requestedReviewer {
        __typename
        ... on User { login }
        ... on Bot { login }
        ... on Mannequin { login }
        ... on Team { combinedSlug }
      }
    }
  }
  reviewThreads(first: 100) { totalCount nodes { isResolved } }
  mergeable isInMergeQueue
  autoMergeRequest { enabledAt }
  labels(first: 100) { totalCount nodes { name } }
  commits(last: 1) { nodes { commit { committedDate messageHeadline } } }
  mergeStateStatus @include(if: $checks)
  statusCheckRollup @include(if: $checks) {
    state
    contexts {
      totalCount
      checkRunCountsByState { state count }
      statusContextCountsByState { state count }
    }
  }
}";

/// What of the facts needs the scope `read:org`. An account without it is refused the whole document
/// that names this, even where no team is asked.
const TEAMS: &str = "... on Team { combinedSlug }";

/// One page of open pull requests, with the repository.
const LIST: &str = "
query PullRequests(
  $owner: String!, $name: String!, $first: Int!, $after: String, $order: IssueOrder!,
  $labels: [String!], $base: String, $checks: Boolean!
) {
  rateLimit { limit remaining resetAt }
  repository(owner: $owner, name: $name, followRenames: true) {
    nameWithOwner url isPrivate databaseId
    open: pullRequests(states: OPEN) { totalCount }
    pullRequests(
      states: OPEN, first: $first, after: $after, orderBy: $order, labels: $labels,
      baseRefName: $base
    ) {
      pageInfo { hasNextPage endCursor }
      nodes { ...Facts }
    }
  }
}";

/// What was said about one pull request: the latest of each kind.
const CONVERSATION: &str = "
fragment Conversation on PullRequest {
  number totalCommentsCount
  comments(last: $comments) {
    totalCount
    nodes { createdAt body author { __typename login } }
  }
  reviewThreads(last: $threads) {
    nodes {
      path isResolved isOutdated
      comments(first: 5) {
        totalCount
        nodes { state createdAt body author { __typename login } }
      }
    }
  }
  reviews(last: $reviews) {
    nodes { state createdAt submittedAt body author { __typename login } }
  }
}";

/// Before the number in the alias of a pull request.
pub(super) const ALIAS: &str = "pr_";

/// Whether the teams whose review is asked for are asked for by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Teams {
    Named,
    Unnamed,
}

fn facts(teams: Teams) -> String {
    match teams {
        Teams::Named => FACTS.to_owned(),
        Teams::Unnamed => FACTS.replace(TEAMS, ""),
    }
}

/// The document that lists open pull requests.
pub(super) fn list(teams: Teams) -> String {
    format!("{LIST}\n{}\n", facts(teams))
}

/// The document that reads the facts of these pull requests, each under `pr_NUMBER`.
pub(super) fn by_number(numbers: &[u64], teams: Teams) -> String {
    let mut document = "
query PullRequestsByNumber($owner: String!, $name: String!, $checks: Boolean!) {
  rateLimit { limit remaining resetAt }
  repository(owner: $owner, name: $name, followRenames: true) {
    nameWithOwner url isPrivate databaseId
    open: pullRequests(states: OPEN) { totalCount }
"
    .to_owned();
    alias_each(&mut document, numbers, "Facts");
    let _ = write!(document, "  }}\n}}\n{}\n", facts(teams));
    document
}

/// The document that reads the conversations of these pull requests, each under `pr_NUMBER`.
pub(super) fn conversations(numbers: &[u64]) -> String {
    let mut document = "
query Conversations(
  $owner: String!, $name: String!, $comments: Int!, $threads: Int!, $reviews: Int!
) {
  rateLimit { limit remaining resetAt }
  repository(owner: $owner, name: $name, followRenames: true) {
    nameWithOwner
"
    .to_owned();
    alias_each(&mut document, numbers, "Conversation");
    let _ = write!(document, "  }}\n}}\n{CONVERSATION}\n");
    document
}

fn alias_each(document: &mut String, numbers: &[u64], fragment: &str) {
    for number in numbers {
        // A number, not text: nothing of a caller's can become part of the document.
        let _ = writeln!(
            document,
            "    {ALIAS}{number}: pullRequest(number: {number}) {{ ...{fragment} }}"
        );
    }
}

/// Every document with its name, those that depend on numbers with a sample: for checking them
/// against GitHub's schema.
pub fn documents() -> Vec<(&'static str, String)> {
    vec![
        ("pull_requests", list(Teams::Named)),
        ("pull_requests_without_teams", list(Teams::Unnamed)),
        ("pull_requests_by_number", by_number(&[1, 42], Teams::Named)),
        ("conversations", conversations(&[1, 42])),
    ]
}
