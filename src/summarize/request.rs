//! What is asked for.

use std::collections::HashSet;

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
        let mut numbers = self.named();
        numbers.truncate(MAX_PULL_REQUESTS);
        numbers
    }

    fn named(&self) -> Vec<u64> {
        let mut seen = HashSet::new();
        let named = self.pull_requests.iter().copied();
        let named = self.repository.pull_request.into_iter().chain(named);
        named.filter(|number| seen.insert(*number)).collect()
    }

    /// What of the request the answer leaves aside.
    pub(super) fn warnings(&self) -> Vec<String> {
        let named = self.named();
        let mut warnings = Vec::new();
        if let Some(beyond) = named.get(MAX_PULL_REQUESTS..).filter(|beyond| !beyond.is_empty()) {
            let shown = beyond.iter().take(MAX_PULL_REQUESTS).map(|number| format!("#{number}"));
            warnings.push(format!(
                "{} of the numbers asked for are beyond the {MAX_PULL_REQUESTS} of one answer and \
                 left out: {}. Ask for them in another call.",
                beyond.len(),
                shown.collect::<Vec<_>>().join(", "),
            ));
        }
        let filters = [
            ("exclude_drafts", self.exclude_drafts),
            ("exclude_bots", self.exclude_bots),
            ("author", self.author.is_some()),
            ("label", self.label.is_some()),
            ("base", self.base.is_some()),
        ];
        let unused: Vec<&str> =
            filters.iter().filter(|(_, is_set)| *is_set).map(|(name, _)| *name).collect();
        if !named.is_empty() && !unused.is_empty() {
            warnings.push(format!(
                "Pull requests asked for by number are not filtered: {} had no effect.",
                unused.join(", ")
            ));
        }
        warnings
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
