//! Answers for probes: constants, whatever the `Host`.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use axum::{Router, extract::State, http::StatusCode, routing::get};

use crate::store::Store;

/// Whether this instance should be given requests.
#[derive(Debug, Clone)]
pub struct Readiness {
    store: Store,
    draining: Arc<AtomicBool>,
}

impl Readiness {
    /// Ready as long as the store answers and nobody said otherwise.
    pub fn new(store: Store) -> Self {
        Self { store, draining: Arc::new(AtomicBool::new(false)) }
    }

    /// From now on: not ready, because this instance is about to stop.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }
}

pub(super) fn router(readiness: Readiness) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .with_state(readiness)
}

async fn ready(State(readiness): State<Readiness>) -> (StatusCode, &'static str) {
    if readiness.draining.load(Ordering::Relaxed) {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n");
    }
    match readiness.store.ping().await {
        Ok(()) => (StatusCode::OK, "ready\n"),
        Err(failure) => {
            tracing::error!(?failure, "the store does not answer");
            (StatusCode::SERVICE_UNAVAILABLE, "the store does not answer\n")
        }
    }
}
