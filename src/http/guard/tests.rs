//! Who gets past the guard, on loopback and in public, and what every answer carries.

use axum::{Router, body::Body, http::StatusCode, middleware, routing::any};
use tower::Service as _;

use super::*;

fn loopback() -> Guard {
    Guard::loopback(Url::parse("http://127.0.0.1:3000").unwrap())
}

fn public(base: &str) -> Guard {
    Guard::public(Url::parse(base).unwrap())
}

fn request(uri: &str, headers: &[(&str, &str)]) -> Request {
    let mut request = axum::http::Request::builder().uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::empty()).unwrap()
}

const FORWARDED: [&str; 8] = [
    "forwarded",
    "via",
    "x-real-ip",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-prefix",
    "cf-connecting-ip",
    "cf-ray",
];

#[test]
fn hosts() {
    let rows = [
        ("127.0.0.1:3000", true),
        ("LOCALHOST:8080", true),
        ("localhost", true),
        ("[::1]:3000", true),
        ("localhost.", false),
        ("localhost.:3000", false),
        ("0.0.0.0:3000", false),
        ("127.0.0.1.nip.io", false),
        ("[::ffff:127.0.0.1]", false),
        ("evil.example", false),
        ("localhost:evil", false),
        ("127.0.0.1:", true),
        ("localhost:80:80", false),
        ("user@localhost", false),
        ("", false),
    ];
    for (host, admitted) in rows {
        let verdict = loopback().admit(&request("/mcp", &[("host", host)]));
        assert_eq!(verdict.is_ok(), admitted, "{host}");
    }
    let two = [("host", "localhost"), ("host", "localhost")];
    assert!(loopback().admit(&request("/mcp", &two)).is_err());
    let absolute = request("http://evil.example/mcp", &[("host", "localhost")]);
    assert!(loopback().admit(&absolute).is_err());
    let same = request("http://localhost:3000/mcp", &[("host", "localhost")]);
    assert!(loopback().admit(&same).is_ok());
    for (path, admitted) in [("/healthz", true), ("/readyz", true), ("/", false), ("/mcp", false)] {
        let verdict = loopback().admit(&request(path, &[("host", "10.0.0.7")]));
        assert_eq!(verdict.is_ok(), admitted, "{path}");
    }
    // A name of one's own for this computer is as good as the three.
    let named = Guard::loopback(Url::parse("http://prs.localhost:3000").unwrap());
    for (host, admitted) in
        [("PRS.localhost:3000", true), ("localhost", true), ("x.localhost", false)]
    {
        assert_eq!(named.admit(&request("/", &[("host", host)])).is_ok(), admitted, "{host}");
    }
}

#[test]
fn origins() {
    let rows: [(&[(&str, &str)], bool); 8] = [
        (&[], true),
        (&[("sec-fetch-site", "none")], true),
        (&[("origin", "http://127.0.0.1:3000")], true),
        (&[("origin", "http://127.0.0.1:3001")], false),
        (&[("origin", "http://evil.example")], false),
        (&[("origin", "null")], false),
        (&[("sec-fetch-site", "cross-site")], false),
        (&[("sec-fetch-site", "same-site")], false),
    ];
    for (headers, admitted) in rows {
        let headers = [&[("host", "localhost")], headers].concat();
        assert_eq!(loopback().admit(&request("/mcp", &headers)).is_ok(), admitted, "{headers:?}");
    }
}

#[test]
fn proxies() {
    for header in FORWARDED {
        let sent = [("host", "127.0.0.1"), (header, "x")];
        assert!(loopback().admit(&request("/connect/x", &sent)).is_err(), "{header}");
    }
    let mut old = request("/mcp", &[("host", "127.0.0.1")]);
    *old.version_mut() = Version::HTTP_10;
    assert!(loopback().admit(&old).is_err());
    // A person's own old tool may still read a page.
    let mut old = request("/connect/x", &[("host", "127.0.0.1")]);
    *old.version_mut() = Version::HTTP_10;
    assert!(loopback().admit(&old).is_ok());
}

#[test]
fn pages_live_under_one_name() {
    let other = loopback().canonical(&request("/connect/x?a=b", &[("host", "localhost:3000")]));
    assert_eq!(other.unwrap().as_str(), "http://127.0.0.1:3000/connect/x?a=b");
    assert!(loopback().canonical(&request("/connect/x", &[("host", "127.0.0.1:9")])).is_none());
    for path in ["/mcp", "/healthz", "/readyz"] {
        assert!(loopback().canonical(&request(path, &[("host", "localhost")])).is_none(), "{path}");
    }
    let mut form = request("/connect/x", &[("host", "localhost")]);
    *form.method_mut() = Method::POST;
    assert!(loopback().canonical(&form).is_none());
    let named = Guard::loopback(Url::parse("http://localhost:3000").unwrap());
    assert!(named.canonical(&request("/", &[("host", "LOCALHOST:3000")])).is_none());
    for other in ["prs.localhost", "127.0.0.1", "[::1]"] {
        let moved = named.canonical(&request("/", &[("host", other)]));
        assert_eq!(moved.unwrap().as_str(), "http://localhost:3000/", "{other}");
    }
}

/// By way of the whole middleware: who is refused, sent elsewhere, or served.
#[tokio::test]
async fn the_guard_stands_before_the_routes() {
    let mut router = Router::new()
        .fallback(|| async { "fine" })
        .layer(middleware::from_fn_with_state(Arc::new(loopback()), stand));
    for (path, host, status) in [
        ("/", "127.0.0.1:3000", StatusCode::OK),
        ("/", "localhost:3000", StatusCode::TEMPORARY_REDIRECT),
        ("/mcp", "localhost:3000", StatusCode::OK),
        ("/healthz", "10.0.0.7", StatusCode::OK),
        ("/", "10.0.0.7", StatusCode::FORBIDDEN),
    ] {
        let answer = router.call(request(path, &[("host", host)])).await.unwrap();
        assert_eq!(answer.status(), status, "{path} {host}");
        assert_eq!(answer.headers()["content-security-policy"], *CONTENT_SECURITY_POLICY);
        assert_eq!(answer.headers()["x-frame-options"], "DENY");
    }
}

/// The public origin, a host, and whether it is that origin's.
#[test]
fn in_public_there_is_one_host() {
    let rows = [
        ("https://prs.example", "prs.example", true),
        ("https://prs.example", "PRS.Example", true),
        ("https://prs.example", "prs.example:443", true),
        ("https://prs.example", "prs.example:80", false),
        ("https://prs.example", "prs.example:8443", false),
        ("https://prs.example", "prs.example:0443", false),
        ("https://prs.example", "prs.example:+443", false),
        ("https://prs.example", "prs.example:", false),
        ("https://prs.example", "prs.example.", false),
        ("https://prs.example", "prs.example.evil.example", false),
        ("https://prs.example", "prs.exampleevil", false),
        ("https://prs.example", "evilprs.example", false),
        ("https://prs.example", "evil.example", false),
        ("https://prs.example", "user@prs.example", false),
        ("https://prs.example", "prs.example@evil.example", false),
        ("https://prs.example", "prs.example,evil.example", false),
        ("https://prs.example", "prs.example/evil", false),
        ("https://prs.example", "localhost:3000", false),
        ("https://prs.example", "127.0.0.1:3000", false),
        ("https://prs.example", "", false),
        ("https://prs.example:8443", "prs.example:8443", true),
        ("https://prs.example:8443", "prs.example", false),
        ("https://prs.example:8443", "prs.example:443", false),
        ("https://b\u{fc}cher.example", "xn--bcher-kva.example", true),
        ("http://127.0.0.1:3000", "127.0.0.1:3000", true),
        ("http://127.0.0.1:3000", "localhost:3000", false),
        ("http://127.0.0.1:3000", "127.0.0.1", false),
        ("http://127.0.0.1", "127.0.0.1", true),
        ("http://127.0.0.1", "127.0.0.1:80", true),
        ("http://[::1]:3000", "[::1]:3000", true),
        ("http://[::1]:3000", "[::1]", false),
    ];
    for (base, host, admitted) in rows {
        for path in ["/mcp", "/connect/x", "/token", "/.well-known/oauth-authorization-server"] {
            let verdict = public(base).admit(&request(path, &[("host", host)]));
            assert_eq!(verdict.is_ok(), admitted, "{base} {host:?} {path}");
        }
        assert!(public(base).admit(&request("/healthz", &[("host", host)])).is_ok());
    }
}

#[test]
fn in_public_a_second_host_is_refused() {
    let guard = public("https://prs.example");
    let own = ("host", "prs.example");
    assert!(guard.admit(&request("/", &[own])).is_ok());
    assert!(guard.admit(&request("/", &[])).is_err());
    assert!(guard.admit(&request("/", &[own, own])).is_err());
    assert!(guard.admit(&request("/", &[own, ("host", "evil.example")])).is_err());
    for uri in [
        "https://prs.example/",
        "http://prs.example/mcp",
        "http://evil.example/",
        "prs.example:443",
        "evil.example:443",
    ] {
        assert!(guard.admit(&request(uri, &[own])).is_err(), "{uri}");
    }
}

#[test]
fn in_public_a_proxy_is_expected_and_changes_nothing() {
    let guard = public("https://prs.example");
    for header in FORWARDED {
        let through = request("/mcp", &[("host", "prs.example"), (header, "prs.example")]);
        assert!(guard.admit(&through).is_ok(), "{header}");
        let forged = request("/mcp", &[("host", "evil.example"), (header, "prs.example")]);
        assert!(guard.admit(&forged).is_err(), "{header}");
    }
    let mut old = request("/mcp", &[("host", "prs.example")]);
    *old.version_mut() = Version::HTTP_10;
    assert!(guard.admit(&old).is_ok());
    assert!(guard.canonical(&request("/connect/x", &[("host", "127.0.0.1")])).is_none());
}

/// What a browser sends along, and whether `/mcp` admits it.
#[test]
fn in_public_pages_of_other_origins_call_only_what_is_theirs() {
    let rows: [(&[(&str, &str)], bool); 10] = [
        (&[], true),
        (&[("sec-fetch-site", "same-origin")], true),
        (&[("origin", "https://prs.example")], true),
        (&[("origin", "https://prs.example:8443")], false),
        (&[("origin", "http://prs.example")], false),
        (&[("origin", "https://evil.example")], false),
        (&[("origin", "null")], false),
        (&[("origin", "https://prs.example"), ("origin", "https://evil.example")], false),
        (&[("sec-fetch-site", "cross-site")], false),
        (&[("sec-fetch-site", "same-site")], false),
    ];
    let guard = public("https://prs.example");
    for (headers, admitted) in rows {
        let headers = [&[("host", "prs.example")], headers].concat();
        assert_eq!(guard.admit(&request("/mcp", &headers)).is_ok(), admitted, "{headers:?}");
        for path in [
            "/token",
            "/register",
            "/revoke",
            "/.well-known/oauth-protected-resource/mcp",
            "/authorize",
            "/user/verify",
        ] {
            assert!(guard.admit(&request(path, &headers)).is_ok(), "{path} {headers:?}");
        }
    }
}

/// The public origin, and whether browsers are told to insist on https.
#[tokio::test]
async fn https_is_insisted_on_where_it_is_ours_to_say() {
    let rows = [
        ("https://prs.example", true),
        ("https://prs.example:8443", true),
        ("https://localhost", false),
        ("https://app.localhost", false),
        ("https://127.0.0.1", false),
        ("https://[::1]", false),
        ("http://127.0.0.1:3000", false),
    ];
    for (base, told) in rows {
        let guard = public(base);
        let own = Url::parse(base).unwrap();
        let own = own.as_str().split('/').nth(2).unwrap().to_owned();
        let mut router = Router::new()
            .route("/", any(|| async { "fine" }))
            .layer(middleware::from_fn_with_state(Arc::new(guard), stand));
        for (host, status) in [(own.as_str(), StatusCode::OK), ("evil", StatusCode::FORBIDDEN)] {
            let answer = router.call(request("/", &[("host", host)])).await.unwrap();
            assert_eq!(answer.status(), status, "{base}");
            let hsts = answer.headers().get("strict-transport-security");
            assert_eq!(hsts.is_some(), told, "{base} {host}");
            assert!(hsts.is_none_or(|value| value == HSTS));
            for (name, value) in SECURITY_HEADERS {
                assert_eq!(answer.headers()[name], value, "{base} {host}");
            }
        }
    }
}
