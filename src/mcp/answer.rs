//! Answers of tools: text that stands alone, the same as data, and failures that say what to do.

use rmcp::model::{
    CallToolResponse, CallToolResult, ContentBlock, InputRequiredResult, MetaObject,
};
use serde::Serialize;
use serde_json::{Value, json};

use crate::domain::{Failure, FailureCode, Fault, failure::Result};

/// Under which name the machine-readable part of a failure stands in `_meta`.
const FAILURE_META: &str = "pr-summarizer/failure";

/// What a tool answers when it did not fail.
pub(super) enum Answer {
    /// The result.
    Done(CallToolResult),
    /// The person is needed first.
    Ask(InputRequiredResult),
}

impl Answer {
    /// A result with its text and its data. The text does not repeat the data as JSON: clients that
    /// pass both to a model would pay twice.
    pub(super) fn done<T: Serialize>(text: String, data: &T) -> Result<Self> {
        let data = serde_json::to_value(data).map_err(|error| {
            Failure::new(FailureCode::Internal, "The answer could not be written.").caused_by(error)
        })?;
        let mut result = CallToolResult::success(vec![ContentBlock::text(text)]);
        result.structured_content = Some(data);
        Ok(Self::Done(result))
    }
}

impl From<Answer> for CallToolResponse {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Done(result) => result.into(),
            Answer::Ask(ask) => ask.into(),
        }
    }
}

/// A failure as a tool result that the agent can read. No `structuredContent`: clients hold that
/// against the tool's output schema and would hide the text.
pub(super) fn failed(failure: &Failure, further: Option<&str>) -> CallToolResult {
    let mut text = format!("{}\nNext: {}", failure.detail, failure.code.agent_next_step());
    if let Some(further) = further {
        text.push('\n');
        text.push_str(further);
    }
    // The word to look up in docs/troubleshooting.md.
    text.push_str("\nCode: ");
    text.push_str(failure.code.slug());
    let mut data = json!({
        "code": failure.code.slug(),
        "fault": failure.code.fault().slug(),
        "incident": failure.incident,
    });
    if let (Some(wait), Some(data)) = (failure.retry_after, data.as_object_mut()) {
        data.insert("retry_after_seconds".to_owned(), Value::from(wait.as_secs().max(1)));
    }
    let mut result = CallToolResult::error(vec![ContentBlock::text(text)]);
    let mut meta = MetaObject::default();
    meta.insert(FAILURE_META.to_owned(), data);
    result.meta = Some(meta);
    result
}

/// Logs a failure once, here at the door.
pub(super) fn log(failure: &Failure, tool: &str) {
    match failure.code.fault() {
        // The sentence may quote what the caller sent, a misplaced handle for example.
        Fault::Caller => tracing::info!(
            code = failure.code.slug(),
            incident = failure.incident,
            tool,
            "a call was refused"
        ),
        Fault::User => tracing::info!(?failure, tool, "a call was refused"),
        Fault::Operator | Fault::Upstream => tracing::warn!(?failure, tool, "a call failed"),
        Fault::Server => tracing::error!(?failure, tool, "a call failed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_a_failure_ends_with_its_code() {
        for code in FailureCode::ALL {
            let failure = Failure::new(*code, "It did not work.");
            for further in [None, Some("Link for the user: https://prs.example/connect/1")] {
                let result = failed(&failure, further);
                let text = result.content[0].as_text().unwrap().text.clone();
                assert!(text.ends_with(&format!("\nCode: {}", code.slug())), "{text}");
                assert_eq!(text.lines().count(), if further.is_some() { 4 } else { 3 }, "{text}");
            }
        }
    }
}
