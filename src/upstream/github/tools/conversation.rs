//! From GitHub's REST answers to what was said.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{LARGEST_PAGE, Tools, USUAL_PAGE, facts::Account, items, of_pull_request, params};
use crate::{
    domain::{
        failure::Result,
        pull_request::{Conversation, Remark, RemarkPlace},
        repository::RepositoryName,
    },
    upstream::transport::Call,
};

#[derive(Deserialize)]
struct Comment {
    user: Option<Account>,
    created_at: DateTime<Utc>,
    #[serde(default)]
    body: Option<String>,
}

impl Tools {
    /// The latest comments of the conversation, the first page of those on lines, and the reviews
    /// that the facts have brought.
    pub(super) async fn conversation(
        &self,
        repository: &RepositoryName,
        number: u64,
        call: &Call,
    ) -> Result<Conversation> {
        let told = self.told(number);
        let comments = told.as_ref().and_then(|told| usize::try_from(told.comments?).ok());
        let comments = comments.unwrap_or(LARGEST_PAGE);
        let (per_page, page) = last_page(comments);
        let params = params(
            repository,
            [("issue_number", json!(number)), ("per_page", json!(per_page)), ("page", json!(page))],
        );
        let (talk, on_lines) = futures_util::join!(
            self.run("github_issue_comments_list", params, call),
            self.run(
                "github_pull_request_review_comments_list",
                of_pull_request(repository, number),
                call,
            ),
        );
        let talk: Vec<Comment> = items(talk?)?;
        let on_lines: Vec<Value> = items(on_lines?)?;
        let mut remarks: Vec<Remark> = talk
            .into_iter()
            .filter_map(|comment| remark(comment, RemarkPlace::Conversation))
            .collect();
        remarks.extend(on_lines.into_iter().filter_map(on_line));
        let seen = remarks.len();
        let reviews = told.as_ref().map(|told| told.reviews.as_slice()).unwrap_or_default();
        remarks.extend(reviews.iter().filter_map(|review| {
            let comment = Comment {
                user: review.user.clone(),
                created_at: review.submitted_at?,
                body: review.body.clone(),
            };
            // Pending is the caller's own draft: nobody has said it yet.
            let verdict = review.verdict().filter(|_| review.is_submitted())?;
            remark(comment, RemarkPlace::Review(verdict))
        }));
        let reviewed = remarks.len() - seen;
        remarks.sort_by_key(|remark| remark.created_at);
        let counted = told.and_then(|told| {
            let counted = told.comments?.saturating_add(told.review_comments?);
            Some(usize::try_from(counted).ok()?.max(seen).saturating_add(reviewed))
        });
        let total = counted.and_then(|total| u64::try_from(total).ok());
        Ok(Conversation { remarks, total })
    }
}

fn remark(comment: Comment, place: RemarkPlace) -> Option<Remark> {
    let body = comment.body.filter(|body| !body.trim().is_empty())?;
    let author = Account::author(comment.user.as_ref());
    Some(Remark { author, created_at: comment.created_at, body, place })
}

/// A comment on a line. Without a position the line has changed since; whether somebody resolved
/// the thread, only GraphQL tells.
fn on_line(value: Value) -> Option<Remark> {
    let path = value.get("path")?.as_str()?.to_owned();
    let is_outdated = value.get("position").map(Value::is_null);
    let place = RemarkPlace::Thread { path, is_resolved: None, is_outdated };
    remark(serde_json::from_value(value).ok()?, place)
}

/// Page and size by which one request brings the most of the latest comments: they come oldest
/// first, and the last page of a hundred may hold only one.
fn last_page(comments: usize) -> (usize, usize) {
    let on_last = |size: usize| match comments % size {
        0 => size.min(comments),
        rest => rest,
    };
    let size =
        (USUAL_PAGE..=LARGEST_PAGE).max_by_key(|size| on_last(*size)).unwrap_or(LARGEST_PAGE);
    (size, comments.div_ceil(size).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_page_holds_as_many_as_one_request_can_bring() {
        for comments in 0..=5_000 {
            let (size, page) = last_page(comments);
            assert!((USUAL_PAGE..=LARGEST_PAGE).contains(&size));
            let on_last = comments - (page - 1) * size;
            assert!(on_last <= size && page * size >= comments, "{comments}: {size} {page}");
            assert!(on_last >= comments.min(50), "{comments}: only {on_last}");
        }
        assert_eq!(last_page(0).1, 1);
    }
}
