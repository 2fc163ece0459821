//! `POST /standing`: how this browser stands with GitHub, for the page that waits until somebody is
//! done in another tab. Not a GET: looking may finish what was left half done.

use std::time::Duration;

use axum::{
    Json,
    body::Bytes,
    extract::{State, rejection::BytesRejection},
    http::HeaderMap,
    response::{IntoResponse as _, Response},
};
use serde::Serialize;
use tokio::time::Instant;

use super::{
    PAGE_DEADLINE, Pages,
    asker::{Asker, Form},
    digest::next_step,
    problem::failure_response_saying,
};
use crate::{
    domain::{Failure, FailureCode, failure::Result},
    identity::linking::Status,
    upstream::Call,
};

/// How long the answer waits for something to change.
const WAIT: Duration = Duration::from_secs(15);

/// What the page is told.
#[derive(Debug, Serialize)]
struct Standing {
    /// connected, connecting, `not_connected` or expired.
    state: &'static str,
    /// How the last attempt ended, if it did without a connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    sentence: Option<String>,
}

/// POST `/standing`.
pub(super) async fn tell(
    State(pages): State<Pages>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    match stands(&pages, &headers, body).await {
        Ok(standing) => Json(standing).into_response(),
        Err(failure) => failure_response_saying(&failure, &headers, next_step(failure.code)),
    }
}

async fn stands(
    pages: &Pages,
    headers: &HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Standing> {
    let form = Form::read(pages, headers, body)?;
    let cookie = form.browser.cookie.as_ref();
    let principal = match Asker::of(pages, cookie).await? {
        Asker::Known(principal) => principal,
        Asker::Stranger => return Ok(Standing { state: "not_connected", sentence: None }),
        locked @ Asker::Locked => locked.known(pages)?,
    };
    let Some(_passage) = pages.desk.turnstile.pass(&principal.id) else {
        return Err(Failure::new(
            FailureCode::TooManyRequests,
            "Too many requests of this browser are being answered.",
        ));
    };
    let linking = &pages.linking;
    let first = linking.status(&principal, &Call::within(PAGE_DEADLINE)).await?;
    let status = match &first {
        Status::Pending(link) => tokio::select! {
            later = linking.wait(&principal, &link.flow, Instant::now() + WAIT) => later?,
            () = pages.desk.stop.cancelled() => first,
        },
        _ => first,
    };
    Ok(match status {
        Status::Connected(_) => Standing { state: "connected", sentence: None },
        Status::Pending(_) => Standing { state: "connecting", sentence: None },
        Status::NotConnected { last_ending } => Standing {
            state: "not_connected",
            sentence: last_ending.map(|ending| ending.sentence().into_owned()),
        },
        Status::Expired { last_ending, .. } => Standing {
            state: "expired",
            sentence: last_ending.map(|ending| ending.sentence().into_owned()),
        },
    })
}
