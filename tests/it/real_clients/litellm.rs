//! `LiteLLM`'s own proxy, with the example's settings, in the place of the LLM.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use pr_summarizer::domain::{Clock as _, SystemClock};
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    net::TcpListener,
    process::{Child, Command},
    time::timeout,
};

use super::examples::skipped;
use crate::{
    fakes::Browser,
    support::{Agent, Server},
};

const KEY: &str = "sk-fakeworld-key-of-litellm";
const SAYS: &str = "A replay shows where pages come from. Reviewers ask for a test.";
/// It loads some hundred packages, on a busy machine.
const START: Duration = Duration::from_mins(2);

/// The example, with an answer in the place of a provider.
fn settings(folder: &Path, mock: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let example = std::fs::read_to_string(root.join("examples/llm/litellm.yaml")).unwrap();
    let (before, after) = example.split_once("      model: ").unwrap();
    let path = folder.join("litellm.yaml");
    let settings = format!("{before}      mock_response: \"{mock}\"\n      model: {after}");
    std::fs::write(&path, settings).unwrap();
    path
}

/// A running proxy, which ends with this value.
async fn proxy(folder: &Path, mock: &str) -> (Child, String) {
    let free = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = free.local_addr().unwrap().port().to_string();
    drop(free);
    let venv = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/litellm/.venv/bin");
    let mut proxy = Command::new(venv.join("litellm"))
        .arg("--config")
        .arg(settings(folder, mock))
        .args(["--host", "127.0.0.1", "--port", &port])
        .env("LITELLM_MASTER_KEY", KEY)
        .env("ANTHROPIC_API_KEY", "not-used")
        // Prices of models are not fetched.
        .env("LITELLM_LOCAL_MODEL_COST_MAP", "True")
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("tests/clients/install.sh");
    let mut log = BufReader::new(proxy.stderr.take().unwrap()).lines();
    let mut said = String::new();
    let ready = timeout(START, async {
        while let Some(line) = log.next_line().await.unwrap() {
            if line.contains("running on http") {
                return true;
            }
            said.push_str(&line);
            said.push('\n');
        }
        false
    });
    assert_eq!(ready.await, Ok(true), "LiteLLM does not start: {said}");
    // A full pipe would stop it.
    tokio::spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });
    (proxy, format!("http://127.0.0.1:{port}/v1"))
}

/// The texts and the warnings of an answer about the story's repository, written by this LLM.
async fn summarized(address: &str, model: &str) -> (Vec<String>, serde_json::Value) {
    let server = Server::builder()
        .set("OPENAI_BASE_URL", address)
        .set("OPENAI_API_KEY", KEY)
        .set("OPENAI_MODEL", model)
        .start()
        .await;
    let agent: Agent = server.agent().await;
    let link = agent.call("connect_github", json!({})).await.link();
    assert!(Browser::new().approve(link, "octocat").await.says("Connected as @octocat"));
    let wanted = json!({ "repository": "lighthouse-labs/beacon", "limit": 2 });
    let answer = agent.call("summarize_prs", wanted).await;
    assert!(!answer.is_error, "{}", answer.text);
    let digests = answer.data["pull_requests"].as_array().unwrap();
    let told = |digest: &serde_json::Value| {
        format!("{}: {}", digest["summary_status"].as_str().unwrap(), digest["summary"])
    };
    (digests.iter().map(told).collect(), answer.data.clone())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn litellms_proxy_serves_with_the_settings_of_the_example() {
    if skipped() {
        return;
    }
    let started = SystemClock.now();
    let folder = tempfile::tempdir().unwrap();
    let (_proxy, address) = proxy(folder.path(), SAYS).await;
    println!("LiteLLM was ready after {} s", (SystemClock.now() - started).num_seconds());
    let (written, data) = summarized(&address, "digest").await;
    assert_eq!(written, vec![format!("written: {SAYS:?}"); 2], "{data}");
    assert!(data["usage"]["prompt_tokens"].as_u64().unwrap() > 0, "{data}");
    // A model that the proxy does not know costs the summaries, and not the answer.
    let (extracts, data) = summarized(&address, "unknown").await;
    assert!(extracts.iter().all(|text| text.starts_with("extract: ")), "{extracts:?}");
    assert!(data["warnings"].to_string().contains("LLM"), "{data}");
}
