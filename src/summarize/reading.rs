//! What a summary is made from, read once: diffs one by one, conversations together.
//!
//! Both are kept under keys that hold what the caller's own list has just said of the pull request
//! (host, repository's number, head, counts, time of change), and looked up only then.

use std::{collections::BTreeMap, sync::Arc};

use futures_util::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};

use super::{
    cache::Cache,
    pack::{Packed, pack},
};
use crate::{
    domain::{
        FailureCode,
        pull_request::{Conversation, PullRequest},
        repository::RepositoryName,
    },
    upstream::{
        github::{GitHub, PullRequestList},
        transport::Call,
    },
};

/// A diff as the prompt shows it.
#[derive(Debug)]
pub(super) struct ReadDiff {
    pub(super) packed: Packed,
    /// GitHub or our cap cut it before it was packed.
    is_truncated: bool,
}

/// What could be read of one pull request.
#[derive(Debug, Default)]
pub(super) struct Parts {
    pub(super) diff: Option<Arc<ReadDiff>>,
    pub(super) conversation: Option<Arc<Conversation>>,
    pub(super) warnings: Vec<String>,
    pub(super) cache_hits: u32,
}

/// The caches of what was read.
#[derive(Debug)]
pub(super) struct Reading {
    diffs: Cache<Arc<ReadDiff>>,
    conversations: Cache<Arc<Conversation>>,
    diff_budget_chars: usize,
}

/// Conversations by number, or why there are none; shared by all pull requests of a call.
type Conversations = Arc<Result<BTreeMap<u64, Arc<Conversation>>, FailureCode>>;

/// The reading for one call.
pub(super) struct Begun<'a> {
    reading: &'a Reading,
    github: &'a GitHub,
    repository: RepositoryName,
    database_id: Option<u64>,
    call: Call,
    cached: BTreeMap<u64, Arc<Conversation>>,
    fetched: Shared<BoxFuture<'a, Conversations>>,
}

impl Reading {
    pub(super) fn new(cache_bytes: usize, diff_budget_chars: usize) -> Self {
        Self {
            diffs: Cache::new(cache_bytes),
            conversations: Cache::new(cache_bytes),
            diff_budget_chars,
        }
    }

    /// Prepares the reading of what `list` names; nothing is sent before the parts are awaited.
    pub(super) fn begin<'a>(
        &'a self,
        github: &'a GitHub,
        list: &PullRequestList,
        call: &Call,
    ) -> Begun<'a> {
        let mut cached = BTreeMap::new();
        let mut missing = Vec::new();
        for pull_request in &list.pull_requests {
            let key = conversation_key(list.database_id, pull_request);
            match key.as_deref().and_then(|key| self.conversations.get(key)) {
                Some(conversation) => {
                    cached.insert(pull_request.number, conversation);
                }
                None => missing.push((pull_request.number, key)),
            }
        }
        let (repository, own_call) = (list.name_with_owner.clone(), call.clone());
        let fetched = async move {
            let numbers: Vec<u64> = missing.iter().map(|(number, _)| *number).collect();
            let answer = github.conversations(&repository, &numbers, &own_call).await;
            let answer = answer.map_err(|failure| failure.code).map(|found| {
                found.into_iter().map(|(number, talk)| (number, Arc::new(talk))).collect()
            });
            if let Ok(found) = &answer {
                self.keep_conversations(&missing, found);
            }
            Arc::new(answer)
        };
        Begun {
            reading: self,
            github,
            repository: list.name_with_owner.clone(),
            database_id: list.database_id,
            call: call.clone(),
            cached,
            fetched: fetched.boxed().shared(),
        }
    }

    fn keep_conversations(
        &self,
        missing: &[(u64, Option<String>)],
        found: &BTreeMap<u64, Arc<Conversation>>,
    ) {
        for (number, key) in missing {
            if let (Some(key), Some(talk)) = (key, found.get(number)) {
                let bytes = talk.remarks.iter().map(|remark| remark.body.len() + 200).sum();
                self.conversations.put(key, Arc::clone(talk), bytes);
            }
        }
    }
}

impl Begun<'_> {
    /// The repository's name today.
    pub(super) fn repository(&self) -> &RepositoryName {
        &self.repository
    }

    /// What can be read of `pull_request`, in time.
    pub(super) async fn parts(&self, pull_request: &PullRequest) -> Parts {
        let number = pull_request.number;
        let mut parts = Parts::default();
        let talk = async {
            match self.cached.get(&number) {
                Some(talk) => Ok((Some(Arc::clone(talk)), true)),
                None => match &*self.fetched.clone().await {
                    Ok(found) => Ok((found.get(&number).cloned(), false)),
                    Err(code) => Err(*code),
                },
            }
        };
        let (diff, talk) = futures_util::join!(self.diff(pull_request), talk);
        match diff {
            Ok((diff, is_hit)) => {
                parts.cache_hits += u32::from(is_hit);
                if diff.is_truncated {
                    parts.warnings.push(format!(
                        "The diff of no. {number} is larger than GitHub or this server hands \
                             out; its last files are missing."
                    ));
                }
                parts.diff = Some(diff);
            }
            Err(code) => parts
                .warnings
                .push(format!("The diff of no. {number} could not be read ({}).", code.slug())),
        }
        match talk {
            Ok((Some(talk), is_hit)) => {
                parts.cache_hits += u32::from(is_hit);
                parts.conversation = Some(talk);
            }
            Ok((None, _)) => {
                parts.warnings.push(format!("The discussion of no. {number} could not be read."));
            }
            Err(code) => {
                parts
                    .warnings
                    .push(format!("The discussions could not be read ({}).", code.slug()));
            }
        }
        parts
    }

    async fn diff(&self, pull_request: &PullRequest) -> Result<(Arc<ReadDiff>, bool), FailureCode> {
        let key = diff_key(self.database_id, pull_request);
        if let Some(diff) = key.as_deref().and_then(|key| self.reading.diffs.get(key)) {
            return Ok((diff, true));
        }
        let diff = self
            .github
            .diff(&self.repository, pull_request.number, &self.call)
            .await
            .map_err(|failure| failure.code)?;
        let packed = pack(&diff, self.reading.diff_budget_chars);
        let bytes = packed.text.len()
            + packed.omitted.iter().map(|omitted| omitted.path.len() + 40).sum::<usize>();
        let read = Arc::new(ReadDiff { packed, is_truncated: diff.is_truncated });
        if let Some(key) = key {
            self.reading.diffs.put(&key, Arc::clone(&read), bytes);
        }
        Ok((read, false))
    }
}

/// Everything before the path of an address; two hosts may number their repositories alike.
fn origin(address: &str) -> &str {
    let host = address.find("://").map_or(0, |at| at + 3);
    let end =
        address.get(host..).and_then(|rest| rest.find('/')).map_or(address.len(), |at| host + at);
    address.get(..end).unwrap_or(address)
}

/// `None` where GitHub did not say enough to recognize the same diff again.
fn diff_key(database_id: Option<u64>, pull_request: &PullRequest) -> Option<String> {
    let (id, base) = (database_id?, pull_request.base_ref_oid.as_deref()?);
    let origin = origin(&pull_request.url);
    Some(format!("{origin} {id} {} {} {base}", pull_request.number, pull_request.head_ref_oid))
}

fn conversation_key(database_id: Option<u64>, pull_request: &PullRequest) -> Option<String> {
    Some(format!(
        "{} {} {} {} {} {} {}",
        origin(&pull_request.url),
        database_id?,
        pull_request.number,
        pull_request.updated_at.timestamp_millis(),
        pull_request.conversation_comments,
        pull_request.review_comments,
        pull_request.reviews,
    ))
}
