//! Messages that are none: whatever comes, the answer is JSON-RPC, and the server lives on.

use reqwest::header;
use serde_json::{Value, json};

use crate::support::Server;

/// Status, content type and body of the answer to a raw POST.
async fn post(
    server: &Server,
    headers: &[(&str, &str)],
    body: &str,
) -> (u16, Option<String>, Value) {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut usual = header::HeaderMap::new();
    usual.insert(header::ACCEPT, "application/json, text/event-stream".parse().unwrap());
    usual.insert(header::CONTENT_TYPE, "application/json".parse().unwrap());
    for (name, value) in headers {
        let name: header::HeaderName = name.parse().unwrap();
        usual.insert(name, value.parse().unwrap());
    }
    let request = http.post(server.url("/mcp")).headers(usual).body(body.to_owned());
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    let kind = answer.headers().get(header::CONTENT_TYPE);
    let kind = kind.map(|kind| kind.to_str().unwrap().to_owned());
    let text = answer.text().await.unwrap();
    (status, kind, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

const VERSION: &str = "mcp-protocol-version";

#[tokio::test]
async fn what_is_no_json_rpc_is_said_to_be_none() {
    let server = Server::start().await;
    let agent = server.agent().await;
    let in_session = [("mcp-session-id", agent.session())];
    let modern = [(VERSION, "2026-07-28")];
    for (body, id) in [
        (json!({}), json!(null)),
        (json!({ "id": 1, "method": "ping" }), json!(1)),
        (json!({ "jsonrpc": "1.0", "id": 1, "method": "ping" }), json!(1)),
        (json!({ "jsonrpc": 2.0, "id": 1, "method": "ping" }), json!(1)),
        (json!({ "jsonrpc": "2.0" }), json!(null)),
        (json!({ "jsonrpc": "2.0", "id": "a" }), json!("a")),
        (json!({ "jsonrpc": "2.0", "id": null, "method": "ping" }), json!(null)),
        (json!({ "jsonrpc": "2.0", "id": true, "method": "ping" }), json!(null)),
        (json!({ "jsonrpc": "2.0", "id": 1.5, "method": "ping" }), json!(null)),
        (json!({ "jsonrpc": "2.0", "id": [1], "method": "ping" }), json!(null)),
        (json!({ "jsonrpc": "2.0", "id": { "n": 1 }, "method": "ping" }), json!(null)),
        (json!({ "jsonrpc": "2.0", "id": u64::MAX, "method": "ping" }), json!(null)),
        (json!({ "jsonrpc": "2.0", "id": 1, "method": 7 }), json!(1)),
        (json!({ "jsonrpc": "2.0", "id": 1, "method": null }), json!(1)),
        (json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": [] }), json!(1)),
        (json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": "x" }), json!(1)),
        (json!({ "jsonrpc": "2.0", "id": 1, "method": "ping", "result": {} }), json!(1)),
        (json!({ "jsonrpc": "2.0", "id": 1, "result": {}, "error": {} }), json!(1)),
        (json!({ "jsonrpc": "2.0", "id": 1, "error": "x" }), json!(1)),
        (json!({ "jsonrpc": "2.0", "result": {} }), json!(null)),
        (json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": [] }), json!(1)),
    ] {
        for headers in [&in_session[..], &modern[..], &[]] {
            let (status, kind, answer) = post(&server, headers, &body.to_string()).await;
            assert_eq!(
                (status, &answer["error"]["code"]),
                (400, &json!(-32600)),
                "{body}: {answer}"
            );
            assert_eq!(kind.as_deref(), Some("application/json"), "{body}");
            assert_eq!(answer["id"], id, "{body}: {answer}");
        }
    }
    assert_eq!(agent.call("auth_status", json!({})).await.status(), "not_connected");
}

/// Refusals of the SDK are plain text, some without saying so.
#[tokio::test]
async fn every_refusal_is_json() {
    let server = Server::start().await;
    let agent = server.agent().await;
    let session = ("mcp-session-id", agent.session());
    let ping = json!({ "jsonrpc": "2.0", "id": 7, "method": "ping" });
    let listing = |version: &str| {
        let meta = json!({
            "io.modelcontextprotocol/protocolVersion": version,
            "io.modelcontextprotocol/clientInfo": { "name": "x", "version": "1" },
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/list", "params": { "_meta": meta } })
    };
    let none = json!({ "jsonrpc": "2.0", "id": 7, "method": "initialize", "params": {} });
    for (headers, body, expected) in [
        (vec![session, ("accept", "application/json")], ping.clone(), 406),
        (vec![session, ("content-type", "text/plain")], ping.clone(), 415),
        // Not a version at all: an old client's header, and no way around its session.
        (vec![(VERSION, "banana")], ping.clone(), 400),
        (vec![(VERSION, "zzzz-zz-zz")], listing("zzzz-zz-zz"), 400),
        (vec![session, (VERSION, "banana")], ping.clone(), 400),
        (vec![session, (VERSION, "1999-01-01")], ping.clone(), 400),
        (vec![(VERSION, "2027-01-01")], ping.clone(), 400),
        (vec![(VERSION, "2027-01-01")], listing("2027-01-01"), 400),
        (vec![(VERSION, "2026-07-28")], listing("2027-01-01"), 400),
        (vec![], none, 400),
        (vec![session], json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call" }), 200),
    ] {
        let (status, kind, answer) = post(&server, &headers, &body.to_string()).await;
        assert_eq!(status, expected, "{headers:?} {body}: {answer}");
        assert_eq!(kind.as_deref(), Some("application/json"), "{headers:?} {body}: {answer}");
        assert!(answer["error"]["code"].is_i64(), "{headers:?} {body}: {answer}");
        assert_eq!(answer["id"], 7, "{headers:?} {body}: {answer}");
    }
    // What is merely sloppy is served.
    let sloppy = json!({ "jsonrpc": "2.0", "id": "a", "method": "ping", "params": null });
    let (status, _, answer) = post(&server, &[session], &sloppy.to_string()).await;
    assert_eq!((status, &answer["id"]), (200, &json!("a")), "{answer}");
}
