//! The fake Scalekit environment: token, connected accounts, verification, tools and proxy.
//!
//! What nobody outside Scalekit knows is a setting ([`Settings`]), so that the program is tested
//! against each possibility.

mod api;
mod consent;
mod forward;
mod tools;

use std::{
    ops::Deref,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    body::Body,
    http::{StatusCode, header},
    response::Response,
};
use chrono::{DateTime, Utc};
use pr_summarizer::domain::Clock;
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

use super::{
    github::{FakeGitHub, random},
    traffic::{self, Call, Traffic},
};

/// The dashboard's user verification setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerificationMode {
    /// The account turns active when we verify who came back.
    Custom,
    /// The account is active at once, and the browser stays with Scalekit.
    ScalekitUsersOnly,
}

/// Where a GitHub token is kept that nobody has verified yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenStorage {
    /// With its authorization request.
    PerRequest,
    /// With the account: a later consent replaces it.
    PerAccount,
}

/// Whether the environment has the proxy for GitHub switched on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyMode {
    Enabled,
    Disabled,
}

/// What the browser sees after a denial at GitHub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DenialMode {
    /// `user_verify_url` with `error=access_denied`.
    ComesBack,
    /// A page of Scalekit; we never hear of it.
    EndsAtScalekit,
}

/// How often one of Scalekit's links may be followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkUse {
    Once,
    /// By whoever has it, until it expires: each gets an authorization request of their own.
    Often,
}

/// What deleting an account revokes at GitHub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeletionMode {
    Nothing,
    /// The account's own token.
    Token,
    /// Every token of that person for this app.
    Grant,
}

#[derive(Debug, Clone)]
pub struct Settings {
    pub verification: VerificationMode,
    pub token_storage: TokenStorage,
    pub proxy: ProxyMode,
    pub denial: DenialMode,
    pub deletion: DeletionMode,
    pub links: LinkUse,
    pub mismatch_consumes: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            verification: VerificationMode::Custom,
            token_storage: TokenStorage::PerRequest,
            proxy: ProxyMode::Enabled,
            denial: DenialMode::ComesBack,
            deletion: DeletionMode::Token,
            links: LinkUse::Once,
            mismatch_consumes: false,
        }
    }
}

/// `ConnectorStatus`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountStatus {
    Active,
    Expired,
    PendingAuth,
    PendingVerification,
}

impl AccountStatus {
    fn wire(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Expired => "EXPIRED",
            Self::PendingAuth => "PENDING_AUTH",
            Self::PendingVerification => "PENDING_VERIFICATION",
        }
    }
}

/// A connected account, as a test may look at it.
#[derive(Debug, Clone)]
pub struct Account {
    pub id: String,
    pub identifier: String,
    pub status: AccountStatus,
    /// The token with which the proxy reads.
    pub github_token: Option<String>,
    /// The token that waits for verification (storage per account).
    pending_token: Option<String>,
}

struct Link {
    token: String,
    identifier: String,
    state: Option<String>,
    user_verify_url: Option<String>,
    expires_at: DateTime<Utc>,
    used: bool,
}

/// One trip of a browser to GitHub and back.
struct AuthorizationRequest {
    id: String,
    /// Scalekit's own state at GitHub.
    state: String,
    identifier: String,
    link: usize,
    pending_token: Option<String>,
    consented: bool,
    consumed: bool,
}

#[derive(Default)]
struct State {
    accounts: Vec<Account>,
    links: Vec<Link>,
    requests: Vec<AuthorizationRequest>,
    /// Our access tokens and when they expire.
    tokens: Vec<(String, DateTime<Utc>)>,
}

/// A handle on the world.
#[derive(Clone)]
pub struct FakeScalekit(Arc<Inner>);

struct Inner {
    url: String,
    public: String,
    settings: Mutex<Settings>,
    clock: Arc<dyn Clock>,
    github: FakeGitHub,
    traffic: Arc<Traffic>,
    client: reqwest::Client,
    state: Mutex<State>,
}

impl Deref for FakeScalekit {
    type Target = Traffic;

    fn deref(&self) -> &Traffic {
        &self.0.traffic
    }
}

impl FakeScalekit {
    pub const CLIENT_ID: &'static str = "skc_98765432109876543";
    pub const CLIENT_SECRET: &'static str = "test_scalekitclientsecretofacme";
    pub const CONNECTION_NAME: &'static str = "github-acme";

    pub(super) fn new(
        url: String,
        public: String,
        settings: Settings,
        clock: Arc<dyn Clock>,
        github: FakeGitHub,
    ) -> Self {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .no_gzip()
            .tcp_nodelay(true)
            .build()
            .expect("a client");
        let (traffic, settings) = (Arc::new(Traffic::new("Scalekit")), Mutex::new(settings));
        let state = Mutex::default();
        Self(Arc::new(Inner { url, public, settings, clock, github, traffic, client, state }))
    }

    pub(super) fn serve(&self, listener: TcpListener) -> JoinHandle<()> {
        let scalekit = self.clone();
        traffic::serve(listener, Arc::clone(&self.0.traffic), move |call| {
            let scalekit = scalekit.clone();
            async move { scalekit.answer(&call).await }
        })
    }

    /// The environment's address (`SCALEKIT_ENVIRONMENT_URL`).
    pub fn url(&self) -> &str {
        &self.0.url
    }

    /// The origin that browsers see.
    pub fn public_url(&self) -> &str {
        &self.0.public
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn settings(&self) -> Settings {
        self.0.settings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The operator changes the dashboard.
    pub fn configure(&self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.0.settings.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub fn accounts(&self) -> Vec<Account> {
        self.state().accounts.clone()
    }

    pub fn account_of(&self, identifier: &str) -> Option<Account> {
        self.state().account(identifier).cloned()
    }

    /// Accounts with which GitHub can be read.
    pub fn active_accounts(&self) -> Vec<Account> {
        let mut accounts = self.accounts();
        accounts.retain(|account| account.status == AccountStatus::Active);
        accounts
    }

    /// This person has linked their account under this identifier, a while ago.
    pub fn linked(&self, identifier: &str, login: &str) {
        let mut state = self.state();
        state.accounts.push(Account {
            id: format!("ca_{}", random()),
            identifier: identifier.to_owned(),
            status: AccountStatus::Active,
            github_token: Some(self.0.github.token_of(login)),
            pending_token: None,
        });
    }

    /// This person has consented under this identifier, and is on the way back to us with this
    /// authorization request.
    pub fn consented(&self, identifier: &str, login: &str) -> String {
        self.linked(identifier, login);
        let mut state = self.state();
        let account = state.account_mut(identifier).expect("it was just made");
        account.status = AccountStatus::PendingVerification;
        let pending_token = account.github_token.take();
        let id = format!("ar_{}", random());
        state.requests.push(AuthorizationRequest {
            id: id.clone(),
            state: random(),
            identifier: identifier.to_owned(),
            link: 0,
            pending_token,
            consented: true,
            consumed: false,
        });
        id
    }

    /// The requests that asked to verify somebody.
    pub fn verify_calls(&self) -> Vec<Call> {
        let mut calls = self.calls();
        calls.retain(|call| call.path.ends_with("/user/verify"));
        calls
    }

    /// The person revokes the app at GitHub: Scalekit does not notice.
    pub fn revoke_github_grant(&self, login: &str) {
        self.0.github.revoke_grant(login);
    }

    /// This account's credentials have expired.
    pub fn expire(&self, identifier: &str) {
        let mut state = self.state();
        state.account_mut(identifier).expect("an account").status = AccountStatus::Expired;
    }

    /// Our access tokens are no longer taken: the next call with one gets Scalekit's 401.
    pub fn revoke_tokens(&self) {
        self.state().tokens.clear();
    }

    async fn answer(&self, call: &Call) -> Response {
        match call.segments().as_slice() {
            ["oauth", "token"] => self.issue_token(call),
            ["magicLink", _] | ["sso", "v1", "oauth", "callback"] => {
                self.answer_browser(call).await
            }
            ["api", "v1", ..] | ["proxy", ..] => match self.refuse_credentials(call) {
                Some(refusal) => refusal,
                None if call.path.starts_with("/proxy/") => self.answer_proxy(call).await,
                None => self.answer_api(call).await,
            },
            _ => self.unexpected(call, "no such route"),
        }
    }
}

impl State {
    fn account(&self, identifier: &str) -> Option<&Account> {
        self.accounts.iter().find(|one| one.identifier == identifier)
    }

    fn account_mut(&mut self, identifier: &str) -> Option<&mut Account> {
        self.accounts.iter_mut().find(|one| one.identifier == identifier)
    }
}

fn json_answer(status: u16, body: &Value) -> Response {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    let kind = header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// Scalekit's form of a refusal; `code` is gRPC's number.
fn refusal(status: u16, code: u8, error_code: &str, message: &str) -> Response {
    let kind = "type.googleapis.com/scalekit.v1.errdetails.ErrorInfo";
    let details = json!([{"@type": kind, "error_code": error_code}]);
    json_answer(status, &json!({"code": code, "message": message, "details": details}))
}
