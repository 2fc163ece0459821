//! What GitHub's answers mean, field by field.

use serde_json::json;

use super::*;

fn node() -> Value {
    json!({
        "number": 7, "title": "T", "url": "https://github.com/a/b/pull/7", "body": "B",
        "state": "OPEN", "isDraft": false,
        "createdAt": "2024-01-01T00:00:00Z", "updatedAt": "2024-02-01T00:00:00Z",
        "author": { "__typename": "User", "login": "ann" },
        "baseRefName": "main", "baseRefOid": "b0", "headRefOid": "h0",
        "additions": 1, "deletions": 2, "changedFiles": 3, "totalCommentsCount": 5,
        "comments": { "totalCount": 2, "nodes": [
            { "createdAt": "2024-01-05T00:00:00Z", "author": { "__typename": "User", "login": "bea" } },
            { "createdAt": "2024-01-30T00:00:00Z", "author": { "__typename": "Bot", "login": "ci" } },
        ] },
        "reviews": { "totalCount": 4, "nodes": [] },
        "reviewDecision": null,
        "latestOpinionatedReviews": { "nodes": [
            { "state": "APPROVED", "submittedAt": null, "author": null, "commit": { "oid": "h0" } },
        ] },
        "reviewRequests": { "nodes": [
            { "requestedReviewer": { "__typename": "User", "login": "cy" } },
            { "requestedReviewer": { "__typename": "Team", "combinedSlug": "org/core" } },
            { "requestedReviewer": null },
        ] },
        "reviewThreads": { "totalCount": 2, "nodes": [{ "isResolved": true }, { "isResolved": false }] },
        "mergeable": "UNKNOWN", "isInMergeQueue": false, "autoMergeRequest": null,
        "labels": { "nodes": [{ "name": "bug" }] },
        "commits": { "nodes": [
            { "commit": { "committedDate": "2024-01-10T00:00:00Z", "messageHeadline": "Fix" } },
        ] },
        "statusCheckRollup": null,
    })
}

fn read_with(change: impl FnOnce(&mut Value)) -> PullRequest {
    let mut value = node();
    change(&mut value);
    read(&value, &["pr_7"], &Gaps::default(), true).unwrap().pull_request
}

fn day(day: u32) -> Option<DateTime<Utc>> {
    format!("2024-01-{day:02}T00:00:00Z").parse().ok()
}

#[test]
fn a_whole_answer_is_read() {
    let read = read_with(|_| {});
    assert_eq!((read.conversation_comments, read.review_comments), (Some(2), Some(3)));
    assert_eq!((read.discussion(), read.reviews), (Some(5), Some(4)));
    assert_eq!(read.review_decision, ReviewDecision::None);
    assert_eq!(read.told_reviews()[0].author, Author::ghost());
    assert_eq!(read.told_requests(), ["cy", "org/core"]);
    assert_eq!(read.unresolved_threads, Some(1));
    assert_eq!(read.mergeable, Mergeable::Unknown);
    assert_eq!(read.auto_merge, Some(false));
    assert_eq!(read.checks.state, CheckState::None);
    assert_eq!(read.last_human_activity, day(10));
}

#[test]
fn nulls_that_come_from_errors_are_unknown_and_others_mean_something() {
    let body = br#"{"data":{"repository":{}},"errors":[
        {"path":["repository","pr_7","statusCheckRollup"]},
        {"path":["repository","pr_7","reviewDecision"]},
        {"path":["repository","pr_7","autoMergeRequest","enabledAt"]}]}"#;
    let gaps = crate::upstream::github::graphql::gaps_of(body);
    let read_at = |path: &str| read(&node(), &[path], &gaps, true).unwrap().pull_request;
    let gap = read_at("pr_7");
    assert_eq!(gap.checks, Checks::UNKNOWN);
    assert_eq!(gap.review_decision, ReviewDecision::Unknown);
    assert_eq!(gap.auto_merge, None);
    assert_eq!(read_at("pr_8").checks.state, CheckState::None);

    let not_asked = read(&node(), &["pr_7"], &Gaps::default(), false).unwrap();
    assert_eq!(not_asked.pull_request.checks, Checks::UNKNOWN);

    let read = read_with(|node| {
        for field in ["additions", "isInMergeQueue", "reviewThreads", "latestOpinionatedReviews"] {
            node[field] = Value::Null;
        }
    });
    assert_eq!(
        (read.additions, read.is_in_merge_queue, read.unresolved_threads),
        (None, None, None)
    );
}

#[test]
fn a_missing_total_is_said_and_a_missing_essential_is_no_pull_request() {
    let mut value = node();
    value["totalCommentsCount"] = Value::Null;
    assert!(read(&value, &[], &Gaps::default(), true).unwrap().is_undercounted);
    value["headRefOid"] = Value::Null;
    assert!(read(&value, &[], &Gaps::default(), true).is_none());
    assert!(read(&Value::Null, &[], &Gaps::default(), true).is_none());
}

#[test]
fn a_null_is_neither_zero_nor_false_nor_an_empty_list() {
    let mut value = node();
    for (field, told) in value.as_object_mut().unwrap() {
        let is_essential = [
            "number",
            "title",
            "url",
            "isDraft",
            "createdAt",
            "updatedAt",
            "baseRefName",
            "headRefOid",
            "state",
        ];
        if !is_essential.contains(&field.as_str()) {
            *told = Value::Null;
        }
    }
    let body = br#"{"data":{"repository":{}},"errors":[{"path":["repository","pr_7"]},
        {"path":["repository","pr_7","author"]},{"path":["repository","pr_7","reviewDecision"]},
        {"path":["repository","pr_7","statusCheckRollup"]},
        {"path":["repository","pr_7","autoMergeRequest"]}]}"#;
    let gaps = crate::upstream::github::graphql::gaps_of(body);
    let read = read(&value, &["pr_7"], &gaps, true).unwrap();
    assert!(read.is_undercounted);
    let pr = read.pull_request;
    let counts = [
        pr.additions,
        pr.deletions,
        pr.changed_files,
        pr.conversation_comments,
        pr.review_comments,
        pr.reviews,
        pr.unresolved_threads,
        pr.discussion(),
    ];
    assert_eq!(counts, [None; 8]);
    assert_eq!((pr.is_in_merge_queue, pr.auto_merge), (None, None));
    assert_eq!((pr.labels, pr.review_requests, pr.latest_reviews), (None, None, None));
    assert_eq!((pr.checks, pr.mergeable), (Checks::UNKNOWN, Mergeable::Unknown));
    assert_eq!(pr.review_decision, ReviewDecision::Unknown);
    assert_eq!((pr.author.login(), pr.last_human_activity), (None, None));
}

#[test]
fn a_list_with_a_hole_is_unknown() {
    let read = read_with(|node| {
        for field in ["latestOpinionatedReviews", "labels", "reviewRequests", "reviewThreads"] {
            node[field]["nodes"][0] = Value::Null;
        }
    });
    assert_eq!((read.latest_reviews, read.labels, read.review_requests), (None, None, None));
    assert_eq!(read.unresolved_threads, None);
}

#[test]
fn the_total_alone_is_no_part() {
    let read = read_with(|node| node["comments"] = Value::Null);
    assert_eq!((read.conversation_comments, read.review_comments), (None, None));
    assert_eq!(read.reviews, Some(4));
}

#[test]
fn threads_are_counted_only_when_all_were_seen() {
    let read = read_with(|node| node["reviewThreads"]["totalCount"] = json!(101));
    assert_eq!(read.unresolved_threads, None);
}

#[test]
fn checks_are_counted_by_state() {
    let with = |runs: Value, statuses: Value| {
        read_with(|node| {
            node["statusCheckRollup"] = json!({ "state": "FAILURE", "contexts": {
                "checkRunCountsByState": runs, "statusContextCountsByState": statuses } });
        })
        .checks
    };
    let count = |state: &str, count: u32| json!({ "state": state, "count": count });
    let mixed = with(
        json!([count("SUCCESS", 3), count("SKIPPED", 1), count("IN_PROGRESS", 2)]),
        json!([count("ERROR", 1)]),
    );
    assert_eq!(mixed.state, CheckState::Failing);
    assert_eq!((mixed.passed, mixed.failed, mixed.pending), (Some(4), Some(1), Some(2)));
    assert_eq!(with(json!([count("QUEUED", 1)]), json!([])).state, CheckState::Pending);
    assert_eq!(with(json!([count("NEUTRAL", 1)]), json!([])).state, CheckState::Passing);
    assert_eq!(with(json!([]), json!([])).state, CheckState::None);
    for unknown in [with(Value::Null, json!([])), with(json!([count("NEW_STATE", 1)]), json!([]))] {
        assert_eq!((unknown.state, unknown.passed), (CheckState::Failing, None));
    }
}

#[test]
fn bots_merges_of_the_base_and_claimed_dates_are_no_human_progress() {
    let commit = |headline: &'static str, date: &'static str| {
        read_with(|node| {
            node["commits"]["nodes"][0]["commit"] =
                json!({ "committedDate": date, "messageHeadline": headline });
        })
        .last_human_activity
    };
    assert_eq!(commit("Merge branch 'main' into fix", "2024-01-20T00:00:00Z"), day(5));
    let updated = "2024-02-01T00:00:00Z".parse().ok();
    assert_eq!(commit("From the future", "2034-01-01T00:00:00Z"), updated);
    let by_bot =
        read_with(|node| node["author"] = json!({ "__typename": "Bot", "login": "renovate" }));
    assert!(by_bot.author.is_bot);
    assert_eq!(by_bot.last_human_activity, day(5));
}
