//! What is known outside of the server: who holds which link and callback, who has consented where,
//! and what therefore may and may not be told to whom.

use std::collections::BTreeSet;

use pr_summarizer::{
    domain::{FlowId, GitHubAccount, Timestamp},
    identity::{BrowserCookie, Principal},
};
use url::Url;

use super::deeds::{How, Proof};

/// The last one is a thief's: it opens links that are not its own, and presents what it has seen.
pub const BROWSERS: usize = 3;
pub const THIEF: usize = BROWSERS - 1;

pub struct Browser {
    pub cookie: BrowserCookie,
    /// The accounts of its person; the first is the usual one.
    pub accounts: [GitHubAccount; 2],
}

/// A program that calls tools.
#[derive(Clone)]
pub struct Caller {
    pub principal: Principal,
    /// Who it is to [`super::ledger::Ledger`]: a principal, or in `oauth` mode a person's login.
    pub subject: String,
    pub proof: Proof,
    /// Whose program it is.
    pub home: usize,
    /// Long unused: may be unknown by now.
    pub may_be_gone: bool,
    pub is_closing: bool,
    /// When it was told that its session has ended.
    pub closed: Option<u64>,
}

impl Caller {
    /// Whether it can be expected to be known.
    pub fn lives(&self) -> bool {
        !self.may_be_gone && !self.is_closing
    }
}

pub struct Flow {
    /// `None` for a trip that is to tell who the person is: nobody outside sees its name.
    pub id: Option<FlowId>,
    pub subject: Option<String>,
    pub home: usize,
    /// When it was first heard of.
    pub known_since: u64,
    pub expires_at: Timestamp,
    /// When somebody was told that it ended without a connection.
    pub ended: Option<u64>,
    /// What goes on after a trip.
    pub number: Option<usize>,
}

/// One of Scalekit's.
pub struct Link {
    pub flow: usize,
    /// Whose browser pressed the button.
    pub presser: usize,
    pub url: Url,
    pub is_followed: bool,
    /// Known once it was followed.
    pub identifier: Option<String>,
    /// Known once somebody came back.
    pub state: Option<String>,
    /// When its browser was told that it is connected.
    pub completed: Option<u64>,
}

/// What somebody decided at GitHub.
pub struct Consent {
    pub link: usize,
    pub browser: usize,
    /// `None`: no.
    pub account: Option<GitHubAccount>,
    pub auth_request_id: Option<String>,
    /// In Scalekit-users-only mode: nobody comes back.
    pub is_unverified: bool,
    /// The browser came back with it and was answered; from then on others may have seen it.
    pub is_delivered: bool,
    /// How often it was presented.
    pub tries: usize,
}

impl Consent {
    pub fn how(&self) -> How {
        if self.account.is_some() { How::Whole } else { How::Error }
    }
}

/// "Use @octocat again".
pub struct Reuse {
    pub flow: usize,
    pub browser: usize,
    pub github_id: u64,
}

#[derive(Default)]
pub struct Knowledge {
    pub browsers: Vec<Browser>,
    pub callers: Vec<Caller>,
    pub flows: Vec<Flow>,
    pub links: Vec<Link>,
    pub consents: Vec<Consent>,
    pub reuses: Vec<Reuse>,
    pub trips: usize,
    /// Pairs of authorization and identifier that Scalekit was asked to verify.
    pub verified: BTreeSet<(String, String)>,
    /// Several may follow one of Scalekit's links.
    pub links_are_shared: bool,
    pub is_oauth: bool,
    /// Somebody followed one of Scalekit's links whose account was connected: it may be no longer.
    pub is_spoiled: bool,
}

impl Knowledge {
    pub fn flow_of_link(&self, link: usize) -> &Flow {
        &self.flows[self.links[link].flow]
    }

    /// Whether the thief may know with which state browsers come back from this link.
    pub fn has_been_seen(&self, link: usize) -> bool {
        self.consents
            .iter()
            .any(|one| one.link == link && (one.is_delivered || one.browser == THIEF))
            && self.links[link].state.is_some()
    }

    /// Whom a consent would connect.
    pub fn subject_of(&self, link: usize, consent: &Consent) -> Option<String> {
        let flow = self.flow_of_link(link);
        let login = || consent.account.as_ref().map(|account| account.login.clone());
        flow.subject.clone().or_else(login)
    }

    /// Whose account this is.
    pub fn owner(&self, login: &str) -> Option<usize> {
        let owns = |browser: &Browser| browser.accounts.iter().any(|own| own.login == login);
        self.browsers.iter().position(owns)
    }

    /// Whether whoever pressed the button may have this account: it is their own, or a thief's who
    /// gives it away, which no server can tell from theirs.
    pub fn is_own(&self, consent: &Consent) -> bool {
        consent.browser == self.links[consent.link].presser || consent.browser == THIEF
    }

    /// Accounts that were consented to in this browser, for buttons that it pressed itself.
    pub fn accounts_made_in(&self, browser: usize) -> Vec<&GitHubAccount> {
        self.consents
            .iter()
            .filter(|one| {
                self.links[one.link].presser == browser
                    && (self.is_own(one) && self.was_verified(one) || one.is_unverified)
            })
            .filter_map(|one| one.account.as_ref())
            .collect()
    }

    pub fn was_verified(&self, consent: &Consent) -> bool {
        let identifier = self.links[consent.link].identifier.clone().unwrap_or_default();
        let id = consent.auth_request_id.clone().unwrap_or_default();
        self.verified.contains(&(id, identifier))
    }

    /// Whether this consent may have led to a connection that is told as (un)verified.
    fn proves(&self, consent: &Consent, login: &str, verified: bool) -> bool {
        let link = &self.links[consent.link];
        let is_theirs = consent.account.as_ref().is_some_and(|account| account.login == login);
        if !verified {
            return is_theirs && consent.is_unverified && !self.is_oauth;
        }
        let same_browser = self.is_own(consent);
        is_theirs
            && (same_browser && self.was_verified(consent)
                || (self.is_not_found_out(consent) || self.links_are_shared && same_browser)
                    && link.identifier.iter().any(|id| self.asked_for(id)))
    }

    /// Two people at one of Scalekit's links are found out when the other one comes back.
    pub fn is_not_found_out(&self, consent: &Consent) -> bool {
        self.links_are_shared && !consent.is_delivered
    }

    pub fn asked_for(&self, identifier: &str) -> bool {
        self.verified.iter().any(|(_, asked)| asked == identifier)
    }

    /// Whether the subject may be told, by who began to look then, that it is connected so (I1, I3).
    pub fn may_be_connected(&self, subject: &str, login: &str, verified: bool, began: u64) -> bool {
        if self.is_oauth && subject != login {
            return false;
        }
        let stands = |flow: &Flow| flow.ended.is_none_or(|ended| ended >= began);
        let by_consent = self.consents.iter().any(|consent| {
            stands(self.flow_of_link(consent.link))
                && self.subject_of(consent.link, consent).as_deref() == Some(subject)
                && self.proves(consent, login, verified)
        });
        by_consent
            || self.reuses.iter().any(|reuse| {
                let flow = &self.flows[reuse.flow];
                flow.subject.as_deref() == Some(subject)
                    && stands(flow)
                    && self
                        .accounts_made_in(reuse.browser)
                        .iter()
                        .any(|account| account.login == login && account.id == reuse.github_id)
            })
    }
}
