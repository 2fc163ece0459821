//! Refusals of GitHub's that come late, or that are the operator's to cure.

use std::sync::Arc;

use serde_json::json;

use crate::{
    fakes::{Browser, Fault, FileChange, Match},
    support::{Agent, Server},
};

#[tokio::test]
async fn a_list_of_files_that_breaks_off_says_so_and_is_read_again() {
    let server = Server::start().await;
    let agent = server.agent().await;
    let link = agent.call("connect_github", json!({})).await.link();
    assert!(Browser::new().approve(link, "octocat").await.says("Connected as @octocat"));
    // More files than GitHub shows in one diff: they come in pages.
    server.world.github.update(|state| {
        let files =
            (0..400).map(|n| FileChange::added(&format!("src/{n:03}.rs"), "fn main() {}\n"));
        state.repositories[0].change(431).files = Arc::new(files.collect());
    });
    let wanted = |detail: &str| json!({ "repository": "lighthouse-labs/beacon", "pull_requests": [431], "detail": detail });
    let second_page = Match::new(|call| {
        call.path.ends_with("/pulls/431/files") && call.parameter("page").as_deref() == Some("2")
    });
    server.world.github.inject(second_page, Fault::status(403), 1);
    let cut = agent.call("summarize_prs", wanted("concise")).await;
    let warnings = cut.data["warnings"].to_string();
    assert!(warnings.contains("could not be read to its end (github_access_denied)"), "{warnings}");
    let files = |answer: &crate::support::Answer| {
        let coverage = &answer.data["pull_requests"][0]["coverage"];
        coverage["files_read"].as_u64().unwrap() + coverage["files_cut"].as_u64().unwrap()
    };
    let unlisted = cut.data["pull_requests"][0]["coverage"]["omissions"].to_string();
    assert!(unlisted.contains("unlisted"), "{unlisted}");
    let whole = agent.call("summarize_prs", wanted("full")).await;
    assert_eq!(whole.data["warnings"], json!([]), "{}", whole.text);
    assert!(files(&whole) > files(&cut), "{} and {}", files(&whole), files(&cut));
    server.world.github.heal();
}

#[tokio::test]
async fn a_refused_token_of_the_operators_is_the_operators_to_replace() {
    let mut builder =
        Server::builder().set("GITHUB_TOKEN", "{token:octocat}").set("GITHUB_API_URL", "{github}");
    for name in [
        "SCALEKIT_ENVIRONMENT_URL",
        "SCALEKIT_CLIENT_ID",
        "SCALEKIT_CLIENT_SECRET",
        "GITHUB_CONNECTION_NAME",
    ] {
        builder = builder.set(name, "");
    }
    let server = builder.start().await;
    let agent = Agent::legacy_with(&server.url("/mcp"), Some(server.local_key()), "Host").await;
    server.world.github.inject(Match::any(), Fault::status(401), 10);
    for (tool, arguments) in [
        ("summarize_prs", json!({ "repository": "lighthouse-labs/beacon" })),
        ("connect_github", json!({})),
        ("auth_status", json!({})),
    ] {
        let answer = agent.call(tool, arguments).await;
        assert_eq!((answer.is_error, answer.code()), (true, "github_token_rejected"), "{tool}");
        assert!(answer.text.contains("operator must set a new GITHUB_TOKEN"), "{}", answer.text);
        assert!(!answer.text.contains("connect_github"), "{}", answer.text);
    }
    server.world.github.heal();
}
