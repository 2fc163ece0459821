//! GitHub, read as one person: which pull requests are discussed most, what was said, what changed.
//!
//! Facts and conversations are one GraphQL query each, diffs are REST. Nothing is ever written.

mod access;
mod conversation;
mod diff;
mod facts;
mod files;
mod graphql;
mod listing;
mod queries;
mod refusal;
mod tools;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use futures_util::{FutureExt as _, future::BoxFuture};
use reqwest::StatusCode;
use serde_json::{Value, json};

use self::{
    access::Access,
    graphql::{QueryError, Reply},
    listing::{
        Pages, cut_short, finish_warnings, list_of, next_cursor, note_gaps, noted, pull_requests_of,
    },
    tools::Tools,
};
pub use self::{access::GitHubTokenSettings, graphql::RateLimit, queries::documents};
use crate::{
    domain::{
        FailureCode, GitHubAccount, UserId,
        failure::Result,
        pull_request::{Conversation, Diff, PullRequest},
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
/// Pages looked through while filters leave too few, or many tie.
const MAX_PAGES: usize = 4;

/// GitHub as one person sees it.
#[derive(Debug, Clone)]
pub struct GitHub {
    access: Access,
    /// The other way, through Scalekit.
    tools: Option<Tools>,
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
    /// What is left of this account's GraphQL points, if GitHub said so.
    pub rate_limit: Option<RateLimit>,
    /// GitHub's own order chose them; only among themselves they stand in the published one.
    pub is_chosen_by_github: bool,
}

impl GitHub {
    /// As this person, with the token that Scalekit keeps: through its proxy or, where that is off,
    /// with its tools.
    pub fn through_scalekit(scalekit: Scalekit, user: UserId) -> Self {
        let tools = Some(Tools::new(scalekit.clone(), user.clone()));
        Self { access: Access::Scalekit { scalekit, user }, tools }
    }

    /// As the owner of a token.
    pub fn with_token(settings: GitHubTokenSettings, transport: Transport) -> Self {
        Self { access: Access::Token { settings: Arc::new(settings), transport }, tools: None }
    }

    /// Which linked account this is, as a digest: equal for the same link, different after any
    /// other. The operator's token is one account.
    pub fn account(&self) -> String {
        match &self.access {
            Access::Scalekit { user, .. } => user.digest(),
            Access::Token { .. } => "token".to_owned(),
        }
    }

    /// Whose account this is.
    pub async fn viewer(&self, call: &Call) -> Result<GitHubAccount> {
        let tools = self.tools.as_ref().map(|tools| tools.viewer(call).boxed());
        self.either(self.requested_viewer(call).boxed(), tools).await
    }

    /// The first open pull requests in the query's order: one call, unless filters leave too few or
    /// the last of them tie with others.
    pub async fn choose(&self, query: &ListQuery, call: &Call) -> Result<PullRequestList> {
        let tools = self.tools.as_ref().map(|tools| tools.choose(query, call).boxed());
        self.either(self.queried_list(query, call).boxed(), tools).await
    }

    /// These pull requests, in the order given; one call.
    pub async fn by_number(
        &self,
        repository: &RepositoryName,
        numbers: &[u64],
        call: &Call,
    ) -> Result<PullRequestList> {
        let numbers = &distinct(numbers);
        let tools =
            self.tools.as_ref().map(|tools| tools.by_number(repository, numbers, call).boxed());
        self.either(self.queried_by_number(repository, numbers, call).boxed(), tools).await
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
        let tools =
            self.tools.as_ref().map(|tools| tools.conversations(repository, numbers, call).boxed());
        self.either(self.queried_conversations(repository, numbers, call).boxed(), tools).await
    }

    /// The diff of a pull request; above GitHub's limits (300 files or 20,000 lines) its files.
    pub async fn diff(
        &self,
        repository: &RepositoryName,
        number: u64,
        call: &Call,
    ) -> Result<Diff> {
        let tools = self.tools.as_ref().map(|tools| tools.diff(repository, number, call).boxed());
        self.either(self.requested_diff(repository, number, call).boxed(), tools).await
    }

    /// By requests of our own where they go through, else with Scalekit's tools. Whether they do is
    /// found by trying, and remembered; a future that is not awaited asks nothing.
    async fn either<T>(
        &self,
        // Boxed, so that no caller carries both.
        requested: BoxFuture<'_, Result<T>>,
        with_tools: Option<BoxFuture<'_, Result<T>>>,
    ) -> Result<T> {
        let Some(with_tools) = with_tools else { return requested.await };
        if !self.tools.as_ref().is_some_and(Tools::are_needed) {
            match requested.await {
                Err(failure) if failure.code == FailureCode::ProxyDisabled => {}
                answer => return answer,
            }
        }
        with_tools.await
    }

    async fn requested_viewer(&self, call: &Call) -> Result<GitHubAccount> {
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

    async fn queried_list(&self, query: &ListQuery, call: &Call) -> Result<PullRequestList> {
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
                        list.warnings.push(cut_short(list.pull_requests.len(), query, pages.seen));
                        break;
                    }
                    None => return Err(error.into_failure()),
                },
            };
            let list = match listed.as_mut() {
                Some(list) => list,
                None => listed.insert(list_of(&reply)?),
            };
            list.rate_limit = reply.rate_limit.or(list.rate_limit);
            let found = pull_requests_of(&reply, pages.with_checks, &mut list.warnings);
            pages.seen += found.len();
            let edge = found.last().cloned();
            list.pull_requests.extend(found.into_iter().filter(|found| selection.admits(found)));
            pages.after = next_cursor(&reply);
            let is_settled = edge.is_some_and(|last| {
                query.order.is_settled(&list.pull_requests, &last, query.limit)
            });
            if is_settled || pages.after.is_none() {
                break;
            }
            if page == MAX_PAGES {
                list.warnings.push(cut_short(list.pull_requests.len(), query, pages.seen));
            }
            if pages.with_checks {
                pages.size = PAGE;
            }
        }
        let mut list = listed.ok_or_else(refusal::odd)?;
        list.pull_requests = query.order.rank(list.pull_requests, query.limit);
        finish_warnings(&mut list, pages.with_checks);
        Ok(list)
    }

    async fn queried_by_number(
        &self,
        repository: &RepositoryName,
        numbers: &[u64],
        call: &Call,
    ) -> Result<PullRequestList> {
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
        list.rate_limit = reply.rate_limit;
        for &number in numbers {
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

    async fn queried_conversations(
        &self,
        repository: &RepositoryName,
        numbers: &[u64],
        call: &Call,
    ) -> Result<BTreeMap<u64, Conversation>> {
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

#[cfg(test)]
mod tests;
