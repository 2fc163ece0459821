//! `disconnect_github`: unlinks the account, here and at Scalekit.

use rmcp::model::{CallToolRequestParams, Tool, ToolAnnotations};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    super::{answer::Answer, arguments},
    Call, Description, describe,
};
use crate::domain::failure::Result;

/// The tool's name.
pub const NAME: &str = "disconnect_github";

/// What the tool takes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The value of `connection` from an earlier answer, if there was one.
    connection: Option<String>,
}

/// There is but one outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DisconnectStatus {
    /// No account is connected any more.
    NotConnected,
}

/// What the tool answers.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Output {
    /// The outcome.
    status: DisconnectStatus,
}

pub(super) fn descriptor() -> Tool {
    describe::<Input, Output>(Description {
        name: NAME,
        title: "Disconnect GitHub",
        text: "Unlinks the user's GitHub account: the stored authorization is deleted. Call it \
               only when the user asks for it.",
        annotations: ToolAnnotations::with_title("Disconnect GitHub")
            .read_only(false)
            .destructive(true)
            .idempotent(true)
            .open_world(true),
        has_card: false,
    })
}

pub(super) async fn run(call: Call, request: CallToolRequestParams) -> Result<Answer> {
    let input: Input = arguments::read(request.arguments)?;
    if let Some(principal) = call.principal(input.connection.as_deref()).await? {
        call.server.parts.linking.disconnect(&principal).await?;
    }
    Answer::done(
        "GitHub is not connected; what was stored of an authorization is being deleted.".to_owned(),
        &Output { status: DisconnectStatus::NotConnected },
    )
}
