//! The authorization server: one method for each thing the door is asked.

use super::{
    Person,
    authorize::{AuthorizationRequest, Refusal},
    client::Clients,
    code::{Codes, Redemption},
    error::{ErrorCode, OAuthError},
    grant::{Access, Grants},
    metadata::{Endpoints, Scope},
    parameters::Parameters,
    redirect::Location,
    token::{TokenAnswer, Unauthorized, bearer},
};
use crate::domain::failure::Result as Fallible;
use secrecy::ExposeSecret as _;
use serde_json::Value;

/// The embedded authorization server, and what the resource server asks it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct AuthorizationServer {
    endpoints: Endpoints,
    clients: Clients,
    codes: Codes,
    grants: Grants,
}

impl AuthorizationServer {
    /// Put together from its parts.
    pub fn new(endpoints: Endpoints, clients: Clients, codes: Codes, grants: Grants) -> Self {
        Self { endpoints, clients, codes, grants }
    }

    /// The addresses and the metadata.
    pub fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// What persons allowed, for their page.
    pub fn grants(&self) -> &Grants {
        &self.grants
    }

    /// `GET /authorize`: reads the query. Nothing changes; the person must consent first.
    ///
    /// # Errors
    /// Which error, and where it is to be shown.
    pub async fn authorize(&self, query: &[u8]) -> Result<AuthorizationRequest, Refusal> {
        AuthorizationRequest::parse(query, &self.clients, &self.endpoints).await
    }

    /// After consent, and after GitHub named the person: where the browser takes the code. It opens
    /// nothing once the person has revoked everything that was of this epoch
    /// ([`Grants::remember`]).
    pub async fn grant(
        &self,
        request: &AuthorizationRequest,
        person: &Person,
        epoch: String,
    ) -> Fallible<Location> {
        let code = self.codes.issue(request, person, epoch, self.endpoints.resource()).await?;
        Ok(request.granted(code.expose_secret(), &self.endpoints))
    }

    /// When the person, or GitHub, said no: where the browser takes that news.
    pub fn decline(&self, request: &AuthorizationRequest) -> Location {
        let denied = OAuthError::new(ErrorCode::AccessDenied, "The person declined.");
        request.refused(&denied, &self.endpoints)
    }

    /// `POST /token` (RFC 6749 sections 4.1.3 and 6): reads the form.
    ///
    /// # Errors
    /// See RFC 6749 section 5.2.
    pub async fn token(&self, form: &[u8]) -> Result<TokenAnswer, OAuthError> {
        let form = Parameters::parse(form)?;
        let resources = form
            .get("resource")
            .map_err(|error| OAuthError { code: ErrorCode::InvalidTarget, ..error });
        self.endpoints.check_resource(resources?)?;
        form.all_sound()?;
        let grant_type = form.require("grant_type", "The grant_type is missing.")?;
        let client = form.require("client_id", "The client_id is missing.")?;
        let client = self.clients.recognize(client)?.digest();
        match grant_type {
            "authorization_code" => {
                let redemption = Redemption {
                    code: form.require("code", "The code is missing.")?,
                    client: &client,
                    redirect: form.get("redirect_uri")?,
                    verifier: form.require("code_verifier", "The code_verifier is missing.")?,
                };
                self.codes.redeem(&redemption).await
            }
            "refresh_token" => {
                let token = form.require("refresh_token", "The refresh_token is missing.")?;
                Scope::requested(form.get("scope")?)?;
                self.grants.refresh(token, &client).await
            }
            _ => Err(OAuthError::new(
                ErrorCode::UnsupportedGrantType,
                "The grant types are authorization_code and refresh_token.",
            )),
        }
    }

    /// `POST /register` (RFC 7591): reads the JSON and answers the body of a 201.
    ///
    /// # Errors
    /// See RFC 7591 section 3.2.2.
    pub fn register(&self, body: &[u8]) -> Result<Value, OAuthError> {
        self.clients.register(body)
    }

    /// `POST /revoke` (RFC 7009): reads the form. A token that means nothing is no error.
    ///
    /// # Errors
    /// `invalid_request` without a token or a client, `invalid_client` for a client that is none,
    /// `invalid_grant` for another client's token.
    pub async fn revoke(&self, form: &[u8]) -> Result<(), OAuthError> {
        let form = Parameters::parse(form)?;
        form.all_sound()?;
        let token = form.require("token", "The token is missing.")?;
        let client = form.require("client_id", "The client_id is missing.")?;
        let client = self.clients.recognize(client)?.digest();
        self.grants.revoke_token(token, &client).await
    }

    /// Who calls `/mcp`: checks the `Authorization` headers. Answer a refusal with
    /// [`Endpoints::challenge`].
    pub async fn check<'a>(
        &self,
        authorization: impl Iterator<Item = &'a [u8]> + Send,
    ) -> Fallible<Result<Access, Unauthorized>> {
        let token = match bearer(authorization) {
            Ok(token) => token,
            Err(refusal) => return Ok(Err(refusal)),
        };
        self.grants.check_access(token, self.endpoints.resource()).await
    }

    /// Removes up to `limit` of each kind of what has expired, and says how many in all.
    pub async fn purge(&self, limit: usize) -> Fallible<usize> {
        Ok(self.codes.purge(limit).await? + self.grants.purge(limit).await?)
    }
}

#[cfg(test)]
mod tests;
