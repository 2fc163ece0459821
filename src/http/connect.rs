//! `/connect/{flow}`: the page behind the link that the agent shows.

use axum::{
    body::Bytes,
    extract::{
        Path, State,
        rejection::{BytesRejection, PathRejection},
    },
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse as _, Redirect, Response},
};
use maud::{Markup, html};

use super::{
    PAGE_DEADLINE, Pages,
    browser_request::{Browser, admit_form, form_body, not_from_our_page, parameter},
    page,
    problem::failure_response,
};
use crate::{
    domain::{Failure, FailureCode, FlowId, failure::Result},
    identity::{
        BrowserCookie,
        linking::{AuthorizationStep, ConnectPage},
    },
    upstream::Call,
};

/// GET: shows who asks for what. Changes nothing.
pub(super) async fn show(
    State(pages): State<Pages>,
    flow: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Response {
    let shown = async {
        let flow = parse(flow)?;
        let browser = Browser::of(&headers, &pages)?;
        let page = pages.linking.open(&flow, browser.cookie.as_ref()).await?;
        Ok(form(&page, &pages))
    };
    shown.await.map_or_else(|f: Box<Failure>| failure_response(&f, &headers), Markup::into_response)
}

/// POST: the person pressed a button.
pub(super) async fn press(
    State(pages): State<Pages>,
    flow: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    pressed(&pages, flow, &headers, body)
        .await
        .unwrap_or_else(|failure| failure_response(&failure, &headers))
}

async fn pressed(
    pages: &Pages,
    flow: Result<Path<String>, PathRejection>,
    headers: &HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response> {
    admit_form(headers, &pages.settings.public_base_url)?;
    let flow = parse(flow)?;
    let body = &form_body(body)?;
    let browser = Browser::of(headers, pages)?;
    let csrf = parameter(body, "csrf")?.unwrap_or_default();
    let good_for = |cookie| pages.linking.csrf_is_good(flow.as_str(), cookie, &csrf);
    // The second: the page was shown before another tab got this browser its cookie.
    if !good_for(browser.cookie.as_ref()) && !good_for(None) {
        return Err(not_from_our_page());
    }
    let use_again = parameter(body, "use_again")?;
    let cookie = browser.cookie.unwrap_or_else(|| BrowserCookie::mint(&*pages.entropy));
    let answered = match use_again {
        Some(github_id) => reuse(pages, &flow, &cookie, &github_id).await,
        None => consent(pages, &flow, &cookie).await,
    };
    // A failure too: the flow may be bound to this cookie already, and the button works again.
    let mut response = answered.unwrap_or_else(|failure| failure_response(&failure, headers));
    let set_cookie =
        HeaderValue::from_str(&cookie.to_set_cookie(&browser.cookie_name)).map_err(|error| {
            Failure::new(FailureCode::Internal, "A cookie was not made.").caused_by(error)
        })?;
    response.headers_mut().append(header::SET_COOKIE, set_cookie);
    Ok(response)
}

async fn consent(pages: &Pages, flow: &FlowId, cookie: &BrowserCookie) -> Result<Response> {
    let call = Call::within(PAGE_DEADLINE);
    let step = pages.linking.consent(flow, cookie, &call).await?;
    Ok(onward(&step).into_response())
}

async fn reuse(
    pages: &Pages,
    flow: &FlowId,
    cookie: &BrowserCookie,
    github_id: &str,
) -> Result<Response> {
    let github_id = github_id.parse().map_err(|_| not_from_our_page())?;
    pages.linking.reuse(flow, cookie, github_id).await?;
    // A redirect after a POST, but to this very origin.
    Ok(Redirect::to("/connected").into_response())
}

/// The flow that the address names; a segment that is not UTF-8 names none.
fn parse(segment: Result<Path<String>, PathRejection>) -> Result<FlowId> {
    segment.ok().and_then(|Path(flow)| FlowId::parse(&flow)).ok_or_else(|| {
        Failure::new(FailureCode::NotFound, "This address is incomplete or was changed on its way.")
    })
}

fn form(shown: &ConnectPage, pages: &Pages) -> Markup {
    let ago = (pages.clock.now() - shown.created_at).num_minutes();
    page::layout(
        "Connect GitHub",
        &html! {
            h1 { "Connect GitHub" }
            p {
                @match shown.client.get() {
                    Some(name) => { "A program that calls itself " strong { "“" (name) "”" } " asks" },
                    None => { "A program that gave no name asks" },
                }
                " to read pull requests with your GitHub account. It asked "
                @match ago {
                    ..=0 => { "less than a minute ago." },
                    1 => { "a minute ago." },
                    minutes => { (minutes) " minutes ago." },
                }
            }
            p.note {
                strong { "Go on only if you asked for this yourself." }
                " Whoever sent you this link will see what your GitHub account can see."
            }
            @for account in &shown.known_accounts {
                form method="post" {
                    input type="hidden" name="csrf" value=(shown.csrf);
                    button.go name="use_again" value=(account.id) { "Use @" (account.login) " again" }
                }
            }
            form method="post" {
                input type="hidden" name="csrf" value=(shown.csrf);
                @if shown.known_accounts.is_empty() {
                    button.go { "Connect GitHub" }
                } @else {
                    button.arm { "Connect another GitHub account" }
                }
            }
        },
    )
}

/// The answer to the button: a page, because a POST must not redirect off this origin.
pub(super) fn onward(step: &AuthorizationStep) -> Markup {
    let link = step.link.as_str();
    page::layout_with_refresh(
        "On to GitHub",
        Some(link),
        &html! {
            h1 { "On to GitHub" }
            p { "You are being taken to the page where GitHub asks for your consent. Finish there, in this browser." }
            p { a.button href=(link) rel="noreferrer" { "Go on now" } }
        },
    )
}
