//! `/`: what this server is and how a host finds it.

use axum::extract::State;
use maud::{Markup, html};

use super::{Pages, page};
use crate::domain::AuthMode;

/// GET `/`.
pub(super) async fn show(State(pages): State<Pages>) -> Markup {
    let mut mcp = pages.settings.public_base_url.clone();
    mcp.set_path("/mcp");
    let mcp = mcp.as_str();
    page::layout(
        "Pull requests worth reading",
        &html! {
            h1 { "pr-summarizer" }
            p {
                "Ask your assistant about a GitHub repository: this MCP server reads its \
                 most-discussed open pull requests with your own GitHub account."
            }
            h2 { "Its address" }
            pre { code { (mcp) } }
            @if pages.settings.mode == AuthMode::SingleUser {
                p {
                    "Hosts must send the header " code { "Authorization: Bearer KEY" } ", unless \
                     the local key is off. The server shows the key at its start and keeps it in \
                     its state folder."
                }
            }
            h2 { "In your host" }
            @for (host, snippet) in snippets(mcp) {
                p { (host) }
                pre { code { (snippet) } }
            }
            p.small { "Who is asking: " code { (pages.settings.mode.slug()) } " (AUTH_MODE)" }
        },
    )
}

/// What to write where.
fn snippets(mcp: &str) -> [(&'static str, String); 4] {
    [
        ("Claude Code", format!("claude mcp add --transport http prs {mcp}")),
        ("Codex", format!("codex mcp add prs --url {mcp}")),
        (
            "VS Code, in .vscode/mcp.json",
            format!(r#"{{"servers":{{"prs":{{"type":"http","url":"{mcp}"}}}}}}"#),
        ),
        (
            "Cursor, in ~/.cursor/mcp.json",
            format!(r#"{{"mcpServers":{{"prs":{{"url":"{mcp}"}}}}}}"#),
        ),
    ]
}
