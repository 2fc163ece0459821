//! What counts as something new in a discussion.

use super::*;
use crate::{
    domain::pull_request::Review,
    summarize::samples::{at, author, conversation, pull_request},
};

fn approval(login: &str, moment: &str) -> Review {
    Review {
        author: author(login),
        state: ReviewState::Approved,
        submitted_at: Some(at(moment)),
        commit: None,
        is_silent: true,
    }
}

type Change = fn(&mut PullRequest);

/// A pull request that somebody has just approved.
fn approved() -> PullRequest {
    let mut now = pull_request(7);
    now.reviews = now.reviews.map(|n| n + 1);
    now.updated_at = at("2026-06-29T09:00:02Z");
    now.latest_reviews.get_or_insert_default().push(approval("bob", "2026-06-29T09:00:00Z"));
    now
}

#[test]
fn approvals_are_no_remarks_and_everything_else_may_be_one() {
    let talk = Talk::of(&pull_request(7), Arc::new(conversation()));
    assert!(talk.still_holds(&pull_request(7)));
    assert!(talk.still_holds(&approved()));
    let mut twice = approved();
    twice.reviews = twice.reviews.map(|n| n + 1);
    twice.updated_at = at("2026-06-29T10:00:00Z");
    twice.latest_reviews.get_or_insert_default().push(approval("carol", "2026-06-29T10:00:00Z"));
    assert!(talk.still_holds(&twice));
    let changes: [(&str, Change); 8] = [
        ("a comment", |now| now.conversation_comments = Some(6)),
        ("a comment on a line", |now| now.review_comments = Some(3)),
        ("a thread resolved", |now| now.unresolved_threads = Some(0)),
        ("threads unknown", |now| now.unresolved_threads = None),
        ("a review without a verdict beside the approval", |now| {
            now.reviews = now.reviews.map(|n| n + 1);
        }),
        ("an edit after the approval", |now| now.updated_at = at("2026-06-29T09:00:11Z")),
        ("an approval with words", |now| {
            for review in now.latest_reviews.as_mut().unwrap() {
                review.is_silent = false;
            }
        }),
        ("the approval taken back", |now| {
            for review in now.latest_reviews.as_mut().unwrap() {
                review.state = ReviewState::Dismissed;
            }
        }),
    ];
    for (what, change) in changes {
        let mut now = approved();
        change(&mut now);
        assert!(!talk.still_holds(&now), "{what}");
    }
}

#[test]
fn who_was_told_otherwise_does_not_share_a_reading() {
    let one = pull_request(7);
    let key = |change: Change| {
        let mut other = one.clone();
        change(&mut other);
        flight_key(Some(1), &other)
    };
    let same = key(|_| {});
    let changes: [Change; 5] = [
        |now| now.updated_at = at("2026-06-29T09:00:11Z"),
        |now| now.conversation_comments = None,
        |now| now.review_comments = None,
        |now| now.reviews = None,
        |now| now.unresolved_threads = Some(0),
    ];
    for change in changes {
        assert_ne!(key(change), same);
    }
}
