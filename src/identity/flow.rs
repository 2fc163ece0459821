//! One attempt to link a GitHub account.

use std::{borrow::Cow, fmt};

use chrono::Duration;
use serde::{Deserialize, Serialize};

use super::principal::ClientName;
use crate::{
    domain::{FailureCode, FlowId, GitHubAccount, PrincipalId, Timestamp, UserId},
    store::Record,
};

/// How long a person has from the link to the last click.
pub const LIFETIME: Duration = Duration::minutes(15);

/// How often the button of one flow may be pressed (each press mints a state of its own).
pub const MOST_PRESSES: u8 = 5;

/// One attempt, from the link in the agent's answer to the account that came back.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Flow {
    /// Which.
    pub id: FlowId,
    /// Whose it is; `None` as long as it is to find out who the person is.
    pub principal: Option<PrincipalId>,
    /// Which account it accepts, and what comes of it.
    pub purpose: FlowPurpose,
    /// Minted for this flow alone, anew for each press of its button, and never used again:
    /// Scalekit's `auth_request_id` is not bound to a flow, so no two of its links may share an
    /// identifier.
    pub user: UserId,
    /// Those of earlier presses, at most [`MOST_PRESSES`]: to be deleted at Scalekit, at the latest
    /// with the flow.
    #[serde(default)]
    pub former_users: Vec<UserId>,
    /// What the asking program calls itself.
    pub client: ClientName,
    /// Ties its link to the browser that asked for it, on our own page; `None`: any may open it.
    #[serde(default)]
    pub asked_by: Option<String>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// How far it has come.
    pub phase: Phase,
}

/// Which account a flow accepts, and what comes of it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FlowPurpose {
    /// Whatever account comes becomes its principal's (this machine is one trust domain).
    Link,
    /// The account that its principal is, again; any other is refused.
    Repair {
        /// GitHub's number for it.
        github_id: u64,
    },
    /// The account that comes is the person; then this goes on.
    Identify {
        /// What goes on: an authorization request, or nothing but signing in. Opaque here.
        continuation: String,
    },
}

impl fmt::Debug for FlowPurpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A continuation holds the client's state.
        f.write_str(match self {
            Self::Link => "Link",
            Self::Repair { .. } => "Repair",
            Self::Identify { .. } => "Identify",
        })
    }
}

/// How far a flow has come. Only forward; every step is a compare-and-set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// The link was handed out; no browser has pressed the button.
    Created,
    /// A browser pressed the button and was sent to Scalekit.
    Consenting {
        /// Ties the flow to that browser.
        binding: String,
        /// How often the button was pressed.
        presses: u8,
    },
    /// Scalekit's callback came from that browser, and verify was or is about to be called: never
    /// again, whatever happens.
    Verifying {
        /// Ties the flow to that browser; `None` when the account became active without a callback.
        binding: Option<String>,
        /// SHA-256 of the `auth_request_id`; `None` as above.
        auth_request: Option<String>,
        /// The browser's record, for the page that follows.
        browser: Option<String>,
    },
    /// The account is the principal's.
    Done {
        /// Ties the flow to the browser.
        binding: Option<String>,
        /// SHA-256 of the `auth_request_id`.
        auth_request: Option<String>,
        /// The browser's record, which may say by now that somebody is signed in.
        #[serde(default)]
        browser: Option<String>,
        /// Which connection the principal got.
        connection: UserId,
        /// Whose.
        account: GitHubAccount,
    },
    /// It ended without a connection.
    Burned(Ending),
}

/// Why a flow ended without a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Another browser came back than the one that started.
    OtherBrowser,
    /// The person or GitHub said no.
    Declined,
    /// Scalekit refused the verification: the authorization was not for this flow.
    Refused,
    /// Time ran out.
    Expired,
    /// Another GitHub account came than the one that this person is.
    OtherAccount {
        /// Which one came.
        login: String,
    },
    /// The account became active without our verification, where that is not enough.
    Unverified,
    /// Newer flows of the same principal, or a disconnect, took its place.
    Superseded,
    /// Of all trips of people who were not known yet it was the oldest, and there were too many.
    Crowded,
}

impl Ending {
    /// The failure that tells it.
    pub fn failure(&self) -> FailureCode {
        match self {
            Self::OtherBrowser | Self::Refused => FailureCode::BrowserMismatch,
            Self::OtherAccount { .. } => FailureCode::AccountMismatch,
            Self::Unverified => FailureCode::UnverifiedConnection,
            Self::Declined => FailureCode::AuthorizationDeclined,
            Self::Expired | Self::Superseded | Self::Crowded => FailureCode::AuthorizationExpired,
        }
    }

    /// A word for the log: no login.
    pub fn slug(&self) -> &'static str {
        match self {
            Self::OtherBrowser => "other_browser",
            Self::Declined => "declined",
            Self::Refused => "refused",
            Self::Expired => "expired",
            Self::OtherAccount { .. } => "other_account",
            Self::Unverified => "unverified",
            Self::Superseded => "superseded",
            Self::Crowded => "crowded",
        }
    }

    /// What happened, for the agent and the page.
    pub fn sentence(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::OtherBrowser => {
                "This connection was started in another browser. Nothing was connected."
            }
            Self::Declined => "GitHub was not connected: the request was declined.",
            Self::Refused => {
                "The authorization that came back was not made for this connection. Nothing was \
                 connected."
            }
            Self::Expired => "The link was not used in time (15 minutes). Nothing was connected.",
            Self::OtherAccount { login } => {
                return Cow::Owned(format!(
                    "GitHub came back as @{login}, which is another account than the one this \
                     connection belongs to. Nothing was connected."
                ));
            }
            Self::Unverified => {
                "The Scalekit environment is in Scalekit-users-only mode, in which nobody can tell \
                 whose browser linked an account. Nothing was connected."
            }
            Self::Superseded => {
                "A newer link has taken the place of this one, or GitHub was disconnected meanwhile."
            }
            Self::Crowded => {
                "Too many people were connecting GitHub at once, and this attempt was the oldest. \
                 Nothing was connected."
            }
        })
    }
}

impl Flow {
    /// Whether Scalekit may hold an account under this flow's identifier.
    pub fn may_have_account(&self) -> bool {
        !matches!(self.phase, Phase::Created)
    }

    /// Whether nothing more comes of it but what its end has left to do.
    pub fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Done { .. } | Phase::Burned(_))
    }

    /// Whether it is now up to a browser to press the button or to come back.
    pub fn waits_for_browser(&self) -> bool {
        matches!(self.phase, Phase::Created | Phase::Consenting { .. })
    }
}

impl Record for Flow {
    const KIND: &'static str = "flow";
}

/// Leads from the SHA-256 of a state to its flow; the state itself is not kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StateRecord {
    /// The flow it was minted for.
    pub flow: FlowId,
    /// The identifier that the flow had then: another press of its button has another state.
    pub user: UserId,
}

impl Record for StateRecord {
    const KIND: &'static str = "state";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Clock as _, SystemClock, SystemEntropy};

    const OTHER: fn() -> Ending = || Ending::OtherAccount { login: "hubot".to_owned() };

    #[test]
    fn every_ending_has_its_own_words() {
        let rows = [
            (
                Ending::OtherBrowser,
                "other_browser",
                FailureCode::BrowserMismatch,
                "another browser",
            ),
            (Ending::Declined, "declined", FailureCode::AuthorizationDeclined, "declined"),
            (
                Ending::Refused,
                "refused",
                FailureCode::BrowserMismatch,
                "not made for this connection",
            ),
            (Ending::Expired, "expired", FailureCode::AuthorizationExpired, "15 minutes"),
            (OTHER(), "other_account", FailureCode::AccountMismatch, "@hubot"),
            (
                Ending::Unverified,
                "unverified",
                FailureCode::UnverifiedConnection,
                "users-only mode",
            ),
            (Ending::Superseded, "superseded", FailureCode::AuthorizationExpired, "newer link"),
        ];
        for (ending, slug, code, says) in rows {
            assert_eq!((ending.slug(), ending.failure()), (slug, code));
            assert!(ending.sentence().contains(says), "{slug}: {}", ending.sentence());
        }
        assert!(!OTHER().slug().contains("hubot"));
    }

    #[test]
    fn a_flow_may_have_an_account_once_its_button_was_pressed() {
        let (user, account) =
            (UserId::mint(&SystemEntropy), GitHubAccount { id: 1, login: "octocat".to_owned() });
        let verifying = Phase::Verifying { binding: None, auth_request: None, browser: None };
        let done = Phase::Done {
            binding: None,
            auth_request: None,
            browser: None,
            connection: user.clone(),
            account,
        };
        let rows = [
            (Phase::Created, false),
            (Phase::Consenting { binding: String::new(), presses: 1 }, true),
            (verifying, true),
            (done, true),
            (Phase::Burned(Ending::Declined), true),
        ];
        for (phase, may_have) in rows {
            let flow = Flow {
                id: FlowId::mint(&SystemEntropy),
                principal: None,
                purpose: FlowPurpose::Link,
                user: user.clone(),
                former_users: Vec::new(),
                client: ClientName::default(),
                asked_by: None,
                created_at: SystemClock.now(),
                phase,
            };
            assert_eq!(flow.may_have_account(), may_have, "{:?}", flow.phase);
        }
    }

    #[test]
    fn the_log_never_shows_what_goes_on() {
        let purpose = FlowPurpose::Identify { continuation: "state=canary".to_owned() };
        assert_eq!(format!("{purpose:?}"), "Identify");
        assert_eq!(format!("{:?}", FlowPurpose::Repair { github_id: 7 }), "Repair");
        assert_eq!(format!("{:?}", FlowPurpose::Link), "Link");
    }
}
