//! Stands before every route: who may speak to this server at all, and what every answer says.
//!
//! In the loopback modes this machine is one trust domain, so everything that smells of another
//! machine is refused: foreign `Host` names (DNS rebinding), forwarding headers and HTTP/1.0 (a
//! bare reverse proxy). `/mcp` also refuses foreign origins, and requests that a browser marks as
//! coming from another site, because GET carries no `Origin`.
//!
//! In public the trust lies in tokens, and a proxy with TLS in front is expected. What it adds
//! (forwarding headers, HTTP/1.0) is let through and never used; it must pass on the `Host` that
//! the client sent, which is the public origin's and nothing else. `/token`, `/register`, `/revoke`
//! and `/.well-known/*` are called by pages of any origin: they carry no cookie, and their routes
//! answer CORS themselves.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, Version, header},
    middleware::Next,
    response::{IntoResponse as _, Redirect, Response},
};
use url::{Host, Url};

use super::{page::CONTENT_SECURITY_POLICY, problem::failure_response};
use crate::{
    domain::{Failure, FailureCode, failure::Result},
    oauth::redirect::is_this_computer,
};

/// Headers that only a proxy sets, and how the names of others begin.
const FORWARDING_HEADERS: [&str; 3] = ["forwarded", "via", "x-real-ip"];
const FORWARDING_PREFIXES: [&str; 2] = ["x-forwarded-", "cf-"];

/// Where an operator's monitoring reads, with a token.
pub const METRICS: &str = "/metrics";

/// Routes that answer any `Host`: probes use addresses. Two answer constants, the third nothing
/// without a token that no page has.
const PROBES: [&str; 3] = ["/healthz", "/readyz", METRICS];

const MCP: &str = "/mcp";

/// Browsers forget it after a year without a visit. Without subdomains: they may be another's.
const HSTS: &str = "max-age=31536000";

/// What the guard must know of the settings.
#[derive(Debug, Clone)]
pub struct Guard {
    reach: Reach,
    public_base_url: Url,
}

/// From where requests may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// From this machine, without anything in between.
    Loopback,
    /// From everywhere, under the one public name.
    Public,
}

impl Guard {
    /// A guard for the loopback modes.
    pub fn loopback(public_base_url: Url) -> Self {
        Self { reach: Reach::Loopback, public_base_url }
    }

    /// A guard for `oauth` mode, wherever it is served.
    pub fn public(public_base_url: Url) -> Self {
        Self { reach: Reach::Public, public_base_url }
    }

    fn admit(&self, request: &Request) -> Result<()> {
        let path = request.uri().path();
        if PROBES.contains(&path) {
            return Ok(());
        }
        match self.reach {
            Reach::Loopback => {
                self.admit_loopback_host(request.uri(), request.headers())?;
                admit_direct(request)?;
            }
            Reach::Public => self.admit_public_host(request.uri(), request.headers())?,
        }
        if path == MCP {
            self.admit_origin(request.headers())?;
        }
        Ok(())
    }

    fn admit_loopback_host(&self, uri: &Uri, headers: &HeaderMap) -> Result<()> {
        let host = only_host(headers).unwrap_or_default();
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

    /// The target must be a plain path: a second host in the request line is one that a proxy in
    /// front and this server may weigh differently.
    fn admit_public_host(&self, uri: &Uri, headers: &HeaderMap) -> Result<()> {
        let is_plain = uri.authority().is_none() && uri.scheme().is_none();
        if is_plain && only_host(headers).is_some_and(|host| self.is_public(host)) {
            return Ok(());
        }
        Err(Failure::new(
            FailureCode::Forbidden,
            format!(
                "This server answers only as {}. A proxy in front of it must pass on the Host \
                 header that it received.",
                self.public_base_url.origin().ascii_serialization()
            ),
        ))
    }

    /// The authority of the public origin; the scheme's default port may be written or not.
    fn is_public(&self, authority: &str) -> bool {
        let own = self.public_base_url.host_str().unwrap_or_default();
        let rest = match authority.split_at_checked(own.len()) {
            Some((name, rest)) if name.eq_ignore_ascii_case(own) => rest,
            _ => return false,
        };
        let port = self.public_base_url.port_or_known_default();
        match rest.strip_prefix(':') {
            Some(written) => port.is_some_and(|port| written == port.to_string()),
            // `Url` has no port where it is the scheme's default.
            None => rest.is_empty() && self.public_base_url.port().is_none(),
        }
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
            "A page of another site tried to call this server. No page may, only programs.",
        ))
    }

    fn may_call(&self, origin: &str) -> bool {
        origin == self.public_base_url.origin().ascii_serialization()
    }

    /// Where a page asked for under another loopback name is to be found: `127.0.0.1`'s cookies
    /// are not `localhost`'s, so all pages live under one name. In public there is no other name.
    fn canonical(&self, request: &Request) -> Option<Url> {
        if self.reach == Reach::Public {
            return None;
        }
        let path = request.uri().path();
        if request.method() != Method::GET || path == MCP || PROBES.contains(&path) {
            return None;
        }
        let host = request.headers().get(header::HOST)?.to_str().ok()?;
        let asked = Url::parse(&format!("http://{host}")).ok()?;
        let same = match (asked.host()?, self.public_base_url.host()?) {
            (Host::Domain(a), Host::Domain(b)) => a.eq_ignore_ascii_case(b),
            (a, b) => a == b,
        };
        (!same).then(|| {
            let mut url = self.public_base_url.clone();
            url.set_path(path);
            url.set_query(request.uri().query());
            url
        })
    }

    /// Whether browsers shall insist on https from now on. Not for a loopback name: that would cut
    /// off every other program of the machine that serves plain http under it.
    fn insists_on_tls(&self) -> bool {
        self.public_base_url.scheme() == "https" && !is_this_computer(&self.public_base_url)
    }

    fn protect(&self, headers: &mut HeaderMap) {
        // Once for all of them, and for what the connection adds.
        headers.reserve(SECURITY_HEADERS.len() + 4);
        for (name, value) in SECURITY_HEADERS {
            headers.entry(HeaderName::from_static(name)).or_insert(HeaderValue::from_static(value));
        }
        headers
            .entry(header::CONTENT_SECURITY_POLICY)
            .or_insert_with(|| CONTENT_SECURITY_POLICY.clone());
        if self.insists_on_tls() {
            headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(HSTS));
        }
    }
}

/// The value of `Host`, if it was sent once.
fn only_host(headers: &HeaderMap) -> Option<&str> {
    let mut hosts = headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().ok(),
        _ => None,
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
pub async fn stand(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let mut response = match guard.admit(&request) {
        Err(failure) => failure_response(&failure, request.headers()),
        Ok(()) => match guard.canonical(&request) {
            Some(url) => Redirect::temporary(url.as_str()).into_response(),
            None => next.run(request).await,
        },
    };
    guard.protect(response.headers_mut());
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
mod tests;
