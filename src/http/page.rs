//! The frame of every page: one style, no script, nothing loaded from anywhere.

use std::sync::LazyLock;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};

const STYLE: &str = include_str!("page.css");

/// Nothing may load or frame anything; the one style is named by its hash; forms go to this origin.
pub(super) static CONTENT_SECURITY_POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; form-action 'self'; \
         frame-ancestors 'none'; base-uri 'none'"
    )
});

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
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="robots" content="noindex";
                @if let Some(next) = next { meta http-equiv="refresh" content={ "1; url=" (next) }; }
                title { (title) " · pr-summarizer" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main { (body) }
                footer { "pr-summarizer" }
            }
        }
    }
}
