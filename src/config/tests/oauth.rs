//! Settings for strangers: what `oauth` mode needs, and what stands in public without it.

use super::*;
use crate::oauth::redirect::KNOWN_HOSTS;

/// What a row adds to sound settings.
type Added<'a> = &'a [(&'static str, &'static str)];

/// Settings that are sound in public.
fn public() -> Pairs {
    let mut settings = scalekit();
    settings.extend([
        ("PUBLIC_BASE_URL", "https://prs.example"),
        ("SESSION_SECRET", SECRET),
        ("OPENAI_API_KEY", "sk-key"),
    ]);
    settings
}

/// The same, without these.
fn public_but(left_out: &[&str], more: &[(&'static str, &'static str)]) -> Environment {
    let base = public().into_iter().filter(|(name, _)| !left_out.contains(name)).collect();
    with(base, more)
}

#[test]
fn an_https_origin_means_oauth() {
    let more = [
        ("HOST", "0.0.0.0"),
        (
            "OAUTH_REDIRECT_URIS",
            "https://host.example/cb?x=1, com.example.app://callback\n cursor://x/cb",
        ),
        ("OAUTH_CLIENT_ID_ORIGINS", "https://Host.example/,http://localhost:8080"),
    ];
    let settings = load(&with(public(), &more)).unwrap();
    assert_eq!(settings.auth_mode, AuthMode::OAuth);
    assert_eq!(settings.listen.to_string(), "0.0.0.0:3000");
    assert_eq!(settings.public_base_url.as_str(), "https://prs.example/");
    assert!(matches!(settings.session_secret, KeySource::Given(_)));
    assert!(matches!(settings.local_key, LocalKey::Off));
    let oauth = settings.oauth.unwrap();
    assert_eq!(
        oauth.redirect_uris,
        ["https://host.example/cb?x=1", "com.example.app://callback", "cursor://x/cb"]
    );
    assert_eq!(oauth.client_id_origins, ["https://host.example", "http://localhost:8080"]);
    assert!(settings.warnings.is_empty(), "{:?}", settings.warnings);
    assert_eq!(load(&with(public(), &[])).unwrap().oauth, Some(OAuthSettings::default()));
    assert_eq!(load(&with(scalekit(), &[])).unwrap().oauth, None);
}

/// What is left out of sound settings, what is added, and the mode that follows.
#[test]
fn the_mode_follows_from_the_rest() {
    let base = "PUBLIC_BASE_URL";
    let rows: [(&[&str], Added, AuthMode); 9] = [
        (&[], &[], AuthMode::OAuth),
        (&[], &[("AUTH_MODE", "oauth")], AuthMode::OAuth),
        (&[base], &[], AuthMode::Session),
        (&[base], &[(base, "http://localhost:3000")], AuthMode::Session),
        (&[base], &[(base, "https://localhost")], AuthMode::OAuth),
        (&[base], &[(base, "https://localhost"), ("AUTH_MODE", "session")], AuthMode::Session),
        (&[base], &[("AUTH_MODE", "oauth")], AuthMode::OAuth),
        (&[base], &[("RENDER_EXTERNAL_URL", "https://prs.onrender.com")], AuthMode::OAuth),
        (&[base], &[("AUTH_MODE", "single-user")], AuthMode::SingleUser),
    ];
    for (left_out, more, mode) in rows {
        let settings = load(&public_but(left_out, more)).unwrap();
        assert_eq!(settings.auth_mode, mode, "{left_out:?} {more:?}");
        assert_eq!(settings.oauth.is_some(), mode == AuthMode::OAuth);
    }
}

#[test]
fn a_container_is_reached_by_its_published_port() {
    let more =
        [("AUTH_MODE", "oauth"), ("HOST", "0.0.0.0"), ("PUBLIC_BASE_URL", "http://127.0.0.1:8080")];
    let settings = load(&public_but(&["PUBLIC_BASE_URL"], &more)).unwrap();
    assert_eq!(settings.public_base_url.as_str(), "http://127.0.0.1:8080/");
    assert!(settings.warnings.is_empty(), "{:?}", settings.warnings);
}

/// What is left out of sound settings, what is added, and what is complained about.
#[test]
fn each_unsafe_start_is_refused() {
    let (base, secret) = ("PUBLIC_BASE_URL", "SESSION_SECRET");
    let scalekit_and_token = ["SCALEKIT_ENVIRONMENT_URL", "SCALEKIT_CLIENT_SECRET", "GITHUB_TOKEN"];
    let rows: [(&[&str], Added, &[&str]); 20] = [
        (&[], &[("AUTH_MODE", "session")], &[base]),
        (&[], &[("AUTH_MODE", "single-user")], &[base]),
        (&[], &[("AUTH_MODE", "session"), ("HOST", "0.0.0.0")], &["HOST", base]),
        (&[base], &[("HOST", "0.0.0.0")], &["HOST"]),
        (&[base], &[("HOST", "::")], &["HOST"]),
        (&[base], &[("HOST", "192.168.1.2"), ("AUTH_MODE", "single-user")], &["HOST"]),
        (&[base], &[("HOST", "0.0.0.0"), ("AUTH_MODE", "oauth")], &[base]),
        (&[base], &[(base, "http://prs.example")], &[base]),
        (&[base], &[(base, "http://prs.example"), ("AUTH_MODE", "oauth")], &[base]),
        (&[base], &[(base, "http://10.0.0.7:3000"), ("AUTH_MODE", "oauth")], &[base]),
        (&[base], &[(base, "https://prs.example/app")], &[base]),
        (&[base], &[(base, "https://prs.example?x")], &[base]),
        (&[base], &[(base, "https://user@prs.example")], &[base]),
        (&[base, secret], &[(base, "https://prs.example/app")], &[base, secret]),
        (&[secret], &[], &[secret]),
        (&[secret], &[(secret, "short")], &[secret]),
        (&[secret], &[(secret, "a-newer-secret-of-at-least-32-bytes,short")], &[secret]),
        (&[], &[("AUTH_MODE", "oauth"), ("GITHUB_TOKEN", "ghp_token")], &["GITHUB_TOKEN"]),
        (
            &["SCALEKIT_ENVIRONMENT_URL", "SCALEKIT_CLIENT_SECRET"],
            &[("AUTH_MODE", "oauth"), ("GITHUB_TOKEN", "ghp_token")],
            &scalekit_and_token,
        ),
        (&[base], &[("RENDER_EXTERNAL_URL", "https://x.example/y")], &["RENDER_EXTERNAL_URL"]),
    ];
    for (left_out, more, expected) in rows {
        assert_eq!(problems(&public_but(left_out, more)), expected, "{left_out:?} {more:?}");
    }
    let leaving = with(token(), &[(base, "https://prs.example"), ("HOST", "0.0.0.0")]);
    assert_eq!(problems(&leaving), ["HOST", base]);
    let cures = load(&leaving).unwrap_err().to_string();
    assert!(cures.contains("AUTH_MODE=oauth, with SCALEKIT_* in place of GITHUB_TOKEN"), "{cures}");
}

#[test]
fn everything_wrong_is_said_at_once() {
    let environment = Environment::of([
        ("AUTH_MODE", "oauth"),
        ("STATE_DIR", "/state"),
        ("HOST", "0.0.0.0"),
        ("OAUTH_REDIRECT_URIS", "http://x.example/cb"),
    ]);
    let expected = [
        "SCALEKIT_ENVIRONMENT_URL",
        "SCALEKIT_CLIENT_ID",
        "SCALEKIT_CLIENT_SECRET",
        "GITHUB_CONNECTION_NAME",
        "PUBLIC_BASE_URL",
        "SESSION_SECRET",
        "OAUTH_REDIRECT_URIS",
    ];
    assert_eq!(problems(&environment), expected);
    assert!(!load(&environment).unwrap_err().to_string().contains("gh auth token"));
}

#[test]
fn what_is_unwise_or_unused_is_said() {
    let unwise = [("STORE_URL", "memory:"), ("LOCAL_KEY", "0123456789abcdef0123456789abcdef")];
    let warnings = load(&with(public(), &unwise)).unwrap().warnings.join("\n");
    assert!(warnings.contains("STORE_URL is memory"), "{warnings}");
    assert!(warnings.contains("LOCAL_KEY is not used in oauth mode"), "{warnings}");
    let unused = [
        ("OAUTH_REDIRECT_URIS", "https://a.example/cb"),
        ("OAUTH_CLIENT_ID_ORIGINS", "https://a.example"),
    ];
    let settings = load(&with(scalekit(), &unused)).unwrap();
    assert_eq!(settings.oauth, None);
    let warnings = settings.warnings.join("\n");
    for name in ["OAUTH_REDIRECT_URIS", "OAUTH_CLIENT_ID_ORIGINS"] {
        assert!(warnings.contains(&format!("{name} is used in oauth mode only")), "{warnings}");
    }
    let render = [("RENDER_EXTERNAL_URL", "https://prs.onrender.com")];
    let warnings = load(&with(public(), &render)).unwrap().warnings.join("\n");
    assert!(warnings.contains("Render cannot reach it"), "{warnings}");
}

#[test]
fn redirect_uris_are_plain_and_lead_to_a_program_or_a_host() {
    let bad = [
        "http://127.0.0.1:3000/cb",
        "http://host.example/cb",
        "https://host.example/cb#f",
        "https://host.example/cb#",
        "https://user@host.example/cb",
        "https://@host.example/cb",
        "https://prs.example/anything",
        "https://prs.example./anything",
        "https://Host.example/cb",
        "HTTPS://host.example/cb",
        "https://host.example:443/cb",
        "https://host.example:0/cb",
        "https://host.example/a/../b",
        "https://host.example/a/%2e%2e/b",
        "https://host.example\\cb",
        "https:host.example/cb",
        "https:///host.example/cb",
        "https://127.0.0.1/cb",
        "https://2130706433/cb",
        "https://[::1]/cb",
        "https://*.host.example/cb",
        "https://hôst.example/cb",
        "https://host.example/cb?code=1",
        "https://host.example/cb?x=1&st%61te=1",
        "https://host.example/%zz",
        "https://host.example/\"",
        "javascript:alert(1)",
        "javascript://x/%0aalert(1)",
        "java.script:alert(1)",
        "data://x/y",
        "intent://x/y",
        "file:///etc/passwd",
        "ws://host.example/cb",
        "myapp://callback",
        "Com.Example.App://callback",
        "com.example.app:/callback",
        "com.example.app:///callback",
        "com.example.app://user@host/cb",
        "cursor:",
        "/cb",
        "host.example/cb",
        "*",
    ];
    for uri in KNOWN_HOSTS {
        assert_eq!(clients::redirect_uris(uri, None).unwrap(), [*uri], "shipped as they are");
    }
    for uri in bad {
        let environment = with(public(), &[("OAUTH_REDIRECT_URIS", uri)]);
        assert_eq!(problems(&environment), ["OAUTH_REDIRECT_URIS"], "{uri}");
    }
    let long = format!("https://host.example/{}", "a".repeat(500));
    assert!(clients::redirect_uris(&long, None).is_err());
    let good = [
        "https://host.example",
        "https://host.example/",
        "https://host.example:8443/cb?x=%20&y",
        "https://intranet/cb",
        "https://prs.example:8443/cb",
        "com.example.app://callback",
        "cursor://anysphere.cursor-mcp/oauth/callback",
        "vscode-insiders://vscode.mcp/cb",
    ];
    for uri in good {
        let settings = load(&with(public(), &[("OAUTH_REDIRECT_URIS", uri)])).unwrap();
        assert_eq!(settings.oauth.unwrap().redirect_uris, [uri]);
    }
}

#[test]
fn documents_are_read_from_public_names() {
    let bad = [
        "http://host.example",
        "https://host.example/client.json",
        "https://user@host.example",
        "https://127.0.0.1",
        "https://[::1]",
        "https://intranet",
        "https://app.localhost",
        "https://host.example.",
        "https://prs.example",
        "http://localhost.evil.example",
        "ftp://host.example",
        "host.example",
        "*",
    ];
    for origin in bad {
        let environment = with(public(), &[("OAUTH_CLIENT_ID_ORIGINS", origin)]);
        assert_eq!(problems(&environment), ["OAUTH_CLIENT_ID_ORIGINS"], "{origin}");
    }
}

#[test]
fn bad_entries_are_counted_and_not_quoted() {
    let list = "https://a.example/cb,canary://x/y  https://b.example/cb\nhttps://a.example/#canary";
    let shown = load(&with(public(), &[("OAUTH_REDIRECT_URIS", list)])).unwrap_err().to_string();
    assert!(
        shown.contains("entry 2 has a scheme") && shown.contains("entry 4 has a fragment"),
        "{shown}"
    );
    assert!(!shown.contains("canary"), "{shown}");
}

/// As in the tests of the other modes: a canary in every variable shows up nowhere.
#[test]
fn no_value_of_a_secret_is_ever_shown() {
    super::no_canary_is_shown(&public());
}
