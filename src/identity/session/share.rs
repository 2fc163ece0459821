//! The sessions of one person (`oauth` mode): bounded, and ended with the person.
//!
//! A record of its own lists them, with when each was last used, so that making room costs no look
//! at all of them. What is listed may be gone already; what is kept is always listed.

use serde::{Deserialize, Serialize};

use super::{ABSOLUTE, IDLE, SessionRecord, Sessions};
use crate::{
    domain::{Failure, FailureCode, PrincipalId, Timestamp, failure::Result},
    store::{Change, Record, Versioned},
};

/// How many sessions a person has; one more ends the longest idle.
pub const MOST_OF_ONE_PERSON: usize = 64;

/// How often a list is written before giving up; each loser waits for another's progress.
const TRIES: usize = 100;

/// The sessions of one person. Outlives the last of them.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct SessionList {
    sessions: Vec<Listed>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Listed {
    /// SHA-256 of the session's id.
    digest: String,
    /// As in the session's record.
    last_used_at: Timestamp,
}

impl Record for SessionList {
    const KIND: &'static str = "session-list";
}

impl SessionList {
    /// Adds a session, and says which must end for it.
    fn add(&mut self, digest: &str, now: Timestamp) -> Vec<String> {
        self.sessions.retain(|listed| now - listed.last_used_at < IDLE);
        // In order of use: the longest idle first.
        self.sessions.sort_by_key(|listed| listed.last_used_at);
        let surplus = (self.sessions.len() + 1).saturating_sub(MOST_OF_ONE_PERSON);
        let ended = self.sessions.drain(..surplus).map(|listed| listed.digest).collect();
        self.sessions.push(Listed { digest: digest.to_owned(), last_used_at: now });
        ended
    }
}

impl Sessions {
    /// Keeps a person's new session; the longest idle one beyond the limit ends.
    pub(super) async fn keep_listed(&self, digest: &str, session: &SessionRecord) -> Result<()> {
        // Listed first: what is in no list would outlive its person.
        let ended = self.list(&session.principal, digest).await?;
        let expires_at = session.created_at + IDLE;
        self.store.insert(&self.key(digest), session, expires_at).await?;
        for digest in ended {
            self.store.remove::<SessionRecord>(&self.key(&digest)).await?;
        }
        let list = self.store.get::<SessionList>(&self.list_key(&session.principal)).await?;
        let is_listed = |list: Versioned<SessionList>| {
            list.value.sessions.iter().any(|listed| listed.digest == digest)
        };
        if !list.is_some_and(is_listed) {
            // Its person was forgotten, or 64 others came in between.
            self.store.remove::<SessionRecord>(&self.key(digest)).await?;
        }
        Ok(())
    }

    /// Ends all sessions of a person.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn end_all(&self, principal: &PrincipalId) -> Result<()> {
        let key = self.list_key(principal);
        // The list first: a session that is being opened then finds itself unlisted.
        while let Some(found) = self.store.get::<SessionList>(&key).await? {
            if !self.store.remove_if::<SessionList>(&key, found.version).await? {
                continue;
            }
            for listed in found.value.sessions {
                self.store.remove::<SessionRecord>(&self.key(&listed.digest)).await?;
            }
        }
        Ok(())
    }

    /// Notes in the list that a session was used.
    pub(super) async fn note_listed_use(
        &self,
        principal: &PrincipalId,
        digest: &str,
    ) -> Result<()> {
        let now = self.now();
        self.change_list(principal, |list| {
            for listed in list.iter_mut().filter(|listed| listed.digest == digest) {
                listed.last_used_at = now;
            }
        })
        .await
    }

    /// Takes a session off the list.
    pub(super) async fn unlist(&self, principal: &PrincipalId, digest: &str) -> Result<()> {
        self.change_list(principal, |list| list.retain(|listed| listed.digest != digest)).await
    }

    async fn change_list(
        &self,
        principal: &PrincipalId,
        mut change: impl FnMut(&mut Vec<Listed>) + Send,
    ) -> Result<()> {
        self.store
            .update(&self.list_key(principal), |found: &mut Versioned<SessionList>| {
                change(&mut found.value.sessions);
                Change::Write(())
            })
            .await?;
        Ok(())
    }

    async fn list(&self, principal: &PrincipalId, digest: &str) -> Result<Vec<String>> {
        let (key, now) = (self.list_key(principal), self.now());
        let expires_at = now + ABSOLUTE;
        for _ in 0..TRIES {
            let found = self.store.get::<SessionList>(&key).await?;
            let version = found.as_ref().map(|found| found.version);
            let mut list = found.map(|found| found.value).unwrap_or_default();
            let ended = list.add(digest, now);
            let is_written = match version {
                Some(version) => self.store.replace(&key, version, &list, expires_at).await?,
                None => self.store.insert(&key, &list, expires_at).await?,
            };
            if is_written {
                return Ok(ended);
            }
        }
        Err(Failure::new(FailureCode::TooManyRequests, "Too many sessions are opened at once.")
            .retry_after(std::time::Duration::from_secs(1)))
    }

    fn list_key(&self, principal: &PrincipalId) -> String {
        self.key(&principal.digest())
    }
}

#[cfg(test)]
mod tests;
