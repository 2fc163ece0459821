//! What a summary is made from, read once: diffs one by one, conversations together.
//!
//! Both are kept under keys that hold what the caller's own list has just said of the pull request
//! (host, repository's number, head, counts, time of change), and looked up only then. What GitHub
//! told with a gap, or stopped telling, is not kept.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{
    cache::Cache,
    flight::{Flights, Refusal},
    pack::{Packed, pack},
};
use crate::{
    domain::{
        Failure, FailureCode,
        clock::Timestamp,
        pull_request::{Conversation, Diff, PullRequest, ReviewState},
        repository::RepositoryName,
    },
    upstream::{
        github::{GitHub, PullRequestList},
        transport::Call,
    },
};
use chrono::TimeDelta;
use futures_util::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};

/// GitHub notes a change of the pull request a moment after the review that caused it.
const NOTED_WITHIN: TimeDelta = TimeDelta::seconds(10);

/// A diff as the prompt shows it.
#[derive(Debug)]
pub(super) struct ReadDiff {
    pub(super) packed: Packed,
    /// GitHub or our cap cut it before it was packed.
    is_truncated: bool,
    /// A tool's page cut it; another way to GitHub may tell more.
    is_first_page: bool,
    /// Why GitHub did not tell the rest; such a diff is not kept for the next call.
    interruption: Option<FailureCode>,
}

/// What could be read of one pull request.
#[derive(Debug, Default)]
pub(super) struct Parts {
    pub(super) diff: Option<Arc<ReadDiff>>,
    pub(super) conversation: Option<Arc<Conversation>>,
    pub(super) warnings: Vec<String>,
    pub(super) cache_hits: u32,
    /// Nothing is missing.
    pub(super) is_whole: bool,
    /// GitHub's limit stopped the reading, for so long.
    pub(super) limited: Option<Duration>,
}

/// Why something could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Refused {
    code: FailureCode,
    retry_after: Option<Duration>,
}

impl From<Box<Failure>> for Refused {
    fn from(failure: Box<Failure>) -> Self {
        Self { code: failure.code, retry_after: failure.retry_after }
    }
}

impl Refusal for Refused {
    fn is_everybodys(&self) -> bool {
        // Everything else is about one account: its rights, its limit, its link.
        matches!(self.code, FailureCode::GitHubUnavailable | FailureCode::ScalekitUnavailable)
    }

    fn too_late() -> Self {
        Self { code: FailureCode::GitHubUnavailable, retry_after: None }
    }
}

/// A conversation, and what GitHub said of the pull request when it was read.
#[derive(Debug, Clone)]
struct Talk {
    conversation: Arc<Conversation>,
    updated_at: Timestamp,
    conversation_comments: Option<u64>,
    review_comments: Option<u64>,
    reviews: Option<u64>,
    unresolved_threads: Option<u64>,
}

impl Talk {
    fn of(pull_request: &PullRequest, conversation: Arc<Conversation>) -> Self {
        Self {
            conversation,
            updated_at: pull_request.updated_at,
            conversation_comments: pull_request.conversation_comments,
            review_comments: pull_request.review_comments,
            reviews: pull_request.reviews,
            unresolved_threads: pull_request.unresolved_threads,
        }
    }

    /// Whether nothing has been said since, as far as the list tells. That somebody approved without
    /// a word is a fact and no remark, so such approvals alone do not count; any other change does,
    /// known or not.
    fn still_holds(&self, now: &PullRequest) -> bool {
        let is_same = self.conversation_comments == now.conversation_comments
            && self.review_comments == now.review_comments
            && self.unresolved_threads == now.unresolved_threads;
        if !is_same {
            return false;
        }
        if self.updated_at == now.updated_at && self.reviews == now.reviews {
            return true;
        }
        // Two unknown counts are no proof that nothing was added.
        let (Some(_), Some(before), Some(reviews)) = (now.discussion(), self.reviews, now.reviews)
        else {
            return false;
        };
        let approved = now
            .told_reviews()
            .iter()
            .filter(|review| review.state == ReviewState::Approved && review.is_silent)
            .filter_map(|review| review.submitted_at)
            .filter(|at| *at > self.updated_at);
        let (count, last) =
            approved.fold((0, None), |(count, last), at| (count + 1, last.max(Some(at))));
        last.is_some_and(|last| {
            reviews == before.saturating_add(count)
                && now.updated_at >= self.updated_at
                && now.updated_at <= last + NOTED_WITHIN
        })
    }
}

/// A conversation as it was read now.
#[derive(Debug, Clone)]
struct Heard {
    conversation: Arc<Conversation>,
    /// GitHub left out a part of it.
    is_partial: bool,
}

/// Conversations by number.
type Conversations = Arc<BTreeMap<u64, Heard>>;

/// The caches of what was read, and what is being read.
#[derive(Debug)]
pub(super) struct Reading {
    diffs: Cache<Arc<ReadDiff>>,
    conversations: Cache<Talk>,
    diffs_under_way: Flights<Arc<ReadDiff>, Refused>,
    conversations_under_way: Flights<Conversations, Refused>,
    diff_budget_chars: usize,
}

/// The reading for one call.
pub(super) struct Begun<'a> {
    reading: &'a Reading,
    github: &'a GitHub,
    repository: RepositoryName,
    database_id: Option<u64>,
    call: Call,
    /// GitHub may be asked.
    may_ask: bool,
    cached: BTreeMap<u64, Arc<Conversation>>,
    fetched: Shared<BoxFuture<'a, Result<(Conversations, bool), Refused>>>,
}

impl Reading {
    pub(super) fn new(cache_bytes: usize, diff_budget_chars: usize) -> Self {
        Self {
            diffs: Cache::new(cache_bytes),
            conversations: Cache::new(cache_bytes),
            diffs_under_way: Flights::new(),
            conversations_under_way: Flights::new(),
            diff_budget_chars,
        }
    }

    /// Prepares the reading of what `list` names; nothing is sent before the parts are awaited.
    pub(super) fn begin<'a>(
        &'a self,
        github: &'a GitHub,
        list: &PullRequestList,
        may_ask: bool,
        call: &Call,
    ) -> Begun<'a> {
        let mut cached = BTreeMap::new();
        let mut missing = Vec::new();
        for pull_request in &list.pull_requests {
            match self.kept(list.database_id, pull_request) {
                Some(conversation) => {
                    cached.insert(pull_request.number, conversation);
                }
                None => missing.push(pull_request.clone()),
            }
        }
        let own = (list.name_with_owner.clone(), list.database_id, call.clone());
        let fetched = async move {
            let (repository, database_id, call) = own;
            if !may_ask {
                return Err(used_up());
            }
            let fetch = || self.fetch(github, &repository, database_id, &missing, &call);
            let keys = missing.iter().map(|one| flight_key(database_id, one));
            let Some(key) = keys.collect::<Option<Vec<String>>>().map(|keys| keys.join("\n"))
            else {
                return Ok((fetch().await?, false));
            };
            let look = || {
                let found = missing.iter().map(|one| {
                    let conversation = self.kept(database_id, one)?;
                    Some((one.number, Heard { conversation, is_partial: false }))
                });
                found.collect::<Option<BTreeMap<_, _>>>().map(Arc::new)
            };
            let flights = &self.conversations_under_way;
            let landed = flights.fly(&key, call.deadline(), look, fetch).await?;
            Ok((landed.value, landed.is_shared))
        };
        Begun {
            reading: self,
            github,
            repository: list.name_with_owner.clone(),
            database_id: list.database_id,
            call: call.clone(),
            may_ask,
            cached,
            fetched: fetched.boxed().shared(),
        }
    }

    fn kept(
        &self,
        database_id: Option<u64>,
        pull_request: &PullRequest,
    ) -> Option<Arc<Conversation>> {
        let talk = self.conversations.get(&identity(database_id, pull_request)?)?;
        talk.still_holds(pull_request).then_some(talk.conversation)
    }

    async fn fetch(
        &self,
        github: &GitHub,
        repository: &RepositoryName,
        database_id: Option<u64>,
        missing: &[PullRequest],
        call: &Call,
    ) -> Result<Conversations, Refused> {
        let numbers: Vec<u64> = missing.iter().map(|one| one.number).collect();
        let found = github.conversations(repository, &numbers, call).await?;
        let partial = found.partial;
        let heard = found.told.into_iter().map(|(number, conversation)| {
            let is_partial = partial.contains(&number);
            (number, Heard { conversation: Arc::new(conversation), is_partial })
        });
        let heard: BTreeMap<u64, Heard> = heard.collect();
        for pull_request in missing {
            let whole = heard.get(&pull_request.number).filter(|heard| !heard.is_partial);
            if let (Some(key), Some(Heard { conversation, .. })) =
                (identity(database_id, pull_request), whole)
            {
                let bytes = conversation.remarks.iter().map(|remark| remark.body.len() + 200).sum();
                let talk = Talk::of(pull_request, Arc::clone(conversation));
                self.conversations.put(&key, talk, bytes);
            }
        }
        Ok(Arc::new(heard))
    }
}

impl Begun<'_> {
    /// What can be read of `pull_request`, in time.
    pub(super) async fn parts(&self, pull_request: &PullRequest) -> Parts {
        let number = pull_request.number;
        let mut parts = Parts { is_whole: true, ..Parts::default() };
        let (diff, talk) = futures_util::join!(self.diff(pull_request), self.talk(number));
        match diff {
            Ok((diff, is_hit)) => {
                parts.cache_hits += u32::from(is_hit);
                if let Some(code) = diff.interruption {
                    parts.warnings.push(format!(
                        "The diff of no. {number} could not be read to its end ({}).",
                        code.slug()
                    ));
                } else if diff.is_first_page {
                    parts.warnings.push(format!(
                        "Of the diff of no. {number} only the first page of files was read: \
                             Scalekit's tools hand out no other."
                    ));
                } else if diff.is_truncated {
                    parts.warnings.push(format!(
                        "The diff of no. {number} is larger than GitHub or this server hands \
                             out; its last files are missing."
                    ));
                }
                parts.diff = Some(diff);
            }
            Err(refused) => {
                let what = format!("The diff of no. {number}");
                parts.miss(&what, Some(refused));
            }
        }
        match talk {
            Ok((Some(heard), is_hit)) => {
                parts.cache_hits += u32::from(is_hit);
                parts.conversation = Some(heard.conversation);
                if heard.is_partial {
                    parts.is_whole = false;
                    parts.warnings.push(format!(
                        "The discussion of no. {number} was not told in full by GitHub."
                    ));
                }
            }
            Ok((None, _)) => parts.miss(&format!("The discussion of no. {number}"), None),
            // The discussions are one request: one warning for all of them.
            Err(refused) => parts.miss("The discussions", Some(refused)),
        }
        parts
    }

    async fn talk(&self, number: u64) -> Result<(Option<Heard>, bool), Refused> {
        if let Some(talk) = self.cached.get(&number) {
            let heard = Heard { conversation: Arc::clone(talk), is_partial: false };
            return Ok((Some(heard), true));
        }
        let (found, is_shared) = self.fetched.clone().await?;
        Ok((found.get(&number).cloned(), is_shared))
    }

    async fn diff(&self, pull_request: &PullRequest) -> Result<(Arc<ReadDiff>, bool), Refused> {
        let key = diff_key(self.database_id, pull_request);
        let kept = || self.kept_diff(key.as_ref()?);
        if let Some(diff) = kept() {
            return Ok((diff, true));
        }
        if !self.may_ask {
            return Err(used_up());
        }
        let fetch = || self.fetch_diff(pull_request.number, key.as_ref());
        let Some(flight) = key.as_ref().map(|key| key.of(self.github.is_read_with_tools())) else {
            return Ok((fetch().await?, false));
        };
        let (flights, deadline) = (&self.reading.diffs_under_way, self.call.deadline());
        let landed = flights.fly(flight, deadline, kept, fetch).await?;
        Ok((landed.value, landed.is_shared))
    }

    /// What was read whole serves everybody; a tool's first page only those who have no more.
    fn kept_diff(&self, key: &DiffKey) -> Option<Arc<ReadDiff>> {
        let diffs = &self.reading.diffs;
        let first_page = || diffs.get(&key.first_page).filter(|_| self.github.is_read_with_tools());
        diffs.get(&key.whole).or_else(first_page)
    }

    async fn fetch_diff(
        &self,
        number: u64,
        key: Option<&DiffKey>,
    ) -> Result<Arc<ReadDiff>, Refused> {
        let diff = self.github.diff(&self.repository, number, &self.call).await?;
        let packed = pack(&diff, self.reading.diff_budget_chars);
        let bytes = packed.text.len()
            + packed.omitted.iter().map(|omitted| omitted.path.len() + 40).sum::<usize>();
        let Diff { is_truncated, is_first_page, interruption, .. } = diff;
        let read = Arc::new(ReadDiff { packed, is_truncated, is_first_page, interruption });
        if let Some(key) = key.filter(|_| interruption.is_none()) {
            self.reading.diffs.put(key.of(is_first_page), Arc::clone(&read), bytes);
        }
        Ok(read)
    }
}

impl Parts {
    fn miss(&mut self, what: &str, refused: Option<Refused>) {
        self.is_whole = false;
        let Some(refused) = refused else {
            self.warnings.push(format!("{what} could not be read."));
            return;
        };
        self.warnings.push(format!("{what} could not be read ({}).", refused.code.slug()));
        if refused.code == FailureCode::GitHubRateLimited {
            self.limited = Some(refused.retry_after.unwrap_or(super::UNSTATED_WAIT));
        }
    }
}

fn used_up() -> Refused {
    Refused { code: FailureCode::GitHubRateLimited, retry_after: None }
}

/// Everything before the path of an address; two hosts may number their repositories alike.
fn origin(address: &str) -> &str {
    let host = address.find("://").map_or(0, |at| at + 3);
    let end =
        address.get(host..).and_then(|rest| rest.find('/')).map_or(address.len(), |at| host + at);
    address.get(..end).unwrap_or(address)
}

/// Under what a diff is kept.
struct DiffKey {
    whole: String,
    /// As far as a tool tells it.
    first_page: String,
}

impl DiffKey {
    fn of(&self, is_first_page: bool) -> &str {
        if is_first_page { &self.first_page } else { &self.whole }
    }
}

/// `None` where GitHub did not say enough to recognize the same diff again.
fn diff_key(database_id: Option<u64>, pull_request: &PullRequest) -> Option<DiffKey> {
    let (id, base) = (database_id?, pull_request.base_ref_oid.as_deref()?);
    let (origin, head) = (origin(&pull_request.url), &pull_request.head_ref_oid);
    let whole = format!("{origin} {id} {} {head} {base}", pull_request.number);
    let first_page = format!("{whole} first page");
    Some(DiffKey { whole, first_page })
}

/// Which pull request it is, whatever is said of it.
fn identity(database_id: Option<u64>, pull_request: &PullRequest) -> Option<String> {
    Some(format!("{} {} {}", origin(&pull_request.url), database_id?, pull_request.number))
}

/// Equal for those who were told the same of the discussion.
fn flight_key(database_id: Option<u64>, pull_request: &PullRequest) -> Option<String> {
    Some(format!(
        "{} {} {:?} {:?} {:?} {:?}",
        identity(database_id, pull_request)?,
        pull_request.updated_at.timestamp_millis(),
        pull_request.conversation_comments,
        pull_request.review_comments,
        pull_request.reviews,
        pull_request.unresolved_threads,
    ))
}

#[cfg(test)]
mod tests;
