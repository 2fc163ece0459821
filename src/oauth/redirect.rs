//! Where a browser may be sent with a code: the one thing that protects a person from a client.
//!
//! Exact URIs from the operator's list, and one pattern: plain http to this very computer
//! (RFC 8252 section 7.3: any port, for the program takes whichever is free). Addresses are compared
//! as text, because two readers of an odd address may disagree about where it leads; what is
//! compared by its parts must first be written in the only way that leaves no doubt.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};
use url::{Host, Url, form_urlencoded};

/// The redirect URIs of hosts that send their users through a fixed address.
pub const KNOWN_HOSTS: &[&str] = &[
    "https://claude.ai/api/mcp/auth_callback",
    "https://claude.com/api/mcp/auth_callback",
    "https://vscode.dev/redirect",
    "https://insiders.vscode.dev/redirect",
    "https://chatgpt.com/connector_platform_oauth_redirect",
    "https://www.cursor.com/agents/mcp/oauth/callback",
    "cursor://anysphere.cursor-mcp/oauth/callback",
];

/// The longest redirect URI, in bytes.
pub const MAX_URI_BYTES: usize = 512;

/// What we add to a redirect URI; a URI that brings it along could make the client believe another
/// answer than ours.
const RESPONSE_PARAMETERS: &[&str] =
    &["code", "state", "iss", "error", "error_description", "error_uri"];

/// A redirect URI as the client wrote it, after it was found allowed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RedirectUri(String);

/// Who receives what is sent to a redirect URI.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Receiver {
    /// Whichever program listens on this computer.
    Program,
    /// Whichever program took this private scheme on this computer.
    Scheme(String),
    /// The https host of this name; TLS proves it.
    Host(String),
}

impl RedirectUri {
    /// As the client wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Who receives what is sent there.
    pub fn receiver(&self) -> Receiver {
        if Loopback::parse(&self.0).is_some() {
            return Receiver::Program;
        }
        match Url::parse(&self.0) {
            Ok(url) if url.scheme() == "https" => {
                Receiver::Host(url.host_str().unwrap_or_default().to_owned())
            }
            Ok(url) => Receiver::Scheme(url.scheme().to_owned()),
            Err(_) => Receiver::Program,
        }
    }

    /// The address with an answer in its query (RFC 6749 section 4.1.2). What the client wrote is
    /// kept as it is.
    pub fn answer(&self, parameters: &[(&str, &str)]) -> Location {
        let answer = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(parameters.iter().filter(|(_, value)| !value.is_empty()))
            .finish();
        let separator = if self.0.contains('?') { '&' } else { '?' };
        Location(format!("{}{separator}{answer}", self.0))
    }

    /// Whether a request for `requested` is one for this registered URI: the same text, or on this
    /// computer the same but for the port.
    fn covers(&self, requested: &str) -> bool {
        if self.0 == requested {
            return true;
        }
        match (Loopback::parse(&self.0), Loopback::parse(requested)) {
            (Some(own), Some(other)) => own.host == other.host && own.same_rest(&other),
            _ => false,
        }
    }
}

/// A finished address for a `Location` header. Carries a code or a state: not for logs.
#[derive(Clone, PartialEq, Eq)]
pub struct Location(String);

impl Location {
    /// The header's value: printable ASCII.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Location(…)")
    }
}

/// Which redirect URIs are allowed.
#[derive(Debug, Clone)]
pub struct RedirectPolicy {
    exact: Arc<[String]>,
    own: Url,
}

impl RedirectPolicy {
    /// Allows these URIs, each of which whoever reads the settings has found fit to stand in such a
    /// list, and programs on the person's own computer, but not those at `own`, the public origin of
    /// this server.
    pub fn new(exact: &[String], own: Url) -> Self {
        Self { exact: exact.into(), own }
    }

    /// The URI, if it is allowed.
    pub fn admit(&self, uri: &str) -> Option<RedirectUri> {
        let allowed = self.exact.iter().any(|exact| exact == uri) || self.admits_loopback(uri);
        allowed.then(|| RedirectUri(uri.to_owned()))
    }

    /// Where a request goes: to `requested`, which must be allowed and registered; without it to
    /// the only registered URI (RFC 6749 section 3.1.2.3).
    pub fn choose(
        &self,
        registered: &[RedirectUri],
        requested: Option<&str>,
    ) -> Option<RedirectUri> {
        match (requested, registered) {
            (Some(requested), _) => registered
                .iter()
                .any(|uri| uri.covers(requested))
                .then(|| self.admit(requested))
                .flatten(),
            // The list may have changed since the client registered.
            (None, [only]) => self.admit(&only.0),
            (None, _) => None,
        }
    }

    fn admits_loopback(&self, uri: &str) -> bool {
        Loopback::parse(uri).is_some_and(|loopback| !self.is_own_port(loopback.port))
    }

    /// All names of this computer lead to the same listener.
    fn is_own_port(&self, port: u16) -> bool {
        is_this_computer(&self.own) && self.own.port_or_known_default() == Some(port)
    }
}

/// Whether a browser looks for this address on its own computer. More names than the server itself
/// would take for this machine.
pub fn is_this_computer(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback() || address.is_unspecified(),
        Some(Host::Ipv6(address)) => address.is_loopback() || address.is_unspecified(),
        None => false,
    }
}

/// An http address on this computer, in the only form that is accepted.
struct Loopback<'a> {
    host: &'a str,
    port: u16,
    /// Path and query.
    rest: &'a str,
}

impl<'a> Loopback<'a> {
    fn parse(uri: &'a str) -> Option<Self> {
        let after_scheme = uri.strip_prefix("http://")?;
        let end = after_scheme.find(['/', '?']).unwrap_or(after_scheme.len());
        let (authority, rest) = after_scheme.split_at_checked(end)?;
        let host = ["127.0.0.1", "[::1]", "localhost"].into_iter().find(|name| {
            authority.strip_prefix(name).is_some_and(|p| p.is_empty() || p.starts_with(':'))
        })?;
        let port = match authority.strip_prefix(host)? {
            "" => 80,
            written => plain_port(written.strip_prefix(':')?)?,
        };
        // The URL's own reader must come to the same result.
        let url = well_formed(uri)?;
        let agrees = url.scheme() == "http"
            && url.host_str() == Some(host)
            && url.port_or_known_default() == Some(port);
        agrees.then_some(Self { host, port, rest })
    }

    fn same_rest(&self, other: &Self) -> bool {
        // Without a path the path is `/` (RFC 3986 section 6.2.3).
        let rooted = |rest: &'a str| rest.strip_prefix('/').unwrap_or(rest);
        rooted(self.rest) == other.rest.strip_prefix('/').unwrap_or(other.rest)
    }
}

fn plain_port(text: &str) -> Option<u16> {
    let port: u16 = text.parse().ok()?;
    // Excludes zero, signs and leading zeroes.
    (port != 0 && port.to_string() == text).then_some(port)
}

/// An absolute URI that reads the same to everybody: RFC 3986 characters only, nothing that a
/// reader would resolve, lower or leave out.
fn well_formed(uri: &str) -> Option<Url> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~:/?[]@!$&'()*+,;=%".contains(&b);
    if uri.len() > MAX_URI_BYTES || !uri.bytes().all(plain) || !percent_encoding_is_whole(uri) {
        return None;
    }
    let url = Url::parse(uri).ok()?;
    let (before_query, query) = match uri.split_once('?') {
        Some((before, query)) => (before, Some(query)),
        None => (uri, None),
    };
    let (scheme, after_scheme) = before_query.split_once("://")?;
    let authority_end = after_scheme.find('/').unwrap_or(after_scheme.len());
    let (authority, path) = after_scheme.split_at_checked(authority_end)?;
    let same_path = url.path() == path || (path.is_empty() && url.path() == "/");
    let host = authority.rsplit_once(':').filter(|(_, port)| plain_port(port).is_some());
    let host = host.map_or(authority, |(host, _)| host);
    let response = query.is_some_and(|query| {
        form_urlencoded::parse(query.as_bytes())
            .any(|(name, _)| RESPONSE_PARAMETERS.contains(&name.as_ref()))
    });
    let sound = url.scheme() == scheme
        && !host.is_empty()
        // Also excludes a user, whose `@` no host contains.
        && url.host_str() == Some(host)
        && same_path
        && !path.contains(['[', ']'])
        && url.query() == query
        && !response;
    sound.then_some(url)
}

fn percent_encoding_is_whole(uri: &str) -> bool {
    uri.split('%').skip(1).all(|after| {
        after.get(..2).is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))
    })
}

#[cfg(test)]
mod tests;
