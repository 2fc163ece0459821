//! What the fake GitHub hosts: people, repositories, pull requests, and how to tell of them.

use std::{collections::BTreeSet, sync::Arc};

use chrono::{DateTime, Duration, Utc};

use super::diff::FileChange;

/// Somebody with a GitHub account.
#[derive(Debug, Clone)]
pub struct Person {
    pub id: u64,
    pub login: String,
    /// Private repositories (`owner/name`) this person may read.
    pub reads: BTreeSet<String>,
    /// Organisations whose SAML protection this person's tokens have passed.
    pub sso: BTreeSet<String>,
    /// This person's tokens were given the scope `read:org`.
    pub read_org: bool,
}

impl Person {
    pub fn new(id: u64, login: &str) -> Self {
        let (reads, sso) = (BTreeSet::new(), BTreeSet::new());
        Self { id, login: login.to_owned(), reads, sso, read_org: true }
    }

    /// May read this private repository.
    #[must_use]
    pub fn reads(mut self, name_with_owner: &str) -> Self {
        self.reads.insert(name_with_owner.to_owned());
        self
    }

    /// Has authorized the app for repositories only.
    #[must_use]
    pub fn without_read_org(mut self) -> Self {
        self.read_org = false;
        self
    }

    /// Has authorized the app for this SAML-protected organisation.
    #[must_use]
    pub fn sso(mut self, organisation: &str) -> Self {
        self.sso.insert(organisation.to_owned());
        self
    }
}

/// One repository.
#[derive(Debug, Clone)]
pub struct Repository {
    pub id: u64,
    pub owner: String,
    pub name: String,
    pub description: String,
    pub private: bool,
    /// Its organisation wants SAML single sign-on.
    pub sso_protected: bool,
    /// `owner/name`s it had before.
    pub former_names: Vec<String>,
    pub default_branch: String,
    /// Those who may not write; everybody else is a member.
    pub strangers: BTreeSet<String>,
    pub pull_requests: Vec<PullRequest>,
}

impl Repository {
    pub fn new(owner: &str, name: &str) -> Self {
        let id = owner
            .bytes()
            .chain(name.bytes())
            .fold(17_u64, |id, byte| (id * 31 + u64::from(byte)) % 900_000_000);
        Self {
            id,
            owner: owner.to_owned(),
            name: name.to_owned(),
            description: String::new(),
            private: false,
            sso_protected: false,
            former_names: Vec::new(),
            default_branch: "main".to_owned(),
            strangers: BTreeSet::new(),
            pull_requests: Vec::new(),
        }
    }

    #[must_use]
    pub fn private(mut self) -> Self {
        self.private = true;
        self
    }

    #[must_use]
    pub fn sso_protected(mut self) -> Self {
        self.sso_protected = true;
        self
    }

    /// Was called so (`owner/name`) before.
    #[must_use]
    pub fn formerly(mut self, name_with_owner: &str) -> Self {
        self.former_names.push(name_with_owner.to_owned());
        self
    }

    /// Somebody who may comment and review, and not write.
    #[must_use]
    pub fn stranger(mut self, login: &str) -> Self {
        self.strangers.insert(login.to_owned());
        self
    }

    /// How its author is related to it.
    pub fn association(&self, author: Option<&String>) -> &'static str {
        if author.is_some_and(|login| self.strangers.contains(login)) { "NONE" } else { "MEMBER" }
    }

    #[must_use]
    pub fn pull_request(mut self, pull_request: PullRequest) -> Self {
        self.pull_requests.push(pull_request);
        self
    }

    #[must_use]
    pub fn pull_requests(mut self, all: impl IntoIterator<Item = PullRequest>) -> Self {
        self.pull_requests.extend(all);
        self
    }

    pub fn name_with_owner(&self) -> String {
        format!("{}/{}", self.owner, self.name)
    }

    pub fn find(&self, number: u64) -> Option<&PullRequest> {
        self.pull_requests.iter().find(|one| one.number == number)
    }

    /// For [`super::FakeGitHub::update`]; panics if there is none.
    pub fn change(&mut self, number: u64) -> &mut PullRequest {
        let found = self.pull_requests.iter_mut().find(|one| one.number == number);
        found.expect("a pull request with this number")
    }
}

/// Something said: by whom (`None`: the account is gone), when and what.
#[derive(Debug, Clone)]
pub struct Comment {
    pub author: Option<String>,
    pub at: DateTime<Utc>,
    pub body: String,
}

/// Comments on lines of a file.
#[derive(Debug, Clone)]
pub struct Thread {
    pub path: String,
    pub line: u64,
    pub resolved: bool,
    pub outdated: bool,
    /// Begun in a review that this person has not submitted: nobody else sees it.
    pub draft_of: Option<String>,
    pub comments: Vec<Comment>,
}

impl Thread {
    /// Whether this person is shown it.
    pub fn is_visible_to(&self, login: &str) -> bool {
        self.draft_of.as_ref().is_none_or(|author| author == login)
    }
}

/// A review; `state` as in `PullRequestReviewState`. One that is `PENDING` only its author sees.
#[derive(Debug, Clone)]
pub struct Review {
    pub author: Option<String>,
    pub state: &'static str,
    pub at: DateTime<Utc>,
    pub body: String,
    pub commit: String,
}

impl Review {
    /// Whether this person is shown it.
    pub fn is_visible_to(&self, login: &str) -> bool {
        self.state != "PENDING" || self.author.as_deref() == Some(login)
    }
}

/// Whose review is asked for.
#[derive(Debug, Clone)]
pub enum Reviewer {
    User(String),
    Team(String),
    /// A team that the viewer may not see.
    Hidden,
}

/// How many checks of the head commit are in which state.
#[derive(Debug, Clone, Copy, Default)]
pub struct Checks {
    pub passed: u32,
    pub failed: u32,
    pub pending: u32,
    /// Of commit statuses (the older kind): passed, failed.
    pub statuses: (u32, u32),
}

/// One pull request. Dates count from `opened` in days, so that a story reads as it happened.
#[derive(Debug, Clone)]
pub struct PullRequest {
    pub number: u64,
    pub title: String,
    pub body: String,
    pub author: Option<String>,
    pub association: &'static str,
    /// `OPEN`, `CLOSED` or `MERGED`.
    pub state: &'static str,
    pub draft: bool,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub base: String,
    pub base_oid: String,
    pub head: String,
    pub head_oid: String,
    pub head_at: DateTime<Utc>,
    /// The fork's owner, if it does not come from the repository itself.
    pub fork: Option<String>,
    pub labels: Vec<String>,
    /// Of all its labels. A change of it touches no pull request at GitHub.
    pub label_colour: &'static str,
    pub comments: Vec<Comment>,
    pub threads: Vec<Thread>,
    pub reviews: Vec<Review>,
    pub review_requests: Vec<Reviewer>,
    pub decision: Option<&'static str>,
    pub mergeable: &'static str,
    pub merge_state: &'static str,
    pub queued: bool,
    pub auto_merge: bool,
    pub checks: Checks,
    pub files: Arc<Vec<FileChange>>,
}

/// When everything happens that says no time of its own.
fn long_ago() -> DateTime<Utc> {
    DateTime::from_timestamp(1_760_000_000, 0).expect("a moment")
}

/// A commit's name made from words.
pub fn oid(words: &str) -> String {
    pr_summarizer::domain::identifier::sha256_hex(words.as_bytes())[..40].to_owned()
}

impl PullRequest {
    pub fn new(number: u64, title: &str) -> Self {
        let opened = long_ago() + Duration::minutes(i64::try_from(number).expect("a number"));
        Self {
            number,
            title: title.to_owned(),
            body: String::new(),
            author: Some("octocat".to_owned()),
            association: "MEMBER",
            state: "OPEN",
            draft: false,
            created_at: opened,
            updated_at: opened,
            base: "main".to_owned(),
            base_oid: oid("main"),
            head: format!("change-{number}"),
            head_oid: oid(&format!("{number} at first")),
            head_at: opened,
            fork: None,
            labels: Vec::new(),
            label_colour: "d4c5f9",
            comments: Vec::new(),
            threads: Vec::new(),
            reviews: Vec::new(),
            review_requests: Vec::new(),
            decision: None,
            mergeable: "MERGEABLE",
            merge_state: "CLEAN",
            queued: false,
            auto_merge: false,
            checks: Checks::default(),
            files: Arc::default(),
        }
    }

    /// What GitHub sorts by under `COMMENTS` and `popularity`.
    pub fn discussion(&self) -> usize {
        self.comments.len() + self.review_comments()
    }

    pub fn review_comments(&self) -> usize {
        let said = self.threads.iter().filter(|thread| thread.draft_of.is_none());
        said.map(|thread| thread.comments.len()).sum()
    }

    pub fn additions(&self) -> u64 {
        self.files.iter().map(|file| file.additions).sum()
    }

    pub fn deletions(&self) -> u64 {
        self.files.iter().map(|file| file.deletions).sum()
    }

    /// Somebody pushed: another head, other files.
    pub fn push(&mut self, at: DateTime<Utc>, files: Vec<FileChange>) {
        self.head_oid = oid(&format!("{} {} {at}", self.number, self.head_oid));
        self.head_at = at;
        self.updated_at = at;
        self.files = Arc::new(files);
    }

    /// Somebody commented.
    pub fn say(&mut self, at: DateTime<Utc>, author: &str, body: &str) {
        self.updated_at = at;
        self.comments.push(Comment { author: Some(author.to_owned()), at, body: body.to_owned() });
    }
}
