//! Settings as people get them right and wrong.

use secrecy::ExposeSecret as _;

use super::*;
use crate::domain::AuthMode;

mod deployment;
mod files;
mod oauth;
mod stdio;
mod store;

const SECRET: &str = "an-old-secret-of-at-least-32-bytes";
const CANARY: &str = "canary0123456789canary0123456789";
const NEW_SECRET: &str = "a-newer-secret-of-at-least-32-bytes";

/// Settings that are sound, with one person's token.
fn token() -> Vec<(&'static str, &'static str)> {
    vec![("GITHUB_TOKEN", "ghp_token"), ("STATE_DIR", "/state")]
}

/// Settings that are sound, with Scalekit.
fn scalekit() -> Vec<(&'static str, &'static str)> {
    vec![
        ("SCALEKIT_ENVIRONMENT_URL", "https://example.scalekit.com"),
        ("SCALEKIT_CLIENT_ID", "skc_1"),
        ("SCALEKIT_CLIENT_SECRET", "test_secret"),
        ("GITHUB_CONNECTION_NAME", "github"),
        ("STATE_DIR", "/state"),
    ]
}

/// Every request to Azure names the version of its API.
const AZURE: &str = "https://a.openai.azure.com/openai/deployments/small?api-version=2024-10-21";

type Pairs = Vec<(&'static str, &'static str)>;

fn with(mut base: Pairs, more: &[(&'static str, &'static str)]) -> Environment {
    base.extend(more);
    Environment::of(base)
}

fn problems(environment: &Environment) -> Vec<String> {
    match load(environment) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.0.into_iter().map(|problem| problem.variable).collect(),
    }
}

#[test]
fn a_token_alone_is_enough() {
    let settings = load(&Environment::of(token())).unwrap();
    assert_eq!(settings.listen.to_string(), "127.0.0.1:3000");
    assert_eq!(settings.public_base_url.as_str(), "http://127.0.0.1:3000/");
    assert_eq!(settings.auth_mode, AuthMode::SingleUser);
    let Access::Token { api_url, token } = &settings.access else { panic!("{settings:?}") };
    assert_eq!(api_url.as_str(), "https://api.github.com/");
    assert_eq!(token.expose_secret(), "ghp_token");
    assert_eq!(settings.store, StoreLocation::Sqlite("/state/store.db".into()));
    assert_eq!(settings.summaries.deadline.as_secs(), 45);
    assert_eq!(settings.summaries.diff_budget_chars, 14_000);
    assert_eq!(settings.llm.model, "gpt-4.1-mini");
    assert_eq!((settings.llm.reads_private, settings.llm.daily_tokens), (true, None));
    assert_eq!(settings.log, log(LogFormat::Text, "info"));
    assert!(matches!(&settings.local_key, LocalKey::Required(KeySource::File(path))
        if path.ends_with("local-key")));
    assert_eq!(settings.warnings.len(), 1, "no language model: {:?}", settings.warnings);
}

fn log(format: LogFormat, filter: &str) -> LogSettings {
    LogSettings { format, filter: filter.parse().unwrap() }
}

#[test]
fn scalekit_gives_each_session_its_own_person() {
    let more = [
        ("PORT", "4000"),
        ("HOST", "::1"),
        (
            "SESSION_SECRET",
            "a-newer-secret-of-at-least-32-bytes, an-old-secret-of-at-least-32-bytes",
        ),
        ("STORE_URL", "memory:"),
        ("OPENAI_BASE_URL", "http://127.0.0.1:11434/v1"),
        ("LLM_PRIVATE", "off"),
        ("LLM_DAILY_TOKENS", "250000"),
        ("LOG_FORMAT", "json"),
        // Spaces and a comma too many change nothing.
        ("RUST_LOG", "debug, hyper=info,"),
    ];
    let settings = load(&with(scalekit(), &more)).unwrap();
    assert_eq!(settings.public_base_url.as_str(), "http://[::1]:4000/");
    assert_eq!(settings.auth_mode, AuthMode::Session);
    assert!(matches!(settings.access, Access::Scalekit { .. }));
    assert!(matches!(settings.local_key, LocalKey::Off));
    let KeySource::Given(keys) = &settings.session_secret else { panic!("{settings:?}") };
    assert_eq!(keys.current.expose_secret(), NEW_SECRET);
    assert_eq!(keys.previous.len(), 1);
    assert_eq!(keys.previous[0].expose_secret(), SECRET);
    assert_eq!(settings.store, StoreLocation::Memory);
    assert_eq!((settings.llm.reads_private, settings.llm.daily_tokens), (false, Some(250_000)));
    assert_eq!(settings.log, log(LogFormat::Json, "debug,hyper=info"));
    assert!(settings.warnings.is_empty(), "{:?}", settings.warnings);
}

#[test]
fn nothing_set_says_both_ways_to_begin() {
    let environment = Environment::of([("STATE_DIR", "/state"), ("GITHUB_TOKEN", "  ")]);
    let expected = [
        "SCALEKIT_ENVIRONMENT_URL",
        "SCALEKIT_CLIENT_ID",
        "SCALEKIT_CLIENT_SECRET",
        "GITHUB_CONNECTION_NAME",
        "GITHUB_TOKEN",
    ];
    assert_eq!(problems(&environment), expected);
    let shown = load(&environment).unwrap_err().to_string();
    assert!(
        shown.starts_with("5 settings need attention:\n\n  SCALEKIT_ENVIRONMENT_URL is missing.\n")
    );
    assert!(shown.contains("gh auth token"), "{shown}");
}

#[test]
fn half_of_scalekit_names_the_other_half() {
    let environment = Environment::of([
        ("STATE_DIR", "/state"),
        ("SCALEKIT_CLIENT_ID", "skc_1"),
        ("GITHUB_CONNECTION_NAME", "github"),
    ]);
    assert_eq!(problems(&environment), ["SCALEKIT_ENVIRONMENT_URL", "SCALEKIT_CLIENT_SECRET"]);
}

/// Variables, a bad value, and what is complained about.
#[test]
fn each_bad_value_is_a_problem_of_its_variable() {
    let cases: &[(&str, &[&str])] = &[
        ("PORT", &["0", "65536", "-1", "3000x", "３０００", "http"]),
        ("HOST", &["0.0.0.0", "::", "192.168.1.2", "example.com", "127.0.0.1:80", "[::1"]),
        (
            "PUBLIC_BASE_URL",
            &[
                "https://example.com",
                "http://127.0.0.1.nip.io",
                "http://localhost.evil.example",
                "http://0.0.0.0:3000",
                "http://[::ffff:127.0.0.1]:3000",
                "http://127.0.0.1:3000/app",
                "http://127.0.0.1:3000?x=1",
                "http://127.0.0.1:3000#x",
                "http://user@127.0.0.1:3000",
                "http://prs.example",
                "http://user:pw@127.0.0.1:3000",
                "http:///127.0.0.1",
                "http:\\\\127.0.0.1",
                "ftp://127.0.0.1",
                "127.0.0.1:3000",
                "localhost",
                "javascript:alert(1)",
                "http://127.0.0.1:3000\thttp://x",
            ],
        ),
        ("RENDER_EXTERNAL_URL", &["https://app.onrender.com"]),
        ("AUTH_MODE", &["OAuth", "Session", "none"]),
        ("SESSION_SECRET", &["short", "an-old-secret-of-at-least-32-bytes,", ","]),
        ("LOCAL_KEY", &["OFF", "short", "thirty-two characters with spaces"]),
        ("STORE_URL", &["redis://", "redis://h/x", "sqlite://host/x", "sqlite:/x?a=b", "store.db"]),
        ("INSTANCES", &["0", "two", "-1"]),
        ("SUMMARY_DEADLINE_SECONDS", &["4", "301", "45s", "1e2"]),
        ("DIFF_BUDGET_CHARS", &["999", "200001", "-5"]),
        ("LLM_PRIVATE", &["OFF", "no", "false"]),
        ("LLM_DAILY_TOKENS", &["0", "999", "-1", "1e6", "unlimited"]),
        (
            "OPENAI_BASE_URL",
            &[
                "http://llm.example/v1",
                "https://u:p@llm.example",
                "llm",
                "https://llm.example/v1?key=canary",
                "https://llm.example/v1?api-version=1&key=canary",
                "https://llm.example/v1?api-version=1#x",
                "https://llm.example/v1?api-version=",
                "https://llm.example/v1?",
            ],
        ),
        ("OPENAI_API_KEY", &["sk-a sk-b", "sk-\u{fc}"]),
        ("GITHUB_API_URL", &["http://ghe.example/api/v3", "https://ghe.example/?a=1"]),
        ("GITHUB_TOKEN", &["ghp_a\nghp_b"]),
        ("LOG_FORMAT", &["xml", "JSON"]),
        ("RUST_LOG", &["hyper=loud", "hyper=", "[{", "verbose", "info,hyper"]),
    ];
    for (variable, values) in cases {
        for value in *values {
            let environment = with(token(), &[(variable, value)]);
            assert_eq!(problems(&environment), [*variable], "{variable}={value}");
        }
    }
    for url in ["http://scalekit.example", "https://scalekit.example#x"] {
        let environment = with(scalekit(), &[("SCALEKIT_ENVIRONMENT_URL", url)]);
        assert_eq!(problems(&environment), ["SCALEKIT_ENVIRONMENT_URL"], "{url}");
    }
}

#[test]
fn good_values_are_no_problem() {
    let cases: &[(&str, &[&str])] = &[
        ("HOST", &["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost"]),
        (
            "PUBLIC_BASE_URL",
            &["http://localhost:3000", "http://127.0.0.1/", "https://localhost", "http://[::1]:9"],
        ),
        ("LOCAL_KEY", &["off", "0123456789abcdef0123456789ABCDEF"]),
        ("STORE_URL", &["sqlite:", "sqlite:x.db", "sqlite:///var/x.db", "sqlite:/x", "memory:"]),
        ("GITHUB_API_URL", &["https://ghe.example/api/v3", "http://127.0.0.1:9/api/v3"]),
        ("AUTH_MODE", &["single-user"]),
        ("OPENAI_BASE_URL", &["https://llm.example/v1", "http://127.0.0.1:9", AZURE]),
    ];
    for (variable, values) in cases {
        for value in *values {
            let environment = with(token(), &[(variable, value)]);
            assert_eq!(problems(&environment), [""; 0], "{variable}={value}");
        }
    }
}

#[test]
fn settings_that_contradict_each_other_are_problems() {
    let both = with(scalekit(), &[("GITHUB_TOKEN", "ghp_token")]);
    assert_eq!(problems(&both), ["GITHUB_TOKEN"]);
    let shared = with(token(), &[("AUTH_MODE", "session")]);
    assert_eq!(problems(&shared), ["AUTH_MODE"]);
    let homeless = Environment::of([("GITHUB_TOKEN", "ghp_token")]);
    assert_eq!(problems(&homeless), ["STATE_DIR"]);
}

#[test]
fn what_is_set_for_nothing_is_said() {
    let environment = with(
        token(),
        &[
            ("GITHUB_CONNECTION_NAME", "github"),
            ("LOCAL_KEY", "off"),
            ("PUBLIC_BASE_URL", "http://127.0.0.1:8080"),
            ("OPENAI_API_KEY", "sk-key"),
        ],
    );
    let warnings = load(&environment).unwrap().warnings.join("\n");
    for name in ["GITHUB_CONNECTION_NAME", "LOCAL_KEY is off", "PUBLIC_BASE_URL"] {
        assert!(warnings.contains(name), "{warnings}");
    }
}

/// A canary in every variable, sound or not: it shows up nowhere.
#[test]
fn no_value_of_a_secret_is_ever_shown() {
    for base in [token(), scalekit()] {
        no_canary_is_shown(&base);
    }
}

fn no_canary_is_shown(base: &Pairs) {
    for variable in VARIABLES {
        let others = base.iter().filter(|(name, _)| *name != variable.name);
        let pairs = others.copied().chain([(variable.name, CANARY)]);
        let environment = Environment::of(pairs);
        let shown = match load(&environment) {
            Ok(settings) if variable.secret => format!("{settings:?}"),
            Ok(settings) => settings.warnings.join("\n"),
            Err(problems) => format!("{problems} {problems:?}"),
        };
        assert!(!shown.contains("canary"), "{}: {shown}", variable.name);
        assert!(!format!("{environment:?}").contains("canary"));
    }
}
