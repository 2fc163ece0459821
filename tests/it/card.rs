//! The card that hosts with Apps show: listed, read, and in need of nobody but its host.

use serde_json::json;

use crate::support::Server;

const ADDRESS: &str = "ui://pr-summarizer/card";
const MEDIA_TYPE: &str = "text/html;profile=mcp-app";

#[tokio::test]
async fn the_card_is_announced_listed_and_read_in_both_eras() {
    let server = Server::start().await;
    let modern = server.modern_agent();
    let about = modern.request("server/discover", json!({})).await;
    let extensions = &about["result"]["capabilities"]["extensions"];
    assert_eq!(extensions["io.modelcontextprotocol/ui"]["mimeTypes"], json!([MEDIA_TYPE]));
    for agent in [&server.agent().await, &modern] {
        let listed = agent.request("resources/list", json!({})).await;
        let resources = listed["result"]["resources"].as_array().unwrap();
        assert_eq!(resources.len(), 1);
        assert_eq!(resources[0]["uri"], ADDRESS);
        assert_eq!(resources[0]["mimeType"], MEDIA_TYPE);
        let templates = agent.request("resources/templates/list", json!({})).await;
        assert_eq!(templates["result"]["resourceTemplates"], json!([]));
        let read = agent.request("resources/read", json!({ "uri": ADDRESS })).await;
        let card = &read["result"]["contents"][0];
        assert_eq!((&card["uri"], &card["mimeType"]), (&json!(ADDRESS), &json!(MEDIA_TYPE)));
        // No site but its host, no camera, no clipboard.
        assert_eq!(card["_meta"]["ui"]["csp"]["connectDomains"], json!([]));
        assert_eq!(card["_meta"]["ui"]["csp"]["resourceDomains"], json!([]));
        assert!(card["_meta"]["ui"]["permissions"].is_null());
    }
}

#[tokio::test]
async fn another_address_is_nothing_here() {
    let server = Server::start().await;
    for agent in [&server.agent().await, &server.modern_agent()] {
        for address in ["ui://pr-summarizer/cards", "file:///etc/passwd", "", "ui://"] {
            let refused = agent.request("resources/read", json!({ "uri": address })).await;
            let text = refused["error"]["message"].as_str().unwrap_or_else(|| panic!("{refused}"));
            assert!(text.contains("resources/list"), "{text}");
        }
        let refused = agent.request("resources/list", json!({ "cursor": "2" })).await;
        assert_eq!(refused["error"]["code"], -32602, "{refused}");
    }
}

/// What a stranger wrote is shown in it, beside buttons that act for its reader.
#[tokio::test]
async fn the_card_is_whole_and_makes_no_markup_of_texts() {
    let server = Server::start().await;
    let read = server.modern_agent().request("resources/read", json!({ "uri": ADDRESS })).await;
    let html = read["result"]["contents"][0]["text"].as_str().unwrap();
    assert!(html.len() < 40_000, "{} bytes", html.len());
    for left_over in ["/*STYLE*/", "/*SCRIPT*/", "VERSION"] {
        assert!(!html.contains(left_over), "{left_over}");
    }
    assert!(html.contains(concat!("version: \"", env!("CARGO_PKG_VERSION"), "\"")));
    for dangerous in
        ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"]
    {
        assert!(!html.contains(dangerous), "{dangerous}");
    }
    for loading in ["src=", "@import", "url(", "fetch(", "XMLHttpRequest", "WebSocket", "<link"] {
        assert!(!html.contains(loading), "{loading}");
    }
    // A script ends where its text says so, quoted or not.
    assert_eq!(html.matches("</script").count(), 1);
    assert_eq!(html.matches("</style").count(), 1);
}

#[tokio::test]
async fn tools_whose_answers_it_shows_name_it_and_arguments_have_one_type() {
    let server = Server::start().await;
    let listed = server.modern_agent().request("tools/list", json!({})).await;
    for tool in listed["result"]["tools"].as_array().unwrap() {
        let name = tool["name"].as_str().unwrap();
        let has_card = ["summarize_prs", "connect_github"].contains(&name);
        let named = if has_card { json!(ADDRESS) } else { json!(null) };
        assert_eq!(tool["_meta"]["ui"]["resourceUri"], named, "{name}");
        for (argument, schema) in tool["inputSchema"]["properties"].as_object().unwrap() {
            let has_type = schema["type"].is_string() || schema["$ref"].is_string();
            assert!(has_type, "{name}.{argument}: {schema}");
        }
    }
}
