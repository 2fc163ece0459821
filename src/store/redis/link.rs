//! The connection to the server: one, shared by all callers, and made anew when it is lost.
//!
//! A restart of Redis costs callers some waiting and no error, as long as it takes less than
//! [`PATIENCE`]; longer outages are told as `store_unavailable`. Nothing waits without end, and no
//! more than [`MOST_AT_ONCE`] commands are under way.

use std::{future::Future, time::Duration};

use redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, FromRedisValue, IntoConnectionInfo as _,
    Pipeline, ProtocolVersion, RedisError, RedisResult, RetryMethod, ScriptInvocation,
    aio::{ConnectionManager, ConnectionManagerConfig},
};
use tokio::time::{Instant, timeout_at};

use super::address::RedisAddress;
use crate::{
    domain::failure::{Failure, FailureCode, Result},
    upstream::tls,
};

/// How long making a connection may take.
const CONNECT: Duration = Duration::from_secs(1);
/// How long Redis may take to answer one command.
const ANSWER: Duration = Duration::from_secs(2);
/// How long a caller waits in all, attempts and pauses together.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long a start waits for Redis, which may be starting too.
const START: Duration = Duration::from_secs(10);
/// Between two attempts of a caller.
const PAUSE: Duration = Duration::from_millis(50);
/// The longest pause between two attempts to connect: recovery takes no longer than this.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// After so many attempts it stops trying until somebody asks.
const MOST_ATTEMPTS: usize = 20;
/// How many commands may wait for their answer; who comes later waits to be let in.
const MOST_AT_ONCE: usize = 1024;
/// What a caller is told to wait.
const TRY_AGAIN: Duration = Duration::from_secs(5);

/// Whether a command may be sent again when nobody knows if it was performed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Retry {
    /// Sent twice it does and answers the same.
    Freely,
    /// Only when it certainly was not sent.
    Never,
}

/// The connection.
pub(super) struct Link {
    manager: ConnectionManager,
}

impl Link {
    /// Connects. A server that is starting is waited for; one that refuses us is not.
    pub(super) async fn open(address: &RedisAddress) -> Result<Self> {
        tls::provide();
        let unusable = |why: &str, error: RedisError| {
            let detail = format!("The store {address} {why}");
            Failure::new(FailureCode::StoreUnavailable, detail).caused_by(harmless(&error))
        };
        let client =
            client(address).map_err(|error| unusable("has an address of no use.", error))?;
        let end = Instant::now() + START;
        loop {
            match look(&client).await {
                Ok(()) => break,
                Err(error) if is_passing(&error) && Instant::now() + PAUSE < end => {
                    pause().await;
                }
                Err(error) if is_passing(&error) => {
                    let why = "does not answer. Check STORE_URL, and that the server runs and can \
                               be reached from here.";
                    return Err(unusable(why, error));
                }
                Err(error) => {
                    let why = "refuses us. Check user, password and database in STORE_URL, and \
                               that the server is Redis 6.2 or newer, or Valkey.";
                    return Err(unusable(why, error));
                }
            }
        }
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(ANSWER))
            .set_min_delay(PAUSE)
            .set_max_delay(LONGEST_PAUSE)
            .set_number_of_retries(MOST_ATTEMPTS)
            .set_pipeline_buffer_size(MOST_AT_ONCE)
            .set_concurrency_limit(MOST_AT_ONCE);
        let manager = ConnectionManager::new_lazy_with_config(client, config)
            .map_err(|error| unusable("cannot be used.", error))?;
        Ok(Self { manager })
    }

    /// Sends a command that may be repeated.
    pub(super) async fn run<T: FromRedisValue + Send>(&self, command: &Cmd) -> Result<T> {
        self.patiently(Retry::Freely, |mut connection| async move {
            command.query_async(&mut connection).await
        })
        .await
    }

    /// Sends several commands at once, which may be repeated.
    pub(super) async fn run_pipeline<T: FromRedisValue + Send>(
        &self,
        commands: &Pipeline,
    ) -> Result<T> {
        self.patiently(Retry::Freely, |mut connection| async move {
            commands.query_async(&mut connection).await
        })
        .await
    }

    /// Runs a script by its digest; a server that does not know it is sent the text once.
    pub(super) async fn run_script<T: FromRedisValue + Send>(
        &self,
        script: &ScriptInvocation<'_>,
        retry: Retry,
    ) -> Result<T> {
        self.patiently(
            retry,
            |mut connection| async move { script.invoke_async(&mut connection).await },
        )
        .await
    }

    async fn patiently<T, F: Future<Output = RedisResult<T>> + Send>(
        &self,
        retry: Retry,
        attempt: impl Fn(ConnectionManager) -> F + Send,
    ) -> Result<T> {
        let end = Instant::now() + PATIENCE;
        let mut last = None;
        while Instant::now() < end {
            match timeout_at(end, attempt(self.manager.clone())).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) => {
                    let again = is_passing(&error)
                        && (retry == Retry::Freely || !may_have_been_sent(&error));
                    if !again {
                        return Err(failed(&error));
                    }
                    last = Some(error);
                }
                Err(_) => break,
            }
            pause().await;
        }
        match last {
            Some(error) => Err(failed(&error)),
            None => Err(unavailable()),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "every loop that pauses has a deadline of its own")]
async fn pause() {
    tokio::time::sleep(PAUSE).await;
}

/// The third version of the protocol, in which a lost connection is noticed at once and not by the
/// next caller.
fn client(address: &RedisAddress) -> RedisResult<Client> {
    let info = address.with_password().into_connection_info()?;
    let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    Client::open(info.set_redis_settings(settings))
}

/// Whether the server is there and lets us in. Warns of settings under which records get lost.
async fn look(client: &Client) -> RedisResult<()> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT))
        .set_response_timeout(Some(ANSWER));
    let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
    redis::cmd("PING").query_async::<()>(&mut connection).await?;
    // Providers may have taken the command away; then nobody knows, and nobody is warned.
    let info: RedisResult<String> = redis::cmd("INFO").query_async(&mut connection).await;
    for warning in warnings(&info.unwrap_or_default()) {
        tracing::warn!("{warning}");
    }
    Ok(())
}

/// What in `INFO` endangers what is kept.
fn warnings(info: &str) -> Vec<&'static str> {
    let field = |name: &str| {
        info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
    };
    let mut warnings = Vec::new();
    if field("aof_enabled") == Some("0") {
        warnings.push(
            "Redis keeps no append-only file: what was written last may be gone after it restarts. \
             Set appendonly yes.",
        );
    }
    if field("maxmemory_policy").is_some_and(|policy| policy != "noeviction")
        && field("maxmemory").is_some_and(|bytes| bytes != "0")
    {
        warnings.push(
            "Redis may drop records to make room: people would have to sign in again. Set \
             maxmemory-policy noeviction.",
        );
    }
    warnings
}

/// Whether it may be over in a moment.
fn is_passing(error: &RedisError) -> bool {
    error.is_io_error()
        || error.is_connection_dropped()
        || matches!(
            error.retry_method(),
            RetryMethod::WaitAndRetry
                | RetryMethod::RetryImmediately
                // Read-only: a replica that is about to be told that it is one no longer.
                | RetryMethod::RefreshSlotsAndRetry
        )
}

/// Of the failures that pass, only these two came before anything was sent: no connection, and a
/// server that says it is not ready.
fn may_have_been_sent(error: &RedisError) -> bool {
    !error.is_connection_refusal() && !matches!(error.kind(), ErrorKind::Server(_))
}

fn failed(error: &RedisError) -> Box<Failure> {
    if is_passing(error) {
        return unavailable().caused_by(harmless(error));
    }
    if matches!(error.code(), Some("OOM" | "MISCONF" | "NOREPLICAS")) {
        let detail = "The store takes no writes: it is full, or cannot reach its own disk.";
        return Failure::new(FailureCode::StoreUnavailable, detail)
            .retry_after(TRY_AGAIN)
            .caused_by(harmless(error));
    }
    Failure::new(FailureCode::Internal, "The store could not be read or written.")
        .caused_by(harmless(error))
}

fn unavailable() -> Box<Failure> {
    Failure::new(FailureCode::StoreUnavailable, "The store does not answer at the moment.")
        .retry_after(TRY_AGAIN)
}

/// What may be logged: Redis quotes keys and values in some of its errors.
fn harmless(error: &RedisError) -> String {
    if error.is_io_error() {
        return error.to_string();
    }
    format!("{} {}", error.category(), error.code().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forgetful_server_is_warned_of() {
        let sound = "# Memory\r\nmaxmemory:1\r\nmaxmemory_policy:noeviction\r\naof_enabled:1\r\n";
        assert!(warnings(sound).is_empty());
        assert!(warnings("").is_empty());
        let forgetful = "maxmemory:1\r\nmaxmemory_policy:allkeys-lru\r\naof_enabled:0\r\n";
        assert_eq!(warnings(forgetful).len(), 2);
    }

    #[tokio::test]
    async fn no_failure_quotes_what_was_sent() {
        let error = redis::make_extension_error("ERR".to_owned(), Some("near 'canary'".to_owned()));
        let failure = failed(&error);
        assert!(!format!("{failure:?}").contains("canary"), "{failure:?}");
        assert_eq!(failure.code, FailureCode::Internal);
    }
}
