//! One person's question, from its words to the answer: the same rules at every door.
//!
//! What may be asked is checked before anybody is. The answer is read with the asker's own account,
//! and with that account only: if it is lost or replaced while the work runs, nothing of it is told.

use super::{Caller, MAX_PULL_REQUESTS, Progress, Request, Summarizer};
use crate::{
    domain::{
        Failure, FailureCode,
        digest::{Detail, RepositoryDigest},
        failure::Result,
        ranking::Order,
        repository::{RepositoryReference, host},
        text,
    },
    identity::{AccountLinking, Principal, linking::OwnGitHub},
    upstream::Call,
};

/// How many pull requests without being told.
pub const USUAL: usize = 5;
/// No filter is longer, in characters.
const LONGEST_FILTER: usize = 100;

/// A question as it was put, before anybody has looked at it.
#[derive(Debug, Clone, Default)]
pub struct Question {
    /// owner/repo, or an address.
    pub repository: String,
    /// How many.
    pub limit: Option<u32>,
    /// Just these, by number.
    pub pull_requests: Vec<u64>,
    /// Which come first.
    pub order: Option<Order>,
    /// Leave drafts out.
    pub exclude_drafts: bool,
    /// Leave out what bots opened.
    pub exclude_bots: bool,
    /// Only by this login.
    pub author: Option<String>,
    /// Only with this label.
    pub label: Option<String>,
    /// Only against this branch.
    pub base: Option<String>,
    /// Language of the summaries.
    pub language: Option<String>,
    /// How much is said of each.
    pub detail: Detail,
}

/// What comes of asking.
#[derive(Debug)]
pub enum Answered {
    /// The answer.
    Digest(Box<RepositoryDigest>),
    /// No GitHub account is connected, or no longer: a link is what helps.
    Unlinked,
}

/// Answers questions. A cheap handle.
#[derive(Debug, Clone)]
pub struct Asking {
    linking: AccountLinking,
    summarizer: Summarizer,
    /// What addresses of repositories may name as their host.
    github_hosts: Vec<String>,
}

impl Asking {
    /// Answers with these accounts; an address of a repository may name these hosts.
    pub fn new(linking: AccountLinking, summarizer: Summarizer, github_hosts: Vec<String>) -> Self {
        Self { linking, summarizer, github_hosts }
    }

    /// What is kept and written for those who asked.
    pub fn summarizer(&self) -> &Summarizer {
        &self.summarizer
    }

    /// What a question asks for.
    ///
    /// # Errors
    /// `invalid_repository`, `invalid_arguments`.
    pub fn wanted(&self, question: &Question) -> Result<Request> {
        wanted(question, &self.github_hosts)
    }

    /// The answer to what `principal` wants. `progress` is dropped when the work is done, and
    /// `telling`, which passes on what it was told, is awaited to its end.
    ///
    /// # Errors
    /// Those of [`Summarizer::summarize`] and [`AccountLinking::github`]; `not_connected` when
    /// another account was connected meanwhile.
    pub async fn answer<P: Progress>(
        &self,
        principal: &Principal,
        wanted: &Request,
        progress: P,
        telling: impl Future<Output = ()>,
        call: &Call,
    ) -> Result<Answered> {
        let own = match self.linking.github(principal, call).await {
            Err(failure) if failure.code == FailureCode::NotConnected => {
                return Ok(Answered::Unlinked);
            }
            own => own?,
        };
        let held = self.summarized(principal, &own, wanted, (progress, telling), call).await;
        let Some(digest) = held else { return self.access_lost(principal, call).await };
        match digest {
            Ok(digest) => {
                // Only a convenience: an answer is not lost for it.
                let noted = self.linking.note_repository(principal, &digest.repository).await;
                if let Err(failure) = noted {
                    tracing::warn!(?failure, "a repository that was asked about was not noted");
                }
                Ok(Answered::Digest(Box::new(digest)))
            }
            Err(failure) => {
                if failure.code == FailureCode::ReauthorizationRequired {
                    self.linking.note_refusal(&own).await;
                }
                Err(failure)
            }
        }
    }

    /// The digest, or what stood in its way; `None` if the access was lost meanwhile: disconnected
    /// in a browser or by another call, or replaced by another account. Nothing is served then, and
    /// nothing more is asked.
    async fn summarized<P: Progress>(
        &self,
        principal: &Principal,
        own: &OwnGitHub,
        wanted: &Request,
        (progress, telling): (P, impl Future<Output = ()>),
        call: &Call,
    ) -> Option<Result<RepositoryDigest>> {
        let caller = Caller::new(&principal.id);
        let work = async {
            let github = &own.github;
            let digest = self.summarizer.summarize(&caller, github, wanted, &progress, call).await;
            // Ends the telling, once it has passed on what was reported last.
            drop(progress);
            digest
        };
        let linking = self.linking.clone();
        let theirs = (principal.clone(), own.clone());
        let mut lost = Box::pin(async move { linking.until_lost(&theirs.0, &theirs.1).await });
        let digest = tokio::select! {
            (digest, ()) = async { tokio::join!(work, telling) } => digest,
            lost = &mut lost => match lost {
                Ok(()) => {
                    self.summarizer.forget(&caller);
                    return None;
                }
                Err(failure) => Err(failure),
            },
        };
        match self.linking.holds(principal, own).await {
            Ok(true) => {
                if digest.as_ref().is_ok_and(|digest| !digest.complete) {
                    tokio::spawn(watch_over(self.summarizer.clone(), caller, lost));
                }
                Some(digest)
            }
            Ok(false) => {
                self.summarizer.forget(&caller);
                None
            }
            Err(failure) => Some(Err(failure)),
        }
    }

    /// What somebody is told whose access went away while their question was worked on.
    async fn access_lost(&self, principal: &Principal, call: &Call) -> Result<Answered> {
        match self.linking.github(principal, call).await {
            Ok(_) => Err(Failure::new(
                FailureCode::NotConnected,
                "Another GitHub account was connected while this call ran. Call again to read with \
                 it.",
            )),
            Err(failure) if failure.code == FailureCode::NotConnected => Ok(Answered::Unlinked),
            Err(failure) => Err(failure),
        }
    }
}

/// What is still written when a call has its answer ends with the access it was read by, however
/// that goes: a text that waits for its place is not sent to the LLM any more. Lasts as long as the
/// writing does, which has its own bound.
async fn watch_over(
    summarizer: Summarizer,
    caller: Caller,
    lost: impl Future<Output = Result<()>> + Send,
) {
    tokio::select! {
        // Whether it is lost is not known when the store fails: then it ends too.
        _ = lost => summarizer.forget(&caller),
        () = summarizer.until_written(&caller) => {}
    }
}

fn wanted(question: &Question, hosts: &[String]) -> Result<Request> {
    let repository = RepositoryReference::parse(&question.repository)?;
    if let Some(foreign) = host(&question.repository).filter(|host| !hosts.contains(host)) {
        let foreign = text::line(&foreign, LONGEST_FILTER);
        return Err(Failure::new(
            FailureCode::InvalidRepository,
            format!(
                "The address is at {foreign}; this server reads {}.",
                hosts.first().map_or("GitHub", String::as_str)
            ),
        ));
    }
    let pull_requests = question.pull_requests.clone();
    if pull_requests.len() > MAX_PULL_REQUESTS {
        return Err(invalid(format!("pull_requests names more than {MAX_PULL_REQUESTS} numbers.")));
    }
    if pull_requests.contains(&0) {
        return Err(invalid("pull_requests: numbers begin with 1."));
    }
    let limit = question.limit.map_or(USUAL, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    if !(1..=MAX_PULL_REQUESTS).contains(&limit) {
        return Err(invalid(format!("limit must be 1 to {MAX_PULL_REQUESTS}.")));
    }
    Ok(Request {
        repository,
        limit,
        pull_requests,
        order: question.order.unwrap_or_default(),
        exclude_drafts: question.exclude_drafts,
        exclude_bots: question.exclude_bots,
        author: filter("author", question.author.as_deref())?
            .map(|author| author.trim_start_matches('@').to_owned()),
        label: filter("label", question.label.as_deref())?,
        base: filter("base", question.base.as_deref())?,
        language: filter("language", question.language.as_deref())?,
        detail: question.detail,
    })
}

/// A filter in words: one line, not empty, not long.
fn filter(name: &str, value: Option<&str>) -> Result<Option<String>> {
    let Some(value) = value.map(str::trim) else { return Ok(None) };
    if value.is_empty() {
        return Ok(None);
    }
    if value.chars().count() > LONGEST_FILTER || text::line(value, LONGEST_FILTER) != value {
        return Err(invalid(format!(
            "{name} must be one line of at most {LONGEST_FILTER} plain characters."
        )));
    }
    Ok(Some(value.to_owned()))
}

fn invalid(sentence: impl Into<String>) -> Box<Failure> {
    Failure::new(FailureCode::InvalidArguments, sentence)
}
