//! What the log says of each call: enough to find it, nothing that belongs to anybody.

use serde_json::{Value, json};

use crate::{
    fakes::{Browser, Match},
    support::Server,
};

/// The lines about ended calls once there are so many, in order.
async fn ended(server: &Server, count: usize) -> Vec<Value> {
    loop {
        let log = server.log();
        let lines: Vec<Value> = log
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .filter(|line: &Value| line["message"] == "a call ended")
            .collect();
        if lines.len() >= count {
            return lines;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn each_call_is_one_line_that_names_nobody() {
    let server = Server::builder().program().set("LOG_FORMAT", "json").start().await;
    let (first, second) = (server.agent().await, server.agent().await);
    let repository = json!({ "repository": "lighthouse-labs/beacon", "limit": 2 });
    assert_eq!(first.call("summarize_prs", repository.clone()).await.code(), "not_connected");
    let link = first.call("connect_github", json!({})).await.link();
    assert!(Browser::new().approve(link.clone(), "octocat").await.says("Connected as @octocat"));
    assert!(!first.call("summarize_prs", repository).await.is_error);
    second.call("auth_status", json!({ "no": "such argument" })).await;
    let unknown = json!({ "name": "ghp_a_token_as_a_name", "arguments": {} });
    assert!(second.request("tools/call", unknown).await["error"].is_object());
    let lines = ended(&server, 5).await;
    let of = |line: &Value| {
        let words = |name: &str| line["span"][name].as_str().unwrap_or_default().to_owned();
        (words("tool"), line["outcome"].as_str().unwrap().to_owned(), words("caller"))
    };
    let told: Vec<_> = lines.iter().map(of).collect();
    let calls: Vec<_> = told.iter().map(|(tool, outcome, _)| (&**tool, &**outcome)).collect();
    assert_eq!(
        calls,
        [
            ("summarize_prs", "not_connected"),
            ("connect_github", "answered"),
            ("summarize_prs", "answered"),
            ("auth_status", "invalid_arguments"),
            ("unknown", "no_such_tool"),
        ]
    );
    // One caller has one name, and it is short; who did not get so far has none.
    assert!(told[..3].iter().all(|(.., caller)| *caller == told[0].2 && caller.len() == 12));
    assert_eq!((&*told[3].2, &*told[4].2), ("", ""));
    // The list, the conversations and two diffs; one of them may come in pages.
    assert!(lines[2]["github_requests"].as_u64().unwrap() >= 4, "{}", lines[2]);
    assert!(lines[2]["milliseconds"].is_u64());
    let mut numbers: Vec<_> = lines.iter().map(|line| line["span"]["call"].to_string()).collect();
    numbers.sort();
    numbers.dedup();
    assert_eq!(numbers.len(), 5);
    for word in ["beacon", "octocat", "ghp_", "such argument", url_path(&link)] {
        assert!(!server.log().contains(word), "{word} is in the log: {}", server.log());
    }
}

/// What of a link is secret.
fn url_path(link: &str) -> &str {
    link.rsplit('/').next().unwrap()
}

#[tokio::test]
async fn a_call_that_its_client_leaves_is_a_line_too() {
    let server = Server::builder().program().set("LOG_FORMAT", "json").start().await;
    let agent = server.agent().await;
    let link = agent.call("connect_github", json!({})).await.link();
    assert!(Browser::new().approve(link, "octocat").await.says("Connected as @octocat"));
    let gate = server.world.llm.hold(Match::any());
    let call = agent.call("summarize_prs", json!({ "repository": "lighthouse-labs/beacon" }));
    tokio::select! {
        _ = call => panic!("it must wait"),
        () = gate.until_waiting(5) => {}
    }
    let lines = ended(&server, 2).await;
    assert_eq!(lines[1]["outcome"], "cancelled", "{}", lines[1]);
}
