//! How requests travel: time limits, caps on bodies, retries and their budget, and a breaker for
//! every upstream.
//!
//! Nothing here waits without a limit or reads without a cap. Dropping a future of
//! [`Transport::send`] closes the request; a caller who leaves takes the work along.

mod breaker;
mod call;
mod client;
mod lane;

use std::{error::Error as _, fmt, io, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use reqwest::{
    Method, RequestBuilder, Response, StatusCode, Url,
    header::{DATE, HeaderMap, RETRY_AFTER},
};
use tokio::time::{Instant, sleep_until, timeout_at};

use self::{breaker::Failed, client::Clients, lane::Lane};
pub use self::{
    breaker::{BreakerState, FailureKind},
    call::Call,
    client::is_loopback,
    lane::Health,
};
use crate::domain::{Entropy, Failure, FailureCode, failure::Result};

/// What we call ourselves to upstreams (GitHub refuses requests without a name).
pub const USER_AGENT: &str = concat!("pr-summarizer/", env!("CARGO_PKG_VERSION"));

/// No wait that anybody states is taken for longer: sums of times stay within what a clock holds.
const LONGEST: Duration = Duration::from_hours(24);

/// All limits of the transport.
#[derive(Debug, Clone)]
pub struct TransportSettings {
    /// How long a TCP and TLS handshake may take.
    pub connect_timeout: Duration,
    /// How long an upstream may think before its answer begins.
    pub answer_timeout: Duration,
    /// How long a body may stand still.
    pub read_idle_timeout: Duration,
    /// How long an unused connection is kept. Scalekit closes its own after 300 s; a connection
    /// that dies while we write to it is an uncertain request, so ours go well before.
    pub pool_idle_timeout: Duration,
    /// How often one request may be tried again.
    pub max_retries: u32,
    /// The first wait before a retry; doubled each time, then multiplied by chance (full jitter).
    pub backoff: Duration,
    /// Retries saved up while nothing fails; they are earned at one for ten requests.
    pub retry_reserve: u32,
    /// While an upstream is down, one request in this time is let through to look; so it is also
    /// for how long one that is back may go unnoticed.
    pub outage_pause: Duration,
}

impl Default for TransportSettings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            answer_timeout: Duration::from_secs(20),
            read_idle_timeout: Duration::from_secs(10),
            pool_idle_timeout: Duration::from_mins(3),
            max_retries: 2,
            backoff: Duration::from_millis(250),
            retry_reserve: 10,
            outage_pause: Duration::from_secs(2),
        }
    }
}

/// Whether a request may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Once, whatever happens: repeating it would not be the same.
    Never,
    /// Only when no answer came (refused, reset): the caller deals with bad answers itself.
    Unanswered,
    /// Also on 502, 503, 504, and on 429 that says how long to wait.
    Safe,
}

/// Whom a request is meant for in the end; decides in which count and in which lane it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// GitHub, directly or through Scalekit's proxy.
    GitHub,
    /// Scalekit itself.
    Scalekit,
    /// The LLM.
    Llm,
    /// Any other server, which says nothing of the next one: a client's own, for its document.
    Elsewhere,
}

/// How much of a body is read, in bytes after decompression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyCap {
    /// A longer body is an error: half a document is worth nothing.
    Whole(usize),
    /// A longer body is cut, and the answer says so.
    Cut(usize),
}

impl BodyCap {
    /// For JSON: 8 MB.
    pub const JSON: Self = Self::Whole(8_000_000);
    /// For diffs: 2 MB.
    pub const DIFF: Self = Self::Cut(2_000_000);
}

/// How one request is to be sent.
#[derive(Debug, Clone, Copy)]
pub struct Dispatch {
    /// May it be repeated?
    pub retry: Retry,
    /// How much of the answer is read?
    pub cap: BodyCap,
    /// Which count does it go to?
    pub purpose: Purpose,
}

/// What an upstream answered; any status.
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, decompressed, up to the cap.
    pub body: Bytes,
    /// The body went on beyond the cap.
    pub truncated: bool,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers and bodies carry tokens and other people's text.
        write!(f, "Answer({}, {} bytes)", self.status, self.body.len())
    }
}

impl Answer {
    /// `Retry-After`, in either of its forms. A date is compared with the answer's own `Date`, so
    /// that a difference between two clocks does not become a wait.
    /// Source: <https://www.rfc-editor.org/rfc/rfc9110#field.retry-after>
    pub fn retry_after(&self) -> Option<Duration> {
        let text = self.headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
        let wait = if let Ok(seconds) = text.parse() {
            Duration::from_secs(seconds)
        } else {
            let until = chrono::DateTime::parse_from_rfc2822(text).ok()?;
            (until.to_utc() - self.date()?).to_std().unwrap_or_default()
        };
        Some(wait.min(LONGEST))
    }

    /// When the upstream says it answered.
    pub fn date(&self) -> Option<chrono::DateTime<chrono::Utc>> {
        let text = self.headers.get(DATE)?.to_str().ok()?;
        chrono::DateTime::parse_from_rfc2822(text).ok().map(|date| date.to_utc())
    }
}

/// Why there is no answer. Its text names no address, header or body.
#[derive(Debug)]
pub enum TransportError {
    /// The upstream is down, and was not asked; one request may be sent in so long.
    Down(Duration),
    /// No connection came about: the request was certainly not sent.
    Connect(reqwest::Error),
    /// The time was up; the request may have had its effect.
    TimedOut,
    /// The connection broke; the request may have had its effect.
    Interrupted(reqwest::Error),
    /// The body is longer than its cap of so many bytes.
    TooLarge(usize),
    /// The body could not be decoded, or the request not be built.
    Malformed(reqwest::Error),
}

impl TransportError {
    /// Adds how long to wait, where that is known.
    pub(super) fn hint(&self, failure: Box<Failure>) -> Box<Failure> {
        match self {
            // Whoever comes back a moment too early would wait once more.
            Self::Down(wait) => failure.retry_after(Duration::from_secs(wait.as_secs() + 1)),
            _ => failure,
        }
    }

    fn from_reqwest(error: reqwest::Error) -> Self {
        let error = error.without_url();
        if error.is_connect() {
            // A time-out of the handshake is also `is_connect`, and equally harmless.
            Self::Connect(error)
        } else if error.is_timeout() {
            Self::TimedOut
        } else if error.is_builder() || is_invalid_data(&error) {
            Self::Malformed(error)
        } else {
            Self::Interrupted(error)
        }
    }
}

/// Whether the bytes came but made no sense (bad gzip). reqwest calls every failure while reading a
/// body a decoding error, broken connections too; only the cause at the bottom tells them apart.
fn is_invalid_data(error: &reqwest::Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<io::Error>()
            && matches!(io.kind(), io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput)
        {
            return true;
        }
        cause = error.source();
    }
    false
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Down(_) => f.write_str("not asked, because it did not answer several times"),
            Self::Connect(_) => f.write_str("no connection"),
            Self::TimedOut => f.write_str("no answer in time"),
            Self::Interrupted(_) => f.write_str("the connection broke"),
            Self::TooLarge(cap) => write!(f, "the answer is longer than {cap} bytes"),
            Self::Malformed(_) => f.write_str("the answer could not be decoded"),
        }
    }
}

impl std::error::Error for TransportError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Connect(error) | Self::Interrupted(error) | Self::Malformed(error) => Some(error),
            Self::Down(_) | Self::TimedOut | Self::TooLarge(_) => None,
        }
    }
}

/// The one HTTP client of the program and its limits; clones share connections and lanes.
#[derive(Debug, Clone)]
pub struct Transport {
    clients: Arc<Clients>,
    lanes: Arc<Lanes>,
    entropy: Arc<dyn Entropy>,
}

#[derive(Debug)]
struct Lanes {
    github: Lane,
    scalekit: Lane,
    llm: Lane,
    documents: Lane,
}

impl Lanes {
    fn new(settings: &TransportSettings) -> Self {
        Self {
            github: Lane::new("github", settings),
            scalekit: Lane::new("scalekit", settings),
            llm: Lane::new("llm", settings),
            documents: Lane::without_breaker("client_document", settings),
        }
    }

    fn of(&self, purpose: Purpose) -> &Lane {
        match purpose {
            Purpose::GitHub => &self.github,
            Purpose::Scalekit => &self.scalekit,
            Purpose::Llm => &self.llm,
            Purpose::Elsewhere => &self.documents,
        }
    }
}

impl Transport {
    /// A client with these limits. Proxies of the system (`HTTPS_PROXY`) are used, as operators
    /// expect, except to this machine itself.
    pub fn new(settings: TransportSettings, entropy: Arc<dyn Entropy>) -> Result<Self> {
        Self::with(Clients::new(settings), entropy)
    }

    /// The same over a client that was begun elsewhere, say with its own way of resolving names.
    pub fn over(
        begun: reqwest::ClientBuilder,
        settings: TransportSettings,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self> {
        Self::with(Clients::over(begun, settings), entropy)
    }

    fn with(clients: reqwest::Result<Clients>, entropy: Arc<dyn Entropy>) -> Result<Self> {
        let clients = clients.map_err(unbuildable)?;
        let lanes = Arc::new(Lanes::new(clients.settings()));
        Ok(Self { clients: Arc::new(clients), lanes, entropy })
    }

    /// Builds now what a request to this address needs: a machine without certificates is told of at
    /// the start, and not with the first call.
    ///
    /// # Errors
    /// `internal`.
    pub fn prepare(&self, url: &Url) -> Result<()> {
        self.clients.of(url).map(|_| ()).map_err(unbuildable)
    }

    /// Begins a request.
    pub fn request(&self, method: Method, url: Url) -> RequestBuilder {
        self.clients.drafting().request(method, url)
    }

    /// How an upstream is doing; `None` where many servers lie behind the purpose.
    pub fn health(&self, purpose: Purpose) -> Option<Health> {
        self.lanes.of(purpose).health()
    }

    /// Sends a request and reads its answer, whatever the status.
    pub async fn send(
        &self,
        request: RequestBuilder,
        dispatch: Dispatch,
        call: &Call,
    ) -> Result<Answer, TransportError> {
        let mut next = Some(request.build().map_err(TransportError::from_reqwest)?);
        let lane = self.lanes.of(dispatch.purpose);
        lane.enter(call.asker(), Instant::now()).map_err(TransportError::Down)?;
        let mut attempt = 0;
        while let Some(request) = next.take() {
            let again = request.try_clone();
            call.count(dispatch.purpose);
            let sent_at = Instant::now();
            let outcome = match timeout_at(call.deadline(), self.once(request, dispatch.cap)).await
            {
                Ok(outcome) => outcome,
                Err(_) => Err(TransportError::TimedOut),
            };
            lane.count(&outcome, sent_at.elapsed());
            self.note(lane, &outcome, attempt, sent_at, dispatch, call);
            let wait = (attempt < self.clients.settings().max_retries && again.is_some())
                .then(|| self.wait_before_retry(dispatch.retry, &outcome, attempt))
                .flatten()
                .filter(|wait| *wait < call.remaining());
            let Some(wait) = wait.filter(|_| lane.may_retry()) else { return outcome };
            // Ends before the call does: longer waits were filtered out above.
            sleep_until(Instant::now() + wait).await;
            if !lane.admits(call.asker(), Instant::now()) {
                return outcome;
            }
            attempt += 1;
            next = again;
        }
        Err(TransportError::TimedOut)
    }

    /// Tells the lane what came of an attempt.
    fn note(
        &self,
        lane: &Lane,
        outcome: &Result<Answer, TransportError>,
        attempt: u32,
        sent_at: Instant,
        dispatch: Dispatch,
        call: &Call,
    ) {
        let now = Instant::now();
        let patience = self.clients.settings().answer_timeout;
        let kind = match outcome {
            Ok(answer) if answer.status.is_server_error() => FailureKind::ServerError,
            Ok(_) | Err(TransportError::TooLarge(_)) => return lane.answered(now),
            Err(TransportError::Connect(_)) => FailureKind::Connect,
            Err(TransportError::Interrupted(_)) => FailureKind::Interrupted,
            // A caller with little time left says nothing of the upstream.
            Err(TransportError::TimedOut) if (now - sent_at) * 2 >= patience => {
                FailureKind::TimedOut
            }
            Err(
                TransportError::TimedOut | TransportError::Malformed(_) | TransportError::Down(_),
            ) => return,
        };
        let is_connect = kind == FailureKind::Connect;
        // One request counts once. What is sent but once carries what a browser brought, and could
        // be chosen to make an upstream stumble; nothing chosen keeps a connection from coming about.
        if attempt > 0 || dispatch.retry == Retry::Never && !is_connect {
            return;
        }
        let asker = call.asker().filter(|_| !is_connect);
        lane.failed(Failed { asker, kind, sent_at }, now);
    }

    async fn once(
        &self,
        request: reqwest::Request,
        cap: BodyCap,
    ) -> Result<Answer, TransportError> {
        let patience = Instant::now() + self.clients.settings().answer_timeout;
        let client = self.clients.of(request.url()).map_err(TransportError::from_reqwest)?;
        let response = timeout_at(patience, client.execute(request))
            .await
            .map_err(|_| TransportError::TimedOut)?
            .map_err(TransportError::from_reqwest)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let (body, truncated) = self.read(response, cap).await?;
        Ok(Answer { status, headers, body, truncated })
    }

    async fn read(
        &self,
        mut response: Response,
        cap: BodyCap,
    ) -> Result<(Bytes, bool), TransportError> {
        let (BodyCap::Whole(limit) | BodyCap::Cut(limit)) = cap;
        let mut body = BytesMut::new();
        loop {
            let patience = Instant::now() + self.clients.settings().read_idle_timeout;
            let chunk = timeout_at(patience, response.chunk())
                .await
                .map_err(|_| TransportError::TimedOut)?
                .map_err(TransportError::from_reqwest)?;
            let Some(chunk) = chunk else { return Ok((body.freeze(), false)) };
            let room = limit.saturating_sub(body.len());
            if chunk.len() <= room {
                body.extend_from_slice(&chunk);
                continue;
            }
            if matches!(cap, BodyCap::Whole(_)) {
                return Err(TransportError::TooLarge(limit));
            }
            body.extend_from_slice(chunk.get(..room).unwrap_or_default());
            return Ok((body.freeze(), true));
        }
    }

    /// How long to wait before the request is sent again; `None` if it must not be.
    fn wait_before_retry(
        &self,
        retry: Retry,
        outcome: &Result<Answer, TransportError>,
        attempt: u32,
    ) -> Option<Duration> {
        match (retry, outcome) {
            (Retry::Never, _) => None,
            (_, Err(TransportError::Connect(_) | TransportError::Interrupted(_))) => {
                Some(self.jitter(attempt))
            }
            (Retry::Safe, Ok(answer)) => match answer.status.as_u16() {
                // Without a stated wait a limit is not over soon; asking again only prolongs it.
                429 => answer.retry_after(),
                502..=504 => Some(answer.retry_after().unwrap_or_else(|| self.jitter(attempt))),
                _ => None,
            },
            _ => None,
        }
    }

    /// Full jitter: anything between nothing and the doubled backoff, so that many callers who
    /// failed together do not come back together.
    fn jitter(&self, attempt: u32) -> Duration {
        let mut random = [0_u8; 4];
        self.entropy.fill(&mut random);
        let fraction = f64::from(u32::from_le_bytes(random)) / f64::from(u32::MAX);
        self.clients.settings().backoff.saturating_mul(1 << attempt.min(8)).mul_f64(fraction)
    }
}

fn unbuildable(error: reqwest::Error) -> Box<Failure> {
    Failure::new(FailureCode::Internal, "The HTTP client could not be built.").caused_by(error)
}

#[cfg(test)]
mod tests;
