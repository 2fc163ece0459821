//! Our own token for Scalekit: fetched once for many, renewed before it ends.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use reqwest::{Method, StatusCode, Url};
use secrecy::ExposeSecret as _;
use tokio::{sync::Mutex, time::timeout_at};

use super::{unavailable, wire};
use crate::{
    domain::{Clock, Failure, FailureCode, Secret, Timestamp, failure::Result},
    upstream::transport::{BodyCap, Call, Dispatch, Purpose, Retry, Transport},
};

/// How long fetching a token may take.
const FETCH_TIMEOUT: Duration = Duration::from_secs(10);

/// The token that stands in for all our requests to one Scalekit environment.
pub(super) struct TokenSource {
    url: Url,
    client_id: String,
    client_secret: Secret,
    transport: Transport,
    clock: Arc<dyn Clock>,
    /// Held while fetching: whoever comes meanwhile waits for that one fetch.
    state: Mutex<State>,
    /// Fetches that have ended, so that a waiter knows whether one ended while it waited.
    ended: AtomicU64,
}

#[derive(Default)]
struct State {
    token: Option<Token>,
    generation: u64,
    last_failure: Option<(FailureCode, String)>,
}

/// A token and which one it is.
#[derive(Clone)]
pub(super) struct Token {
    /// The bearer token.
    pub(super) secret: Secret,
    /// Tells a token that was refused from the one that has replaced it since.
    pub(super) generation: u64,
    usable_until: Timestamp,
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenSource").finish_non_exhaustive()
    }
}

impl TokenSource {
    /// A source that has not fetched yet.
    pub(super) fn new(
        url: Url,
        client_id: String,
        client_secret: Secret,
        transport: Transport,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let (state, ended) = (Mutex::default(), AtomicU64::new(0));
        Self { url, client_id, client_secret, transport, clock, state, ended }
    }

    /// A token that may be used now; another than `refused`, if one was refused.
    pub(super) async fn token(&self, refused: Option<u64>, call: &Call) -> Result<Token> {
        let before = self.ended.load(Ordering::Acquire);
        let mut state = timeout_at(call.deadline(), self.state.lock()).await.map_err(|_| {
            Failure::new(FailureCode::ScalekitUnavailable, "Scalekit gave no token in time.")
        })?;
        if let Some(token) = &state.token
            && refused != Some(token.generation)
            && self.clock.now() < token.usable_until
        {
            return Ok(token.clone());
        }
        // A fetch that failed while we waited answers for us too; otherwise a hundred waiters would
        // each try in turn, long after the last of them has given up.
        if self.ended.load(Ordering::Acquire) != before
            && let Some((code, detail)) = &state.last_failure
        {
            return Err(Failure::new(*code, detail.clone()));
        }
        let call = call.at_most(FETCH_TIMEOUT);
        let outcome = self.fetch(&call).await;
        match outcome {
            Ok(answer) => {
                state.generation += 1;
                let usable = chrono::Duration::seconds(answer.usable_seconds());
                let token = Token {
                    generation: state.generation,
                    usable_until: self.clock.now() + usable,
                    secret: answer.access_token,
                };
                state.token = Some(token.clone());
                state.last_failure = None;
                self.ended.fetch_add(1, Ordering::Release);
                Ok(token)
            }
            Err(failure) => {
                // A caller who had no time left says nothing about Scalekit.
                if !call.remaining().is_zero() {
                    state.last_failure = Some((failure.code, failure.detail.clone()));
                    self.ended.fetch_add(1, Ordering::Release);
                }
                Err(failure)
            }
        }
    }

    async fn fetch(&self, call: &Call) -> Result<wire::TokenAnswer> {
        let request = self.transport.request(Method::POST, self.url.clone()).form(&[
            ("grant_type", "client_credentials"),
            ("client_id", &self.client_id),
            ("client_secret", self.client_secret.expose_secret()),
        ]);
        let dispatch = Dispatch {
            retry: Retry::Safe,
            cap: BodyCap::Whole(64_000),
            purpose: Purpose::Scalekit,
        };
        let answer =
            self.transport.send(request, dispatch, call).await.map_err(super::unreachable)?;
        match answer.status {
            status if status.is_success() => {
                // serde's error may quote the body, which holds the token: it is not kept.
                serde_json::from_slice(&answer.body).map_err(|_| {
                    Failure::new(
                        FailureCode::ScalekitUnavailable,
                        "Scalekit answered something else than a token.",
                    )
                })
            }
            StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(Failure::new(
                    FailureCode::ScalekitRejectedUs,
                    "Scalekit does not accept this server's client id and secret.",
                ))
            }
            status if status.is_redirection() || status == StatusCode::NOT_FOUND => {
                Err(Failure::new(
                    FailureCode::ScalekitRejectedUs,
                    "The configured Scalekit environment has no token endpoint.",
                ))
            }
            _ => Err(unavailable(&answer)),
        }
    }
}
