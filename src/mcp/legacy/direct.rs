//! Calls of tools that are answered in one piece, where they were read.
//!
//! The SDK serves a request outside of its own sessions by a service made for it, with tasks and
//! channels, so that messages can come before the answer. That costs more than all else about a
//! short call. Where nobody waits for progress there is nothing but the answer, and it is what the
//! SDK would have made of it (a call that a stop cuts off is told so, where the SDK says 500); whatever
//! is not as plain is left to the SDK.

use axum::{
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
};
use rmcp::model::{
    CallToolRequestParams, ProtocolVersion, RequestId, RequestMetaObject, ServerJsonRpcMessage,
    ServerResult,
};

use super::{
    super::{McpServer, call::Origin, caller::Caller, tools},
    json_answer,
    message::{Message, plain_version},
};

/// How the protocol's own keys of `_meta` begin.
const RESERVED: &str = "io.modelcontextprotocol/";

/// A call that is answered so.
pub(super) struct Direct {
    id: RequestId,
    request: CallToolRequestParams,
}

impl Direct {
    /// `None`: the SDK has to look at it.
    pub(super) fn asked(headers: &HeaderMap, message: &Message) -> Option<Self> {
        if message.method() != Some("tools/call") {
            return None;
        }
        let version = plain_version(headers)?;
        let is_known = ProtocolVersion::KNOWN_VERSIONS
            .iter()
            .any(|it| *it < ProtocolVersion::V_2026_07_28 && version == it.as_str());
        if !is_known {
            return None;
        }
        let request: CallToolRequestParams = message.params()?;
        let is_plain = |meta: &RequestMetaObject| {
            // What the protocol itself says there is for the SDK to weigh.
            meta.keys().all(|key| !key.starts_with(RESERVED))
                && (meta.get_progress_token().is_none() || !tools::tells_progress(&request.name))
        };
        // Another server may stand around ours, with tools of its own.
        let is_ours = tools::name(&request.name).is_some();
        if !is_ours || !request.meta.as_ref().is_none_or(is_plain) {
            return None;
        }
        Some(Self { id: message.request_id()?, request })
    }

    /// Runs it.
    pub(super) async fn answer(self, server: &McpServer, caller: Caller) -> Response {
        let Self { id, request } = self;
        let stop = server.inner.parts.stop.clone();
        let origin = Origin::within_session(caller, id.clone(), stop);
        let message = match server.call(request, origin).await {
            Ok(answer) => {
                let mut result = ServerResult::from(answer);
                result.strip_result_type_for_legacy_peer();
                ServerJsonRpcMessage::response(result, id)
            }
            Err(error) => ServerJsonRpcMessage::error(error, Some(id)),
        };
        match serde_json::to_vec(&message) {
            Ok(bytes) => json_answer(bytes.into()),
            Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::{
        body::Body,
        http::{HeaderValue, header},
    };
    use serde_json::{Value, json};

    use super::{super::message, *};

    const PLAIN: [(&str, &str); 3] = [
        ("accept", "application/json, text/event-stream"),
        ("content-type", "application/json"),
        ("mcp-protocol-version", "2025-11-25"),
    ];

    async fn is_direct(changed: &[(&'static str, &'static str)], params: &Value) -> bool {
        let headers = PLAIN.iter().chain(changed).map(|(name, value)| {
            (header::HeaderName::from_static(name), HeaderValue::from_static(value))
        });
        // Of two with one name the later one.
        let headers = headers.fold(HeaderMap::new(), |mut all, (name, value)| {
            all.insert(name, value);
            all
        });
        let message =
            json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
        let read = message::read(Body::from(message.to_string()), Duration::from_secs(5)).await;
        Direct::asked(&headers, &read.ok().unwrap()).is_some()
    }

    #[tokio::test]
    async fn plain_calls_are_answered_here() {
        for params in [
            json!({ "name": "auth_status" }),
            json!({ "name": "auth_status", "arguments": {}, "_meta": { "progressToken": 1 } }),
            json!({ "name": "summarize_prs", "arguments": { "repository": "a/b" } }),
            json!({ "name": "summarize_prs", "_meta": { "example.com/trace": "x" } }),
        ] {
            assert!(is_direct(&[], &params).await, "{params}");
        }
        assert!(
            is_direct(&[("mcp-protocol-version", "2025-03-26")], &json!({ "name": "auth_status" }))
                .await
        );
    }

    #[tokio::test]
    async fn what_has_to_be_weighed_is_the_sdks() {
        for params in [
            // Somebody listens.
            json!({ "name": "summarize_prs", "_meta": { "progressToken": 1 } }),
            json!({ "name": "auth_status", "_meta": {
                "io.modelcontextprotocol/protocolVersion": "2025-11-25" } }),
            // Perhaps a tool of a server that stands around ours.
            json!({ "name": "another" }),
            json!({ "name": 7 }),
            json!({}),
        ] {
            assert!(!is_direct(&[], &params).await, "{params}");
        }
        for changed in [
            ("accept", "application/json"),
            ("accept", "application/json;q=0, text/event-stream"),
            ("accept", "text/plain;x=\"a, application/json, text/event-stream, b\""),
            ("content-type", "application/json; charset=utf-8"),
            ("mcp-protocol-version", "2026-07-28"),
            ("mcp-protocol-version", "2023-01-01"),
        ] {
            assert!(!is_direct(&[changed], &json!({ "name": "auth_status" })).await, "{changed:?}");
        }
    }
}
