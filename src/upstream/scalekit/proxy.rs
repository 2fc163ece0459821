//! Scalekit's proxy: GitHub's API, with the person's token added on the way.

use reqwest::{
    Method, RequestBuilder, StatusCode,
    header::{ACCEPT, HeaderValue},
};
use secrecy::ExposeSecret as _;
use serde_json::Value;

use super::{Scalekit, join, rejected, unavailable, unknown_connection, wire, wire::ScalekitError};
use crate::{
    domain::{Failure, FailureCode, UserId, failure::Result},
    upstream::transport::{Answer, Call, Dispatch, TransportError},
};

/// A request to GitHub. Deliberately without headers of a caller's choice: the proxy takes whose
/// account it uses from headers.
#[derive(Debug, Clone)]
pub struct ProxyRequest {
    /// The method.
    pub method: Method,
    /// GitHub's path, `/repos/…`.
    pub path: String,
    /// The query.
    pub query: Vec<(&'static str, String)>,
    /// The media type asked for.
    pub accept: &'static str,
    /// A JSON body.
    pub body: Option<Value>,
    /// How it is sent.
    pub dispatch: Dispatch,
}

/// Why the proxy gave no answer of GitHub's.
#[derive(Debug)]
pub enum ProxyError {
    /// No answer came.
    Transport(TransportError),
    /// Scalekit itself refused or failed.
    Failure(Box<Failure>),
}

impl From<Box<Failure>> for ProxyError {
    fn from(failure: Box<Failure>) -> Self {
        Self::Failure(failure)
    }
}

impl Scalekit {
    /// Sends a request to GitHub as this person. An `Ok` is GitHub's own answer, whatever its status.
    pub async fn proxy(
        &self,
        user: &UserId,
        request: &ProxyRequest,
        call: &Call,
    ) -> Result<Answer, ProxyError> {
        let mut url = join(&join(&self.0.environment_url, wire::PROXY), &request.path);
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&request.query);
        }
        let identifier = sensitive(user)?;
        let build = || {
            let outgoing = self
                .0
                .transport
                .request(request.method.clone(), url.clone())
                .header(wire::CONNECTION_HEADER, &self.0.connection_name)
                .header(wire::IDENTIFIER_HEADER, identifier.clone())
                .header(ACCEPT, request.accept);
            match &request.body {
                Some(body) => outgoing.json(body),
                None => outgoing,
            }
        };
        let answer = self.authorized(build, request.dispatch, call).await?;
        match ScalekitError::read(answer.status, &answer.body, &self.0.connection_name) {
            None => Ok(answer),
            Some(error) => {
                if error == ScalekitError::ProxyDisabled {
                    self.note_proxy_is_off();
                }
                Err(failure(&error, &answer).into())
            }
        }
    }

    /// Sends with our token, which is renewed once if Scalekit refuses it. GitHub's own 401, bare
    /// or inside a tool's error, says nothing about our token.
    pub(super) async fn authorized(
        &self,
        build: impl Fn() -> RequestBuilder,
        dispatch: Dispatch,
        call: &Call,
    ) -> Result<Answer, ProxyError> {
        let mut refused = None;
        loop {
            let token = self.0.tokens.token(refused, call).await?;
            let request = build().bearer_auth(token.secret.expose_secret());
            let sent = self.0.transport.send(request, dispatch, call).await;
            let answer = sent.map_err(ProxyError::Transport)?;
            let error = ScalekitError::read(answer.status, &answer.body, &self.0.connection_name);
            if error != Some(ScalekitError::Unauthenticated) {
                return Ok(answer);
            }
            if refused.replace(token.generation).is_some() {
                return Err(rejected().into());
            }
        }
    }
}

fn sensitive(user: &UserId) -> Result<HeaderValue> {
    let mut value = HeaderValue::from_str(user.as_str()).map_err(|error| {
        Failure::new(FailureCode::Internal, "An identifier is not fit for a header.")
            .caused_by(error)
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// What Scalekit's own error means for a request to GitHub.
pub(super) fn failure(error: &ScalekitError, answer: &Answer) -> Box<Failure> {
    match error {
        ScalekitError::ProxyDisabled => Failure::new(
            FailureCode::ProxyDisabled,
            "Scalekit's proxy is not enabled for the GitHub connection of this environment.",
        ),
        ScalekitError::Unauthenticated => rejected(),
        ScalekitError::RateLimited => {
            let failure = Failure::new(
                FailureCode::ScalekitUnavailable,
                "Scalekit limits how often this server may ask.",
            );
            match answer.retry_after() {
                Some(wait) => failure.retry_after(wait),
                None => failure,
            }
        }
        ScalekitError::Tool => tool_failure(answer),
        ScalekitError::AccountUnusable => Failure::new(
            FailureCode::ReauthorizationRequired,
            "The link to the GitHub account is no longer active.",
        ),
        ScalekitError::UnknownConnection => unknown_connection(),
        ScalekitError::Broken => unavailable(answer),
    }
}

/// GitHub's refusal in Scalekit's words; the status is GitHub's, its headers are lost. The words are
/// matched, never repeated.
fn tool_failure(answer: &Answer) -> Box<Failure> {
    let head = answer.body.get(..answer.body.len().min(4096)).unwrap_or_default();
    let words = String::from_utf8_lossy(head).to_ascii_lowercase();
    let (code, detail) = match answer.status {
        StatusCode::UNAUTHORIZED => {
            (FailureCode::ReauthorizationRequired, "GitHub no longer accepts the linked account.")
        }
        StatusCode::NOT_FOUND => (
            FailureCode::RepositoryNotFound,
            "There is no such repository, or the linked account has no access to it.",
        ),
        status
            if status == StatusCode::TOO_MANY_REQUESTS
                || status == StatusCode::FORBIDDEN && words.contains("rate limit") =>
        {
            (FailureCode::GitHubRateLimited, "GitHub's limit for this account is used up.")
        }
        StatusCode::FORBIDDEN if words.contains("saml") => (
            FailureCode::SsoRequired,
            "The repository's organization requires single sign-on for this authorization.",
        ),
        StatusCode::FORBIDDEN => {
            (FailureCode::GitHubAccessDenied, "GitHub refused this to the linked account.")
        }
        _ => (FailureCode::GitHubUnavailable, "GitHub did not answer Scalekit."),
    };
    let failure = Failure::new(code, detail);
    match answer.retry_after() {
        Some(wait) => failure.retry_after(wait),
        None => failure,
    }
}
