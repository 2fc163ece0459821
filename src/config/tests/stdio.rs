//! Settings over standard input and output.

use super::*;

fn stdio(base: Pairs, more: &[(&'static str, &'static str)]) -> Result<Settings, Problems> {
    load_for(Command::Stdio, &with(base, more))
}

#[test]
fn whoever_starts_the_program_is_the_one_caller() {
    for base in [token(), scalekit()] {
        let settings = stdio(base, &[]).unwrap();
        assert_eq!(settings.auth_mode, AuthMode::SingleUser);
        assert!(matches!(settings.local_key, LocalKey::Off));
        assert_eq!(settings.listen.to_string(), "127.0.0.1:0");
        assert_eq!(settings.public_base_url.port(), Some(0));
    }
    let session = stdio(scalekit(), &[("AUTH_MODE", "session")]).unwrap();
    assert_eq!(session.auth_mode, AuthMode::Session);
}

#[test]
fn nobody_signs_in_over_a_pipe() {
    let more = [("AUTH_MODE", "oauth"), ("SESSION_SECRET", SECRET)];
    let problems = stdio(scalekit(), &more).unwrap_err();
    assert_eq!(problems.0.len(), 1, "{problems}");
    assert!(problems.to_string().contains("AUTH_MODE is oauth"), "{problems}");
    let problems = stdio(token(), &[("AUTH_MODE", "session")]).unwrap_err();
    assert!(problems.to_string().contains("AUTH_MODE is session"), "{problems}");
}

#[test]
fn pages_are_where_they_are_said_to_be() {
    let port = stdio(token(), &[("PORT", "4000")]).unwrap();
    assert_eq!(port.listen.port(), 4000);
    assert_eq!(port.public_base_url.as_str(), "http://127.0.0.1:4000/");
    let origin = stdio(token(), &[("PUBLIC_BASE_URL", "http://localhost:5000")]).unwrap();
    assert_eq!(origin.listen.to_string(), "127.0.0.1:5000");
    assert_eq!(origin.public_base_url.as_str(), "http://localhost:5000/");
    assert!(stdio(token(), &[("PUBLIC_BASE_URL", "https://prs.example")]).is_err());
    assert!(stdio(token(), &[("HOST", "0.0.0.0")]).is_err());
    let wrong = stdio(token(), &[("PUBLIC_BASE_URL", "nonsense"), ("PORT", "none")]).unwrap_err();
    assert_eq!(wrong.0.len(), 2, "{wrong}");
}

#[test]
fn what_is_for_http_only_is_said_to_be_unused() {
    let more = [("LOCAL_KEY", CANARY), ("METRICS_TOKEN", CANARY)];
    let settings = stdio(token(), &more).unwrap();
    for name in ["LOCAL_KEY", "METRICS_TOKEN"] {
        assert!(settings.warnings.iter().any(|warning| warning.starts_with(name)), "{name}");
    }
    let wrong = stdio(token(), &[("LOCAL_KEY", "short")]).unwrap_err();
    assert!(wrong.to_string().contains("LOCAL_KEY"), "{wrong}");
}
