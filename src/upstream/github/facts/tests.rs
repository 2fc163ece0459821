//! What GitHub's answers mean, field by field.

use serde_json::json;

use super::*;

fn node() -> Value {
    let reviewed = json!({ "submittedAt": "2024-01-02T00:00:00Z",
        "author": { "__typename": "Bot", "login": "ci" } });
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
        "reviews": { "totalCount": 4, "nodes": vec![reviewed; 4] },
        "reviewDecision": null,
        "drafts": { "totalCount": 0, "nodes": [] },
        "latestOpinionatedReviews": { "totalCount": 1, "nodes": [
            { "state": "APPROVED", "submittedAt": null, "body": "", "author": null,
              "commit": { "oid": "h0" } },
        ] },
        "reviewRequests": { "totalCount": 2, "nodes": [
            { "requestedReviewer": { "__typename": "User", "login": "cy" } },
            { "requestedReviewer": { "__typename": "Team", "combinedSlug": "org/core" } },
        ] },
        "reviewThreads": { "totalCount": 2, "nodes": [{ "isResolved": true }, { "isResolved": false }] },
        "mergeable": "UNKNOWN", "mergeStateStatus": "BEHIND", "isInMergeQueue": false, "autoMergeRequest": null,
        "labels": { "totalCount": 1, "nodes": [{ "name": "bug" }] },
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
    assert!(read.told_reviews()[0].is_silent);
    assert_eq!(read.all_requests().unwrap(), ["cy", "org/core"]);
    assert_eq!((read.unresolved_threads, read.unresolved_threads_seen), (Some(1), 1));
    assert_eq!(read.merge_state, MergeState::Behind);
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
    assert_eq!((read.all_requests(), read.told_requests()), (None, &["org/core".to_owned()][..]));
    assert_eq!((read.latest_reviews, read.labels), (None, None));
    assert_eq!((read.unresolved_threads, read.unresolved_threads_seen), (None, 1));
}

#[test]
fn a_part_does_not_pass_for_the_whole() {
    let read = read_with(|node| {
        for field in ["latestOpinionatedReviews", "labels", "reviewRequests", "reviewThreads"] {
            node[field]["totalCount"] = json!(101);
        }
    });
    assert_eq!((read.all_requests(), read.told_requests().len()), (None, 2));
    assert_eq!((read.latest_reviews, read.labels), (None, None));
    assert_eq!((read.unresolved_threads, read.unresolved_threads_seen), (None, 1));
}

#[test]
fn somebody_whom_github_does_not_name_is_asked_all_the_same() {
    let hidden = json!({ "requestedReviewer": null });
    let nameless = json!({ "requestedReviewer": { "__typename": "Team" } });
    for one in [hidden, nameless] {
        let read = read_with(|node| node["reviewRequests"]["nodes"][1] = one);
        assert_eq!((read.all_requests(), read.told_requests()), (None, &["cy".to_owned()][..]));
    }
    let nobody = read_with(|node| node["reviewRequests"] = json!({ "totalCount": 0, "nodes": [] }));
    assert_eq!(nobody.all_requests(), Some(&[][..]));
}

#[test]
fn the_readers_own_drafts_are_no_open_threads() {
    let draft = |comments: Value, total: u64| json!({ "totalCount": 1, "nodes": [{ "comments": { "totalCount": total, "nodes": comments } }] });
    let (begins, answers) = (json!({ "replyTo": null }), json!({ "replyTo": { "id": "x" } }));
    let threads = |drafts: Value| {
        let read = read_with(|node| node["drafts"] = drafts);
        (read.unresolved_threads, read.unresolved_threads_seen)
    };
    assert_eq!(threads(draft(json!([begins, answers]), 2)), (Some(0), 0));
    assert_eq!(threads(draft(json!([answers]), 1)), (Some(1), 1));
    for unknown in [Value::Null, draft(json!([begins]), 101), draft(json!([null]), 1)] {
        assert_eq!(threads(unknown), (None, 0));
    }
}

#[test]
fn an_approval_with_words_or_with_words_unknown_is_not_silent() {
    for body in [json!("Fix it first."), Value::Null] {
        let read = read_with(|node| {
            node["latestOpinionatedReviews"]["nodes"][0]["body"] = body;
        });
        assert!(!read.told_reviews()[0].is_silent);
    }
}

#[test]
fn bots_on_a_full_page_hide_no_human() {
    let bots = |total: u64| {
        read_with(|node| {
            let bot = json!({ "__typename": "Bot", "login": "ci" });
            node["comments"] = json!({ "totalCount": total, "nodes": [
                { "createdAt": "2024-01-20T00:00:00Z", "author": bot },
                { "createdAt": "2024-01-30T00:00:00Z", "author": bot },
            ] });
        })
        .last_human_activity
    };
    assert_eq!(bots(2), day(10), "nobody but bots has commented");
    assert_eq!(bots(3), day(20), "somebody may have, before the oldest that is told");
}

#[test]
fn a_merge_of_the_base_does_not_keep_an_approval() {
    // What such a merge brings in, its author chooses: its name is no proof.
    let read = read_with(|node| {
        node["headRefOid"] = json!("h1");
        node["commits"]["nodes"][0]["commit"]["messageHeadline"] =
            json!("Merge branch 'main' into fix");
        node["latestOpinionatedReviews"]["nodes"][0]["author"] =
            json!({ "__typename": "User", "login": "bea" });
        node["reviewThreads"] = json!({ "totalCount": 0, "nodes": [] });
    });
    let found = crate::domain::stage::assess(&read, read.updated_at);
    assert_eq!(found.stage, crate::domain::stage::Stage::NeedsReview);
    assert_eq!(found.verdicts.earlier_approvals, ["bea"]);
}

#[test]
fn the_total_alone_is_no_part() {
    let read = read_with(|node| node["comments"] = Value::Null);
    assert_eq!((read.conversation_comments, read.review_comments), (None, None));
    assert_eq!(read.reviews, Some(4));
}

#[test]
fn only_commit_statuses_are_checks_too() {
    let read = read_with(|node| {
        node["statusCheckRollup"] = json!({ "state": "PENDING", "contexts": {
            "checkRunCountsByState": [],
            "statusContextCountsByState": [{ "state": "EXPECTED", "count": 1 },
                { "state": "SUCCESS", "count": 2 }] } });
        node["reviewThreads"] = json!({ "totalCount": 0, "nodes": [] });
    });
    assert_eq!((read.checks.state, read.checks.passed), (CheckState::Pending, Some(2)));
    let found = crate::domain::stage::assess(&read, read.updated_at);
    assert_eq!(found.stage, crate::domain::stage::Stage::CiPending);
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
