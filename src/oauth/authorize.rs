//! The authorization request: what a client asks for when it sends a person's browser to us.
//!
//! Sources: RFC 6749 section 4.1.1, RFC 7636 section 4.3, RFC 8707 section 2, RFC 9207.
//!
//! The order of the checks decides who learns of an error. Until client and redirect URI are both
//! found good, nobody may be redirected and the person is shown a page; from then on the client is
//! told, with `error`, its `state` and our `iss`.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::{
    client::{Client, Clients},
    error::{ErrorCode, OAuthError},
    metadata::{Endpoints, Scope},
    parameters::Parameters,
    redirect::{Location, Receiver, RedirectUri},
};
use crate::identity::ClientName;

/// The longest `state`, in bytes.
const MAX_STATE_BYTES: usize = 2048;

/// What a client asks for, after everything about it was found good. Kept while the person is on
/// their way; carries the client's `state`, so it is not for logs.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizationRequest {
    /// Who asks.
    pub client: Client,
    /// Where the answer goes.
    pub redirect: RedirectUri,
    /// Whether the client named the redirect URI, so that it must name it again with the code.
    pub redirect_was_named: bool,
    /// To be handed back as it came.
    pub state: Option<String>,
    /// What the verifier is checked against.
    pub challenge: Challenge,
    /// What is to be granted.
    pub scope: Scope,
}

impl fmt::Debug for AuthorizationRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizationRequest")
            .field("client", &self.client.id)
            .finish_non_exhaustive()
    }
}

/// Who asks, as far as it is known: what a page may say about a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Asker {
    /// Some program on the person's computer. Also a client with a document belongs here when it
    /// is answered on this computer: any program can name somebody else's document.
    Program {
        /// What it calls itself; a claim.
        claims: ClientName,
    },
    /// The site that receives the code; TLS proves its name.
    Site {
        /// Its host.
        host: String,
        /// What it calls itself; a claim.
        claims: ClientName,
    },
}

impl Asker {
    /// What it calls itself; a claim.
    pub fn claims(&self) -> &ClientName {
        match self {
            Self::Program { claims } | Self::Site { claims, .. } => claims,
        }
    }
}

/// Why there is no authorization request.
#[derive(Debug)]
pub enum Refusal {
    /// Show it to the person on a page of ours; redirect nobody.
    Page(OAuthError),
    /// Tell the client by redirecting the browser there; the error is given for the log.
    Redirect(Location, OAuthError),
}

impl AuthorizationRequest {
    /// Reads the query of `/authorize`.
    ///
    /// # Errors
    /// Which error, and where it is to be shown.
    pub async fn parse(
        query: &[u8],
        clients: &Clients,
        endpoints: &Endpoints,
    ) -> Result<Self, Refusal> {
        let (parameters, client, named) = {
            let parameters = Parameters::parse(query).map_err(Refusal::Page)?;
            let id = parameters.require("client_id", "The client_id is missing.");
            let client = clients.find(id.map_err(Refusal::Page)?).await.map_err(Refusal::Page)?;
            let named = parameters.get("redirect_uri").map_err(Refusal::Page)?.map(str::to_owned);
            (parameters, client, named)
        };
        let Some(redirect) = clients.policy().choose(&client.redirects, named.as_deref()) else {
            return Err(Refusal::Page(OAuthError::new(
                ErrorCode::InvalidRequest,
                "The redirect_uri is not one that this client registered and this server allows.",
            )));
        };
        // From here on the client is told. Its state goes back only if it is beyond doubt.
        let state = state(&parameters);
        let back = |error: OAuthError| {
            let given = state.as_ref().ok().and_then(Option::as_deref);
            Refusal::Redirect(refused(&redirect, given, endpoints, &error), error)
        };
        let (challenge, scope) = read_rest(&parameters, endpoints).map_err(back)?;
        let state = match &state {
            Ok(state) => state.clone(),
            Err(why) => return Err(back(OAuthError::new(ErrorCode::InvalidRequest, why))),
        };
        let redirect_was_named = named.is_some();
        Ok(Self { client, redirect, redirect_was_named, state, challenge, scope })
    }

    /// Who asks, as far as it is known.
    pub fn asker(&self) -> Asker {
        let claims = self.client.name.clone();
        match self.redirect.receiver() {
            Receiver::Program | Receiver::Scheme(_) => Asker::Program { claims },
            Receiver::Host(host) => Asker::Site { host, claims },
        }
    }

    /// Where the browser goes with the code.
    pub(super) fn granted(&self, code: &str, endpoints: &Endpoints) -> Location {
        let state = self.state.as_deref().unwrap_or_default();
        self.redirect.answer(&[("code", code), ("state", state), ("iss", endpoints.issuer())])
    }

    /// Where the browser goes when nothing was granted, e.g. with `access_denied`.
    pub fn refused(&self, error: &OAuthError, endpoints: &Endpoints) -> Location {
        refused(&self.redirect, self.state.as_deref(), endpoints, error)
    }
}

fn refused(
    redirect: &RedirectUri,
    state: Option<&str>,
    endpoints: &Endpoints,
    error: &OAuthError,
) -> Location {
    redirect.answer(&[
        ("error", error.code.slug()),
        ("error_description", error.description),
        ("state", state.unwrap_or_default()),
        ("iss", endpoints.issuer()),
    ])
}

fn state(parameters: &Parameters) -> Result<Option<String>, &'static str> {
    match parameters.get("state") {
        Err(_) => Err("The state was sent more than once, or is not printable ASCII."),
        Ok(None) => Ok(None),
        // RFC 6749 appendix A.5.
        Ok(Some(state))
            if state.len() <= MAX_STATE_BYTES
                && state.bytes().all(|b| (0x20..0x7f).contains(&b)) =>
        {
            Ok(Some(state.to_owned()))
        }
        Ok(Some(_)) => Err("The state is too long or not printable ASCII."),
    }
}

fn refuse<T>(code: ErrorCode, why: &'static str) -> Result<T, OAuthError> {
    Err(OAuthError::new(code, why))
}

fn read_rest(
    parameters: &Parameters,
    endpoints: &Endpoints,
) -> Result<(Challenge, Scope), OAuthError> {
    parameters.all_sound().or_else(|error| match parameters.get("resource") {
        // RFC 8707 allows several resources, and this server has one; malformed is none.
        Err(_) => refuse(ErrorCode::InvalidTarget, "One readable resource can be asked for."),
        Ok(_) => Err(error),
    })?;
    match parameters.require("response_type", "The response_type is missing.")? {
        "code" => {}
        _ => return refuse(ErrorCode::UnsupportedResponseType, "The only response_type is code."),
    }
    if parameters.get("response_mode")?.is_some_and(|mode| mode != "query") {
        return refuse(ErrorCode::InvalidRequest, "The only response_mode is query.");
    }
    // To ignore one would be to grant something else than what was signed.
    if parameters.get("request")?.is_some() || parameters.get("request_uri")?.is_some() {
        return refuse(ErrorCode::InvalidRequest, "Request objects are not supported.");
    }
    let challenge = parameters.require("code_challenge", "PKCE is required (RFC 7636).")?;
    // Without a method the standard means `plain`, which protects nothing.
    if parameters.get("code_challenge_method")? != Some("S256") {
        return refuse(ErrorCode::InvalidRequest, "The only code_challenge_method is S256.");
    }
    let Some(challenge) = Challenge::parse(challenge) else {
        return refuse(ErrorCode::InvalidRequest, "The code_challenge is not a SHA-256.");
    };
    endpoints.check_resource(parameters.get("resource")?)?;
    Ok((challenge, Scope::requested(parameters.get("scope")?)?))
}

/// A PKCE challenge by the method S256: the SHA-256 of the verifier as unpadded base64url.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Challenge(String);

impl Challenge {
    /// Reads a challenge; `None` if no verifier could fit it.
    pub fn parse(text: &str) -> Option<Self> {
        let digest = URL_SAFE_NO_PAD.decode(text).ok()?;
        (digest.len() == 32).then(|| Self(text.to_owned()))
    }

    /// Whether this is the challenge of `verifier` (RFC 7636 section 4.6); in constant time.
    pub fn fits(&self, verifier: &str) -> bool {
        let unreserved = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
        (43..=128).contains(&verifier.len())
            && verifier.bytes().all(unreserved)
            && URL_SAFE_NO_PAD
                .encode(Sha256::digest(verifier.as_bytes()))
                .as_bytes()
                .ct_eq(self.0.as_bytes())
                .into()
    }
}

#[cfg(test)]
mod tests;
