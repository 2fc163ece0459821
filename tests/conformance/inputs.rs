//! Tools that need something of the client first (input requests, since 2026-07-28).

use std::time::Duration;

use rmcp::{
    ErrorData, RoleServer,
    model::{
        CallToolRequestParams, CallToolResponse, InputRequiredResult, InputResponses,
        RequestStateCodec, SealOptions,
    },
    service::RequestContext,
};
use serde_json::{Value, json};

use crate::tools;

pub const TOOLS: &[&str] = &[
    "test_streaming_elicitation",
    "test_input_required_result_elicitation",
    "test_input_required_result_sampling",
    "test_input_required_result_list_roots",
    "test_input_required_result_request_state",
    "test_input_required_result_multiple_inputs",
    "test_input_required_result_multi_round",
    "test_input_required_result_tampered_state",
    "test_input_required_result_capabilities",
];
pub const PROMPT: &str = "test_input_required_result_prompt";

const LIFETIME: Duration = Duration::from_mins(5);
const KEY: [u8; 32] = *b"the key of the conformance runs!";

/// Asks, and knows its own questions again.
pub struct Inputs(RequestStateCodec);

impl Inputs {
    pub fn new() -> Self {
        Self(RequestStateCodec::try_new(KEY).expect("a key that is long enough"))
    }

    /// Answers a call of one of these tools; `None` for any other.
    pub fn call(
        &self,
        request: &CallToolRequestParams,
        context: &RequestContext<RoleServer>,
    ) -> Option<Result<CallToolResponse, ErrorData>> {
        let answer = |key: &str| {
            let all = request.input_responses.as_ref();
            all.and_then(|all| all.get(key)).filter(|answer| answer.is_object())
        };
        let step = match &*request.name {
            "test_input_required_result_elicitation" | "test_streaming_elicitation" => {
                match answer("user_name").and_then(|answer| filled_in(answer, "name")) {
                    Some(name) => done(&format!("Hello, {name}!")),
                    None => {
                        ask(json!({ "user_name": question("What is your name?", "name") }), None)
                    }
                }
            }
            "test_input_required_result_sampling" => match answer("capital_question") {
                Some(said) => {
                    done(&format!("The client's model said: {}", said["content"]["text"]))
                }
                None => ask(
                    json!({ "capital_question": sampling("What is the capital of France?", 100) }),
                    None,
                ),
            },
            "test_input_required_result_list_roots" => match answer("client_roots") {
                Some(roots) => done(&format!("The client's roots: {}", roots["roots"])),
                None => ask(json!({ "client_roots": roots() }), None),
            },
            "test_input_required_result_request_state"
            | "test_input_required_result_tampered_state" => match self.round(request) {
                Err(error) => return Some(Err(error)),
                Ok(1) if answer("confirm").is_some() => done("state-ok"),
                Ok(_) => ask(json!({ "confirm": confirmation() }), Some(self.seal(request, 1))),
            },
            "test_input_required_result_multiple_inputs" => match self.round(request) {
                Err(error) => return Some(Err(error)),
                Ok(1)
                    if ["user_name", "greeting", "client_roots"]
                        .iter()
                        .all(|key| answer(key).is_some()) =>
                {
                    done("Everything came.")
                }
                Ok(_) => ask(
                    json!({
                        "user_name": question("What is your name?", "name"),
                        "greeting": sampling("Generate a greeting", 50),
                        "client_roots": roots(),
                    }),
                    Some(self.seal(request, 1)),
                ),
            },
            "test_input_required_result_multi_round" => match self.round(request) {
                Err(error) => return Some(Err(error)),
                Ok(2) if answer("step2").is_some() => done("Both steps were taken."),
                Ok(1) if answer("step1").is_some() => ask(
                    json!({ "step2": question("Step 2: What is your favorite color?", "color") }),
                    Some(self.seal(request, 2)),
                ),
                Ok(_) => ask(
                    json!({ "step1": question("Step 1: What is your name?", "name") }),
                    Some(self.seal(request, 1)),
                ),
            },
            "test_input_required_result_capabilities" => ask(declared(context), None),
            _ => return None,
        };
        Some(Ok(step))
    }

    /// Which round a state that came back is from; zero without one.
    fn round(&self, request: &CallToolRequestParams) -> Result<u8, ErrorData> {
        let Some(state) = &request.request_state else { return Ok(0) };
        let opened = self.0.open_with(state, request.name.as_bytes());
        let opened = opened.map_err(|_| {
            ErrorData::invalid_params("This request state was not sealed here.", None)
        })?;
        Ok(opened.first().copied().unwrap_or_default())
    }

    fn seal(&self, request: &CallToolRequestParams, round: u8) -> String {
        let bound = request.name.as_bytes();
        self.0.seal_with(&[round], &SealOptions::new().associated_data(bound).ttl(LIFETIME))
    }
}

/// What the client filled in for the prompt.
pub fn context_of(answers: Option<&InputResponses>) -> Option<String> {
    filled_in(answers?.get("user_context")?, "context")
}

pub fn ask_for_context() -> InputRequiredResult {
    required(
        json!({ "user_context": question("What context should the prompt use?", "context") }),
        None,
    )
}

fn filled_in(answer: &Value, field: &str) -> Option<String> {
    let accepted = answer["action"] == "accept";
    answer["content"][field].as_str().filter(|_| accepted).map(str::to_owned)
}

fn done(said: &str) -> CallToolResponse {
    tools::complete(&json!({ "content": [tools::text(said)] }))
}

fn ask(requests: Value, state: Option<String>) -> CallToolResponse {
    required(requests, state).into()
}

fn required(requests: Value, state: Option<String>) -> InputRequiredResult {
    InputRequiredResult::new(Some(serde_json::from_value(requests).expect("input requests")), state)
}

/// Asks only for what the client said it can do.
fn declared(context: &RequestContext<RoleServer>) -> Value {
    let can = context.client_capabilities().unwrap_or_default();
    let can = serde_json::to_value(can).unwrap_or_default();
    let mut requests = serde_json::Map::new();
    if can["elicitation"].is_object() {
        requests.insert("user_name".into(), question("What is your name?", "name"));
    }
    if can["sampling"].is_object() {
        requests.insert("greeting".into(), sampling("Generate a greeting", 50));
    }
    if can["roots"].is_object() {
        requests.insert("client_roots".into(), roots());
    }
    requests.into()
}

fn question(message: &str, field: &str) -> Value {
    form(message, field, "string")
}

fn confirmation() -> Value {
    form("Please confirm", "ok", "boolean")
}

fn form(message: &str, field: &str, kind: &str) -> Value {
    json!({
        "method": "elicitation/create",
        "params": {
            "mode": "form",
            "message": message,
            "requestedSchema": {
                "type": "object",
                "properties": { field: { "type": kind } },
                "required": [field],
            },
        },
    })
}

fn sampling(words: &str, most_tokens: u32) -> Value {
    json!({
        "method": "sampling/createMessage",
        "params": {
            "messages": [{ "role": "user", "content": tools::text(words) }],
            "maxTokens": most_tokens,
        },
    })
}

fn roots() -> Value {
    json!({ "method": "roots/list", "params": {} })
}
