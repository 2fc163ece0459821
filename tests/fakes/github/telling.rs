//! Builders: how a test or a story tells of a pull request, in the order in which it happened.

use std::sync::Arc;

use chrono::{DateTime, Duration, Utc};

use super::{
    diff::FileChange,
    model::{Checks, Comment, PullRequest, Review, Reviewer, Thread},
};

impl PullRequest {
    #[must_use]
    pub fn body(mut self, body: &str) -> Self {
        body.trim().clone_into(&mut self.body);
        self
    }

    #[must_use]
    pub fn author(mut self, login: &str) -> Self {
        self.author = Some(login.to_owned());
        self
    }

    /// The author's account is gone.
    #[must_use]
    pub fn ghost(mut self) -> Self {
        self.author = None;
        self
    }

    /// Opened then; the head commit is from then too, until `pushed`.
    #[must_use]
    pub fn opened(mut self, at: DateTime<Utc>) -> Self {
        (self.created_at, self.updated_at, self.head_at) = (at, at, at);
        self
    }

    /// The head commit is from then; what is told next happened after it.
    #[must_use]
    pub fn pushed(mut self, at: DateTime<Utc>) -> Self {
        self.head_at = at;
        self.head_oid = super::model::oid(&format!("{} {at}", self.number));
        self.updated_at = self.updated_at.max(at);
        self
    }

    /// What is told next happened this much later.
    #[must_use]
    pub fn later(mut self, pause: Duration) -> Self {
        self.updated_at += pause;
        self
    }

    /// From somebody's fork.
    #[must_use]
    pub fn forked_by(mut self, owner: &str) -> Self {
        self.fork = Some(owner.to_owned());
        self.association = "CONTRIBUTOR";
        self
    }

    #[must_use]
    pub fn branch(mut self, head: &str) -> Self {
        head.clone_into(&mut self.head);
        self
    }

    #[must_use]
    pub fn base(mut self, base: &str) -> Self {
        base.clone_into(&mut self.base);
        self.base_oid = super::model::oid(base);
        self
    }

    /// `CLOSED` or `MERGED`.
    #[must_use]
    pub fn state(mut self, state: &'static str) -> Self {
        self.state = state;
        self
    }

    #[must_use]
    pub fn draft(mut self) -> Self {
        self.draft = true;
        self.merge_state = "BLOCKED";
        self
    }

    #[must_use]
    pub fn label(mut self, name: &str) -> Self {
        self.labels.push(name.to_owned());
        self
    }

    #[must_use]
    pub fn comment(mut self, author: &str, body: &str) -> Self {
        let comment = self.next_comment(author, body);
        self.comments.push(comment);
        self
    }

    /// `count` short comments by one person: for generated repositories.
    #[must_use]
    pub fn comments(mut self, count: usize) -> Self {
        let (author, at) = (Some("octocat".to_owned()), self.created_at);
        let comment = Comment { author, at, body: "+1".to_owned() };
        self.comments.extend(std::iter::repeat_n(comment, count));
        self
    }

    /// A review thread: each of its comments by whom and what.
    #[must_use]
    pub fn thread(mut self, path: &str, resolved: bool, comments: &[(&str, &str)]) -> Self {
        let comments = comments.iter().map(|(author, body)| self.next_comment(author, body));
        let comments = comments.collect();
        let (path, line, draft_of) = (path.to_owned(), 42, None);
        self.threads.push(Thread { path, line, resolved, outdated: false, draft_of, comments });
        self
    }

    /// A review that its author has begun with one comment on a line, and not submitted.
    #[must_use]
    pub fn draft_review(mut self, author: &str, path: &str, body: &str) -> Self {
        let updated_at = self.updated_at;
        self = self.thread(path, false, &[(author, body)]).review(author, "PENDING");
        self.threads.last_mut().expect("a thread").draft_of = Some(author.to_owned());
        // Nobody else is told, so nothing has changed.
        self.updated_at = updated_at;
        self
    }

    /// The last thread's lines have changed since.
    #[must_use]
    pub fn outdated(mut self) -> Self {
        self.threads.last_mut().expect("a thread was told before").outdated = true;
        self
    }

    /// `APPROVED`, `CHANGES_REQUESTED`, `COMMENTED` or `DISMISSED`.
    #[must_use]
    pub fn review(self, author: &str, state: &'static str) -> Self {
        self.review_saying(author, state, "")
    }

    #[must_use]
    pub fn review_saying(mut self, author: &str, state: &'static str, body: &str) -> Self {
        let Comment { author, at, body } = self.next_comment(author, body);
        let commit = self.head_oid.clone();
        self.reviews.push(Review { author, state, at, body, commit });
        self
    }

    /// The review told last was of an older commit than the head.
    #[must_use]
    pub fn of_an_older_commit(mut self) -> Self {
        let review = self.reviews.last_mut().expect("a review was told before");
        review.commit = super::model::oid("an older commit");
        self
    }

    #[must_use]
    pub fn requests(mut self, login: &str) -> Self {
        self.review_requests.push(Reviewer::User(login.to_owned()));
        self
    }

    #[must_use]
    pub fn requests_team(mut self, slug: &str) -> Self {
        self.review_requests.push(Reviewer::Team(slug.to_owned()));
        self
    }

    /// Asks a team that the viewer may not see.
    #[must_use]
    pub fn requests_hidden(mut self) -> Self {
        self.review_requests.push(Reviewer::Hidden);
        self
    }

    /// What stands in the way of the merge: `BLOCKED`, `BEHIND`, …
    #[must_use]
    pub fn merge_state(mut self, state: &'static str) -> Self {
        self.merge_state = state;
        self
    }

    /// What branch protection says: `APPROVED`, `CHANGES_REQUESTED` or `REVIEW_REQUIRED`.
    #[must_use]
    pub fn decision(mut self, decision: &'static str) -> Self {
        self.decision = Some(decision);
        self
    }

    #[must_use]
    pub fn checks(mut self, passed: u32, failed: u32, pending: u32) -> Self {
        self.checks = Checks { passed, failed, pending, ..self.checks };
        self
    }

    /// Conflicts with its base branch.
    #[must_use]
    pub fn conflicts(mut self) -> Self {
        (self.mergeable, self.merge_state) = ("CONFLICTING", "DIRTY");
        self
    }

    /// GitHub is still computing whether it can be merged.
    #[must_use]
    pub fn mergeable_unknown(mut self) -> Self {
        (self.mergeable, self.merge_state) = ("UNKNOWN", "UNKNOWN");
        self
    }

    #[must_use]
    pub fn queued(mut self) -> Self {
        self.queued = true;
        self
    }

    #[must_use]
    pub fn auto_merge(mut self) -> Self {
        self.auto_merge = true;
        self
    }

    #[must_use]
    pub fn diff(mut self, files: Vec<FileChange>) -> Self {
        self.files = Arc::new(files);
        self
    }

    /// Half an hour after what was told before.
    fn next_comment(&mut self, author: &str, body: &str) -> Comment {
        self.updated_at += Duration::minutes(31);
        let author = (!author.is_empty()).then(|| author.to_owned());
        Comment { author, at: self.updated_at, body: body.trim().to_owned() }
    }
}
