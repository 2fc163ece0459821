//! `pr-summarizer doctor`: says what is wrong before anybody else notices, and leaves nothing behind.

use std::process::Output;

use crate::{
    fakes::{Behaviour, FakeScalekit, Fault, Match},
    support::Server,
};

/// What it prints about a server's settings, with its exit code.
async fn examined(server: &Server) -> (i32, String) {
    let Output { status, stdout, .. } = server.run(&["doctor"]).await;
    (status.code().unwrap(), String::from_utf8(stdout).unwrap())
}

/// The line about something.
fn line<'a>(said: &'a str, what: &str) -> &'a str {
    let found = said.lines().find(|line| line.get(8..).is_some_and(|rest| rest.starts_with(what)));
    found.unwrap_or_else(|| panic!("nothing about {what}: {said}"))
}

#[tokio::test]
async fn a_sound_set_up_is_sound_and_nothing_is_left_behind() {
    let server = Server::start().await;
    let (code, said) = examined(&server).await;
    assert_eq!(code, 0, "{said}");
    for what in ["store", "Scalekit", "GitHub", "LLM", "address"] {
        assert!(line(&said, what).starts_with("ok "), "{said}");
    }
    assert!(server.world.scalekit.accounts().is_empty(), "the account that was tried is left");
    assert!(!said.contains(FakeScalekit::CLIENT_SECRET), "{said}");
    server.world.assert_clean();
}

#[tokio::test]
async fn each_fault_is_named_with_its_cure() {
    let mut server = Server::start().await;
    let broken = |said: &str, what: &str, words: &str| {
        let line = line(said, what).to_owned();
        assert!(line.starts_with("BROKEN ") && line.contains(words), "{what}: {said}");
        assert!(said.contains("Next: "), "{said}");
    };
    server.set("SCALEKIT_CLIENT_SECRET", "another-secret-than-the-right-one");
    let (code, said) = examined(&server).await;
    assert_eq!(code, 1, "{said}");
    broken(&said, "Scalekit", "scalekit_rejected_us");
    assert!(!said.contains("another-secret"), "{said}");
    // What does not depend on it is looked at all the same.
    assert!(line(&said, "LLM").starts_with("ok "), "{said}");

    server.set("SCALEKIT_CLIENT_SECRET", FakeScalekit::CLIENT_SECRET);
    server.set("GITHUB_CONNECTION_NAME", "no-such-connection");
    let (code, said) = examined(&server).await;
    assert_eq!(code, 1, "{said}");
    broken(&said, "GitHub", "no connection of the configured name");

    server.set("GITHUB_CONNECTION_NAME", FakeScalekit::CONNECTION_NAME);
    server.world.llm.behave(Behaviour::Status(401));
    server.world.scalekit.inject(Match::path("POST", "/oauth/token"), Fault::Html, 9);
    let (code, said) = examined(&server).await;
    assert_eq!(code, 1, "{said}");
    broken(&said, "LLM", "refuses this server's key");
    broken(&said, "Scalekit", "scalekit_unavailable");
    server.world.scalekit.heal();
    server.world.llm.behave(Behaviour::Scripted);

    server.set("PUBLIC_BASE_URL", "http://127.0.0.1:9");
    let (code, said) = examined(&server).await;
    assert_eq!(code, 0, "a server that does not run yet is no fault: {said}");
    assert!(line(&said, "address").starts_with("note "), "{said}");
}

#[tokio::test]
async fn a_token_is_looked_up_at_github() {
    let server = Server::builder()
        .set("SCALEKIT_ENVIRONMENT_URL", "")
        .set("SCALEKIT_CLIENT_ID", "")
        .set("SCALEKIT_CLIENT_SECRET", "")
        .set("GITHUB_CONNECTION_NAME", "")
        .set("GITHUB_TOKEN", "{token:octocat}")
        .set("GITHUB_API_URL", "{github}")
        .set("OPENAI_API_KEY", "")
        .set("OPENAI_BASE_URL", "")
        .start()
        .await;
    let (code, said) = examined(&server).await;
    assert_eq!(code, 0, "{said}");
    assert!(line(&said, "GitHub").contains("@octocat"), "{said}");
    assert!(line(&said, "LLM").starts_with("note "), "{said}");
}
