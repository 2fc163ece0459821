//! Serving one agent over standard input and output, with the browser's pages on a port of this
//! machine.

use std::{future::Future, net::SocketAddr, pin::pin, sync::Arc};

use axum::Router;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{CLOSE, HURRY, guarded, listen, rooms::Rooms};
use crate::{
    config::Settings,
    domain::{Clock, Entropy, Failure, FailureCode, failure::Result},
    front::Front,
    http::Readiness,
    identity::Sweeper,
    mcp,
    summarize::Ending,
};

/// A server that holds the port of its pages and has not begun to answer.
#[derive(Debug)]
pub struct StdioApp {
    agent: mcp::Stdio,
    listener: TcpListener,
    address: SocketAddr,
    pages: Router,
    front: Front,
    readiness: Readiness,
    sweeper: Sweeper,
    ending: Ending,
}

impl StdioApp {
    /// Opens the store, takes a port for the pages and puts the rooms together.
    ///
    /// # Errors
    /// `internal`, with a sentence for the operator: state folder, store, port.
    pub async fn bind(
        mut settings: Settings,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self> {
        let listener = listen(settings.listen)?;
        let address = listener.local_addr().map_err(|error| {
            Failure::new(FailureCode::Internal, "The port has no address.").caused_by(error)
        })?;
        // No origin was stated, and which port is free was not known before.
        if settings.public_base_url.port() == Some(0) {
            let _ = settings.public_base_url.set_port(Some(address.port()));
        }
        let rooms = Rooms::open(settings, false, clock, entropy).await?;
        let agent = mcp::Stdio::new(rooms.agents).await?;
        Ok(Self {
            agent,
            listener,
            address,
            pages: guarded(rooms.browsers, rooms.guard, None),
            front: rooms.front,
            readiness: rooms.readiness,
            sweeper: rooms.sweeper,
            ending: rooms.ending,
        })
    }

    /// Where its pages are.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers the agent at the other end of `pipe` until it leaves or `shutdown` is ready. Running
    /// calls then answer with what they have: hosts that end a program kill it after seconds.
    pub async fn serve<R, W>(
        self,
        pipe: (R, W),
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) where
        R: AsyncRead + Send + Unpin + 'static,
        W: AsyncWrite + Send + Unpin + 'static,
    {
        let Self { agent, listener, pages, front, readiness, sweeper, ending, .. } = self;
        let Ending { hurry, stop } = ending;
        let running = agent.running();
        let background = TaskTracker::new();
        background.spawn(sweeper.run(stop.clone()));
        let closing = CancellationToken::new();
        let browsers = closing.clone();
        background.spawn(async move { front.serve(listener, pages, browsers).await });
        let (left, over) = (CancellationToken::new(), CancellationToken::new());
        let mut answered = pin!(agent.serve(pipe, left.clone(), over.clone()));
        let told = async {
            tokio::select! {
                () = shutdown => {}
                () = left.cancelled() => {}
            }
            tracing::info!(running = running.count(), "stopping");
            readiness.drain();
            closing.cancel();
            hurry.cancel();
            if timeout(HURRY, running.idle()).await.is_err() {
                tracing::warn!(running = running.count(), "some calls did not finish in time");
            }
            over.cancel();
        };
        tokio::select! {
            () = &mut answered => {}
            () = told => {
                // Whoever does not read the last answers is not waited for any longer.
                let _ = timeout(CLOSE, answered).await;
            }
        }
        closing.cancel();
        stop.cancel();
        background.close();
        let _ = timeout(CLOSE, background.wait()).await;
    }
}
