//! How much of one caller, and how many newcomers, are attended to at the same time.
//!
//! Whoever asks for more is told at once to come back, so that one busy client fills neither the
//! store's queue nor the connections of the others.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use http_body::{Frame, SizeHint};
use rmcp::model::ErrorCode;
use serde_json::Value;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

use super::legacy::refuse;
use crate::domain::PrincipalId;

/// Requests of one principal that are being answered. A person with several hosts has a handful.
pub(super) const OF_ONE: usize = 32;
/// Sessions being opened. Each is a write to the disk, and outside of `oauth` mode nobody is known
/// yet who could be held to a share.
const NEWCOMERS: usize = 8;
/// How long a newcomer may wait for their turn.
const PATIENCE: Duration = Duration::from_secs(2);
/// What clients that are turned away are told to wait, in seconds.
const COME_BACK: &str = "5";

/// JSON-RPC's codes from -32000 are the server's to define.
pub(super) const BUSY: ErrorCode = ErrorCode(-32000);

/// To a caller who has their share.
pub(super) const TOO_MANY: &str =
    "Too many requests of this client are being answered. Next: wait for some of them.";

/// Counts; clones share the count.
#[derive(Debug, Clone)]
pub(super) struct Turnstile(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// By principal. A std mutex: it is never held across an await.
    inside: Mutex<HashMap<PrincipalId, usize>>,
    newcomers: Semaphore,
}

/// One request that is being answered, until this is dropped.
#[derive(Debug)]
pub(super) struct Passage {
    turnstile: Turnstile,
    principal: PrincipalId,
}

impl Turnstile {
    pub(super) fn new() -> Self {
        let (inside, newcomers) = (Mutex::default(), Semaphore::new(NEWCOMERS));
        Self(Arc::new(Inner { inside, newcomers }))
    }

    /// Lets a request of this principal in. `None`: enough of them are being answered.
    pub(super) fn pass(&self, principal: &PrincipalId) -> Option<Passage> {
        let mut inside = self.lock();
        let count = inside.entry(principal.clone()).or_default();
        if *count >= OF_ONE {
            return None;
        }
        *count += 1;
        Some(Passage { turnstile: self.clone(), principal: principal.clone() })
    }

    /// The turn of somebody who opens a session. `None`: too many are waiting for theirs.
    pub(super) async fn welcome(&self) -> Option<SemaphorePermit<'_>> {
        timeout(PATIENCE, self.0.newcomers.acquire()).await.ok()?.ok()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PrincipalId, usize>> {
        self.0.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Passage {
    /// The request is answered when this answer has been sent, which may be long after it began.
    pub(super) fn until_sent(self, response: Response) -> Response {
        response.map(|body| Body::new(Sent { body, _passage: self }))
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        let mut inside = self.turnstile.lock();
        if let Some(count) = inside.get_mut(&self.principal) {
            *count -= 1;
            if *count == 0 {
                inside.remove(&self.principal);
            }
        }
    }
}

/// An answer's body with the passage that ends with it.
struct Sent {
    body: Body,
    _passage: Passage,
}

impl http_body::Body for Sent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// 429: this caller asks too much. 503: all together do.
pub(super) fn turned_away(status: StatusCode, id: &Value) -> Response {
    let text = if status == StatusCode::TOO_MANY_REQUESTS {
        TOO_MANY
    } else {
        "Too many clients are connecting at this moment. Next: try again in a few seconds."
    };
    let mut response = refuse(status, BUSY, text, id);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(COME_BACK));
    response
}

#[cfg(test)]
mod tests {
    use http_body::Body as _;

    use super::*;
    use crate::domain::SystemEntropy;

    #[test]
    fn one_principal_has_a_share_and_not_the_others() {
        let turnstile = Turnstile::new();
        let (greedy, other) =
            (PrincipalId::mint(&SystemEntropy), PrincipalId::mint(&SystemEntropy));
        let mut inside: Vec<_> =
            (0..OF_ONE).map(|_| turnstile.pass(&greedy).expect("within the share")).collect();
        assert!(turnstile.pass(&greedy).is_none());
        assert!(turnstile.pass(&other).is_some());
        let sent = inside.pop().unwrap().until_sent(Response::new(Body::from("x")));
        assert!(turnstile.pass(&greedy).is_none(), "its answer is on its way still");
        assert_eq!(sent.body().size_hint().exact(), Some(1));
        drop(sent);
        assert!(turnstile.pass(&greedy).is_some());
        drop(inside);
        assert!(turnstile.lock().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn newcomers_wait_for_their_turn_and_not_for_ever() {
        let turnstile = Turnstile::new();
        let mut turns = Vec::new();
        for _ in 0..NEWCOMERS {
            turns.push(turnstile.welcome().await.unwrap());
        }
        assert!(turnstile.welcome().await.is_none());
        turns.pop();
        assert!(turnstile.welcome().await.is_some());
    }
}
