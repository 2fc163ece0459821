//! THE AGENT'S DOOR. The Model Context Protocol in both of its eras: over streamable HTTP, and over
//! standard input and output for the one program that started this one ([`Stdio`]).
//!
//! * Up to 2025-11-25 a client initializes a session. Sessions are records of ours in the store
//!   ([`legacy`]); nothing live is kept, so any instance serves any session.
//! * Since 2026-07-28 there are no sessions: every request stands alone, and where the server needs
//!   the person it answers with an input request which the client brings back ([`authorization`]).
//!
//! The SDK serves both without sessions of its own; what is ours stands before it as middleware. A
//! call within a session for which nobody awaits progress is answered there, without the SDK's tasks
//! and channels, as it would have answered ([`legacy`]).
//! One file a tool, in [`tools`]; what hosts offer as commands, in [`prompts`]; the card that hosts
//! show beside an answer, in [`view`].

mod answer;
mod arguments;
mod authorization;
mod call;
mod caller;
mod entrance;
mod journal;
mod legacy;
mod progress;
mod prompts;
mod running;
mod server;
mod stdio;
pub mod tools;
mod turnstile;
mod view;

use std::{sync::Arc, time::Duration};

use axum::{Router, middleware, routing::any_service};
use rmcp::{
    ServerHandler,
    transport::streamable_http_server::{
        StreamableHttpServerConfig, StreamableHttpService, session::never::NeverSessionManager,
    },
};
use tokio_util::sync::CancellationToken;

pub use entrance::Entrance;
pub use running::RunningCalls;
pub use server::McpServer;
pub use stdio::Stdio;

use crate::{
    domain::{AuthMode, failure::Result},
    identity::{AccountLinking, Keyring, Sessions, Turnstile},
    summarize::Asking,
};

/// No request is longer, in bytes.
pub const LONGEST_REQUEST: usize = 256 * 1024;

/// What the agent's door must know of the settings.
#[derive(Debug, Clone)]
pub struct McpSettings {
    /// Which principals there are.
    pub mode: AuthMode,
    /// What must be shown to come in.
    pub entrance: Entrance,
    /// How long `summarize_prs` may take in all.
    pub summary_deadline: Duration,
    /// Where pull-request text goes for summaries; `None` when nothing leaves.
    pub llm_host: Option<String>,
    /// Text of private repositories goes there too.
    pub llm_reads_private: bool,
}

/// What the agent's door works with.
#[derive(Debug)]
pub struct McpParts {
    /// The settings.
    pub settings: McpSettings,
    /// Who is connected.
    pub linking: AccountLinking,
    /// From a request to its principal.
    pub sessions: Sessions,
    /// Who is attended to at a time, at whatever door.
    pub turnstile: Turnstile,
    /// What the tools are for.
    pub asking: Asking,
    /// Seals what clients echo.
    pub keyring: Keyring,
    /// The calls that are running.
    pub running: RunningCalls,
    /// Ends calls that are still running when the server stops.
    pub stop: CancellationToken,
}

/// The routes of `/mcp`, served by what `around` makes of the server: the server itself, or one that
/// has more to offer on the same stack. Plain calls of the server's own tools pass by what is around.
///
/// # Errors
/// `internal` when the keyring's keys do not fit the request-state codec.
pub fn router<S: ServerHandler + Clone>(
    parts: McpParts,
    around: impl FnOnce(McpServer) -> S,
) -> Result<Router> {
    let (sessions, running) = (parts.sessions.clone(), parts.running.clone());
    let (entrance, turnstile) = (parts.settings.entrance.clone(), parts.turnstile.clone());
    let stop = parts.stop.clone();
    let server = McpServer::new(parts)?;
    let door = legacy::Door {
        server: server.clone(),
        sessions,
        running,
        entrance,
        turnstile,
        tool_list: legacy::ToolList::default(),
    };
    let outer = around(server);
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .with_max_request_body_bytes(LONGEST_REQUEST)
        .with_cancellation_token(stop)
        // One guard stands before every route of the server; a second, weaker one would only
        // disagree with it.
        .disable_allowed_hosts()
        .disable_allowed_origins();
    let service = StreamableHttpService::new(
        move || Ok(outer.clone()),
        Arc::new(NeverSessionManager::default()),
        config,
    );
    Ok(Router::new()
        .route("/mcp", any_service(service))
        .layer(middleware::from_fn_with_state(Arc::new(door), legacy::admit)))
}
