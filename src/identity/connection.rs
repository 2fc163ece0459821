//! A linked GitHub account.

use chrono::Duration;
use serde::{Deserialize, Serialize};

use crate::{
    domain::{AuthMode, GitHubAccount, PrincipalId, Timestamp, UserId},
    store::Record,
};

/// A GitHub account that Scalekit holds the token of, under an identifier of ours.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ConnectionRecord {
    /// The identifier at Scalekit.
    pub user: UserId,
    /// Which GitHub account it is.
    pub account: GitHubAccount,
    /// We verified whose browser linked it. False in Scalekit-users-only mode.
    pub verified: bool,
    /// When it was linked.
    pub connected_at: Timestamp,
    /// Who uses it; at most [`ConnectionRecord::MOST_PRINCIPALS`], the oldest forgotten first.
    pub principals: Vec<PrincipalId>,
    /// GitHub or Scalekit said that it no longer works.
    pub needs_reauthorization: bool,
    /// When it was last used, to the hour.
    pub last_used_at: Timestamp,
}

impl ConnectionRecord {
    /// How many principals of one machine may share a connection.
    pub const MOST_PRINCIPALS: usize = 64;

    /// How long an unused connection is kept. In `session` mode longer than any session idles, so
    /// that a browser can offer it to the next session; GitHub keeps only ten tokens per person and
    /// app, so not for long.
    pub fn retention(mode: AuthMode) -> Duration {
        match mode {
            AuthMode::Session => Duration::hours(24),
            // In `oauth` mode the person's tokens decide how long; the sweeper ends it with them.
            AuthMode::SingleUser | AuthMode::OAuth => Duration::days(365),
        }
    }

    /// Notes that a principal uses it.
    pub fn add_principal(&mut self, principal: &PrincipalId) {
        if !self.principals.contains(principal) {
            if self.principals.len() >= Self::MOST_PRINCIPALS {
                self.principals.remove(0);
            }
            self.principals.push(principal.clone());
        }
    }
}

impl Record for ConnectionRecord {
    const KIND: &'static str = "connection";
}

/// What is kept about a browser that has linked an account: which ones, newest last.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct BrowserRecord {
    /// At most [`BrowserRecord::MOST`].
    pub connections: Vec<UserId>,
    /// Who is signed in to the person's page from this browser, and until when (`oauth` mode).
    #[serde(default)]
    pub signed_in: Option<(PrincipalId, Timestamp)>,
}

impl BrowserRecord {
    /// How many connections a browser is remembered for.
    pub const MOST: usize = 5;
    /// How long a person stays signed in.
    pub const SIGNED_IN: Duration = Duration::hours(12);
    /// How long it is remembered after its last use.
    pub const RETENTION: Duration = Duration::days(7);

    /// Notes the connection as this browser's newest.
    pub fn add(&mut self, user: &UserId) {
        self.connections.retain(|known| known != user);
        self.connections.push(user.clone());
        if self.connections.len() > Self::MOST {
            self.connections.remove(0);
        }
    }
}

impl Record for BrowserRecord {
    const KIND: &'static str = "browser";
}

/// An account to be deleted at Scalekit. Its expiry in the store is the moment it is due.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DeletionRecord {
    /// Whose.
    pub user: UserId,
    /// The connection that took its place, to be looked at afterwards.
    pub successor: Option<UserId>,
    /// How often it was tried.
    pub attempts: u32,
}

impl DeletionRecord {
    /// An account that nobody uses.
    pub fn of(user: &UserId) -> Self {
        Self { user: user.clone(), successor: None, attempts: 0 }
    }

    /// An account that another one of the same principal took the place of.
    pub fn superseded(user: &UserId, successor: &UserId) -> Self {
        Self { successor: Some(successor.clone()), ..Self::of(user) }
    }

    /// When to try again: 10 s, doubling, at most an hour.
    pub fn backoff(&self) -> Duration {
        Duration::seconds(10 * 2_i64.pow(self.attempts.min(9))).min(Duration::hours(1))
    }
}

impl Record for DeletionRecord {
    const KIND: &'static str = "deletion";
}

/// Deleting a superseded account was seen to kill its successor: no more of that.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HarmfulDeletions {
    /// When it was seen.
    pub seen_at: Timestamp,
}

impl HarmfulDeletions {
    /// There is one such record, whatever the mode.
    pub const KEY: &'static str = "scalekit";
    /// After this long it is tried again: the environment may have been changed.
    pub const RETENTION: Duration = Duration::days(30);
}

impl Record for HarmfulDeletions {
    const KIND: &'static str = "harmful-deletions";
}
