//! `/`: what this server is and how a host finds it.

use axum::extract::State;
use maud::{Markup, html};
use url::Url;

use super::{Pages, page};
use crate::domain::AuthMode;

/// GET `/` in the loopback modes.
pub(super) async fn show(State(pages): State<Pages>) -> Markup {
    let behind_key = pages.settings.mode == AuthMode::SingleUser;
    page::layout(
        "Pull requests worth reading",
        &html! {
            @if pages.settings.serves_mcp {
                (about(&pages.settings.public_base_url, behind_key))
            } @else {
                (beside_a_pipe())
            }
            p.small { "Who is asking: " code { (pages.settings.mode.slug()) } " (AUTH_MODE)" }
        },
    )
}

/// Beside an agent that is served over standard input and output.
fn beside_a_pipe() -> Markup {
    html! {
        (purpose())
        p {
            "It was started by the program that your assistant runs in, and serves that program \
             alone. These pages link your GitHub account; a link to them works as long as that \
             program runs."
        }
    }
}

fn purpose() -> Markup {
    html! {
        h1 { "pr-summarizer" }
        p {
            "Ask your assistant about a GitHub repository: this MCP server reads its \
             most-discussed open pull requests with your own GitHub account."
        }
    }
}

/// What this server is and how a host finds it; `behind_key`: with the key of `single-user` mode.
pub(super) fn about(public_base_url: &Url, behind_key: bool) -> Markup {
    let mut mcp = public_base_url.clone();
    mcp.set_path("/mcp");
    let mcp = mcp.as_str();
    html! {
        (purpose())
        h2 { "Its address" }
        pre { code { (mcp) } }
        @if behind_key {
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
    }
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
