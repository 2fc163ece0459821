//! The tools: names and shapes are a contract with agents, held by snapshot tests.

pub mod auth_status;
pub mod connect_github;
pub mod disconnect_github;
pub mod summarize_prs;

use std::{sync::Arc, time::Duration};

use rmcp::{
    handler::server::tool::{schema_for_input, schema_for_output},
    model::{CallToolRequestParams, JsonObject, Tool, ToolAnnotations},
};
use schemars::JsonSchema;
use serde_json::Value;

use super::{answer::Answer, caller::Caller, journal, progress::Listener, server::Inner, view};
use crate::{
    domain::{Failure, FailureCode, failure::Result},
    identity::{ClientName, Principal},
    upstream,
};

/// How long a tool other than `summarize_prs` may wait for Scalekit and GitHub.
const QUICK: Duration = Duration::from_secs(20);

/// All tools, in the order in which a newcomer meets them.
pub fn all() -> Vec<Tool> {
    vec![
        summarize_prs::descriptor(),
        connect_github::descriptor(),
        auth_status::descriptor(),
        disconnect_github::descriptor(),
    ]
}

/// The name of the tool that is called so, if there is one.
pub(super) fn name(called: &str) -> Option<&'static str> {
    let names =
        [summarize_prs::NAME, connect_github::NAME, auth_status::NAME, disconnect_github::NAME];
    names.into_iter().find(|name| *name == called)
}

/// Whether this tool says how far it is to who asks for that.
pub(super) fn tells_progress(called: &str) -> bool {
    called == summarize_prs::NAME
}

/// One call of a tool.
pub(super) struct Call {
    pub(super) server: Arc<Inner>,
    pub(super) caller: Caller,
    pub(super) client: ClientName,
    /// The client can show the person a link and bring the call back afterwards.
    pub(super) can_ask: bool,
    /// Where progress is told.
    pub(super) listener: Option<Listener>,
    /// As long as the longest tool may take; counts what is asked of others.
    pub(super) upstream: upstream::Call,
}

impl Call {
    /// Who is calling. `None`: a client without sessions that passed no handle.
    async fn principal(&self, handle: Option<&str>) -> Result<Option<Principal>> {
        let sessions = &self.server.parts.sessions;
        let principal = self.caller.principal(handle, self.client.clone(), sessions).await?;
        if let Some(principal) = &principal {
            journal::name(&principal.id);
        }
        Ok(principal)
    }

    fn quick(&self) -> upstream::Call {
        self.upstream.renewed(QUICK)
    }
}

/// A failure with what this tool adds to it, such as a link.
pub(super) struct Refusal {
    pub(super) failure: Box<Failure>,
    pub(super) further: Option<String>,
}

impl Refusal {
    pub(super) fn plain(failure: Box<Failure>) -> Self {
        Self { failure, further: None }
    }
}

impl From<Box<Failure>> for Refusal {
    fn from(failure: Box<Failure>) -> Self {
        Self::plain(failure)
    }
}

/// Runs the tool of this name, if there is one.
pub(super) async fn dispatch(
    call: Call,
    request: CallToolRequestParams,
) -> Option<Result<Answer, Refusal>> {
    // The quickest one needs no room for what the others may do.
    Some(match &*request.name {
        summarize_prs::NAME => Box::pin(summarize_prs::run(call, request)).await,
        connect_github::NAME => {
            Box::pin(connect_github::run(call, request)).await.map_err(Into::into)
        }
        auth_status::NAME => auth_status::run(call, request).await.map_err(Into::into),
        disconnect_github::NAME => {
            Box::pin(disconnect_github::run(call, request)).await.map_err(Into::into)
        }
        _ => return None,
    })
}

/// What every tool says of itself.
struct Description {
    name: &'static str,
    title: &'static str,
    text: &'static str,
    annotations: ToolAnnotations,
    /// Whether hosts with Apps show the card beside its answers.
    has_card: bool,
}

fn describe<I: JsonSchema + 'static, O: JsonSchema + 'static>(description: Description) -> Tool {
    let Description { name, title, text, annotations, has_card } = description;
    let empty = || Arc::new(JsonObject::new());
    // An input that is no object fails the contract's tests, not a running server.
    let input = schema_for_input::<I>().unwrap_or_else(|_| empty());
    let tool = Tool::new(name, text, without_null(lean(&input)))
        .with_title(title)
        .with_raw_output_schema(lean(&schema_for_output::<O>()))
        .with_annotations(annotations);
    if has_card { tool.with_meta(view::of_tool()) } else { tool }
}

/// A schema without what costs every conversation tokens and tells an agent little: integer formats,
/// a sentence for each word of an enumeration, and sentences below the first level, where the names
/// of this contract speak for themselves.
fn lean(schema: &Arc<JsonObject>) -> Arc<JsonObject> {
    let mut schema = schema.as_ref().clone();
    schema.remove("$schema");
    for (_, part) in &mut schema {
        trim(part);
    }
    if let Some(definitions) = schema.get_mut("$defs") {
        drop_sentences(definitions);
    }
    Arc::new(schema)
}

/// Arguments without `null` beside their type: leaving one out says the same, and a list of types is
/// more than some model providers' dialects of JSON Schema can say.
fn without_null(mut schema: Arc<JsonObject>) -> Arc<JsonObject> {
    let properties = Arc::make_mut(&mut schema).get_mut("properties");
    for argument in
        properties.and_then(Value::as_object_mut).into_iter().flat_map(|p| p.values_mut())
    {
        if let Some(Value::Array(types)) = argument.get_mut("type") {
            types.retain(|named| named != "null");
            if let [only] = types.as_slice() {
                argument["type"] = only.clone();
            }
        }
        let Some(Value::Array(choices)) = argument.get_mut("anyOf") else { continue };
        choices.retain(|choice| choice["type"] != "null");
        if let ([Value::Object(only)], Some(argument)) =
            (choices.clone().as_slice(), argument.as_object_mut())
        {
            argument.remove("anyOf");
            argument.extend(only.clone());
        }
    }
    schema
}

fn trim(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if object.get("format").is_some_and(|format| format != "date-time") {
                object.remove("format");
            }
            if object.get("minimum").is_some_and(|minimum| minimum == 0) {
                object.remove("minimum");
            }
            if let Some(words) = object.get("oneOf").and_then(words) {
                object.remove("oneOf");
                object.insert("type".to_owned(), "string".into());
                object.insert("enum".to_owned(), words);
            }
            object.values_mut().for_each(trim);
        }
        Value::Array(items) => items.iter_mut().for_each(trim),
        _ => {}
    }
}

/// Only where `description` is a keyword and not the name of a property.
fn drop_sentences(definitions: &mut Value) {
    for definition in definitions.as_object_mut().into_iter().flat_map(|all| all.values_mut()) {
        if let Some(definition) = definition.as_object_mut() {
            definition.remove("description");
            for property in definition
                .get_mut("properties")
                .and_then(Value::as_object_mut)
                .into_iter()
                .flat_map(|all| all.values_mut())
            {
                if let Some(property) = property.as_object_mut() {
                    property.remove("description");
                }
            }
        }
    }
}

/// The words of an enumeration that is written as one constant each.
fn words(choices: &Value) -> Option<Value> {
    choices.as_array()?.iter().map(|choice| choice.get("const").cloned()).collect()
}

/// What an operator must change before anybody can connect; not the caller's failure.
fn is_blocking(failure: &Failure) -> bool {
    matches!(failure.code, FailureCode::ProxyDisabled | FailureCode::UnverifiedConnection)
}
