//! The site of an invented host whose client names itself by the address of a document.

use std::{error::Error, io};

use axum::{Json, Router, routing::get};
use serde_json::json;
use tokio::{net::TcpListener, task::JoinHandle};

/// Where its document is, below its origin.
const DOCUMENT: &str = "/client.json";

/// A site that serves one document.
pub(crate) struct HostSite {
    origin: String,
    serving: JoinHandle<io::Result<()>>,
}

impl HostSite {
    pub(crate) async fn open() -> Result<Self, Box<dyn Error>> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let origin = format!("http://{}", listener.local_addr()?);
        let document = json!({
            "client_id": format!("{origin}{DOCUMENT}"),
            "client_name": "Client by its document",
            "redirect_uris": ["http://127.0.0.1/callback"],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
        });
        let router = Router::new().route(DOCUMENT, get(|| async { Json(document) }));
        let serving = tokio::spawn(async { axum::serve(listener, router).await });
        Ok(Self { origin, serving })
    }

    /// What the operator allows.
    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    /// What the client sends as `client_id`.
    pub(crate) fn document(&self) -> String {
        format!("{}{DOCUMENT}", self.origin)
    }
}

impl Drop for HostSite {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
