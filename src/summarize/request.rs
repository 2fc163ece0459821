//! What is asked for.

use crate::domain::{digest::Detail, ranking::Order, repository::RepositoryReference};

/// Pull requests in one answer at most.
pub const MAX_PULL_REQUESTS: usize = 20;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Of which repository; a pull request's own address asks for that one.
    pub repository: RepositoryReference,
    /// How many, 1 to [`MAX_PULL_REQUESTS`].
    pub limit: usize,
    /// These, instead of the first in an order; empty for the order.
    pub pull_requests: Vec<u64>,
    /// In which order.
    pub order: Order,
    /// Leave out drafts.
    pub exclude_drafts: bool,
    /// Leave out those opened by bots.
    pub exclude_bots: bool,
    /// Only those opened by this login.
    pub author: Option<String>,
    /// Only those with this label.
    pub label: Option<String>,
    /// Only those that want to change this branch.
    pub base: Option<String>,
    /// In which language to write; English if not said.
    pub language: Option<String>,
    /// How much to say.
    pub detail: Detail,
}

impl Request {
    /// The numbers asked for by name: each once, at most as many as an answer holds.
    pub(super) fn numbers(&self) -> Vec<u64> {
        let mut numbers: Vec<u64> = Vec::new();
        let named = self.pull_requests.iter().copied();
        for number in self.repository.pull_request.into_iter().chain(named) {
            if !numbers.contains(&number) && numbers.len() < MAX_PULL_REQUESTS {
                numbers.push(number);
            }
        }
        numbers
    }

    /// By which definition the answer is ordered.
    pub(super) fn ranking(&self, is_chosen_by_github: bool) -> String {
        if !self.numbers().is_empty() {
            "the numbers asked for, in that order".to_owned()
        } else if is_chosen_by_github {
            self.order.definition_among_chosen()
        } else {
            self.order.definition().to_owned()
        }
    }
}
