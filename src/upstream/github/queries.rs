//! The GraphQL documents sent to GitHub.
//!
//! Checks are counted by GitHub (`…CountsByState`): asking for each of them is what makes such
//! queries slow. `$checks` switches them off when a query took too long.
//! Source: <https://docs.github.com/en/graphql/reference>

use std::fmt::Write as _;

/// What is asked about every listed pull request.
///
/// The last comments and reviews are asked for only by whom and when: a connection costs the same
/// for one as for twenty, and the last human among bots is looked for.
const FACTS: &str = "
fragment Facts on PullRequest {
  number title url body state isDraft createdAt updatedAt
  author { __typename login }
  baseRefName baseRefOid headRefOid additions deletions changedFiles
  totalCommentsCount
  comments(last: 20) { totalCount nodes { createdAt author { __typename login } } }
  reviews(last: 20) { totalCount nodes { submittedAt author { __typename login } } }
  reviewDecision
  latestOpinionatedReviews(first: 50) {
    nodes { state submittedAt author { __typename login } commit { oid } }
  }
  reviewRequests(first: 50) {
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
  labels(first: 100) { nodes { name } }
  commits(last: 1) { nodes { commit { committedDate messageHeadline } } }
  statusCheckRollup @include(if: $checks) {
    state
    contexts {
      totalCount
      checkRunCountsByState { state count }
      statusContextCountsByState { state count }
    }
  }
}";

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

/// The document that lists open pull requests.
pub(super) fn list() -> String {
    format!("{LIST}\n{FACTS}\n")
}

/// The document that reads the facts of these pull requests, each under `pr_NUMBER`.
pub(super) fn by_number(numbers: &[u64]) -> String {
    let mut document = "
query PullRequestsByNumber($owner: String!, $name: String!, $checks: Boolean!) {
  rateLimit { limit remaining resetAt }
  repository(owner: $owner, name: $name, followRenames: true) {
    nameWithOwner url isPrivate databaseId
    open: pullRequests(states: OPEN) { totalCount }
"
    .to_owned();
    alias_each(&mut document, numbers, "Facts");
    let _ = write!(document, "  }}\n}}\n{FACTS}\n");
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
        ("pull_requests", list()),
        ("pull_requests_by_number", by_number(&[1, 42])),
        ("conversations", conversations(&[1, 42])),
    ]
}
