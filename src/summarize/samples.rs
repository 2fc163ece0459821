//! An invented pull request that the tests of this room change as they need.

use crate::domain::{
    clock::Timestamp,
    pull_request::{
        Author, CheckState, Checks, Conversation, MergeState, Mergeable, PullRequest, Remark,
        RemarkPlace, ReviewDecision,
    },
    repository::RepositoryName,
};

pub(super) fn repository() -> RepositoryName {
    RepositoryName::new("octo", "hello").expect("a name")
}

pub(super) fn at(text: &str) -> Timestamp {
    text.parse().expect("a moment")
}

pub(super) fn author(login: &str) -> Author {
    Author { login: login.to_owned(), is_bot: login.ends_with("[bot]") }
}

pub(super) fn pull_request(number: u64) -> PullRequest {
    PullRequest {
        number,
        title: "Cache what the client has fetched".to_owned(),
        url: format!("https://github.com/octo/hello/pull/{number}"),
        body: "Repeated requests went out again. This keeps the last 100 answers.".to_owned(),
        author: author("ada"),
        is_draft: false,
        created_at: at("2026-06-01T08:00:00Z"),
        updated_at: at("2026-06-29T08:00:00Z"),
        base_ref_name: "main".to_owned(),
        base_ref_oid: Some("b".repeat(40)),
        head_ref_oid: "a".repeat(40),
        head_committed_at: Some(at("2026-06-28T08:00:00Z")),
        additions: Some(120),
        deletions: Some(30),
        changed_files: Some(4),
        conversation_comments: Some(5),
        review_comments: Some(2),
        reviews: Some(3),
        unresolved_threads: Some(1),
        unresolved_threads_seen: 0,
        review_decision: ReviewDecision::ReviewRequired,
        latest_reviews: Some(Vec::new()),
        review_requests: Some(vec!["bob".to_owned()]),
        has_unnamed_requests: false,
        mergeable: Mergeable::Mergeable,
        merge_state: MergeState::Other,
        is_in_merge_queue: Some(false),
        auto_merge: Some(false),
        checks: Checks {
            state: CheckState::Passing,
            passed: Some(8),
            failed: Some(0),
            pending: Some(0),
        },
        labels: Some(vec!["performance".to_owned()]),
        last_human_activity: Some(at("2026-06-29T08:00:00Z")),
    }
}

pub(super) fn remark(login: &str, body: &str, place: RemarkPlace) -> Remark {
    Remark {
        author: author(login),
        created_at: at("2026-06-20T08:00:00Z"),
        body: body.to_owned(),
        place,
    }
}

pub(super) fn conversation() -> Conversation {
    let thread = RemarkPlace::Thread {
        path: "src/client.rs".to_owned(),
        is_resolved: Some(false),
        is_outdated: Some(false),
    };
    Conversation {
        remarks: vec![
            remark("bob", "Why 100 and not a size in bytes?", RemarkPlace::Conversation),
            remark("linter[bot]", "Coverage rose by 1 %.", RemarkPlace::Conversation),
            remark("carol", "Please test the eviction.", thread),
        ],
        total: Some(9),
    }
}
