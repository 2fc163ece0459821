//! Grants: what a person allowed a client, with all the tokens that stand for it.
//!
//! A grant is a family of tokens in **one** record. Rotation, grace, reuse and revocation are each
//! one compare-and-set, and when the record is gone so is every token of it, at once and in every
//! instance. A second record per person lists the grants, so that the person can see and end them.
//!
//! Refresh tokens rotate at each use. Hosts refresh in parallel and lose answers, so a token that
//! was just replaced still fetches access tokens for [`GRACE`]; any older one proves that two
//! parties hold the family, and ends it (RFC 9700 section 4.14.2).

use std::sync::Arc;

use chrono::Duration;
use serde::{Deserialize, Serialize};

pub use self::admission::Admission;
use super::{
    Person,
    authorize::{Asker, AuthorizationRequest},
    error::{ErrorCode, OAuthError},
    metadata::Scope,
    token::{
        ACCESS_SECONDS, Digest, Family, Presented, TokenAnswer, Unauthorized, mint_access,
        mint_refresh,
    },
};
use crate::{
    domain::{
        Clock, Entropy, PrincipalId, Secret, Timestamp, failure::Result as Fallible,
        identifier::sha256_hex,
    },
    identity::AccessEndings,
    store::{Change, Record, Store, Version, Versioned},
};
use secrecy::ExposeSecret as _;

/// How long a grant lives without a refresh.
const IDLE: Duration = Duration::days(30);
/// How long a grant lives at most; then the person is asked again.
const ABSOLUTE: Duration = Duration::days(90);
/// How long a refresh token that was replaced still fetches access tokens.
pub const GRACE: Duration = Duration::seconds(120);
/// How often it does.
pub const MOST_GRACES: u32 = 10;
/// How many replaced refresh tokens of the last [`GRACE`] are remembered.
const MOST_ROTATED: usize = 8;
/// How many access tokens of a grant are good at the same time; the oldest goes first.
const MOST_ACCESS: usize = 16;
/// How many grants a person has; the longest unused goes first.
pub const MOST_GRANTS: usize = 64;
/// Uses are noted only this often, so that a call costs no write.
const TOUCH_EVERY: Duration = Duration::minutes(10);
/// How long a person without a live grant is remembered.
const KEEP_PERSON: Duration = Duration::days(30);

/// Names a grant on the person's page and in the store. No credential: tokens hold what it is the
/// digest of.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GrantId(String);

impl GrantId {
    fn at(locator: &str) -> Self {
        Self(sha256_hex(locator.as_bytes()))
    }

    /// Reads what may be such a name.
    pub fn parse(text: &str) -> Option<Self> {
        let hex = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        (text.len() == 64 && text.bytes().all(hex)).then(|| Self(text.to_owned()))
    }

    /// The characters, for a form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What the person allowed, and to whom.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Terms {
    person: Person,
    /// The digest of the `client_id`.
    client: String,
    asker: Asker,
    scope: Scope,
    resource: String,
}

impl Terms {
    pub(super) fn new(request: &AuthorizationRequest, person: Person, resource: &str) -> Self {
        Self {
            person,
            client: request.client.id.digest(),
            asker: request.asker(),
            scope: request.scope,
            resource: resource.to_owned(),
        }
    }

    pub(super) fn is_of(&self, client: &str) -> bool {
        self.client == client
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct GrantRecord {
    terms: Terms,
    created_at: Timestamp,
    last_used_at: Timestamp,
    /// What all refresh tokens of the family show, and no access token.
    mark: Digest,
    /// The refresh token that is good now.
    refresh: Digest,
    /// Those it replaced within the last [`GRACE`], oldest first.
    rotated: Vec<Rotated>,
    /// Good access tokens, oldest first.
    access: Vec<AccessToken>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Rotated {
    digest: Digest,
    at: Timestamp,
    graces: u32,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct AccessToken {
    digest: Digest,
    expires_at: Timestamp,
}

impl Record for GrantRecord {
    const KIND: &'static str = "oauth-grant";
    const IS_READ_OFTEN: bool = true;
}

impl GrantRecord {
    fn expires_at(&self, now: Timestamp) -> Timestamp {
        (now + IDLE).min(self.created_at + ABSOLUTE)
    }

    fn add_access(&mut self, token: &Secret, now: Timestamp) {
        self.access.retain(|token| token.expires_at > now);
        let surplus = (self.access.len() + 1).saturating_sub(MOST_ACCESS);
        self.access.drain(..surplus);
        let expires_at = now + Duration::seconds(ACCESS_SECONDS);
        self.access.push(AccessToken { digest: Digest::of(token.expose_secret()), expires_at });
    }
}

/// A person's grants. Expires when the person has had no live grant for [`KEEP_PERSON`].
#[derive(Debug, Clone, Serialize, Deserialize)]
struct PersonGrants {
    person: Person,
    /// Changes when everything is revoked; a code of an earlier epoch opens nothing.
    epoch: String,
    grants: Vec<GrantId>,
}

impl Record for PersonGrants {
    const KIND: &'static str = "oauth-person";
}

/// What a good access token says.
#[derive(Debug, Clone)]
pub struct Access {
    /// For whom the client acts.
    pub principal: PrincipalId,
    /// By which grant; ask [`Grants::still_stands`] before the answer is given.
    pub admission: Admission,
    /// Who the client is, as far as it is known.
    pub client: Asker,
    /// What it may do.
    pub scope: Scope,
}

/// A grant as its person sees it.
#[derive(Debug, Clone)]
pub struct GrantView {
    /// Names it in a form.
    pub id: GrantId,
    /// Who the client is, as far as it is known.
    pub client: Asker,
    /// Since when.
    pub created_at: Timestamp,
    /// When the client last did something, to ten minutes.
    pub last_used_at: Timestamp,
}

/// A person who has had no live grant for so long that they are to be forgotten.
#[derive(Debug, Clone)]
pub struct Abandoned {
    /// Who.
    pub person: Person,
    key: String,
    version: Version,
}

/// Opens, checks, refreshes and ends grants.
#[derive(Debug, Clone)]
pub struct Grants {
    store: Store,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    endings: AccessEndings,
}

/// What a presented refresh token turned out to be.
enum Refreshed {
    Rotated { scope: Scope, expires_at: Timestamp },
    Graced { scope: Scope },
    Reused,
    Refused,
}

impl Grants {
    /// Grants on one store.
    pub fn new(store: Store, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self { store, clock, entropy, endings: AccessEndings::default() }
    }

    /// Who may do what with this access token at `resource`.
    pub async fn check_access(
        &self,
        token: &str,
        resource: &str,
    ) -> Fallible<Result<Access, Unauthorized>> {
        let Some(Presented::Access { locator }) = Presented::parse(token) else {
            return Ok(Err(Unauthorized::Invalid));
        };
        let admission = self.admission(GrantId::at(locator));
        let id = admission.grant();
        let Some(mut found) = self.store.get::<GrantRecord>(id.as_str()).await? else {
            return Ok(Err(Unauthorized::Invalid));
        };
        let (now, digest) = (self.clock.now(), Digest::of(token));
        let is_good = found.value.terms.resource == resource
            && found.value.access.iter().any(|own| own.digest.is(&digest) && own.expires_at > now);
        if !is_good {
            return Ok(Err(Unauthorized::Invalid));
        }
        if now - found.value.last_used_at >= TOUCH_EVERY {
            found.value.last_used_at = now;
            // A lost race means that another request has just noted its own use.
            let Versioned { value, version, expires_at } = &found;
            self.store.replace(id.as_str(), *version, value, *expires_at).await?;
        }
        let Terms { person, asker, scope, .. } = found.value.terms;
        Ok(Ok(Access { principal: person.principal, admission, client: asker, scope }))
    }

    /// Tells whose grants end here.
    pub fn endings(&self) -> &AccessEndings {
        &self.endings
    }

    /// Whether a grant stands now.
    async fn is_live(&self, id: &GrantId) -> Fallible<bool> {
        Ok(self.store.get::<GrantRecord>(id.as_str()).await?.is_some())
    }

    /// A fresh access token for a refresh token, and the next refresh token unless the client has
    /// it already. `client` is the digest of its `client_id`.
    ///
    /// # Errors
    /// `invalid_grant`.
    pub(super) async fn refresh(
        &self,
        token: &str,
        client: &str,
    ) -> Result<TokenAnswer, OAuthError> {
        let Some(Presented::Refresh { locator, mark }) = Presented::parse(token) else {
            return Err(invalid_grant());
        };
        let id = GrantId::at(locator);
        let (digest, family_mark) = (Digest::of(token), Digest::of(mark));
        let access = mint_access(locator, &*self.entropy);
        let next = mint_refresh(locator, mark, &*self.entropy);
        let now = self.clock.now();
        let outcome = self
            .store
            .update(id.as_str(), |found: &mut Versioned<GrantRecord>| {
                let grant = &mut found.value;
                let scope = grant.terms.scope;
                if !grant.mark.is(&family_mark) || !grant.terms.is_of(client) {
                    return Change::Leave(Refreshed::Refused);
                }
                grant.rotated.retain(|old| now - old.at <= GRACE);
                if grant.refresh.is(&digest) {
                    let surplus = (grant.rotated.len() + 1).saturating_sub(MOST_ROTATED);
                    grant.rotated.drain(..surplus);
                    grant.rotated.push(Rotated { digest: digest.clone(), at: now, graces: 0 });
                    grant.refresh = Digest::of(next.expose_secret());
                    grant.add_access(&access, now);
                    grant.last_used_at = now;
                    let expires_at = grant.expires_at(now);
                    found.expires_at = expires_at;
                    return Change::Write(Refreshed::Rotated { scope, expires_at });
                }
                let old = grant.rotated.iter_mut().find(|old| old.digest.is(&digest));
                match old.filter(|old| old.graces < MOST_GRACES) {
                    Some(old) => {
                        old.graces += 1;
                        grant.add_access(&access, now);
                        Change::Write(Refreshed::Graced { scope })
                    }
                    None => Change::Leave(Refreshed::Reused),
                }
            })
            .await?;
        match outcome.unwrap_or(Refreshed::Refused) {
            Refreshed::Rotated { scope, expires_at } => {
                if !self.keep_person(&id, expires_at).await? {
                    // Its list was lost with a dropped secret.
                    self.end(&id).await?;
                    return Err(invalid_grant());
                }
                Ok(TokenAnswer { access_token: access, refresh_token: Some(next), scope })
            }
            Refreshed::Graced { scope } => {
                Ok(TokenAnswer { access_token: access, refresh_token: None, scope })
            }
            Refreshed::Reused => {
                self.end(&id).await?;
                Err(invalid_grant())
            }
            Refreshed::Refused => Err(invalid_grant()),
        }
    }

    /// Ends what a token stands for (RFC 7009): an access token alone, by a refresh token of any age
    /// the whole grant. What is no token (any more) is no error. `client` is the digest of its
    /// `client_id`.
    ///
    /// # Errors
    /// `invalid_grant` for another client's token (section 2.1), which is left as it is.
    pub(super) async fn revoke_token(&self, token: &str, client: &str) -> Result<(), OAuthError> {
        let Some(presented) = Presented::parse(token) else { return Ok(()) };
        let id = GrantId::at(presented.locator());
        let Some(found) = self.store.get::<GrantRecord>(id.as_str()).await? else { return Ok(()) };
        let (grant, digest) = (found.value, Digest::of(token));
        let is_known = match presented {
            Presented::Access { .. } => grant.access.iter().any(|own| own.digest.is(&digest)),
            Presented::Refresh { mark, .. } => grant.mark.is(&Digest::of(mark)),
        };
        if !is_known {
            return Ok(());
        }
        if !grant.terms.is_of(client) {
            return Err(invalid_grant());
        }
        match presented {
            Presented::Access { .. } => {
                self.store
                    .update(id.as_str(), |found: &mut Versioned<GrantRecord>| {
                        found.value.access.retain(|own| !own.digest.is(&digest));
                        Change::Write(())
                    })
                    .await?;
            }
            Presented::Refresh { .. } => self.end(&id).await?,
        }
        Ok(())
    }

    /// Opens a grant on these terms, if nothing was revoked since `epoch`.
    ///
    /// # Errors
    /// `invalid_grant`.
    pub(super) async fn open(
        &self,
        terms: Terms,
        epoch: &str,
    ) -> Result<(GrantId, TokenAnswer), OAuthError> {
        let Family { locator, mark } = Family::mint(&*self.entropy);
        let (id, now) = (GrantId::at(&locator), self.clock.now());
        let access_token = mint_access(&locator, &*self.entropy);
        let refresh_token = mint_refresh(&locator, &mark, &*self.entropy);
        let person_key = terms.person.principal.digest();
        let scope = terms.scope;
        let mut record = GrantRecord {
            terms,
            created_at: now,
            last_used_at: now,
            mark: Digest::of(&mark),
            refresh: Digest::of(refresh_token.expose_secret()),
            rotated: Vec::new(),
            access: Vec::new(),
        };
        record.add_access(&access_token, now);
        let expires_at = record.expires_at(now);
        // Listed first: what is in no list could never be revoked.
        let listed = self
            .store
            .update(&person_key, |found: &mut Versioned<PersonGrants>| {
                if found.value.epoch != epoch {
                    return Change::Leave(None);
                }
                found.value.grants.push(id.clone());
                found.expires_at = found.expires_at.max(expires_at + KEEP_PERSON);
                Change::Write(Some(found.value.grants.clone()))
            })
            .await?;
        let Some(listed) = listed.flatten() else { return Err(invalid_grant()) };
        self.keep(&id, &record, expires_at, epoch).await?;
        if listed.len() > MOST_GRANTS {
            self.make_room(&person_key, &listed, &id).await?;
        }
        let refresh_token = Some(refresh_token);
        Ok((id, TokenAnswer { access_token, refresh_token, scope }))
    }

    /// Keeps a grant that is listed, unless it was struck off or everything was revoked since.
    async fn keep(
        &self,
        id: &GrantId,
        record: &GrantRecord,
        expires_at: Timestamp,
        epoch: &str,
    ) -> Result<(), OAuthError> {
        self.store.insert(id.as_str(), record, expires_at).await?;
        let person_key = record.terms.person.principal.digest();
        let person = self.store.get::<PersonGrants>(&person_key).await?;
        let is_kept = |person: &PersonGrants| person.epoch == epoch && person.grants.contains(id);
        if person.is_some_and(|found| is_kept(&found.value)) {
            return Ok(());
        }
        self.store.remove::<GrantRecord>(id.as_str()).await?;
        Err(invalid_grant())
    }
}

pub(super) fn invalid_grant() -> OAuthError {
    OAuthError::new(
        ErrorCode::InvalidGrant,
        "The code or refresh token is unknown, expired, used or not this client's.",
    )
}

mod admission;
mod persons;
#[cfg(test)]
mod tests;
