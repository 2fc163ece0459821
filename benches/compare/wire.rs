//! The client: one connection that is kept, and the same bytes again and again.
//!
//! Client and servers share the processors, so the client does no more than it must: it writes a
//! request that was made once, and reads to the end of the answer (RFC 9112, sections 6 and 7).

use std::{net::SocketAddr, time::Duration};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// What no answer takes on a machine that is merely busy.
const PATIENCE: Duration = Duration::from_secs(30);

/// One connection.
pub struct Wire {
    stream: TcpStream,
    received: Vec<u8>,
}

/// An answer as it came: its head is `..body`, in ASCII.
struct Received {
    status: u16,
    body: usize,
    whole: usize,
}

/// A client that has introduced itself, and what it sends with every request.
#[derive(Clone)]
pub struct Seat {
    pub address: SocketAddr,
    headers: String,
}

impl Seat {
    /// `initialize` and `notifications/initialized`, as clients up to 2025-11-25 begin. `token` is for servers
    /// that want one.
    pub async fn take(address: SocketAddr, token: Option<&str>) -> Self {
        let mut seat = Self::unseated(address, token);
        let mut wire = Wire::open(address).await;
        let (head, _) = wire.exchange(&seat.request(&initialize())).await;
        if let Some(id) = header(&head, "mcp-session-id") {
            seat.headers += &["mcp-session-id: ", id, "\r\n"].concat();
        }
        seat.headers.push_str("mcp-protocol-version: 2025-11-25\r\n");
        let ready = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        wire.exchange(&seat.request(&ready)).await;
        seat
    }

    /// A client that has not introduced itself.
    pub fn unseated(address: SocketAddr, token: Option<&str>) -> Self {
        let token = token.map(|token| format!("authorization: Bearer {token}\r\n"));
        Self { address, headers: token.unwrap_or_default() }
    }

    /// The bytes of a request with this message.
    pub fn request(&self, message: &Value) -> Vec<u8> {
        let (body, address) = (message.to_string(), self.address);
        let mut request = format!(
            "POST /mcp HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
             accept: application/json, text/event-stream\r\ncontent-length: {}\r\n{}\r\n",
            body.len(),
            self.headers
        )
        .into_bytes();
        request.extend_from_slice(body.as_bytes());
        request
    }

    /// The result of a method; a surprise ends the measurement.
    pub async fn ask(&self, method: &str, params: Value) -> Value {
        let message = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let (_, body) = Wire::open(self.address).await.exchange(&self.request(&message)).await;
        let answer = result(&body);
        assert!(answer["isError"] != true && !answer.is_null(), "{method}: {body}");
        answer
    }
}

/// What clients begin with.
pub fn initialize() -> Value {
    json!({
        "jsonrpc": "2.0", "id": 0, "method": "initialize",
        "params": {
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": { "name": "compare", "version": "1" },
        },
    })
}

/// The result of a JSON-RPC answer, sent as JSON or as the last event of a stream.
fn result(body: &str) -> Value {
    let text = body.lines().rev().find_map(|line| {
        let event = line.strip_prefix("data:")?.trim();
        (!event.is_empty()).then_some(event)
    });
    let answer: Value = serde_json::from_str(text.unwrap_or(body).trim())
        .unwrap_or_else(|error| panic!("{error}: {body}"));
    answer["result"].clone()
}

impl Wire {
    pub async fn open(address: SocketAddr) -> Self {
        Self::try_open(address).await.expect("the server listens")
    }

    /// `None`: nobody listens yet.
    pub async fn try_open(address: SocketAddr) -> Option<Self> {
        let stream = TcpStream::connect(address).await.ok()?;
        stream.set_nodelay(true).ok()?;
        Some(Self { stream, received: Vec::with_capacity(32 * 1024) })
    }

    /// Sends, and reads the answer to its end: head and body.
    pub async fn exchange(&mut self, request: &[u8]) -> (String, String) {
        let received = self.round(request).await;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (head, body) =
            (text(&self.received[..received.body]), &self.received[received.body..received.whole]);
        let body = if is_chunked(&head) { unchunked(body) } else { body.to_vec() };
        assert!((200..300).contains(&received.status), "{head}{}", text(&body));
        (head, text(&body))
    }

    /// Sends, and waits for the end of a good answer without looking at it.
    pub async fn repeat(&mut self, request: &[u8]) {
        let received = self.round(request).await;
        assert_eq!(received.status, 200, "{}", String::from_utf8_lossy(&self.received));
    }

    async fn round(&mut self, request: &[u8]) -> Received {
        self.stream.write_all(request).await.expect("the connection holds");
        self.received.clear();
        loop {
            let read = self.stream.read_buf(&mut self.received);
            let count = timeout(PATIENCE, read).await.expect("an answer").expect("a connection");
            assert!(count > 0, "cut off: {}", String::from_utf8_lossy(&self.received));
            if let Some(received) = complete(&self.received) {
                return received;
            }
        }
    }
}

/// Whether an answer is there to its end.
fn complete(bytes: &[u8]) -> Option<Received> {
    let end = b"\r\n\r\n";
    let body = bytes.windows(end.len()).position(|window| window == end)? + end.len();
    let head = std::str::from_utf8(&bytes[..body]).expect("ASCII");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    let has_body = !matches!(status, 202 | 204);
    let whole = match header(head, "content-length") {
        Some(length) => body + length.parse::<usize>().expect("a length"),
        None if is_chunked(head) => {
            let last = b"0\r\n\r\n";
            bytes[body..].ends_with(last).then_some(bytes.len())?
        }
        None if has_body => panic!("an answer without an end: {head}"),
        None => body,
    };
    (bytes.len() >= whole).then_some(Received { status, body, whole })
}

fn is_chunked(head: &str) -> bool {
    header(head, "transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"))
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

fn unchunked(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(end) = body.windows(2).position(|window| window == b"\r\n") {
        let size = std::str::from_utf8(&body[..end]).expect("ASCII");
        let size = usize::from_str_radix(size, 16).expect("a size");
        let start = end + 2;
        if size == 0 {
            break;
        }
        whole.extend_from_slice(&body[start..start + size]);
        body = &body[start + size + 2..];
    }
    whole
}
