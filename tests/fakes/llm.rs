//! The fake LLM: chat completions whose prose tells whose summary it is.

use std::{
    ops::Deref,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    http::StatusCode,
    response::{Html, IntoResponse as _, Response},
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

use super::traffic::{self, Call, Traffic};

/// One request, as the model reads it.
#[derive(Debug, Clone)]
pub struct Prompt {
    pub model: String,
    /// All system (or developer) messages.
    pub system: String,
    /// All user messages.
    pub user: String,
    /// The whole request.
    pub body: Value,
}

/// How the model answers.
#[derive(Clone, Default)]
pub enum Behaviour {
    /// The story's prose for the title in the prompt, or a sentence made from it.
    #[default]
    Scripted,
    /// Does what an injected text wants: says the whole prompt again.
    Obeying,
    Text(String),
    /// Whatever this makes of the prompt.
    Saying(Author),
    Status(u16),
    /// 200 without any text.
    Empty,
    /// As scripted, without a word on tokens.
    Uncounted,
    /// 200 with a web page.
    Html,
}

/// Writes what the model says.
pub type Author = Arc<dyn Fn(&Prompt) -> String + Send + Sync>;

type Override = (Arc<dyn Fn(&Prompt) -> bool + Send + Sync>, Behaviour);

/// A handle on the world.
#[derive(Clone)]
pub struct FakeLlm(Arc<Inner>);

struct Inner {
    url: String,
    traffic: Arc<Traffic>,
    /// Title → summary.
    prose: Vec<(String, String)>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    prompts: Vec<Prompt>,
    behaviour: Behaviour,
    overrides: Vec<Override>,
}

impl Deref for FakeLlm {
    type Target = Traffic;

    fn deref(&self) -> &Traffic {
        &self.0.traffic
    }
}

/// Parameters of a chat completion that any compatible server knows.
const KNOWN: [&str; 12] = [
    "model",
    "messages",
    "temperature",
    "max_tokens",
    "max_completion_tokens",
    "n",
    "stream",
    "top_p",
    "seed",
    "stop",
    "user",
    "store",
];

impl FakeLlm {
    pub const API_KEY: &'static str = "sk-fakeworld-key-of-acme";

    pub(super) fn new(url: String, prose: Vec<(String, String)>) -> Self {
        let (traffic, state) = (Arc::new(Traffic::new("LLM")), Mutex::default());
        Self(Arc::new(Inner { url, traffic, prose, state }))
    }

    pub(super) fn serve(&self, listener: TcpListener) -> JoinHandle<()> {
        let llm = self.clone();
        traffic::serve(listener, Arc::clone(&self.0.traffic), move |call| {
            let llm = llm.clone();
            async move { llm.answer(&call) }
        })
    }

    /// The base address (`OPENAI_BASE_URL`).
    pub fn url(&self) -> String {
        format!("{}/v1", self.0.url)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn prompts(&self) -> Vec<Prompt> {
        self.state().prompts.clone()
    }

    /// How it answers from now on.
    pub fn behave(&self, behaviour: Behaviour) {
        self.state().behaviour = behaviour;
    }

    /// How it answers to prompts like these from now on; the newest rule counts.
    pub fn when(
        &self,
        predicate: impl Fn(&Prompt) -> bool + Send + Sync + 'static,
        behaviour: Behaviour,
    ) {
        self.state().overrides.insert(0, (Arc::new(predicate), behaviour));
    }

    fn answer(&self, call: &Call) -> Response {
        if !call.is("POST", "/v1/chat/completions") && !call.is("POST", "/chat/completions") {
            return self.unexpected(call, "no such route");
        }
        match call.bearer() {
            None => return self.unexpected(call, "no `Authorization: Bearer …`"),
            Some(Self::API_KEY) => {}
            Some(_) => return refusal(401, "Incorrect API key provided"),
        }
        let body = call.json();
        let foreign = body
            .as_object()
            .and_then(|fields| fields.keys().find(|name| !KNOWN.contains(&name.as_str())));
        if let Some(foreign) = foreign {
            return self.unexpected(call, &format!("unknown parameter {foreign:?}"));
        }
        let Some(prompt) = read(&body) else {
            return self.unexpected(call, "model and messages of plain text are wanted");
        };
        let mut state = self.state();
        state.prompts.push(prompt.clone());
        let special = state.overrides.iter().find(|(predicate, _)| predicate(&prompt));
        let behaviour = special.map_or(&state.behaviour, |(_, behaviour)| behaviour).clone();
        drop(state);
        match behaviour {
            Behaviour::Scripted => completion(&prompt, &self.scripted(&prompt)),
            Behaviour::Obeying => completion(&prompt, &prompt.user),
            Behaviour::Text(text) => completion(&prompt, &text),
            Behaviour::Saying(author) => completion(&prompt, &author(&prompt)),
            Behaviour::Status(status) => refusal(status, "the model is not available"),
            Behaviour::Empty => completion(&prompt, ""),
            Behaviour::Uncounted => completion_without_usage(&prompt, &self.scripted(&prompt)),
            Behaviour::Html => Html("<html><body>Gateway login</body></html>").into_response(),
        }
    }

    fn scripted(&self, prompt: &Prompt) -> String {
        let told = self.0.prose.iter().filter_map(|(title, prose)| {
            prompt.user.find(title.as_str()).map(|place| (place, prose))
        });
        // A discussion may name other pull requests; its own title comes first.
        if let Some((_, prose)) = told.min_by_key(|(place, _)| *place) {
            return prose.clone();
        }
        match title(&prompt.user) {
            Some(title) => format!("The change is about this: {title}. Reviewers talk it over."),
            None => format!("A change told in {} characters.", prompt.user.chars().count()),
        }
    }
}

/// What stands behind `title:`, or below a line that ends in the word, such as a fence's.
fn title(prompt: &str) -> Option<&str> {
    let mut lines = prompt.lines();
    while let Some(line) = lines.next() {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let name = name.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
        if name.split_whitespace().next_back() == Some("title") {
            let value = value.trim();
            return if value.is_empty() { lines.next().map(str::trim) } else { Some(value) };
        }
    }
    None
}

fn read(body: &Value) -> Option<Prompt> {
    let (mut system, mut user) = (String::new(), String::new());
    for message in body["messages"].as_array()? {
        let text = message["content"].as_str()?;
        match message["role"].as_str()? {
            "system" | "developer" => system += text,
            "user" => user += text,
            "assistant" => {}
            _ => return None,
        }
    }
    let model = body["model"].as_str()?.to_owned();
    Some(Prompt { model, system, user, body: body.clone() })
}

/// What local servers answer with: the least that makes a completion.
fn completion_without_usage(prompt: &Prompt, text: &str) -> Response {
    let message = json!({"role": "assistant", "content": text});
    let choices = json!([{"index": 0, "finish_reason": "stop", "message": message}]);
    axum::Json(json!({"model": prompt.model, "choices": choices})).into_response()
}

fn completion(prompt: &Prompt, text: &str) -> Response {
    let tokens = |text: &str| text.chars().count().div_ceil(4);
    let (read, written) = (tokens(&prompt.system) + tokens(&prompt.user), tokens(text));
    axum::Json(json!({
        "id": "chatcmpl-fake", "object": "chat.completion", "created": 1_760_000_000,
        "model": prompt.model,
        "choices": [{
            "index": 0, "finish_reason": "stop", "logprobs": null,
            "message": {"role": "assistant", "content": text, "refusal": null},
        }],
        "usage": {
            "prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written,
        },
    }))
    .into_response()
}

fn refusal(status: u16, text: &str) -> Response {
    let status = StatusCode::from_u16(status).expect("a status");
    let error = json!({"message": text, "type": "fake_error", "param": null, "code": null});
    (status, axum::Json(json!({"error": error}))).into_response()
}
