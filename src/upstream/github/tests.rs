//! The reader against a small GitHub on a real socket: how many calls, and what they become.

mod conversations;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode as Status, Uri},
};
use tokio::net::TcpListener;

use super::{
    listing::{Ended, Extent, MAX_PAGES},
    *,
};
use crate::{
    domain::{FailureCode, SystemEntropy, pull_request::CheckState},
    upstream::transport::TransportSettings,
};

/// What arrived: the address and, for GraphQL, the body.
#[derive(Clone, Debug)]
struct Seen {
    uri: String,
    body: Value,
}

type Reply = (u16, Value);
type Script = dyn Fn(usize, &Seen) -> Reply + Send + Sync;

#[derive(Clone)]
struct World {
    seen: Arc<Mutex<Vec<Seen>>>,
    answer: Arc<Script>,
}

async fn respond(
    State(world): State<World>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (Status, String) {
    assert_eq!(headers["authorization"], "Bearer gho_test");
    assert!(headers["user-agent"].to_str().unwrap().starts_with("pr-summarizer/"));
    let body = serde_json::from_slice(&body).unwrap_or_default();
    let seen = Seen { uri: uri.to_string(), body };
    let number = {
        let mut all = world.seen.lock().unwrap();
        all.push(seen.clone());
        all.len() - 1
    };
    let (status, body) = (world.answer)(number, &seen);
    let text = body.as_str().map_or_else(|| body.to_string(), str::to_owned);
    (Status::from_u16(status).unwrap(), text)
}

async fn github<F>(answer: F) -> (GitHub, Arc<Mutex<Vec<Seen>>>)
where
    F: Fn(usize, &Seen) -> Reply + Send + Sync + 'static,
{
    let world = World { seen: Arc::default(), answer: Arc::new(answer) };
    let seen = Arc::clone(&world.seen);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let api_url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let router = Router::new().fallback(respond).with_state(world);
    tokio::spawn(async move { axum::serve(listener, router).await });
    let quick =
        TransportSettings { backoff: Duration::from_millis(1), ..TransportSettings::default() };
    let transport = Transport::new(quick, Arc::new(SystemEntropy)).unwrap();
    let settings = GitHubTokenSettings { api_url, token: "gho_test".into() };
    (GitHub::with_token(settings, transport), seen)
}

fn call() -> Call {
    Call::within(Duration::from_secs(20))
}

fn query(limit: usize) -> ListQuery {
    ListQuery {
        repository: "a/b".parse().unwrap(),
        limit,
        order: Order::MostDiscussed,
        exclude_drafts: false,
        exclude_bots: false,
        author: None,
        label: None,
        base: None,
    }
}

fn node(number: u64, comments: u64, login: &str) -> Value {
    json!({
        "number": number, "title": "T", "url": "u", "state": "OPEN", "isDraft": false,
        "createdAt": "2024-01-01T00:00:00Z", "updatedAt": "2024-02-01T00:00:00Z",
        "author": { "__typename": "User", "login": login }, "baseRefName": "main",
        "headRefOid": "h", "totalCommentsCount": comments,
        "comments": { "totalCount": 0, "nodes": [] }, "statusCheckRollup": null,
    })
}

fn repository(fields: &Value) -> Value {
    let mut repository = json!({
        "nameWithOwner": "new/name", "url": "https://github.com/new/name", "isPrivate": false,
        "databaseId": 99, "open": { "totalCount": 3000 },
    });
    for (name, value) in fields.as_object().unwrap() {
        repository[name] = value.clone();
    }
    json!({ "data": { "rateLimit": { "remaining": 4990 }, "repository": repository } })
}

fn page(nodes: &[Value], next: Option<&str>) -> Value {
    repository(&json!({ "pullRequests": {
        "pageInfo": { "hasNextPage": next.is_some(), "endCursor": next }, "nodes": nodes,
    } }))
}

fn numbers(list: &PullRequestList) -> Vec<u64> {
    list.pull_requests.iter().map(|pull_request| pull_request.number).collect()
}

#[tokio::test]
async fn one_call_lists_the_most_discussed_by_the_published_definition() {
    let nodes = [node(2, 9, "x"), node(3, 9, "x"), node(1, 4, "x")];
    let (github, seen) = github(move |_, _| (200, page(&nodes, Some("c1")))).await;
    let call = call();
    let list = github.choose(&query(2), &call).await.unwrap();
    assert_eq!(numbers(&list), [3, 2]);
    assert_eq!(list.name_with_owner.to_string(), "new/name");
    assert_eq!(list.open_pull_requests, Some(3000));
    assert_eq!(list.rate_limit.map(|told| told.remaining), Some(4990));
    assert_eq!(list.warnings, Vec::<String>::new());
    assert_eq!(call.github_requests(), 1);
    let seen = seen.lock().unwrap();
    assert_eq!(seen[0].uri, "/graphql");
    let variables = &seen[0].body["variables"];
    assert_eq!(variables["first"], 4);
    assert_eq!(variables["order"], json!({ "field": "COMMENTS", "direction": "DESC" }));
    assert_eq!((&variables["owner"], &variables["name"]), (&json!("a"), &json!("b")));
}

#[tokio::test]
async fn filters_read_on_only_while_too_few_are_left() {
    let (github, seen) = github(|n, seen| {
        let after = seen.body["variables"]["after"].clone();
        assert_eq!(after.as_str(), [None, Some("c0"), Some("c1")][n]);
        let number = u64::try_from(n).unwrap();
        let said = 9 - 2 * number;
        let nodes = [node(number * 2 + 2, said, "Ann"), node(number * 2 + 1, said - 1, "other")];
        (200, page(&nodes, Some(&format!("c{n}"))))
    })
    .await;
    let wanted = ListQuery { author: Some("@ann".to_owned()), ..query(2) };
    let list = github.choose(&wanted, &call()).await.unwrap();
    assert_eq!(numbers(&list), [2, 4]);
    assert_eq!(seen.lock().unwrap().len(), 2);
    assert!(list.warnings.is_empty());
}

#[tokio::test]
async fn the_search_for_filters_is_bounded_and_says_so() {
    let (github, seen) =
        github(|n, _| (200, page(&[node(n as u64 + 1, 5, "other")], Some("more")))).await;
    let wanted = ListQuery { author: Some("ann".to_owned()), ..query(2) };
    let list = github.choose(&wanted, &call()).await.unwrap();
    assert!(list.pull_requests.is_empty());
    assert_eq!(seen.lock().unwrap().len(), MAX_PAGES);
    assert_eq!(
        list.warnings,
        ["Only the first 4 open pull requests were searched for the filters."]
    );
}

#[tokio::test]
async fn a_later_page_that_fails_leaves_the_first_ones() {
    let (github, _) = github(|n, _| match n {
        0 => (200, page(&[node(1, 5, "ann")], Some("c"))),
        _ => (500, json!({})),
    })
    .await;
    let wanted = ListQuery { author: Some("ann".to_owned()), ..query(2) };
    let list = github.choose(&wanted, &call()).await.unwrap();
    assert_eq!(numbers(&list), [1]);
    let warning = "Only the first 1 open pull requests were looked at: GitHub did not tell the rest \
                   (github_unavailable).";
    assert_eq!(list.warnings, [warning]);
    // Without filters it is no other.
    let list = github.choose(&query(2), &call()).await;
    assert_eq!(list.unwrap_err().code, FailureCode::GitHubUnavailable);
    let (github, _) = self::github(|n, _| match n {
        0 => (200, page(&[node(1, 5, "ann"), node(2, 5, "ann")], Some("c"))),
        _ => (500, json!({})),
    })
    .await;
    let list = github.choose(&query(2), &call()).await.unwrap();
    assert_eq!(
        (numbers(&list), list.warnings),
        (vec![2, 1], vec![warning.replace("first 1", "first 2")])
    );
}

#[test]
fn a_list_says_what_its_end_leaves_open() {
    let extent = |found, is_filtered| Extent { seen: 100, found, is_filtered };
    let failed = Ended::Failed(FailureCode::GitHubRateLimited);
    for (ended, extent, words) in [
        (Ended::Settled, extent(5, true), None),
        (Ended::Exhausted, extent(0, true), None),
        (Ended::Bound, extent(4, true), Some("searched for the filters")),
        (Ended::Bound, extent(4, false), Some("100 open pull requests were read")),
        (Ended::Bound, extent(5, true), Some("tie with the last one")),
        (Ended::Bound, extent(5, false), Some("tie with the last one")),
        (failed, extent(5, false), Some("(github_rate_limited)")),
        (failed, extent(0, true), Some("(github_rate_limited)")),
    ] {
        let warning = ended.warning(extent, 5);
        assert_eq!(warning.is_some(), words.is_some(), "{ended:?} {extent:?}");
        assert!(warning.unwrap_or_default().contains(words.unwrap_or_default()), "{ended:?}");
    }
}

#[tokio::test]
async fn a_tie_is_read_to_its_end_or_said_to_be_open() {
    let (ending, seen) = github(|n, _| {
        let (first, said) = [(1, 5), (9, 5), (17, 4), (99, 0)][n];
        let nodes: Vec<_> = (first..first + 4).map(|number| node(number, said, "x")).collect();
        (200, page(&nodes, Some("more")))
    })
    .await;
    let list = ending.choose(&query(2), &call()).await.unwrap();
    assert_eq!((numbers(&list), list.warnings.len()), (vec![12, 11], 0));
    let sizes: Vec<_> =
        seen.lock().unwrap().iter().map(|seen| seen.body["variables"]["first"].clone()).collect();
    assert_eq!(sizes, [4, PAGE, PAGE]);

    let (endless, seen) =
        github(|n, _| (200, page(&[node(n as u64 + 1, 5, "x")], Some("more")))).await;
    let list = endless.choose(&query(1), &call()).await.unwrap();
    assert_eq!(numbers(&list), [4]);
    assert_eq!(seen.lock().unwrap().len(), MAX_PAGES);
    assert_eq!(list.warnings.len(), 1);
    assert!(list.warnings[0].contains("tie"), "{:?}", list.warnings);
}

#[tokio::test]
async fn too_much_for_github_is_asked_again_as_half_without_checks() {
    let (github, seen) = github(|n, _| match n {
        0 => (502, json!("<html>")),
        _ => (200, page(&[node(1, 5, "ann")], None)),
    })
    .await;
    let list = github.choose(&query(5), &call()).await.unwrap();
    assert_eq!(list.pull_requests[0].checks.state, CheckState::Unknown);
    assert_eq!(list.warnings.len(), 1);
    let asked: Vec<_> = seen.lock().unwrap().iter().map(|s| s.body["variables"].clone()).collect();
    assert_eq!((&asked[0]["first"], &asked[0]["checks"]), (&json!(10), &json!(true)));
    assert_eq!((&asked[1]["first"], &asked[1]["checks"]), (&json!(5), &json!(false)));
}

#[tokio::test]
async fn an_outage_costs_two_queries_and_is_a_clear_failure() {
    let (github, seen) = github(|_, _| (504, json!("<html>"))).await;
    let failure = github.choose(&query(5), &call()).await.unwrap_err();
    assert_eq!(failure.code, FailureCode::GitHubUnavailable);
    assert_eq!(seen.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_scope_that_is_missing_is_done_without_and_remembered() {
    let refused = || (200, json!({ "errors": [{ "type": "INSUFFICIENT_SCOPES" }] }));
    let names_teams = |seen: &Seen| seen.body["query"].as_str().unwrap().contains("on Team");
    let (github, seen) = github(move |_, seen| match names_teams(seen) {
        true => refused(),
        false if seen.body["query"].as_str().unwrap().contains("pr_1:") => {
            (200, repository(&json!({ "pr_1": node(1, 5, "ann") })))
        }
        false => (200, page(&[node(1, 5, "ann")], None)),
    })
    .await;
    let name = "a/b".parse().unwrap();
    let asked = || seen.lock().unwrap().iter().map(names_teams).collect::<Vec<_>>();
    assert_eq!(numbers(&github.choose(&query(2), &call()).await.unwrap()), [1]);
    assert_eq!(asked(), [true, false]);
    assert_eq!(numbers(&github.by_number(&name, &[1], &call()).await.unwrap()), [1]);
    assert_eq!(asked(), [true, false, false]);

    let (github, seen) = self::github(move |_, _| refused()).await;
    for asked in [2, 4] {
        let failure = github.choose(&query(2), &call()).await.unwrap_err();
        assert_eq!(failure.code, FailureCode::GitHubAccessDenied);
        assert_eq!(seen.lock().unwrap().len(), asked, "another scope is missing");
    }
}

#[tokio::test]
async fn too_much_without_teams_is_halved_too() {
    let (github, seen) = github(|n, _| match n {
        0 => (200, json!({ "errors": [{ "type": "INSUFFICIENT_SCOPES" }] })),
        1 => (502, json!("<html>")),
        _ => (200, page(&[node(1, 5, "ann")], None)),
    })
    .await;
    assert_eq!(numbers(&github.choose(&query(2), &call()).await.unwrap()), [1]);
    let seen = seen.lock().unwrap();
    let named = |n: usize| seen[n].body["query"].as_str().unwrap().contains("on Team");
    assert_eq!((seen.len(), named(0), named(1), named(2)), (3, true, false, false));
}

#[tokio::test]
async fn numbers_are_read_in_one_call_and_the_absent_are_named() {
    let (github, seen) = github(|_, _| {
        let mut closed = node(3, 0, "x");
        closed["state"] = json!("MERGED");
        let mut body = repository(
            &json!({ "pr_7": node(7, 1, "x"), "pr_3": closed, "pr_4": null, "pr_5": null }),
        );
        body["errors"] = json!([
            { "type": "NOT_FOUND", "path": ["repository", "pr_4"] },
            { "type": "FORBIDDEN", "path": ["repository", "pr_5"] },
        ]);
        (200, body)
    })
    .await;
    let name = "a/b".parse().unwrap();
    let list = github.by_number(&name, &[7, 3, 4, 5, 7, 5_000_000_000], &call()).await.unwrap();
    assert_eq!(numbers(&list), [7]);
    let absent: Vec<_> = list.absent.iter().map(|(n, reason)| (*n, reason.as_str())).collect();
    assert_eq!(
        absent,
        [
            (3, "merged"),
            (4, "no such pull request"),
            (5, "not told by GitHub"),
            (5_000_000_000, "no such pull request"),
        ]
    );
    assert_eq!(list.warnings.len(), 1);
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 1);
    let document = seen[0].body["query"].as_str().unwrap();
    assert!(document.contains("pr_7: pullRequest(number: 7)"));
    assert!(!document.contains("5000000000"));
}

fn discussion(body: &str) -> Value {
    json!({
        "totalCommentsCount": 3, "reviewThreads": { "nodes": [] }, "reviews": { "nodes": [] },
        "comments": { "totalCount": 3, "nodes": [
            { "createdAt": "2024-01-01T00:00:00Z", "body": body, "author": null } ] },
    })
}

#[tokio::test]
async fn a_diff_too_large_is_read_as_pages_of_files() {
    let (github, seen) = github(|_, seen| {
        let file = |n: u64| {
            json!({ "filename": format!("f{n}"), "status": "renamed", "previous_filename": "old",
                "additions": 2, "deletions": 1, "changes": 3, "patch": "@@ -1 +1 @@" })
        };
        let page = seen.uri.split("&page=").nth(1).and_then(|page| page.parse::<u64>().ok());
        match page {
            None => (406, json!({ "errors": [{ "code": "too_large" }] })),
            Some(page @ 1..=2) => (200, (page * 60..page * 60 + 60).map(file).collect()),
            Some(3) => (200, json!([{ "filename": "big.bin", "status": "added", "additions": 0, "deletions": 0 }])),
            Some(_) => (200, json!([])),
        }
    })
    .await;
    let diff = github.diff(&"a/b".parse().unwrap(), 7, &call()).await.unwrap();
    assert_eq!(diff.files.len(), 121);
    assert_eq!((diff.is_truncated, diff.interruption), (false, None));
    assert_eq!(diff.files[0].previous_path.as_deref(), Some("old"));
    let last = diff.files.last().unwrap();
    assert_eq!((last.path.as_str(), &last.patch, last.is_binary), ("big.bin", &None, false));
    assert_eq!(seen.lock().unwrap()[0].uri, "/repos/a/b/pulls/7");
}

#[tokio::test]
async fn pages_of_files_that_fail_leave_a_truncated_list() {
    let name = "a/b".parse().unwrap();
    for (status, code) in [
        (401, FailureCode::GitHubTokenRejected),
        (403, FailureCode::GitHubAccessDenied),
        (429, FailureCode::GitHubRateLimited),
        (500, FailureCode::GitHubUnavailable),
    ] {
        let fail_from = |first: usize| {
            github(move |_, seen| {
                let page =
                    seen.uri.split("&page=").nth(1).map(|page| page.parse::<usize>().unwrap());
                let file = json!({ "filename": "f", "status": "modified", "additions": 1, "deletions": 0 });
                match page {
                    None => (406, json!({})),
                    Some(page) if page < first || page == 3 => (200, json!(vec![file; 60])),
                    Some(_) => (status, json!({ "message": "canary" })),
                }
            })
        };
        let (github, _) = fail_from(2).await;
        let diff = github.diff(&name, 7, &call()).await.unwrap();
        assert_eq!((diff.files.len(), diff.is_truncated), (120, true), "{status}");
        assert_eq!(diff.interruption, Some(code));
        let (github, _) = fail_from(1).await;
        assert_eq!(github.diff(&name, 7, &call()).await.unwrap_err().code, code);
    }
}

#[tokio::test]
async fn a_diff_is_parsed_and_what_is_none_is_not_an_empty_change() {
    let (github, _) = github(|n, _| match n {
        0 => (200, json!("diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n")),
        _ => (200, json!("<html>sign in</html>")),
    })
    .await;
    let name = "a/b".parse().unwrap();
    assert_eq!(github.diff(&name, 1, &call()).await.unwrap().files[0].additions, 1);
    let failure = github.diff(&name, 1, &call()).await.unwrap_err();
    assert_eq!(failure.code, FailureCode::GitHubUnavailable);
}

#[tokio::test]
async fn the_viewer_is_who_the_token_belongs_to() {
    let (github, seen) = github(|n, _| match n {
        0 => (200, json!({ "id": 583_231, "login": "octocat", "name": null })),
        _ => (401, json!({ "message": "Bad credentials" })),
    })
    .await;
    let account = github.viewer(&call()).await.unwrap();
    assert_eq!((account.id, account.login.as_str()), (583_231, "octocat"));
    // Nobody can connect another account here: only the operator can set another token.
    let failure = github.viewer(&call()).await.unwrap_err();
    assert_eq!(failure.code, FailureCode::GitHubTokenRejected);
    assert_eq!(seen.lock().unwrap().len(), 2);
    assert_eq!(seen.lock().unwrap()[0].uri, "/user");
}
