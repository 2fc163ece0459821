//! Calls that are running, so that a legacy client can cancel one and a stop can wait for all.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use rmcp::model::RequestId;
use tokio_util::{
    sync::CancellationToken,
    task::{TaskTracker, task_tracker::TaskTrackerToken},
};

/// Which call: the digest of its session and the id its client gave it.
type CallKey = (String, RequestId);

/// The running calls of this process. A cheap handle.
#[derive(Debug, Clone, Default)]
pub struct RunningCalls {
    // A std mutex: it is never held across an await, and only for a map operation.
    calls: Arc<Mutex<HashMap<CallKey, Vec<Arc<CancellationToken>>>>>,
    tracker: TaskTracker,
}

impl RunningCalls {
    /// Notes a call as running until the guard is dropped.
    pub(super) fn start(&self, session: Option<&str>, id: &RequestId) -> RunningCall {
        let token = Arc::new(CancellationToken::new());
        let key = session.map(|session| (session.to_owned(), id.clone()));
        if let Some(key) = &key {
            // A client that uses an id twice at a time must still be able to cancel both.
            self.lock().entry(key.clone()).or_default().push(Arc::clone(&token));
        }
        RunningCall { calls: self.clone(), key, token, _tracked: self.tracker.token() }
    }

    /// Cancels a call of this session (MCP 2025-11-25, `notifications/cancelled`).
    pub(super) fn cancel(&self, session: &str, id: &RequestId) {
        for token in self.lock().get(&(session.to_owned(), id.clone())).into_iter().flatten() {
            token.cancel();
        }
    }

    /// Returns when no call is running.
    pub async fn idle(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }

    /// Counts what runs at another door too: a stop waits for it as well.
    pub fn tracker(&self) -> &TaskTracker {
        &self.tracker
    }

    /// How many calls are running.
    pub fn count(&self) -> usize {
        self.tracker.len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<CallKey, Vec<Arc<CancellationToken>>>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running call; dropping it ends the note of it.
#[derive(Debug)]
pub(super) struct RunningCall {
    calls: RunningCalls,
    key: Option<CallKey>,
    token: Arc<CancellationToken>,
    _tracked: TaskTrackerToken,
}

impl RunningCall {
    /// Returns when the client cancelled the call.
    pub(super) async fn cancelled(&self) {
        self.token.cancelled().await;
    }
}

impl Drop for RunningCall {
    fn drop(&mut self) {
        if let Some(key) = &self.key {
            let mut calls = self.calls.lock();
            if let Some(tokens) = calls.get_mut(key) {
                tokens.retain(|token| !Arc::ptr_eq(token, &self.token));
                if tokens.is_empty() {
                    calls.remove(key);
                }
            }
        }
    }
}
