//! The fake GitHub: its API (REST and GraphQL) and the page where a person consents.

mod consent;
pub mod diff;
pub mod graphql;
pub mod model;
mod resolve;
mod resolve_pull_request;
mod rest;
mod rest_discussion;
mod telling;

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Deref,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    http::{HeaderValue, StatusCode},
    response::Response,
};
use chrono::{DateTime, Duration, Utc};
use pr_summarizer::domain::{Clock, Entropy, SystemEntropy};
use serde_json::json;
use tokio::{net::TcpListener, task::JoinHandle};

use self::{
    graphql::BrokenField,
    model::{Person, Repository},
};
use super::traffic::{self, Call, Traffic};

/// Requests and points an hour and person.
pub(super) const LIMIT: u64 = 5_000;

/// Tokens GitHub keeps for one person and app; the oldest go.
const TOKENS_PER_PERSON: usize = 10;

/// What GitHub knows.
pub struct State {
    pub people: Vec<Person>,
    pub repositories: Vec<Repository>,
    /// Living tokens in the order in which they were given, and whose they are.
    tokens: Vec<(String, String)>,
    /// Consent codes: for whom, and where the browser was sent.
    codes: BTreeMap<String, (String, String)>,
    /// Requests made, by login and resource.
    used: BTreeMap<(String, &'static str), u64>,
    exhausted: BTreeSet<String>,
    broken: Mutex<Vec<BrokenField>>,
}

/// What one request leaves of its caller's limit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Visit {
    remaining: u64,
    reset: DateTime<Utc>,
}

/// A handle on the world.
#[derive(Clone)]
pub struct FakeGitHub(Arc<Inner>);

struct Inner {
    url: String,
    public: String,
    traffic: Arc<Traffic>,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

impl Deref for FakeGitHub {
    type Target = Traffic;

    fn deref(&self) -> &Traffic {
        &self.0.traffic
    }
}

impl State {
    fn find_repository(&self, name_with_owner: &str, follow_renames: bool) -> Option<&Repository> {
        let is = |name: &String| name.eq_ignore_ascii_case(name_with_owner);
        self.repositories.iter().find(|one| {
            is(&one.name_with_owner()) || (follow_renames && one.former_names.iter().any(is))
        })
    }

    fn may_read(person: &Person, repository: &Repository) -> bool {
        !repository.private || person.reads.contains(&repository.name_with_owner())
    }

    fn account_id(&self, login: &str) -> u64 {
        let person = self.people.iter().find(|person| person.login == login);
        let made_up = || login.bytes().fold(7_u64, |id, b| (id * 33 + u64::from(b)) % 100_000_000);
        person.map_or_else(made_up, |person| person.id)
    }

    fn broken_fields(&self) -> Vec<BrokenField> {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn keep_broken_fields(&self, broken: Vec<BrokenField>) {
        *self.broken.lock().unwrap_or_else(PoisonError::into_inner) = broken;
    }

    fn mint_token(&mut self, login: &str) -> String {
        let token = format!("gho_{}", random());
        self.tokens.push((token.clone(), login.to_owned()));
        let mine = self.tokens.iter().filter(|(_, owner)| owner == login).count();
        if mine > TOKENS_PER_PERSON {
            let oldest = self.tokens.iter().position(|(_, owner)| owner == login);
            self.tokens.remove(oldest.expect("there are several"));
        }
        token
    }
}

/// An unguessable name.
pub(super) fn random() -> String {
    let entropy: &dyn Entropy = &SystemEntropy;
    entropy.token::<16>()
}

impl FakeGitHub {
    /// What the consent page says that one authorizes.
    pub const APP: &'static str = "Acme PR Summaries";
    pub const CLIENT_ID: &'static str = "Iv23acmeprsummaries";
    pub const CLIENT_SECRET: &'static str = "github-app-secret-of-acme";

    pub(super) fn new(
        url: String,
        public: String,
        clock: Arc<dyn Clock>,
        people: Vec<Person>,
        repositories: Vec<Repository>,
    ) -> Self {
        let state = State {
            people,
            repositories,
            tokens: Vec::new(),
            codes: BTreeMap::new(),
            used: BTreeMap::new(),
            exhausted: BTreeSet::new(),
            broken: Mutex::default(),
        };
        let (traffic, state) = (Arc::new(Traffic::new("GitHub")), Mutex::new(state));
        Self(Arc::new(Inner { url, public, traffic, clock, state }))
    }

    pub(super) fn serve(&self, listener: TcpListener) -> JoinHandle<()> {
        let github = self.clone();
        traffic::serve(listener, Arc::clone(&self.0.traffic), move |call| {
            let github = github.clone();
            async move { github.answer(&call) }
        })
    }

    /// The API's base address (`GITHUB_API_URL`).
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

    /// Changes the world: `github.update(|state| state.repositories[0].change(7).say(…))`.
    pub fn update<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state())
    }

    /// Requests to the API, without those of browsers and of the consent.
    pub fn api_calls(&self) -> Vec<Call> {
        self.calls().into_iter().filter(|call| !call.path.starts_with("/login/")).collect()
    }

    /// A token of this person, as for `GITHUB_TOKEN`.
    pub fn token_of(&self, login: &str) -> String {
        self.state().mint_token(login)
    }

    /// All of this person's tokens die: the app was revoked.
    pub fn revoke_grant(&self, login: &str) {
        self.state().tokens.retain(|(_, owner)| owner != login);
    }

    /// This token dies.
    pub fn revoke_token(&self, token: &str) {
        self.state().tokens.retain(|(living, _)| living != token);
    }

    /// How many tokens of this person live.
    pub fn living_tokens(&self, login: &str) -> usize {
        self.state().tokens.iter().filter(|(_, owner)| owner == login).count()
    }

    /// Whose token this is, while it lives.
    pub fn owner_of(&self, token: &str) -> Option<String> {
        let state = self.state();
        state.tokens.iter().find(|(living, _)| living == token).map(|(_, owner)| owner.clone())
    }

    /// This person's rate limit is used up, or is full again.
    pub fn exhaust_rate_limit(&self, login: &str, exhausted: bool) {
        let mut state = self.state();
        if exhausted {
            state.exhausted.insert(login.to_owned());
        } else {
            state.exhausted.remove(login);
        }
    }

    /// This person has asked so often already, `core` or `graphql`, in this hour.
    pub fn spend(&self, login: &str, resource: &'static str, requests: u64) {
        *self.state().used.entry((login.to_owned(), resource)).or_default() += requests;
    }

    /// The next `times` resolutions of a GraphQL field (`PullRequest.statusCheckRollup`, or
    /// `PullRequest#7.statusCheckRollup`) fail with this error type beside the rest of the data.
    pub fn break_field(&self, coordinate: &str, kind: &'static str, message: &str, times: usize) {
        let (coordinate, message) = (coordinate.to_owned(), message.to_owned());
        let state = self.state();
        let mut broken = state.broken_fields();
        broken.push(BrokenField { coordinate, kind, message, left: times });
        state.keep_broken_fields(broken);
    }

    fn answer(&self, call: &Call) -> Response {
        if call.path.starts_with("/login/") {
            return self.answer_browser(call);
        }
        self.answer_api(call)
    }

    fn answer_api(&self, call: &Call) -> Response {
        let traffic = &self.0.traffic;
        if call.header("user-agent").is_none_or(str::is_empty) {
            return traffic.unexpected(call, "GitHub refuses requests without a user-agent");
        }
        let authorization = call.header("authorization").unwrap_or_default();
        let token =
            authorization.strip_prefix("Bearer ").or_else(|| authorization.strip_prefix("token "));
        let Some(token) = token else {
            return traffic.unexpected(call, "no `Authorization: Bearer …`");
        };
        let Some(login) = self.owner_of(token) else {
            return rest::message(401, "Bad credentials");
        };
        let mut state = self.state();
        let resource = if call.path == "/graphql" { "graphql" } else { "core" };
        let used = state.used.entry((login.clone(), resource)).or_default();
        *used += 1;
        let remaining = LIMIT.saturating_sub(*used);
        let exhausted = state.exhausted.contains(&login) || remaining == 0;
        let reset = self.0.clock.now() + Duration::minutes(30);
        let visit = Visit { remaining: if exhausted { 0 } else { remaining }, reset };
        let found = state.people.iter().find(|person| person.login == login).cloned();
        let Some(viewer) = found else { return rest::message(401, "Bad credentials") };
        let mut response = if exhausted {
            refuse_for_the_limit(resource, viewer.id)
        } else if call.is("POST", "/graphql") {
            graphql::answer(traffic, call, &state, &viewer, &visit)
        } else {
            rest::answer(traffic, call, &state, &viewer)
        };
        with_limit_headers(&mut response, resource, &visit);
        response
    }
}

fn refuse_for_the_limit(resource: &str, user: u64) -> Response {
    let text = format!("API rate limit exceeded for user ID {user}.");
    if resource == "core" {
        return rest::message(403, &text);
    }
    let error = json!({"type": "RATE_LIMITED", "message": text});
    rest::json_answer(StatusCode::OK, &json!({"errors": [error]}))
}

fn with_limit_headers(response: &mut Response, resource: &'static str, visit: &Visit) {
    let headers = response.headers_mut();
    headers.insert("x-ratelimit-limit", LIMIT.into());
    headers.insert("x-ratelimit-remaining", visit.remaining.into());
    headers.insert("x-ratelimit-used", (LIMIT - visit.remaining).into());
    headers.insert("x-ratelimit-reset", visit.reset.timestamp().into());
    headers.insert("x-ratelimit-resource", HeaderValue::from_static(resource));
    let id = format!("{}:FAKE", random().to_uppercase());
    headers.insert("x-github-request-id", id.parse().expect("plain characters"));
}
