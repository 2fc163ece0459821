//! The link that begins a connection: for an agent to show, or for the browser that asked for it.

use super::{
    super::{
        browser::BrowserCookie,
        flow::{Flow, LIFETIME, Phase},
        principal::Principal,
    },
    AccountLinking, PendingLink, Status, WORTH_REUSING,
};
use crate::{
    domain::{Failure, FailureCode, failure::Result},
    upstream::Call,
};

impl AccountLinking {
    /// Gives the person a link to open, unless a connection is there and `reconnect` is not asked.
    pub async fn begin(
        &self,
        principal: &Principal,
        reconnect: bool,
        call: &Call,
    ) -> Result<Status> {
        if !reconnect || self.scalekit().is_none() {
            let status = self.status(principal, call).await?;
            if matches!(status, Status::Connected(_)) {
                return Ok(status);
            }
        }
        self.new_link(principal, None).await
    }

    /// The same for whoever asks in a browser: the link is good in that browser only, so that it is
    /// of no use to send it to somebody else.
    pub async fn begin_here(
        &self,
        principal: &Principal,
        browser: &BrowserCookie,
        call: &Call,
    ) -> Result<Status> {
        let status = self.status(principal, call).await?;
        if matches!(status, Status::Connected(_)) {
            return Ok(status);
        }
        self.new_link(principal, Some(browser)).await
    }

    /// How the principal stands as far as the store tells; changes nothing and asks nobody. `None`:
    /// the operator's token is used.
    pub async fn look(&self, principal: &Principal) -> Result<Option<Status>> {
        if self.scalekit().is_none() {
            return Ok(None);
        }
        let record = self.principal_record(&principal.id).await?.unwrap_or_default();
        let connection = self.connection_of(&record).await?.map(|found| found.value);
        let last_ending = record.last_ending.map(|(ending, _)| ending);
        Ok(Some(match connection {
            Some(connection) if connection.needs_reauthorization => {
                Status::Expired { account: connection.account, last_ending }
            }
            Some(connection) => Status::Connected(self.shown(&connection)),
            None => Status::NotConnected { last_ending },
        }))
    }

    /// Whether people link accounts of their own here; else the operator's token is used.
    pub fn links_accounts(&self) -> bool {
        self.scalekit().is_some()
    }

    async fn new_link(
        &self,
        principal: &Principal,
        browser: Option<&BrowserCookie>,
    ) -> Result<Status> {
        if let Some(link) = self.reusable_link(principal, browser).await? {
            return Ok(Status::Pending(link));
        }
        let mut flow = self.new_flow(
            Some(principal.id.clone()),
            self.purpose_for(principal).await?,
            principal.client.clone(),
        );
        flow.asked_by = browser.map(|browser| self.binding(&flow.id, browser));
        let expires_at = flow.created_at + LIFETIME;
        self.inner.store.insert(&self.key(flow.id.as_str()), &flow, expires_at).await?;
        self.list_flow(&principal.id, &flow.id, None).await?;
        Ok(Status::Pending(self.link(&flow.id, expires_at)))
    }

    /// The link of a flow that was handed out and not opened yet, if it lives long enough and was
    /// asked for in the same way.
    async fn reusable_link(
        &self,
        principal: &Principal,
        browser: Option<&BrowserCookie>,
    ) -> Result<Option<PendingLink>> {
        let Some(record) = self.principal_record(&principal.id).await? else { return Ok(None) };
        let now = self.inner.clock.now();
        for id in record.flows.iter().rev() {
            if let Some(flow) = self.flow(id).await?
                && flow.value.phase == Phase::Created
                && flow.value.asked_by.is_some() == browser.is_some()
                && self.is_asked_by(&flow.value, browser)
                && flow.expires_at - now >= WORTH_REUSING
            {
                return Ok(Some(self.link(id, flow.expires_at)));
            }
        }
        Ok(None)
    }

    fn is_asked_by(&self, flow: &Flow, browser: Option<&BrowserCookie>) -> bool {
        flow.asked_by.as_ref().is_none_or(|binding| self.is_bound(flow, browser, binding))
    }

    /// Refuses another browser than the one that asked for the link, where one did.
    ///
    /// # Errors
    /// `browser_mismatch`; nothing changes.
    pub(super) fn admit_browser(&self, flow: &Flow, browser: Option<&BrowserCookie>) -> Result<()> {
        if self.is_asked_by(flow, browser) {
            return Ok(());
        }
        Err(Failure::new(
            FailureCode::BrowserMismatch,
            "This link was asked for on the page of this server in another browser, and works in \
             that browser only.",
        ))
    }
}
