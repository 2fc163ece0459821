//! `GET /metrics`, for who shows the token: what was counted, in Prometheus's text format.

use std::sync::OnceLock;

use axum::{
    Router,
    extract::{MatchedPath, Request},
    http::{HeaderMap, StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
    routing::get,
};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use secrecy::ExposeSecret as _;
use subtle::ConstantTimeEq as _;
use tokio::time::Instant;

use crate::{
    domain::{Failure, FailureCode, Secret, failure::Result},
    front::Front,
    http::guard::METRICS,
    identity::session::SessionRecord,
    mcp::RunningCalls,
    measure,
    store::Store,
};

/// Prometheus's text format. Source: <https://prometheus.io/docs/instrumenting/exposition_formats/>
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What is looked at when somebody asks.
#[derive(Clone)]
pub(super) struct Looked {
    pub(super) token: Secret,
    pub(super) front: Front,
    pub(super) running: RunningCalls,
    pub(super) store: Store,
}

/// The route.
pub(super) fn router(looked: Looked, handle: &'static PrometheusHandle) -> Router {
    Router::new().route(METRICS, get(move |headers| show(looked, handle, headers)))
}

/// Listens to all counters of this process, from now on.
///
/// # Errors
/// `internal` if something else in this process listens already.
pub(super) fn listener() -> Result<&'static PrometheusHandle> {
    static LISTENER: OnceLock<Option<PrometheusHandle>> = OnceLock::new();
    let begun = LISTENER.get_or_init(|| {
        let builder = PrometheusBuilder::new();
        let seconds = Matcher::Suffix("_seconds".to_owned());
        let handle = builder
            .set_buckets_for_metric(seconds, measure::SECONDS)
            .ok()?
            .install_recorder()
            .ok()?;
        measure::describe();
        Some(handle)
    });
    begun.as_ref().ok_or_else(|| {
        Failure::new(FailureCode::Internal, "The metrics could not be set up in this process.")
    })
}

async fn show(looked: Looked, handle: &PrometheusHandle, headers: HeaderMap) -> Response {
    // Of two none is believed.
    let mut sent = headers.get_all(header::AUTHORIZATION).iter();
    let only = sent.next().filter(|_| sent.next().is_none());
    let shown = only.and_then(|value| value.to_str().ok());
    let shown = shown.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    if !bool::from(shown.as_bytes().ct_eq(looked.token.expose_secret().as_bytes())) {
        let challenge = [(header::WWW_AUTHENTICATE, "Bearer")];
        let text = "Show METRICS_TOKEN as a Bearer token.\n";
        return (StatusCode::UNAUTHORIZED, challenge, text).into_response();
    }
    measure::standing(measure::Standing {
        connections: looked.front.connections(),
        running_calls: looked.running.count(),
        sessions: looked.store.count::<SessionRecord>().await.ok(),
    });
    handle.run_upkeep();
    ([(header::CONTENT_TYPE, TEXT)], handle.render()).into_response()
}

/// Counts a request by the route that answers it: an address that is none of ours has no name here.
pub(super) async fn counted(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let route = route.unwrap_or("other").to_owned();
    let begun = Instant::now();
    let response = next.run(request).await;
    measure::http_request(route, response.status().as_u16(), begun.elapsed());
    response
}
