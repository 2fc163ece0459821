//! Scalekit's proxy: GitHub's API, with the person's token added on the way.

use reqwest::{
    Method, StatusCode,
    header::{ACCEPT, HeaderValue},
};
use secrecy::ExposeSecret as _;
use serde_json::Value;

use super::{Scalekit, join, rejected, unavailable, wire, wire::ScalekitError};
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
        let mut refused = None;
        loop {
            let token = self.0.tokens.token(refused, call).await?;
            let mut url = join(&join(&self.0.environment_url, wire::PROXY), &request.path);
            if !request.query.is_empty() {
                url.query_pairs_mut().extend_pairs(&request.query);
            }
            let mut outgoing = self
                .0
                .transport
                .request(request.method.clone(), url)
                .bearer_auth(token.secret.expose_secret())
                .header(wire::CONNECTION_HEADER, &self.0.connection_name)
                .header(wire::IDENTIFIER_HEADER, sensitive(user)?)
                .header(ACCEPT, request.accept);
            if let Some(body) = &request.body {
                outgoing = outgoing.json(body);
            }
            let sent = self.0.transport.send(outgoing, request.dispatch, call).await;
            let answer = sent.map_err(ProxyError::Transport)?;
            match ScalekitError::read(answer.status, &answer.body) {
                None => return Ok(answer),
                Some(ScalekitError::Unauthenticated) => {
                    if refused.replace(token.generation).is_some() {
                        return Err(rejected().into());
                    }
                }
                Some(error) => return Err(failure(&error, &answer).into()),
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

fn failure(error: &ScalekitError, answer: &Answer) -> Box<Failure> {
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
        ScalekitError::Broken => unavailable(answer),
    }
}

/// GitHub's refusal in Scalekit's words; the status is GitHub's.
fn tool_failure(answer: &Answer) -> Box<Failure> {
    let (code, detail) = match answer.status {
        StatusCode::UNAUTHORIZED => {
            (FailureCode::ReauthorizationRequired, "GitHub no longer accepts the linked account.")
        }
        StatusCode::NOT_FOUND => (
            FailureCode::RepositoryNotFound,
            "There is no such repository, or the linked account has no access to it.",
        ),
        StatusCode::FORBIDDEN => {
            (FailureCode::GitHubAccessDenied, "GitHub refused this to the linked account.")
        }
        StatusCode::TOO_MANY_REQUESTS => {
            (FailureCode::GitHubRateLimited, "GitHub's limit for this account is used up.")
        }
        _ => (FailureCode::GitHubUnavailable, "GitHub did not answer Scalekit."),
    };
    let failure = Failure::new(code, detail);
    match answer.retry_after() {
        Some(wait) => failure.retry_after(wait),
        None => failure,
    }
}
