//! The list of tools, written once.
//!
//! It is the same for everybody and as long as the server runs, and writing it takes longer than all
//! else about the request. What the SDK answered is given again to whoever asks in the same way; who
//! asks in another way is answered by the SDK.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    body::{Body, Bytes, to_bytes},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};

use super::{
    json_answer,
    message::{Message, plain_version},
};

/// Versions of the protocol for which it is kept.
const MOST_VERSIONS: usize = 8;
/// Before the list, between the id and it, and after it, as the SDK writes an answer.
const FRAME: [&str; 3] = [r#"{"jsonrpc":"2.0","id":"#, r#","result":"#, "}"];

/// Results of `tools/list` by version of the protocol. Clones share them.
#[derive(Debug, Clone, Default)]
pub(in crate::mcp) struct ToolList(Arc<Mutex<HashMap<HeaderValue, Bytes>>>);

/// Somebody asks for the list, and for nothing else.
#[derive(Debug)]
pub(super) struct Asked {
    version: HeaderValue,
    /// In JSON.
    id: String,
}

impl Asked {
    /// `None`: the SDK has to look at it.
    pub(super) fn by(headers: &HeaderMap, message: &Message) -> Option<Self> {
        if message.method() != Some("tools/list") || !message.is_without_params() {
            return None;
        }
        let version = plain_version(headers)?.clone();
        let id = message.id();
        (!id.is_null()).then(|| Self { version, id: id.to_string() })
    }
}

impl ToolList {
    /// The answer, if it was given before.
    pub(super) fn answer(&self, asked: &Asked) -> Option<Response> {
        let list = self.lock().get(&asked.version)?.clone();
        let [before, between, after] = FRAME.map(str::as_bytes);
        let answer = [before, asked.id.as_bytes(), between, &list, after].concat();
        Some(json_answer(answer.into()))
    }

    /// Keeps what the SDK has answered.
    pub(super) async fn keep(&self, asked: &Asked, response: Response) -> Response {
        let kind = response.headers().get(header::CONTENT_TYPE);
        if response.status() != StatusCode::OK || kind.is_none_or(|it| it != "application/json") {
            return response;
        }
        let (parts, body) = response.into_parts();
        // The SDK has it in one piece.
        let Ok(answer) = to_bytes(body, usize::MAX).await else {
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        };
        let [before, between, after] = FRAME;
        let start = [before, &asked.id, between].concat();
        let list = answer.strip_prefix(start.as_bytes());
        if let Some(list) = list.and_then(|rest| rest.strip_suffix(after.as_bytes())) {
            let mut lists = self.lock();
            if lists.len() < MOST_VERSIONS {
                lists.insert(asked.version.clone(), Bytes::copy_from_slice(list));
            }
        }
        Response::from_parts(parts, Body::from(answer))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<HeaderValue, Bytes>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
