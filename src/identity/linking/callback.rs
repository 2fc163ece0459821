//! From Scalekit's callback to the principal's connection.
//!
//! The order of the checks matters and is this: the state, the flow, the browser, the provider's
//! error, the authorization itself, and only then the network.

use super::{
    super::{
        browser::BrowserCookie,
        connection::ConnectionRecord,
        flow::{Ending, Flow, Phase, StateRecord},
    },
    AccountLinking,
    consent::{ended, in_progress, used_up},
};
use crate::{
    domain::{
        Failure, FailureCode, FlowId, GitHubAccount, PrincipalId, UserId, failure::Result,
        identifier::sha256_hex,
    },
    store::Versioned,
    upstream::{
        Call,
        github::GitHub,
        scalekit::{AccountStatus, Scalekit, Verification},
    },
};

/// What came with the callback; none of it is trusted.
#[derive(Debug, Clone, Default)]
pub struct Callback {
    /// Ours, if it is one we minted.
    pub state: Option<String>,
    /// Scalekit's name for the authorization that was given.
    pub auth_request_id: Option<String>,
    /// The provider's word for a refusal (RFC 6749 section 4.1.2.1), when there was one.
    pub error: Option<String>,
}

/// What is acceptable as an `auth_request_id` or a state: it goes into a JSON body, nowhere else.
const LONGEST_PARAMETER: usize = 512;

impl AccountLinking {
    /// Takes the callback and, if all is well, connects the principal whose flow it is.
    ///
    /// # Errors
    /// Each says what happened to the flow: nothing (unknown state), or that it ended.
    pub async fn complete(
        &self,
        callback: &Callback,
        browser: Option<&BrowserCookie>,
        call: &Call,
    ) -> Result<GitHubAccount> {
        let flow = self.flow_of_state(callback.state.as_deref()).await?;
        let id = flow.value.id.clone();
        let presented = callback.auth_request_id.as_deref().map(|id| sha256_hex(id.as_bytes()));
        let binding = match &flow.value.phase {
            Phase::Created => return Err(unknown_state()),
            Phase::Burned(ending) => return Err(ended(*ending)),
            Phase::Done { binding, auth_request, connection, account } => {
                let same_browser =
                    binding.as_deref().is_some_and(|b| self.is_bound(&flow.value, browser, b));
                if same_browser && auth_request.is_none() {
                    // Adopted before this callback came: to this browser it is simply done.
                    return Ok(account.clone());
                }
                if !same_browser && presented.is_some() && presented != *auth_request {
                    // Two browsers hold this flow's state, so it is not known whose account came.
                    // Its end first: whoever still finishes it finds it burned and undoes it too.
                    if !self.advance(&flow, Phase::Burned(Ending::OtherBrowser)).await? {
                        return Box::pin(self.complete(callback, browser, call)).await;
                    }
                    self.delete_connection(connection).await?;
                    return Err(ended(Ending::OtherBrowser));
                }
                return Err(used_up());
            }
            Phase::Consenting { binding, .. } => Some(binding.clone()),
            Phase::Verifying { binding, .. } => binding.clone(),
        };
        let Some(bound) = browser.filter(|browser| {
            binding
                .as_deref()
                .is_some_and(|binding| self.is_bound(&flow.value, Some(browser), binding))
        }) else {
            if !self.burn(&id, Ending::OtherBrowser).await? {
                // It was finished while we looked; then it is undone below.
                return Box::pin(self.complete(callback, browser, call)).await;
            }
            return Err(ended(Ending::OtherBrowser));
        };
        if callback.error.is_some() {
            self.burn(&id, Ending::Declined).await?;
            return Err(ended(Ending::Declined));
        }
        let Some(auth_request_id) = callback.auth_request_id.as_deref().filter(|id| plausible(id))
        else {
            return Err(Failure::new(
                FailureCode::InvalidArguments,
                "The answer from Scalekit carries no usable auth_request_id.",
            ));
        };
        if matches!(flow.value.phase, Phase::Verifying { .. }) {
            return Err(in_progress());
        }
        self.verify(flow, auth_request_id, binding, bound, call).await
    }

    /// Verifies, at most once, and finishes.
    async fn verify(
        &self,
        flow: Versioned<Flow>,
        auth_request_id: &str,
        binding: Option<String>,
        browser: &BrowserCookie,
        call: &Call,
    ) -> Result<GitHubAccount> {
        let Some(scalekit) = self.scalekit().cloned() else { return Err(unknown_state()) };
        let (id, user) = (flow.value.id.clone(), flow.value.user.clone());
        let active_already = match scalekit.account_status(&user, call).await? {
            Some(AccountStatus::Active) => true,
            Some(AccountStatus::Expired | AccountStatus::Disconnected) | None => {
                self.burn(&id, Ending::Refused).await?;
                return Err(ended(Ending::Refused));
            }
            Some(_) => false,
        };
        let verifying = Phase::Verifying {
            binding,
            // Active before we verified: Scalekit's own users-only mode, and never "verified".
            auth_request: (!active_already).then(|| sha256_hex(auth_request_id.as_bytes())),
            browser: Some(browser.digest()),
        };
        if !self.advance(&flow, verifying).await? {
            return Err(in_progress());
        }
        if !active_already {
            match scalekit.verify(&user, auth_request_id, call).await? {
                // Uncertain: it may or may not have happened; it is never asked again, only looked at.
                Verification::Verified | Verification::Uncertain => {}
                Verification::Refused => {
                    self.burn(&id, Ending::Refused).await?;
                    return Err(ended(Ending::Refused));
                }
            }
        }
        let Some(flow) = self.flow(&id).await? else { return Err(ended(Ending::Expired)) };
        match flow.value.phase {
            Phase::Verifying { .. } => self.finish_if_active(flow, &scalekit, call).await,
            Phase::Done { account, .. } => Ok(account),
            Phase::Burned(ending) => Err(ended(ending)),
            Phase::Created | Phase::Consenting { .. } => Err(unknown_state()),
        }
    }

    async fn finish_if_active(
        &self,
        flow: Versioned<Flow>,
        scalekit: &Scalekit,
        call: &Call,
    ) -> Result<GitHubAccount> {
        match scalekit.account_status(&flow.value.user, call).await? {
            Some(AccountStatus::Active) => self.finish(flow, scalekit, call).await,
            _ => Err(Failure::new(
                FailureCode::ScalekitUnavailable,
                "Scalekit did not say whether the connection was made.",
            )),
        }
    }

    /// Takes up a flow whose verification was under way when the process ended or the network
    /// failed. Its identifier is its own, so an active account is this flow's account. True if the
    /// flow has ended.
    pub(in super::super) async fn resume(
        &self,
        flow: Versioned<Flow>,
        call: &Call,
    ) -> Result<bool> {
        let Some(scalekit) = self.scalekit().cloned() else { return Ok(false) };
        match scalekit.account_status(&flow.value.user, call).await? {
            Some(AccountStatus::Active) => {
                self.finish(flow, &scalekit, call).await?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// In Scalekit-users-only mode no callback comes: the account of a flow that was sent to
    /// Scalekit simply becomes active. On loopback that is accepted and marked unverified. True if
    /// the flow has ended.
    pub(super) async fn adopt_if_active(&self, flow: Versioned<Flow>, call: &Call) -> Result<bool> {
        let Some(scalekit) = self.scalekit().cloned() else { return Ok(false) };
        if scalekit.account_status(&flow.value.user, call).await? != Some(AccountStatus::Active) {
            return Ok(false);
        }
        let Phase::Consenting { binding, .. } = &flow.value.phase else { return Ok(false) };
        // Our own verification makes an account active too; then the flow has moved on meanwhile.
        let verifying =
            Phase::Verifying { binding: Some(binding.clone()), auth_request: None, browser: None };
        if !self.advance(&flow, verifying).await? {
            return Ok(false);
        }
        tracing::warn!(
            "an account became active without our verification: the Scalekit environment is in \
             Scalekit-users-only mode"
        );
        match self.flow(&flow.value.id).await? {
            Some(flow) => self.finish(flow, &scalekit, call).await.map(|_| true),
            None => Ok(true),
        }
    }

    /// Reads whose account it is, then writes the connection, the flow's end, and last of all the
    /// principal's pointer. Every step may be repeated after a crash.
    async fn finish(
        &self,
        flow: Versioned<Flow>,
        scalekit: &Scalekit,
        call: &Call,
    ) -> Result<GitHubAccount> {
        let Flow { id, principal, user, phase, .. } = flow.value.clone();
        let Phase::Verifying { binding, auth_request, browser } = phase else {
            return Err(in_progress());
        };
        let github = GitHub::through_scalekit(scalekit.clone(), user.clone());
        let account = github.viewer(call).await?;
        let now = self.inner.clock.now();
        let record = ConnectionRecord {
            user: user.clone(),
            account: account.clone(),
            verified: auth_request.is_some(),
            connected_at: now,
            principals: vec![principal.clone()],
            needs_reauthorization: false,
            last_used_at: now,
        };
        let expires_at = now + ConnectionRecord::retention(self.inner.settings.mode);
        let key = self.key(&user.digest());
        let is_new = self.inner.store.insert(&key, &record, expires_at).await?;
        let done = Phase::Done {
            binding,
            auth_request,
            connection: user.clone(),
            account: account.clone(),
        };
        if !self.advance(&flow, done).await? {
            let now = self.flow(&id).await?.map(|flow| flow.value.phase);
            if let Some(Phase::Done { account, connection, .. }) = now {
                // Whoever was faster may not have moved the pointer yet, and ours is about to be
                // told that it is connected.
                let was_open = self.point_if_open(&principal, &id, &connection).await?;
                if is_new && !was_open {
                    // Finished and disconnected while we asked: nothing of it may come back.
                    self.delete_connection(&user).await?;
                }
                return Ok(account);
            }
            // It was burned while we asked: what it brought must go too.
            self.delete_connection(&user).await?;
            return Err(ended(Ending::OtherBrowser));
        }
        if let Some(browser) = browser {
            self.remember_in_browser(&browser, &user).await?;
        }
        if self.point_to(&principal, &id, &user).await? {
            Ok(account)
        } else {
            Err(ended(Ending::Superseded))
        }
    }

    /// Moves the principal's pointer, and lets go of the connection it pointed to before. False if
    /// the flow is no longer the principal's to finish: then nothing moves, so that a late poll
    /// cannot bring an older connection back.
    pub(super) async fn point_to(
        &self,
        principal: &PrincipalId,
        flow: &FlowId,
        user: &UserId,
    ) -> Result<bool> {
        if !self.change_connection(user, |connection| connection.add_principal(principal)).await? {
            // It was disconnected meanwhile: what the principal has stays.
            self.forget_flow(principal, flow, None).await?;
            return Ok(false);
        }
        let (is_open, before) = self
            .change_principal(principal, |record| {
                let is_open = record.flows.contains(flow);
                if !is_open {
                    return (false, record.connection.clone());
                }
                record.flows.retain(|open| open != flow);
                record.last_ending = None;
                (true, record.connection.replace(user.clone()))
            })
            .await?;
        self.announce_change();
        match before {
            // Somebody else moved it for this flow.
            Some(now) if now == *user => Ok(true),
            Some(before) if is_open => self.let_go(principal, &before, user).await.map(|()| true),
            None if is_open => Ok(true),
            // A disconnect or a newer flow came in between: this one's account is not wanted.
            now => {
                self.let_go(principal, user, now.as_ref().unwrap_or(user)).await?;
                Ok(false)
            }
        }
    }

    async fn flow_of_state(&self, state: Option<&str>) -> Result<Versioned<Flow>> {
        let Some(state) = state.filter(|state| plausible(state)) else {
            return Err(Failure::new(
                FailureCode::InvalidArguments,
                "This address is incomplete: it carries no usable state.",
            ));
        };
        let key = self.key(&sha256_hex(state.as_bytes()));
        let found = self.inner.store.get::<StateRecord>(&key).await?;
        let Some(found) = found else { return Err(unknown_state()) };
        self.flow(&found.value.flow).await?.ok_or_else(unknown_state)
    }
}

fn plausible(parameter: &str) -> bool {
    !parameter.is_empty()
        && parameter.len() <= LONGEST_PARAMETER
        && parameter.bytes().all(|b| b.is_ascii_graphic())
}

fn unknown_state() -> Box<Failure> {
    Failure::new(
        FailureCode::AuthorizationExpired,
        "This address belongs to no connection that is under way here. Nothing was changed.",
    )
}
