//! Clients of MCP, and how long they wait.

use std::time::{Duration, Instant};

use reqwest::{Response, StatusCode, header};
use serde_json::{Value, json};

/// One session.
pub struct Session {
    pub http: reqwest::Client,
    pub url: String,
    id: String,
}

/// Connections that are kept, as hosts keep them.
pub fn http() -> reqwest::Client {
    let patience = Duration::from_secs(70);
    reqwest::Client::builder().no_proxy().timeout(patience).build().unwrap()
}

/// `initialize`, and the id of the session or the status of the refusal.
pub async fn initialize(http: &reqwest::Client, url: &str) -> Result<String, String> {
    let message = json!({
        "jsonrpc": "2.0", "id": 0, "method": "initialize",
        "params": {
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": { "name": "Soak", "version": "1" },
        },
    });
    let sent = http
        .post(url)
        .header(header::ACCEPT, "application/json, text/event-stream")
        .json(&message)
        .send()
        .await;
    let response = sent.map_err(|error| format!("{error:?}"))?;
    if response.status() != StatusCode::OK {
        return Err(response.status().to_string());
    }
    let id = response.headers()["mcp-session-id"].to_str().unwrap().to_owned();
    // Read to its end, so that the connection can be used again.
    response.bytes().await.map_err(|error| error.to_string())?;
    Ok(id)
}

impl Session {
    pub async fn open(http: reqwest::Client, origin: &str) -> Self {
        let url = format!("{origin}/mcp");
        let id = initialize(&http, &url).await.unwrap();
        Self { http, url, id }
    }

    pub async fn send(&self, message: &Value) -> reqwest::Result<Response> {
        self.http
            .post(&self.url)
            .header(header::ACCEPT, "application/json, text/event-stream")
            .header("mcp-session-id", &self.id)
            .header("mcp-protocol-version", "2025-11-25")
            .json(message)
            .send()
            .await
    }

    /// The result of a method, or why there is none.
    pub async fn ask(&self, method: &str, params: Value) -> Result<Value, String> {
        let message = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let response = self.send(&message).await.map_err(|error| format!("{error:?}"))?;
        let status = response.status();
        let text = response.text().await.map_err(|error| error.to_string())?;
        let text = text.lines().find_map(|line| line.strip_prefix("data:")).unwrap_or(&text);
        let answer: Value = serde_json::from_str(text.trim())
            .map_err(|_| format!("{status}: {}", &text[..text.len().min(80)]))?;
        match (&answer["result"], answer["result"]["isError"] == true) {
            (Value::Null, _) => Err(format!("{status}: {}", answer["error"])),
            (result, true) => Err(format!("{}", result["content"][0]["text"])),
            (result, false) => Ok(result.clone()),
        }
    }

    pub async fn tool(&self, name: &str, arguments: Value) -> Result<Value, String> {
        self.ask("tools/call", json!({ "name": name, "arguments": arguments })).await
    }

    pub async fn close(&self) -> reqwest::Result<StatusCode> {
        let request = self.http.delete(&self.url).header("mcp-session-id", &self.id);
        Ok(request.send().await?.status())
    }
}

/// How long calls took, and how many failed.
#[derive(Default)]
pub struct Tally {
    times: Vec<Duration>,
    pub failures: Vec<String>,
}

impl Tally {
    pub fn note<T>(&mut self, begun: Instant, outcome: Result<T, String>) {
        match outcome {
            Ok(_) => self.times.push(begun.elapsed()),
            Err(why) => self.failures.push(why),
        }
    }

    pub fn count(&self) -> usize {
        self.times.len() + self.failures.len()
    }

    /// In milliseconds.
    pub fn percentile(&mut self, percent: usize) -> f64 {
        self.times.sort_unstable();
        let at = (self.times.len() * percent / 100).min(self.times.len().saturating_sub(1));
        self.times.get(at).map_or(f64::NAN, |time| time.as_secs_f64() * 1000.0)
    }
}
