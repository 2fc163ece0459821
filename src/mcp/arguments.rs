//! Arguments of a tool call.

use rmcp::model::JsonObject;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::domain::{Failure, FailureCode, failure::Result, text};

/// No complaint about arguments is longer, in characters.
const LONGEST_COMPLAINT: usize = 300;

/// Reads the arguments of a tool.
///
/// # Errors
/// `invalid_arguments`, naming the argument and what it should have been.
pub(super) fn read<T: DeserializeOwned>(arguments: Option<JsonObject>) -> Result<T> {
    serde_json::from_value(Value::Object(arguments.unwrap_or_default())).map_err(|error| {
        // The complaint repeats what the caller sent, and only to that caller.
        let complaint = text::line(&error.to_string(), LONGEST_COMPLAINT);
        invalid(format!("The arguments do not fit: {complaint}."))
    })
}

/// Arguments that do not fit, in a sentence.
pub(super) fn invalid(sentence: impl Into<String>) -> Box<Failure> {
    Failure::new(FailureCode::InvalidArguments, sentence)
}
