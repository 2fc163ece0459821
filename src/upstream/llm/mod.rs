//! The LLM: anything that speaks the chat completions of `OpenAI`.
//!
//! The request is async-openai's; how it travels is ours. The crate would read the environment,
//! repeat requests behind our back, read bodies without a cap and log what a server answers, so it
//! gets a configuration and an HTTP service of our own: see [`exchange`].

mod exchange;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_openai::types::chat::{
    ChatCompletionRequestSystemMessage, ChatCompletionRequestUserMessage,
    CreateChatCompletionRequest,
};
use reqwest::Url;

use super::{
    tls,
    transport::{Call, Transport, TransportSettings},
};
use crate::{
    domain::{Entropy, Failure, FailureCode, Secret, failure::Result},
    measure,
};
use exchange::{Endpoint, Parameter, Refusal};

/// Where completions are asked for when no address is set.
const OPENAI: &str = "https://api.openai.com/v1";
/// Low: the same pull request should read the same tomorrow.
const TEMPERATURE: f32 = 0.2;
/// Tokens beyond those of the answer where they are counted as `max_completion_tokens`: there what a
/// model thinks counts too, and too few end in an empty answer. Source: the description of
/// `max_completion_tokens` in `OpenAI`'s reference of chat completions.
const REASONING_TOKENS: u32 = 3_000;

/// Which LLM, and how long it may take.
#[derive(Debug, Clone)]
pub struct LlmSettings {
    /// Where `/chat/completions` is; `None` is `OpenAI`.
    pub base_url: Option<Url>,
    /// Its key; local servers need none.
    pub api_key: Option<Secret>,
    /// The model's name.
    pub model: String,
    /// How long it may think before its answer begins.
    pub answer_timeout: Duration,
}

/// What it wrote.
#[derive(Clone, PartialEq, Eq)]
pub struct Completion {
    /// The text as it came: untrusted, and perhaps empty.
    pub text: String,
    /// The text ends where the server ended it, and not the model: too long, or filtered.
    pub is_cut: bool,
    /// Tokens read, as the server says; `None` unless it says both.
    pub prompt_tokens: Option<u64>,
    /// Tokens written, as the server says; `None` unless it says both.
    pub completion_tokens: Option<u64>,
}

impl fmt::Debug for Completion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The text may repeat a private pull request.
        write!(f, "Completion({} bytes)", self.text.len())
    }
}

/// A client of one LLM; clones share its connections and what it has learned.
#[derive(Clone)]
pub struct Llm(Arc<Inner>);

struct Inner {
    endpoint: Endpoint,
    host: String,
    model: String,
    transport: Transport,
    /// Builds requests and sends none (they go by `transport`), so it needs no certificates.
    drafting: reqwest::Client,
    dialect: Dialect,
}

/// Which parameters this server and model take; learned from its refusals, once for all calls.
#[derive(Debug, Default)]
struct Dialect {
    /// Reasoning models take no temperature.
    without_temperature: AtomicBool,
    /// `OpenAI`'s newer models want `max_completion_tokens`, most other servers know `max_tokens`.
    max_completion_tokens: AtomicBool,
}

impl fmt::Debug for Llm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Llm")
            .field("host", &self.0.host)
            .field("model", &self.0.model)
            .finish_non_exhaustive()
    }
}

impl Llm {
    /// A client with these settings.
    pub fn new(settings: LlmSettings, entropy: Arc<dyn Entropy>) -> Result<Self> {
        tls::provide();
        let is_openai = settings.base_url.is_none();
        let base = match settings.base_url {
            Some(url) => url,
            None => Url::parse(OPENAI).map_err(unbuildable)?,
        };
        let host = match (base.host_str(), base.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (Some(host), None) => host.to_owned(),
            (None, _) => String::new(),
        };
        let transport = TransportSettings {
            answer_timeout: settings.answer_timeout,
            // Answers come in one piece, but a proxy may begin them early.
            read_idle_timeout: settings.answer_timeout,
            max_retries: 1,
            ..TransportSettings::default()
        };
        let dialect = Dialect::default();
        dialect.max_completion_tokens.store(is_openai, Ordering::Relaxed);
        let transport = Transport::new(transport, entropy)?;
        transport.prepare(&base)?;
        Ok(Self(Arc::new(Inner {
            endpoint: Endpoint::new(&base, settings.api_key),
            host,
            model: settings.model,
            transport,
            drafting: reqwest::Client::builder()
                .no_proxy()
                .tls_certs_only([])
                .build()
                .map_err(unbuildable)?,
            dialect,
        })))
    }

    /// The name of the machine that texts are sent to, for people to know.
    pub fn host(&self) -> &str {
        &self.0.host
    }

    /// The model's name.
    pub fn model(&self) -> &str {
        &self.0.model
    }

    /// Tokens that a request for an answer of `max_tokens` may write, from above.
    pub fn most_tokens(&self, max_tokens: u32) -> u32 {
        let counts_reasoning = self.0.dialect.max_completion_tokens.load(Ordering::Relaxed);
        if counts_reasoning { max_tokens.saturating_add(REASONING_TOKENS) } else { max_tokens }
    }

    /// Asks for one answer of at most `max_tokens` tokens (where a model's thinking is counted with
    /// its answer, so many and some for that). A parameter that the server refuses by name is left
    /// out or renamed, and the request made again; what then succeeds is remembered.
    pub async fn complete(
        &self,
        system: &str,
        user: &str,
        max_tokens: u32,
        call: &Call,
    ) -> Result<Completion> {
        let dialect = &self.0.dialect;
        // Each parameter can be given up once, and the tokens' name be changed once. What this
        // request held decides, not what parallel ones have learned since.
        let (mut is_renamed, mut is_cool) = (
            dialect.max_completion_tokens.load(Ordering::Relaxed),
            dialect.without_temperature.load(Ordering::Relaxed),
        );
        let (mut may_rename, mut may_cool) = (true, !is_cool);
        loop {
            let request = self.0.request(system, user, max_tokens, is_renamed, is_cool);
            let refusal = match self.0.ask(request, call).await {
                Ok(completion) => {
                    measure::llm_tokens(completion.prompt_tokens, completion.completion_tokens);
                    // Learned only now: a refusal may name a parameter and mean something else.
                    if !may_cool {
                        dialect.without_temperature.store(is_cool, Ordering::Relaxed);
                    }
                    if !may_rename {
                        dialect.max_completion_tokens.store(is_renamed, Ordering::Relaxed);
                    }
                    return Ok(completion);
                }
                Err(refusal) => refusal,
            };
            match &refusal {
                Refusal::Parameter(Parameter::Temperature) if may_cool => {
                    (may_cool, is_cool) = (false, true);
                }
                Refusal::Parameter(Parameter::Tokens) if may_rename => {
                    (may_rename, is_renamed) = (false, !is_renamed);
                }
                _ => return Err(refusal.into()),
            }
        }
    }
}

impl Inner {
    fn request(
        &self,
        system: &str,
        user: &str,
        max_tokens: u32,
        is_renamed: bool,
        is_cool: bool,
    ) -> CreateChatCompletionRequest {
        #[expect(deprecated, reason = "the only name that most compatible servers know")]
        CreateChatCompletionRequest {
            model: self.model.clone(),
            messages: vec![
                ChatCompletionRequestSystemMessage::from(system).into(),
                ChatCompletionRequestUserMessage::from(user).into(),
            ],
            temperature: (!is_cool).then_some(TEMPERATURE),
            max_tokens: (!is_renamed).then_some(max_tokens),
            max_completion_tokens: is_renamed
                .then_some(max_tokens.saturating_add(REASONING_TOKENS)),
            ..CreateChatCompletionRequest::default()
        }
    }
}

fn unbuildable(error: impl std::error::Error + Send + Sync + 'static) -> Box<Failure> {
    Failure::new(FailureCode::Internal, "The client of the LLM could not be built.")
        .caused_by(error)
}

#[cfg(test)]
mod dialects;
#[cfg(test)]
mod tests;
