//! How a principal stands, and finishing what was left half done.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::{
    super::{connection::ConnectionRecord, flow::Phase, principal::Principal},
    AccountLinking, Accounts, Connection, PendingLink, Status,
};
use crate::{
    domain::{Fault, FlowId, GitHubAccess, failure::Result},
    upstream::{Call, scalekit::Scalekit},
};

/// How often a waiting call asks Scalekit whether the account has become active.
const POLL_EVERY: Duration = Duration::from_secs(2);

/// How long one such question may take.
const LOOK: Duration = Duration::from_secs(5);

impl AccountLinking {
    /// Tells how the principal stands, and finishes what was left half done: a crash after
    /// verification, or an account that became active without a callback.
    pub async fn status(&self, principal: &Principal, call: &Call) -> Result<Status> {
        if let Accounts::Token(github) = &self.inner.accounts {
            let account = self
                .inner
                .token_account
                .get_or_try_init(|| async { github.viewer(call).await })
                .await?
                .clone();
            return Ok(Status::Connected(Connection {
                account,
                verified: true,
                connected_at: None,
                access: GitHubAccess::Token,
            }));
        }
        let Some(mut record) = self.principal_record(&principal.id).await? else {
            return Ok(Status::NotConnected { last_ending: None });
        };
        let mut pending = None;
        for flow in &record.flows {
            // Much larger than all else here, and seldom needed.
            match Box::pin(self.settle(flow, call)).await {
                Ok(Some(link)) => pending = Some(link),
                Ok(None) => {}
                // What is known is told from the store, whatever ails Scalekit at the moment.
                Err(failure)
                    if record.connection.is_some() || failure.code.fault() == Fault::Upstream =>
                {
                    pending = self.open_link(flow).await?.or(pending);
                    tracing::debug!(
                        code = failure.code.slug(),
                        "a pending flow could not be settled"
                    );
                }
                Err(failure) => return Err(failure),
            }
        }
        if !record.flows.is_empty() {
            // Settling them may have changed it.
            record = self.principal_record(&principal.id).await?.unwrap_or_default();
        }
        if let Some(connection) = self.connection_of(&record).await? {
            let connection = connection.value;
            if !connection.needs_reauthorization {
                return Ok(Status::Connected(self.shown(&connection)));
            }
            if pending.is_none() {
                let last_ending = record.last_ending.map(|(ending, _)| ending);
                return Ok(Status::Expired { account: connection.account, last_ending });
            }
        }
        Ok(match pending {
            Some(link) => Status::Pending(link),
            None => {
                Status::NotConnected { last_ending: record.last_ending.map(|(ending, _)| ending) }
            }
        })
    }

    /// Waits until the flow has ended or the time is up, then tells how the principal stands; that
    /// last look may take 5 s more.
    pub async fn wait(
        &self,
        principal: &Principal,
        flow: &FlowId,
        until: Instant,
    ) -> Result<Status> {
        let mut changes = self.inner.changes.subscribe();
        loop {
            // Asked first: what ends between the two questions is seen in the next round.
            let ended = self.flow(flow).await?.is_none_or(|flow| flow.value.is_over());
            // Each look has a time of its own: the last one begins when the waiting is over, and
            // a person who is slow is no failure of Scalekit's.
            let status = self.status(principal, &Call::within(LOOK)).await?;
            if ended || Instant::now() >= until {
                return Ok(status);
            }
            let look_again = until.min(Instant::now() + POLL_EVERY);
            // Either a change in this process, or the time to ask Scalekit and the store again.
            let _ = timeout_at(look_again, changes.changed()).await;
        }
    }

    /// The link of a flow that has not ended.
    async fn open_link(&self, id: &FlowId) -> Result<Option<PendingLink>> {
        Ok(self
            .flow(id)
            .await?
            .and_then(|flow| (!flow.value.is_over()).then(|| self.link(id, flow.expires_at))))
    }

    /// Brings one flow as far as it goes without the browser; its link, if it is still open.
    async fn settle(&self, id: &FlowId, call: &Call) -> Result<Option<PendingLink>> {
        let Some(flow) = self.flow(id).await? else { return Ok(None) };
        let link = self.link(id, flow.expires_at);
        if let (Phase::Verifying { .. } | Phase::Done { .. }, Some(principal)) =
            (&flow.value.phase, &flow.value.principal)
            && self.is_outdated(principal, &flow).await?
        {
            // Left to whoever is bringing it to its end, and else to the sweeper.
            return Ok(None);
        }
        match &flow.value.phase {
            Phase::Created => Ok(Some(link)),
            Phase::Consenting { .. } => {
                let settled = self.adopt_if_active(flow, call).await?;
                Ok((!settled).then_some(link))
            }
            Phase::Verifying { .. } => {
                let settled = self.resume(flow, call).await?;
                Ok((!settled).then_some(link))
            }
            Phase::Done { connection, .. } => {
                if let Some(principal) = &flow.value.principal {
                    self.point_to(principal, id, connection).await?;
                }
                Ok(None)
            }
            Phase::Burned(ending) => {
                let principal = flow.value.principal.as_ref();
                self.forget_flow(principal, id, Some(ending.clone())).await?;
                Ok(None)
            }
        }
    }

    pub(super) fn shown(&self, connection: &ConnectionRecord) -> Connection {
        let by_tools = self.scalekit().is_some_and(Scalekit::proxy_is_off);
        Connection {
            account: connection.account.clone(),
            verified: connection.verified,
            connected_at: Some(connection.connected_at),
            access: if by_tools {
                GitHubAccess::ScalekitTools
            } else {
                GitHubAccess::ScalekitProxy
            },
        }
    }
}
