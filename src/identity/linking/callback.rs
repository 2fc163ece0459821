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
    domain::{
        Failure, FailureCode, FlowId, GitHubAccount, UserId, failure::Result,
        identifier::sha256_hex,
    },
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
    /// By which flow.
    pub(super) flow: FlowId,
}

/// What came of a callback that connected nothing.
#[derive(Debug)]
pub struct Interrupted {
    /// Why.
    pub failure: Box<Failure>,
    /// What would have gone on, where the one who started may be told that it did not. Only ever
    /// told to the browser that started.
    pub continuation: Option<String>,
    /// An earlier request with this callback connected the account, and its answer may be lost.
    pub is_connected: bool,
}

impl From<Box<Failure>> for Interrupted {
    fn from(failure: Box<Failure>) -> Self {
        Self { failure, continuation: None, is_connected: false }
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
        let (flow, minted_for) = self.flow_of_state(callback.state.as_deref()).await?;
        let id = flow.value.id.clone();
        let continuation = match &flow.value.purpose {
            FlowPurpose::Identify { continuation } => Some(continuation.clone()),
            FlowPurpose::Link | FlowPurpose::Repair { .. } => None,
        };
        let presented = callback.auth_request_id.as_deref().map(|id| sha256_hex(id.as_bytes()));
        let binding = match &flow.value.phase {
            Phase::Created => return Err(unknown_state().into()),
            Phase::Burned(ending) => return Err(ended(ending).into()),
            Phase::Done { binding, auth_request, account, .. } => {
                let same_browser =
                    binding.as_deref().is_some_and(|b| self.is_bound(&flow.value, browser, b));
                if same_browser && auth_request.is_none() {
                    // Adopted before this callback came: to this browser it is simply done.
                    return Ok(Completed { account: account.clone(), identified: None });
                }
                if !same_browser && presented.is_some() && presented != *auth_request {
                    if !self.undo(&flow).await? {
                        return Box::pin(self.complete(callback, browser, call)).await;
                    }
                    return Err(ended(&Ending::OtherBrowser).into());
                }
                let continuation = continuation.filter(|_| same_browser);
                return Err(Interrupted {
                    failure: used_up(),
                    is_connected: continuation.is_some(),
                    continuation,
                });
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
        if minted_for != flow.value.user {
            // An older tab of the same browser. The newer one is under way and stays so.
            return Err(ended(&Ending::Superseded).into());
        }
        let interrupted = |failure| Interrupted {
            failure,
            continuation: continuation.clone(),
            is_connected: false,
        };
        if callback.error.is_some() {
            self.burn(&id, Ending::Declined).await?;
            return Err(interrupted(ended(&Ending::Declined)));
        }
        let Some(auth_request_id) = callback.auth_request_id.as_deref().filter(|id| plausible(id))
        else {
            return Err(Failure::new(
                FailureCode::InvalidArguments,
                "The answer from Scalekit carries no usable auth_request_id.",
            )
            .into());
        };
        let finished = match &flow.value.phase {
            Phase::Verifying { auth_request, .. } => {
                if auth_request.is_some() && presented != *auth_request {
                    return Err(in_progress().into());
                }
                self.take_up(flow, call).await
            }
            _ => self.verify(flow, auth_request_id, binding, bound, call).await,
        };
        match finished {
            Ok(finished) => Ok(finished.completed(id, continuation)),
            // Another callback of this browser is bringing it to its end.
            Err(failure) if failure.code == FailureCode::AuthorizationPending => {
                Err(failure.into())
            }
            Err(failure) => Err(interrupted(failure)),
        }
    }

    /// Whether what a flow has told is still so: it may have been undone since.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn stands(&self, identified: &Identified) -> Result<bool> {
        let flow = self.flow(&identified.flow).await?;
        Ok(flow.is_some_and(|flow| matches!(flow.value.phase, Phase::Done { .. })))
    }

    /// Two browsers hold the state of a flow that is done, so it is not known whose account came:
    /// everything that came of it goes. False: the flow has moved on.
    async fn undo(&self, flow: &Versioned<Flow>) -> Result<bool> {
        // Before its end is written, so that the same callback begins once more after a crash; and
        // after it, because until then somebody may still have been finishing it.
        self.take_back(&flow.value).await?;
        if !self.advance(flow, Phase::Burned(Ending::OtherBrowser)).await? {
            return Ok(false);
        }
        self.take_back(&flow.value).await?;
        Ok(true)
    }

    async fn take_back(&self, flow: &Flow) -> Result<()> {
        let Phase::Done { browser, connection, .. } = &flow.phase else { return Ok(()) };
        self.delete_connection(connection).await?;
        let (FlowPurpose::Identify { .. }, Some(principal)) = (&flow.purpose, &flow.principal)
        else {
            return Ok(());
        };
        self.inner.people.revoke_all(principal).await?;
        if let Some(browser) = browser {
            self.change_browser(browser, |record| {
                record.sign_in.take_if(|signed_in| signed_in.principal == *principal);
            })
            .await?;
        }
        Ok(())
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
            Some(AccountStatus::PendingVerification) => (false, None),
            // Whatever has come back, it is no consent to this connection.
            Some(AccountStatus::PendingAuthorization) => return Err(not_consented()),
            // Nothing is verified that does not wait for it.
            Some(AccountStatus::Unknown) => {
                return Err(Failure::new(
                    FailureCode::ScalekitUnavailable,
                    "Scalekit did not say how this connection stands. Open this page again in a \
                     moment.",
                ));
            }
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
            Phase::Verifying { .. } => {
                let finished = self.finish_if_active(flow, &scalekit, call).await?;
                finished.ok_or_else(|| {
                    Failure::new(
                        FailureCode::ScalekitUnavailable,
                        "Scalekit did not say whether the connection was made.",
                    )
                })
            }
            Phase::Done { account, connection, .. } => {
                // A poll or another callback was faster, and may not have moved the pointer yet.
                if let Some(principal) = &flow.value.principal {
                    self.point_if_open(principal, &id, &connection).await?;
                }
                Ok(Finished { account, principal: flow.value.principal })
            }
            Phase::Burned(ending) => Err(ended(&ending)),
            Phase::Created | Phase::Consenting { .. } => Err(unknown_state()),
        }
    }

    /// The callback came once more while its verification was under way, or after that was cut off:
    /// it is never asked for again, only looked at.
    async fn take_up(&self, flow: Versioned<Flow>, call: &Call) -> Result<Finished> {
        let Some(scalekit) = self.scalekit().cloned() else { return Err(unknown_state()) };
        let finished = self.finish_if_active(flow, &scalekit, call).await?;
        finished.ok_or_else(|| {
            Failure::new(
                FailureCode::AuthorizationPending,
                "Scalekit has not confirmed this connection yet. Open this page again in a moment; \
                 if it stays so, start again from your assistant.",
            )
        })
    }

    /// `None`: the account is not active.
    async fn finish_if_active(
        &self,
        flow: Versioned<Flow>,
        scalekit: &Scalekit,
        call: &Call,
    ) -> Result<Option<Finished>> {
        match scalekit.account_status(&flow.value.user, call).await? {
            Some(AccountStatus::Active) => self.finish(flow, scalekit, call).await.map(Some),
            _ => Ok(None),
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
        Ok(self.finish_if_active(flow, &scalekit, call).await?.is_some())
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

    /// The flow, and the identifier that it had when this state was minted.
    async fn flow_of_state(&self, state: Option<&str>) -> Result<(Versioned<Flow>, UserId)> {
        let Some(state) = state.filter(|state| plausible(state)) else {
            return Err(Failure::new(
                FailureCode::InvalidArguments,
                "This address is incomplete: it carries no usable state.",
            ));
        };
        let key = self.key(&sha256_hex(state.as_bytes()));
        let found = self.inner.store.get::<StateRecord>(&key).await?;
        let Some(found) = found else { return Err(unknown_state()) };
        let StateRecord { flow, user } = found.value;
        Ok((self.flow(&flow).await?.ok_or_else(unknown_state)?, user))
    }
}

fn plausible(parameter: &str) -> bool {
    !parameter.is_empty()
        && parameter.len() <= LONGEST_PARAMETER
        && parameter.bytes().all(|b| b.is_ascii_graphic())
}

fn not_consented() -> Box<Failure> {
    Failure::new(
        FailureCode::InvalidArguments,
        "Scalekit says that nobody has consented to this connection yet. Nothing was changed: finish \
         at GitHub, in the page that this browser was sent to.",
    )
}

fn unknown_state() -> Box<Failure> {
    Failure::new(
        FailureCode::AuthorizationExpired,
        "This address belongs to no connection that is under way here. Nothing was changed.",
    )
}
