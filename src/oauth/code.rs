//! Authorization codes: 256 random bits that live a minute and open one grant.
//!
//! A code is bound to the client, the redirect URI, the PKCE challenge and the resource it was asked
//! for (RFC 6749 section 4.1.3, RFC 7636 section 4.6). A redemption in which any of these is wrong
//! is refused and changes nothing, before and after the code was used: without the verifier a code is
//! worth nothing, and whoever stole one must not be able to spoil it. A code that was used and comes
//! back with all of it has been in two hands, and ends what it had opened (RFC 6749 section 4.1.2).

use std::sync::Arc;

use chrono::Duration;
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};

use super::{
    Person,
    authorize::{AuthorizationRequest, Challenge},
    error::OAuthError,
    grant::{GrantId, Grants, Terms, invalid_grant},
    redirect::RedirectUri,
    token::{Digest, TokenAnswer},
};
use crate::{
    domain::{Clock, Entropy, Secret, failure::Result as Fallible},
    store::{Record, Store, Versioned},
};

/// How long a code can be redeemed.
pub const LIFETIME: Duration = Duration::seconds(60);

/// How long a used code is remembered, to notice when it comes back.
const REMEMBERED: Duration = Duration::days(1);

#[derive(Debug, Clone, Serialize, Deserialize)]
struct CodeRecord {
    /// The digest of the `client_id`.
    client: String,
    redirect: RedirectUri,
    redirect_was_named: bool,
    challenge: Challenge,
    stage: Stage,
}

/// What is kept of a used code names nobody.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stage {
    Issued {
        terms: Box<Terms>,
        /// In which the person allowed it; in a later one it opens nothing.
        epoch: String,
    },
    /// The first redemption opened this.
    Used(GrantId),
}

impl Record for CodeRecord {
    const KIND: &'static str = "oauth-code";
}

/// What a client presents with a code.
pub(super) struct Redemption<'a> {
    pub(super) code: &'a str,
    /// The digest of its `client_id`.
    pub(super) client: &'a str,
    pub(super) redirect: Option<&'a str>,
    pub(super) verifier: &'a str,
}

/// Issues and redeems codes.
#[derive(Debug, Clone)]
pub struct Codes {
    store: Store,
    grants: Grants,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl Codes {
    /// Codes on one store, that open these grants.
    pub fn new(
        store: Store,
        grants: Grants,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self { store, grants, clock, entropy }
    }

    /// A code by which the client of `request` may act for `person`, who allowed it in `epoch`, at
    /// `resource`.
    pub(super) async fn issue(
        &self,
        request: &AuthorizationRequest,
        person: &Person,
        epoch: String,
        resource: &str,
    ) -> Fallible<Secret> {
        let code = Secret::from(self.entropy.token::<32>());
        let terms = Box::new(Terms::new(request, person.clone(), resource));
        let record = CodeRecord {
            client: request.client.id.digest(),
            redirect: request.redirect.clone(),
            redirect_was_named: request.redirect_was_named,
            challenge: request.challenge.clone(),
            stage: Stage::Issued { terms, epoch },
        };
        let key = Digest::of(code.expose_secret());
        self.store.insert(key.as_str(), &record, self.clock.now() + LIFETIME).await?;
        Ok(code)
    }

    /// The tokens for a code.
    ///
    /// # Errors
    /// `invalid_grant`.
    pub(super) async fn redeem(
        &self,
        redemption: &Redemption<'_>,
    ) -> Result<TokenAnswer, OAuthError> {
        let digest = Digest::of(redemption.code);
        let key = digest.as_str();
        let Some(found) = self.store.get::<CodeRecord>(key).await? else {
            return Err(invalid_grant());
        };
        if !found.value.fits(redemption) {
            return Err(invalid_grant());
        }
        let Stage::Issued { terms, epoch } = &found.value.stage else {
            return self.came_back(found).await;
        };
        let (grant, tokens) = self.grants.open((**terms).clone(), epoch).await?;
        // Of several redemptions at the same time one writes its grant here. The others find it,
        // and as two parties hold the code, the grant ends.
        let used = CodeRecord { stage: Stage::Used(grant.clone()), ..found.value };
        let until = self.clock.now() + REMEMBERED;
        if self.store.replace(key, found.version, &used, until).await? {
            return Ok(tokens);
        }
        self.grants.end(&grant).await?;
        match self.store.get::<CodeRecord>(key).await? {
            Some(found) => self.came_back(found).await,
            None => Err(invalid_grant()),
        }
    }

    async fn came_back(&self, found: Versioned<CodeRecord>) -> Result<TokenAnswer, OAuthError> {
        if let Stage::Used(grant) = &found.value.stage {
            self.grants.end(grant).await?;
        }
        Err(invalid_grant())
    }

    /// Removes up to `limit` codes that have expired.
    pub(super) async fn purge(&self, limit: usize) -> Fallible<usize> {
        self.store.purge::<CodeRecord>(limit).await
    }
}

impl CodeRecord {
    fn fits(&self, redemption: &Redemption<'_>) -> bool {
        // Named in the request, it must be named again, and in any case be the same (RFC 6749
        // section 4.1.3).
        let same_redirect = match redemption.redirect {
            Some(redirect) => redirect == self.redirect.as_str(),
            None => !self.redirect_was_named,
        };
        self.client == redemption.client
            && same_redirect
            && self.challenge.fits(redemption.verifier)
    }
}

#[cfg(test)]
mod tests;
