//! One message as it arrives: read within bounds, and JSON-RPC before anybody acts on it.

use std::{error::Error as _, io, time::Duration};

use axum::{
    body::{Body, Bytes, to_bytes},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use rmcp::model::{ErrorCode, ProtocolVersion, RequestId};
use serde::{Deserialize as _, de::DeserializeOwned};
use serde_json::{Map, Value};
use tokio::time::timeout;

use super::{
    super::LONGEST_REQUEST,
    json::{self, Flaw},
    refuse,
};

const VERSION_HEADER: &str = "mcp-protocol-version";
const VERSION_META: &str = "io.modelcontextprotocol/protocolVersion";

/// How long a body may take to arrive: whoever sends a byte now and then holds a connection. The
/// front, where there is one, has the same limit for every route.
pub(super) const BODY_PATIENCE: Duration = Duration::from_secs(30);

/// A message, as far as the door must know.
pub(super) struct Message {
    value: Value,
    pub(super) bytes: Bytes,
}

impl Message {
    pub(super) fn method(&self) -> Option<&str> {
        self.value.get("method")?.as_str()
    }

    pub(super) fn param(&self, path: &str) -> Option<&Value> {
        self.value.pointer(&format!("/params/{path}"))
    }

    /// Whether the parameters say nothing.
    pub(super) fn is_without_params(&self) -> bool {
        match self.value.get("params") {
            None | Some(Value::Null) => true,
            Some(params) => params.as_object().is_some_and(Map::is_empty),
        }
    }

    /// All parameters, if they are of this kind.
    pub(super) fn params<T: DeserializeOwned>(&self) -> Option<T> {
        T::deserialize(self.value.get("params")?).ok()
    }

    pub(super) fn id(&self) -> Value {
        self.value.get("id").cloned().unwrap_or(Value::Null)
    }

    /// The id of a request.
    pub(super) fn request_id(&self) -> Option<RequestId> {
        RequestId::deserialize(self.value.get("id")?).ok()
    }

    /// Whether it belongs to the era without sessions. Only that era states the version in `_meta`, so
    /// one stated there that nobody knows is answered as that era does: with the versions there are.
    pub(super) fn is_modern(&self, headers: &HeaderMap) -> bool {
        // Versions are dates, so the later one is the greater string.
        let is_late = |version: &str| version >= ProtocolVersion::V_2026_07_28.as_str();
        let stated = self
            .value
            .get("params")
            .and_then(|params| params.get("_meta"))
            .and_then(|meta| meta.get(VERSION_META))
            .and_then(Value::as_str);
        if let Some(version) = stated {
            return !is_date(version) || is_late(version);
        }
        let in_header = headers.get(VERSION_HEADER).and_then(|version| version.to_str().ok());
        self.method() != Some("initialize") && in_header.is_some_and(|v| is_date(v) && is_late(v))
    }
}

/// The stated version of a request whose headers say nothing else that has to be weighed: it is
/// JSON, and its answer may be that or a stream. `None`: the SDK has to look at them.
pub(super) fn plain_version(headers: &HeaderMap) -> Option<&HeaderValue> {
    // Whole parts without parameters, which could say that one is not taken, and no quotes, in which
    // a comma separates nothing.
    let accepted = headers.get(header::ACCEPT)?.to_str().ok().filter(|it| !it.contains('"'))?;
    let takes = |kind| accepted.split(',').any(|part| part.trim() == kind);
    let is_plain = takes("application/json")
        && takes("text/event-stream")
        && headers.get(header::CONTENT_TYPE)? == "application/json";
    headers.get(VERSION_HEADER).filter(|_| is_plain)
}

/// Whether this is written as YYYY-MM-DD.
fn is_date(version: &str) -> bool {
    version.len() == 10
        && version.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        })
}

/// Reads a body whole and within `patience`, or says what is wrong with it.
pub(super) async fn read(body: Body, patience: Duration) -> Result<Message, Box<Response>> {
    let refusal = |status, code, text: &str, id: &Value| Box::new(refuse(status, code, text, id));
    let arrived = timeout(patience, to_bytes(body, LONGEST_REQUEST)).await.ok();
    let Some(bytes) = arrived.filter(|read| !read.as_ref().is_err_and(is_late)) else {
        let mut refusal = refusal(
            StatusCode::REQUEST_TIMEOUT,
            ErrorCode::INVALID_REQUEST,
            "The message did not arrive in time.",
            &Value::Null,
        );
        // The rest of the body may still come, and is no next request.
        refusal.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        return Err(refusal);
    };
    let bytes = bytes.map_err(|_| {
        refusal(
            StatusCode::PAYLOAD_TOO_LARGE,
            ErrorCode::INVALID_REQUEST,
            "The message is longer than 256 KiB, or it broke off.",
            &Value::Null,
        )
    })?;
    let value = json::parse(&bytes).map_err(|flaw| {
        let (code, text) = match flaw {
            Flaw::NotJson => (ErrorCode::PARSE_ERROR, "The message is not JSON."),
            Flaw::Doubled => {
                (ErrorCode::INVALID_REQUEST, "A member of the message occurs more than once.")
            }
        };
        refusal(StatusCode::BAD_REQUEST, code, text, &Value::Null)
    })?;
    let violation = match &value {
        Value::Object(fields) => violation(fields),
        _ => Some("The message is not one JSON-RPC object; batches are not part of this protocol."),
    };
    match violation {
        None => Ok(Message { value, bytes }),
        Some(text) => {
            let id = value.get("id").filter(|id| is_id(id)).unwrap_or(&Value::Null);
            Err(refusal(StatusCode::BAD_REQUEST, ErrorCode::INVALID_REQUEST, text, id))
        }
    }
}

/// Whether the front gave the body up.
fn is_late(error: &axum::Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::TimedOut) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// What these fields break of JSON-RPC 2.0, and of MCP, whose parameters have names.
///
/// `params` may be null: some clients write what they leave out.
/// Source: <https://www.jsonrpc.org/specification>
fn violation(fields: &Map<String, Value>) -> Option<&'static str> {
    if fields.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
        return Some("The message is not JSON-RPC: jsonrpc must be \"2.0\".");
    }
    let id = fields.get("id");
    if id.is_some_and(|id| !is_id(id)) {
        return Some("id must be a string or an integer.");
    }
    let (result, error) = (fields.get("result"), fields.get("error"));
    let Some(method) = fields.get("method") else {
        return match (result, error) {
            (Some(_), None) if id.is_some() => None,
            (None, Some(Value::Object(_))) => None,
            (None, None) => Some("The message has neither a method nor a result nor an error."),
            _ => Some("A response has an id and either a result or an error object."),
        };
    };
    if !method.is_string() {
        Some("method must be a string.")
    } else if result.is_some() || error.is_some() {
        Some("A message with a method has neither a result nor an error.")
    } else if fields.get("params").is_some_and(|params| !params.is_object() && !params.is_null()) {
        Some("params must be an object.")
    } else {
        None
    }
}

/// What the SDK takes for an id, so that it never has to refuse one.
fn is_id(id: &Value) -> bool {
    RequestId::deserialize(id).is_ok()
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    #[test]
    fn only_dates_are_versions() {
        for version in ["2026-07-28", "2025-11-25", "9999-99-99"] {
            assert!(is_date(version), "{version}");
        }
        for version in
            ["banana", "", "2026-7-28", "2026-07-28 ", "2026/07/28", "２０２6-07", "draft-2027"]
        {
            assert!(!is_date(version), "{version}");
        }
    }

    #[tokio::test]
    async fn a_body_that_does_not_come_is_given_up() {
        let first = stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"{"))]);
        let stuck = stream::StreamExt::chain(first, stream::pending());
        let reading = read(Body::from_stream(stuck), Duration::from_millis(20));
        let outcome = timeout(Duration::from_secs(10), reading).await.expect("it is given up");
        let refusal = outcome.err().unwrap();
        assert_eq!(refusal.status(), StatusCode::REQUEST_TIMEOUT);
        assert_eq!(refusal.headers()[header::CONTENT_TYPE], "application/json");
        assert_eq!(refusal.headers()[header::CONNECTION], "close");
    }
}
