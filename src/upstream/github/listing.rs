//! From pages of GraphQL's answer to a list, and what a reader should know about it.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{ListQuery, PullRequestList, facts, graphql::Reply, refusal};
use crate::domain::{failure::Result, pull_request::PullRequest, repository::RepositoryName};

/// How far the list has been read, and how gently it must be asked for.
pub(super) struct Pages {
    pub(super) size: usize,
    pub(super) after: Option<String>,
    pub(super) with_checks: bool,
    /// Pull requests looked at so far.
    pub(super) seen: usize,
}

/// The list without its pull requests.
pub(super) fn list_of(reply: &Reply) -> Result<PullRequestList> {
    let field = |name: &str| reply.repository.get(name);
    let text = |name: &str| field(name).and_then(Value::as_str);
    let name_with_owner: RepositoryName =
        text("nameWithOwner").ok_or_else(refusal::odd)?.parse().map_err(|_| refusal::odd())?;
    Ok(PullRequestList {
        name_with_owner,
        url: text("url").unwrap_or_default().to_owned(),
        is_private: field("isPrivate").and_then(Value::as_bool),
        database_id: field("databaseId").and_then(Value::as_u64),
        open_pull_requests: field("open")
            .and_then(|open| open.get("totalCount"))
            .and_then(Value::as_u64),
        pull_requests: Vec::new(),
        absent: Vec::new(),
        warnings: Vec::new(),
        rate_limit: None,
        is_chosen_by_github: false,
    })
}

fn connection<'a>(reply: &'a Reply, path: &str) -> Option<&'a Value> {
    reply.repository.get("pullRequests")?.pointer(path)
}

pub(super) fn next_cursor(reply: &Reply) -> Option<String> {
    let has_next = connection(reply, "/pageInfo/hasNextPage").and_then(Value::as_bool);
    let cursor = connection(reply, "/pageInfo/endCursor").and_then(Value::as_str);
    cursor.filter(|_| has_next == Some(true)).map(str::to_owned)
}

pub(super) fn pull_requests_of(
    reply: &Reply,
    with_checks: bool,
    warnings: &mut Vec<String>,
) -> Vec<PullRequest> {
    let nodes = connection(reply, "/nodes").and_then(Value::as_array);
    let mut found = Vec::new();
    for (index, value) in nodes.into_iter().flatten().enumerate() {
        let path = ["pullRequests", "nodes", &index.to_string()];
        match facts::read(value, &path, &reply.gaps, with_checks) {
            Some(read) => found.push(noted(read, warnings)),
            None => warnings.push("GitHub left out a pull request of this list.".to_owned()),
        }
    }
    note_gaps(reply, warnings);
    found
}

pub(super) fn noted(read: facts::Read, warnings: &mut Vec<String>) -> PullRequest {
    if read.is_undercounted {
        let number = read.pull_request.number;
        warnings.push(format!(
            "GitHub did not say how many comments #{number} has; it ranks by those that are known."
        ));
    }
    read.pull_request
}

pub(super) fn note_gaps(reply: &Reply, warnings: &mut Vec<String>) {
    if !reply.gaps.is_empty() {
        warnings.push("GitHub did not answer everything; the rest is shown as unknown.".to_owned());
    }
}

/// What is left open when there are more pages than are read.
pub(super) fn cut_short(found: usize, query: &ListQuery, seen: usize) -> String {
    if found < query.limit {
        format!("Only the first {seen} open pull requests were searched for the filters.")
    } else {
        format!(
            "Many pull requests tie with the last one listed; only the first {seen} of GitHub's \
             list were compared."
        )
    }
}

pub(super) fn finish_warnings(list: &mut PullRequestList, with_checks: bool) {
    if !with_checks {
        list.warnings.push(
            "GitHub took too long; it was asked again without checks, which are unknown."
                .to_owned(),
        );
    }
    let mut seen = BTreeSet::new();
    list.warnings.retain(|warning| seen.insert(warning.clone()));
}
