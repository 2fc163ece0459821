//! Ends what ran out of time and deletes accounts at Scalekit that nobody points to.
//!
//! Every deletion is first written down, then done, then crossed off; a crash or an outage of
//! Scalekit only delays it.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{
    connection::{BrowserRecord, ConnectionRecord, DeletionRecord, HarmfulDeletions},
    flow::{Ending, Flow, Phase, StateRecord},
    linking::AccountLinking,
    principal::PrincipalRecord,
    session::{ClaimRecord, HandleRecord, MOST_SESSIONS, PageRecord, SessionList, SessionRecord},
};
use crate::{
    domain::{Failure, FailureCode, failure::Result},
    store::{Store, Versioned},
    upstream::{Call, github::GitHub, scalekit::Scalekit},
};

/// How often it looks without being woken.
const EVERY: Duration = Duration::from_secs(30);
/// How many records of a kind one round acts on, so that no round takes for ever.
const BATCH: usize = 200;
/// How many records of a kind one round removes without acting on them. What comes in faster, for
/// as long as a round takes, stands above the bounds until it stops.
const REMOVED_AT_ONCE: usize = 10_000;
/// How many accounts of flows that nobody came back from one round looks at before it deletes them,
/// and how long it may take in all: enough to notice that nobody ever does.
const LOOKS: usize = 5;
const LOOKING: Duration = Duration::from_secs(5);
/// How long one round may wait for Scalekit in all.
const ROUND: Duration = Duration::from_secs(20);

/// Cleans up in the background.
#[derive(Debug, Clone)]
pub struct Sweeper {
    linking: AccountLinking,
}

impl Sweeper {
    /// A sweeper for what `linking` leaves behind.
    pub fn new(linking: AccountLinking) -> Self {
        Self { linking }
    }

    /// Sweeps until told to stop.
    pub async fn run(self, stop: CancellationToken) {
        loop {
            // A round may be left anywhere: what it had begun is written down and begun again.
            let swept = tokio::select! {
                () = stop.cancelled() => return,
                swept = self.sweep() => swept,
            };
            if let Err(failure) = swept {
                tracing::warn!(?failure, "a round of cleaning up failed; the next one follows");
            }
            tokio::select! {
                () = stop.cancelled() => return,
                _ = tokio::time::timeout(EVERY, self.linking.deletion_wanted()) => {}
            }
        }
    }

    /// One round.
    pub async fn sweep(&self) -> Result<()> {
        let store = self.linking.store();
        let (mut looks, looking) = (0, Call::within(LOOKING));
        for (key, flow) in store.expired::<Flow>(BATCH).await? {
            let mut ending = Ending::Expired;
            if matches!(flow.value.phase, Phase::Consenting { .. }) && looks < LOOKS {
                looks += 1;
                if self.linking.was_never_verified(&flow.value, &looking).await.unwrap_or(false) {
                    ending = Ending::Unverified;
                }
            }
            carry_on(self.end_flow(&key, flow, ending).await);
        }
        for (key, connection) in store.expired::<ConnectionRecord>(BATCH).await? {
            carry_on(self.end_connection(&key, connection).await);
        }
        store.purge::<StateRecord>(REMOVED_AT_ONCE).await?;
        store.purge::<SessionRecord>(REMOVED_AT_ONCE).await?;
        store.purge::<SessionList>(REMOVED_AT_ONCE).await?;
        store.purge::<HandleRecord>(REMOVED_AT_ONCE).await?;
        store.purge::<PageRecord>(REMOVED_AT_ONCE).await?;
        store.purge::<ClaimRecord>(REMOVED_AT_ONCE).await?;
        store.purge::<PrincipalRecord>(REMOVED_AT_ONCE).await?;
        store.purge::<BrowserRecord>(REMOVED_AT_ONCE).await?;
        store.purge::<HarmfulDeletions>(REMOVED_AT_ONCE).await?;
        store.evict::<SessionRecord>(MOST_SESSIONS, REMOVED_AT_ONCE).await?;
        store.evict::<HandleRecord>(MOST_SESSIONS, REMOVED_AT_ONCE).await?;
        store.evict::<PageRecord>(MOST_SESSIONS, REMOVED_AT_ONCE).await?;
        self.delete_accounts(store).await
    }

    async fn end_connection(
        &self,
        key: &str,
        connection: Versioned<ConnectionRecord>,
    ) -> Result<()> {
        let ConnectionRecord { user, superseded_by, .. } = &connection.value;
        match superseded_by {
            Some(successor) => self.linking.delete_superseded_soon(user, successor).await?,
            None => self.linking.delete_account_soon(user).await?,
        }
        self.linking.store().remove_if::<ConnectionRecord>(key, connection.version).await?;
        Ok(())
    }

    async fn end_flow(&self, key: &str, flow: Versioned<Flow>, ending: Ending) -> Result<()> {
        let Flow { id, principal, user, former_users, phase, .. } = &flow.value;
        // Perhaps a crash came between a step and the deletion that follows from it.
        for former in former_users {
            self.linking.delete_account_soon(former).await?;
        }
        match phase {
            Phase::Done { connection, .. } => {
                if let Some(principal) = principal {
                    self.linking.settle_done(principal, &flow, connection).await?;
                }
            }
            // With the connection: a flow that is undone may have had one.
            Phase::Burned(_) => self.linking.delete_connection(user).await?,
            Phase::Created | Phase::Consenting { .. } | Phase::Verifying { .. } => {
                if flow.value.may_have_account() {
                    self.linking.delete_account_soon(user).await?;
                }
                self.linking.forget_flow(principal.as_ref(), id, Some(ending)).await?;
            }
        }
        self.linking.store().remove_if::<Flow>(key, flow.version).await?;
        Ok(())
    }

    async fn delete_accounts(&self, store: &Store) -> Result<()> {
        let Some(scalekit) = self.linking.scalekit() else { return Ok(()) };
        let call = Call::within(ROUND);
        for (key, due) in store.expired::<DeletionRecord>(BATCH).await? {
            // What was not tried has not failed: it stays due for the next round.
            if call.remaining().is_zero() {
                break;
            }
            // Whoever wrote it down may have come no further, and nobody may read with it any more.
            self.linking.forget_connection(&key).await?;
            // Looked up before: afterwards its own refusal may have been noted already.
            let mut living = None;
            if let Some(successor) = &due.value.successor
                && self.linking.works(successor).await?
            {
                living = Some(successor);
            }
            match scalekit.delete_account(&due.value.user, &call).await {
                Ok(()) => {
                    if let Some(successor) = living {
                        self.look_at_successor(scalekit, successor, &call).await?;
                    }
                    store.remove_if::<DeletionRecord>(&key, due.version).await?;
                }
                Err(failure) => self.postpone(store, &key, &due.value, &failure).await?,
            }
        }
        Ok(())
    }

    async fn look_at_successor(
        &self,
        scalekit: &Scalekit,
        successor: &crate::domain::UserId,
        call: &Call,
    ) -> Result<()> {
        let github = GitHub::through_scalekit(scalekit.clone(), successor.clone());
        match github.viewer(call).await {
            Err(failure) if failure.code == FailureCode::ReauthorizationRequired => {
                if self.linking.note_harmful_deletion(successor).await? {
                    tracing::warn!(
                        "deleting a superseded account revoked its successor too; superseded \
                         accounts are no longer deleted, and this person must reconnect once"
                    );
                }
                Ok(())
            }
            // Anything else says nothing about the deletion.
            _ => Ok(()),
        }
    }

    async fn postpone(
        &self,
        store: &Store,
        key: &str,
        deletion: &DeletionRecord,
        failure: &Failure,
    ) -> Result<()> {
        tracing::warn!(?failure, attempts = deletion.attempts, "an account was not deleted yet");
        let due = self.linking.now() + deletion.backoff();
        let next = DeletionRecord { attempts: deletion.attempts + 1, ..deletion.clone() };
        store.insert(key, &next, due).await?;
        Ok(())
    }
}

/// One record that cannot be handled must not hold up all others; the next round tries again.
fn carry_on(handled: Result<()>) {
    if let Err(failure) = handled {
        tracing::warn!(?failure, "a record was not cleaned up yet");
    }
}

#[cfg(test)]
mod tests;
