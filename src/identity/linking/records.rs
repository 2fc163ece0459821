//! How linking reads and changes its records: always compare-and-set, always under the mode's key.

use super::{
    super::{
        connection::{BrowserRecord, ConnectionRecord, DeletionRecord, HarmfulDeletions},
        flow::{Ending, Flow, FlowPurpose, LIFETIME, Phase},
        principal::{PrincipalRecord, key},
    },
    AccountLinking,
};
use crate::{
    domain::{
        AuthMode, Failure, FailureCode, FlowId, PrincipalId, Timestamp, UserId, failure::Result,
    },
    measure,
    store::{Change, Record, Versioned},
};

/// How often a compare-and-set is tried before giving up; each loser waits for another's progress.
const TRIES: usize = 32;

/// A principal without a machine of its own is forgotten when its session or handle must be gone.
const PRINCIPAL_RETENTION: chrono::Duration = chrono::Duration::days(7);

/// Uses of a connection are noted only this often.
const NOTE_USE_EVERY: chrono::Duration = chrono::Duration::hours(1);

impl AccountLinking {
    pub(super) fn key(&self, id: &str) -> String {
        key(self.inner.settings.mode, id)
    }

    pub(super) async fn flow(&self, id: &FlowId) -> Result<Option<Versioned<Flow>>> {
        self.inner.store.get(&self.key(id.as_str())).await
    }

    /// Writes the flow's next phase; false if somebody else moved it first.
    pub(super) async fn advance(&self, flow: &Versioned<Flow>, phase: Phase) -> Result<bool> {
        self.advance_for(flow, flow.value.principal.clone(), phase).await
    }

    /// The same, when it has become known whose flow it is.
    pub(super) async fn advance_for(
        &self,
        flow: &Versioned<Flow>,
        principal: Option<PrincipalId>,
        phase: Phase,
    ) -> Result<bool> {
        self.write_next(flow, Flow { principal, phase, ..flow.value.clone() }).await
    }

    /// The same, with another identifier at Scalekit; the former one is kept until it is deleted.
    pub(super) async fn advance_under(
        &self,
        flow: &Versioned<Flow>,
        user: UserId,
        phase: Phase,
    ) -> Result<bool> {
        let mut next = Flow { phase, ..flow.value.clone() };
        if user != next.user {
            next.former_users.push(std::mem::replace(&mut next.user, user));
        }
        self.write_next(flow, next).await
    }

    async fn write_next(&self, flow: &Versioned<Flow>, mut next: Flow) -> Result<bool> {
        if let (Phase::Burned(_), FlowPurpose::Identify { continuation }) =
            (&next.phase, &mut next.purpose)
        {
            // Nothing goes on, and it may be long: whoever begins and ends flows must not fill the
            // store with it.
            continuation.clear();
        }
        // What was verified must be finished, however late the person came.
        let expires_at = match next.phase {
            Phase::Verifying { .. } => self.inner.clock.now() + LIFETIME,
            _ => flow.expires_at,
        };
        let key = self.key(flow.value.id.as_str());
        let moved = self.inner.store.replace(&key, flow.version, &next, expires_at).await?;
        if moved {
            if !next.waits_for_browser() {
                self.inner.trips.end(&next.id);
            }
            self.announce_change();
        }
        Ok(moved)
    }

    /// Ends a flow without a connection, and has its account deleted at Scalekit. False: the flow
    /// is done, and stays done.
    pub(in super::super) async fn burn(&self, id: &FlowId, ending: Ending) -> Result<bool> {
        for _ in 0..TRIES {
            let Some(flow) = self.flow(id).await? else { return Ok(true) };
            match flow.value.phase {
                Phase::Done { .. } => return Ok(false),
                Phase::Burned(_) => return Ok(true),
                _ => {}
            }
            if self.burn_as_seen(&flow, ending.clone()).await? {
                return Ok(true);
            }
        }
        Err(contention())
    }

    /// The same, if the flow is still as it was seen. False: it has moved on, and is left alone.
    pub(super) async fn burn_as_seen(
        &self,
        flow: &Versioned<Flow>,
        ending: Ending,
    ) -> Result<bool> {
        // Deleted only once it has ended: who loses the race to a callback must not delete what
        // that has just connected. After a crash in between the sweeper deletes it.
        if !self.advance(flow, Phase::Burned(ending.clone())).await? {
            return Ok(false);
        }
        let Flow { id, user, principal, .. } = &flow.value;
        measure::flow_ended(ending.slug());
        tracing::info!(?id, ending = ending.slug(), "a flow ended without a connection");
        if ending == Ending::Unverified {
            tell_the_operator();
        }
        if flow.value.may_have_account() {
            self.delete_account_soon(user).await?;
        }
        self.forget_flow(principal.as_ref(), id, Some(ending)).await?;
        Ok(true)
    }

    /// Takes the flow off its principal's list of open ones.
    pub(in super::super) async fn forget_flow(
        &self,
        principal: Option<&PrincipalId>,
        id: &FlowId,
        ending: Option<Ending>,
    ) -> Result<()> {
        let Some(principal) = principal else { return Ok(()) };
        let now = self.inner.clock.now();
        // A principal that is gone must not come back for this.
        let key = self.key(principal.as_str());
        self.inner
            .store
            .update::<PrincipalRecord, _>(&key, |found| {
                found.value.flows.retain(|open| open != id);
                if let Some(ending) = &ending
                    && *ending != Ending::Superseded
                {
                    found.value.last_ending = Some((ending.clone(), now));
                }
                Change::Write(())
            })
            .await?;
        Ok(())
    }

    pub(super) async fn principal_record(
        &self,
        id: &PrincipalId,
    ) -> Result<Option<PrincipalRecord>> {
        let found = self.inner.store.get::<PrincipalRecord>(&self.key(id.as_str())).await?;
        Ok(found.map(|found| found.value))
    }

    /// Changes what is kept about a principal, making a record if there is none.
    pub(super) async fn change_principal<T>(
        &self,
        id: &PrincipalId,
        mut change: impl FnMut(&mut PrincipalRecord) -> T,
    ) -> Result<T> {
        self.change_or_insert(&self.key(id.as_str()), self.principal_expiry(), &mut change).await
    }

    /// The same, unless this flow of theirs is over: `None`. Whoever brings it to its end changes the
    /// record afterwards, so the flow is looked at after the record, and before that is changed.
    pub(super) async fn change_principal_of<T>(
        &self,
        id: &PrincipalId,
        flow: &FlowId,
        mut change: impl FnMut(&mut PrincipalRecord) -> T,
    ) -> Result<Option<T>> {
        let key = self.key(id.as_str());
        for _ in 0..TRIES {
            let found = self.inner.store.get::<PrincipalRecord>(&key).await?;
            if self.flow(flow).await?.is_none_or(|flow| flow.value.is_over()) {
                return Ok(None);
            }
            let expires_at = self.principal_expiry();
            let written = self.write_changed(&key, found, expires_at, &mut change).await?;
            if written.is_some() {
                return Ok(written);
            }
        }
        Err(contention())
    }

    fn principal_expiry(&self) -> Timestamp {
        match self.inner.settings.mode {
            AuthMode::Session => self.inner.clock.now() + PRINCIPAL_RETENTION,
            AuthMode::SingleUser | AuthMode::OAuth => Timestamp::MAX_UTC,
        }
    }

    pub(super) async fn connection(
        &self,
        user: &UserId,
    ) -> Result<Option<Versioned<ConnectionRecord>>> {
        self.inner.store.get(&self.key(&user.digest())).await
    }

    /// Changes a connection; false if there is none.
    pub(super) async fn change_connection(
        &self,
        user: &UserId,
        mut change: impl FnMut(&mut ConnectionRecord) + Send,
    ) -> Result<bool> {
        let key = self.key(&user.digest());
        let changed = self
            .inner
            .store
            .update::<ConnectionRecord, _>(&key, |found| {
                change(&mut found.value);
                Change::Write(())
            })
            .await?;
        Ok(changed.is_some())
    }

    /// Keeps a connection that is in use; a lost race means that somebody else just did.
    pub(super) async fn note_use(&self, connection: &Versioned<ConnectionRecord>) -> Result<()> {
        let now = self.inner.clock.now();
        if now - connection.value.last_used_at < NOTE_USE_EVERY {
            return Ok(());
        }
        let used = ConnectionRecord { last_used_at: now, ..connection.value.clone() };
        let expires_at = now + ConnectionRecord::retention(self.inner.settings.mode);
        let key = self.key(&used.user.digest());
        self.inner.store.replace(&key, connection.version, &used, expires_at).await?;
        Ok(())
    }

    /// Removes a connection here and at Scalekit; its principals are then not connected.
    pub(in super::super) async fn delete_connection(&self, user: &UserId) -> Result<()> {
        self.delete_account_soon(user).await?;
        self.forget_connection(&self.key(&user.digest())).await
    }

    /// Removes a connection here, by its key; that Scalekit must forget it was written down.
    pub(in super::super) async fn forget_connection(&self, key: &str) -> Result<()> {
        let found = self.inner.store.get::<ConnectionRecord>(key).await?;
        if self.inner.store.remove::<ConnectionRecord>(key).await? {
            self.announce_change();
        }
        for principal in found.iter().flat_map(|found| &found.value.principals) {
            self.inner.endings.tell(principal);
        }
        Ok(())
    }

    /// Takes the principal off a connection, which ends with its last one. `successor`: what they go
    /// on with, if anything.
    pub(super) async fn let_go(
        &self,
        principal: &PrincipalId,
        user: &UserId,
        successor: Option<&UserId>,
    ) -> Result<()> {
        let now = self.inner.clock.now();
        let is_over = self
            .inner
            .store
            .update::<ConnectionRecord, _>(&self.key(&user.digest()), |found| {
                found.value.principals.retain(|other| other != principal);
                let is_over = found.value.principals.is_empty();
                if is_over {
                    // Absent for everybody from now on, and there for the sweeper: in one write, so
                    // that no account is forgotten before somebody has to delete it.
                    found.expires_at = now;
                    found.value.superseded_by = successor.cloned();
                }
                Change::Write(is_over)
            })
            .await?;
        if is_over == Some(true) {
            self.inner.deletions.notify_one();
        }
        Ok(())
    }

    /// Lets go of the connections that the principal's pointer has left.
    pub(super) async fn let_go_of_superseded(&self, principal: &PrincipalId) -> Result<()> {
        let Some(record) = self.principal_record(principal).await? else { return Ok(()) };
        if record.superseded.is_empty() {
            return Ok(());
        }
        for user in
            record.superseded.iter().filter(|user| Some(*user) != record.connection.as_ref())
        {
            self.let_go(principal, user, record.connection.as_ref()).await?;
        }
        self.inner
            .store
            .update::<PrincipalRecord, _>(&self.key(principal.as_str()), |found| {
                found.value.superseded.retain(|user| !record.superseded.contains(user));
                Change::Write(())
            })
            .await?;
        Ok(())
    }

    /// Writes down that Scalekit must forget an account that `successor` took the place of. Whether
    /// that revokes only its own token or GitHub's whole grant to that person is not documented, so
    /// the successor is looked at afterwards, and where one died no further ones are deleted.
    pub(in super::super) async fn delete_superseded_soon(
        &self,
        user: &UserId,
        successor: &UserId,
    ) -> Result<()> {
        let harmful = self.inner.store.get::<HarmfulDeletions>(HarmfulDeletions::KEY).await?;
        match harmful {
            None => self.delete_soon(DeletionRecord::superseded(user, successor)).await,
            Some(_) => Ok(()),
        }
    }

    /// Writes down that Scalekit must forget the account, and wakes the sweeper to tell it.
    pub(in super::super) async fn delete_account_soon(&self, user: &UserId) -> Result<()> {
        self.delete_soon(DeletionRecord::of(user)).await
    }

    async fn delete_soon(&self, deletion: DeletionRecord) -> Result<()> {
        // A record that expires now is due now.
        let due = self.inner.clock.now();
        self.inner.store.insert(&self.key(&deletion.user.digest()), &deletion, due).await?;
        self.inner.deletions.notify_one();
        Ok(())
    }

    pub(super) async fn browser_record(&self, digest: &str) -> Result<Option<BrowserRecord>> {
        let found = self.inner.store.get::<BrowserRecord>(&self.key(digest)).await?;
        Ok(found.map(|found| found.value))
    }

    /// Remembers that this browser linked this account.
    pub(super) async fn remember_in_browser(&self, digest: &str, user: &UserId) -> Result<()> {
        self.change_browser(digest, |record| record.add(user)).await
    }

    pub(super) async fn change_browser(
        &self,
        digest: &str,
        mut change: impl FnMut(&mut BrowserRecord),
    ) -> Result<()> {
        let expires_at = self.inner.clock.now() + BrowserRecord::RETENTION;
        self.change_or_insert(&self.key(digest), expires_at, &mut change).await
    }

    pub(super) async fn remove_principal(&self, id: &PrincipalId) -> Result<()> {
        self.inner.store.remove::<PrincipalRecord>(&self.key(id.as_str())).await?;
        Ok(())
    }

    async fn change_or_insert<R: Record + Default, T>(
        &self,
        key: &str,
        expires_at: Timestamp,
        change: &mut impl FnMut(&mut R) -> T,
    ) -> Result<T> {
        for _ in 0..TRIES {
            let found = self.inner.store.get::<R>(key).await?;
            if let Some(outcome) = self.write_changed(key, found, expires_at, change).await? {
                return Ok(outcome);
            }
        }
        Err(contention())
    }

    /// `None`: somebody else has changed it since it was found.
    async fn write_changed<R: Record + Default, T>(
        &self,
        key: &str,
        found: Option<Versioned<R>>,
        expires_at: Timestamp,
        change: &mut impl FnMut(&mut R) -> T,
    ) -> Result<Option<T>> {
        let version = found.as_ref().map(|found| found.version);
        let mut record = found.map(|found| found.value).unwrap_or_default();
        let outcome = change(&mut record);
        let written = match version {
            Some(version) => self.inner.store.replace(key, version, &record, expires_at).await?,
            None => self.inner.store.insert(key, &record, expires_at).await?,
        };
        Ok(written.then_some(outcome))
    }
}

/// Nobody else can change it, and no person who stands before it knows what it means.
pub(super) fn tell_the_operator() {
    tracing::error!(
        "the Scalekit dashboard is in Scalekit-users-only mode, so nobody can connect GitHub: switch \
         it to custom user verification"
    );
}

fn contention() -> Box<Failure> {
    Failure::new(FailureCode::Internal, "Too many changes at once; nothing was changed here.")
}
