//! From Scalekit's callback to the principal's connection.
//!
//! The order of the checks matters and is this: the state, the flow, the browser, the provider's
//! error, the authorization itself, and only then the network.

use super::{
    super::{
        browser::BrowserCookie,
        flow::{Ending, Flow, FlowPurpose, Phase, StateRecord},
        person::Person,
    },
    AccountLinking,
    consent::{ended, in_progress, used_up},
    finish::Finished,
    records::tell_the_operator,
};
use crate::{
    domain::{Failure, FailureCode, GitHubAccount, failure::Result, identifier::sha256_hex},
    store::Versioned,
    upstream::{
        Call,
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

/// What came of a callback.
#[derive(Debug, Clone)]
pub struct Completed {
    /// Whose account it is.
    pub account: GitHubAccount,
    /// Whose flow it was, and what goes on now, where the flow was to find out who the person is.
    pub identified: Option<Identified>,
}

/// A person who has just been identified.
#[derive(Debug, Clone)]
pub struct Identified {
    /// Who.
    pub person: Person,
    /// What goes on, as it was handed in.
    pub continuation: String,
}

/// What came of a callback that connected nothing.
#[derive(Debug)]
pub struct Interrupted {
    /// Why.
    pub failure: Box<Failure>,
    /// What would have gone on, where the one who started may be told that it did not. Only ever
    /// told to the browser that started.
    pub continuation: Option<String>,
}

impl From<Box<Failure>> for Interrupted {
    fn from(failure: Box<Failure>) -> Self {
        Self { failure, continuation: None }
    }
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
    ) -> Result<Completed, Interrupted> {
        let flow = self.flow_of_state(callback.state.as_deref()).await?;
        let id = flow.value.id.clone();
        let presented = callback.auth_request_id.as_deref().map(|id| sha256_hex(id.as_bytes()));
        let binding = match &flow.value.phase {
            Phase::Created => return Err(unknown_state().into()),
            Phase::Burned(ending) => return Err(ended(ending).into()),
            Phase::Done { binding, auth_request, connection, account } => {
                let same_browser =
                    binding.as_deref().is_some_and(|b| self.is_bound(&flow.value, browser, b));
                if same_browser && auth_request.is_none() {
                    // Adopted before this callback came: to this browser it is simply done.
                    return Ok(Completed { account: account.clone(), identified: None });
                }
                if !same_browser && presented.is_some() && presented != *auth_request {
                    // Two browsers hold this flow's state, so it is not known whose account came.
                    // Its end first: whoever still finishes it finds it burned and undoes it too.
                    if !self.advance(&flow, Phase::Burned(Ending::OtherBrowser)).await? {
                        return Box::pin(self.complete(callback, browser, call)).await;
                    }
                    self.delete_connection(connection).await?;
                    return Err(ended(&Ending::OtherBrowser).into());
                }
                return Err(used_up().into());
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
            return Err(ended(&Ending::OtherBrowser).into());
        };
        let continuation = match &flow.value.purpose {
            FlowPurpose::Identify { continuation } => Some(continuation.clone()),
            FlowPurpose::Link | FlowPurpose::Repair { .. } => None,
        };
        if callback.error.is_some() {
            self.burn(&id, Ending::Declined).await?;
            return Err(Interrupted { failure: ended(&Ending::Declined), continuation });
        }
        let Some(auth_request_id) = callback.auth_request_id.as_deref().filter(|id| plausible(id))
        else {
            return Err(Failure::new(
                FailureCode::InvalidArguments,
                "The answer from Scalekit carries no usable auth_request_id.",
            )
            .into());
        };
        if matches!(flow.value.phase, Phase::Verifying { .. }) {
            return Err(in_progress().into());
        }
        match self.verify(flow, auth_request_id, binding, bound, call).await {
            Ok(finished) => Ok(finished.completed(continuation)),
            // Another callback of this browser is bringing it to its end.
            Err(failure) if failure.code == FailureCode::AuthorizationPending => {
                Err(failure.into())
            }
            Err(failure) => Err(Interrupted { failure, continuation }),
        }
    }

    /// Verifies, at most once, and finishes.
    async fn verify(
        &self,
        flow: Versioned<Flow>,
        auth_request_id: &str,
        binding: Option<String>,
        browser: &BrowserCookie,
        call: &Call,
    ) -> Result<Finished> {
        let Some(scalekit) = self.scalekit().cloned() else { return Err(unknown_state()) };
        let (id, user) = (flow.value.id.clone(), flow.value.user.clone());
        let (active_already, unfit) = match scalekit.account_status(&user, call).await? {
            Some(AccountStatus::Active) => {
                (true, self.demands_verification().then_some(Ending::Unverified))
            }
            Some(AccountStatus::Expired | AccountStatus::Disconnected) | None => {
                (false, Some(Ending::Refused))
            }
            Some(_) => (false, None),
        };
        if let Some(ending) = unfit {
            // An identical callback may have verified while we asked; then that one goes on.
            let is_ended = self.burn_as_seen(&flow, ending.clone()).await?;
            return Err(if is_ended { ended(&ending) } else { in_progress() });
        }
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
                    return Err(ended(&Ending::Refused));
                }
            }
        }
        let Some(flow) = self.flow(&id).await? else { return Err(ended(&Ending::Expired)) };
        match flow.value.phase {
            Phase::Verifying { .. } => self.finish_if_active(flow, &scalekit, call).await,
            Phase::Done { account, .. } => {
                Ok(Finished { account, principal: flow.value.principal })
            }
            Phase::Burned(ending) => Err(ended(&ending)),
            Phase::Created | Phase::Consenting { .. } => Err(unknown_state()),
        }
    }

    async fn finish_if_active(
        &self,
        flow: Versioned<Flow>,
        scalekit: &Scalekit,
        call: &Call,
    ) -> Result<Finished> {
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
    /// Scalekit simply becomes active. On loopback that is accepted and marked unverified, elsewhere
    /// refused and deleted. True if the flow has ended.
    pub(super) async fn adopt_if_active(&self, flow: Versioned<Flow>, call: &Call) -> Result<bool> {
        let Some(scalekit) = self.scalekit().cloned() else { return Ok(false) };
        if scalekit.account_status(&flow.value.user, call).await? != Some(AccountStatus::Active) {
            return Ok(false);
        }
        let Phase::Consenting { binding, .. } = &flow.value.phase else { return Ok(false) };
        if self.demands_verification() {
            // Our own verification makes an account active too; then the flow has moved on.
            return self.burn_as_seen(&flow, Ending::Unverified).await;
        }
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

    /// Whether the account of a flow whose browser never came back became active all the same, where
    /// that is not enough. Tells the operator.
    pub(in super::super) async fn was_never_verified(
        &self,
        flow: &Flow,
        call: &Call,
    ) -> Result<bool> {
        let Some(scalekit) = self.scalekit() else { return Ok(false) };
        let is_active =
            scalekit.account_status(&flow.user, call).await? == Some(AccountStatus::Active);
        let is_unverified = is_active && self.demands_verification();
        if is_unverified {
            tell_the_operator();
        }
        Ok(is_unverified)
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
