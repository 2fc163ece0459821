//! An MCP client in plain HTTP, so that tests see exactly what is on the wire.

use std::sync::{
    LazyLock,
    atomic::{AtomicU64, Ordering},
};

use reqwest::{RequestBuilder, Response, header};
use serde_json::{Map, Value, json};

use crate::fakes::canaries;

/// One client.
pub struct Agent {
    pub http: reqwest::Client,
    url: String,
    era: Era,
    key: Option<String>,
    next_id: AtomicU64,
}

enum Era {
    Legacy { session: String },
    Modern { asks: bool },
}

/// What a tool answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The JSON-RPC result (or error) whole.
    pub raw: Value,
    /// The text, all blocks together.
    pub text: String,
    /// `structuredContent`.
    pub data: Value,
    pub is_error: bool,
    /// Notifications that came on the call's own stream.
    pub progress: Vec<Value>,
}

impl Answer {
    /// From a JSON-RPC answer, and what was reported before it.
    pub fn of(answer: &Value, progress: Vec<Value>) -> Self {
        let raw = match &answer["result"] {
            Value::Null => answer["error"].clone(),
            result => result.clone(),
        };
        let text = raw["content"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|block| block["text"].as_str())
            .collect::<Vec<_>>()
            .join("\n");
        Self {
            data: raw["structuredContent"].clone(),
            is_error: raw["isError"] == true || !answer["error"].is_null(),
            progress,
            text,
            raw,
        }
    }

    /// The failure's code; empty if it is none.
    pub fn code(&self) -> &str {
        self.raw["_meta"]["pr-summarizer/failure"]["code"].as_str().unwrap_or_default()
    }

    pub fn status(&self) -> &str {
        self.data["status"].as_str().unwrap_or_default()
    }

    /// The link to open, wherever it stands.
    pub fn link(&self) -> String {
        let shown = self.raw.to_string();
        let start = shown.find("http://127.0.0.1").expect("a link");
        shown[start..]
            .chars()
            .take_while(|c| c.is_ascii_graphic() && !"\"\\)".contains(*c))
            .collect()
    }

    /// The handle that was given.
    pub fn handle(&self) -> String {
        let start = self.text.find("con_").expect("a handle");
        self.text[start..].chars().take_while(|c| !c.is_whitespace()).collect()
    }
}

impl Agent {
    /// Opens a session, claiming the name "Test Agent".
    pub async fn legacy(url: &str) -> Self {
        Self::legacy_with(url, None, "Test Agent").await
    }

    pub async fn legacy_with(url: &str, key: Option<String>, name: &str) -> Self {
        let era = Era::Legacy { session: String::new() };
        let mut agent = Self::new(url, era, key);
        let opened = agent.initialize(name).await;
        assert_eq!(opened.status(), 200);
        let session = opened.headers()["mcp-session-id"].to_str().unwrap().to_owned();
        canaries::note("session", &session);
        agent.era = Era::Legacy { session };
        agent
    }

    pub fn modern(url: &str, asks: bool) -> Self {
        Self::new(url, Era::Modern { asks }, None)
    }

    /// The same client once more: the same session or era, the same key.
    pub fn again(&self) -> Self {
        let era = match &self.era {
            Era::Legacy { session } => Era::Legacy { session: session.clone() },
            Era::Modern { asks } => Era::Modern { asks: *asks },
        };
        Self::new(&self.url, era, self.key.clone())
    }

    pub fn with_key(mut self, key: String) -> Self {
        canaries::note("key", &key);
        self.key = Some(key);
        self
    }

    fn new(url: &str, era: Era, key: Option<String>) -> Self {
        // A connection is never used again: after a restart the old ones are dead.
        // It is made once, because that is slow.
        static CLIENT: LazyLock<reqwest::Client> = LazyLock::new(|| {
            reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().unwrap()
        });
        canaries::note("key", key.as_deref().unwrap_or_default());
        let http = CLIENT.clone();
        Self { http, url: url.to_owned(), era, key, next_id: AtomicU64::new(1) }
    }

    pub fn session(&self) -> &str {
        match &self.era {
            Era::Legacy { session } => session,
            Era::Modern { .. } => panic!("no session in this era"),
        }
    }

    async fn initialize(&self, name: &str) -> Response {
        let message = json!({
            "jsonrpc": "2.0", "id": 0, "method": "initialize",
            "params": {
                "protocolVersion": "2025-11-25",
                "capabilities": {},
                "clientInfo": { "name": name, "version": "1" },
            },
        });
        self.base(self.http.post(&self.url)).json(&message).send().await.unwrap()
    }

    /// A POST with what every request of this client carries.
    pub fn base(&self, request: RequestBuilder) -> RequestBuilder {
        let request = request.header(header::ACCEPT, "application/json, text/event-stream");
        match &self.key {
            Some(key) => request.bearer_auth(key),
            None => request,
        }
    }

    /// Sends any message as this client would.
    pub async fn send(&self, mut message: Value) -> Response {
        let method = message["method"].as_str().unwrap_or_default().to_owned();
        let mut request = self.base(self.http.post(&self.url));
        match &self.era {
            Era::Legacy { session } => {
                request = request
                    .header("mcp-session-id", session)
                    .header("mcp-protocol-version", "2025-11-25");
            }
            Era::Modern { asks } => {
                mark_as_modern(&mut message, *asks);
                request = request
                    .header("mcp-protocol-version", "2026-07-28")
                    .header("mcp-method", &method);
                let named = match method.as_str() {
                    "resources/read" => &message["params"]["uri"],
                    _ => &message["params"]["name"],
                };
                if let Some(name) = named.as_str() {
                    request = request.header("mcp-name", name);
                }
            }
        }
        request.json(&message).send().await.unwrap()
    }

    /// Any method, its result or error.
    pub async fn request(&self, method: &str, params: Value) -> Value {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let message = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        let (messages, _) = read(self.send(message).await).await;
        messages.into_iter().find(|message| message["id"] == id).expect("an answer")
    }

    /// Calls a tool.
    pub async fn call(&self, tool: &str, arguments: Value) -> Answer {
        self.call_with(tool, arguments, json!({})).await
    }

    /// Calls a tool with further parameters, such as a request state that is brought back.
    pub async fn call_with(&self, tool: &str, arguments: Value, further: Value) -> Answer {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let mut params = json!({
            "name": tool,
            "arguments": arguments,
            "_meta": { "progressToken": format!("progress-{id}") },
        });
        params.as_object_mut().unwrap().extend(further.as_object().unwrap().clone());
        self.answered(id, params).await
    }

    /// Calls a tool and wants to hear nothing before the answer.
    pub async fn call_silently(&self, tool: &str, arguments: Value) -> Answer {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        self.answered(id, json!({ "name": tool, "arguments": arguments })).await
    }

    async fn answered(&self, id: u64, params: Value) -> Answer {
        let message =
            json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params });
        let (messages, shown) = read(self.send(message).await).await;
        let answer = messages
            .iter()
            .find(|message| message["id"] == id)
            .unwrap_or_else(|| panic!("no answer: {shown}"));
        let raw = &answer["result"];
        canaries::note(
            "handle",
            raw["structuredContent"]["connection"].as_str().unwrap_or_default(),
        );
        canaries::note("sealed", raw["requestState"].as_str().unwrap_or_default());
        assert!(!shown.contains("usr_") && !shown.contains("pri_"), "an identifier: {shown}");
        let progress =
            messages.iter().filter(|m| m["method"] == "notifications/progress").cloned().collect();
        Answer::of(answer, progress)
    }
}

/// Says in the request itself what a client of 2026-07-28 says in each.
pub fn mark_as_modern(message: &mut Value, asks: bool) {
    let capabilities = if asks { json!({ "elicitation": { "url": {} } }) } else { json!({}) };
    let params = message.as_object_mut().unwrap().entry("params").or_insert(json!({}));
    let meta = params.as_object_mut().unwrap().entry("_meta").or_insert(json!({}));
    let meta: &mut Map<String, Value> = meta.as_object_mut().unwrap();
    let key = |name: &str| format!("io.modelcontextprotocol/{name}");
    meta.insert(key("protocolVersion"), "2026-07-28".into());
    meta.insert(key("clientInfo"), json!({ "name": "Modern Agent", "version": "1" }));
    meta.insert(key("clientCapabilities"), capabilities);
}

/// The messages of an answer, be it JSON or a stream of events; and all of it as text.
async fn read(response: Response) -> (Vec<Value>, String) {
    let streamed =
        response.headers()[header::CONTENT_TYPE].as_bytes().starts_with(b"text/event-stream");
    let text = response.text().await.unwrap();
    let messages = if streamed {
        text.lines()
            .filter_map(|line| line.strip_prefix("data:"))
            .filter_map(|data| serde_json::from_str(data.trim()).ok())
            .collect()
    } else {
        vec![serde_json::from_str(&text).unwrap_or_else(|_| panic!("no JSON: {text}"))]
    };
    (messages, text)
}
