//! GraphQL types above and around a pull request: how each field is told from the state.

use apollo_compiler::response::JsonValue;
use chrono::{DateTime, Utc};

use super::{
    graphql::{Context, Field, Object, Outcome, Resolved, leaf, optional, refusal},
    model::{PullRequest, Repository, oid},
    resolve_pull_request::pull_request,
};

pub(super) fn date<'s>(at: DateTime<Utc>) -> Resolved<'s> {
    leaf(super::rest::date(at))
}

pub(super) fn nothing<'s>() -> Resolved<'s> {
    Ok(Outcome::Leaf(JsonValue::Null))
}

pub(super) fn query(context: Context<'_>) -> Object<'_> {
    context.object("Query", move |field| match field.name() {
        "viewer" => Ok(Outcome::Object(actor_of_type(context, "User", &context.viewer.login))),
        "rateLimit" => Ok(Outcome::Object(rate_limit(context))),
        _ => {
            let (owner, name) = (field.text("owner"), field.text("name"));
            let (owner, name) = (owner.unwrap_or_default(), name.unwrap_or_default());
            let follow = field.argument("followRenames") != Some(false.into());
            context
                .repository(&owner, &name, follow)
                .map(|one| Outcome::Object(repository(context, one)))
        }
    })
}

fn rate_limit(context: Context<'_>) -> Object<'_> {
    context.object("RateLimit", move |field| match field.name() {
        "limit" => leaf(super::LIMIT),
        "remaining" => leaf(context.visit.remaining),
        "used" => leaf(super::LIMIT - context.visit.remaining),
        "resetAt" => date(context.visit.reset),
        "nodeCount" => leaf(100),
        _ => leaf(1),
    })
}

fn repository<'s>(context: Context<'s>, repository: &'s Repository) -> Object<'s> {
    context.object("Repository", move |field| match field.name() {
        "id" => leaf(format!("R_{}", repository.id)),
        "databaseId" => leaf(repository.id),
        "name" => leaf(repository.name.as_str()),
        "nameWithOwner" => leaf(repository.name_with_owner()),
        "description" => leaf(repository.description.as_str()),
        "owner" => Ok(Outcome::Object(actor_of_type(context, "Organization", &repository.owner))),
        "url" => leaf(format!("https://github.com/{}", repository.name_with_owner())),
        "isPrivate" => leaf(repository.private),
        "isFork" | "isArchived" => leaf(false),
        "defaultBranchRef" => Ok(Outcome::Object(branch(context, &repository.default_branch))),
        "pullRequest" => {
            let number = field.number("number").unwrap_or_default();
            let Some(found) = repository.find(number) else {
                let text =
                    format!("Could not resolve to a PullRequest with the number of {number}.");
                return Err(refusal("NOT_FOUND", &text));
            };
            Ok(Outcome::Object(pull_request(context, repository, found)))
        }
        "pullRequests" => {
            let all = listed(repository, field);
            let node = move |one| pull_request(context, repository, one);
            context.connection("PullRequestConnection", field, all, node)
        }
        other => unreachable!("Repository.{other}"),
    })
}

/// The pull requests that the arguments ask for, in the order that they ask for.
fn listed<'s>(repository: &'s Repository, field: &Field<'_>) -> Vec<&'s PullRequest> {
    let (states, labels) = (field.texts("states"), field.texts("labels"));
    let (base, head) = (field.text("baseRefName"), field.text("headRefName"));
    let mut all: Vec<&PullRequest> = repository
        .pull_requests
        .iter()
        .filter(|one| states.as_ref().is_none_or(|states| states.iter().any(|s| s == one.state)))
        .filter(|one| {
            labels.as_ref().is_none_or(|wanted| wanted.iter().any(|l| one.labels.contains(l)))
        })
        .filter(|one| base.as_ref().is_none_or(|base| one.base == *base))
        .filter(|one| head.as_ref().is_none_or(|head| one.head == *head))
        .collect();
    all.sort_by_key(|one| one.number);
    if let Some(order) = field.argument("orderBy") {
        match order["field"].as_str() {
            Some("COMMENTS") => all.sort_by_key(|one| (one.discussion(), scattered(one.number))),
            Some("UPDATED_AT") => all.sort_by_key(|one| (one.updated_at, scattered(one.number))),
            _ => all.sort_by_key(|one| (one.created_at, scattered(one.number))),
        }
        if order["direction"] == "DESC" {
            all.reverse();
        }
    }
    all
}

/// How GitHub orders what ties is not published: in no order that anybody could rely on.
fn scattered(number: u64) -> u64 {
    number.wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// Who did something. In GraphQL an app's login lacks the `[bot]` that REST appends.
pub(super) fn actor<'s>(context: Context<'s>, login: Option<&'s String>) -> Resolved<'s> {
    optional(login.map(|login| match login.strip_suffix("[bot]") {
        Some(app) => actor_of_type(context, "Bot", app),
        None => actor_of_type(context, "User", login),
    }))
}

pub(super) fn actor_of_type<'s>(
    context: Context<'s>,
    type_name: &'static str,
    login: &'s str,
) -> Object<'s> {
    let id = context.state.account_id(login);
    context.object(type_name, move |field| match field.name() {
        "login" | "name" => leaf(login),
        "id" => leaf(format!("U_{id}")),
        "databaseId" => leaf(id),
        "avatarUrl" => leaf(format!("https://avatars.githubusercontent.com/u/{id}")),
        _ => leaf(format!("https://github.com/{login}")),
    })
}

pub(super) fn branch<'s>(context: Context<'s>, name: &'s str) -> Object<'s> {
    context.object("Ref", move |field| match field.name() {
        "id" => leaf(format!("REF_{name}")),
        "name" => leaf(name),
        "prefix" => leaf("refs/heads/"),
        _ => Ok(Outcome::Object(bare_commit(context, oid(name)))),
    })
}

/// A commit of which nothing but its name matters.
pub(super) fn bare_commit(context: Context<'_>, oid: String) -> Object<'_> {
    context.object("Commit", move |field| match field.name() {
        "id" => leaf(format!("C_{oid}")),
        "oid" => leaf(oid.as_str()),
        "abbreviatedOid" => leaf(&oid[..7]),
        "url" => leaf(format!("https://github.com/commit/{oid}")),
        "message" | "messageHeadline" => leaf("A commit"),
        "statusCheckRollup" => nothing(),
        _ => leaf("2025-10-09T08:53:20Z"),
    })
}
