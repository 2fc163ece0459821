//! The frame of every page: one style, nothing loaded from elsewhere. Only the page at `/` has a
//! script, which is our own.

use std::sync::LazyLock;

use axum::{
    http::{HeaderValue, Uri, header},
    response::{IntoResponse as _, Response},
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};

const STYLE: &str = include_str!("page.css");

/// Nothing may load or frame anything; the one style is named by its hash; forms go to this origin.
pub(super) static CONTENT_SECURITY_POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = STANDARD.encode(Sha256::digest(STYLE));
    policy(&format!(
        "default-src 'none'; style-src 'sha256-{hash}'; form-action 'self'; \
         frame-ancestors 'none'; base-uri 'none'"
    ))
});

/// What the page at `/` adds: how it looks with its cards.
static FRONT_STYLE: LazyLock<String> = LazyLock::new(|| {
    [STYLE, include_str!("../cards/cards.css"), include_str!("page/front.css")].concat()
});

/// Its script, in the order in which the parts need each other.
pub(super) static SCRIPT: LazyLock<String> =
    LazyLock::new(|| [include_str!("../cards/cards.js"), include_str!("page/page.js")].concat());

/// Where the script is found: a new one has a new address.
static SCRIPT_ADDRESS: LazyLock<String> = LazyLock::new(|| {
    let hash = URL_SAFE_NO_PAD.encode(Sha256::digest(&*SCRIPT));
    format!("/page.js?{}", hash.get(..16).unwrap_or_default())
});

/// The same, and the one page's script may be loaded from here and may ask here.
static FRONT_POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = STANDARD.encode(Sha256::digest(&*FRONT_STYLE));
    policy(&format!(
        "default-src 'none'; style-src 'sha256-{hash}'; script-src 'self'; connect-src 'self'; \
         form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ))
});

/// A policy that is no header's value would be a mistake of ours: then nothing at all is allowed.
fn policy(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("default-src 'none'"))
}

/// The page at `/`, which alone has a script: it asks and shows cards.
pub(super) fn front(title: &str, body: &Markup) -> Response {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                (head(title))
                style { (PreEscaped(&*FRONT_STYLE)) }
                script src=(*SCRIPT_ADDRESS) defer {}
            }
            body {
                main.front { (body) }
                footer { "pr-summarizer" }
            }
        }
    };
    let mut response = page.into_response();
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, FRONT_POLICY.clone());
    response
}

/// GET of the script. Its address changes with it, so it may be kept; under the address of another one,
/// which an instance of another version has given, it may not.
pub(super) async fn script(uri: Uri) -> Response {
    let is_this = uri.path_and_query().is_some_and(|asked| asked.as_str() == *SCRIPT_ADDRESS);
    let keeping = if is_this { "public, max-age=31536000, immutable" } else { "no-store" };
    let headers = [
        (header::CONTENT_TYPE, "text/javascript; charset=utf-8"),
        (header::CACHE_CONTROL, keeping),
    ];
    (headers, SCRIPT.as_str()).into_response()
}

fn head(title: &str) -> Markup {
    html! {
        meta charset="utf-8";
        meta name="viewport" content="width=device-width, initial-scale=1";
        meta name="color-scheme" content="light dark";
        meta name="robots" content="noindex";
        title { (title) " · pr-summarizer" }
    }
}

/// A page of ours.
pub(super) fn layout(title: &str, body: &Markup) -> Markup {
    layout_with_refresh(title, None, body)
}

/// A page that goes on by itself to `next` after a second, for where a POST must not redirect.
pub(super) fn layout_with_refresh(title: &str, next: Option<&str>, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                (head(title))
                @if let Some(next) = next { meta http-equiv="refresh" content={ "1; url=" (next) }; }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main { (body) }
                footer { "pr-summarizer" }
            }
        }
    }
}
