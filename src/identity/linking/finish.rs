//! From an active account to the principal's connection.

use super::{
    super::{
        connection::ConnectionRecord,
        flow::{Ending, Flow, FlowPurpose, LIFETIME, Phase},
        person::Person,
    },
    AccountLinking,
    callback::{Completed, Identified},
    consent::{ended, in_progress},
};
use crate::{
    domain::{AuthMode, FlowId, GitHubAccount, PrincipalId, UserId, failure::Result},
    measure,
    store::Versioned,
    upstream::{Call, github::GitHub, scalekit::Scalekit},
};

/// A flow that has come to its good end.
pub(super) struct Finished {
    pub(super) account: GitHubAccount,
    /// Whose it is now.
    pub(super) principal: Option<PrincipalId>,
}

impl Finished {
    /// With what goes on, where the flow was to find out who the person is.
    pub(super) fn completed(self, flow: FlowId, continuation: Option<String>) -> Completed {
        let Self { account, principal } = self;
        let identified = principal.zip(continuation).map(|(principal, continuation)| Identified {
            person: Person { principal, github_id: account.id },
            continuation,
            flow,
        });
        Completed { account, identified }
    }
}

impl AccountLinking {
    /// Whether only accounts that we verified ourselves count.
    pub(super) fn demands_verification(&self) -> bool {
        self.inner.settings.mode == AuthMode::OAuth
    }

    /// Reads whose account it is, holds it against the flow's purpose, then writes the connection,
    /// the flow's end, and last of all the principal's pointer. Every step may be repeated after a
    /// crash.
    pub(super) async fn finish(
        &self,
        flow: Versioned<Flow>,
        scalekit: &Scalekit,
        call: &Call,
    ) -> Result<Finished> {
        let id = flow.value.id.clone();
        let user = flow.value.user.clone();
        let github = GitHub::through_scalekit(scalekit.clone(), user.clone());
        let account = github.viewer(call).await?;
        let (flow, principal) = self.owned(flow, &account).await?;
        let finished = |account| Finished { account, principal: Some(principal.clone()) };
        let (binding, auth_request, browser) = match flow.value.phase.clone() {
            Phase::Verifying { binding, auth_request, browser } => (binding, auth_request, browser),
            Phase::Done { account, connection, .. } => {
                // A poll was faster.
                self.point_if_open(&principal, &id, &connection).await?;
                return Ok(finished(account));
            }
            Phase::Burned(ending) => return Err(ended(&ending)),
            Phase::Created | Phase::Consenting { .. } => return Err(in_progress()),
        };
        if auth_request.is_none() && self.demands_verification() {
            self.burn(&id, Ending::Unverified).await?;
            return Err(ended(&Ending::Unverified));
        }
        let now = self.inner.clock.now();
        let record = ConnectionRecord {
            user: user.clone(),
            account: account.clone(),
            verified: auth_request.is_some(),
            connected_at: now,
            principals: vec![principal.clone()],
            needs_reauthorization: false,
            last_used_at: now,
            superseded_by: None,
        };
        let expires_at = now + ConnectionRecord::retention(self.inner.settings.mode);
        let key = self.key(&user.digest());
        let is_new = self.inner.store.insert(&key, &record, expires_at).await?;
        let done = Phase::Done {
            binding,
            auth_request,
            browser: browser.clone(),
            connection: user.clone(),
            account: account.clone(),
        };
        if !self.advance(&flow, done).await? {
            let found = self.flow(&id).await?.map(|flow| flow.value.phase);
            if found.is_none() && self.points_to(&principal, &user).await? {
                // Somebody was faster, and its time is over: this machine was asleep meanwhile.
                return Ok(finished(account));
            }
            let ending = match found {
                Some(Phase::Done { account, connection, .. }) => {
                    // Whoever was faster may not have moved the pointer yet, and ours is about to
                    // be told that it is connected.
                    let was_open = self.point_if_open(&principal, &id, &connection).await?;
                    if is_new && !was_open && !self.points_to(&principal, &user).await? {
                        // Finished and disconnected while we asked: nothing of it may come back.
                        self.delete_connection(&user).await?;
                    }
                    return Ok(finished(account));
                }
                Some(Phase::Burned(ending)) => ending,
                _ => Ending::Expired,
            };
            // It was burned while we asked: what it brought must go too.
            self.delete_connection(&user).await?;
            return Err(ended(&ending));
        }
        measure::flow_ended("connected");
        if let Some(browser) = browser {
            self.remember_in_browser(&browser, &user).await?;
        }
        if self.point_to(&principal, &id, &user).await? {
            Ok(finished(account))
        } else {
            Err(ended(&Ending::Superseded))
        }
    }

    /// Whose the account will be, if the flow's purpose accepts it; the flow says so afterwards.
    async fn owned(
        &self,
        flow: Versioned<Flow>,
        account: &GitHubAccount,
    ) -> Result<(Versioned<Flow>, PrincipalId)> {
        match (&flow.value.purpose, flow.value.principal.clone()) {
            (FlowPurpose::Repair { github_id }, _) if account.id != *github_id => {
                let ending = Ending::OtherAccount { login: account.login.clone() };
                self.burn(&flow.value.id, ending.clone()).await?;
                Err(ended(&ending))
            }
            (FlowPurpose::Link | FlowPurpose::Repair { .. }, Some(principal)) => {
                Ok((flow, principal))
            }
            (FlowPurpose::Link | FlowPurpose::Repair { .. }, None) => Err(in_progress()),
            (FlowPurpose::Identify { .. }, _) => self.taken_by_person(flow, account).await,
        }
    }

    /// Makes the flow one of the person's own: from here on it ends with whatever ends their open
    /// flows, such as a disconnect.
    async fn taken_by_person(
        &self,
        mut flow: Versioned<Flow>,
        account: &GitHubAccount,
    ) -> Result<(Versioned<Flow>, PrincipalId)> {
        let id = flow.value.id.clone();
        let person = self.inner.people.meet(account).await?;
        let principal = person.principal.clone();
        // The flow first: with a principal, the sweeper takes it off the list, whatever happens.
        while flow.value.principal.as_ref() != Some(&principal) {
            let phase = flow.value.phase.clone();
            if let Phase::Burned(ending) = phase {
                return Err(ended(&ending));
            }
            self.advance_for(&flow, Some(principal.clone()), phase).await?;
            // Won or lost: somebody else may be bringing it to its end at the same time.
            flow = self.flow(&id).await?.ok_or_else(|| ended(&Ending::Expired))?;
        }
        self.list_flow(&principal, &id, Some(person.github_id)).await?;
        if self.inner.people.find(account).await? != Some(person) {
            // Forgotten in between: what is being deleted must not grow a new flow.
            self.burn(&id, Ending::Superseded).await?;
            return Err(ended(&Ending::Superseded));
        }
        let flow = self.flow(&id).await?.ok_or_else(|| ended(&Ending::Expired))?;
        Ok((flow, principal))
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
            self.forget_flow(Some(principal), flow, None).await?;
            return Ok(false);
        }
        let moved_at = self.inner.clock.now();
        let now = self
            .change_principal(principal, |record| {
                if record.flows.contains(flow) {
                    record.flows.retain(|open| open != flow);
                    record.last_ending = None;
                    record.connected_at = Some(moved_at);
                    let before = record.connection.replace(user.clone());
                    record.superseded.extend(before.filter(|before| before != user));
                }
                record.connection.clone()
            })
            .await?;
        self.announce_change();
        if now.as_ref() == Some(user) {
            self.let_go_of_superseded(principal).await?;
            return Ok(true);
        }
        // A disconnect or a newer flow came in between: this one's account is not wanted.
        self.let_go(principal, user, now.as_ref()).await?;
        Ok(false)
    }

    async fn points_to(&self, principal: &PrincipalId, user: &UserId) -> Result<bool> {
        let record = self.principal_record(principal).await?;
        Ok(record.is_some_and(|record| record.connection.as_ref() == Some(user)))
    }

    /// Whether the principal has been connected since this flow was verified, or began to be: then
    /// what a crash left of it must not take the place of what somebody was told later.
    pub(super) async fn is_outdated(
        &self,
        principal: &PrincipalId,
        flow: &Versioned<Flow>,
    ) -> Result<bool> {
        let Some(record) = self.principal_record(principal).await? else { return Ok(false) };
        let Some(current) = self.connection_of(&record).await? else { return Ok(false) };
        // From then on a flow has its whole time once more, and when it is done what is left of it.
        let claimed_at = flow.expires_at - LIFETIME;
        let ConnectionRecord { user, connected_at, needs_reauthorization, .. } = &current.value;
        // A connection that was chosen again is older than the choice.
        let connected_at = record.connected_at.unwrap_or(*connected_at);
        let is_own = match &flow.value.phase {
            Phase::Done { connection, .. } => connection == user,
            _ => flow.value.user == *user,
        };
        Ok(!is_own && !needs_reauthorization && connected_at > claimed_at)
    }

    /// Brings to its end what a flow that is done left undone: the pointer that did not move, or the
    /// connection that nobody took.
    pub(in super::super) async fn settle_done(
        &self,
        principal: &PrincipalId,
        flow: &Versioned<Flow>,
        user: &UserId,
    ) -> Result<()> {
        let id = &flow.value.id;
        if self.is_outdated(principal, flow).await? {
            self.forget_flow(Some(principal), id, None).await?;
        } else if self.point_if_open(principal, id, user).await? {
            return Ok(());
        }
        let record = self.principal_record(principal).await?.unwrap_or_default();
        if record.connection.as_ref() != Some(user) {
            self.let_go(principal, user, record.connection.as_ref()).await?;
        }
        self.let_go_of_superseded(principal).await
    }
}
