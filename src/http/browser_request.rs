//! What a browser tells with its request, and what we make of it.

use axum::http::{HeaderMap, header};
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
        let sent = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
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
    let admitted = match (headers.get("sec-fetch-site"), headers.get(header::ORIGIN)) {
        (Some(site), _) => site == "same-origin",
        (None, Some(origin)) => origin == own.as_str(),
        (None, None) => false,
    };
    if admitted { Ok(()) } else { Err(not_from_our_page()) }
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
    let is = |name: &str, wanted: &str| {
        headers.get(name).is_none_or(|value| value.as_bytes() == wanted.as_bytes())
    };
    let speculative = ["sec-purpose", "purpose", "x-purpose", "x-moz"].iter().any(|name| {
        headers
            .get(*name)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.contains("prefetch") || value.contains("preview"))
    });
    if !speculative && is("sec-fetch-mode", "navigate") && is("sec-fetch-dest", "document") {
        return Ok(());
    }
    Err(Failure::new(
        FailureCode::Forbidden,
        "This address must be opened by a person, in a tab of its own. Nothing was changed.",
    ))
}

/// One parameter of a query or form.
///
/// # Errors
/// `invalid_arguments` when it occurs twice: nobody can tell which one is meant.
pub(super) fn parameter(encoded: &[u8], name: &str) -> Result<Option<String>> {
    let mut values = form_urlencoded::parse(encoded).filter(|(n, _)| n == name).map(|(_, v)| v);
    let (first, second) = (values.next(), values.next());
    if second.is_some() {
        return Err(Failure::new(
            FailureCode::InvalidArguments,
            format!("The parameter {name} was sent twice."),
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
