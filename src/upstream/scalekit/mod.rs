//! Scalekit: keeps people's GitHub tokens, so that this process never sees one.
//!
//! REST with one bearer token of our own. What Scalekit says about an account is trusted only for
//! that account; its texts and addresses go no further than this room.

mod proxy;
mod scopes;
mod token;
mod tools;
mod wire;

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use reqwest::{Method, RequestBuilder, StatusCode, Url};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

pub use self::{
    proxy::{ProxyError, ProxyRequest},
    wire::AccountStatus,
};
use self::{
    scopes::WithoutReadOrg,
    token::TokenSource,
    wire::{Account, ScalekitError},
};
use crate::{
    domain::{Clock, Failure, FailureCode, Secret, Timestamp, UserId, failure::Result},
    upstream::transport::{
        Answer, BodyCap, Call, Dispatch, Purpose, Retry, Transport, TransportError,
    },
};

/// Which environment, which connection, and who we are there.
#[derive(Debug, Clone)]
pub struct ScalekitSettings {
    /// `SCALEKIT_ENVIRONMENT_URL`.
    pub environment_url: Url,
    /// `SCALEKIT_CLIENT_ID`.
    pub client_id: String,
    /// `SCALEKIT_CLIENT_SECRET`.
    pub client_secret: Secret,
    /// `GITHUB_CONNECTION_NAME`: the connection's name in the dashboard.
    pub connection_name: String,
}

/// A client of one Scalekit environment and one connection; clones share the token.
#[derive(Debug, Clone)]
pub struct Scalekit(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    environment_url: Url,
    connection_name: String,
    transport: Transport,
    tokens: TokenSource,
    clock: Arc<dyn Clock>,
    /// Until when the proxy is taken to be off. A std mutex: it is never held across an await.
    proxy_off_until: Mutex<Option<Timestamp>>,
    without_read_org: WithoutReadOrg,
}

/// How long an answer that the proxy is off is believed; then the next request tries it again.
const PROXY_OFF_FOR: chrono::Duration = chrono::Duration::minutes(10);

/// Where a person's browser goes to authorize.
pub struct AuthorizationLink {
    /// https (http only from a stand-in on this machine). A bearer secret: whoever opens it may
    /// connect an account.
    pub link: Url,
    /// When it ends, if Scalekit said so.
    pub expires_at: Option<Timestamp>,
}

impl fmt::Debug for AuthorizationLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizationLink")
            .field("link", &"[REDACTED]")
            .field("expires_at", &self.expires_at)
            .finish()
    }
}

/// What became of the one attempt to verify an authorization.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verification {
    /// The account is this person's now.
    Verified,
    /// Scalekit said no; nothing was linked.
    Refused,
    /// No clear answer: it may or may not have happened. Ask [`Scalekit::account_status`].
    Uncertain,
}

impl Scalekit {
    /// A client; connects to nothing yet.
    pub fn new(settings: ScalekitSettings, transport: Transport, clock: Arc<dyn Clock>) -> Self {
        let tokens = TokenSource::new(
            join(&settings.environment_url, wire::TOKEN),
            settings.client_id,
            settings.client_secret,
            transport.clone(),
            Arc::clone(&clock),
        );
        Self(Arc::new(Inner {
            environment_url: settings.environment_url,
            connection_name: settings.connection_name,
            transport,
            tokens,
            clock,
            proxy_off_until: Mutex::default(),
            without_read_org: WithoutReadOrg::default(),
        }))
    }

    /// Whether the proxy has said of late that it is off; then only tools reach GitHub.
    pub fn proxy_is_off(&self) -> bool {
        let until = self.0.proxy_off_until.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| self.0.clock.now() < until)
    }

    fn note_proxy_is_off(&self) {
        let mut until = self.0.proxy_off_until.lock().unwrap_or_else(PoisonError::into_inner);
        *until = Some(self.0.clock.now() + PROXY_OFF_FOR);
    }

    /// Whether Scalekit answers and accepts our credentials.
    pub async fn check(&self, call: &Call) -> Result<()> {
        self.0.tokens.token(None, call).await.map(drop)
    }

    /// Where the person's account stands; `None` if there is none.
    pub async fn account_status(
        &self,
        user: &UserId,
        call: &Call,
    ) -> Result<Option<AccountStatus>> {
        let rpc = Rpc::get(wire::DETAILS, &self.account(user));
        let answer = self.rpc(&rpc, call).await?;
        match answer.status {
            status if status.is_success() => Ok(Some(wire::account_status(&answer.body))),
            // A wrong setting must not look like everybody's account being gone.
            StatusCode::NOT_FOUND if self.is_unknown_connection(&answer) => {
                Err(unknown_connection())
            }
            StatusCode::NOT_FOUND if is_object(&answer) => Ok(None),
            StatusCode::NOT_FOUND => Err(unavailable(&answer)),
            _ => Err(refusal(&answer)),
        }
    }

    /// A link by which the person authorizes; creates the account if there is none.
    ///
    /// After the consent the browser comes back to `user_verify_url` with `state`.
    pub async fn authorization_link(
        &self,
        user: &UserId,
        state: &Secret,
        user_verify_url: &Url,
        call: &Call,
    ) -> Result<AuthorizationLink> {
        if self.account_status(user, call).await?.is_none() {
            self.create_account(user, call).await?;
        }
        let account = self.account(user);
        let body = json!({
            "connector": account.connector,
            "identifier": account.identifier,
            "state": state.expose_secret(),
            "user_verify_url": user_verify_url.as_str(),
        });
        let answer = self.rpc(&Rpc::post(wire::LINK, body, Retry::Safe), call).await?;
        if !answer.status.is_success() {
            return Err(refusal(&answer));
        }
        // serde's error may quote the link: it is not kept.
        let answer: wire::LinkAnswer = serde_json::from_slice(&answer.body).map_err(|_| odd())?;
        let link = Url::parse(answer.link.expose_secret()).map_err(|_| odd())?;
        // This goes into a page of ours: nothing that runs there, nothing to be read on the way.
        if !is_safe_link(&link, &self.0.environment_url) {
            return Err(odd());
        }
        Ok(AuthorizationLink { expires_at: answer.expires_at(), link })
    }

    /// Tells Scalekit that this authorization is this person's. Sent exactly once, never again.
    ///
    /// Fails only when our own credentials are refused; the authorization then was not touched.
    pub async fn verify(
        &self,
        user: &UserId,
        auth_request_id: &str,
        call: &Call,
    ) -> Result<Verification> {
        let token = match self.0.tokens.token(None, call).await {
            Ok(token) => token,
            Err(failure) if failure.code == FailureCode::ScalekitRejectedUs => return Err(failure),
            Err(_) => return Ok(Verification::Uncertain),
        };
        let body = json!({ "auth_request_id": auth_request_id, "identifier": user.as_str() });
        let rpc = Rpc::post(wire::VERIFY, body, Retry::Never);
        let request = self.request(&rpc).bearer_auth(token.secret.expose_secret());
        let Ok(answer) = self.0.transport.send(request, rpc.dispatch(), call).await else {
            return Ok(Verification::Uncertain);
        };
        match answer.status.as_u16() {
            // The answer's redirect address is Scalekit's, not ours: it is not even read.
            200..=299 => Ok(Verification::Verified),
            401 => Err(rejected()),
            408 | 429 => Ok(Verification::Uncertain),
            400..=499 => Ok(Verification::Refused),
            _ => Ok(Verification::Uncertain),
        }
    }

    /// Deletes the account and the GitHub token kept for it. No account is success too, if it is
    /// Scalekit who says so: what is taken for deleted is not tried again.
    pub async fn delete_account(&self, user: &UserId, call: &Call) -> Result<()> {
        let body = json!(self.account(user));
        let answer = self.rpc(&Rpc::post(wire::DELETE, body, Retry::Safe), call).await?;
        match answer.status {
            status if status.is_success() => Ok(()),
            StatusCode::NOT_FOUND if is_object(&answer) => Ok(()),
            StatusCode::NOT_FOUND => Err(unavailable(&answer)),
            _ => Err(refusal(&answer)),
        }
    }

    async fn create_account(&self, user: &UserId, call: &Call) -> Result<()> {
        let body = wire::create_body(&self.account(user));
        let answer = self.rpc(&Rpc::post(wire::ACCOUNTS, body, Retry::Safe), call).await?;
        match answer.status {
            // 409: somebody was faster, or our own first try got through.
            status if status.is_success() || status == StatusCode::CONFLICT => Ok(()),
            StatusCode::NOT_FOUND => Err(unknown_connection()),
            _ => Err(refusal(&answer)),
        }
    }

    fn is_unknown_connection(&self, answer: &Answer) -> bool {
        let read = ScalekitError::read(answer.status, &answer.body, &self.0.connection_name);
        read == Some(ScalekitError::UnknownConnection)
    }

    fn account<'a>(&'a self, user: &'a UserId) -> Account<'a> {
        Account { connector: &self.0.connection_name, identifier: user.as_str() }
    }

    /// One RPC; a token that is refused is renewed once.
    async fn rpc(&self, rpc: &Rpc, call: &Call) -> Result<Answer> {
        let mut refused = None;
        loop {
            let token = self.0.tokens.token(refused, call).await?;
            let request = self.request(rpc).bearer_auth(token.secret.expose_secret());
            let sent = self.0.transport.send(request, rpc.dispatch(), call).await;
            let answer = sent.map_err(unreachable)?;
            if answer.status != StatusCode::UNAUTHORIZED {
                return Ok(answer);
            }
            if refused.replace(token.generation).is_some() {
                return Err(rejected());
            }
        }
    }

    fn request(&self, rpc: &Rpc) -> RequestBuilder {
        let mut url = join(&self.0.environment_url, rpc.path);
        if !rpc.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&rpc.query);
        }
        let request = self.0.transport.request(rpc.method.clone(), url);
        match &rpc.body {
            Some(body) => request.json(body),
            None => request,
        }
    }
}

/// One request to Scalekit's API.
struct Rpc {
    method: Method,
    path: &'static str,
    query: Vec<(&'static str, String)>,
    body: Option<Value>,
    retry: Retry,
}

impl Rpc {
    fn get(path: &'static str, account: &Account<'_>) -> Self {
        let query = vec![
            ("connector", account.connector.to_owned()),
            ("identifier", account.identifier.to_owned()),
        ];
        Self { method: Method::GET, path, query, body: None, retry: Retry::Safe }
    }

    fn post(path: &'static str, body: Value, retry: Retry) -> Self {
        Self { method: Method::POST, path, query: Vec::new(), body: Some(body), retry }
    }

    fn dispatch(&self) -> Dispatch {
        Dispatch { retry: self.retry, cap: BodyCap::Whole(1_000_000), purpose: Purpose::Scalekit }
    }
}

/// Scalekit's errors are JSON objects; the page of whatever else stands at its address is none.
fn is_object(answer: &Answer) -> bool {
    serde_json::from_slice::<Value>(&answer.body).is_ok_and(|body| body.is_object())
}

/// Appends `path` to the base address; its segments are percent-encoded where needed.
fn join(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(path.split('/').filter(|segment| !segment.is_empty()));
    }
    url
}

/// https, or http where Scalekit itself is spoken to without TLS: settings allow that on this
/// machine only, where it is a stand-in that plays several sites.
fn is_safe_link(link: &Url, environment_url: &Url) -> bool {
    let bare = link.username().is_empty() && link.password().is_none();
    let is_stand_in = environment_url.scheme() == "http";
    bare && (link.scheme() == "https" || link.scheme() == "http" && is_stand_in)
}

fn rejected() -> Box<Failure> {
    Failure::new(
        FailureCode::ScalekitRejectedUs,
        "Scalekit refuses the token that it gave to this server.",
    )
}

fn unknown_connection() -> Box<Failure> {
    Failure::new(
        FailureCode::ScalekitRejectedUs,
        "Scalekit knows no connection of the configured name.",
    )
}

fn odd() -> Box<Failure> {
    Failure::new(
        FailureCode::ScalekitUnavailable,
        "Scalekit answered something else than an authorization link.",
    )
}

fn unreachable(error: TransportError) -> Box<Failure> {
    let detail = match error {
        TransportError::Down(_) => {
            "Scalekit has not answered of late, and was not asked again so soon."
        }
        _ => "Scalekit did not answer.",
    };
    error.hint(Failure::new(FailureCode::ScalekitUnavailable, detail)).caused_by(error)
}

fn unavailable(answer: &Answer) -> Box<Failure> {
    let failure = Failure::new(
        FailureCode::ScalekitUnavailable,
        format!("Scalekit answered with status {}.", answer.status.as_u16()),
    );
    match answer.retry_after() {
        Some(wait) => failure.retry_after(wait),
        None => failure,
    }
}

/// An answer that is neither success nor one of the refusals with a meaning.
fn refusal(answer: &Answer) -> Box<Failure> {
    match answer.status {
        StatusCode::BAD_REQUEST | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => Failure::new(
            FailureCode::ScalekitRejectedUs,
            format!(
                "Scalekit refused this server's request with status {}.",
                answer.status.as_u16()
            ),
        ),
        _ => unavailable(answer),
    }
}

#[cfg(test)]
mod tests;
