//! From the link in the agent's answer to Scalekit's link: our page and its buttons.

use secrecy::ExposeSecret as _;
use url::Url;

use super::{
    super::{
        browser::BrowserCookie,
        connection::ConnectionRecord,
        flow::{Ending, Flow, FlowPurpose, MOST_PRESSES, Phase, StateRecord},
        keyring::Purpose,
        principal::ClientName,
    },
    AccountLinking,
};
use crate::{
    domain::{
        Failure, FailureCode, FlowId, GitHubAccount, Secret, Timestamp, UserId, failure::Result,
        identifier::sha256_hex,
    },
    store::Versioned,
    upstream::Call,
};

/// What the connect page shows. Reading it changes nothing.
#[derive(Debug, Clone)]
pub struct ConnectPage {
    /// What the asking program calls itself.
    pub client: ClientName,
    /// When it asked.
    pub created_at: Timestamp,
    /// Accounts that this browser linked before and that still work, newest first.
    pub known_accounts: Vec<GitHubAccount>,
    /// Goes into the form.
    pub csrf: String,
}

/// Where the browser goes after the button.
#[derive(Debug)]
pub struct AuthorizationStep {
    /// Scalekit's link; single use, for this browser only.
    pub link: Url,
}

impl AccountLinking {
    /// What the page behind a link shows.
    ///
    /// # Errors
    /// `authorization_expired`, or how the flow ended.
    pub async fn open(&self, id: &FlowId, browser: Option<&BrowserCookie>) -> Result<ConnectPage> {
        let flow = self.open_flow(id).await?;
        self.admit_browser(&flow.value, browser)?;
        if let Phase::Verifying { .. } = flow.value.phase {
            return Err(in_progress());
        }
        let mut known_accounts = Vec::new();
        // Elsewhere the account itself must come back, not the browser that brought one before.
        if let Some(browser) = browser.filter(|_| flow.value.purpose == FlowPurpose::Link) {
            for connection in self.known_connections(browser).await? {
                known_accounts.push(connection.account);
            }
        }
        Ok(ConnectPage {
            client: flow.value.client,
            created_at: flow.value.created_at,
            known_accounts,
            csrf: self.csrf(id.as_str(), browser),
        })
    }

    /// A token for a form about `subject`, good for this browser only. A browser without a cookie
    /// gets one that is good for browsers without a cookie.
    pub fn csrf(&self, subject: &str, browser: Option<&BrowserCookie>) -> String {
        let cookie = browser.map_or(&b""[..], BrowserCookie::bytes);
        self.inner.keyring.sign(Purpose::Csrf, &[subject.as_bytes(), cookie])
    }

    /// Whether a form's token is good.
    pub fn csrf_is_good(
        &self,
        subject: &str,
        browser: Option<&BrowserCookie>,
        presented: &str,
    ) -> bool {
        let cookie = browser.map_or(&b""[..], BrowserCookie::bytes);
        self.inner.keyring.verify(Purpose::Csrf, &[subject.as_bytes(), cookie], presented)
    }

    /// The button: binds the browser to the flow and asks Scalekit for the link.
    ///
    /// # Errors
    /// `browser_mismatch` when another browser pressed the button first (nothing changes), the
    /// flow's ending, or Scalekit's failures (the button may be pressed again).
    pub async fn consent(
        &self,
        id: &FlowId,
        browser: &BrowserCookie,
        call: &Call,
    ) -> Result<AuthorizationStep> {
        let flow = self.open_flow(id).await?;
        self.admit_browser(&flow.value, Some(browser))?;
        let presses = match &flow.value.phase {
            Phase::Created => 1,
            Phase::Consenting { binding, presses } => {
                if !self.is_bound(&flow.value, Some(browser), binding) {
                    return Err(Failure::new(
                        FailureCode::BrowserMismatch,
                        "This link was already opened in another browser.",
                    ));
                }
                presses.saturating_add(1)
            }
            _ => return Err(in_progress()),
        };
        if presses > MOST_PRESSES {
            return Err(Failure::new(
                FailureCode::TooManyRequests,
                "The button of this link was pressed too often.",
            ));
        }
        let binding = self.binding(id, browser);
        // An identifier for each of Scalekit's links: two that led to one account could be followed
        // by two people, and whoever came back first would be given what the other consented to.
        let former = flow.value.user.clone();
        let user = if presses == 1 { former.clone() } else { UserId::mint(&*self.inner.entropy) };
        let consenting = Phase::Consenting { binding, presses };
        if !self.advance_under(&flow, user.clone(), consenting).await? {
            return Err(in_progress());
        }
        if user != former {
            self.delete_account_soon(&former).await?;
        }
        let step = self.ask_for_link(&flow, &user, call).await;
        // It may have ended, or moved on to another identifier, while we asked; then nobody else
        // knows of the account just made.
        let still_open = self.flow(id).await?.is_some_and(|flow| {
            flow.value.user == user && !matches!(flow.value.phase, Phase::Burned(_))
        });
        if !still_open {
            self.delete_account_soon(&user).await?;
            return Err(ended(&Ending::Superseded));
        }
        step
    }

    /// "Use @octocat again": gives the principal a connection that this browser made before,
    /// without a trip to GitHub.
    ///
    /// # Errors
    /// `authorization_expired` when the connection or the flow is gone.
    pub async fn reuse(
        &self,
        id: &FlowId,
        browser: &BrowserCookie,
        github_id: u64,
    ) -> Result<GitHubAccount> {
        let flow = self.open_flow(id).await?;
        self.admit_browser(&flow.value, Some(browser))?;
        if flow.value.phase != Phase::Created || flow.value.purpose != FlowPurpose::Link {
            return Err(in_progress());
        }
        let known = self.known_connections(browser).await?;
        let Some(connection) = known.into_iter().find(|known| known.account.id == github_id) else {
            return Err(Failure::new(
                FailureCode::AuthorizationExpired,
                "This browser's earlier connection no longer works.",
            ));
        };
        let (user, account) = (connection.user, connection.account);
        let done = Phase::Done {
            binding: Some(self.binding(id, browser)),
            auth_request: None,
            browser: None,
            connection: user.clone(),
            account: account.clone(),
        };
        if !self.advance(&flow, done).await? {
            return Err(in_progress());
        }
        let Some(principal) = &flow.value.principal else { return Err(in_progress()) };
        if !self.point_to(principal, id, &user).await? {
            return Err(ended(&Ending::Superseded));
        }
        self.remember_in_browser(&browser.digest(), &user).await?;
        Ok(account)
    }

    /// The account this browser linked last, for the page that says so.
    pub async fn last_connected(&self, browser: &BrowserCookie) -> Result<Option<ConnectedHere>> {
        let newest = self.known_connections(browser).await?.into_iter().next();
        Ok(newest.map(|connection| ConnectedHere {
            account: connection.account,
            verified: connection.verified,
        }))
    }

    /// "Not you? Disconnect": unlinks the account that the page named, if this browser linked it.
    pub async fn disconnect_here(&self, browser: &BrowserCookie, github_id: u64) -> Result<()> {
        let known = self.known_connections(browser).await?;
        if let Some(named) = known.into_iter().find(|known| known.account.id == github_id) {
            self.delete_connection(&named.user).await?;
        }
        Ok(())
    }

    pub(super) fn binding(&self, id: &FlowId, browser: &BrowserCookie) -> String {
        let parts = [id.as_str().as_bytes(), browser.bytes()];
        self.inner.keyring.sign(Purpose::BrowserBinding, &parts)
    }

    pub(super) fn is_bound(
        &self,
        flow: &Flow,
        browser: Option<&BrowserCookie>,
        binding: &str,
    ) -> bool {
        browser.is_some_and(|browser| {
            let parts = [flow.id.as_str().as_bytes(), browser.bytes()];
            self.inner.keyring.verify(Purpose::BrowserBinding, &parts, binding)
        })
    }

    async fn ask_for_link(
        &self,
        flow: &Versioned<Flow>,
        user: &UserId,
        call: &Call,
    ) -> Result<AuthorizationStep> {
        let Some(scalekit) = self.scalekit() else {
            return Err(ended(&Ending::Expired));
        };
        let state = Secret::from(self.inner.entropy.token::<32>());
        let record = StateRecord { flow: flow.value.id.clone(), user: user.clone() };
        let key = self.key(&sha256_hex(state.expose_secret().as_bytes()));
        self.inner.store.insert(&key, &record, flow.expires_at).await?;
        let mut callback = self.inner.settings.public_base_url.clone();
        callback.set_path("/user/verify");
        let made = scalekit.authorization_link(user, &state, &callback, call).await?;
        Ok(AuthorizationStep { link: made.link })
    }

    /// A flow that has not ended.
    async fn open_flow(&self, id: &FlowId) -> Result<Versioned<Flow>> {
        let Some(flow) = self.flow(id).await? else {
            return Err(Failure::new(
                FailureCode::AuthorizationExpired,
                "This link is not known here, or it was not used in time (15 minutes).",
            ));
        };
        match flow.value.phase {
            Phase::Done { .. } => Err(used_up()),
            Phase::Burned(ref ending) => Err(ended(ending)),
            _ => Ok(flow),
        }
    }

    /// This browser's connections that still work, verified or not, newest first; one an account.
    async fn known_connections(&self, browser: &BrowserCookie) -> Result<Vec<ConnectionRecord>> {
        let users: Vec<UserId> = self
            .browser_record(&browser.digest())
            .await?
            .map(|r| r.connections)
            .unwrap_or_default();
        let mut known: Vec<ConnectionRecord> = Vec::new();
        for user in users.iter().rev() {
            if let Some(found) = self.connection(user).await?
                && !found.value.needs_reauthorization
                && !known.iter().any(|other| other.account.id == found.value.account.id)
            {
                known.push(found.value);
            }
        }
        Ok(known)
    }
}

/// What the connected page shows.
#[derive(Debug, Clone)]
pub struct ConnectedHere {
    /// Whose account.
    pub account: GitHubAccount,
    /// We verified whose browser linked it.
    pub verified: bool,
}

pub(super) fn ended(ending: &Ending) -> Box<Failure> {
    Failure::new(ending.failure(), ending.sentence())
}

pub(super) fn used_up() -> Box<Failure> {
    Failure::new(
        FailureCode::AuthorizationExpired,
        "This link was already used: a link connects once.",
    )
}

pub(super) fn in_progress() -> Box<Failure> {
    Failure::new(
        FailureCode::AuthorizationPending,
        "This connection is being completed at this moment.",
    )
}
