//! What GitHub's REST API tells of a discussion, of checks, and of the repository itself.

use axum::{http::StatusCode, response::Response};
use serde_json::{Value, json};

use super::{
    model::{Comment, Person, PullRequest, Repository, Reviewer},
    rest::{date, json_answer, page_of, with_link},
};
use crate::fakes::traffic::Call;

pub(super) fn account(login: Option<&String>) -> Value {
    login.map_or(Value::Null, |login| {
        let kind = if login.ends_with("[bot]") { "Bot" } else { "User" };
        json!({"login": login, "type": kind})
    })
}

pub(super) fn repository(repository: &Repository) -> Value {
    let name = repository.name_with_owner();
    json!({
        "id": repository.id, "name": repository.name, "full_name": name,
        "private": repository.private, "html_url": format!("https://github.com/{name}"),
        "description": repository.description, "default_branch": repository.default_branch,
        "open_issues_count": repository.pull_requests.iter().filter(|one| one.state == "OPEN").count(),
    })
}

/// Whose review is asked for: people and teams apart.
pub(super) fn requested(pull: &PullRequest) -> (Vec<Value>, Vec<Value>) {
    let (mut people, mut teams) = (Vec::new(), Vec::new());
    for reviewer in &pull.review_requests {
        match reviewer {
            Reviewer::User(login) => people.push(account(Some(login))),
            Reviewer::Team(slug) => teams.push(json!({"slug": slug, "name": slug})),
            Reviewer::Hidden => {}
        }
    }
    (people, teams)
}

fn paged(call: &Call, items: &[Value]) -> Response {
    let all: Vec<&Value> = items.iter().collect();
    let (page, link) = page_of(call, &all);
    let page: Vec<Value> = page.into_iter().cloned().collect();
    with_link(json_answer(StatusCode::OK, &Value::Array(page)), link)
}

fn said(comment: &Comment) -> Value {
    json!({
        "user": account(comment.author.as_ref()), "body": comment.body,
        "created_at": date(comment.at), "updated_at": date(comment.at),
        "author_association": "MEMBER",
    })
}

/// Oldest first, whatever one would like.
pub(super) fn comments(call: &Call, pull: &PullRequest) -> Response {
    let since = call.parameter("since");
    let mut all: Vec<&Comment> = pull.comments.iter().collect();
    all.sort_by_key(|comment| comment.at);
    let all: Vec<Value> = all
        .into_iter()
        .filter(|comment| since.as_ref().is_none_or(|since| date(comment.at) >= *since))
        .map(said)
        .collect();
    paged(call, &all)
}

pub(super) fn review_comments(call: &Call, pull: &PullRequest) -> Response {
    let mut all = Vec::new();
    for thread in pull.threads.iter().filter(|thread| thread.draft_of.is_none()) {
        for comment in &thread.comments {
            let mut item = said(comment);
            item["path"] = json!(thread.path);
            // Without a position the line is gone from the diff.
            item["position"] = if thread.outdated { Value::Null } else { json!(thread.line) };
            item["original_position"] = json!(thread.line);
            all.push((comment.at, item));
        }
    }
    all.sort_by_key(|(at, _)| *at);
    paged(call, &all.into_iter().map(|(_, item)| item).collect::<Vec<_>>())
}

pub(super) fn reviews(
    call: &Call,
    viewer: &Person,
    repository: &Repository,
    pull: &PullRequest,
) -> Response {
    let visible = pull.reviews.iter().filter(|review| review.is_visible_to(&viewer.login));
    let all = visible.map(|review| {
        let mut item = json!({
            "user": account(review.author.as_ref()), "body": review.body, "state": review.state,
            "commit_id": review.commit,
            "author_association": repository.association(review.author.as_ref()),
        });
        if review.state != "PENDING" {
            item["submitted_at"] = json!(date(review.at));
        }
        item
    });
    paged(call, &all.collect::<Vec<_>>())
}

pub(super) fn check_runs(call: &Call, pull: &PullRequest) -> Response {
    let runs = |count: u32, status: &str, conclusion: Value| {
        let run = json!({"name": "check", "status": status, "conclusion": conclusion});
        std::iter::repeat_n(run, count as usize)
    };
    let all: Vec<Value> = runs(pull.checks.failed, "completed", json!("failure"))
        .chain(runs(pull.checks.pending, "in_progress", Value::Null))
        .chain(runs(pull.checks.passed, "completed", json!("success")))
        .collect();
    let (page, link) = page_of(call, &all.iter().collect::<Vec<_>>());
    let body = json!({"total_count": all.len(), "check_runs": page});
    with_link(json_answer(StatusCode::OK, &body), link)
}

pub(super) fn combined_status(call: &Call, pull: &PullRequest) -> Response {
    let (passed, failed) = pull.checks.statuses;
    let status = |state: &str| json!({"context": "ci", "state": state});
    let all: Vec<Value> = std::iter::repeat_n(status("failure"), failed as usize)
        .chain(std::iter::repeat_n(status("success"), passed as usize))
        .collect();
    let state = match (failed, passed) {
        (1.., _) => "failure",
        (0, 1..) => "success",
        (0, 0) => "pending",
    };
    let (page, link) = page_of(call, &all.iter().collect::<Vec<_>>());
    let body = json!({
        "state": state, "sha": pull.head_oid, "total_count": all.len(), "statuses": page,
    });
    with_link(json_answer(StatusCode::OK, &body), link)
}
