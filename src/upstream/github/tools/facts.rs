//! From GitHub's REST answers to facts. What REST does not tell stays unknown.

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::super::facts::{merge_state, tally};
use crate::domain::pull_request::{
    Author, CheckState, Checks, Mergeable, PullRequest, Review, ReviewDecision, ReviewState,
};

/// An account; the name of its kind is GitHub's.
#[derive(Deserialize, Clone)]
pub(super) struct Account {
    login: String,
    #[serde(rename = "type")]
    kind: Option<String>,
}

impl Account {
    /// Null is a deleted account.
    pub(super) fn author(account: Option<&Self>) -> Author {
        account.map_or_else(Author::ghost, |account| Author {
            login: account.login.clone(),
            is_bot: account.kind.as_deref() == Some("Bot") || account.login.ends_with("[bot]"),
        })
    }
}

/// A repository, as far as a pull request's base names it.
#[derive(Deserialize, Clone)]
pub(super) struct Repository {
    pub(super) full_name: String,
    pub(super) html_url: String,
    pub(super) private: Option<bool>,
    pub(super) id: Option<u64>,
}

/// One side of a pull request.
#[derive(Deserialize)]
pub(super) struct Branch {
    #[serde(rename = "ref")]
    name: String,
    pub(super) sha: String,
    #[serde(default)]
    pub(super) repo: Option<Repository>,
}

#[derive(Deserialize)]
struct Label {
    name: String,
}

#[derive(Deserialize)]
struct Team {
    slug: String,
}

/// A pull request; in a list the counts are missing.
#[derive(Deserialize)]
pub(super) struct Item {
    pub(super) number: u64,
    title: String,
    html_url: String,
    #[serde(default)]
    body: Option<String>,
    user: Option<Account>,
    pub(super) draft: bool,
    pub(super) state: String,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    #[serde(default)]
    pub(super) merged_at: Option<DateTime<Utc>>,
    pub(super) head: Branch,
    pub(super) base: Branch,
    labels: Option<Vec<Label>>,
    pub(super) comments: Option<u64>,
    pub(super) review_comments: Option<u64>,
    additions: Option<u64>,
    deletions: Option<u64>,
    pub(super) changed_files: Option<u64>,
    mergeable: Option<bool>,
    mergeable_state: Option<String>,
    requested_reviewers: Option<Vec<Account>>,
    requested_teams: Option<Vec<Team>>,
}

/// A review.
#[derive(Deserialize)]
pub(super) struct ReviewItem {
    pub(super) user: Option<Account>,
    #[serde(default)]
    pub(super) body: Option<String>,
    state: String,
    pub(super) submitted_at: Option<DateTime<Utc>>,
    commit_id: Option<String>,
    author_association: Option<String>,
}

impl ReviewItem {
    /// The verdict; `None` for one that we do not know.
    pub(super) fn verdict(&self) -> Option<ReviewState> {
        super::super::facts::review_state(&self.state)
    }

    /// Whether the reviewer belongs to those whose verdict may count; `None` if GitHub did not say.
    /// REST does not tell who may write: these are the most that may.
    fn is_by_a_writer(&self) -> Option<bool> {
        let association = self.author_association.as_deref()?;
        Some(matches!(association, "OWNER" | "MEMBER" | "COLLABORATOR"))
    }

    /// Whether others see it too.
    pub(super) fn is_submitted(&self) -> bool {
        self.verdict() != Some(ReviewState::Pending)
    }
}

impl Item {
    pub(super) fn author(&self) -> Author {
        Account::author(self.user.as_ref())
    }

    pub(super) fn has_label(&self, name: &str) -> bool {
        self.labels.iter().flatten().any(|label| label.name.eq_ignore_ascii_case(name))
    }

    /// The facts; `reviews` if all of them were told.
    pub(super) fn into_facts(
        self,
        reviews: Option<&[ReviewItem]>,
        checks: Checks,
        auto_merge: Option<bool>,
    ) -> PullRequest {
        let author = self.author();
        let owner = self.base.repo.as_ref().and_then(|repo| repo.full_name.split('/').next());
        let team = |team: Team| match owner {
            Some(owner) => format!("{owner}/{}", team.slug),
            None => team.slug,
        };
        let requests = self.requested_reviewers.zip(self.requested_teams);
        PullRequest {
            number: self.number,
            title: self.title,
            url: self.html_url,
            body: self.body.unwrap_or_default(),
            author,
            is_draft: self.draft,
            created_at: self.created_at,
            updated_at: self.updated_at,
            review_requests: requests.map(|(people, teams)| {
                let people = people.into_iter().map(|account| account.login);
                people.chain(teams.into_iter().map(team)).collect()
            }),
            base_ref_name: self.base.name,
            base_ref_oid: Some(self.base.sha),
            head_ref_oid: self.head.sha,
            head_committed_at: None,
            additions: self.additions,
            deletions: self.deletions,
            changed_files: self.changed_files,
            conversation_comments: self.comments,
            review_comments: self.review_comments,
            reviews: reviews.and_then(|all| {
                u64::try_from(all.iter().filter(|one| one.is_submitted()).count()).ok()
            }),
            unresolved_threads: None,
            unresolved_threads_seen: 0,
            review_decision: ReviewDecision::Unknown,
            latest_reviews: reviews.and_then(verdicts),
            has_unnamed_requests: false,
            merge_state: merge_state(self.mergeable_state.as_deref()),
            mergeable: match self.mergeable {
                Some(true) => Mergeable::Mergeable,
                Some(false) => Mergeable::Conflicting,
                None => Mergeable::Unknown,
            },
            is_in_merge_queue: None,
            auto_merge,
            checks,
            labels: self.labels.map(|labels| labels.into_iter().map(|label| label.name).collect()),
            // At the latest: whoever was active, human or not, it was not after this.
            last_human_activity: Some(self.updated_at),
        }
    }
}

/// Those of writers, opinions without a verdict too; `None` if one of them cannot be placed.
fn verdicts(all: &[ReviewItem]) -> Option<Vec<Review>> {
    let mut verdicts = Vec::new();
    for item in all {
        if item.is_by_a_writer()? {
            verdicts.push(review(item)?);
        }
    }
    Some(verdicts)
}

fn review(item: &ReviewItem) -> Option<Review> {
    Some(Review {
        author: Account::author(item.user.as_ref()),
        state: item.verdict()?,
        submitted_at: item.submitted_at,
        commit: item.commit_id.clone(),
        is_silent: item.body.as_ref().is_some_and(|body| body.trim().is_empty()),
    })
}

/// One page of check runs.
#[derive(Deserialize)]
pub(super) struct CheckRuns {
    total_count: usize,
    check_runs: Vec<CheckRun>,
}

#[derive(Deserialize)]
struct CheckRun {
    status: String,
    conclusion: Option<String>,
}

/// One page of commit statuses, the latest of each kind.
#[derive(Deserialize)]
pub(super) struct Statuses {
    total_count: usize,
    statuses: Vec<Status>,
}

#[derive(Deserialize)]
struct Status {
    state: String,
}

/// Both kinds together. Counts are told only when every one was seen; a failure that was seen is
/// one all the same.
pub(super) fn checks(runs: &CheckRuns, statuses: &Statuses) -> Checks {
    let states = runs.check_runs.iter().map(|run| match (run.status.as_str(), &run.conclusion) {
        ("completed", Some(conclusion)) => conclusion.to_ascii_uppercase(),
        _ => "PENDING".to_owned(),
    });
    let states = states.chain(statuses.statuses.iter().map(|one| one.state.to_ascii_uppercase()));
    let Some(seen) = tally(states.map(|state| (state, 1))) else { return Checks::UNKNOWN };
    let are_all = runs.check_runs.len() >= runs.total_count
        && statuses.statuses.len() >= statuses.total_count;
    match seen.state {
        _ if are_all => seen,
        CheckState::Failing => Checks { state: CheckState::Failing, ..Checks::UNKNOWN },
        _ => Checks::UNKNOWN,
    }
}
