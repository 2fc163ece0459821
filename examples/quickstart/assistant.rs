//! A real MCP client, as a host has one inside.

use std::{error::Error, io};

use rmcp::{
    ClientHandler, RoleClient, ServiceExt as _,
    model::{
        CallToolRequestParams, CallToolResult, ClientCapabilities, ClientConfig, Implementation,
        JsonObject, ProgressNotificationParam,
    },
    service::{NotificationContext, RunningService},
    transport::{
        StreamableHttpClientTransport, streamable_http_client::StreamableHttpClientTransportConfig,
    },
};
use tokio::sync::mpsc;

/// A connected client.
pub(crate) struct Assistant {
    client: RunningService<RoleClient, Listener>,
    progress: mpsc::UnboundedReceiver<ProgressNotificationParam>,
}

/// What hears the server's notifications.
struct Listener(mpsc::UnboundedSender<ProgressNotificationParam>);

impl ClientHandler for Listener {
    fn get_info(&self) -> ClientConfig {
        let name = Implementation::new("Quickstart", env!("CARGO_PKG_VERSION"));
        ClientConfig::new(ClientCapabilities::default(), name)
    }

    async fn on_progress(
        &self,
        progress: ProgressNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        let _ = self.0.send(progress);
    }
}

impl Assistant {
    /// Opens a session.
    pub(crate) async fn connect(url: &str) -> Result<Self, Box<dyn Error>> {
        // Loopback is never behind a proxy, whatever the environment says.
        let http = reqwest::Client::builder().no_proxy().build()?;
        let config = StreamableHttpClientTransportConfig::with_uri(url);
        let (heard, progress) = mpsc::unbounded_channel();
        let transport = StreamableHttpClientTransport::with_client(http, config);
        Ok(Self { client: Listener(heard).serve(transport).await?, progress })
    }

    /// Calls `summarize_prs`, and shows each step when it comes.
    pub(crate) async fn summarize(
        &mut self,
        repository: &str,
        mut show: impl FnMut(String) -> io::Result<()>,
    ) -> Result<CallToolResult, Box<dyn Error>> {
        let arguments = JsonObject::from_iter([("repository".to_owned(), repository.into())]);
        let request = CallToolRequestParams::new("summarize_prs").with_arguments(arguments);
        // What an earlier call said too late.
        while self.progress.try_recv().is_ok() {}
        let mut call = std::pin::pin!(self.client.call_tool(request));
        loop {
            tokio::select! {
                biased;
                Some(step) = self.progress.recv() => show(in_words(&step))?,
                result = &mut call => {
                    while let Ok(step) = self.progress.try_recv() {
                        show(in_words(&step))?;
                    }
                    return Ok(result?);
                }
            }
        }
    }

    /// Ends the session.
    pub(crate) async fn leave(self) -> Result<(), Box<dyn Error>> {
        self.client.cancel().await?;
        Ok(())
    }
}

/// What a model would read of an answer.
pub(crate) fn text(answer: &CallToolResult) -> String {
    let texts = answer.content.iter().filter_map(|block| block.as_text());
    texts.map(|block| block.text.as_str()).collect::<Vec<_>>().join("\n")
}

fn in_words(step: &ProgressNotificationParam) -> String {
    let message = step.message.as_deref().unwrap_or("…");
    match step.total {
        Some(total) => format!("{}/{total} {message}", step.progress),
        None => message.to_owned(),
    }
}
