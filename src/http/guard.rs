//! Stands before every route: who may speak to this server at all, and what every answer says.
//!
//! In the loopback modes this machine is one trust domain, so everything that smells of another
//! machine is refused: foreign `Host` names (DNS rebinding), forwarding headers and HTTP/1.0 (a
//! bare reverse proxy). `/mcp` also refuses foreign origins, and requests that a browser marks as
//! coming from another site, because GET carries no `Origin`.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, Version, header},
    middleware::Next,
    response::{IntoResponse as _, Redirect, Response},
};
use url::{Host, Url};

use super::{page::CONTENT_SECURITY_POLICY, problem::failure_response};
use crate::domain::{Failure, FailureCode, failure::Result};

/// Headers that only a proxy sets, and how the names of others begin.
const FORWARDING_HEADERS: [&str; 3] = ["forwarded", "via", "x-real-ip"];
const FORWARDING_PREFIXES: [&str; 2] = ["x-forwarded-", "cf-"];

/// Routes that answer any `Host`: probes use addresses, and the answers are constants.
const PROBES: [&str; 2] = ["/healthz", "/readyz"];

const MCP: &str = "/mcp";

/// What the guard must know of the settings.
#[derive(Debug, Clone)]
pub struct Guard {
    public_base_url: Url,
    allowed_origins: Arc<Vec<String>>,
}

impl Guard {
    /// A guard for the loopback modes.
    ///
    /// `allowed_origins` are further origins whose pages may call `/mcp`, as browsers write them.
    pub fn loopback(public_base_url: Url, allowed_origins: Vec<String>) -> Self {
        Self { public_base_url, allowed_origins: Arc::new(allowed_origins) }
    }

    fn admit(&self, request: &Request) -> Result<()> {
        let path = request.uri().path();
        if PROBES.contains(&path) {
            return Ok(());
        }
        self.admit_host(request.uri(), request.headers())?;
        admit_direct(request)?;
        if path == MCP {
            self.admit_origin(request.headers())?;
        }
        Ok(())
    }

    fn admit_host(&self, uri: &Uri, headers: &HeaderMap) -> Result<()> {
        let mut hosts = headers.get_all(header::HOST).iter();
        let host = match (hosts.next(), hosts.next()) {
            (Some(host), None) => host.to_str().unwrap_or_default(),
            _ => "",
        };
        let stated = uri.authority().map(axum::http::uri::Authority::as_str);
        if self.is_own(host) && stated.is_none_or(|authority| self.is_own(authority)) {
            return Ok(());
        }
        Err(Failure::new(
            FailureCode::Forbidden,
            "This server answers only to this machine's loopback names (localhost, 127.0.0.1, \
             [::1]).",
        ))
    }

    /// A loopback name, with any port: containers publish other ports than they listen on.
    fn is_own(&self, authority: &str) -> bool {
        let name = match authority.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
            _ => authority,
        };
        ["localhost", "127.0.0.1", "[::1]"].iter().any(|own| name.eq_ignore_ascii_case(own))
            || self.public_base_url.host_str().is_some_and(|own| name.eq_ignore_ascii_case(own))
    }

    fn admit_origin(&self, headers: &HeaderMap) -> Result<()> {
        let from_elsewhere = headers
            .get("sec-fetch-site")
            .is_some_and(|site| site == "cross-site" || site == "same-site");
        let mut origins = headers.get_all(header::ORIGIN).iter();
        let origin_is_good = match (origins.next(), origins.next()) {
            (None, _) => !from_elsewhere,
            (Some(origin), None) => origin.to_str().is_ok_and(|origin| self.may_call(origin)),
            (Some(_), Some(_)) => false,
        };
        if origin_is_good {
            return Ok(());
        }
        Err(Failure::new(
            FailureCode::Forbidden,
            "A page of another site tried to call this server. If that page is yours, add its \
             origin to ALLOWED_ORIGINS.",
        ))
    }

    fn may_call(&self, origin: &str) -> bool {
        let own = self.public_base_url.origin().ascii_serialization();
        origin == own || self.allowed_origins.iter().any(|allowed| allowed == origin)
    }

    /// Where a page asked for under another loopback name is to be found: `127.0.0.1`'s cookies
    /// are not `localhost`'s, so all pages live under one name.
    fn canonical(&self, request: &Request) -> Option<Url> {
        let path = request.uri().path();
        let is_page = request.method() == Method::GET && path != MCP && !PROBES.contains(&path);
        let host = request.headers().get(header::HOST)?.to_str().ok()?;
        let asked = Url::parse(&format!("http://{host}")).ok()?;
        let same = match (asked.host()?, self.public_base_url.host()?) {
            (Host::Domain(a), Host::Domain(b)) => a.eq_ignore_ascii_case(b),
            (a, b) => a == b,
        };
        (is_page && !same).then(|| {
            let mut url = self.public_base_url.clone();
            url.set_path(path);
            url.set_query(request.uri().query());
            url
        })
    }
}

/// Nobody may stand between the client and a server that trusts its own machine.
fn admit_direct(request: &Request) -> Result<()> {
    let forwarded = request.headers().keys().map(HeaderName::as_str).any(|name| {
        FORWARDING_HEADERS.contains(&name)
            || FORWARDING_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
    });
    let old = request.version() == Version::HTTP_10 && request.uri().path() == MCP;
    if !forwarded && !old {
        return Ok(());
    }
    Err(Failure::new(
        FailureCode::Forbidden,
        "This request came through a proxy, but the server trusts everybody who can reach it \
         (AUTH_MODE session or single-user), so it must not be published.",
    ))
}

/// The middleware.
pub async fn stand(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let headers = request.headers().clone();
    let mut response = match guard.admit(&request) {
        Err(failure) => failure_response(&failure, &headers),
        Ok(()) => match guard.canonical(&request) {
            Some(url) => Redirect::temporary(url.as_str()).into_response(),
            None => next.run(request).await,
        },
    };
    for (name, value) in SECURITY_HEADERS {
        response
            .headers_mut()
            .entry(HeaderName::from_static(name))
            .or_insert(HeaderValue::from_static(value));
    }
    if let Ok(policy) = HeaderValue::from_str(&CONTENT_SECURITY_POLICY) {
        response.headers_mut().entry(header::CONTENT_SECURITY_POLICY).or_insert(policy);
    }
    response
}

/// On every answer, errors too. `same-origin`, because under `no-referrer` a browser sends
/// `Origin: null` with our own forms.
const SECURITY_HEADERS: [(&str, &str); 5] = [
    ("x-frame-options", "DENY"),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "same-origin"),
    ("cache-control", "no-store"),
    ("cross-origin-opener-policy", "same-origin"),
];

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn guard() -> Guard {
        Guard::loopback(
            Url::parse("http://127.0.0.1:3000").unwrap(),
            vec!["http://good.example".into()],
        )
    }

    fn request(uri: &str, headers: &[(&str, &str)]) -> Request {
        let mut request = axum::http::Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(Body::empty()).unwrap()
    }

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
            ("user@localhost", false),
            ("", false),
        ];
        for (host, admitted) in rows {
            let verdict = guard().admit(&request("/mcp", &[("host", host)]));
            assert_eq!(verdict.is_ok(), admitted, "{host}");
        }
        let two = [("host", "localhost"), ("host", "localhost")];
        assert!(guard().admit(&request("/mcp", &two)).is_err());
        let absolute = request("http://evil.example/mcp", &[("host", "localhost")]);
        assert!(guard().admit(&absolute).is_err());
        assert!(guard().admit(&request("/healthz", &[("host", "10.0.0.7")])).is_ok());
    }

    #[test]
    fn origins() {
        let rows: [(&[(&str, &str)], bool); 7] = [
            (&[], true),
            (&[("origin", "http://127.0.0.1:3000")], true),
            (&[("origin", "http://good.example"), ("sec-fetch-site", "cross-site")], true),
            (&[("origin", "http://evil.example")], false),
            (&[("origin", "null")], false),
            (&[("sec-fetch-site", "cross-site")], false),
            (&[("sec-fetch-site", "same-site")], false),
        ];
        for (headers, admitted) in rows {
            let headers = [&[("host", "localhost")], headers].concat();
            assert_eq!(guard().admit(&request("/mcp", &headers)).is_ok(), admitted, "{headers:?}");
        }
    }

    #[test]
    fn proxies() {
        for header in [
            "forwarded",
            "via",
            "x-real-ip",
            "x-forwarded-for",
            "x-forwarded-host",
            "x-forwarded-prefix",
            "cf-connecting-ip",
            "cf-ray",
        ] {
            let sent = [("host", "127.0.0.1"), (header, "x")];
            assert!(guard().admit(&request("/connect/x", &sent)).is_err(), "{header}");
        }
        let mut old = request("/mcp", &[("host", "127.0.0.1")]);
        *old.version_mut() = Version::HTTP_10;
        assert!(guard().admit(&old).is_err());
    }

    #[test]
    fn pages_live_under_one_name() {
        let other = guard().canonical(&request("/connect/x?a=b", &[("host", "localhost:3000")]));
        assert_eq!(other.unwrap().as_str(), "http://127.0.0.1:3000/connect/x?a=b");
        assert!(guard().canonical(&request("/connect/x", &[("host", "127.0.0.1:9")])).is_none());
        assert!(guard().canonical(&request("/mcp", &[("host", "localhost")])).is_none());
    }
}
