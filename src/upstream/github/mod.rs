//! GitHub, read as one person: which pull requests are discussed most, what was said, what changed.
//!
//! Facts and conversations are one GraphQL query each, diffs are REST. Nothing is ever written.

mod access;
mod conversation;
mod diff;
mod facts;
mod files;
mod graphql;
mod queries;
mod refusal;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use reqwest::StatusCode;
use serde_json::{Value, json};

use self::{
    access::Access,
    graphql::{QueryError, Reply},
};
pub use self::{access::GitHubTokenSettings, queries::documents};
use crate::{
    domain::{
        GitHubAccount, UserId,
        failure::Result,
        pull_request::{Conversation, PullRequest},
        ranking::{Order, Selection},
        repository::RepositoryName,
    },
    upstream::{
        scalekit::Scalekit,
        transport::{BodyCap, Call, Transport},
    },
};

const GRAPHQL_PATH: &str = "/graphql";
/// Pull requests on one page: GitHub answers the facts of so many well within its 10 s.
const PAGE: usize = 25;
/// Pages looked through while filters leave too few.
const MAX_PAGES: usize = 4;

/// GitHub as one person sees it.
#[derive(Debug, Clone)]
pub struct GitHub {
    access: Access,
}

/// Which pull requests to list.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ListQuery {
    /// Of which repository.
    pub repository: RepositoryName,
    /// How many.
    pub limit: usize,
    /// In which order.
    pub order: Order,
    /// Leave out drafts.
    pub exclude_drafts: bool,
    /// Leave out those opened by bots.
    pub exclude_bots: bool,
    /// Only those opened by this login.
    pub author: Option<String>,
    /// Only those with this label.
    pub label: Option<String>,
    /// Only those that want to change this branch.
    pub base: Option<String>,
}

/// A repository's pull requests, in order, with all facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRequestList {
    /// The repository's name today; it may have been renamed since the caller learned it. Diffs
    /// are asked for by this name: redirects are not followed.
    pub name_with_owner: RepositoryName,
    /// Its page.
    pub url: String,
    /// Not everybody may read it; `None` if GitHub did not say.
    pub is_private: Option<bool>,
    /// Its number at GitHub, which outlasts renames.
    pub database_id: Option<u64>,
    /// Open pull requests in all, whatever the filters.
    pub open_pull_requests: Option<u64>,
    /// The listed ones.
    pub pull_requests: Vec<PullRequest>,
    /// Numbers that were asked for and are not among them, with the reason.
    pub absent: Vec<(u64, String)>,
    /// What the reader should know about this list.
    pub warnings: Vec<String>,
    /// GraphQL points left in this hour, if GitHub said so.
    pub rate_limit_remaining: Option<u64>,
}

impl GitHub {
    /// As this person, with the token that Scalekit keeps.
    pub fn through_scalekit(scalekit: Scalekit, user: UserId) -> Self {
        Self { access: Access::Scalekit { scalekit, user } }
    }

    /// As the owner of a token.
    pub fn with_token(settings: GitHubTokenSettings, transport: Transport) -> Self {
        Self { access: Access::Token { settings: Arc::new(settings), transport } }
    }

    /// Whose account this is.
    pub async fn viewer(&self, call: &Call) -> Result<GitHubAccount> {
        let request = files::read_request(
            "/user".to_owned(),
            "application/vnd.github+json",
            BodyCap::Whole(1_000_000),
        );
        let answer = self.access.send(&request, call).await.map_err(files::into_failure)?;
        if answer.status != StatusCode::OK {
            return Err(refusal::failure(&answer));
        }
        serde_json::from_slice(&answer.body).map_err(|_| refusal::odd())
    }

    /// The first open pull requests in the query's order: one call, unless filters leave too few.
    pub async fn choose(&self, query: &ListQuery, call: &Call) -> Result<PullRequestList> {
        let selection = Selection {
            exclude_drafts: query.exclude_drafts,
            exclude_bots: query.exclude_bots,
            author: query.author.clone(),
        };
        // Twice as many as wanted, because GitHub's order is checked against the published one.
        let wanted = if selection.is_everything() { query.limit.saturating_mul(2) } else { PAGE };
        let size = wanted.clamp(1, PAGE);
        let mut pages = Pages { size, after: None, with_checks: true, seen: 0 };
        let mut listed: Option<PullRequestList> = None;
        for page in 1..=MAX_PAGES {
            let reply = match self.list_page(query, &mut pages, call).await {
                Ok(reply) => reply,
                Err(error) => match listed.as_mut() {
                    // The pages before are good; saying how far they reach is better than nothing.
                    Some(list) => {
                        list.warnings.push(cut_short(pages.seen));
                        break;
                    }
                    None => return Err(error.into_failure()),
                },
            };
            let list = match listed.as_mut() {
                Some(list) => list,
                None => listed.insert(list_of(&reply)?),
            };
            list.rate_limit_remaining = reply.rate_limit_remaining.or(list.rate_limit_remaining);
            let found = pull_requests_of(&reply, pages.with_checks, &mut list.warnings);
            pages.seen += found.len();
            list.pull_requests.extend(found.into_iter().filter(|found| selection.admits(found)));
            pages.after = next_cursor(&reply);
            if list.pull_requests.len() >= query.limit || pages.after.is_none() {
                break;
            }
            if page == MAX_PAGES {
                list.warnings.push(cut_short(pages.seen));
            }
        }
        let mut list = listed.ok_or_else(refusal::odd)?;
        list.pull_requests = query.order.rank(list.pull_requests, query.limit);
        finish_warnings(&mut list, pages.with_checks);
        Ok(list)
    }

    /// These pull requests, in the order given; one call.
    pub async fn by_number(
        &self,
        repository: &RepositoryName,
        numbers: &[u64],
        call: &Call,
    ) -> Result<PullRequestList> {
        let numbers = distinct(numbers);
        // GraphQL's Int: a larger number would make GitHub refuse the whole query.
        let askable: Vec<u64> =
            numbers.iter().copied().filter(|n| i32::try_from(*n).is_ok()).collect();
        let ask = |with_checks: bool| {
            let variables = json!({
                "owner": repository.owner(), "name": repository.name(), "checks": with_checks,
            });
            graphql::query(&self.access, queries::by_number(&askable), variables, call)
        };
        let (reply, with_checks) = match ask(true).await {
            Err(QueryError::Overloaded) => (ask(false).await, false),
            reply => (reply, true),
        };
        let reply = reply.map_err(QueryError::into_failure)?;
        let mut list = list_of(&reply)?;
        list.rate_limit_remaining = reply.rate_limit_remaining;
        for number in numbers {
            let alias = format!("{}{number}", queries::ALIAS);
            let value = reply.repository.get(&alias).unwrap_or(&Value::Null);
            let reason = match value.get("state").and_then(Value::as_str) {
                Some("CLOSED") => "closed",
                Some("MERGED") => "merged",
                None if value.is_null() && !reply.gaps.contains(&[&alias]) => {
                    "no such pull request"
                }
                _ => match facts::read(value, &[&alias], &reply.gaps, with_checks) {
                    Some(read) => {
                        list.pull_requests.push(noted(read, &mut list.warnings));
                        continue;
                    }
                    None => "not told by GitHub",
                },
            };
            list.absent.push((number, reason.to_owned()));
        }
        note_gaps(&reply, &mut list.warnings);
        finish_warnings(&mut list, with_checks);
        Ok(list)
    }

    /// What was said about these pull requests; one call. Those that GitHub left out are missing.
    pub async fn conversations(
        &self,
        repository: &RepositoryName,
        numbers: &[u64],
        call: &Call,
    ) -> Result<BTreeMap<u64, Conversation>> {
        if numbers.is_empty() {
            return Ok(BTreeMap::new());
        }
        let ask = |comments: u32, threads: u32, reviews: u32| {
            let variables = json!({
                "owner": repository.owner(), "name": repository.name(),
                "comments": comments, "threads": threads, "reviews": reviews,
            });
            graphql::query(&self.access, queries::conversations(numbers), variables, call)
        };
        let reply = match ask(30, 50, 20).await {
            Err(QueryError::Overloaded) => ask(15, 20, 10).await,
            reply => reply,
        };
        let reply = reply.map_err(QueryError::into_failure)?;
        let read = |number: &u64| {
            let value = reply.repository.get(&format!("{}{number}", queries::ALIAS))?;
            Some((*number, conversation::read(value)?))
        };
        Ok(numbers.iter().filter_map(read).collect())
    }

    /// One page; when it is too much for GitHub, half of it and without checks, once.
    async fn list_page(
        &self,
        query: &ListQuery,
        pages: &mut Pages,
        call: &Call,
    ) -> Result<Reply, QueryError> {
        let reply = self.ask_page(query, pages, call).await;
        if !pages.with_checks || !matches!(reply, Err(QueryError::Overloaded)) {
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
        graphql::query(&self.access, queries::list(), variables, call).await
    }
}

/// Each number once, in the order given.
fn distinct(numbers: &[u64]) -> Vec<u64> {
    let mut seen = BTreeSet::new();
    numbers.iter().copied().filter(|number| seen.insert(*number)).collect()
}

/// How far the list has been read, and how gently it must be asked for.
struct Pages {
    size: usize,
    after: Option<String>,
    with_checks: bool,
    /// Pull requests looked at so far.
    seen: usize,
}

/// The list without its pull requests.
fn list_of(reply: &Reply) -> Result<PullRequestList> {
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
        rate_limit_remaining: None,
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

fn noted(read: facts::Read, warnings: &mut Vec<String>) -> PullRequest {
    if read.is_undercounted {
        let number = read.pull_request.number;
        warnings.push(format!(
            "GitHub did not say how many review comments #{number} has; it ranks by its conversation alone."
        ));
    }
    read.pull_request
}

fn note_gaps(reply: &Reply, warnings: &mut Vec<String>) {
    if !reply.gaps.is_empty() {
        warnings.push("GitHub did not answer everything; the rest is shown as unknown.".to_owned());
    }
}

fn cut_short(seen: usize) -> String {
    format!("Only the first {seen} open pull requests were searched for the filters.")
}

fn finish_warnings(list: &mut PullRequestList, with_checks: bool) {
    if !with_checks {
        list.warnings.push(
            "GitHub took too long; it was asked again without checks, which are unknown."
                .to_owned(),
        );
    }
    let mut seen = BTreeSet::new();
    list.warnings.retain(|warning| seen.insert(warning.clone()));
}

#[cfg(test)]
mod tests;
