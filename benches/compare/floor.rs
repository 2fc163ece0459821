//! The floor: the least that a server with the official SDK does. No accounts, no store, no guard,
//! no log; the same tools by name and schema, so that lists are of one length.

use std::{env, sync::Arc};

use axum::Router;
use pr_summarizer::mcp::tools;
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ListToolsResult,
        PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool,
    },
    service::RequestContext,
    transport::streamable_http_server::{
        SessionManager, StreamableHttpServerConfig, StreamableHttpService,
        session::{local::LocalSessionManager, never::NeverSessionManager},
    },
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// Which of the SDK's own ways to serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Its defaults: a live session for each client, answers as event streams.
    Sessions,
    /// The least: no sessions, answers as JSON. What our server asks of the SDK.
    Stateless,
}

impl Manner {
    pub fn name(self) -> &'static str {
        match self {
            Self::Sessions => "sessions",
            Self::Stateless => "stateless",
        }
    }

    pub fn named(name: &str) -> Self {
        [Self::Sessions, Self::Stateless].into_iter().find(|manner| manner.name() == name).unwrap()
    }
}

#[derive(Clone)]
struct Floor {
    tools: Vec<Tool>,
    http: reqwest::Client,
    upstream: Option<String>,
}

/// Serves on `PORT`, until it is ended.
pub async fn serve(manner: Manner) {
    let port: u16 = env::var("PORT").unwrap().parse().unwrap();
    let (http, upstream) = (reqwest::Client::new(), env::var("UPSTREAM").ok());
    let floor = Floor { tools: tools::all(), http, upstream };
    let defaults = StreamableHttpServerConfig::default();
    let router = match manner {
        Manner::Sessions => routed(floor, LocalSessionManager::default(), defaults),
        Manner::Stateless => {
            let config = defaults.with_legacy_session_mode(false).with_json_response(true);
            routed(floor, NeverSessionManager::default(), config)
        }
    };
    let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    let listener = axum::serve::ListenerExt::tap_io(listener, |stream| {
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, router).await.unwrap();
}

fn routed(
    floor: Floor,
    sessions: impl SessionManager,
    config: StreamableHttpServerConfig,
) -> Router {
    let make = move || Ok(floor.clone());
    Router::new()
        .route_service("/mcp", StreamableHttpService::new(make, Arc::new(sessions), config))
}

impl ServerHandler for Floor {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }

    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(self.tools.clone()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let (text, answer) = if request.name == "auth_status" {
            ("GitHub is connected as @octocat.\nNext: Call summarize_prs.", status())
        } else {
            let upstream = self.upstream.as_ref().expect("an upstream");
            let body = self.http.get(upstream).send().await.unwrap().bytes().await.unwrap();
            ("Read.", json!({ "bytes": body.len() }))
        };
        let mut result = CallToolResult::structured(answer);
        result.content = vec![ContentBlock::text(text)];
        Ok(result.into())
    }
}

fn status() -> Value {
    json!({
        "status": "connected",
        "github_login": "octocat",
        "connected_at": "2026-01-02T03:04:05Z",
        "auth_mode": "session",
        "github_access": "scalekit_proxy",
        "verified": true,
        "next_step": "Call summarize_prs.",
    })
}
