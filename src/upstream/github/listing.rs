//! The list of open pull requests over GraphQL: page by page until it is certain, and what a reader
//! should know about it.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{
    GitHub, ListQuery, PAGE, PullRequestList, facts,
    graphql::{QueryError, Reply},
    queries::{self, Teams},
    refusal,
};
use crate::{
    domain::{
        FailureCode,
        failure::Result,
        pull_request::PullRequest,
        ranking::{Order, Selection},
        repository::RepositoryName,
    },
    upstream::transport::Call,
};

/// Pages looked through while filters leave too few, or many tie.
pub(super) const MAX_PAGES: usize = 4;

/// What makes the names of teams readable.
const READ_ORG_CURE: &str = "Not everybody whose review is asked for is named: this account's \
                             authorization lacks the scope read:org, without which GitHub names no \
                             teams. Cure: add read:org to the scopes of the GitHub connection (or \
                             of GITHUB_TOKEN), and connect again.";

/// Why the reading of a list has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// What is wanted has been found for certain.
    Settled,
    /// There is no more.
    Exhausted,
    /// There is more than is read in one call.
    Bound,
    /// GitHub did not tell the next page.
    Failed(FailureCode),
}

/// How far a list has been read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extent {
    /// Pull requests looked at.
    pub(super) seen: usize,
    /// Pull requests that the filters left.
    pub(super) found: usize,
    /// Some filters are ours, not GitHub's.
    pub(super) is_filtered: bool,
}

impl Ended {
    /// What is left open by ending there; `None`: nothing.
    pub(super) fn warning(self, extent: Extent, limit: usize) -> Option<String> {
        let Extent { seen, found, is_filtered } = extent;
        match self {
            Self::Settled | Self::Exhausted => None,
            Self::Bound if found >= limit => Some(format!(
                "Many pull requests tie with the last one listed; only the first {seen} of GitHub's \
                 list were compared."
            )),
            Self::Bound if is_filtered => Some(format!(
                "Only the first {seen} open pull requests were searched for the filters."
            )),
            Self::Bound => Some(format!("Only the first {seen} open pull requests were read.")),
            Self::Failed(code) => Some(format!(
                "Only the first {seen} open pull requests were looked at: GitHub did not tell the \
                 rest ({}).",
                code.slug()
            )),
        }
    }
}

/// How far the list has been read, and how gently it must be asked for.
struct Pages {
    size: usize,
    after: Option<String>,
    with_checks: bool,
    read: usize,
    seen: usize,
}

impl GitHub {
    pub(super) async fn queried_list(
        &self,
        query: &ListQuery,
        call: &Call,
    ) -> Result<PullRequestList> {
        let selection = query.selection();
        let is_filtered = !selection.is_everything();
        // Twice as many as wanted, because GitHub's order is checked against the published one.
        let wanted = if is_filtered { PAGE } else { query.limit.saturating_mul(2) };
        let size = wanted.clamp(1, PAGE);
        let mut pages = Pages { size, after: None, with_checks: true, read: 0, seen: 0 };
        let first = self.list_page(query, &mut pages, call).await;
        let mut reply = first.map_err(QueryError::into_failure)?;
        let mut list = list_of(&reply)?;
        let ended = loop {
            if pages.take(&reply, query, &selection, &mut list) {
                break Ended::Settled;
            }
            if pages.after.is_none() {
                break Ended::Exhausted;
            }
            if pages.read == MAX_PAGES {
                break Ended::Bound;
            }
            reply = match self.list_page(query, &mut pages, call).await {
                Ok(reply) => reply,
                // The pages before are good; saying how far they reach is better than nothing.
                Err(error) => break Ended::Failed(error.into_failure().code),
            };
        };
        let found = list.pull_requests.len();
        let extent = Extent { seen: pages.seen, found, is_filtered };
        list.warnings.extend(ended.warning(extent, query.limit));
        list.pull_requests = query.order.rank(list.pull_requests, query.limit);
        finish_warnings(&mut list, pages.with_checks, self.access.teams());
        Ok(list)
    }

    /// One page; when it is too much for GitHub, half of it and without checks, once.
    async fn list_page(
        &self,
        query: &ListQuery,
        pages: &mut Pages,
        call: &Call,
    ) -> Result<Reply, QueryError> {
        let reply = self.ask_page(query, pages, call).await;
        if !pages.with_checks || !matches!(reply, Err(QueryError::Overloaded { .. })) {
            return reply;
        }
        pages.with_checks = false;
        pages.size = (pages.size / 2).max(1);
        self.ask_page(query, pages, call).await
    }

    async fn ask_page(
        &self,
        query: &ListQuery,
        pages: &Pages,
        call: &Call,
    ) -> Result<Reply, QueryError> {
        let (field, direction) = match query.order {
            Order::MostDiscussed => ("COMMENTS", "DESC"),
            Order::RecentlyUpdated => ("UPDATED_AT", "DESC"),
            Order::Newest => ("CREATED_AT", "DESC"),
            Order::Oldest => ("CREATED_AT", "ASC"),
        };
        let variables = json!({
            "owner": query.repository.owner(),
            "name": query.repository.name(),
            "first": pages.size,
            "after": pages.after,
            "order": { "field": field, "direction": direction },
            "labels": query.label.as_ref().map(|label| [label]),
            "base": query.base,
            "checks": pages.with_checks,
        });
        self.ask_for_facts(queries::list, variables, call).await
    }
}

impl Pages {
    /// Takes the next page into the list; true: what is wanted has been found for certain.
    fn take(
        &mut self,
        reply: &Reply,
        query: &ListQuery,
        selection: &Selection,
        list: &mut PullRequestList,
    ) -> bool {
        list.rate_limit = reply.rate_limit.or(list.rate_limit);
        let found = pull_requests_of(reply, self.with_checks, &mut list.warnings);
        self.read += 1;
        self.seen += found.len();
        let edge = found.last().cloned();
        list.pull_requests.extend(found.into_iter().filter(|found| selection.admits(found)));
        self.after = next_cursor(reply);
        if self.with_checks {
            self.size = PAGE;
        }
        edge.is_some_and(|last| query.order.is_settled(&list.pull_requests, &last, query.limit))
    }
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

fn next_cursor(reply: &Reply) -> Option<String> {
    let has_next = connection(reply, "/pageInfo/hasNextPage").and_then(Value::as_bool);
    let cursor = connection(reply, "/pageInfo/endCursor").and_then(Value::as_str);
    cursor.filter(|_| has_next == Some(true)).map(str::to_owned)
}

fn pull_requests_of(
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

/// What the list as a whole lacks, and each warning once.
pub(super) fn finish_warnings(list: &mut PullRequestList, with_checks: bool, teams: Teams) {
    if !with_checks {
        list.warnings.push(
            "GitHub took too long; it was asked again without checks, which are unknown."
                .to_owned(),
        );
    }
    let is_somebody_unnamed = list.pull_requests.iter().any(|one| one.has_unnamed_requests);
    if teams == Teams::Unnamed && is_somebody_unnamed {
        list.warnings.push(READ_ORG_CURE.to_owned());
    }
    let mut seen = BTreeSet::new();
    list.warnings.retain(|warning| seen.insert(warning.clone()));
}
