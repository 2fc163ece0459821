//! The operator's lists about OAuth clients: where codes may be sent, and whose documents are read.
//!
//! An entry is accepted only as the URL's reader would write it itself: two readers of an odd
//! address may disagree about where it leads, and the list is compared as text.

use url::{Host, Url, form_urlencoded};

use super::values::{self, Parsed, wrong};
use crate::upstream::transport::is_loopback;

/// The longest redirect URI, in bytes.
const LONGEST_URI: usize = 512;

/// Schemes of known hosts that are not written as a reversed domain name, the way RFC 8252
/// section 7.1 wants them so that no other program takes them by accident.
const KNOWN_SCHEMES: &[&str] = &["cursor", "vscode", "vscode-insiders", "windsurf", "zed"];

/// What the authorization server adds to a redirect URI.
const ANSWER_PARAMETERS: &[&str] =
    &["code", "state", "iss", "error", "error_description", "error_uri"];

/// Redirect URIs, exactly as written; `own` is the origin of this server.
pub(super) fn redirect_uris(text: &str, own: Option<&Url>) -> Parsed<Vec<String>> {
    entries(
        text,
        "Write each redirect URI exactly as its host sends it, such as https://example.com/callback \
         or com.example.app://callback, separated by commas.",
        |uri| match redirect_objection(uri, own) {
            Some(objection) => Err(objection),
            None => Ok(uri.to_owned()),
        },
    )
}

/// Origins, as a browser writes them.
pub(super) fn document_origins(text: &str, own: Option<&Url>) -> Parsed<Vec<String>> {
    entries(
        text,
        "Write each as https://example.com, separated by commas; http is for this machine's own \
         loopback names only.",
        |text| {
            let Ok(url) = values::origin(text) else { return Err("is not an origin") };
            if is_own(&url, own) {
                return Err("is this server");
            }
            let is_fine = match (url.scheme(), url.host()) {
                ("https", Some(Host::Domain(name))) => {
                    name.contains('.') && !name.ends_with('.') && !name.ends_with(".localhost")
                }
                ("http", Some(_)) => is_loopback(&url),
                _ => false,
            };
            if is_fine {
                Ok(url.origin().ascii_serialization())
            } else {
                Err("is not an https origin with a public name")
            }
        },
    )
}

/// Reads all entries before it complains, and counts them instead of quoting them.
fn entries<T>(
    text: &str,
    cure: &str,
    read: impl Fn(&str) -> Result<T, &'static str>,
) -> Parsed<Vec<T>> {
    let (mut good, mut objections) = (Vec::new(), Vec::new());
    let written = text.split(|c: char| c == ',' || c.is_whitespace()).filter(|it| !it.is_empty());
    for (number, entry) in (1..).zip(written) {
        match read(entry) {
            Ok(entry) => good.push(entry),
            Err(objection) => objections.push(format!("entry {number} {objection}")),
        }
    }
    if objections.is_empty() {
        return Ok(good);
    }
    wrong(format!("cannot be used: {}", objections.join("; ")), cure)
}

/// Why a redirect URI must not stand in the list.
fn redirect_objection(uri: &str, own: Option<&Url>) -> Option<&'static str> {
    // RFC 3986 without brackets and the fragment; brackets only hold addresses, and no client that
    // must be listed lives at one.
    let is_allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._~:/?@!$&'()*+;=%".contains(&b);
    if uri.len() > LONGEST_URI {
        return Some("is longer than 512 characters");
    }
    if uri.contains('#') {
        return Some("has a fragment");
    }
    if !uri.bytes().all(is_allowed) || !percent_encoding_is_whole(uri) {
        return Some("holds characters that a URI cannot have");
    }
    let Ok(url) = Url::parse(uri) else { return Some("is not an absolute URI") };
    if values::has_user(&url) || url.authority().contains('@') {
        return Some("names a user");
    }
    match url.scheme() {
        "https" if !has_plain_name(&url) => return Some("names no host by its domain name"),
        "https" => {}
        "http" => {
            return Some("is plain http (loopback addresses are allowed without being listed)");
        }
        scheme if scheme.contains('.') || KNOWN_SCHEMES.contains(&scheme) => {}
        _ => return Some("has a scheme that is no program's own (com.example.app has a dot)"),
    }
    if url.host_str().is_none_or(str::is_empty) || url.port() == Some(0) {
        return Some("names nothing between :// and the path");
    }
    let is_plain = url.as_str() == uri || url.as_str().strip_suffix('/') == Some(uri);
    if !is_plain {
        return Some("is not in plain form (lower case, no default port, no dots to resolve)");
    }
    if is_own(&url, own) {
        return Some("leads back to this server");
    }
    let mut parameters = form_urlencoded::parse(url.query().unwrap_or_default().as_bytes());
    if parameters.any(|(name, _)| ANSWER_PARAMETERS.contains(&name.as_ref())) {
        return Some("brings along a parameter of the answer, such as code or state");
    }
    None
}

fn has_plain_name(url: &Url) -> bool {
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
    matches!(url.host(), Some(Host::Domain(name))
        if name.bytes().all(is_plain) && !name.ends_with('.'))
}

fn is_own(url: &Url, own: Option<&Url>) -> bool {
    own.is_some_and(|own| own.origin() == url.origin())
}

fn percent_encoding_is_whole(uri: &str) -> bool {
    uri.split('%').skip(1).all(|after| {
        after.get(..2).is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))
    })
}
