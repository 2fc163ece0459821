//! GitHub, read as one person: which pull requests are discussed most, what was said, what changed.
//!
//! Facts and conversations are one GraphQL query each, diffs are REST. Nothing is ever written.

mod access;
mod conversation;
pub mod diff;
mod facts;
mod files;
mod graphql;
mod limits;
mod listing;
mod queries;
mod refusal;
mod tools;

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{FutureExt as _, StreamExt as _, future::BoxFuture, stream};
use reqwest::StatusCode;
use serde_json::{Value, json};

use self::{
    access::Access,
    graphql::{QueryError, Reply},
    limits::ToldLimits,
    listing::{finish_warnings, list_of, note_gaps, noted},
    queries::Teams,
    tools::Tools,
};
pub use self::{
    access::GitHubTokenSettings,
    limits::{RateLimit, RateLimits},
    queries::documents,
};
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
/// Discussions asked for at the same time, where each has to be asked for alone.
const DISCUSSIONS_AT_ONCE: usize = 4;

/// GitHub as one person sees it.
#[derive(Debug, Clone)]
pub struct GitHub {
    access: Access,
    /// The other way, through Scalekit.
    tools: Option<Tools>,
    limits: ToldLimits,
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

impl ListQuery {
    /// What of it GitHub does not look for.
    fn selection(&self) -> Selection {
        Selection {
            exclude_drafts: self.exclude_drafts,
            exclude_bots: self.exclude_bots,
            author: self.author.clone(),
        }
    }
}

/// What was said about some pull requests, by number. Those that GitHub left out are missing.
#[derive(Debug, Default)]
pub struct Conversations {
    /// What could be read.
    pub told: BTreeMap<u64, Conversation>,
    /// Of these GitHub left out something that was asked for.
    pub partial: BTreeSet<u64>,
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
        let limits = ToldLimits::default();
        Self { access: Access::Scalekit { scalekit, user }, tools, limits }
    }

    /// As the owner of a token.
    pub fn with_token(settings: GitHubTokenSettings, transport: Transport) -> Self {
        let access = Access::of_token(settings, transport);
        Self { access, tools: None, limits: ToldLimits::default() }
    }

    /// What is left of this account's limits, as far as GitHub has told it here.
    pub fn rate_limits(&self) -> RateLimits {
        self.limits.get()
    }

    /// Whether there is no other way to GitHub now than Scalekit's tools.
    pub fn is_read_with_tools(&self) -> bool {
        self.tools.as_ref().is_some_and(Tools::are_needed)
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

    /// What was said about these pull requests; one call, unless that is too much for one.
    pub async fn conversations(
        &self,
        repository: &RepositoryName,
        numbers: &[u64],
        call: &Call,
    ) -> Result<Conversations> {
        if numbers.is_empty() {
            return Ok(Conversations::default());
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
        if !self.is_read_with_tools() {
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
            self.ask_for_facts(|teams| queries::by_number(&askable, teams), variables, call)
        };
        let (reply, with_checks) = match ask(true).await {
            Err(QueryError::Overloaded { .. }) => (ask(false).await, false),
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
        finish_warnings(&mut list, with_checks, self.access.teams());
        Ok(list)
    }

    async fn queried_conversations(
        &self,
        repository: &RepositoryName,
        numbers: &[u64],
        call: &Call,
    ) -> Result<Conversations> {
        let reply = match self.ask_conversations(repository, numbers, (30, 50, 20), call).await {
            Err(QueryError::Overloaded { .. }) => {
                self.ask_conversations(repository, numbers, (15, 20, 10), call).await
            }
            reply => reply,
        };
        match reply {
            // One of them may be too long on its own; the others are not to pay for it. Who does not
            // answer at all is asked no more.
            Err(QueryError::Overloaded { is_too_long: true }) if numbers.len() > 1 => {
                self.conversations_one_by_one(repository, numbers, call).await
            }
            reply => Ok(read_conversations(&reply.map_err(QueryError::into_failure)?, numbers)),
        }
    }

    async fn conversations_one_by_one(
        &self,
        repository: &RepositoryName,
        numbers: &[u64],
        call: &Call,
    ) -> Result<Conversations> {
        let own: Vec<u64> = numbers.to_owned();
        let asked = own.into_iter().map(|number| async move {
            let alone = [number];
            let reply = self.ask_conversations(repository, &alone, (15, 20, 10), call).await;
            reply.map(|reply| read_conversations(&reply, &alone))
        });
        let mut answers = stream::iter(asked).buffer_unordered(DISCUSSIONS_AT_ONCE);
        let mut all = Conversations::default();
        let mut refused = None;
        while let Some(answer) = answers.next().await {
            match answer {
                Ok(mut one) => {
                    all.told.append(&mut one.told);
                    all.partial.append(&mut one.partial);
                }
                Err(error) => refused = Some(error.into_failure()),
            }
        }
        // One that fails is missing; when all fail, why is worth more.
        match refused {
            Some(failure) if all.told.is_empty() => Err(failure),
            _ => Ok(all),
        }
    }

    /// The latest of each kind: so many comments, threads and reviews.
    async fn ask_conversations(
        &self,
        repository: &RepositoryName,
        numbers: &[u64],
        (comments, threads, reviews): (u32, u32, u32),
        call: &Call,
    ) -> Result<Reply, QueryError> {
        let variables = json!({
            "owner": repository.owner(), "name": repository.name(),
            "comments": comments, "threads": threads, "reviews": reviews,
        });
        self.ask(queries::conversations(numbers), variables, call).await
    }

    /// Asks for facts, with the names of teams where this account may read them.
    async fn ask_for_facts(
        &self,
        document: impl Fn(Teams) -> String,
        variables: Value,
        call: &Call,
    ) -> Result<Reply, QueryError> {
        let teams = self.access.teams();
        let reply = self.ask(document(teams), variables.clone(), call).await;
        if teams == Teams::Unnamed || !matches!(reply, Err(QueryError::InsufficientScopes)) {
            return reply;
        }
        let reply = self.ask(document(Teams::Unnamed), variables, call).await;
        // Where GitHub set to work, no other scope was missing.
        if matches!(reply, Ok(_) | Err(QueryError::Overloaded { .. })) {
            self.access.note_lack_of_read_org();
        }
        reply
    }

    async fn ask(
        &self,
        document: String,
        variables: Value,
        call: &Call,
    ) -> Result<Reply, QueryError> {
        let reply = graphql::query(&self.access, document, variables, call).await?;
        self.limits.note_graphql(reply.rate_limit);
        Ok(reply)
    }
}

fn read_conversations(reply: &Reply, numbers: &[u64]) -> Conversations {
    let mut all = Conversations::default();
    for &number in numbers {
        let alias = format!("{}{number}", queries::ALIAS);
        let Some(read) = reply.repository.get(&alias).and_then(conversation::read) else {
            continue;
        };
        let has_gap = !read.is_whole || reply.gaps.contains(&[&alias]);
        // Where something is missing, nothing found is not nothing said.
        if has_gap && read.conversation.remarks.is_empty() {
            continue;
        }
        if has_gap {
            all.partial.insert(number);
        }
        all.told.insert(number, read.conversation);
    }
    all
}

/// Each number once, in the order given.
fn distinct(numbers: &[u64]) -> Vec<u64> {
    let mut seen = BTreeSet::new();
    numbers.iter().copied().filter(|number| seen.insert(*number)).collect()
}

#[cfg(test)]
mod tests;
