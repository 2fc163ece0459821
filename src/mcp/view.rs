//! The card inside the host: one HTML document that hosts with MCP Apps show beside an answer.
//!
//! It gets the tool's result from its host, draws it with the same script as the page at `/`, and
//! asks for more through the host: it loads nothing and speaks to nobody else. Hosts without Apps
//! read the text and never ask for it. Source: MCP Apps, extension `io.modelcontextprotocol/ui`
//! (SEP-1865), revision 2026-01-26.

use std::sync::LazyLock;

use rmcp::{
    ErrorData,
    model::{
        CacheScope, ExtensionCapabilities, JsonObject, ListResourcesResult, MetaObject,
        ReadResourceResult, Resource, ResourceContents,
    },
};
use serde_json::{Value, json};

use crate::domain::text;

/// The extension's name.
const EXTENSION: &str = "io.modelcontextprotocol/ui";
/// Where the card is.
const ADDRESS: &str = "ui://pr-summarizer/card";
/// What the extension calls such a document.
const MEDIA_TYPE: &str = "text/html;profile=mcp-app";
/// How much of an address that is none is said back, in characters.
const SHOWN: usize = 200;
/// How long a host may keep it, in milliseconds: it changes with the version only.
const FRESH_FOR: u64 = 60 * 60 * 1_000;

static DOCUMENT: LazyLock<String> = LazyLock::new(|| {
    let style = concat!(include_str!("../cards/cards.css"), include_str!("view/view.css"));
    let script = concat!(include_str!("../cards/cards.js"), include_str!("view/view.js"));
    include_str!("view/view.html")
        .replace("/*STYLE*/", style)
        .replace("/*SCRIPT*/", &script.replace("VERSION", env!("CARGO_PKG_VERSION")))
});

/// What the server says it can do.
pub(super) fn capability() -> ExtensionCapabilities {
    let mut settings = JsonObject::new();
    settings.insert("mimeTypes".to_owned(), json!([MEDIA_TYPE]));
    ExtensionCapabilities::from([(EXTENSION.to_owned(), settings)])
}

/// What a tool says whose answers the card shows.
pub(super) fn of_tool() -> MetaObject {
    meta(json!({ "resourceUri": ADDRESS }))
}

/// The resources there are: the card.
pub(super) fn list() -> ListResourcesResult {
    let card = Resource::new(ADDRESS, "card")
        .with_title("Pull request cards")
        .with_description("Shows what summarize_prs and connect_github answer, inside the host.")
        .with_mime_type(MEDIA_TYPE)
        .with_meta(needs());
    ListResourcesResult::with_all_items(vec![card])
}

/// The card.
///
/// # Errors
/// For any other address.
pub(super) fn read(address: &str) -> Result<ReadResourceResult, ErrorData> {
    if address != ADDRESS {
        let said = "There is no resource of this address. Next: call resources/list.";
        return Err(ErrorData::resource_not_found(
            said,
            Some(json!({ "uri": text::line(address, SHOWN) })),
        ));
    }
    let card = ResourceContents::text(DOCUMENT.as_str(), ADDRESS)
        .with_mime_type(MEDIA_TYPE)
        .with_meta(needs());
    let result = ReadResourceResult::new(vec![card]);
    Ok(result.with_ttl_ms(FRESH_FOR).with_cache_scope(CacheScope::Public))
}

/// What the card needs of its host: no other site, no permission.
fn needs() -> MetaObject {
    meta(json!({
        "csp": { "connectDomains": [], "resourceDomains": [] },
        "prefersBorder": true,
    }))
}

fn meta(ui: Value) -> MetaObject {
    let mut meta = MetaObject::default();
    meta.insert("ui".to_owned(), ui);
    meta
}
