//! The agent over standard input and output: one program, which started this one and is its only
//! caller.
//!
//! Messages are lines, read and written by the SDK. What is ours stands between: who is calling, how
//! much is answered at a time, and that an agent which does not read its answers is not read either.

use std::{collections::HashSet, future::Future, io, sync::Arc, time::Duration};

use rmcp::{
    RoleServer, ServiceExt as _,
    model::{
        ClientJsonRpcMessage, ClientNotification, ClientRequest, ErrorCode, ErrorData,
        GetExtensions as _, GetMeta as _, JsonRpcMessage, JsonRpcRequest, ProtocolVersion,
        RequestId, ServerJsonRpcMessage,
    },
    transport::{Transport, async_rw::AsyncRwTransport},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::Semaphore,
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{LONGEST_REQUEST, McpParts, McpServer, RunningCalls, caller::Caller, turnstile};
use crate::{
    domain::{AuthMode, failure::Result},
    identity::{ClientName, turnstile::OF_ONE},
};

/// Messages that the agent has not read yet; with so many of them nothing further is read from it.
const UNREAD: usize = 64;

/// How long an agent may leave all of those unread before it is taken for gone.
const UNREAD_PATIENCE: Duration = Duration::from_mins(2);

/// How long a further request waits while as many as may be are being answered. Then it is turned
/// away: behind it may be the cancellation of those.
const PATIENCE: Duration = Duration::from_secs(2);

/// What serves the one agent.
#[derive(Debug)]
pub struct Stdio {
    server: McpServer,
    running: RunningCalls,
    caller: Caller,
}

impl Stdio {
    /// The server for the program at the other end, which is the machine's one person, or in
    /// `session` mode a person that ends with the process.
    ///
    /// # Errors
    /// Those of the store, and `internal` when the keyring's keys do not fit.
    pub async fn new(parts: McpParts) -> Result<Self> {
        let sessions = &parts.sessions;
        let principal = match sessions.mode() {
            AuthMode::SingleUser => sessions.machine(ClientName::default()).await?,
            AuthMode::Session | AuthMode::OAuth => sessions.stranger(ClientName::default()),
        };
        let caller = Caller::Known { principal, session: None, admission: None };
        let running = parts.running.clone();
        let server = McpServer::new(parts)?;
        Ok(Self { server, running, caller })
    }

    /// The calls that are running.
    pub fn running(&self) -> RunningCalls {
        self.running.clone()
    }

    /// Answers what is read until there is no more and all of it is answered, or until `stop`, which
    /// also ends running calls.
    /// `left` is cancelled when nothing more is to come.
    pub async fn serve<R, W>(
        self,
        (read, write): (R, W),
        left: CancellationToken,
        stop: CancellationToken,
    ) where
        R: AsyncRead + Send + Unpin + 'static,
        W: AsyncWrite + Send + Unpin + 'static,
    {
        let lines = AsyncRwTransport::new(read, write).with_max_line_length(LONGEST_REQUEST);
        let pipe = Pipe {
            lines,
            caller: self.caller,
            has_begun: false,
            answering: HashSet::new(),
            full_since: None,
            unread: Arc::new(Semaphore::new(UNREAD)),
            left: left.clone(),
        };
        match self.server.serve_with_ct(pipe, stop.clone()).await {
            Ok(served) => {
                if let Err(error) = served.waiting().await {
                    tracing::error!(%error, "the agent's connection broke off");
                }
            }
            // The agent left before it said anything, or the program was told to stop.
            Err(_) if left.is_cancelled() || stop.is_cancelled() => {}
            Err(error) => tracing::warn!(%error, "the agent did not begin as the protocol says"),
        }
        left.cancel();
    }
}

/// The SDK's lines with what is ours before them.
struct Pipe<R: AsyncRead, W: AsyncWrite> {
    lines: AsyncRwTransport<RoleServer, R, W>,
    caller: Caller,
    /// The agent has said which era it is of. Before that the SDK takes requests only, and gives up
    /// on anything else.
    has_begun: bool,
    /// Requests without an answer.
    answering: HashSet<RequestId>,
    /// Since when there are as many as may be.
    full_since: Option<Instant>,
    /// Free places for messages that the agent has not read.
    unread: Arc<Semaphore>,
    left: CancellationToken,
}

impl<R, W> Transport<RoleServer> for Pipe<R, W>
where
    R: AsyncRead + Send + Unpin + 'static,
    W: AsyncWrite + Send + Unpin + 'static,
{
    type Error = io::Error;

    fn send(
        &mut self,
        message: ServerJsonRpcMessage,
    ) -> impl Future<Output = io::Result<()>> + Send + 'static {
        match &message {
            JsonRpcMessage::Response(answer) => {
                self.answering.remove(&answer.id);
            }
            JsonRpcMessage::Error(answer) => {
                if let Some(id) = &answer.id {
                    self.answering.remove(id);
                }
            }
            JsonRpcMessage::Request(_) | JsonRpcMessage::Notification(_) => {}
        }
        // None is free: then as many are on their way as calls were running when the last was taken.
        let place = self.unread.clone().try_acquire_owned();
        let sent = self.lines.send(message);
        async move {
            let _until_sent = place;
            sent.await
        }
    }

    async fn receive(&mut self) -> Option<ClientJsonRpcMessage> {
        loop {
            if self.left.is_cancelled() {
                return self.nothing_more().await;
            }
            let Ok(Ok(place)) = timeout(UNREAD_PATIENCE, self.unread.acquire()).await else {
                tracing::warn!("the agent does not read its answers");
                self.left.cancel();
                continue;
            };
            drop(place);
            // An answer that is sent in the meantime begins this anew.
            if self.answering.len() < OF_ONE {
                self.full_since = None;
            } else {
                let since = *self.full_since.get_or_insert_with(Instant::now);
                sleep_until(since + PATIENCE).await;
            }
            let Some(message) = self.lines.receive().await else {
                self.left.cancel();
                continue;
            };
            if let Some(message) = self.admitted(message) {
                return Some(message);
            }
        }
    }

    async fn close(&mut self) -> io::Result<()> {
        self.lines.close().await
    }
}

impl<R, W> Pipe<R, W>
where
    R: AsyncRead + Send + Unpin + 'static,
    W: AsyncWrite + Send + Unpin + 'static,
{
    /// The end, once everything is answered: at the end the SDK sends no more progress, and a call
    /// waits until what it reports was sent. Each answer that is sent begins this anew.
    async fn nothing_more(&mut self) -> Option<ClientJsonRpcMessage> {
        if self.answering.is_empty() { None } else { std::future::pending().await }
    }

    /// What the SDK is to see of a message. `None`: nothing of it.
    fn admitted(&mut self, message: ClientJsonRpcMessage) -> Option<ClientJsonRpcMessage> {
        match message {
            JsonRpcMessage::Request(request) => self.admitted_request(request),
            _ if !self.has_begun => None,
            JsonRpcMessage::Notification(notification) => {
                if let ClientNotification::CancelledNotification(cancelled) =
                    &notification.notification
                    && let Some(id) = &cancelled.params.request_id
                {
                    // No answer follows.
                    self.answering.remove(id);
                }
                Some(JsonRpcMessage::Notification(notification))
            }
            other => Some(other),
        }
    }

    fn admitted_request(
        &mut self,
        mut request: JsonRpcRequest<ClientRequest>,
    ) -> Option<ClientJsonRpcMessage> {
        if self.answering.contains(&request.id) {
            // An answer to it would be taken for the first one's.
            tracing::warn!("a request was left out: its id is that of one still being answered");
            return None;
        }
        if self.answering.len() >= OF_ONE {
            let busy = ErrorData::new(ErrorCode(turnstile::BUSY.0), turnstile::TOO_MANY, None);
            tokio::spawn(self.send(JsonRpcMessage::error(busy, Some(request.id))));
            return None;
        }
        self.has_begun |= begins(&request.request);
        self.answering.insert(request.id.clone());
        request.request.extensions_mut().insert(self.caller.clone());
        Some(JsonRpcMessage::Request(request))
    }
}

/// Whether this request says which era the agent is of, as the SDK decides it.
fn begins(request: &ClientRequest) -> bool {
    match request {
        ClientRequest::InitializeRequest(_) => true,
        ClientRequest::PingRequest(_) | ClientRequest::DiscoverRequest(_) => false,
        other => {
            let meta = other.get_meta();
            meta.missing_required_keys(&ProtocolVersion::V_2026_07_28).is_empty()
                && meta
                    .protocol_version()
                    .is_some_and(|version| ProtocolVersion::KNOWN_VERSIONS.contains(&version))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream, duplex};

    use super::*;
    use crate::{
        domain::{PrincipalId, SystemEntropy},
        identity::Principal,
    };

    /// The pipe, and the agent's two ends of it.
    fn pipe() -> (Pipe<DuplexStream, DuplexStream>, DuplexStream, BufReader<DuplexStream>) {
        let (agent_writes, we_read) = duplex(1 << 20);
        let (we_write, agent_reads) = duplex(1 << 20);
        let id = PrincipalId::mint(&SystemEntropy);
        let principal = Principal { id, client: ClientName::default() };
        let pipe = Pipe {
            lines: AsyncRwTransport::new(we_read, we_write),
            caller: Caller::Known { principal, session: None, admission: None },
            has_begun: true,
            answering: HashSet::new(),
            full_since: None,
            unread: Arc::new(Semaphore::new(UNREAD)),
            left: CancellationToken::new(),
        };
        (pipe, agent_writes, BufReader::new(agent_reads))
    }

    fn request(id: u64) -> String {
        format!("{}\n", json!({ "jsonrpc": "2.0", "id": id, "method": "tools/list" }))
    }

    fn answer(id: i64) -> ServerJsonRpcMessage {
        ServerJsonRpcMessage::error(
            ErrorData::internal_error("x", None),
            Some(RequestId::Number(id)),
        )
    }

    async fn line(agent: &mut BufReader<DuplexStream>) -> Value {
        let mut line = String::new();
        agent.read_line(&mut line).await.unwrap();
        serde_json::from_str(&line).unwrap()
    }

    fn id(message: Option<&ClientJsonRpcMessage>) -> Value {
        serde_json::to_value(message).unwrap()["id"].clone()
    }

    #[tokio::test(start_paused = true)]
    async fn one_request_too_many_waits_and_is_then_turned_away() {
        let (mut pipe, mut agent, mut shown) = pipe();
        for id in 1..=34 {
            agent.write_all(request(id).as_bytes()).await.unwrap();
        }
        for _ in 0..OF_ONE {
            assert!(pipe.receive().await.is_some());
        }
        assert!(timeout(PATIENCE / 2, pipe.receive()).await.is_err(), "it waits for a place");
        pipe.send(answer(7)).await.unwrap();
        assert_eq!(id(pipe.receive().await.as_ref()), 33);
        assert_eq!(line(&mut shown).await["id"], 7);
        // Nothing is answered for so long that the next is not kept waiting.
        assert!(timeout(PATIENCE * 2, pipe.receive()).await.is_err(), "nothing else is there");
        let told = line(&mut shown).await;
        assert_eq!((&told["id"], &told["error"]["code"]), (&json!(34), &json!(-32000)), "{told}");
        // A cancelled one is not answered: its place is free.
        let cancelled = json!({
            "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 3 },
        });
        agent.write_all(format!("{cancelled}\n{}", request(35)).as_bytes()).await.unwrap();
        assert!(matches!(pipe.receive().await, Some(JsonRpcMessage::Notification(_))));
        assert_eq!(id(pipe.receive().await.as_ref()), 35);
    }

    #[tokio::test]
    async fn an_id_that_is_still_being_answered_is_not_taken_again() {
        let (mut pipe, mut agent, _shown) = pipe();
        let lines = [1, 1, 2].map(request).concat();
        agent.write_all(lines.as_bytes()).await.unwrap();
        assert_eq!(id(pipe.receive().await.as_ref()), 1);
        assert_eq!(id(pipe.receive().await.as_ref()), 2);
        pipe.send(answer(1)).await.unwrap();
        agent.write_all(request(1).as_bytes()).await.unwrap();
        assert_eq!(id(pipe.receive().await.as_ref()), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn an_agent_that_reads_nothing_is_taken_for_gone() {
        let (mut pipe, mut agent, shown) = pipe();
        let kept: Vec<_> =
            (0..UNREAD).map(|_| pipe.unread.clone().try_acquire_owned().unwrap()).collect();
        agent.write_all(request(1).as_bytes()).await.unwrap();
        assert!(timeout(UNREAD_PATIENCE / 2, pipe.receive()).await.is_err());
        drop(kept);
        assert_eq!(id(pipe.receive().await.as_ref()), 1);
        pipe.send(answer(1)).await.unwrap();
        let _kept: Vec<_> =
            (0..UNREAD).map(|_| pipe.unread.clone().try_acquire_owned().unwrap()).collect();
        assert!(pipe.receive().await.is_none());
        assert!(pipe.left.is_cancelled());
        drop(shown);
    }

    #[tokio::test(start_paused = true)]
    async fn who_calls_is_said_with_every_request() {
        let (mut pipe, mut agent, _shown) = pipe();
        pipe.has_begun = false;
        let early = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        agent.write_all(format!("{early}\n{}", request(1)).as_bytes()).await.unwrap();
        let Some(JsonRpcMessage::Request(first)) = pipe.receive().await else {
            panic!("no request")
        };
        assert!(first.request.extensions().get::<Caller>().is_some());
        assert!(!pipe.has_begun, "a request that tells no version begins nothing");
        drop(agent);
        assert!(timeout(PATIENCE, pipe.receive()).await.is_err(), "an answer is to come");
        assert!(pipe.left.is_cancelled());
        pipe.send(answer(1)).await.unwrap();
        assert!(pipe.receive().await.is_none());
    }
}
