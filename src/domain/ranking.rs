//! Which pull requests come first: one published definition for each order.

use std::{cmp::Ordering, collections::BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::pull_request::{Author, PullRequest};

/// How the list of pull requests is ordered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Conversation comments plus review comments, most first.
    #[default]
    MostDiscussed,
    /// Whatever changed last comes first.
    RecentlyUpdated,
    /// The youngest first.
    Newest,
    /// The oldest first.
    Oldest,
}

impl Order {
    /// The definition, as it is published with every answer.
    pub fn definition(self) -> &'static str {
        match self {
            Self::MostDiscussed => {
                "conversation comments + review comments, most first; ties: higher number first"
            }
            Self::RecentlyUpdated => {
                "time of the last change, latest first; ties: higher number first"
            }
            Self::Newest => "time of opening, latest first; ties: higher number first",
            Self::Oldest => "time of opening, earliest first; ties: lower number first",
        }
    }

    /// The same where GitHub's own order has chosen which are listed.
    pub fn definition_among_chosen(self) -> String {
        match self {
            Self::MostDiscussed => format!(
                "chosen by GitHub's own order of popularity; among these: {}",
                self.definition()
            ),
            // GitHub sorts by the same times.
            other => other.definition().to_owned(),
        }
    }

    /// Which of two comes first. Total: two different pull requests are never equal.
    pub fn compare(self, a: &PullRequest, b: &PullRequest) -> Ordering {
        let newer_number = b.number.cmp(&a.number);
        self.measure(a, b).then(match self {
            Self::MostDiscussed | Self::RecentlyUpdated | Self::Newest => newer_number,
            Self::Oldest => newer_number.reverse(),
        })
    }

    /// Which of two comes first by what is measured; equal is a tie.
    fn measure(self, a: &PullRequest, b: &PullRequest) -> Ordering {
        match self {
            Self::MostDiscussed => b.discussion_at_least().cmp(&a.discussion_at_least()),
            Self::RecentlyUpdated => b.updated_at.cmp(&a.updated_at),
            Self::Newest => b.created_at.cmp(&a.created_at),
            Self::Oldest => a.created_at.cmp(&b.created_at),
        }
    }

    /// Whether the first `limit` are among `found` for certain, when somebody else's list in this
    /// order has been read up to `last`: what comes behind it may still tie with it, and among
    /// equals that list follows another rule than ours.
    pub fn is_settled(self, found: &[PullRequest], last: &PullRequest, limit: usize) -> bool {
        let ahead = found.iter().filter(|one| self.measure(one, last).is_lt());
        let ahead: BTreeSet<u64> = ahead.map(|one| one.number).collect();
        ahead.len() >= limit
    }

    /// The first `limit` in this order.
    pub fn rank(self, mut pull_requests: Vec<PullRequest>, limit: usize) -> Vec<PullRequest> {
        // A list that changes between two pages shows the same pull request twice.
        let mut seen = BTreeSet::new();
        pull_requests.retain(|pull_request| seen.insert(pull_request.number));
        pull_requests.sort_by(|a, b| self.compare(a, b));
        pull_requests.truncate(limit);
        pull_requests
    }
}

/// Which pull requests are left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Selection {
    /// Leave out drafts.
    pub exclude_drafts: bool,
    /// Leave out those opened by bots.
    pub exclude_bots: bool,
    /// Only those opened by this login; case, a leading `@` and `[bot]` do not matter.
    pub author: Option<String>,
}

impl Selection {
    /// Whether anything can be left out.
    pub fn is_everything(&self) -> bool {
        *self == Self::default()
    }

    /// Whether this one stays in.
    pub fn admits(&self, pull_request: &PullRequest) -> bool {
        self.admits_opening(pull_request.is_draft, &pull_request.author)
    }

    /// The same, by what can be known of it before its facts.
    pub fn admits_opening(&self, is_draft: bool, author: &Author) -> bool {
        if self.exclude_drafts && is_draft || self.exclude_bots && author.is_bot {
            return false;
        }
        let is_author = |wanted: &String| bare(wanted).eq_ignore_ascii_case(bare(&author.login));
        self.author.as_ref().is_none_or(is_author)
    }
}

/// REST writes `dependabot[bot]`, GraphQL `dependabot`, people `@dependabot`.
fn bare(login: &str) -> &str {
    let login = login.trim();
    let login = login.strip_prefix('@').unwrap_or(login);
    login.strip_suffix("[bot]").unwrap_or(login)
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use proptest::prelude::*;

    use super::*;
    use crate::domain::pull_request::{Checks, MergeState, Mergeable, ReviewDecision};

    fn pull_request(number: u64, comments: (u64, u64), times: (i64, i64)) -> PullRequest {
        let time = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
        PullRequest {
            number,
            title: String::new(),
            url: String::new(),
            body: String::new(),
            author: Author { login: "Ann".to_owned(), is_bot: false },
            is_draft: false,
            created_at: time(times.0),
            updated_at: time(times.1),
            base_ref_name: "main".to_owned(),
            base_ref_oid: None,
            head_ref_oid: "0".to_owned(),
            head_committed_at: None,
            additions: None,
            deletions: None,
            changed_files: None,
            conversation_comments: Some(comments.0),
            review_comments: Some(comments.1),
            reviews: Some(0),
            unresolved_threads: None,
            unresolved_threads_seen: 0,
            review_decision: ReviewDecision::Unknown,
            latest_reviews: None,
            review_requests: None,
            has_unnamed_requests: false,
            mergeable: Mergeable::Unknown,
            merge_state: MergeState::Unknown,
            is_in_merge_queue: None,
            auto_merge: None,
            checks: Checks::UNKNOWN,
            labels: None,
            last_human_activity: None,
        }
    }

    fn numbers(pull_requests: &[PullRequest]) -> Vec<u64> {
        pull_requests.iter().map(|pull_request| pull_request.number).collect()
    }

    #[test]
    fn each_order_does_what_its_definition_says() {
        let all = vec![
            pull_request(1, (3, 0), (10, 50)),
            pull_request(2, (1, 2), (20, 40)),
            pull_request(3, (0, 9), (20, 50)),
        ];
        for (order, expected) in [
            (Order::MostDiscussed, [3, 2, 1]),
            (Order::RecentlyUpdated, [3, 1, 2]),
            (Order::Newest, [3, 2, 1]),
            (Order::Oldest, [1, 2, 3]),
        ] {
            let twice = [all.clone(), all.clone()].concat();
            assert_eq!(numbers(&order.rank(twice, 9)), expected, "{order:?}");
        }
    }

    #[test]
    fn a_tie_with_the_last_one_read_settles_nothing() {
        let of = |comments: &[u64]| -> Vec<_> {
            (1..)
                .zip(comments)
                .map(|(number, said)| pull_request(number, (*said, 0), (0, 0)))
                .collect()
        };
        for (comments, limit, is_settled) in [
            (&[9, 8, 7][..], 2, true),
            (&[9, 8, 8], 2, false),
            (&[9, 8, 8, 7], 2, true),
            (&[9, 8], 2, false),
            (&[9, 9], 1, false),
        ] {
            let found = of(comments);
            let last = found.last().unwrap();
            assert_eq!(Order::MostDiscussed.is_settled(&found, last, limit), is_settled);
            // The same one twice is no second one.
            let twice = [found.clone(), found.clone()].concat();
            assert_eq!(Order::MostDiscussed.is_settled(&twice, last, limit), is_settled);
        }
    }

    #[test]
    fn unknown_comments_rank_by_those_that_are_known() {
        let mut partly = pull_request(1, (5, 9), (0, 0));
        partly.review_comments = None;
        assert_eq!((partly.discussion(), partly.discussion_at_least()), (None, 5));
        let all = vec![pull_request(2, (4, 0), (0, 0)), partly, pull_request(3, (3, 3), (0, 0))];
        assert_eq!(numbers(&Order::MostDiscussed.rank(all, 9)), [3, 1, 2]);
    }

    #[test]
    fn a_selection_leaves_out_what_it_names() {
        let mut one = pull_request(1, (0, 0), (0, 0));
        assert!(Selection::default().is_everything());
        assert!(Selection::default().admits(&one));
        let by = |login: &str| Selection { author: Some(login.to_owned()), ..Selection::default() };
        assert!(by("@ann").admits(&one));
        assert!(!by("anna").admits(&one));
        one.author = Author { login: "dependabot".to_owned(), is_bot: true };
        assert!(by("dependabot[bot]").admits(&one));
        assert!(!Selection { exclude_bots: true, ..Selection::default() }.admits(&one));
        one.is_draft = true;
        assert!(!Selection { exclude_drafts: true, ..Selection::default() }.admits(&one));
    }

    proptest! {
        #[test]
        fn nobody_left_out_should_have_come_before_somebody_listed(
            counts in prop::collection::vec((0_u64..4, 0_u64..4), 0..40),
            limit in 0_usize..20,
        ) {
            let all: Vec<_> = (1..).zip(counts).map(|(n, c)| pull_request(n, c, (0, 0))).collect();
            let ranked = Order::MostDiscussed.rank(all.clone(), limit);
            prop_assert_eq!(ranked.len(), limit.min(all.len()));
            let listed = numbers(&ranked);
            for one in &ranked {
                for other in all.iter().filter(|other| !listed.contains(&other.number)) {
                    let measure = |p: &PullRequest| (p.discussion(), p.number);
                    prop_assert!(measure(one) > measure(other));
                }
            }
        }
    }
}
