//! GitHub's REST API, as far as pull requests need it.

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::{
    State,
    diff::{self, FileChange},
    model::{Person, PullRequest, Repository},
    rest_discussion,
};
use crate::fakes::traffic::{Call, Traffic};

pub(super) const SSO_MESSAGE: &str = "Resource protected by organization SAML enforcement. You \
                                      must grant your OAuth token access to this organization.";
/// Files that `/pulls/{n}/files` lists at most.
const LISTED_FILES: usize = 3_000;

pub(super) fn date(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

pub(super) fn json_answer(status: StatusCode, body: &Value) -> Response {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("application/json; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// GitHub's form of a refusal.
pub(super) fn message(status: u16, text: &str) -> Response {
    let code = StatusCode::from_u16(status).expect("a status");
    let documentation = "https://docs.github.com/rest";
    let body = json!({
        "message": text, "documentation_url": documentation, "status": status.to_string(),
    });
    json_answer(code, &body)
}

pub(super) fn answer(traffic: &Traffic, call: &Call, state: &State, viewer: &Person) -> Response {
    if call.method != "GET" {
        return traffic.unexpected(call, "only GET is known here");
    }
    match call.segments().as_slice() {
        ["user"] => only(traffic, call, &[], || json_answer(StatusCode::OK, &user(viewer))),
        ["repos", owner, name, rest @ ..] => {
            let full = format!("{}/{}", decoded(owner), decoded(name));
            let found = state.find_repository(&full, true);
            let Some(repository) = found.filter(|one| State::may_read(viewer, one)) else {
                return message(404, "Not Found");
            };
            if repository.sso_protected && !viewer.sso.contains(&repository.owner) {
                return sso_required(&repository.owner);
            }
            if !repository.name_with_owner().eq_ignore_ascii_case(&full) {
                return moved(call, repository, rest);
            }
            of_repository(traffic, call, viewer, repository, rest)
        }
        _ => traffic.unexpected(call, "no such route"),
    }
}

fn decoded(segment: &str) -> String {
    let pair = format!("x={}", segment.replace('+', "%2B"));
    let (_, value) = url::form_urlencoded::parse(pair.as_bytes()).next().expect("one pair");
    value.into_owned()
}

fn of_repository(
    traffic: &Traffic,
    call: &Call,
    viewer: &Person,
    repository: &Repository,
    rest: &[&str],
) -> Response {
    let with_head = |oid: &str| repository.pull_requests.iter().find(|one| one.head_oid == oid);
    match rest {
        [] => only(traffic, call, &[], || {
            json_answer(StatusCode::OK, &rest_discussion::repository(repository))
        }),
        ["pulls", rest @ ..] => pulls(traffic, call, viewer, repository, rest),
        ["issues", number, "comments"] => {
            let Some(pull) = number.parse().ok().and_then(|number| repository.find(number)) else {
                return message(404, "Not Found");
            };
            only(traffic, call, &["since", "page", "per_page"], || {
                rest_discussion::comments(call, pull)
            })
        }
        ["commits", oid, kind @ ("check-runs" | "status")] => {
            let Some(pull) = with_head(oid) else {
                return message(422, "No commit found for SHA");
            };
            only(traffic, call, &["page", "per_page"], || match *kind {
                "status" => rest_discussion::combined_status(call, pull),
                _ => rest_discussion::check_runs(call, pull),
            })
        }
        _ => traffic.unexpected(call, "no such route"),
    }
}

fn pulls(
    traffic: &Traffic,
    call: &Call,
    viewer: &Person,
    repository: &Repository,
    rest: &[&str],
) -> Response {
    let Some((number, rest)) = rest.split_first() else {
        let known = ["state", "head", "base", "sort", "direction", "page", "per_page"];
        return only(traffic, call, &known, || list(call, repository));
    };
    let number = number.parse().ok();
    let Some(pull) = number.and_then(|number| repository.find(number)) else {
        return message(404, "Not Found");
    };
    match rest {
        [] => only(traffic, call, &[], || match call.header("accept").unwrap_or_default() {
            "application/vnd.github.diff" | "application/vnd.github.v3.diff" => as_diff(pull),
            accept if accept.contains("json") || accept == "*/*" => {
                json_answer(StatusCode::OK, &whole(repository, pull))
            }
            accept => traffic.unexpected(call, &format!("unknown Accept: {accept:?}")),
        }),
        ["files"] => only(traffic, call, &["page", "per_page"], || files(call, pull)),
        ["reviews"] => only(traffic, call, &["page", "per_page"], || {
            rest_discussion::reviews(call, viewer, repository, pull)
        }),
        ["comments"] => only(traffic, call, &["page", "per_page"], || {
            rest_discussion::review_comments(call, pull)
        }),
        _ => traffic.unexpected(call, "no such route"),
    }
}

/// Answers unless there is a query parameter that this route does not know.
fn only(
    traffic: &Traffic,
    call: &Call,
    known: &[&str],
    answer: impl FnOnce() -> Response,
) -> Response {
    let foreign = call.parameters().into_iter().find(|(name, _)| !known.contains(&name.as_str()));
    match foreign {
        Some((name, _)) => traffic.unexpected(call, &format!("unknown parameter {name:?}")),
        None => answer(),
    }
}

fn moved(call: &Call, repository: &Repository, rest: &[&str]) -> Response {
    let tail: String = rest.iter().flat_map(|segment| ["/", *segment]).collect();
    let query = call.query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
    let to = format!("/repos/{}{tail}{query}", repository.name_with_owner());
    let mut response = message(301, "Moved Permanently");
    response.headers_mut().insert(header::LOCATION, to.parse().expect("an address"));
    response
}

fn sso_required(organisation: &str) -> Response {
    let mut response = message(403, SSO_MESSAGE);
    let url = format!("https://github.com/orgs/{organisation}/sso?authorization_request=AZ");
    let value = format!("required; url={url}").parse().expect("a header's value");
    response.headers_mut().insert("x-github-sso", value);
    response
}

fn user(person: &Person) -> Value {
    json!({
        "login": person.login, "id": person.id, "node_id": format!("U_{}", person.id),
        "type": "User", "site_admin": false, "name": person.login,
        "html_url": format!("https://github.com/{}", person.login),
    })
}

/// An item of the list: without comments, sizes and mergeability, as GitHub answers it.
fn item(repository: &Repository, pull: &PullRequest) -> Value {
    let state = if pull.state == "OPEN" { "open" } else { "closed" };
    let (people, teams) = rest_discussion::requested(pull);
    let labels: Vec<Value> = pull.labels.iter().map(|name| json!({"name": name})).collect();
    json!({
        "number": pull.number, "id": 900_000_000 + pull.number, "state": state,
        "title": pull.title, "body": pull.body, "user": rest_discussion::account(pull.author.as_ref()), "draft": pull.draft,
        "html_url": format!("https://github.com/{}/pull/{}", repository.name_with_owner(), pull.number),
        "created_at": date(pull.created_at), "updated_at": date(pull.updated_at),
        "labels": labels, "author_association": pull.association, "locked": false,
        "head": {"ref": pull.head, "sha": pull.head_oid},
        "base": {
            "ref": pull.base, "sha": pull.base_oid, "repo": rest_discussion::repository(repository),
        },
        "requested_reviewers": people, "requested_teams": teams,
        "auto_merge": pull.auto_merge.then(|| json!({"merge_method": "squash"})),
        "merged_at": (pull.state == "MERGED").then(|| date(pull.updated_at)),
    })
}

fn whole(repository: &Repository, pull: &PullRequest) -> Value {
    let mut whole = item(repository, pull);
    whole["comments"] = json!(pull.comments.len());
    whole["review_comments"] = json!(pull.review_comments());
    whole["commits"] = json!(1);
    whole["additions"] = json!(pull.additions());
    whole["deletions"] = json!(pull.deletions());
    whole["changed_files"] = json!(pull.files.len());
    whole["merged"] = json!(pull.state == "MERGED");
    whole["mergeable"] = match pull.mergeable {
        "MERGEABLE" => json!(true),
        "CONFLICTING" => json!(false),
        _ => Value::Null,
    };
    whole["mergeable_state"] = json!(pull.merge_state.to_lowercase());
    whole
}

fn list(call: &Call, repository: &Repository) -> Response {
    let wanted = call.parameter("state").unwrap_or_else(|| "open".to_owned());
    let (base, head) = (call.parameter("base"), call.parameter("head"));
    let sort = call.parameter("sort");
    let mut all: Vec<&PullRequest> = repository
        .pull_requests
        .iter()
        .filter(|one| wanted == "all" || (one.state == "OPEN") == (wanted == "open"))
        .filter(|one| base.as_ref().is_none_or(|base| one.base == *base))
        .filter(|one| head.as_ref().is_none_or(|head| head.ends_with(&format!(":{}", one.head))))
        .collect();
    match sort.as_deref() {
        Some("popularity") => all.sort_by_key(|one| (one.discussion(), one.number)),
        Some("updated") => all.sort_by_key(|one| (one.updated_at, one.number)),
        _ => all.sort_by_key(|one| (one.created_at, one.number)),
    }
    // The default direction depends on whether a sort other than `created` is asked for.
    let by_creation = matches!(sort.as_deref(), None | Some("created"));
    let direction = call.parameter("direction");
    if direction.map_or(by_creation, |direction| direction == "desc") {
        all.reverse();
    }
    let (page, link) = page_of(call, &all);
    let items: Vec<Value> = page.iter().map(|one| item(repository, one)).collect();
    with_link(json_answer(StatusCode::OK, &Value::Array(items)), link)
}

fn as_diff(pull: &PullRequest) -> Response {
    match diff::unified(&pull.files) {
        Ok(text) => {
            let mut response = Response::new(Body::from(text));
            let kind = HeaderValue::from_static("application/vnd.github.diff; charset=utf-8");
            response.headers_mut().insert(header::CONTENT_TYPE, kind);
            response
        }
        Err(sentence) => {
            let error = json!({"resource": "PullRequest", "field": "diff", "code": "too_large"});
            let documentation = "https://docs.github.com/rest/pulls/pulls#list-pull-requests-files";
            let body = json!({
                "message": sentence, "errors": [error], "documentation_url": documentation,
                "status": "406",
            });
            json_answer(StatusCode::NOT_ACCEPTABLE, &body)
        }
    }
}

fn files(call: &Call, pull: &PullRequest) -> Response {
    let all: Vec<&FileChange> = pull.files.iter().take(LISTED_FILES).collect();
    let (page, link) = page_of(call, &all);
    let items: Vec<Value> = page
        .iter()
        .map(|file| {
            let mut item = json!({
                "sha": super::model::oid(&file.path), "filename": file.path,
                "status": file.change.rest(), "additions": file.additions,
                "deletions": file.deletions, "changes": file.additions + file.deletions,
                "blob_url": format!("https://github.com/blob/{}", file.path),
            });
            if let Some(patch) = file.patch() {
                item["patch"] = json!(patch);
            }
            if let Some(previous) = &file.previous_path {
                item["previous_filename"] = json!(previous);
            }
            item
        })
        .collect();
    with_link(json_answer(StatusCode::OK, &Value::Array(items)), link)
}

/// The page that `page` and `per_page` ask for, and the `Link` to its neighbours.
pub(super) fn page_of<T: Copy>(call: &Call, all: &[T]) -> (Vec<T>, Option<String>) {
    let number = |name| call.parameter(name).and_then(|text| text.parse::<usize>().ok());
    let size = number("per_page").unwrap_or(30).clamp(1, 100);
    let page = number("page").unwrap_or(1).max(1);
    let items = all.iter().copied().skip((page - 1) * size).take(size).collect();
    let last = all.len().div_ceil(size).max(1);
    let to = |page: usize, rel: &str| {
        let path = &call.path;
        format!("<https://api.github.com{path}?per_page={size}&page={page}>; rel=\"{rel}\"")
    };
    let mut links = Vec::new();
    if page > 1 {
        links.extend([to(page - 1, "prev"), to(1, "first")]);
    }
    if page < last {
        links.extend([to(page + 1, "next"), to(last, "last")]);
    }
    (items, (!links.is_empty()).then(|| links.join(", ")))
}

pub(super) fn with_link(mut response: Response, link: Option<String>) -> Response {
    if let Some(link) = link {
        response.headers_mut().insert(header::LINK, link.parse().expect("a header's value"));
    }
    response
}
