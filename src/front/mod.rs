//! THE FRONT. Connections: who gets one, how long each step on it may take, and their orderly end.
//!
//! One task a connection, over hyper's HTTP/1. A head must end within seconds of its first byte, a
//! body within half a minute, an idle connection goes after a while, and a client that does not
//! read its answer loses it. When all places are taken, the connection that has waited longest
//! without a request makes room; one whose request is being answered never has to.

mod body;
mod connection;
mod crowd;
mod meter;
mod socket;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use tokio::{
    net::{TcpListener, TcpStream},
    time::{Instant, sleep_until, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{body::Bodies, connection::Connection, crowd::Crowd};

/// When the system has no descriptors left, asking again at once only burns the processor.
const BREATHER: Duration = Duration::from_millis(100);

/// How long connections are still accepted when no more are wanted: a balancer that has just connected
/// does not know yet.
const LAST_LOOK: Duration = Duration::from_millis(50);

/// The whole answer for whom there is no place. Not more than a small kernel buffer takes.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 5\r\nconnection: close\r\n\
    content-type: text/plain\r\ncontent-length: 39\r\n\r\nAll connections are in use. Try again.\n";

/// Bounds of connections.
#[derive(Debug, Clone)]
pub struct FrontSettings {
    /// From the first byte of a head to its end.
    pub head: Duration,
    /// From the end of a head to the end of its body.
    pub body: Duration,
    /// Without a request, new connections included.
    pub idle: Duration,
    /// Without the client taking a byte of its answer.
    pub unread: Duration,
    /// Idle connections stay so long after the server was told to stop, for requests that are on
    /// their way already: each is answered, and told that it was the last.
    pub farewell: Duration,
    /// Connections at the same time.
    pub connections: usize,
    /// Bytes of one body.
    pub longest_body: usize,
    /// Bytes of all bodies that are still arriving, beyond the first 8 KiB of each: ordinary
    /// requests fit into those, so that large ones of some leave room for the small ones of others.
    pub arriving_bodies: usize,
}

impl Default for FrontSettings {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(10),
            body: Duration::from_secs(30),
            idle: Duration::from_secs(75),
            unread: Duration::from_secs(30),
            farewell: Duration::from_secs(1),
            connections: 4_096,
            longest_body: 256 * 1024,
            arriving_bodies: 32 * 1024 * 1024,
        }
    }
}

/// Accepts connections; clones share the places.
#[derive(Debug, Clone)]
pub struct Front {
    settings: Arc<FrontSettings>,
    crowd: Crowd,
    bodies: Bodies,
}

impl Front {
    /// Nobody is connected yet.
    pub fn new(settings: FrontSettings) -> Self {
        let crowd = Crowd::new(settings.connections);
        let bodies = Bodies::new(settings.arriving_bodies);
        Self { settings: Arc::new(settings), crowd, bodies }
    }

    /// How many connections there are.
    pub fn connections(&self) -> usize {
        self.crowd.len()
    }

    /// Accepts until `closing` is cancelled (and who has connected by then), and returns when the last connection has closed: idle
    /// ones after the farewell, others after the answer they are at.
    pub async fn serve(&self, listener: TcpListener, router: Router, closing: CancellationToken) {
        let connections = TaskTracker::new();
        loop {
            let accepted = tokio::select! {
                biased;
                () = closing.cancelled() => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok(accepted) => self.attend(accepted, &router, &connections, &closing),
                Err(error) if is_about_one_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "no connection can be accepted");
                    self.crowd.make_room();
                    sleep_until(Instant::now() + BREATHER).await;
                }
            }
        }
        // Who was taken by the system and not yet by us would be reset, whatever they have sent.
        let end = Instant::now() + LAST_LOOK;
        while let Ok(Ok(accepted)) = timeout_at(end, listener.accept()).await {
            self.attend(accepted, &router, &connections, &closing);
        }
        drop(listener);
        connections.close();
        connections.wait().await;
    }

    fn attend(
        &self,
        (socket, peer): (TcpStream, SocketAddr),
        router: &Router,
        connections: &TaskTracker,
        closing: &CancellationToken,
    ) {
        if let Some(connection) = self.connection(socket, peer, router) {
            connections.spawn(connection.attend(closing.clone()));
        }
    }

    fn connection(
        &self,
        socket: TcpStream,
        peer: SocketAddr,
        router: &Router,
    ) -> Option<Connection> {
        let Some(place) = self.crowd.enter() else {
            // Said if the socket takes it at once, and not waited for.
            let _ = socket.try_write(FULL);
            tracing::debug!("a connection was turned away: all are in use");
            return None;
        };
        // Without it every streamed answer waits 40 ms for the client's acknowledgement.
        if let Err(error) = socket.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY was refused");
        }
        Some(Connection {
            socket,
            peer,
            router: router.clone(),
            place,
            bodies: self.bodies.clone(),
            settings: Arc::clone(&self.settings),
        })
    }
}

/// Whether the client went before it was let in, which says nothing of the next one.
fn is_about_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests;
