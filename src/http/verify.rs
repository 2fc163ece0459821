//! `/user/verify`, where Scalekit sends the browser back to, and `/connected`, where it ends up.

use axum::{
    body::Bytes,
    extract::{RawQuery, State, rejection::BytesRejection},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Redirect, Response},
};
use maud::html;

use super::{
    PAGE_DEADLINE, Pages,
    browser_request::{
        Browser, admit_form, admit_navigation, form_body, not_from_our_page, parameter,
    },
    oauth, page,
    problem::failure_response,
};
use crate::{
    domain::{Failure, FailureCode, failure::Result},
    identity::{
        BrowserCookie,
        flow::Ending,
        linking::{Callback, Completed, Interrupted},
    },
    upstream::Call,
};

/// What the form on the connected page is about.
const CONNECTED: &str = "connected";

/// GET `/user/verify`: the one GET that changes something, guarded by the state and the browser's
/// cookie together. It answers a redirect to an address without parameters.
pub(super) async fn callback(
    State(pages): State<Pages>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let read = || -> Result<_> {
        admit_navigation(&headers)?;
        let query = query.unwrap_or_default();
        let read = |name| parameter(query.as_bytes(), name);
        let callback = Callback {
            state: read("state")?,
            auth_request_id: read("auth_request_id")?,
            error: read("error")?.map(refusal).transpose()?.flatten(),
        };
        Ok((callback, Browser::of(&headers, &pages)?.cookie))
    };
    let (callback, cookie) = match read() {
        Ok(read) => read,
        Err(failure) => return failure_response(&failure, &headers),
    };
    // A task of its own: a browser that reloads or leaves drops the request, and a verification
    // that has begun must come to its end all the same.
    let linked =
        tokio::spawn(link(pages.clone(), callback, cookie)).await.unwrap_or_else(|error| {
            let sentence = "The connection was not completed.";
            Err(Failure::new(FailureCode::Internal, sentence).caused_by(error).into())
        });
    match linked {
        Ok(response) => response,
        Err(interrupted) => explain(&pages, interrupted, &headers).await,
    }
}

async fn link(
    pages: Pages,
    callback: Callback,
    cookie: Option<BrowserCookie>,
) -> Result<Response, Interrupted> {
    let call = Call::within(PAGE_DEADLINE);
    let completed = pages.linking.complete(&callback, cookie.as_ref(), &call).await?;
    Ok(went_on(&pages, completed, cookie.as_ref()).await?)
}

/// The provider's word for a refusal (RFC 6749 section 4.1.2.1); an empty one counts as omitted
/// (section 3.1).
///
/// # Errors
/// `invalid_arguments` for what is no such word: it does not say that anybody declined.
fn refusal(error: String) -> Result<Option<String>> {
    const LONGEST: usize = 512;
    let is_of_a_word = |b: u8| matches!(b, 0x20..=0x7e) && b != b'"' && b != b'\\';
    if error.len() > LONGEST || !error.bytes().all(is_of_a_word) {
        return Err(Failure::new(
            FailureCode::InvalidArguments,
            "The error that came with this address is none that OAuth knows.",
        ));
    }
    Ok((!error.is_empty()).then_some(error))
}

/// A linked account ends here; an identified person goes on to where they came from.
async fn went_on(
    pages: &Pages,
    completed: Completed,
    browser: Option<&BrowserCookie>,
) -> Result<Response> {
    let (Some(identified), Some(server)) = (completed.identified, &pages.authorization) else {
        return Ok(Redirect::to("/connected").into_response());
    };
    let epoch = server.grants().remember(&identified.person).await?;
    if let Some(cookie) = browser {
        pages.linking.sign_in(&identified.person, &epoch, cookie).await?;
    }
    let onward = if identified.continuation.is_empty() {
        Redirect::to("/").into_response()
    } else {
        oauth::granted(server, &identified, epoch).await?
    };
    // Asked last: what was given after the flow was undone has not left the server yet.
    if !pages.linking.stands(&identified).await? {
        server.grants().revoke_all(&identified.person.principal).await?;
        if let Some(cookie) = browser {
            pages.linking.sign_out(cookie).await?;
        }
        return Err(Failure::new(Ending::OtherBrowser.failure(), Ending::OtherBrowser.sentence()));
    }
    Ok(onward)
}

async fn explain(pages: &Pages, interrupted: Interrupted, headers: &HeaderMap) -> Response {
    let continuation = interrupted.continuation.filter(|continuation| !continuation.is_empty());
    if let Some(continuation) = continuation.as_ref().filter(|_| interrupted.is_connected) {
        return once_more(&interrupted.failure, continuation);
    }
    if let (Some(server), Some(continuation)) = (&pages.authorization, &continuation)
        && let Some(page) = oauth::declined(server, continuation, &interrupted.failure).await
    {
        return page;
    }
    failure_response(&interrupted.failure, headers)
}

/// The answer that would have led back to the client was lost, or this is an old address.
fn once_more(failure: &Failure, continuation: &str) -> Response {
    let body = html! {
        h1 { "GitHub is connected" }
        p { (failure.detail) }
        p { "If the program that asked has not gone on, allow it once more." }
        p { a href=(format!("/authorize?{continuation}")) { "Try again" } }
    };
    (StatusCode::GONE, page::layout("Already used", &body)).into_response()
}

/// GET `/connected`: whose account this browser connected last.
pub(super) async fn connected(State(pages): State<Pages>, headers: HeaderMap) -> Response {
    shown(&pages, &headers).await.unwrap_or_else(|failure| failure_response(&failure, &headers))
}

async fn shown(pages: &Pages, headers: &HeaderMap) -> Result<Response> {
    let browser = Browser::of(headers, pages)?;
    let here = match &browser.cookie {
        Some(cookie) => pages.linking.last_connected(cookie).await?,
        None => None,
    };
    let Some(here) = here else {
        let nothing = html! {
            h1 { "No GitHub account is connected from this browser" }
            p { "Ask your assistant to connect GitHub: it gives you a link." }
        };
        return Ok(page::layout("Not connected", &nothing).into_response());
    };
    let csrf = pages.linking.csrf(CONNECTED, browser.cookie.as_ref());
    let body = html! {
        h1 { "Connected as @" (here.account.login) }
        p { "You can close this tab and go back to your assistant." }
        @if !here.verified {
            p.note {
                "This connection is unverified: the Scalekit environment is in Scalekit-users-only \
                 mode, which is meant for development."
            }
        }
        h2 { "Not you?" }
        form method="post" {
            input type="hidden" name="csrf" value=(csrf);
            input type="hidden" name="account" value=(here.account.id);
            button { "Disconnect @" (here.account.login) }
        }
    };
    Ok(page::layout("Connected", &body).into_response())
}

/// POST `/connected`: "Not you? Disconnect".
pub(super) async fn disconnect(
    State(pages): State<Pages>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let done = async {
        admit_form(&headers, &pages.settings.public_base_url)?;
        let body = form_body(body)?;
        let browser = Browser::of(&headers, &pages)?;
        let csrf = parameter(&body, "csrf")?.unwrap_or_default();
        let cookie = browser
            .cookie
            .filter(|cookie| pages.linking.csrf_is_good(CONNECTED, Some(cookie), &csrf))
            .ok_or_else(not_from_our_page)?;
        // By name: a button pressed twice must not reach the account behind it.
        let account = parameter(&body, "account")?.and_then(|id| id.parse().ok());
        pages.linking.disconnect_here(&cookie, account.ok_or_else(not_from_our_page)?).await
    };
    match done.await {
        Ok(()) => Redirect::to("/connected").into_response(),
        Err(failure) => failure_response(&(failure as Box<Failure>), &headers),
    }
}
