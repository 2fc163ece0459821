//! Tools that answer at once, or with news on the way.

use std::time::Duration;

use rmcp::{
    ErrorData, RoleServer,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ClientCapabilities, LoggingLevel,
        LoggingMessageNotificationParam, ProgressNotificationParam, ProtocolVersion, Tool,
    },
    service::RequestContext,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::inputs;

/// One red pixel.
pub const PNG: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC";
/// A head without sound.
const WAV: &str = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA=";

/// Between two pieces of news, as the suite asks.
const PAUSE: Duration = Duration::from_millis(50);

/// Tools that take nothing.
const PLAIN: &[&str] = &[
    "test_simple_text",
    "test_image_content",
    "test_audio_content",
    "test_embedded_resource",
    "test_multiple_content_types",
    "test_tool_with_logging",
    "test_logging_tool",
    "test_error_handling",
    "test_tool_with_progress",
    "test_missing_capability",
];

pub fn all() -> Vec<Tool> {
    let names = PLAIN.iter().chain(inputs::TOOLS);
    let plain = names.map(|name| tool(name, &json!({ "type": "object" })));
    plain.chain([tool("json_schema_2020_12_tool", &rich_schema())]).collect()
}

fn tool(name: &str, input: &Value) -> Tool {
    let described = json!({
        "name": name,
        "description": "A tool of the conformance suite.",
        "inputSchema": input,
    });
    serde_json::from_value(described).expect("a tool")
}

/// What a tool's schema may hold since 2020-12: it must arrive as it is.
fn rich_schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": {
            "address": {
                "$anchor": "addressDef",
                "type": "object",
                "properties": { "street": { "type": "string" }, "city": { "type": "string" } },
            },
        },
        "properties": {
            "name": { "type": "string" },
            "address": { "$ref": "#/$defs/address" },
            "contactMethod": { "type": "string", "enum": ["phone", "email"] },
            "phone": { "type": "string" },
            "email": { "type": "string" },
        },
        "allOf": [{ "anyOf": [{ "required": ["phone"] }, { "required": ["email"] }] }],
        "if": { "properties": { "contactMethod": { "const": "phone" } }, "required": ["contactMethod"] },
        "then": { "required": ["phone"] },
        "else": { "required": ["email"] },
        "additionalProperties": false,
    })
}

/// Answers a call of one of these tools; `None` for any other.
pub async fn call(
    request: &CallToolRequestParams,
    context: &RequestContext<RoleServer>,
) -> Option<Result<CallToolResponse, ErrorData>> {
    let said = match &*request.name {
        "test_simple_text" => json!([text("This is a simple text response for testing.")]),
        "test_image_content" => json!([image()]),
        "test_audio_content" => {
            json!([{ "type": "audio", "data": WAV, "mimeType": "audio/wav" }])
        }
        "test_embedded_resource" => json!([resource(
            "test://embedded-resource",
            "text/plain",
            "This is an embedded resource content.",
        )]),
        "test_multiple_content_types" => json!([
            text("Multiple content types test:"),
            image(),
            resource(
                "test://mixed-content-resource",
                "application/json",
                r#"{"test":"data","value":123}"#,
            ),
        ]),
        "test_tool_with_logging" | "test_logging_tool" => {
            log(context).await;
            json!([text("It was logged.")])
        }
        "test_tool_with_progress" => {
            progress(context).await;
            json!([text("It is done.")])
        }
        "test_error_handling" => {
            let error = [text("This tool intentionally returns an error for testing")];
            return Some(Ok(complete(&json!({ "content": error, "isError": true }))));
        }
        "test_missing_capability" => {
            let wanted = ClientCapabilities::builder().enable_sampling().build();
            return Some(Err(ErrorData::missing_required_client_capability(wanted)));
        }
        "json_schema_2020_12_tool" => json!([text("It came.")]),
        _ => return None,
    };
    Some(Ok(complete(&json!({ "content": said }))))
}

pub fn complete(result: &Value) -> CallToolResponse {
    let result: CallToolResult = read(result.clone());
    result.into()
}

/// A result as the suite writes it. Since 2026-07-28 each says of itself that it is complete.
pub fn read<T: DeserializeOwned>(mut result: Value) -> T {
    result["resultType"] = "complete".into();
    serde_json::from_value(result).expect("a result")
}

pub fn is_modern(context: &RequestContext<RoleServer>) -> bool {
    context.protocol_version().is_some_and(|version| version >= ProtocolVersion::V_2026_07_28)
}

pub fn text(text: &str) -> Value {
    json!({ "type": "text", "text": text })
}

pub fn image() -> Value {
    json!({ "type": "image", "data": PNG, "mimeType": "image/png" })
}

pub fn resource(uri: &str, kind: &str, text: &str) -> Value {
    json!({ "type": "resource", "resource": { "uri": uri, "mimeType": kind, "text": text } })
}

/// Since 2026-07-28 a client that names no level wants no log; the suite's names none.
async fn log(context: &RequestContext<RoleServer>) {
    if is_modern(context) {
        return;
    }
    let mut pace = tokio::time::interval(PAUSE);
    for said in ["Tool execution started", "Tool processing data", "Tool execution completed"] {
        let message = LoggingMessageNotificationParam::new(LoggingLevel::Info, json!(said));
        let _ = context.peer.notify_logging_message(message).await;
        pace.tick().await;
    }
}

async fn progress(context: &RequestContext<RoleServer>) {
    let mut pace = tokio::time::interval(PAUSE);
    for step in [0.0, 50.0, 100.0] {
        if let Some(token) = context.meta.get_progress_token() {
            let step = ProgressNotificationParam::new(token, step).with_total(100.0);
            let _ = context.peer.notify_progress(step).await;
        }
        pace.tick().await;
    }
}
