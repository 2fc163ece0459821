//! One connection from its first byte to its last.

use std::{
    convert::Infallible,
    future::poll_fn,
    net::SocketAddr,
    pin::pin,
    sync::Arc,
    task::{Poll, ready},
};

use axum::{
    Router,
    body::Body,
    extract::ConnectInfo,
    http::{HeaderValue, Request, Response, StatusCode, header},
    response::IntoResponse as _,
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpStream,
    task::yield_now,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;
use tower::Service as _;

use super::{
    FrontSettings,
    body::{Arriving, Bodies, Leaving},
    crowd::Place,
    meter::{Flaw, Meter},
    socket::Socket,
};

/// Bytes of a head, and of what is read ahead. The longest honest head is an address of
/// `/authorize` with a client's state in it.
const LONGEST_HEAD: usize = 16 * 1024;

/// Says that this is the last answer on its connection.
const CLOSE: HeaderValue = HeaderValue::from_static("close");

pub(super) struct Connection {
    pub(super) socket: TcpStream,
    pub(super) peer: SocketAddr,
    pub(super) router: Router,
    pub(super) place: Place,
    pub(super) bodies: Bodies,
    pub(super) settings: Arc<FrontSettings>,
}

impl Connection {
    /// Serves it until it closes, breaks a bound, has to make room, or `closing` is cancelled, the
    /// answer that it is at is given and the farewell is over.
    pub(super) async fn attend(self, closing: CancellationToken) {
        let Self { socket, peer, router, place, bodies, settings } = self;
        let farewell = settings.farewell;
        let meter = Meter::new(settings, place);
        let (of_service, closes) = (meter.clone(), closing.clone());
        let service = service_fn(move |request| {
            let answer = answer(router.clone(), of_service.clone(), bodies.clone(), peer, request);
            let closes = closes.clone();
            async move {
                let mut response = answer.await?;
                if closes.is_cancelled() {
                    response.headers_mut().insert(header::CONNECTION, CLOSE);
                }
                Ok::<_, Infallible>(response)
            }
        });
        let socket = TokioIo::new(Socket::new(socket, meter.clone()));
        let mut http = http1::Builder::new();
        // The meter's limits stand in for hyper's one, which is for heads and idle times alike.
        http.max_buf_size(LONGEST_HEAD).header_read_timeout(None);
        let mut connection = pin!(http.serve_connection(socket, service));
        let mut farewell = pin!(async {
            closing.cancelled().await;
            sleep_until(Instant::now() + farewell).await;
        });
        let mut is_over = false;
        let mut timer = pin!(sleep_until(meter.deadline()));
        poll_fn(|context| {
            meter.turn();
            if meter.is_dismissed(context) {
                return Poll::Ready(());
            }
            if !is_over && farewell.as_mut().poll(context).is_ready() {
                is_over = true;
                connection.as_mut().graceful_shutdown();
            }
            if connection.as_mut().poll(context).is_ready() {
                return Poll::Ready(());
            }
            // Whatever changes the deadline runs inside of the poll above. One that was put off is
            // noticed at the old one: to set a timer anew for every request costs more.
            let deadline = meter.deadline();
            loop {
                if deadline < timer.deadline() || timer.is_elapsed() {
                    timer.as_mut().reset(deadline);
                }
                ready!(timer.as_mut().poll(context));
                if deadline <= timer.deadline() {
                    return Poll::Ready(());
                }
            }
        })
        .await;
    }
}

async fn answer(
    mut router: Router,
    meter: Meter,
    bodies: Bodies,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Result<Response<Leaving>, Infallible> {
    meter.head_ended();
    if !meter.is_in_turn() {
        yield_now().await;
    }
    let (mut parts, body) = request.into_parts();
    let mut response = match Arriving::new(body, &meter, &bodies) {
        Some(body) => {
            parts.extensions.insert(ConnectInfo(peer));
            let request = Request::from_parts(parts, Body::new(body));
            let Ok(response) = router.call(request).await;
            response
        }
        None => refused(StatusCode::SERVICE_UNAVAILABLE, "Too many connections. Try again.\n"),
    };
    // Whoever read the body knows only that it broke off.
    if response.status().is_client_error() && response.status() != StatusCode::REQUEST_TIMEOUT {
        match meter.flaw() {
            Some(Flaw::Late) => {
                response = refused(StatusCode::REQUEST_TIMEOUT, "The body came too slowly.\n");
            }
            Some(Flaw::Crowded) => {
                let text = "Too many large requests at once. Try again.\n";
                response = refused(StatusCode::SERVICE_UNAVAILABLE, text);
            }
            None => {}
        }
    }
    let (parts, body) = response.into_parts();
    Ok(Response::from_parts(parts, Leaving::new(body, meter)))
}

fn refused(status: StatusCode, text: &'static str) -> axum::response::Response {
    let mut response = (status, text).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, CLOSE);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    }
    response
}
