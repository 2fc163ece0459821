//! One request and its answer, between async-openai and our transport.
//!
//! The crate is only ever handed answers that it can read: everything else ends here as a
//! [`Refusal`], so that no text of a server reaches its log or its errors. Compatible servers leave
//! out fields that the crate insists on; what we need is read leniently and written anew.

use std::{error::Error, fmt, time::Duration};

use async_openai::{
    Client,
    config::Config,
    error::OpenAIError,
    middleware::HttpRequestFactory,
    types::chat::{CreateChatCompletionRequest, CreateChatCompletionResponse, FinishReason},
};
use axum::http;
use reqwest::{
    RequestBuilder, StatusCode, Url,
    header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue},
};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tower::service_fn;

use super::{Completion, Inner};
use crate::{
    domain::{Failure, FailureCode, Secret},
    upstream::transport::{
        Answer, BodyCap, Call, Dispatch, Purpose, Retry, Transport, TransportError,
    },
};

/// A summary has a few kilobytes; an answer beyond this is none.
const MAX_ANSWER_BYTES: usize = 1_000_000;
/// A refusal names its parameter in its first sentence; what follows may repeat the prompt.
const MAX_MESSAGE_BYTES: usize = 300;

/// In which header Azure's deployments expect their key.
/// Source: <https://learn.microsoft.com/azure/ai-foundry/openai/reference>
const AZURE_KEY: HeaderName = HeaderName::from_static("api-key");
/// In the address of a deployment at Azure.
const AZURE_VERSION: &str = "api-version";

/// Address and key, without a look at the environment.
#[derive(Clone)]
pub(super) struct Endpoint {
    base: String,
    query: Vec<(String, String)>,
    key: Secret,
}

impl Endpoint {
    pub(super) fn new(base: &Url, key: Option<Secret>) -> Self {
        // Azure wants `?api-version=…` on every request; it is part of its base address here.
        let query = base.query_pairs().into_owned().collect();
        let mut address = base.clone();
        address.set_query(None);
        address.set_fragment(None);
        let base = address.as_str().trim_end_matches('/').to_owned();
        Self { base, query, key: key.unwrap_or_else(|| Secret::from("")) }
    }
}

impl Config for Endpoint {
    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let key = self.key.expose_secret();
        if key.is_empty() {
            return headers;
        }
        // Where Azure wants a version it does not take its key as a Bearer token.
        let (name, value) = if self.query.iter().any(|(name, _)| name == AZURE_VERSION) {
            (AZURE_KEY, key.to_owned())
        } else {
            (AUTHORIZATION, format!("Bearer {key}"))
        };
        if let Ok(mut value) = HeaderValue::try_from(value) {
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        headers
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    fn query(&self) -> Vec<(&str, &str)> {
        self.query.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    fn api_base(&self) -> &str {
        &self.base
    }

    fn api_key(&self) -> &Secret {
        &self.key
    }
}

/// What a request holds that servers and models differ in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parameter {
    /// `temperature`.
    Temperature,
    /// `max_tokens` or `max_completion_tokens`.
    Tokens,
}

/// Why there is no completion. Holds no text of the server.
#[derive(Debug)]
pub(super) enum Refusal {
    /// No answer.
    Transport(TransportError),
    /// A 400 that names this parameter.
    Parameter(Parameter),
    /// A 400 of a filter that stands before the model.
    Filtered,
    /// Another bad status, and when to come back.
    Status(StatusCode, Option<Duration>),
    /// Not a chat completion.
    Unreadable,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transport(error) => write!(f, "{error}"),
            Self::Parameter(name) => write!(f, "a parameter is refused: {name:?}"),
            Self::Filtered => f.write_str("the prompt was filtered"),
            Self::Status(status, _) => write!(f, "status {}", status.as_u16()),
            Self::Unreadable => f.write_str("the answer is not a chat completion"),
        }
    }
}

impl Error for Refusal {}

impl From<Refusal> for Box<Failure> {
    fn from(refusal: Refusal) -> Self {
        let (code, detail) = match &refusal {
            Refusal::Status(status, _) if matches!(status.as_u16(), 401 | 403) => {
                (FailureCode::LlmRejectedUs, "The LLM refuses this server's key.")
            }
            Refusal::Status(StatusCode::NOT_FOUND, _) => (
                FailureCode::LlmRejectedUs,
                "The LLM knows no such model, or its address is wrong.",
            ),
            Refusal::Status(StatusCode::TOO_MANY_REQUESTS, _) => {
                (FailureCode::LlmUnavailable, "The LLM is asked too much at the moment.")
            }
            Refusal::Transport(TransportError::TimedOut) => {
                (FailureCode::LlmUnavailable, "The LLM did not answer in time.")
            }
            Refusal::Transport(TransportError::Down(_)) => (
                FailureCode::LlmUnavailable,
                "The LLM has not answered of late, and was not asked again so soon.",
            ),
            Refusal::Filtered => (
                FailureCode::LlmUnavailable,
                "The LLM's content filter refused the text of a pull request.",
            ),
            Refusal::Transport(_) | Refusal::Parameter(_) | Refusal::Status(..) => {
                (FailureCode::LlmUnavailable, "The LLM did not answer as it should.")
            }
            Refusal::Unreadable => {
                (FailureCode::LlmUnavailable, "The LLM's answer could not be read.")
            }
        };
        let mut failure = Failure::new(code, detail);
        failure = match &refusal {
            Refusal::Status(_, Some(wait)) => failure.retry_after(*wait),
            Refusal::Transport(error) => error.hint(failure),
            _ => failure,
        };
        failure.caused_by(refusal)
    }
}

impl Inner {
    /// Sends one request through async-openai and back.
    pub(super) async fn ask(
        &self,
        request: CreateChatCompletionRequest,
        call: &Call,
    ) -> Result<Completion, Refusal> {
        let (transport, drafting, call) =
            (self.transport.clone(), self.drafting.clone(), call.clone());
        let service = service_fn(move |draft: HttpRequestFactory| {
            let (transport, drafting, call) = (transport.clone(), drafting.clone(), call.clone());
            async move {
                let request = RequestBuilder::from_parts(drafting, draft.build().await?);
                let answer = exchange(&transport, request, &call).await;
                answer.map_err(|refusal| OpenAIError::Boxed(Box::new(refusal)))
            }
        });
        let client =
            Client::build(self.drafting.clone(), self.endpoint.clone()).with_http_service(service);
        match client.chat().create(request).await {
            Ok(response) => Ok(completion(response)),
            Err(OpenAIError::Boxed(error)) => {
                Err(error.downcast::<Refusal>().map_or(Refusal::Unreadable, |refusal| *refusal))
            }
            // Its text may quote the answer: it goes no further.
            Err(_) => Err(Refusal::Unreadable),
        }
    }
}

fn completion(response: CreateChatCompletionResponse) -> Completion {
    let usage = response.usage;
    let choice = response.choices.into_iter().next();
    let ended = choice.as_ref().and_then(|choice| choice.finish_reason);
    let text = choice.and_then(|choice| choice.message.content);
    Completion {
        text: text.unwrap_or_default(),
        is_cut: matches!(ended, Some(FinishReason::Length | FinishReason::ContentFilter)),
        prompt_tokens: usage.as_ref().map(|usage| usage.prompt_tokens.into()),
        completion_tokens: usage.map(|usage| usage.completion_tokens.into()),
    }
}

async fn exchange(
    transport: &Transport,
    request: RequestBuilder,
    call: &Call,
) -> Result<reqwest::Response, Refusal> {
    let dispatch = Dispatch {
        retry: Retry::Safe,
        cap: BodyCap::Whole(MAX_ANSWER_BYTES),
        purpose: Purpose::Llm,
    };
    let answer = transport.send(request, dispatch, call).await.map_err(Refusal::Transport)?;
    if !answer.status.is_success() {
        return Err(refusal(&answer));
    }
    let body = normalized(&answer.body).ok_or(Refusal::Unreadable)?;
    Ok(http::Response::new(body).into())
}

fn refusal(answer: &Answer) -> Refusal {
    if answer.status == StatusCode::BAD_REQUEST {
        if is_filtered(&answer.body) {
            return Refusal::Filtered;
        }
        if let Some(parameter) = refused_parameter(&answer.body) {
            return Refusal::Parameter(parameter);
        }
    }
    Refusal::Status(answer.status, answer.retry_after())
}

/// Whether a refusal says that the prompt was filtered.
fn is_filtered(body: &[u8]) -> bool {
    let body: Option<Value> = serde_json::from_slice(body).ok();
    let code = body.as_ref().and_then(|body| body.pointer("/error/code")?.as_str());
    code == Some("content_filter")
}

/// The parameter that a refusal is about, by `error.param`, or by its message where that is missing.
/// The rest of the body is not looked at: it may repeat the prompt.
fn refused_parameter(body: &[u8]) -> Option<Parameter> {
    let body: Value = serde_json::from_slice(body).ok()?;
    // Some compatible servers leave out the envelope.
    let error = body.get("error").filter(|error| error.is_object()).unwrap_or(&body);
    let text = |name: &str| error.get(name).and_then(Value::as_str);
    if let Some(name) = text("param").filter(|name| !name.is_empty()) {
        return match name {
            "temperature" => Some(Parameter::Temperature),
            "max_tokens" | "max_completion_tokens" => Some(Parameter::Tokens),
            _ => None,
        };
    }
    let message = text("message").or_else(|| body.get("error").and_then(Value::as_str))?;
    let message = message.get(..message.floor_char_boundary(MAX_MESSAGE_BYTES))?;
    // A prompt that is too long for the model is refused in terms of its tokens.
    if message.contains("context length") {
        return None;
    }
    if message.contains("max_tokens") || message.contains("max_completion_tokens") {
        return Some(Parameter::Tokens);
    }
    message.contains("temperature").then_some(Parameter::Temperature)
}

/// The answer with every field that the crate wants, from what compatible servers really send.
fn normalized(body: &[u8]) -> Option<String> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    let content = answer.pointer("/choices/0/message")?.get("content");
    let text = match content {
        Some(Value::String(text)) => text.clone(),
        // Some servers answer in parts.
        Some(Value::Array(parts)) => {
            parts.iter().filter_map(|part| part.get("text")?.as_str()).collect()
        }
        _ => String::new(),
    };
    // Other words than these mean that the model had ended.
    let ended = answer
        .pointer("/choices/0/finish_reason")
        .and_then(Value::as_str)
        .filter(|reason| matches!(*reason, "length" | "content_filter"))
        .unwrap_or("stop");
    let count = |name: &str| {
        let tokens = answer.get("usage")?.get(name)?.as_u64()?;
        Some(u32::try_from(tokens).unwrap_or(u32::MAX))
    };
    // Half a statement is none: the crate takes both or nothing.
    let usage = count("prompt_tokens").zip(count("completion_tokens")).map(|(read, written)| {
        json!({
            "prompt_tokens": read,
            "completion_tokens": written,
            "total_tokens": read.saturating_add(written),
        })
    });
    let answer = json!({
        "id": "", "created": 0, "model": "", "object": "chat.completion",
        "choices": [{
            "index": 0, "finish_reason": ended,
            "message": { "role": "assistant", "content": text },
        }],
        "usage": usage,
    });
    Some(answer.to_string())
}
