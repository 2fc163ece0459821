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
    /// Which connection its last principal went on to. Then this one has expired, and is deleted
    /// with an eye on the other.
    #[serde(default)]
    pub superseded_by: Option<UserId>,
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
    const IS_READ_OFTEN: bool = true;
}

/// What is kept about a browser that has linked an account: which ones, newest last.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct BrowserRecord {
    /// At most [`BrowserRecord::MOST`].
    pub connections: Vec<UserId>,
    /// Who is signed in to the person's page from this browser (`oauth` mode).
    #[serde(default)]
    pub sign_in: Option<SignIn>,
}

/// A browser's sign-in to the person's page.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SignIn {
    /// Who signed in.
    pub principal: PrincipalId,
    /// In which epoch of theirs: it changes when everything they allowed is revoked.
    pub epoch: String,
    /// When it ends by itself.
    pub until: Timestamp,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Clock as _, SystemClock, SystemEntropy};

    #[test]
    fn a_deletion_is_tried_again_after_ten_seconds_doubling_to_an_hour() {
        let rows = [
            (0, 10),
            (1, 20),
            (2, 40),
            (3, 80),
            (4, 160),
            (5, 320),
            (6, 640),
            (7, 1280),
            (8, 2560),
            (9, 3600),
            (10, 3600),
            (u32::MAX, 3600),
        ];
        for (attempts, seconds) in rows {
            let deletion = DeletionRecord { attempts, ..DeletionRecord::of(&user()) };
            assert_eq!(deletion.backoff(), Duration::seconds(seconds), "{attempts}");
        }
    }

    #[test]
    fn only_a_superseded_account_has_a_successor() {
        let (old, new) = (user(), user());
        let (alone, superseded) =
            (DeletionRecord::of(&old), DeletionRecord::superseded(&old, &new));
        assert_eq!((alone.user, alone.successor, alone.attempts), (old.clone(), None, 0));
        assert_eq!((superseded.user, superseded.successor), (old, Some(new)));
    }

    #[test]
    fn a_connection_lists_each_principal_once_and_the_newest_of_too_many() {
        let principals: Vec<_> = (0..=ConnectionRecord::MOST_PRINCIPALS)
            .map(|_| PrincipalId::mint(&SystemEntropy))
            .collect();
        let now = SystemClock.now();
        let mut connection = ConnectionRecord {
            user: user(),
            account: GitHubAccount { id: 1, login: "octocat".to_owned() },
            verified: true,
            connected_at: now,
            principals: Vec::new(),
            needs_reauthorization: false,
            last_used_at: now,
            superseded_by: None,
        };
        let most = ConnectionRecord::MOST_PRINCIPALS;
        for principal in principals[..most].iter().chain(&principals[..most]) {
            connection.add_principal(principal);
        }
        assert_eq!(connection.principals, principals[..most]);
        connection.add_principal(&principals[most]);
        assert_eq!(connection.principals, principals[1..]);
    }

    #[test]
    fn a_browser_remembers_its_newest_connections() {
        let users: Vec<_> = (0..=BrowserRecord::MOST).map(|_| user()).collect();
        let mut browser = BrowserRecord::default();
        for user in users[..BrowserRecord::MOST].iter().chain([&users[0]]) {
            browser.add(user);
        }
        let again = [&users[1..BrowserRecord::MOST], &users[..1]].concat();
        assert_eq!(browser.connections, again);
        browser.add(&users[BrowserRecord::MOST]);
        assert_eq!(browser.connections.len(), BrowserRecord::MOST);
        assert_eq!(browser.connections[..3], again[1..4]);
    }

    #[test]
    fn an_unused_connection_is_kept_as_its_mode_says() {
        let days = |mode| ConnectionRecord::retention(mode).num_days();
        assert_eq!(days(AuthMode::Session), 1);
        assert_eq!((days(AuthMode::SingleUser), days(AuthMode::OAuth)), (365, 365));
    }

    fn user() -> UserId {
        UserId::mint(&SystemEntropy)
    }
}
