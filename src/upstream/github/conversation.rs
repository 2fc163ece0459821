//! From GitHub's answer about a discussion to remarks in the order in which they were made.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;

use super::facts::{Actor, Connection, author, nodes, review_state};
use crate::domain::pull_request::{Conversation, Remark, RemarkPlace};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Node {
    total_comments_count: Option<u64>,
    comments: Option<Connection<Comment>>,
    review_threads: Option<Connection<Thread>>,
    reviews: Option<Connection<Review>>,
}

impl Node {
    /// Nothing told is not the same as nothing said.
    fn is_whole(&self) -> bool {
        let are_threads_whole = |threads: &Connection<Thread>| {
            threads.has_no_hole()
                && threads
                    .seen()
                    .all(|thread| thread.comments.as_ref().is_some_and(Connection::has_no_hole))
        };
        self.comments.as_ref().is_some_and(Connection::has_no_hole)
            && self.review_threads.as_ref().is_some_and(are_threads_whole)
            && self.reviews.as_ref().is_some_and(Connection::has_no_hole)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Comment {
    created_at: DateTime<Utc>,
    #[serde(default)]
    body: Option<String>,
    author: Option<Actor>,
    /// Of comments on lines only.
    #[serde(default)]
    state: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Thread {
    path: String,
    is_resolved: bool,
    is_outdated: bool,
    comments: Option<Connection<Comment>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Review {
    state: String,
    created_at: DateTime<Utc>,
    submitted_at: Option<DateTime<Utc>>,
    #[serde(default)]
    body: Option<String>,
    author: Option<Actor>,
}

/// A review that its author has not submitted: GitHub shows it, and its comments, to them alone.
const DRAFT: &str = "PENDING";

/// A discussion that was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Read {
    pub(super) conversation: Conversation,
    /// Nothing that was asked for is missing.
    pub(super) is_whole: bool,
}

/// Reads what was said about one pull request; `None` if GitHub left it out. What only this reader
/// can see is left out: others will be told from the same reading.
pub(super) fn read(value: &Value) -> Option<Read> {
    let node = Node::deserialize(value).ok()?;
    let is_whole = node.is_whole();
    let mut remarks: Vec<Remark> = Vec::new();
    remarks.extend(
        nodes(node.comments).filter_map(|comment| remark(comment, RemarkPlace::Conversation)),
    );
    for thread in nodes(node.review_threads) {
        let place = RemarkPlace::Thread {
            path: thread.path,
            is_resolved: Some(thread.is_resolved),
            is_outdated: Some(thread.is_outdated),
        };
        remarks.extend(nodes(thread.comments).filter_map(|comment| remark(comment, place.clone())));
    }
    let comments = remarks.len();
    // A review without words of its own is a verdict, which the facts hold, not a remark.
    let submitted = nodes(node.reviews).filter(|review| review.state != DRAFT);
    remarks.extend(submitted.filter_map(|review| {
        let place = RemarkPlace::Review(review_state(&review.state)?);
        let comment = Comment {
            created_at: review.submitted_at.unwrap_or(review.created_at),
            body: review.body,
            author: review.author,
            state: None,
        };
        remark(comment, place)
    }));
    let reviews = remarks.len() - comments;
    remarks.sort_by_key(|remark| remark.created_at);
    let counted = node.total_comments_count.and_then(|total| usize::try_from(total).ok());
    let total = counted.map(|counted| counted.max(comments).saturating_add(reviews));
    let total = total.and_then(|total| u64::try_from(total).ok());
    Some(Read { conversation: Conversation { remarks, total }, is_whole })
}

fn remark(comment: Comment, place: RemarkPlace) -> Option<Remark> {
    if comment.state.as_deref() == Some(DRAFT) {
        return None;
    }
    let body = comment.body.filter(|body| !body.trim().is_empty())?;
    Some(Remark { author: author(comment.author), created_at: comment.created_at, body, place })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::pull_request::{Author, ReviewState};

    #[test]
    fn remarks_of_all_kinds_stand_in_the_order_in_which_they_were_made() {
        let at = |day: u32| format!("2024-01-{day:02}T00:00:00Z");
        let by = json!({ "__typename": "User", "login": "ann" });
        let read = read(&json!({
            "totalCommentsCount": 40,
            "comments": { "totalCount": 38, "nodes": [
                { "createdAt": at(3), "body": "third", "author": by },
                { "createdAt": at(9), "body": "  ", "author": by },
            ] },
            "reviewThreads": { "nodes": [{ "path": "a.rs", "isResolved": false, "isOutdated": true,
                "comments": { "totalCount": 1, "nodes": [
                    { "createdAt": at(1), "body": "first", "author": null, "state": "SUBMITTED" },
                    { "createdAt": at(1), "body": "not yet said", "author": by, "state": "PENDING" },
                ] } }] },
            "reviews": { "nodes": [
                { "state": "APPROVED", "createdAt": at(1), "submittedAt": at(2), "body": "second", "author": by },
                { "state": "COMMENTED", "createdAt": at(1), "submittedAt": at(4), "body": "", "author": by },
                { "state": "PENDING", "createdAt": at(1), "submittedAt": null, "body": "not yet said", "author": by },
            ] },
        }))
        .unwrap();
        assert!(read.is_whole);
        let conversation = read.conversation;
        let bodies: Vec<_> = conversation.remarks.iter().map(|r| r.body.as_str()).collect();
        assert_eq!(bodies, ["first", "second", "third"]);
        assert_eq!(conversation.remarks[0].author, Author::ghost());
        assert_eq!(conversation.remarks[1].place, RemarkPlace::Review(ReviewState::Approved));
        assert_eq!(conversation.total, Some(41));
    }

    #[test]
    fn what_github_left_out_is_not_nothing_said() {
        assert_eq!(read(&Value::Null), None);
        let comment = json!({ "createdAt": "2024-01-01T00:00:00Z", "body": "hm", "author": null });
        let thread = json!({ "path": "a.rs", "isResolved": false, "isOutdated": true,
            "comments": { "nodes": [comment] } });
        let told = json!({ "totalCommentsCount": 2, "comments": { "nodes": [comment] },
            "reviewThreads": { "nodes": [thread] }, "reviews": { "nodes": [] } });
        assert!(read(&told).unwrap().is_whole);
        for hole in [
            "/comments",
            "/comments/nodes",
            "/comments/nodes/0",
            "/reviewThreads",
            "/reviewThreads/nodes/0",
            "/reviewThreads/nodes/0/comments",
            "/reviewThreads/nodes/0/comments/nodes/0",
            "/reviews",
            "/reviews/nodes",
        ] {
            let mut told = told.clone();
            *told.pointer_mut(hole).unwrap() = Value::Null;
            assert!(!read(&told).unwrap().is_whole, "{hole}");
        }
    }
}
