//! A failure as an answer: a page for browsers, problem+json (RFC 9457) for programs.

use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use maud::html;
use serde::Serialize;

use super::page;
use crate::domain::{Failure, FailureCode, Fault};

/// RFC 9457 section 3.
#[derive(Debug, Serialize)]
struct Problem<'a> {
    r#type: &'static str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'static str,
    fault: &'static str,
    next_step: &'static str,
    incident: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_seconds: Option<u64>,
}

/// Answers a failure to whoever asked, and logs it: this is the boundary.
pub fn failure_response(failure: &Failure, request_headers: &HeaderMap) -> Response {
    let code = failure.code;
    let next = [code.agent_next_step(), code.human_next_step()];
    respond(failure, request_headers, headline(failure), next)
}

/// The same with a next step for whoever is at the page at `/`, where no assistant is at hand.
pub(super) fn failure_response_saying(
    failure: &Failure,
    request_headers: &HeaderMap,
    next: &'static str,
) -> Response {
    respond(failure, request_headers, "This did not work", [next, next])
}

fn respond(
    failure: &Failure,
    request_headers: &HeaderMap,
    headline: &'static str,
    [for_programs, for_people]: [&'static str; 2],
) -> Response {
    log(failure);
    let status = match failure.code.http_status() {
        // Browsers are known by a cookie: 401 would owe them a challenge that they cannot answer
        // (RFC 9110 section 15.5.2).
        401 => StatusCode::FORBIDDEN,
        status => StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
    };
    let wants_page = request_headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"));
    let mut response = if wants_page {
        (status, as_page(failure, headline, for_people)).into_response()
    } else {
        as_problem(failure, headline, status, for_programs)
    };
    if let Some(wait) = failure.retry_after {
        let seconds = HeaderValue::from(wait.as_secs().max(1));
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    response
}

fn as_page(failure: &Failure, headline: &str, next: &str) -> maud::Markup {
    page::layout(
        headline,
        &html! {
            h1 { (headline) }
            p { (failure.detail) }
            p.next { (next) }
            p.small { "Code " code { (failure.code.slug()) } ", incident " code { (failure.incident) } }
        },
    )
}

fn headline(failure: &Failure) -> &'static str {
    if matches!(failure.code, FailureCode::Forbidden | FailureCode::Unauthenticated) {
        return "Refused";
    }
    match failure.code.http_status() {
        404 => "Not found",
        409 => "Not finished yet",
        410 => "This link no longer works",
        413 => "Too much at once",
        429 => "Too many requests",
        400 | 401 | 403 => "Nothing was connected",
        _ => "Something did not work",
    }
}

fn as_problem(
    failure: &Failure,
    headline: &'static str,
    status: StatusCode,
    next_step: &'static str,
) -> Response {
    let problem = Problem {
        r#type: "about:blank",
        title: headline,
        status: status.as_u16(),
        detail: &failure.detail,
        code: failure.code.slug(),
        fault: failure.code.fault().slug(),
        next_step,
        incident: &failure.incident,
        retry_after_seconds: failure.retry_after.map(|wait| wait.as_secs().max(1)),
    };
    let body = serde_json::to_vec(&problem).unwrap_or_default();
    (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response()
}

pub(super) fn log(failure: &Failure) {
    match failure.code.fault() {
        Fault::Caller | Fault::User => tracing::info!(?failure, "a request was refused"),
        Fault::Operator | Fault::Upstream => tracing::warn!(?failure, "a request failed"),
        Fault::Server => tracing::error!(?failure, "a request failed"),
    }
}
