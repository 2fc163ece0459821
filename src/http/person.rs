//! `/` in `oauth` mode: the person's own page. Which GitHub account, which clients may act, and how
//! to end either. Works without scripts; signs in by the same trip as any client.

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, RawQuery, State, rejection::BytesRejection},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Redirect, Response},
    routing::{get, post},
};
use maud::{Markup, html};

use super::{
    LONGEST_FORM, PAGE_DEADLINE, Pages, ask, asker,
    browser_request::{Browser, admit_form, form_body, not_from_our_page, parameter},
    connect, oauth, page,
    problem::failure_response,
    visitor::Visitor,
};
use crate::{
    domain::{Failure, FailureCode, PrincipalId, Timestamp, failure::Result},
    identity::{BrowserCookie, ClientName, Principal, linking::SignedIn},
    oauth::{Asker, AuthorizationServer, GrantId, GrantView},
    upstream::Call,
};

/// What the forms of this page are about.
const SUBJECT: &str = "person";

/// What the page says when it is shown again instead of doing what a button said.
const ANOTHER_IS_SIGNED_IN: &str = "Meanwhile another GitHub account was signed in to this \
    browser. Nothing was changed. This page is that account's.";

pub(super) fn router(server: AuthorizationServer, pages: Pages) -> Router {
    Router::new()
        .route("/", get(show))
        .route("/person", post(pressed))
        .layer(DefaultBodyLimit::max(LONGEST_FORM))
        .with_state(Person { server, pages })
}

#[derive(Debug, Clone)]
struct Person {
    server: AuthorizationServer,
    pages: Pages,
}

/// GET `/`.
async fn show(
    State(person): State<Person>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let shown = async {
        let done = parameter(query.unwrap_or_default().as_bytes(), "done")?;
        let done = done.as_deref().and_then(said);
        let browser = Browser::of(&headers, &person.pages)?;
        let csrf = person.pages.linking.csrf(SUBJECT, browser.cookie.as_ref());
        match Visitor::of(browser.cookie.as_ref(), &person.pages, &person.server).await? {
            Some(visitor) => person.page_of(&visitor.known, browser.cookie.as_ref(), done).await,
            None => Ok(stranger(&person.pages, &csrf, done)),
        }
    };
    shown.await.unwrap_or_else(|f: Box<Failure>| failure_response(&f, &headers))
}

/// POST `/person`: one of the page's buttons.
async fn pressed(
    State(person): State<Person>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    person
        .decide(&headers, body)
        .await
        .unwrap_or_else(|failure| failure_response(&failure, &headers))
}

impl Person {
    async fn decide(
        &self,
        headers: &HeaderMap,
        body: Result<Bytes, BytesRejection>,
    ) -> Result<Response> {
        let linking = &self.pages.linking;
        admit_form(headers, &self.pages.settings.public_base_url)?;
        let body = &form_body(body)?;
        let browser = Browser::of(headers, &self.pages)?;
        let csrf = parameter(body, "csrf")?.unwrap_or_default();
        let good_for =
            |cookie: Option<&BrowserCookie>| linking.csrf_is_good(SUBJECT, cookie, &csrf);
        let action = parameter(body, "action")?.unwrap_or_default();
        if action == "sign_in" && (good_for(browser.cookie.as_ref()) || good_for(None)) {
            let cookie =
                browser.cookie.unwrap_or_else(|| BrowserCookie::mint(&*self.pages.entropy));
            let call = Call::within(PAGE_DEADLINE);
            let (nothing, client) = (String::new(), ClientName::default());
            let mut response = match linking.identify(nothing, client, &cookie, &call).await {
                Ok(step) => connect::onward(&step).into_response(),
                Err(failure) => failure_response(&failure, headers),
            };
            oauth::set_cookie(&mut response, &cookie, &browser.cookie_name)?;
            return Ok(response);
        }
        let cookie = browser.cookie.as_ref().filter(|cookie| good_for(Some(cookie)));
        let cookie = cookie.ok_or_else(not_from_our_page)?;
        let visitor = Visitor::of(Some(cookie), &self.pages, &self.server).await?;
        let Some(visitor) = visitor else {
            return Err(Failure::new(
                FailureCode::AuthorizationExpired,
                "You are no longer signed in to this browser.",
            ));
        };
        if !visitor.is_meant_by(body)? {
            let page =
                self.page_of(&visitor.known, Some(cookie), Some(ANOTHER_IS_SIGNED_IN)).await?;
            return Ok((StatusCode::CONFLICT, page).into_response());
        }
        self.act(&action, body, &visitor.known, cookie).await?;
        // A redirect after a POST, but to this very origin. `act` knows no other action than `said`.
        Ok(Redirect::to(&format!("/?done={action}")).into_response())
    }

    async fn page_of(
        &self,
        known: &SignedIn,
        cookie: Option<&BrowserCookie>,
        said: Option<&str>,
    ) -> Result<Response> {
        let principal = &known.person.principal;
        let grants = self.server.grants().list(principal).await?;
        let linking = &self.pages.linking;
        let asks = Principal { id: principal.clone(), client: ClientName::default() };
        let known_here = linking.repositories(&asks).await?;
        let csrf = linking.csrf(asker::SUBJECT, cookie);
        let question = ask::form(&csrf, &known_here, Some(known.person.github_id));
        let own = own_page(known, &grants, &linking.csrf(SUBJECT, cookie), said);
        let body = html! {
            @if known.account.is_some() {
                section.paper {
                    h1 { "Pull requests worth reading" }
                    p { "GitHub is read as " strong { "@" (login_of(known)) } "." }
                    (question)
                }
                (ask::results())
            }
            section.paper { (own) }
        };
        Ok(page::front("Your connection", &body))
    }

    async fn act(
        &self,
        action: &str,
        body: &[u8],
        known: &SignedIn,
        cookie: &BrowserCookie,
    ) -> Result<()> {
        let (linking, grants) = (&self.pages.linking, self.server.grants());
        let principal = &known.person.principal;
        match action {
            "sign_out" => linking.sign_out(cookie).await,
            "disconnect" => linking.disconnect_person(&known.person).await,
            "revoke" => {
                let id = parameter(body, "grant")?.unwrap_or_default();
                let id = GrantId::parse(&id).ok_or_else(not_from_our_page)?;
                grants.revoke(principal, &id).await.map(|_| ())
            }
            "revoke_all" => self.revoke_all(principal, cookie).await,
            "delete" => {
                self.revoke_all(principal, cookie).await?;
                linking.forget(&known.person).await?;
                // Last: until then it has the sweeper finish what is left undone here.
                grants.forget_person(principal).await?;
                linking.sign_out(cookie).await
            }
            _ => Err(not_from_our_page()),
        }
    }

    async fn revoke_all(&self, principal: &PrincipalId, cookie: &BrowserCookie) -> Result<()> {
        let grants = self.server.grants();
        let epoch = grants.begin_epoch(principal).await?;
        // Before the grants: where that breaks off, the button must still work.
        self.pages.linking.stay_signed_in(principal, &epoch, cookie).await?;
        grants.end_all(principal).await.map(|_| ())
    }
}

/// What a button has done, in words. Anybody can write the address, so it is told only of buttons
/// and holds no word from it.
fn said(action: &str) -> Option<&'static str> {
    Some(match action {
        "sign_out" => "You are signed out of this browser.",
        "disconnect" => {
            "GitHub is disconnected. Programs you allowed can read nothing until you connect it again."
        }
        "revoke" => "That program was revoked. It can no longer act for you.",
        "revoke_all" => {
            "All programs were revoked. None can act for you now, and no other browser is signed in."
        }
        "delete" => "Everything about you was deleted, and every program was revoked.",
        _ => return None,
    })
}

fn notice(done: Option<&str>) -> Markup {
    html! { @if let Some(done) = done { p.done role="status" { (done) } } }
}

fn stranger(pages: &Pages, csrf: &str, done: Option<&str>) -> Response {
    let body = html! {
        section.paper {
            (notice(done))
            h1 { "Pull requests worth reading" }
            p {
                "Sign in to ask about a repository here, to see which programs may act for you, and \
                 to end that."
            }
            (button(csrf, "sign_in", "go", "Sign in with GitHub", &html! {}))
        }
        section.paper { (super::home::about(&pages.settings.public_base_url, false)) }
    };
    page::front("Pull requests worth reading", &body)
}

fn login_of(known: &SignedIn) -> &str {
    known.account.as_ref().map_or("nobody", |account| account.login.as_str())
}

fn own_page(known: &SignedIn, grants: &[GrantView], csrf: &str, done: Option<&str>) -> Markup {
    let button = |action: &str, class: &str, text: &str, grant: Option<&GrantView>| {
        let named = html! {
            input type="hidden" name="account" value=(known.person.github_id);
            @if let Some(grant) = grant {
                input type="hidden" name="grant" value=(grant.id.as_str());
            }
        };
        button(csrf, action, class, text, &named)
    };
    html! {
        (notice(done))
        // Who has an account has the question above this, with the page's heading.
        @if known.account.is_none() { h1 { "Pull requests worth reading" } }
        h2 { "Your connection" }
        h3 { "GitHub" }
        @match &known.account {
            Some(account) => {
                p {
                    "Connected as " strong { "@" (account.login) }
                    @if let Some(since) = known.connected_at { " since " (day(since)) }
                    "."
                }
                p.small { "After disconnecting, the programs below can read nothing until you connect it again." }
                (button("disconnect", "", "Disconnect GitHub", None))
            }
            None => {
                p { "No GitHub account is connected. Sign in again to connect it." }
                (button("sign_in", "go", "Connect GitHub", None))
            }
        }
        h3 { "Programs that may act for you" }
        @if grants.is_empty() {
            p { "None." }
        } @else {
            ul.cards {
                @for grant in grants {
                    li {
                        p {
                            strong { (asker(&grant.client)) } br;
                            "Allowed " (day(grant.created_at)) ", last used " (day(grant.last_used_at)) "."
                        }
                        (button("revoke", "", "Revoke", Some(grant)))
                    }
                }
            }
            (button("revoke_all", "arm", "Revoke all", None))
        }
        h3 { "This page" }
        @if grants.is_empty() {
            (button("revoke_all", "", "End all other sign-ins", None))
        }
        (button("sign_out", "", "Sign out", None))
        h3 { "Leave" }
        p { "Deletes the connection here and at Scalekit, revokes every program, and forgets you. It cannot be undone." }
        (button("delete", "danger arm", "Delete everything about me", None))
    }
}

fn asker(asker: &Asker) -> String {
    let (name, where_from) = match asker {
        Asker::Site { host, claims } => (claims.get(), host.clone()),
        Asker::Program { claims } => (claims.get(), "a program on your computer".to_owned()),
    };
    name.map_or_else(|| where_from.clone(), |name| format!("“{name}” ({where_from})"))
}

fn day(at: Timestamp) -> String {
    at.format("%-d %B %Y, %H:%M UTC").to_string()
}

fn button(csrf: &str, action: &str, class: &str, text: &str, named: &Markup) -> Markup {
    html! {
        form method="post" action="/person" {
            input type="hidden" name="csrf" value=(csrf);
            (named)
            button class=(class) name="action" value=(action) { (text) }
        }
    }
}
