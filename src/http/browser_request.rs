//! What a browser tells with its request, and what we make of it.

use axum::{
    body::Bytes,
    extract::rejection::BytesRejection,
    http::{HeaderMap, StatusCode, header},
};
use url::{Url, form_urlencoded};

use super::Pages;
use crate::{
    domain::{Failure, FailureCode, failure::Result},
    identity::{BrowserCookie, browser::CookieName},
};

/// The browser behind a request.
pub(super) struct Browser {
    pub(super) cookie_name: CookieName,
    pub(super) cookie: Option<BrowserCookie>,
}

impl Browser {
    pub(super) fn of(headers: &HeaderMap, pages: &Pages) -> Result<Self> {
        let agent =
            headers.get(header::USER_AGENT).and_then(|a| a.to_str().ok()).unwrap_or_default();
        let cookie_name = CookieName::choose(&pages.settings.public_base_url, agent);
        // Other programs' cookies of the same host may hold any bytes, and must not hide ours.
        let sent: Vec<_> = headers
            .get_all(header::COOKIE)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()))
            .collect();
        let sent = sent.iter().map(std::convert::AsRef::as_ref);
        let cookie = BrowserCookie::from_headers(sent, &cookie_name)?;
        Ok(Self { cookie_name, cookie })
    }
}

/// Refuses a POST that did not come from a page of ours.
///
/// # Errors
/// `forbidden`.
pub(super) fn admit_form(headers: &HeaderMap, public_base_url: &Url) -> Result<()> {
    let own = public_base_url.origin().ascii_serialization();
    let by_site = all_say(headers, "sec-fetch-site", "same-origin");
    let by_origin = all_say(headers, "origin", &own);
    // Our pages send no referrer, so browsers may name no origin either.
    let is_unnamed = all_say(headers, "origin", "null") == Some(true);
    let admitted = match (by_site, by_origin) {
        (Some(true), named) => named.unwrap_or(true) || is_unnamed,
        (None, Some(true)) => true,
        _ => false,
    };
    if admitted { Ok(()) } else { Err(not_from_our_page()) }
}

/// Whether every header of this name says `wanted`; `None`: there is none.
fn all_say(headers: &HeaderMap, name: &str, wanted: &str) -> Option<bool> {
    let mut sent = headers.get_all(name).iter().peekable();
    sent.peek()?;
    Some(sent.all(|value| value.as_bytes() == wanted.as_bytes()))
}

pub(super) fn not_from_our_page() -> Box<Failure> {
    Failure::new(
        FailureCode::Forbidden,
        "This form was not sent from the page that this server showed to this browser.",
    )
}

/// Refuses a GET that no person made: a prefetch, a prerender, a picture, a frame.
///
/// # Errors
/// `forbidden`.
pub(super) fn admit_navigation(headers: &HeaderMap) -> Result<()> {
    let is = |name: &str, wanted: &str| all_say(headers, name, wanted).unwrap_or(true);
    let speculative = ["sec-purpose", "purpose", "x-purpose", "x-moz"].iter().any(|name| {
        let mut sent = headers.get_all(*name).iter().filter_map(|value| value.to_str().ok());
        sent.any(|value| value.contains("prefetch") || value.contains("preview"))
    });
    if !speculative && is("sec-fetch-mode", "navigate") && is("sec-fetch-dest", "document") {
        return Ok(());
    }
    Err(Failure::new(
        FailureCode::Forbidden,
        "This address must be opened by a person, in a tab of its own. Nothing was changed.",
    ))
}

/// The body of a form.
///
/// # Errors
/// `request_too_large`; `invalid_arguments` for a body that broke off.
pub(super) fn form_body(read: Result<Bytes, BytesRejection>) -> Result<Bytes> {
    read.map_err(|rejection| {
        let failure = if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            Failure::new(FailureCode::RequestTooLarge, "No form of this server is that long.")
        } else {
            Failure::new(FailureCode::InvalidArguments, "The form did not arrive whole.")
        };
        failure.caused_by(rejection)
    })
}

/// One parameter of a query or form.
///
/// # Errors
/// `invalid_arguments` when it occurs twice, for nobody can tell which one is meant, and when it is
/// not UTF-8 or holds control characters, which none of ours does.
pub(super) fn parameter(encoded: &[u8], name: &str) -> Result<Option<String>> {
    let mut values = form_urlencoded::parse(encoded).filter(|(n, _)| n == name).map(|(_, v)| v);
    let (first, second) = (values.next(), values.next());
    if second.is_some() {
        return Err(Failure::new(
            FailureCode::InvalidArguments,
            format!("The parameter {name} was sent twice."),
        ));
    }
    // The decoder puts U+FFFD in the place of bytes that are not UTF-8.
    let unreadable = |c: char| c.is_control() || c == char::REPLACEMENT_CHARACTER;
    if first.as_ref().is_some_and(|value| value.contains(unreadable)) {
        return Err(Failure::new(
            FailureCode::InvalidArguments,
            format!("The parameter {name} holds control characters or is not UTF-8."),
        ));
    }
    Ok(first.map(std::borrow::Cow::into_owned))
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(sent: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair =
            |&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value));
        sent.iter().map(pair).collect()
    }

    type Row = (&'static [(&'static str, &'static str)], bool);

    #[test]
    fn a_form_comes_from_a_page_of_ours() {
        let rows: [Row; 12] = [
            (&[("sec-fetch-site", "same-origin")], true),
            (&[("sec-fetch-site", "same-origin"), ("origin", "null")], true),
            (&[("origin", "https://prs.example")], true),
            (&[("sec-fetch-site", "cross-site")], false),
            (&[("sec-fetch-site", "same-site")], false),
            (&[("sec-fetch-site", "none")], false),
            (&[("sec-fetch-site", "cross-site"), ("origin", "https://prs.example")], false),
            (&[("origin", "https://evil.example")], false),
            (&[("origin", "http://prs.example")], false),
            (&[("origin", "https://prs.example:8443")], false),
            (&[("origin", "null")], false),
            (&[], false),
        ];
        let own = Url::parse("https://prs.example").unwrap();
        for (sent, admitted) in rows {
            let verdict = admit_form(&headers(sent), &own);
            assert_eq!(verdict.is_ok(), admitted, "{sent:?}");
            assert!(verdict.err().is_none_or(|failure| failure.code == FailureCode::Forbidden));
        }
    }

    #[test]
    fn a_person_opens_a_page_in_a_tab_of_its_own() {
        let rows: [Row; 13] = [
            (&[], true),
            (&[("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")], true),
            (&[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")], true),
            (&[("sec-purpose", "other"), ("purpose", "")], true),
            (&[("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")], false),
            (&[("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "document")], false),
            (&[("sec-fetch-mode", "cors")], false),
            (&[("sec-fetch-dest", "image")], false),
            (&[("sec-purpose", "prefetch")], false),
            (&[("sec-purpose", "prefetch;prerender")], false),
            (&[("purpose", "prefetch")], false),
            (&[("x-purpose", "preview")], false),
            (&[("x-moz", "prefetch"), ("sec-fetch-mode", "navigate")], false),
        ];
        for (sent, admitted) in rows {
            assert_eq!(admit_navigation(&headers(sent)).is_ok(), admitted, "{sent:?}");
        }
    }

    #[test]
    fn a_parameter_is_sent_once() {
        let read = |encoded: &str, name| parameter(encoded.as_bytes(), name).map_err(|f| f.code);
        assert_eq!(read("a=1&state=x%20y&b=2", "state"), Ok(Some("x y".to_owned())));
        assert_eq!(read("state=", "state"), Ok(Some(String::new())));
        assert_eq!(read("states=x&State=y", "state"), Ok(None));
        assert_eq!(read("state=x&state=x", "state"), Err(FailureCode::InvalidArguments));
        assert_eq!(read("state=x&st%61te=y", "state"), Err(FailureCode::InvalidArguments));
    }
}
