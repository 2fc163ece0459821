//! What an operator's monitoring reads: everything that is counted, and nobody's name.

use serde_json::json;

use crate::{
    fakes::{Behaviour, Browser},
    support::Server,
};

const TOKEN: &str = "a-token-for-monitoring-of-32-characters";

async fn scrape(server: &Server, token: Option<&str>) -> (u16, String) {
    // As monitoring does: by the address of the machine, whatever the links say.
    let mut request =
        reqwest::Client::new().get(server.url("/metrics")).header("host", "10.1.2.3:9090");
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

/// The value of the series that is written exactly so.
fn value(text: &str, series: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{series} is missing:\n{text}")).parse().unwrap()
}

#[tokio::test]
async fn everything_is_counted_and_nobody_is_named() {
    let server = Server::builder().program().set("METRICS_TOKEN", TOKEN).start().await;
    let agent = server.agent().await;
    let wanted = json!({ "repository": "lighthouse-labs/beacon", "limit": 2 });
    assert_eq!(agent.call("summarize_prs", wanted.clone()).await.code(), "not_connected");
    let link = agent.call("connect_github", json!({})).await.link();
    assert!(Browser::new().approve(link.clone(), "octocat").await.says("Connected as @octocat"));
    assert!(!agent.call("summarize_prs", wanted.clone()).await.is_error);
    server.world.llm.behave(Behaviour::Status(500));
    let french = json!({ "repository": "lighthouse-labs/beacon", "language": "French" });
    assert!(!agent.call("summarize_prs", french).await.is_error);
    reqwest::get(server.url("/no/such/page?canary")).await.unwrap();

    for token in [None, Some("another-token-for-monitoring-of-32-char"), Some("")] {
        let (status, text) = scrape(&server, token).await;
        assert_eq!((status, text.contains("_total")), (401, false), "{token:?}");
    }
    let (status, text) = scrape(&server, Some(TOKEN)).await;
    assert_eq!(status, 200);
    let tool = |outcome: &str| {
        value(&text, &format!("tool_calls_total{{tool=\"summarize_prs\",outcome=\"{outcome}\"}}"))
    };
    assert_eq!((tool("not_connected"), tool("answered")), (1, 2));
    let seconds = "tool_call_seconds_count{tool=\"summarize_prs\"}";
    assert_eq!(value(&text, seconds), 3);
    let answered = |name: &str| {
        value(
            &text,
            &format!("upstream_requests_total{{upstream=\"{name}\",outcome=\"answered\"}}"),
        )
    };
    assert!(answered("scalekit") >= 3 && answered("github") >= 4 && answered("llm") >= 2);
    let errors = "upstream_requests_total{upstream=\"llm\",outcome=\"server_error\"}";
    assert!(value(&text, errors) >= 2);
    assert_eq!(value(&text, "upstream_up{upstream=\"github\"}"), 1);
    assert_eq!(value(&text, "flows_total{outcome=\"connected\"}"), 1);
    assert!(value(&text, "llm_tokens_total{kind=\"read\"}") > 100);
    assert_eq!(value(&text, "sessions"), 1);
    assert_eq!(value(&text, "http_requests_total{route=\"other\",status=\"4xx\"}"), 1);
    assert_eq!(value(&text, "http_requests_total{route=\"/connect/{flow}\",status=\"2xx\"}"), 2);
    assert!(value(&text, "http_connections") >= 1);
    let flow = link.rsplit('/').next().unwrap();
    for word in ["octocat", "beacon", "canary", "French", flow, agent.session(), TOKEN] {
        assert!(!text.contains(word), "{word} is in the metrics:\n{text}");
    }
}

#[tokio::test]
async fn without_a_token_in_the_settings_there_are_none() {
    let server = Server::start().await;
    assert_eq!(scrape(&server, Some(TOKEN)).await.0, 404);
}
