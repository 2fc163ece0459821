//! The wiring: from settings to a server that listens, and an orderly end.

pub mod doctor;
mod metrics;
mod rooms;
mod stdio;

use std::{future::Future, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::{Router, middleware};
use metrics_exporter_prometheus::PrometheusHandle;
use rmcp::ServerHandler;
use tokio::{
    net::{TcpListener, TcpSocket},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::rooms::Rooms;
pub use self::stdio::StdioApp;
use crate::{
    config::Settings,
    domain::{Clock, Entropy, Failure, FailureCode, failure::Result},
    front::Front,
    http::{self, Guard, Readiness},
    identity::Sweeper,
    mcp::{self, McpServer, RunningCalls},
    oauth,
    summarize::Ending,
};

/// Connections that may wait to be taken: with the usual 128, three hundred busy clients make others
/// wait for seconds.
const BACKLOG: u32 = 1024;

/// How long running calls may take by themselves once the server was told to stop.
const PATIENCE: Duration = Duration::from_secs(18);

/// How long after that, when they were told to answer with what they have.
const HURRY: Duration = Duration::from_secs(2);

/// How long connections may take to close after that, and again after they were told to; how long
/// the work in the background may take to end.
const CLOSE: Duration = Duration::from_secs(3);

/// A server that holds its port and has not begun to answer.
#[derive(Debug)]
pub struct App {
    listener: TcpListener,
    address: SocketAddr,
    router: Router,
    front: Front,
    readiness: Readiness,
    running: RunningCalls,
    sweeper: Sweeper,
    token_sweeper: Option<oauth::Sweeper>,
    ending: Ending,
}

impl App {
    /// Opens the store, takes the port and puts the rooms together.
    ///
    /// # Errors
    /// `internal`, with a sentence for the operator: state folder, store, port.
    pub async fn bind(
        settings: Settings,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self> {
        let listener = listen(settings.listen)?;
        Self::on(listener, settings, clock, entropy).await
    }

    /// The same on a listener that is there already.
    ///
    /// # Errors
    /// As [`App::bind`].
    pub async fn on(
        listener: TcpListener,
        settings: Settings,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self> {
        Self::with(listener, settings, clock, entropy, |server| server).await
    }

    /// The same with what `around` makes of the MCP server: the stack below it stays what it is.
    ///
    /// # Errors
    /// As [`App::bind`].
    pub async fn with<S: ServerHandler + Clone>(
        listener: TcpListener,
        settings: Settings,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        around: impl FnOnce(McpServer) -> S,
    ) -> Result<Self> {
        let address = listener.local_addr().map_err(|error| {
            Failure::new(FailureCode::Internal, "The port has no address.").caused_by(error)
        })?;
        // Before anything is counted.
        let listener_of_metrics =
            settings.metrics_token.as_ref().map(|_| metrics::listener()).transpose()?;
        let metrics_token = settings.metrics_token.clone();
        let rooms = Rooms::open(settings, true, clock, entropy).await?;
        let agents = mcp::router(rooms.agents, around)?;
        let running = rooms.running;
        let looked = metrics_token.map(|token| {
            let (front, running) = (rooms.front.clone(), running.clone());
            metrics::Looked { token, front, running, store: rooms.store }
        });
        let metrics = listener_of_metrics.zip(looked);
        let router = guarded(rooms.browsers.merge(agents), rooms.guard, metrics);
        Ok(Self {
            listener,
            address,
            router,
            front: rooms.front,
            readiness: rooms.readiness,
            running,
            sweeper: rooms.sweeper,
            token_sweeper: rooms.token_sweeper,
            ending: rooms.ending,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `shutdown` is ready, then lets running calls finish within bounds: not ready,
    /// no new connections, the running calls (in the end with what they have), the rest. Takes 30
    /// seconds at most, which is what platforms give before they kill.
    pub async fn serve(self, shutdown: impl Future<Output = ()> + Send + 'static) {
        let Self {
            listener,
            router,
            front,
            readiness,
            running,
            sweeper,
            token_sweeper,
            ending,
            ..
        } = self;
        let Ending { hurry, stop } = ending;
        let background = TaskTracker::new();
        background.spawn(sweeper.run(stop.clone()));
        if let Some(sweeper) = token_sweeper {
            background.spawn(sweeper.run(stop.clone()));
        }
        let closing = CancellationToken::new();
        let mut served = pin!(front.serve(listener, router, closing.clone()));
        let drained = async {
            shutdown.await;
            tracing::info!(running = running.count(), "stopping");
            readiness.drain();
            closing.cancel();
            if timeout(PATIENCE, running.idle()).await.is_ok() {
                return;
            }
            hurry.cancel();
            if timeout(HURRY, running.idle()).await.is_err() {
                tracing::warn!(running = running.count(), "some calls did not finish in time");
                stop.cancel();
            }
        };
        // The last connection may close before the last running call is noticed to have ended.
        let mut is_closed = tokio::select! {
            () = &mut served => true,
            () = drained => false,
        };
        // A call is no longer running when its answer is still on its way: what is cut off is cut
        // off only after the connections had their time to close by themselves.
        if !is_closed {
            is_closed = timeout(CLOSE, &mut served).await.is_ok();
        }
        stop.cancel();
        if !is_closed {
            is_closed = timeout(CLOSE, &mut served).await.is_ok();
        }
        if !is_closed {
            tracing::warn!("some connections did not close in time");
        }
        background.close();
        let _ = timeout(CLOSE, background.wait()).await;
    }
}

fn listen(address: SocketAddr) -> Result<TcpListener> {
    let listening = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // A restart takes the port at once; on Windows that would take it from somebody else.
        #[cfg(not(windows))]
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    listening().map_err(|error| {
        let sentence = format!(
            "The address {address} cannot be listened on. Another program may hold it: end that, or \
             set PORT to another one."
        );
        Failure::new(FailureCode::Internal, sentence).caused_by(error)
    })
}

/// The routes behind the guard. With metrics what it refuses is counted too.
fn guarded(
    routes: Router,
    guard: Guard,
    metrics: Option<(&'static PrometheusHandle, metrics::Looked)>,
) -> Router {
    let guard = middleware::from_fn_with_state(Arc::new(guard), http::guard::stand);
    match metrics {
        Some((handle, looked)) => routes
            .merge(metrics::router(looked, handle))
            .layer(guard)
            .layer(middleware::from_fn(metrics::counted)),
        None => routes.layer(guard),
    }
}
