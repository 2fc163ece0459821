//! The embedded authorization server's routes: consent pages for browsers, JSON for clients.
//!
//! `/authorize` always shows our consent page; nothing about it is remembered. Its buttons are
//! POSTs, so they answer pages that go on by themselves and never redirects. The trip's end is
//! `/user/verify`, a GET, and may redirect to the client.

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, RawQuery, State, rejection::BytesRejection},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use maud::{Markup, html};

use super::{
    LONGEST_FORM, PAGE_DEADLINE, Pages,
    browser_request::{Browser, admit_form, form_body, not_from_our_page, parameter},
    page,
    problem::failure_response,
    visitor::Visitor,
};
use crate::{
    domain::{Failure, FailureCode, failure::Result, identifier::sha256_hex},
    identity::{BrowserCookie, linking::Identified},
    oauth::{
        Asker, AuthorizationRequest, AuthorizationServer, ErrorCode, Location, OAuthError, Refusal,
    },
    upstream::Call,
};

/// What the forms about an authorization request are about, beside the request itself.
const CONSENT: &str = "consent";

/// What the page says first when it is shown again instead of doing what a button said.
const ANOTHER_IS_SIGNED_IN: &str = "Meanwhile another GitHub account was signed in to this \
    browser. Nothing was allowed; look again at who it would be for.";

/// The consent form repeats the request it is about.
const LONGEST_CONSENT: usize = 16 * 1024;

pub(super) fn router(server: AuthorizationServer, pages: Pages) -> Router {
    let state = Consent { server, pages };
    let browsers = Router::new()
        .route("/authorize", get(show).post(pressed))
        .layer(DefaultBodyLimit::max(LONGEST_CONSENT));
    let clients = Router::new()
        .route("/token", post(token).options(preflight))
        .route("/register", post(register).options(preflight))
        .route("/revoke", post(revoke).options(preflight))
        .route("/.well-known/oauth-authorization-server", get(server_metadata).options(preflight))
        .route("/.well-known/oauth-protected-resource", get(resource_metadata).options(preflight))
        .route(
            "/.well-known/oauth-protected-resource/mcp",
            get(resource_metadata).options(preflight),
        )
        .layer(DefaultBodyLimit::max(LONGEST_FORM * 4))
        .layer(middleware::from_fn(answer_cors));
    browsers.merge(clients).with_state(state)
}

#[derive(Debug, Clone)]
pub(super) struct Consent {
    server: AuthorizationServer,
    pages: Pages,
}

/// GET `/authorize`: shows who asks for what. Changes nothing.
async fn show(
    State(consent): State<Consent>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let query = query.unwrap_or_default();
    let shown = async {
        let browser = Browser::of(&headers, &consent.pages)?;
        let request = match consent.server.authorize(query.as_bytes()).await {
            Ok(request) => request,
            Err(refusal) => return Ok(refused(&refusal)),
        };
        let visitor = Visitor::of(browser.cookie.as_ref(), &consent.pages, &consent.server).await?;
        let csrf = consent.pages.linking.csrf(&subject(&query), browser.cookie.as_ref());
        let shown = Shown { request: &request, query: &query, csrf: &csrf };
        Ok(form(&shown, visitor.as_ref(), None).into_response())
    };
    shown.await.unwrap_or_else(|f: Box<Failure>| failure_response(&f, &headers))
}

/// POST `/authorize`: the person pressed a button.
async fn pressed(
    State(consent): State<Consent>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    consent
        .decide(&headers, body)
        .await
        .unwrap_or_else(|failure| failure_response(&failure, &headers))
}

impl Consent {
    async fn decide(
        &self,
        headers: &HeaderMap,
        body: Result<Bytes, BytesRejection>,
    ) -> Result<Response> {
        let linking = &self.pages.linking;
        admit_form(headers, &self.pages.settings.public_base_url)?;
        let body = &form_body(body)?;
        let browser = Browser::of(headers, &self.pages)?;
        let query = parameter(body, "request")?.unwrap_or_default();
        let csrf = parameter(body, "csrf")?.unwrap_or_default();
        let good_for =
            |cookie: Option<&BrowserCookie>| linking.csrf_is_good(&subject(&query), cookie, &csrf);
        if !good_for(browser.cookie.as_ref()) && !good_for(None) {
            return Err(not_from_our_page());
        }
        let request = match self.server.authorize(query.as_bytes()).await {
            Ok(request) => request,
            Err(refusal) => return Ok(refused(&refusal)),
        };
        let decision = parameter(body, "decision")?.unwrap_or_default();
        let cookie = browser.cookie.unwrap_or_else(|| BrowserCookie::mint(&*self.pages.entropy));
        let answered = match decision.as_str() {
            "decline" => Ok(onward("Nothing was allowed", &self.server.decline(&request))),
            // Only with a token that was made for this very cookie: nothing else is asked then.
            "as_signed_in" if good_for(Some(&cookie)) => {
                let shown = Shown { request: &request, query: &query, csrf: &csrf };
                self.allow_signed_in(&shown, &cookie, body).await
            }
            "allow" => self.send_to_github(&request, query, &cookie).await,
            _ => Err(not_from_our_page()),
        };
        let mut response = answered.unwrap_or_else(|failure| failure_response(&failure, headers));
        set_cookie(&mut response, &cookie, &browser.cookie_name)?;
        Ok(response)
    }

    /// The person is signed in to this browser: no trip to GitHub.
    async fn allow_signed_in(
        &self,
        shown: &Shown<'_>,
        cookie: &BrowserCookie,
        body: &[u8],
    ) -> Result<Response> {
        let visitor = Visitor::of(Some(cookie), &self.pages, &self.server).await?;
        let Some(visitor) = visitor.filter(|visitor| visitor.known.account.is_some()) else {
            return Err(Failure::new(
                FailureCode::AuthorizationExpired,
                "You are no longer signed in to this browser.",
            ));
        };
        if !visitor.is_meant_by(body)? {
            let page = form(shown, Some(&visitor), Some(ANOTHER_IS_SIGNED_IN));
            return Ok((StatusCode::CONFLICT, page).into_response());
        }
        let Visitor { known, epoch } = visitor;
        Ok(onward("Allowed", &self.server.grant(shown.request, &known.person, epoch).await?))
    }

    async fn token(&self, headers: &HeaderMap, body: Result<Bytes, BytesRejection>) -> Response {
        if has_password(headers) {
            return no_password();
        }
        let body = match body {
            Ok(body) => body,
            Err(rejection) => return unread(&rejection, ErrorCode::InvalidRequest),
        };
        match self.server.token(&body).await {
            Ok(answer) => json(StatusCode::OK, answer.to_json()),
            Err(error) => oauth_error(&error),
        }
    }

    async fn send_to_github(
        &self,
        request: &AuthorizationRequest,
        query: String,
        cookie: &BrowserCookie,
    ) -> Result<Response> {
        let call = Call::within(PAGE_DEADLINE);
        let client = request.asker().claims().clone();
        let step = self.pages.linking.identify(query, client, cookie, &call).await?;
        Ok(super::connect::onward(&step).into_response())
    }
}

/// Where the browser goes when GitHub has told who the person is. The request is read anew: what
/// was good fifteen minutes ago need not be so now.
pub(super) async fn granted(
    server: &AuthorizationServer,
    identified: &Identified,
    epoch: String,
) -> Result<Response> {
    match server.authorize(identified.continuation.as_bytes()).await {
        Ok(request) => Ok(see_other(&server.grant(&request, &identified.person, epoch).await?)),
        Err(refusal) => Ok(refused(&refusal)),
    }
}

/// Where the browser goes when the person or GitHub said no: a page that offers to try again or to
/// tell the client.
pub(super) async fn declined(
    server: &AuthorizationServer,
    continuation: &str,
    failure: &Failure,
) -> Option<Response> {
    let request = server.authorize(continuation.as_bytes()).await.ok()?;
    let back = server.decline(&request);
    let again = format!("/authorize?{continuation}");
    let body = html! {
        h1 { "Nothing was connected" }
        p { (failure.detail) }
        p { a href=(again) { "Try again" } }
        p { a href=(back.as_str()) rel="noreferrer" { "Go back without connecting" } }
    };
    let status = StatusCode::from_u16(failure.code.http_status()).unwrap_or(StatusCode::FORBIDDEN);
    Some((status, page::layout("Nothing was connected", &body)).into_response())
}

fn subject(query: &str) -> String {
    format!("{CONSENT}/{}", sha256_hex(query.as_bytes()))
}

/// What the consent page is about.
struct Shown<'a> {
    request: &'a AuthorizationRequest,
    query: &'a str,
    csrf: &'a str,
}

fn form(shown: &Shown<'_>, visitor: Option<&Visitor>, notice: Option<&str>) -> Markup {
    let Shown { request, query, csrf } = *shown;
    let account = visitor.and_then(|visitor| visitor.known.account.as_ref());
    let button = |decision: &str, class: &str, text: Markup| {
        html! {
            form method="post" action="/authorize" {
                input type="hidden" name="request" value=(query);
                input type="hidden" name="csrf" value=(csrf);
                @if let (Some(account), "as_signed_in") = (account, decision) {
                    input type="hidden" name="account" value=(account.id);
                }
                button class=(class) name="decision" value=(decision) { (text) }
            }
        }
    };
    page::layout(
        "Allow access",
        &html! {
            @if let Some(notice) = notice { p.note role="alert" { (notice) } }
            h1 { "Allow access to pull request summaries?" }
            p { (asks(&request.asker())) }
            ul {
                li { "to read the pull requests that your GitHub account can read, and to summarize them" }
                li { "to see which GitHub account is yours, and to ask you to connect it again" }
            }
            p.note {
                strong { "Allow this only if you started it a minute ago." }
                " If somebody sent you here, close this page. Never copy the address that follows."
            }
            @if let Some(account) = account {
                (button("as_signed_in", "go", html! { "Allow as @" (account.login) }))
                (button("allow", "arm", html! { "Use another GitHub account" }))
            } @else {
                (button("allow", "go", html! { "Allow and go on to GitHub" }))
            }
            (button("decline", "", html! { "Do not allow" }))
        },
    )
}

fn asks(asker: &Asker) -> Markup {
    html! {
        @match asker {
            Asker::Site { host, claims } => {
                "The site " strong { (host) }
                @if let Some(name) = claims.get() { " (which calls itself “" (name) "”)" }
            }
            Asker::Program { claims } => {
                "A program on this computer"
                @if let Some(name) = claims.get() { " that calls itself “" (name) "”" }
            }
        }
        " asks:"
    }
}

/// What is wrong with the request is told to the client where its address is beyond doubt, to the
/// person otherwise.
fn refused(refusal: &Refusal) -> Response {
    match refusal {
        Refusal::Redirect(location, error) => {
            tracing::info!(code = error.code.slug(), "an authorization request was refused");
            see_other(location)
        }
        Refusal::Page(error) => {
            tracing::info!(code = error.code.slug(), "an authorization request was refused");
            let body = html! {
                h1 { "This request cannot be answered" }
                p { (error.description) }
                p.next { "Nothing was allowed. Start again from the program that sent you here." }
                p.small { "Code " code { (error.code.slug()) } }
            };
            (StatusCode::BAD_REQUEST, page::layout("Not allowed", &body)).into_response()
        }
    }
}

fn see_other(location: &Location) -> Response {
    (StatusCode::SEE_OTHER, [(header::LOCATION, location.as_str().to_owned())]).into_response()
}

/// The answer to a button that ends at the client.
fn onward(title: &str, location: &Location) -> Response {
    let link = location.as_str();
    let body = html! {
        h1 { (title) }
        p { "You are being taken back to the program that asked. You can close this page then." }
        p.small { "If nothing happens, your browser wants you to press this yourself." }
        p { a.button href=(link) rel="noreferrer" { "Go on now" } }
    };
    page::layout_with_refresh(title, Some(link), &body).into_response()
}

pub(super) fn set_cookie(
    response: &mut Response,
    cookie: &BrowserCookie,
    name: &crate::identity::browser::CookieName,
) -> Result<()> {
    let value = HeaderValue::from_str(&cookie.to_set_cookie(name)).map_err(|error| {
        Failure::new(FailureCode::Internal, "A cookie was not made.").caused_by(error)
    })?;
    response.headers_mut().append(header::SET_COOKIE, value);
    Ok(())
}

async fn token(
    State(consent): State<Consent>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let mut response = consent.token(&headers, body).await;
    // Beside `no-store`, which is on every answer (RFC 6749 section 5.1).
    response.headers_mut().insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    response
}

async fn register(State(consent): State<Consent>, body: Result<Bytes, BytesRejection>) -> Response {
    let body = match body {
        Ok(body) => body,
        Err(rejection) => return unread(&rejection, ErrorCode::InvalidClientMetadata),
    };
    match consent.server.register(&body) {
        Ok(client) => json(StatusCode::CREATED, client.to_string()),
        Err(error) => oauth_error(&error),
    }
}

async fn revoke(
    State(consent): State<Consent>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    if has_password(&headers) {
        return no_password();
    }
    let body = match body {
        Ok(body) => body,
        Err(rejection) => return unread(&rejection, ErrorCode::InvalidRequest),
    };
    match consent.server.revoke(&body).await {
        Ok(()) => StatusCode::OK.into_response(),
        Err(error) => oauth_error(&error),
    }
}

/// Whether a client means to prove itself by a password, which none has here.
fn has_password(headers: &HeaderMap) -> bool {
    let is_basic = |value: &HeaderValue| {
        value.as_bytes().get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"basic"))
    };
    headers.get_all(header::AUTHORIZATION).iter().any(is_basic)
}

/// RFC 6749 section 5.2: a client that used a scheme is refused in that scheme.
fn no_password() -> Response {
    let error = OAuthError::new(
        ErrorCode::InvalidClient,
        "No client has a secret here. Send the client_id in the body.",
    );
    let mut response = oauth_error(&error);
    *response.status_mut() = StatusCode::UNAUTHORIZED;
    let challenge = HeaderValue::from_static("Basic realm=\"pr-summarizer\"");
    response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    response
}

async fn server_metadata(State(consent): State<Consent>) -> Response {
    json(StatusCode::OK, consent.server.endpoints().server_metadata().to_string())
}

async fn resource_metadata(State(consent): State<Consent>) -> Response {
    json(StatusCode::OK, consent.server.endpoints().resource_metadata().to_string())
}

async fn preflight() -> StatusCode {
    StatusCode::NO_CONTENT
}

fn json(status: StatusCode, body: String) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// A body that is too long, or that broke off: clients read OAuth's JSON whatever the status.
fn unread(rejection: &BytesRejection, code: ErrorCode) -> Response {
    let error = OAuthError::new(code, "The request is too long, or it did not arrive whole.");
    tracing::info!(code = code.slug(), %rejection, "a client's request was not read");
    json(rejection.status(), error.to_json())
}

fn oauth_error(error: &OAuthError) -> Response {
    tracing::info!(code = error.code.slug(), "a client's request was refused");
    let status = StatusCode::from_u16(error.code.http_status()).unwrap_or(StatusCode::BAD_REQUEST);
    let mut response = json(status, error.to_json());
    if let Some(wait) = error.retry_after() {
        let seconds = HeaderValue::from(wait.as_secs().max(1));
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    response
}

/// These routes hold nothing by cookie, so any page may call them: clients in browsers do.
async fn answer_cors(request: axum::extract::Request, next: Next) -> Response {
    const ALLOW: [(HeaderName, &str); 4] = [
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, OPTIONS"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "content-type, authorization, mcp-protocol-version"),
        (header::ACCESS_CONTROL_MAX_AGE, "600"),
    ];
    let mut response = next.run(request).await;
    for (name, value) in ALLOW {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
