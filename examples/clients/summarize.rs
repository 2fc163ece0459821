//! Asks a pr-summarizer for a repository's most-discussed pull requests and prints the answer,
//! which is Markdown.
//!
//! ```sh
//! cargo run --example summarize -- OWNER/REPOSITORY [URL]
//! ```
//!
//! * `URL`: the server's address; else that in `MCP_URL`, else `http://127.0.0.1:3000/mcp`
//! * `MCP_KEY`: what is shown as Bearer token, such as the local key of single-user mode
//! * `BROWSER`: the program that opens the link if no account is connected yet; else the usual one
//!
//! The answer goes to standard output, everything else to standard error. Ends with 0: answered;
//! 1: refused, or it failed; 2: wrong usage; 3: no account was connected, because somebody declined
//! or ten minutes were over; 4: no server there, or it does not let this client in; 5: answered, but
//! parts of it are still missing.

#![expect(
    clippy::disallowed_methods,
    reason = "a program of its own: it reads its own environment, and waits for a person"
)]

use std::{
    env,
    fmt::Display,
    process::{Command, ExitCode, Stdio},
    time::Duration,
};

use clap::Parser;
use rmcp::{
    ClientHandler, RoleClient, ServiceExt as _,
    model::{CallToolRequestParams, JsonObject, ProgressNotificationParam},
    service::{ClientInitializeError, NotificationContext, RunningService},
    transport::{
        StreamableHttpClientTransport, streamable_http_client::StreamableHttpClientTransportConfig,
    },
};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

/// The server's own deadline is at most 300 s.
const LONGEST_CALL: Duration = Duration::from_secs(310);
const POLL: Duration = Duration::from_secs(2);
/// Ten minutes.
const MOST_POLLS: u32 = 300;
/// What one call does not finish is ready for the next.
const MOST_FURTHER_CALLS: u32 = 3;
const CURED_BY_CONNECTING: [&str; 2] = ["not_connected", "reauthorization_required"];

/// How the program ends.
enum Ended {
    /// The server refused a call: its word for what went wrong, and its text.
    Refused(String, String),
    /// With this code and these last words.
    With(u8, String),
}
use Ended::{Refused, With};

type Result<T> = std::result::Result<T, Ended>;
type Answer = (String, Value);

type Client = RunningService<RoleClient, Listener>;
type Heard = NotificationContext<RoleClient>;

/// Shows the server's progress.
struct Listener;

impl ClientHandler for Listener {
    async fn on_progress(&self, step: ProgressNotificationParam, _: Heard) {
        let message = step.message.unwrap_or_default();
        match step.total {
            Some(total) => eprintln!("{}/{total} {message}", step.progress),
            None => eprintln!("{message}"),
        }
    }
}

async fn open(url: &str) -> Result<Client> {
    let mut config = StreamableHttpClientTransportConfig::with_uri(url);
    if let Ok(key) = env::var("MCP_KEY") {
        config = config.auth_header(key);
    }
    let opened = Listener.serve(StreamableHttpClientTransport::from_config(config)).await;
    opened.map_err(|error| match error {
        ClientInitializeError::TransportError { error, .. } => no_server(url, &error.error),
        error => no_server(url, &error),
    })
}

fn no_server(url: &str, why: &impl Display) -> Ended {
    With(4, format!("{url} cannot be used: {why}"))
}

/// The text and the data of a tool's answer.
async fn call(client: &Client, tool: &'static str, input: &JsonObject) -> Result<Answer> {
    let request = CallToolRequestParams::new(tool).with_arguments(input.clone());
    let result = match timeout(LONGEST_CALL, client.call_tool(request)).await {
        Ok(Ok(result)) => result,
        Ok(Err(error)) => return Err(With(1, format!("The call failed: {error}"))),
        Err(_) => return Err(With(1, "The call took too long.".to_owned())),
    };
    let texts = result.content.iter().filter_map(|part| part.as_text());
    let text = texts.map(|part| part.text.as_str()).collect::<Vec<_>>().join("\n");
    if result.is_error == Some(true) {
        let failure = result.meta.as_ref().and_then(|meta| meta.get("pr-summarizer/failure"));
        let code = failure.and_then(|failure| failure.get("code")).and_then(Value::as_str);
        return Err(Refused(code.unwrap_or_default().to_owned(), text));
    }
    Ok((text, result.structured_content.unwrap_or_default()))
}

fn open_browser(link: &str) {
    eprintln!("Open this link to connect GitHub: {link}");
    let usual = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let command = env::var("BROWSER").unwrap_or_else(|_| usual.to_owned());
    let mut words = command.split_whitespace();
    let mut browser = Command::new(words.next().unwrap_or(usual));
    // Where there is no browser, the link was said.
    let _ = browser.args(words).arg(link).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
}

/// Lets the person connect an account; answers what every later call must carry.
async fn connect(client: &Client, again: bool) -> Result<JsonObject> {
    let mut carried = JsonObject::new();
    let input = JsonObject::from_iter([("reconnect".to_owned(), again.into())]);
    let (text, answer) = call(client, "connect_github", &input).await?;
    // Clients without sessions are known again by this value.
    if let Some(connection) = answer.get("connection") {
        carried.insert("connection".to_owned(), connection.clone());
    }
    if answer.get("status") == Some(&json!("connected")) {
        return Ok(carried);
    }
    let Some(link) = answer.get("url").and_then(Value::as_str) else { return Err(With(3, text)) };
    open_browser(link);
    for _ in 0..MOST_POLLS {
        sleep(POLL).await;
        let (text, answer) = call(client, "auth_status", &carried).await?;
        match answer.get("status").and_then(Value::as_str) {
            Some("connected") => return Ok(carried),
            Some("pending") => {}
            _ => return Err(With(3, text)),
        }
    }
    Err(With(3, "Nobody connected an account within ten minutes.".to_owned()))
}

async fn summarize(url: &str, repository: String) -> Result<u8> {
    let client = open(url).await?;
    let mut input = JsonObject::from_iter([("repository".to_owned(), repository.into())]);
    let mut asked = call(&client, "summarize_prs", &input).await;
    if let Err(Refused(code, _)) = &asked
        && CURED_BY_CONNECTING.contains(&code.as_str())
    {
        input.append(&mut connect(&client, code != "not_connected").await?);
        asked = call(&client, "summarize_prs", &input).await;
    }
    let is_complete = |(_, data): &Answer| data.get("complete") == Some(&json!(true));
    let mut answer = asked?;
    for _ in 0..MOST_FURTHER_CALLS {
        if is_complete(&answer) {
            break;
        }
        answer = call(&client, "summarize_prs", &input).await?;
    }
    println!("{}", answer.0);
    let _ = client.cancel().await;
    Ok(if is_complete(&answer) { 0 } else { 5 })
}

/// The most-discussed open pull requests of a repository, as Markdown.
#[derive(Parser)]
struct Arguments {
    /// OWNER/REPOSITORY, or its address.
    repository: String,
    /// The server's address; else that in `MCP_URL`.
    url: Option<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let given = Arguments::parse();
    let url = given.url.or_else(|| env::var("MCP_URL").ok());
    let url = url.unwrap_or_else(|| "http://127.0.0.1:3000/mcp".to_owned());
    let (code, words) = match summarize(&url, given.repository).await {
        Ok(code) => return ExitCode::from(code),
        Err(Refused(_, text)) => (1, text),
        Err(With(code, words)) => (code, words),
    };
    eprintln!("{words}");
    ExitCode::from(code)
}
