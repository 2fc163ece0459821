//! Answers of the agent's door that count at the turnstile until they are sent, and what those are
//! told for whom there is no place.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use axum::{
    body::{Body, Bytes},
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use http_body::{Frame, SizeHint};
use rmcp::model::ErrorCode;
use serde_json::Value;

use super::legacy::refuse;
use crate::identity::turnstile::Passage;

/// What clients that are turned away are told to wait, in seconds.
const COME_BACK: &str = "5";

/// JSON-RPC's codes from -32000 are the server's to define.
pub(super) const BUSY: ErrorCode = ErrorCode(-32000);

/// To a caller who has their share.
pub(super) const TOO_MANY: &str =
    "Too many requests of this client are being answered. Next: wait for some of them.";

/// The request is answered when this answer has been sent, which may be long after it began.
pub(super) fn until_sent(passage: Passage, response: Response) -> Response {
    response.map(|body| Body::new(Sent { body, _passage: passage }))
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
    use crate::{
        domain::{PrincipalId, SystemEntropy},
        identity::Turnstile,
    };

    #[test]
    fn an_answer_on_its_way_still_counts() {
        let (turnstile, person) = (Turnstile::default(), PrincipalId::mint(&SystemEntropy));
        let mut inside: Vec<_> = std::iter::from_fn(|| turnstile.pass(&person)).collect();
        let sent = until_sent(inside.pop().unwrap(), Response::new(Body::from("x")));
        assert!(turnstile.pass(&person).is_none(), "its answer is on its way still");
        assert_eq!(sent.body().size_hint().exact(), Some(1));
        drop(sent);
        assert!(turnstile.pass(&person).is_some());
    }
}
