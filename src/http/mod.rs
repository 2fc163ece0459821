//! THE BROWSER'S AND OPERATOR'S DOOR. Pages that link an account, and answers for probes.
//!
//! The page at `/` also asks, as a tool of the other door does, and shows the answer as cards.
//!
//! [`router`] has the routes; [`guard`] stands before every route of the server, `/mcp` included.
//! GET and HEAD change nothing (link scanners and prefetching browsers open links too); a POST
//! answers a page and never redirects off this origin, because Chromium applies `form-action` to
//! every redirect that follows a POST.

mod ask;
mod asker;
mod browser_request;
mod connect;
mod digest;
pub mod guard;
mod health;
mod home;
mod oauth;
mod page;
mod person;
mod problem;
mod standing;
mod verify;
mod visitor;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{HeaderMap, HeaderName, StatusCode, header},
    response::Response,
    routing::{get, head, post},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use url::Url;

pub use guard::Guard;
pub use health::Readiness;
pub use problem::failure_response;

use crate::{
    domain::{AuthMode, Clock, Entropy, Failure, FailureCode, Secret},
    identity::{AccountLinking, Sessions, Turnstile},
    oauth::AuthorizationServer,
    summarize::Asking,
};

/// How long a page may wait for Scalekit and GitHub.
const PAGE_DEADLINE: Duration = Duration::from_secs(25);

/// No form of ours is longer, in bytes.
const LONGEST_FORM: usize = 4 * 1024;

/// What the pages must know of the settings.
#[derive(Debug, Clone)]
pub struct HttpSettings {
    /// The one origin that forms links.
    pub public_base_url: Url,
    /// Said on the home page.
    pub mode: AuthMode,
    /// Agents come in under the same origin; else over standard input and output.
    pub serves_mcp: bool,
}

/// What the page at `/` asks with.
#[derive(Debug, Clone)]
pub struct Desk {
    /// Answers questions.
    pub asking: Asking,
    /// From a browser to its principal.
    pub sessions: Sessions,
    /// What a browser must show once before its page may ask; `None`: nothing.
    pub local_key: Option<Secret>,
    /// How long an answer may take in all.
    pub deadline: Duration,
    /// Who is attended to at a time, at whatever door.
    pub turnstile: Turnstile,
    /// Answers that a stop waits for.
    pub running: TaskTracker,
    /// Ends answers that are still under way when the server stops.
    pub stop: CancellationToken,
}

/// What every page works with.
#[derive(Debug, Clone)]
pub(crate) struct Pages {
    pub(crate) settings: Arc<HttpSettings>,
    pub(crate) linking: AccountLinking,
    pub(crate) authorization: Option<AuthorizationServer>,
    pub(crate) desk: Arc<Desk>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
}

impl Pages {
    /// Whoever reaches this server is the machine's one person.
    pub(crate) fn is_machines_without_key(&self) -> bool {
        self.settings.mode == AuthMode::SingleUser && self.desk.local_key.is_none()
    }
}

/// The routes of the side door. With an authorization server (`oauth` mode), its routes and the
/// person's page too.
pub fn router(
    settings: HttpSettings,
    linking: AccountLinking,
    authorization: Option<AuthorizationServer>,
    desk: Desk,
    readiness: Readiness,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
) -> Router {
    let pages = Pages {
        settings: Arc::new(settings),
        linking,
        authorization: authorization.clone(),
        desk: Arc::new(desk),
        clock,
        entropy,
    };
    let serves_mcp = pages.settings.serves_mcp;
    let home = match authorization {
        None if !serves_mcp => home::beside_a_pipe(pages.clone()),
        None => home::router(pages.clone()).merge(asking(pages.clone())),
        Some(server) => oauth::router(server.clone(), pages.clone())
            .merge(person::router(server, pages.clone()))
            .merge(asking(pages.clone())),
    };
    Router::new()
        .route("/connect/{flow}", get(connect::show).post(connect::press))
        .route("/user/verify", head(no_head).get(verify::callback))
        .route("/connected", get(verify::connected).post(verify::disconnect))
        .layer(DefaultBodyLimit::max(LONGEST_FORM))
        .with_state(pages)
        .merge(home)
        .merge(health::router(readiness))
        // Browsers ask for it unasked; there is no picture.
        .route("/favicon.ico", get(|| async { StatusCode::NO_CONTENT }))
        .fallback(not_found)
}

/// What the page at `/` asks by.
fn asking(pages: Pages) -> Router {
    Router::new()
        .route("/digest", post(digest::ask))
        .route("/page.js", get(page::script))
        .layer(DefaultBodyLimit::max(LONGEST_FORM))
        .with_state(pages)
}

async fn not_found(headers: HeaderMap) -> Response {
    failure_response(
        &Failure::new(FailureCode::NotFound, "There is no such page on this server."),
        &headers,
    )
}

/// Link scanners ask for a head first; this address is opened by a person or not at all.
async fn no_head() -> (StatusCode, [(HeaderName, &'static str); 1]) {
    (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET")])
}
