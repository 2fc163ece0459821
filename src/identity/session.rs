//! From what a request carries to the principal behind it.
//!
//! A legacy MCP session is a record of ours in the store (1 KiB at most, whatever keeps it), nothing
//! live: any instance can serve it and a restart loses none. A client without sessions passes a connection
//! handle. Both are bearer secrets of this machine and kept only as SHA-256.

mod page;
mod share;

use std::sync::Arc;

use chrono::{Duration, SubsecRound as _};
use serde::{Deserialize, Serialize};

pub use page::{PageKey, PageRecord};
pub use share::{MOST_OF_ONE_PERSON, SessionList};

use super::principal::{ClientName, Principal, key};
use crate::{
    domain::{
        AuthMode, Clock, ConnectionHandle, Entropy, Failure, FailureCode, PrincipalId, SessionId,
        Timestamp, failure::Result, identifier::sha256_hex,
    },
    store::{Record, Store, Versioned},
};

/// How long a session or handle may be idle.
const IDLE: Duration = Duration::hours(12);
/// How long a session or handle lives at most.
const ABSOLUTE: Duration = Duration::days(7);
/// Uses are noted only this often, so that a call costs no write.
const TOUCH_EVERY: Duration = Duration::minutes(10);
/// How many sessions, and how many handles, are kept in all; the longest idle go first.
pub const MOST_SESSIONS: u64 = 100_000;

/// A legacy MCP session, as `initialize` opened it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SessionRecord {
    /// Whom it belongs to.
    pub principal: PrincipalId,
    /// What the program calls itself.
    pub client: ClientName,
    /// When it was opened, in whole seconds.
    pub created_at: Timestamp,
    /// When it was last used, to [`TOUCH_EVERY`].
    pub last_used_at: Timestamp,
}

impl Record for SessionRecord {
    const KIND: &'static str = "session";
    const IS_READ_OFTEN: bool = true;
}

/// A connection handle, as `connect_github` gave it to a client without sessions.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HandleRecord {
    /// Whom it belongs to.
    pub principal: PrincipalId,
    /// When it was given.
    pub created_at: Timestamp,
    /// When it was last used, to [`TOUCH_EVERY`].
    pub last_used_at: Timestamp,
}

impl Record for HandleRecord {
    const KIND: &'static str = "handle";
    const IS_READ_OFTEN: bool = true;
}

/// The one principal of this machine in `single-user` mode.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MachineRecord {
    /// Minted once.
    pub principal: PrincipalId,
}

impl MachineRecord {
    /// There is one.
    const KEY: &'static str = "this";
}

impl Record for MachineRecord {
    const KIND: &'static str = "machine";
    const IS_READ_OFTEN: bool = true;
}

/// A sealed request state that was used.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ClaimRecord {}

impl Record for ClaimRecord {
    const KIND: &'static str = "claim";
}

/// What the kinds of bearer records have in common.
trait Bearer: Record + Clone {
    fn principal(&self) -> &PrincipalId;
    fn created_at(&self) -> Timestamp;
    fn last_used_at(&mut self) -> &mut Timestamp;
}

macro_rules! bearers {
    ($($record:ty),+) => {$(
        impl Bearer for $record {
            fn principal(&self) -> &PrincipalId {
                &self.principal
            }
            fn created_at(&self) -> Timestamp {
                self.created_at
            }
            fn last_used_at(&mut self) -> &mut Timestamp {
                &mut self.last_used_at
            }
        }
    )+};
}

bearers!(SessionRecord, HandleRecord, PageRecord);

/// Finds the principal of a request.
#[derive(Debug, Clone)]
pub struct Sessions {
    store: Store,
    mode: AuthMode,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl Sessions {
    /// Sessions of one mode on one store.
    pub fn new(
        store: Store,
        mode: AuthMode,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self { store, mode, clock, entropy }
    }

    /// Which mode these sessions are of.
    pub fn mode(&self) -> AuthMode {
        self.mode
    }

    /// Opens a session for the program that sent `initialize`: the token's person's, where there is
    /// a token. Of a person's [`MOST_OF_ONE_PERSON`] the longest idle ends for it.
    pub async fn open(
        &self,
        client: ClientName,
        token_of: Option<&PrincipalId>,
    ) -> Result<SessionId> {
        let id = SessionId::mint(&*self.entropy);
        let now = self.now();
        let principal = match (self.mode, token_of) {
            (AuthMode::Session, _) => PrincipalId::mint(&*self.entropy),
            (AuthMode::SingleUser, _) => self.machine(ClientName::default()).await?.id,
            (AuthMode::OAuth, Some(principal)) => principal.clone(),
            // Only a token says who a person is.
            (AuthMode::OAuth, None) => {
                return Err(Failure::new(
                    FailureCode::Unauthenticated,
                    "This request does not prove who is calling.",
                ));
            }
        };
        let record = SessionRecord { principal, client, created_at: now, last_used_at: now };
        if self.mode == AuthMode::OAuth {
            self.keep_listed(&id.digest(), &record).await?;
        } else {
            self.store.insert(&self.key(&id.digest()), &record, now + IDLE).await?;
        }
        Ok(id)
    }

    /// The principal of a session; `None` if it is unknown, expired or of another mode.
    /// A session of somebody else than the token's person is as unknown as any.
    pub async fn find(
        &self,
        id: &SessionId,
        token_of: Option<&PrincipalId>,
    ) -> Result<Option<Principal>> {
        let key = self.key(&id.digest());
        let Some(found) = self.store.get::<SessionRecord>(&key).await? else { return Ok(None) };
        if self.mode == AuthMode::OAuth && token_of != Some(&found.value.principal) {
            return Ok(None);
        }
        let client = found.value.client.clone();
        let is_idle = self.now() - found.value.last_used_at >= TOUCH_EVERY;
        let principal = self.touched(&key, found).await?;
        if is_idle && self.mode == AuthMode::OAuth {
            self.note_listed_use(&principal, &id.digest()).await?;
        }
        Ok(Some(Principal { id: principal, client }))
    }

    /// Ends a session; false if there was none, or it is somebody else's.
    pub async fn close(&self, id: &SessionId, token_of: Option<&PrincipalId>) -> Result<bool> {
        let Some(principal) = self.find(id, token_of).await? else { return Ok(false) };
        if self.mode == AuthMode::OAuth {
            self.unlist(&principal.id, &id.digest()).await?;
        }
        self.store.remove::<SessionRecord>(&self.key(&id.digest())).await
    }

    /// A new principal that nothing leads to yet.
    pub fn stranger(&self, client: ClientName) -> Principal {
        Principal { id: PrincipalId::mint(&*self.entropy), client }
    }

    /// A new principal with a handle of its own, for a client without sessions.
    pub async fn new_handle(&self, client: ClientName) -> Result<(ConnectionHandle, Principal)> {
        let principal = self.stranger(client);
        Ok((self.handle_for(&principal.id).await?, principal))
    }

    /// A handle that leads to this principal.
    pub async fn handle_for(&self, principal: &PrincipalId) -> Result<ConnectionHandle> {
        let handle = ConnectionHandle::mint(&*self.entropy);
        let now = self.now();
        let record =
            HandleRecord { principal: principal.clone(), created_at: now, last_used_at: now };
        self.store.insert(&self.key(&handle.digest()), &record, now + IDLE).await?;
        Ok(handle)
    }

    /// Takes a sealed request state out of circulation; false if that was done before.
    pub async fn claim_once(&self, sealed: &str) -> Result<bool> {
        let expires_at = self.clock.now() + super::flow::LIFETIME;
        let key = self.key(&sha256_hex(sealed.as_bytes()));
        self.store.insert(&key, &ClaimRecord {}, expires_at).await
    }

    /// The principal of a handle; `None` if it is unknown, expired or of another mode.
    pub async fn find_handle(
        &self,
        handle: &ConnectionHandle,
        client: ClientName,
    ) -> Result<Option<Principal>> {
        // A person is proven by a token and by nothing else.
        if self.mode == AuthMode::OAuth {
            return Ok(None);
        }
        let key = self.key(&handle.digest());
        let Some(found) = self.store.get::<HandleRecord>(&key).await? else { return Ok(None) };
        let id = self.touched(&key, found).await?;
        Ok(Some(Principal { id, client }))
    }

    /// The one principal of this machine.
    pub async fn machine(&self, client: ClientName) -> Result<Principal> {
        let key = self.key(MachineRecord::KEY);
        loop {
            if let Some(id) = self.known_machine().await? {
                return Ok(Principal { id, client });
            }
            let record = MachineRecord { principal: PrincipalId::mint(&*self.entropy) };
            // Whoever loses the race reads what the winner wrote.
            self.store.insert(&key, &record, Timestamp::MAX_UTC).await?;
        }
    }

    async fn known_machine(&self) -> Result<Option<PrincipalId>> {
        let found = self.store.get::<MachineRecord>(&self.key(MachineRecord::KEY)).await?;
        Ok(found.map(|found| found.value.principal))
    }

    async fn touched<R: Bearer>(&self, key: &str, mut found: Versioned<R>) -> Result<PrincipalId> {
        let now = self.now();
        if now - *found.value.last_used_at() >= TOUCH_EVERY {
            *found.value.last_used_at() = now;
            let expires_at = (now + IDLE).min(found.value.created_at() + ABSOLUTE);
            // A lost race means that another request has just noted its own use.
            self.store.replace(key, found.version, &found.value, expires_at).await?;
        }
        Ok(found.value.principal().clone())
    }

    fn key(&self, digest: &str) -> String {
        key(self.mode, digest)
    }

    /// In whole seconds: nobody asks for fractions, and a record is smaller without.
    fn now(&self) -> Timestamp {
        self.clock.now().trunc_subsecs(0)
    }
}

#[cfg(test)]
mod tests;
