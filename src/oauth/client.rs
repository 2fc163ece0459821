//! Clients: who asks to act for a person.
//!
//! Registration (RFC 7591) is open to everybody and keeps nothing: the `client_id` *is* what was
//! registered, with a signature, so that ten million registrations cost no memory. A client may
//! also name itself by the address of a document ([`ClientDocuments`]).
//!
//! The signature outlives a rotation of `SESSION_SECRET`, and the retired secret itself
//! ([`ClientKeys`]). A `client_id` that does not open is `invalid_client`, upon which SDKs register
//! anew.

mod keys;

use std::{fmt, sync::Arc};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub use keys::ClientKeys;

use super::{
    document::ClientDocuments,
    error::{ErrorCode, OAuthError},
    metadata::Scope,
    redirect::{RedirectPolicy, RedirectUri},
};
use crate::{
    domain::{Clock, Entropy, Timestamp, identifier::sha256_hex},
    identity::{ClientName, Keyring, Purpose},
};

/// The longest registration request, in bytes.
pub const MAX_REGISTRATION_BYTES: usize = 16 * 1024;

/// How many redirect URIs a registration may list.
const MOST_LISTED: usize = 32;

/// How many redirect URIs of a registration are kept, and how long they may be together: they
/// travel in the `client_id`, which travels in addresses.
const MOST_KEPT: usize = 8;
const MAX_KEPT_BYTES: usize = 2048;

/// What every `client_id` of ours begins with.
const PREFIX: &str = "prs_";

/// A `client_id` as the client sends it. Public, but long: logs show its digest.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClientId(String);

impl ClientId {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// As the client sends it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// SHA-256 in hexadecimal: what codes and grants are bound to.
    pub fn digest(&self) -> String {
        sha256_hex(self.0.as_bytes())
    }
}

impl fmt::Debug for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientId({}…)", self.digest().get(..8).unwrap_or_default())
    }
}

/// A client that was found good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    /// What it sends as `client_id`.
    pub id: ClientId,
    /// What it calls itself; a claim.
    pub name: ClientName,
    /// Where it may be answered.
    pub redirects: Vec<RedirectUri>,
}

/// What `client_id` carries. The field names are short because they travel.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    /// Makes two registrations of the same metadata two clients.
    #[serde(rename = "n")]
    nonce: String,
    #[serde(rename = "c")]
    name: ClientName,
    #[serde(rename = "r")]
    redirects: Vec<RedirectUri>,
}

/// What a registration asks for. What it does not name here is ignored (RFC 7591 section 2).
#[derive(Deserialize)]
pub(super) struct RequestedMetadata {
    #[serde(default)]
    pub(super) redirect_uris: Vec<String>,
    pub(super) client_name: Option<String>,
    pub(super) grant_types: Option<Vec<String>>,
    pub(super) response_types: Option<Vec<String>>,
}

impl RequestedMetadata {
    /// Keeps what is allowed of the redirect URIs, in the order given.
    ///
    /// # Errors
    /// `invalid_client_metadata`, or `invalid_redirect_uri` if nothing is left.
    pub(super) fn admit(&self, policy: &RedirectPolicy) -> Result<Vec<RedirectUri>, OAuthError> {
        let lacks = |list: &Option<Vec<String>>, word: &str| {
            list.as_ref().is_some_and(|list| !list.is_empty() && !list.iter().any(|w| w == word))
        };
        if lacks(&self.grant_types, "authorization_code") || lacks(&self.response_types, "code") {
            return Err(OAuthError::new(
                ErrorCode::InvalidClientMetadata,
                "Only the authorization code grant is served.",
            ));
        }
        if self.redirect_uris.len() > MOST_LISTED {
            return Err(OAuthError::new(
                ErrorCode::InvalidRedirectUri,
                "Too many redirect URIs are listed.",
            ));
        }
        let mut kept: Vec<RedirectUri> = Vec::new();
        let mut bytes = 0;
        for uri in self.redirect_uris.iter().filter_map(|uri| policy.admit(uri)) {
            bytes += uri.as_str().len();
            if kept.len() == MOST_KEPT || bytes > MAX_KEPT_BYTES {
                break;
            }
            if !kept.contains(&uri) {
                kept.push(uri);
            }
        }
        if kept.is_empty() {
            return Err(OAuthError::new(
                ErrorCode::InvalidRedirectUri,
                "No redirect URI is allowed here. Use http on 127.0.0.1, or ask the operator to \
                 add yours to OAUTH_REDIRECT_URIS.",
            ));
        }
        Ok(kept)
    }
}

/// Finds the client behind a `client_id`.
#[derive(Debug, Clone)]
pub struct Clients {
    keys: Keyring,
    kept_keys: ClientKeys,
    issuer: Arc<str>,
    policy: RedirectPolicy,
    documents: ClientDocuments,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl Clients {
    /// Clients of the server `issuer`: a registration with another server that shares the secret is
    /// none.
    pub fn new(
        keys: Keyring,
        issuer: &str,
        policy: RedirectPolicy,
        documents: ClientDocuments,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        let kept_keys = ClientKeys::default();
        Self { keys, kept_keys, issuer: issuer.into(), policy, documents, clock, entropy }
    }

    /// The same, who know also what was signed with keys that were kept.
    #[must_use]
    pub fn remembering(mut self, kept_keys: ClientKeys) -> Self {
        self.kept_keys = kept_keys;
        self
    }

    /// Which redirect URIs are allowed.
    pub fn policy(&self) -> &RedirectPolicy {
        &self.policy
    }

    /// Registers a client (RFC 7591 section 3.1) and answers the body of a 201.
    ///
    /// # Errors
    /// `invalid_client_metadata`, `invalid_redirect_uri`.
    pub fn register(&self, request: &[u8]) -> Result<Value, OAuthError> {
        let unreadable = || {
            OAuthError::new(
                ErrorCode::InvalidClientMetadata,
                "The registration is not a JSON object of client metadata.",
            )
        };
        if request.len() > MAX_REGISTRATION_BYTES {
            return Err(unreadable());
        }
        // An array would be read field by field.
        if request.iter().find(|b| !b.is_ascii_whitespace()) != Some(&b'{') {
            return Err(unreadable());
        }
        // As a whole: what is skipped is JSON too only if it is UTF-8 (RFC 8259 section 8.1).
        let request = std::str::from_utf8(request).map_err(|_| unreadable())?;
        let asked: RequestedMetadata = serde_json::from_str(request).map_err(|_| unreadable())?;
        let name = ClientName::claimed(asked.client_name.as_deref().unwrap_or_default());
        let redirects = asked.admit(&self.policy)?;
        let id = self.sign(&name, &redirects)?;
        Ok(answer(&id, &name, &redirects, self.clock.now()))
    }

    /// The client of an authorization request; may fetch its document.
    ///
    /// # Errors
    /// `invalid_client`; `temporarily_unavailable` if its document cannot be had now.
    pub async fn find(&self, id: &str) -> Result<Client, OAuthError> {
        if ClientDocuments::is_address(id) {
            self.documents.find(id, &self.policy).await
        } else {
            self.open(id)
        }
    }

    /// The identifier of a client that comes with a code or a refresh token, which is bound to it:
    /// nothing needs to be fetched.
    ///
    /// # Errors
    /// `invalid_client`.
    pub fn recognize(&self, id: &str) -> Result<ClientId, OAuthError> {
        if ClientDocuments::is_address(id) {
            self.documents.admits(id)?;
            return Ok(ClientId::new(id));
        }
        self.open(id).map(|client| client.id)
    }

    fn sign(&self, name: &ClientName, redirects: &[RedirectUri]) -> Result<ClientId, OAuthError> {
        let claims = Claims {
            nonce: self.entropy.token::<16>(),
            name: name.clone(),
            redirects: redirects.to_vec(),
        };
        let claims = serde_json::to_vec(&claims).map_err(|_| {
            OAuthError::new(ErrorCode::ServerError, "The registration could not be written.")
        })?;
        let tag = self.keys.sign(Purpose::ClientId, &[self.issuer.as_bytes(), &claims]);
        Ok(ClientId(format!("{PREFIX}{}.{tag}", URL_SAFE_NO_PAD.encode(claims))))
    }

    fn open(&self, id: &str) -> Result<Client, OAuthError> {
        self.opened(id).ok_or_else(unknown_client)
    }

    fn opened(&self, id: &str) -> Option<Client> {
        let (claims, tag) = id.strip_prefix(PREFIX)?.split_once('.')?;
        let claims = URL_SAFE_NO_PAD.decode(claims).ok()?;
        let signed = [self.issuer.as_bytes(), &claims];
        let is_known = self.keys.verify(Purpose::ClientId, &signed, tag)
            || self.kept_keys.verify(&signed, tag);
        if !is_known {
            return None;
        }
        let Claims { name, redirects, .. } = serde_json::from_slice(&claims).ok()?;
        Some(Client { id: ClientId::new(id), name, redirects })
    }
}

pub(super) fn unknown_client() -> OAuthError {
    OAuthError::new(
        ErrorCode::InvalidClient,
        "This client is not registered here (any more). Register again.",
    )
}

/// The client information response (RFC 7591 section 3.2.1): what was kept, not what was asked.
fn answer(id: &ClientId, name: &ClientName, redirects: &[RedirectUri], now: Timestamp) -> Value {
    let mut answer = json!({
        "client_id": id.as_str(),
        "client_id_issued_at": now.timestamp(),
        "redirect_uris": redirects,
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
        "scope": Scope::PullRequests.as_str(),
    });
    if let (Some(name), Some(fields)) = (name.get(), answer.as_object_mut()) {
        fields.insert("client_name".to_owned(), json!(name));
    }
    answer
}

#[cfg(test)]
mod tests;
