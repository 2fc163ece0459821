//! Linking a GitHub account to a principal: the heart of the server.
//!
//! [`AccountLinking::begin`] hands out a link of ours, [`AccountLinking::open`] shows its page,
//! [`AccountLinking::consent`] binds the browser and asks Scalekit for the real link,
//! [`AccountLinking::complete`] takes the callback, [`AccountLinking::status`] tells (and finishes
//! what a crash or a lost callback left half done), [`AccountLinking::disconnect`] ends it.
//!
//! Three rules hold everywhere: data goes to a principal only through an account that was verified
//! in a flow of that principal; an authorization is verified at most once; a flow that has ended
//! never verifies.

mod access;
mod begin;
mod callback;
mod consent;
mod finish;
mod identification;
mod records;
mod repositories;
mod status;
mod trips;

use std::{fmt, sync::Arc};

use tokio::sync::{Notify, OnceCell, watch};
use url::Url;

pub use callback::{Callback, Completed, Identified, Interrupted};
pub use consent::{AuthorizationStep, ConnectPage};
pub use identification::SignedIn;
use trips::{OpenTrips, TripLimits};

use super::{
    connection::{ConnectionRecord, HarmfulDeletions},
    endings::AccessEndings,
    flow::{Ending, Flow, FlowPurpose, Phase},
    keyring::Keyring,
    person::{People, Register},
    principal::{ClientName, Principal, PrincipalRecord},
    session::Sessions,
};
use crate::{
    domain::{
        AuthMode, Clock, Entropy, Failure, FailureCode, FlowId, GitHubAccess, GitHubAccount,
        PrincipalId, Timestamp, UserId, failure::Result,
    },
    store::{Store, Versioned},
    upstream::{Call, github::GitHub, scalekit::Scalekit},
};

/// A link that has at least this long to live is handed out again instead of a new one.
const WORTH_REUSING: chrono::Duration = chrono::Duration::minutes(5);

/// What linking must know of the settings.
#[derive(Debug, Clone)]
pub struct LinkingSettings {
    /// Which principals there are.
    pub mode: AuthMode,
    /// The one origin that forms links.
    pub public_base_url: Url,
}

/// Where GitHub accounts come from.
pub enum Accounts {
    /// Each person's own, linked through Scalekit.
    Linked(Scalekit),
    /// The operator's, by `GITHUB_TOKEN`.
    Token(GitHub),
}

/// A working connection, as it may be shown.
#[derive(Debug, Clone)]
pub struct Connection {
    /// Whose.
    pub account: GitHubAccount,
    /// We verified whose browser linked it (a token is the operator's word).
    pub verified: bool,
    /// When it was linked; `None` for a token.
    pub connected_at: Option<Timestamp>,
    /// By which way GitHub is read.
    pub access: GitHubAccess,
}

/// GitHub as one principal may read it.
#[derive(Debug, Clone)]
pub struct OwnGitHub {
    /// Reads with that principal's account.
    pub github: GitHub,
    /// By which connection; stays inside.
    connection: Option<UserId>,
    /// GitHub's number for the account; `None` for a token.
    account: Option<u64>,
}

/// A link for the person to open.
#[derive(Debug, Clone)]
pub struct PendingLink {
    /// Ours: `{PUBLIC_BASE_URL}/connect/{flow}`.
    pub url: Url,
    /// Until when it works.
    pub expires_at: Timestamp,
    /// Which flow it opens.
    pub flow: FlowId,
}

/// How a principal stands with GitHub.
#[derive(Debug, Clone)]
pub enum Status {
    /// Connected.
    Connected(Connection),
    /// A link was handed out and not yet used to the end.
    Pending(PendingLink),
    /// Never connected, or no longer.
    NotConnected {
        /// How the last attempt ended, if it did without a connection.
        last_ending: Option<Ending>,
    },
    /// It was connected, and GitHub or Scalekit says that it no longer works.
    Expired {
        /// Whose account it was.
        account: GitHubAccount,
        /// How the last attempt to connect it again ended.
        last_ending: Option<Ending>,
    },
}

/// What is said of a connection that no longer works, and of the attempt to repair it.
pub fn no_longer_works(account: &GitHubAccount, last_ending: Option<&Ending>) -> String {
    let mut text = format!("The connection to GitHub as @{} no longer works.", account.login);
    if let Some(ending) = last_ending {
        text.push_str(" The last attempt to connect it again: ");
        text.push_str(&ending.sentence());
    }
    text
}

/// Links GitHub accounts to principals. A cheap handle.
#[derive(Clone)]
pub struct AccountLinking {
    inner: Arc<Inner>,
}

struct Inner {
    settings: LinkingSettings,
    accounts: Accounts,
    token_account: OnceCell<GitHubAccount>,
    store: Store,
    keyring: Keyring,
    people: People,
    sessions: Sessions,
    trips: OpenTrips,
    endings: AccessEndings,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    /// Counts changes of any flow in this process; waiting calls look again when it moves.
    changes: watch::Sender<u64>,
    /// Wakes the sweeper when there is something to delete.
    deletions: Notify,
}

impl fmt::Debug for AccountLinking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountLinking")
            .field("settings", &self.inner.settings)
            .finish_non_exhaustive()
    }
}

impl AccountLinking {
    /// Puts the pieces together. `register`: in `oauth` mode, which alone has persons.
    pub fn new(
        settings: LinkingSettings,
        accounts: Accounts,
        store: Store,
        keyring: Keyring,
        register: Option<Arc<dyn Register>>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                accounts,
                token_account: OnceCell::new(),
                people: People::new(store.clone(), register, entropy.clone()),
                sessions: Sessions::new(
                    store.clone(),
                    settings.mode,
                    clock.clone(),
                    entropy.clone(),
                ),
                settings,
                trips: OpenTrips::new(TripLimits::default()),
                endings: AccessEndings::default(),
                store,
                keyring,
                clock,
                entropy,
                changes: watch::Sender::new(0),
                deletions: Notify::new(),
            }),
        }
    }

    /// Tells whose account was disconnected here.
    pub fn endings(&self) -> &AccessEndings {
        &self.inner.endings
    }

    /// Who asked for a flow; `None` when it is not known or has expired.
    pub async fn principal_of(&self, flow: &FlowId) -> Result<Option<PrincipalId>> {
        Ok(self.flow(flow).await?.and_then(|flow| flow.value.principal))
    }

    /// The principal's own access to GitHub.
    ///
    /// # Errors
    /// `not_connected`, `reauthorization_required`.
    pub async fn github(&self, principal: &Principal, call: &Call) -> Result<OwnGitHub> {
        let scalekit = match &self.inner.accounts {
            Accounts::Token(github) => {
                return Ok(OwnGitHub { github: github.clone(), connection: None, account: None });
            }
            Accounts::Linked(scalekit) => scalekit,
        };
        let own = |connection: ConnectionRecord| OwnGitHub {
            github: GitHub::through_scalekit(scalekit.clone(), connection.user.clone()),
            connection: Some(connection.user),
            account: Some(connection.account.id),
        };
        if let Some(connection) = self.usable_connection(principal).await? {
            return Ok(own(connection));
        }
        // Perhaps a link has just been used to the end without our hearing of it.
        match self.status(principal, call).await? {
            Status::Connected(_) => match self.usable_connection(principal).await? {
                Some(connection) => Ok(own(connection)),
                None => Err(not_connected()),
            },
            Status::Expired { account, last_ending } => Err(Failure::new(
                FailureCode::ReauthorizationRequired,
                no_longer_works(&account, last_ending.as_ref()),
            )),
            Status::Pending(_) | Status::NotConnected { .. } => Err(not_connected()),
        }
    }

    /// Notes that GitHub or Scalekit refused this account, so that the next answer says so at once.
    pub async fn note_refusal(&self, refused: &OwnGitHub) {
        let Some(user) = &refused.connection else { return };
        let noted = self.change_connection(user, |found| found.needs_reauthorization = true).await;
        if let Err(failure) = noted {
            tracing::warn!(?failure, "a refused account was not noted");
        }
    }

    /// The person said no before they opened the link: the flow ends.
    pub async fn decline(&self, flow: &FlowId) -> Result<()> {
        self.burn(flow, Ending::Declined).await?;
        Ok(())
    }

    /// Unlinks GitHub: deletes the account at Scalekit and our record of it, and ends open links.
    ///
    /// # Errors
    /// `invalid_arguments` when the operator's token is used.
    pub async fn disconnect(&self, principal: &Principal) -> Result<()> {
        if self.scalekit().is_none() {
            return Err(Failure::new(
                FailureCode::InvalidArguments,
                "This server reads GitHub with the operator's GITHUB_TOKEN, so there is nothing to \
                 disconnect. To stop it, unset GITHUB_TOKEN and restart the server.",
            ));
        }
        self.disconnect_principal(&principal.id).await
    }

    async fn disconnect_principal(&self, principal: &PrincipalId) -> Result<()> {
        let Some(record) = self.principal_record(principal).await? else { return Ok(()) };
        // The pointer last of all: as long as it is there, whoever tries again finds what to delete.
        let mut deleted = Vec::new();
        if let Some(user) = &record.connection {
            self.delete_connection(user).await?;
            deleted.push(user.clone());
        }
        for user in &record.superseded {
            self.let_go(principal, user, None).await?;
        }
        for flow in &record.flows {
            if !self.burn(flow, Ending::Superseded).await?
                && let Some(Phase::Done { connection, .. }) =
                    self.flow(flow).await?.map(|flow| flow.value.phase)
            {
                // It was done, and the pointer had perhaps not moved yet.
                self.delete_connection(&connection).await?;
                deleted.push(connection);
            }
        }
        self.change_principal(principal, |now| {
            // Their names may be private, and were read with this account.
            now.repositories.clear();
            // Nor is an older failure the reason why nothing is connected now.
            now.last_ending = None;
            now.connection.take_if(|user| deleted.contains(user));
            now.superseded.retain(|user| !record.superseded.contains(user));
            now.flows.retain(|flow| !record.flows.contains(flow));
        })
        .await?;
        self.inner.endings.tell(principal);
        Ok(())
    }

    /// Puts a flow on its principal's list, unless it is over by now: what somebody else has brought
    /// to its end and taken off again must not be open once more. The oldest beyond the limit end.
    async fn list_flow(
        &self,
        principal: &PrincipalId,
        flow: &FlowId,
        github_id: Option<u64>,
    ) -> Result<()> {
        let superseded = self
            .change_principal_of(principal, flow, |record| {
                record.github_id = github_id.or(record.github_id);
                if !record.flows.contains(flow) {
                    record.flows.push(flow.clone());
                }
                record.last_ending = None;
                let over = record.flows.len().saturating_sub(PrincipalRecord::MOST_OPEN_FLOWS);
                record.flows.drain(..over).collect::<Vec<_>>()
            })
            .await?;
        for old in superseded.unwrap_or_default() {
            self.burn(&old, Ending::Superseded).await?;
        }
        Ok(())
    }

    pub(super) fn new_flow(
        &self,
        principal: Option<PrincipalId>,
        purpose: FlowPurpose,
        client: ClientName,
    ) -> Flow {
        Flow {
            id: FlowId::mint(&*self.inner.entropy),
            principal,
            purpose,
            user: UserId::mint(&*self.inner.entropy),
            former_users: Vec::new(),
            client,
            asked_by: None,
            created_at: self.inner.clock.now(),
            phase: Phase::Created,
        }
    }

    /// Which accounts a principal's own flows accept.
    ///
    /// # Errors
    /// `unauthenticated` for a person who is no longer known.
    async fn purpose_for(&self, principal: &Principal) -> Result<FlowPurpose> {
        if self.inner.settings.mode != AuthMode::OAuth {
            return Ok(FlowPurpose::Link);
        }
        let record = self.principal_record(&principal.id).await?;
        match record.and_then(|record| record.github_id) {
            Some(github_id) => Ok(FlowPurpose::Repair { github_id }),
            None => Err(Failure::new(
                FailureCode::Unauthenticated,
                "The person behind this access token is no longer known here.",
            )),
        }
    }

    /// What the principal's data may be read with, noting the use.
    async fn usable_connection(&self, principal: &Principal) -> Result<Option<ConnectionRecord>> {
        let Some(record) = self.principal_record(&principal.id).await? else { return Ok(None) };
        let Some(connection) = self.connection_of(&record).await? else { return Ok(None) };
        if connection.value.needs_reauthorization {
            return Ok(None);
        }
        self.note_use(&connection).await?;
        Ok(Some(connection.value))
    }

    async fn connection_of(
        &self,
        record: &PrincipalRecord,
    ) -> Result<Option<Versioned<ConnectionRecord>>> {
        match &record.connection {
            Some(user) => self.connection(user).await,
            None => Ok(None),
        }
    }

    fn link(&self, flow: &FlowId, expires_at: Timestamp) -> PendingLink {
        let mut url = self.inner.settings.public_base_url.clone();
        url.set_path(&format!("/connect/{}", flow.as_str()));
        PendingLink { url, expires_at, flow: flow.clone() }
    }

    /// Scalekit, unless the operator's token is used.
    pub(super) fn scalekit(&self) -> Option<&Scalekit> {
        match &self.inner.accounts {
            Accounts::Linked(scalekit) => Some(scalekit),
            Accounts::Token(_) => None,
        }
    }

    pub(super) fn store(&self) -> &Store {
        &self.inner.store
    }

    pub(super) fn now(&self) -> Timestamp {
        self.inner.clock.now()
    }

    /// Returns when somebody wants an account deleted.
    pub(super) async fn deletion_wanted(&self) {
        self.inner.deletions.notified().await;
    }

    /// Moves the pointer of a flow that is done, unless that was done already; whether it had to.
    async fn point_if_open(
        &self,
        principal: &PrincipalId,
        flow: &FlowId,
        user: &UserId,
    ) -> Result<bool> {
        let open = self.principal_record(principal).await?.is_some_and(|r| r.flows.contains(flow));
        if open {
            self.point_to(principal, flow, user).await?;
        }
        Ok(open)
    }

    /// Whether this connection exists and, as far as is known, works.
    pub(super) async fn works(&self, user: &UserId) -> Result<bool> {
        let found = self.connection(user).await?;
        Ok(found.is_some_and(|found| !found.value.needs_reauthorization))
    }

    /// Remembers that deleting a superseded account killed its successor, which worked before. False:
    /// the successor is gone, by a disconnect or a newer connection, which says nothing.
    pub(super) async fn note_harmful_deletion(&self, successor: &UserId) -> Result<bool> {
        if self.connection(successor).await?.is_none() {
            return Ok(false);
        }
        let seen_at = self.inner.clock.now();
        let record = HarmfulDeletions { seen_at };
        let expires_at = seen_at + HarmfulDeletions::RETENTION;
        self.inner.store.insert(HarmfulDeletions::KEY, &record, expires_at).await?;
        self.change_connection(successor, |connection| connection.needs_reauthorization = true)
            .await?;
        Ok(true)
    }

    fn announce_change(&self) {
        self.inner.changes.send_modify(|count| *count = count.wrapping_add(1));
    }
}

fn not_connected() -> Box<Failure> {
    Failure::new(FailureCode::NotConnected, "No GitHub account is connected yet.")
}

#[cfg(test)]
mod tests;
