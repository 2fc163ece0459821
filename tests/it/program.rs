//! The program from outside: its exit codes, what it prints, and that it prints no secret.

use std::process::Output;

use tokio::process::Command;

async fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    Command::new(crate::support::program())
        .args(arguments)
        .env_clear()
        .envs(environment.iter().copied())
        .current_dir(folder.path())
        .output()
        .await
        .unwrap()
}

#[tokio::test]
async fn missing_settings_are_listed_all_at_once() {
    for arguments in [&[][..], &["--check-config"]] {
        let output = run(arguments, &[]).await;
        assert_eq!(output.status.code(), Some(78));
        let said = String::from_utf8(output.stderr).unwrap();
        for name in [
            "SCALEKIT_ENVIRONMENT_URL",
            "SCALEKIT_CLIENT_ID",
            "SCALEKIT_CLIENT_SECRET",
            "GITHUB_CONNECTION_NAME",
            "GITHUB_TOKEN",
        ] {
            assert!(said.contains(name), "{name} is not named: {said}");
        }
    }
}

#[tokio::test]
async fn unsafe_settings_are_refused_without_showing_a_secret() {
    let secret = "canary-secret-that-must-not-show-0123456789";
    let environment = [
        ("GITHUB_TOKEN", secret),
        ("SCALEKIT_CLIENT_SECRET", secret),
        ("SESSION_SECRET", "canary-short"),
        ("HOST", "0.0.0.0"),
        ("PUBLIC_BASE_URL", "https://prs.example/path"),
        ("PORT", "none"),
    ];
    let output = run(&[], &environment).await;
    assert_eq!(output.status.code(), Some(78));
    let said = String::from_utf8(output.stderr).unwrap();
    for name in ["GITHUB_TOKEN", "SESSION_SECRET", "HOST", "PUBLIC_BASE_URL", "PORT"] {
        assert!(said.contains(name), "{name} is not named: {said}");
    }
    assert!(!said.contains("canary"), "{said}");
}

#[tokio::test]
async fn sound_settings_pass_the_check() {
    let output =
        run(&["--check-config"], &[("GITHUB_TOKEN", "a-token"), ("STATE_DIR", "/tmp/x")]).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let version = run(&["--version"], &[]).await;
    assert!(String::from_utf8(version.stdout).unwrap().starts_with("pr-summarizer "));
}

/// It is made only when the server starts; told all the same as every other setting.
#[tokio::test]
async fn a_state_folder_that_cannot_be_had_is_a_setting_that_is_wrong() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let environment = [("GITHUB_TOKEN", "a-token"), ("STATE_DIR", file.path().to_str().unwrap())];
    for arguments in [&[][..], &["stdio"]] {
        let output = run(arguments, &environment).await;
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(78), "{said}");
        assert!(said.contains("One setting needs attention:\n\n  STATE_DIR "), "{said}");
    }
}

#[tokio::test]
async fn a_taken_port_is_said_in_a_sentence() {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let environment = [("GITHUB_TOKEN", "a-token"), ("PORT", &port), ("STATE_DIR", ".")];
    let output = run(&[], &environment).await;
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains(&port) && said.contains("in use"), "{said}");
}
