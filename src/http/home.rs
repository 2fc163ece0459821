//! `/` in the loopback modes: ask about a repository, connect GitHub, and how a host finds this
//! server. Connecting and disconnecting work without scripts.

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State, rejection::BytesRejection},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Redirect, Response},
    routing::{get, post},
};
use maud::{Markup, html};
use secrecy::ExposeSecret as _;
use subtle::ConstantTimeEq as _;
use url::Url;

use super::{
    LONGEST_FORM, PAGE_DEADLINE, Pages, ask,
    asker::{Asker, Form, SUBJECT, locked, page_key},
    browser_request::{Browser, not_from_our_page},
    digest::next_step,
    oauth, page,
    problem::failure_response_saying,
    standing,
};
use crate::{
    domain::{Failure, FailureCode, Secret, failure::Result},
    identity::{
        BrowserCookie, Principal,
        linking::{Status, no_longer_works},
    },
    upstream::Call,
};

/// Beside a pipe there is nothing to ask on: agents of the machine's one person need no key there,
/// and whoever reaches this port must not ask in their name.
pub(super) fn beside_a_pipe(pages: Pages) -> Router {
    Router::new().route("/", get(say_what_it_is)).with_state(pages)
}

pub(super) fn router(pages: Pages) -> Router {
    Router::new()
        .route("/", get(show))
        .route("/page", post(press))
        .route("/standing", post(standing::tell))
        .layer(DefaultBodyLimit::max(LONGEST_FORM))
        .with_state(pages)
}

/// GET `/`.
async fn show(State(pages): State<Pages>, headers: HeaderMap) -> Response {
    let shown = async {
        let browser = Browser::of(&headers, &pages)?;
        whole(&pages, browser.cookie.as_ref(), None).await
    };
    shown.await.unwrap_or_else(|failure| answer_failure(&failure, &headers))
}

/// POST `/page`: one of its buttons.
async fn press(
    State(pages): State<Pages>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    pressed(&pages, &headers, body)
        .await
        .unwrap_or_else(|failure| answer_failure(&failure, &headers))
}

fn answer_failure(failure: &Failure, headers: &HeaderMap) -> Response {
    failure_response_saying(failure, headers, next_step(failure.code))
}

async fn pressed(
    pages: &Pages,
    headers: &HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response> {
    let form = Form::read(pages, headers, body)?;
    let action = form.field("action")?.unwrap_or_default();
    match action.as_str() {
        "unlock" => unlock(pages, form).await,
        "connect" => connect(pages, form).await,
        // Without a key the machine is known without a cookie, and no form is made for one.
        "disconnect" if form.is_of_cookie || pages.is_machines_without_key() => {
            disconnect(pages, &form).await
        }
        _ => Err(not_from_our_page()),
    }
}

/// Shows the local key once; from then on this browser's page may ask.
async fn unlock(pages: &Pages, form: Form) -> Result<Response> {
    let Some(key) = &pages.desk.local_key else { return Ok(Redirect::to("/").into_response()) };
    if !is_key(&form.field("key")?.unwrap_or_default(), key) {
        let sentence = "That is not the local key of this server.";
        let page = whole(pages, form.browser.cookie.as_ref(), Some(sentence)).await?;
        return Ok((StatusCode::FORBIDDEN, page).into_response());
    }
    // A new cookie: what was known before the key was shown opens nothing.
    let cookie = BrowserCookie::mint(&*pages.entropy);
    open(pages, &cookie).await?;
    let mut response = Redirect::to("/").into_response();
    oauth::set_cookie(&mut response, &cookie, &form.browser.cookie_name)?;
    Ok(response)
}

/// In constant time.
fn is_key(presented: &str, key: &Secret) -> bool {
    presented.trim().as_bytes().ct_eq(key.expose_secret().as_bytes()).into()
}

/// A fresh link, opened at once: the redirect stays on this origin.
async fn connect(pages: &Pages, form: Form) -> Result<Response> {
    let asker = Asker::of(pages, form.browser.cookie.as_ref()).await?;
    let cookie = form.browser.cookie.unwrap_or_else(|| BrowserCookie::mint(&*pages.entropy));
    let principal = match asker {
        Asker::Known(principal) => principal,
        Asker::Stranger => open(pages, &cookie).await?,
        Asker::Locked => return Err(locked()),
    };
    let call = Call::within(PAGE_DEADLINE);
    let status = pages.linking.begin_here(&principal, &cookie, &call).await?;
    let next = match &status {
        Status::Pending(link) => link.url.path(),
        _ => "/",
    };
    let mut response = Redirect::to(next).into_response();
    oauth::set_cookie(&mut response, &cookie, &form.browser.cookie_name)?;
    Ok(response)
}

async fn open(pages: &Pages, cookie: &BrowserCookie) -> Result<Principal> {
    let Some(_turn) = pages.desk.turnstile.welcome().await else {
        return Err(Failure::new(
            FailureCode::TooManyRequests,
            "Too many programs and browsers are connecting at this moment.",
        ));
    };
    pages.desk.sessions.open_page(&page_key(pages, cookie)).await
}

async fn disconnect(pages: &Pages, form: &Form) -> Result<Response> {
    let asker = Asker::of(pages, form.browser.cookie.as_ref()).await?;
    pages.linking.disconnect(&asker.known(pages)?).await?;
    Ok(Redirect::to("/").into_response())
}

async fn whole(
    pages: &Pages,
    cookie: Option<&BrowserCookie>,
    said: Option<&str>,
) -> Result<Response> {
    let asker = Asker::look(pages, cookie).await?;
    let csrf = pages.linking.csrf(SUBJECT, cookie);
    let behind_key = pages.desk.local_key.is_some();
    let (account, question) = match &asker {
        Asker::Locked => (key_form(&csrf), html! {}),
        Asker::Stranger => {
            let status = Status::NotConnected { last_ending: None };
            (
                account(&csrf, pages.linking.links_accounts().then_some(&status)),
                ask::form(&csrf, &[], None),
            )
        }
        Asker::Known(principal) => {
            let status = pages.linking.look(principal).await?;
            let repositories = pages.linking.repositories(principal).await?;
            (account(&csrf, status.as_ref()), ask::form(&csrf, &repositories, None))
        }
    };
    let body = html! {
        section.paper {
            h1 { "Pull requests worth reading" }
            @if let Some(said) = said { p.note role="alert" { (said) } }
            div #account { (account) }
            (question)
        }
        (ask::results())
        section.paper {
            (about(&pages.settings.public_base_url, behind_key))
            p.small { "Who is asking: " code { (pages.settings.mode.slug()) } " (AUTH_MODE)" }
        }
    };
    Ok(page::front("Pull requests worth reading", &body))
}

/// Asks for the key that stands before a server of one person.
fn key_form(csrf: &str) -> Markup {
    html! {
        p {
            "This server serves one person. Show it once that this browser is theirs: the server \
             prints the local key at its start and keeps it in its state folder."
        }
        form method="post" action="/page" {
            input type="hidden" name="csrf" value=(csrf);
            label for="key" { "Local key" }
            input #key name="key" type="password" required autocomplete="current-password";
            button.go name="action" value="unlock" { "Open this page" }
        }
    }
}

/// Whose account is used, and the buttons for it. `None`: the operator's token.
fn account(csrf: &str, status: Option<&Status>) -> Markup {
    let connect = |words: &str| {
        html! {
            form #connect method="post" action="/page" target="_blank" rel="noopener" {
                input type="hidden" name="csrf" value=(csrf);
                input type="hidden" name="action" value="connect";
                button.go { (words) }
            }
            p.small {
                "Opens GitHub in a new tab. This page notices when you are done."
                noscript { " Without scripts, reload it then." }
            }
        }
    };
    html! {
        @match status {
            None => p { "GitHub is read with the token of whoever runs this server." },
            Some(Status::Connected(connection)) => {
                div.account {
                    p { "GitHub is read as " strong { "@" (connection.account.login) } "." }
                    form method="post" action="/page" {
                        input type="hidden" name="csrf" value=(csrf);
                        button.quiet name="action" value="disconnect" { "Disconnect GitHub" }
                    }
                }
                @if !connection.verified {
                    p.note {
                        "This connection is unverified: the Scalekit environment is in \
                         Scalekit-users-only mode, which is meant for development."
                    }
                }
            }
            Some(Status::Expired { account, last_ending }) => {
                p.note { (no_longer_works(account, last_ending.as_ref())) }
                (connect("Connect GitHub again"))
            }
            Some(Status::NotConnected { last_ending }) => {
                p { "Pull requests are read with your own GitHub account." }
                @if let Some(ending) = last_ending { p.note { (ending.sentence()) } }
                (connect("Connect GitHub"))
            }
            Some(Status::Pending(_)) => (connect("Connect GitHub")),
        }
    }
}

/// GET `/` beside an agent that is served over standard input and output.
async fn say_what_it_is(State(pages): State<Pages>) -> Markup {
    page::layout(
        "Pull requests worth reading",
        &html! {
            h1 { "pr-summarizer" }
            p {
                "Ask your assistant about a GitHub repository: this MCP server reads its \
                 most-discussed open pull requests with your own GitHub account."
            }
            p {
                "It was started by the program that your assistant runs in, and serves that program \
                 alone. These pages link your GitHub account; a link to them works as long as that \
                 program runs."
            }
            p.small { "Who is asking: " code { (pages.settings.mode.slug()) } " (AUTH_MODE)" }
        },
    )
}

/// What this server is and how a host finds it; `behind_key`: with the key of `single-user` mode.
pub(super) fn about(public_base_url: &Url, behind_key: bool) -> Markup {
    let mut mcp = public_base_url.clone();
    mcp.set_path("/mcp");
    let mcp = mcp.as_str();
    html! {
        h2 { "In your assistant" }
        p {
            "Ask your assistant about a GitHub repository: this MCP server reads its \
             most-discussed open pull requests with your own GitHub account. Its address:"
        }
        pre { code { (mcp) } }
        @if behind_key {
            p {
                "Hosts must send the header " code { "Authorization: Bearer KEY" } ", unless \
                 the local key is off. The server shows the key at its start and keeps it in \
                 its state folder."
            }
        }
        @for (host, snippet) in snippets(mcp) {
            p { (host) }
            pre { code { (snippet) } }
        }
    }
}

/// What to write where.
fn snippets(mcp: &str) -> [(&'static str, String); 4] {
    [
        ("Claude Code", format!("claude mcp add --transport http prs {mcp}")),
        ("Codex", format!("codex mcp add prs --url {mcp}")),
        (
            "VS Code, in .vscode/mcp.json",
            format!(r#"{{"servers":{{"prs":{{"type":"http","url":"{mcp}"}}}}}}"#),
        ),
        (
            "Cursor, in ~/.cursor/mcp.json",
            format!(r#"{{"mcpServers":{{"prs":{{"url":"{mcp}"}}}}}}"#),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_key_opens_the_page() {
        let key = Secret::from("the-local-key".to_owned());
        assert!(is_key("the-local-key", &key) && is_key(" the-local-key\n", &key));
        for other in ["", "the-local-ke", "the-local-key2", "The-local-key"] {
            assert!(!is_key(other, &key), "{other}");
        }
    }
}
