//! Calls of tools that are answered in one piece, where they were read.
//!
//! The SDK serves a request outside of its own sessions by a service made for it, with tasks and
//! channels, so that messages can come before the answer. That costs more than all else about a
//! short call. Where nobody waits for progress there is nothing but the answer, and it is what the
//! SDK would have made of it; whatever is not as plain is left to the SDK.

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
                result.strip_non_object_output_for_legacy_peer();
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
