//! What every fake world does with a request before it answers: record it, hold it, spoil it.
//!
//! A world answers through one function of a [`Call`]; it has no router, so what it does not know
//! reaches its last arm, which is [`Traffic::unexpected`].

use std::{
    fmt,
    future::Future,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
    serve::ListenerExt as _,
};
use bytes::Bytes;
use futures_util::{FutureExt as _, future::BoxFuture};
use serde_json::Value;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

use super::spoiled;

/// One request as it came in.
#[derive(Clone)]
pub struct Call {
    pub method: String,
    pub path: String,
    /// What stood behind the `?`, not decoded.
    pub query: Option<String>,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub at: Instant,
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)?;
        self.query.as_ref().map_or(Ok(()), |query| write!(f, "?{query}"))
    }
}

impl Call {
    pub fn is(&self, method: &str, path: &str) -> bool {
        self.method == method && self.path == path
    }

    pub fn segments(&self) -> Vec<&str> {
        self.path.trim_start_matches('/').split('/').collect()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The query's parameters, decoded, in order.
    pub fn parameters(&self) -> Vec<(String, String)> {
        let query = self.query.as_deref().unwrap_or_default();
        url::form_urlencoded::parse(query.as_bytes()).into_owned().collect()
    }

    pub fn parameter(&self, name: &str) -> Option<String> {
        self.parameters().into_iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// The body as a form.
    pub fn form(&self) -> Vec<(String, String)> {
        url::form_urlencoded::parse(&self.body).into_owned().collect()
    }

    /// The body as JSON; `Null` if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The token of `Authorization: Bearer …`.
    pub fn bearer(&self) -> Option<&str> {
        self.header("authorization")?.strip_prefix("Bearer ")
    }
}

/// Which requests are meant.
#[derive(Clone)]
pub struct Match(Arc<dyn Fn(&Call) -> bool + Send + Sync>);

impl Match {
    pub fn new(predicate: impl Fn(&Call) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(predicate))
    }

    pub fn is(&self, call: &Call) -> bool {
        self.0(call)
    }

    pub fn any() -> Self {
        Self::new(|_| true)
    }

    /// This method on exactly this path.
    pub fn path(method: &'static str, path: impl Into<String>) -> Self {
        let path = path.into();
        Self::new(move |call| call.is(method, &path))
    }

    /// This method on any path that begins so.
    pub fn prefix(method: &'static str, prefix: impl Into<String>) -> Self {
        let prefix = prefix.into();
        Self::new(move |call| call.method == method && call.path.starts_with(&prefix))
    }
}

/// What goes wrong.
#[derive(Clone)]
pub enum Fault {
    /// This answer instead.
    Status(u16, String, Vec<(&'static str, String)>),
    /// The right answer, later.
    Delay(Duration),
    /// Half an answer, then the connection is cut.
    Reset,
    /// 200 with something that says it is JSON and is not.
    Garbage,
    /// 200 with a web page.
    Html,
    /// No answer, ever.
    Hang,
    /// An answer of one byte at a time, each so much later, without an end.
    Drip(Duration),
    /// An answer without an end: a beginning, and what is repeated; and how much was taken.
    Endless(&'static str, &'static str, Sent),
    /// Says that it is gzipped, and is not.
    BadGzip,
    /// Twenty megabytes in some kilobytes.
    Bomb,
}

/// How much of an endless answer was taken.
#[derive(Clone, Default)]
pub struct Sent(Arc<AtomicUsize>);

impl Sent {
    /// In bytes, those included that wait on their way.
    pub fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Fault {
    pub fn status(code: u16) -> Self {
        Self::Status(code, format!(r#"{{"message":"injected {code}"}}"#), Vec::new())
    }

    pub fn endless(start: &'static str, again: &'static str) -> Self {
        Self::Endless(start, again, Sent::default())
    }
}

/// Keeps requests waiting until it is opened or dropped.
pub struct Gate(Arc<GateState>);

struct GateState {
    open: watch::Sender<bool>,
    waiting: watch::Sender<usize>,
}

impl Gate {
    /// Lets everybody through, from now on.
    pub fn release(&self) {
        self.0.open.send_replace(true);
    }

    /// How many requests wait. A client that hangs up no longer waits.
    pub fn waiting(&self) -> usize {
        *self.0.waiting.borrow()
    }

    /// Returns when exactly `count` requests wait.
    pub async fn until_waiting(&self, count: usize) {
        let mut waiting = self.0.waiting.subscribe();
        waiting.wait_for(|waiting| *waiting == count).await.expect("the gate lives");
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.release();
    }
}

/// One request that waits; leaving counts, whether let through or hung up.
struct Waiter(Arc<GateState>);

impl Waiter {
    async fn pass(gate: Arc<GateState>) {
        gate.waiting.send_modify(|waiting| *waiting += 1);
        let waiter = Self(gate);
        let _ = waiter.0.open.subscribe().wait_for(|open| *open).await;
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.0.waiting.send_modify(|waiting| *waiting -= 1);
    }
}

struct Injected {
    matching: Match,
    fault: Fault,
    left: usize,
}

/// The record of one world's requests, and what shall go wrong with the next ones.
pub struct Traffic {
    world: &'static str,
    calls: Mutex<Vec<Call>>,
    unexpected: Mutex<Vec<String>>,
    injected: Mutex<Vec<Injected>>,
    gates: Mutex<Vec<(Match, Arc<GateState>)>>,
    step: Mutex<Option<Step>>,
}

/// What each request waits for, once it is recorded.
pub type Step = Arc<dyn Fn(&Call) -> BoxFuture<'static, ()> + Send + Sync>;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Traffic {
    pub(super) fn new(world: &'static str) -> Self {
        Self {
            world,
            calls: Mutex::default(),
            unexpected: Mutex::default(),
            injected: Mutex::default(),
            gates: Mutex::default(),
            step: Mutex::default(),
        }
    }

    pub fn calls(&self) -> Vec<Call> {
        lock(&self.calls).clone()
    }

    pub fn count(&self, predicate: impl Fn(&Call) -> bool) -> usize {
        lock(&self.calls).iter().filter(|call| predicate(call)).count()
    }

    pub fn clear_calls(&self) {
        lock(&self.calls).clear();
    }

    /// Spoils the next `times` matching requests (`usize::MAX`: all of them).
    pub fn inject(&self, matching: Match, fault: Fault, times: usize) {
        lock(&self.injected).push(Injected { matching, fault, left: times });
    }

    /// Nothing more goes wrong.
    pub fn heal(&self) {
        lock(&self.injected).clear();
    }

    /// Keeps matching requests waiting from now on; they are recorded before they wait.
    pub fn hold(&self, matching: Match) -> Gate {
        let state =
            Arc::new(GateState { open: watch::Sender::new(false), waiting: watch::Sender::new(0) });
        lock(&self.gates).push((matching, Arc::clone(&state)));
        Gate(state)
    }

    /// Has each request wait for a step of its own from now on: whoever orders the steps orders them.
    pub fn step_by_step(&self, step: Step) {
        *lock(&self.step) = Some(step);
    }

    /// Records that nobody should have asked this, and says so to who did.
    pub fn unexpected(&self, call: &Call, why: &str) -> Response {
        let what = format!("fake {}: unexpected {call:?}: {why}", self.world);
        lock(&self.unexpected).push(what.clone());
        (StatusCode::NOT_IMPLEMENTED, what).into_response()
    }

    /// What was unexpected so far; forgets it, so that the world counts as clean again.
    pub fn take_unexpected(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.unexpected))
    }

    /// Panics if anything was unexpected.
    pub fn assert_clean(&self) {
        let unexpected = self.take_unexpected();
        assert!(unexpected.is_empty(), "{}", unexpected.join("\n"));
    }

    fn fault_for(&self, call: &Call) -> Option<Fault> {
        let mut injected = lock(&self.injected);
        let hit = injected.iter_mut().find(|one| one.left > 0 && (one.matching.0)(call))?;
        hit.left -= 1;
        Some(hit.fault.clone())
    }

    async fn admit(&self, call: &Call) -> Option<Response> {
        super::canaries::note_call(call);
        lock(&self.calls).push(call.clone());
        let gates: Vec<_> = lock(&self.gates)
            .iter()
            .filter(|(matching, _)| matching.0(call))
            .map(|(_, gate)| Arc::clone(gate))
            .collect();
        for gate in gates {
            Waiter::pass(gate).await;
        }
        let step = lock(&self.step).clone();
        if let Some(step) = step {
            step(call).await;
        }
        match self.fault_for(call)? {
            Fault::Status(code, body, headers) => {
                let mut response = Response::new(Body::from(body));
                *response.status_mut() = StatusCode::from_u16(code).expect("a status");
                let json = (header::CONTENT_TYPE.as_str(), "application/json".to_owned());
                for (name, value) in std::iter::once(json).chain(headers) {
                    response.headers_mut().insert(name, value.parse().expect("a header's value"));
                }
                Some(response)
            }
            Fault::Delay(delay) => {
                let _ = tokio::time::timeout(delay, std::future::pending::<()>()).await;
                None
            }
            Fault::Reset => Some(spoiled::half()),
            Fault::Garbage => {
                Some(spoiled::page("application/json", "{\"data\": [1, 2,, \u{fffd}"))
            }
            Fault::Html => Some(spoiled::page("text/html", "<html><body>It works!</body></html>")),
            Fault::Hang => std::future::pending().await,
            Fault::Drip(every) => Some(spoiled::dripping(every)),
            Fault::Endless(start, again, sent) => Some(spoiled::endless(start, again, sent)),
            Fault::BadGzip => Some(spoiled::bad_gzip()),
            Fault::Bomb => Some(spoiled::bomb()),
        }
    }
}

/// Listens on a port of its own and answers every request with `answer`.
pub(super) fn serve<F, A>(listener: TcpListener, traffic: Arc<Traffic>, answer: F) -> JoinHandle<()>
where
    F: Fn(Call) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Response> + Send + 'static,
{
    let router = Router::new().fallback(move |request: Request| {
        let (traffic, answer) = (Arc::clone(&traffic), answer.clone());
        async move {
            let call = read(request).await;
            if call.is("GET", "/favicon.ico") {
                // Browsers ask for it by themselves.
                return StatusCode::NOT_FOUND.into_response();
            }
            if let Some(response) = traffic.admit(&call).await {
                return response;
            }
            // A fake that panics must fail the test and not just one of its requests.
            let (asked, answering) = (call.clone(), std::panic::AssertUnwindSafe(answer(call)));
            let answered = answering.catch_unwind().await;
            answered.unwrap_or_else(|_| traffic.unexpected(&asked, "the fake panicked"))
        }
    });
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    tokio::spawn(async move {
        let _ = axum::serve(listener, router).await;
    })
}

async fn read(request: Request) -> Call {
    let (head, body) = request.into_parts();
    Call {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().map(str::to_owned),
        headers: head.headers,
        body: axum::body::to_bytes(body, 64 << 20).await.unwrap_or_default(),
        at: Instant::now(),
    }
}
