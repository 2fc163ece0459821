//! Requests as bytes, good or not, and answers as bytes: no client would send some of these.

use std::{fmt::Write as _, io, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    time::timeout,
};

/// Longer than any answer of ours may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// Stands in JSON for a byte that is not UTF-8.
pub const NOT_UTF8: char = '\u{e000}';
/// Stands in JSON for nothing: a member whose name ends with it is a second one of that name.
pub const DOUBLE: char = '\u{e001}';
/// Stands in JSON for a raw control character, which must be escaped there.
pub const CONTROL: char = '\u{e002}';

/// One request. Names and values of pairs are encoded already, or purposely not.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    pub path: Vec<u8>,
    pub query: Vec<(Vec<u8>, Vec<u8>)>,
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Body,
}

#[derive(Debug, Clone)]
pub enum Body {
    None,
    Form(Vec<(Vec<u8>, Vec<u8>)>),
    Json(Value),
    Raw(Vec<u8>),
}

/// One answer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// Encodes a value for a query or a form.
pub fn encoded(text: &str) -> Vec<u8> {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().into_bytes()
}

/// The pairs of a query or form.
pub fn pairs(fields: &[(&str, &str)]) -> Vec<(Vec<u8>, Vec<u8>)> {
    fields.iter().map(|(name, value)| (name.as_bytes().to_vec(), encoded(value))).collect()
}

fn joined(pairs: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let pairs: Vec<Vec<u8>> = pairs.iter().map(|(n, v)| [n, &b"="[..], v].concat()).collect();
    pairs.join(&b'&')
}

impl Request {
    pub fn new(method: &str, path: &str) -> Self {
        let (method, path) = (method.to_owned(), path.as_bytes().to_vec());
        Self { method, path, query: Vec::new(), headers: Vec::new(), body: Body::None }
    }

    #[must_use]
    pub fn query(mut self, fields: &[(&str, &str)]) -> Self {
        self.query = pairs(fields);
        self
    }

    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.as_bytes().to_vec()));
        self
    }

    #[must_use]
    pub fn form(mut self, fields: &[(&str, &str)]) -> Self {
        self.body = Body::Form(pairs(fields));
        self.header("content-type", "application/x-www-form-urlencoded")
    }

    #[must_use]
    pub fn json(mut self, body: Value) -> Self {
        self.body = Body::Json(body);
        self.header("content-type", "application/json")
    }

    /// The same with another value of a field of its form.
    #[must_use]
    pub fn with_field(mut self, name: &str, value: &str) -> Self {
        if let Body::Form(pairs) = &mut self.body {
            pairs.retain(|(known, _)| known != name.as_bytes());
            pairs.push((name.into(), encoded(value)));
        }
        self
    }

    pub fn header_value(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_slice())
    }

    /// The body's bytes.
    pub fn content(&self) -> Vec<u8> {
        match &self.body {
            Body::None => Vec::new(),
            Body::Form(pairs) => joined(pairs),
            Body::Json(value) => unescaped(&value.to_string()),
            Body::Raw(bytes) => bytes.clone(),
        }
    }

    /// What goes over the wire to the server of this authority.
    pub fn bytes(&self, authority: &str) -> Vec<u8> {
        let mut bytes = [self.method.as_bytes(), b" ", &self.path].concat();
        if !self.query.is_empty() {
            bytes.push(b'?');
            bytes.extend(joined(&self.query));
        }
        bytes.extend(b" HTTP/1.1\r\n");
        if self.header_value("host").is_none() {
            bytes.extend(format!("host: {authority}\r\n").into_bytes());
        }
        for (name, value) in &self.headers {
            // `host` without a value: none at all.
            if !(name == "host" && value.is_empty()) {
                bytes.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
            }
        }
        let content = self.content();
        if !content.is_empty() || !["GET", "HEAD"].contains(&self.method.as_str()) {
            bytes.extend(format!("content-length: {}\r\n", content.len()).into_bytes());
        }
        bytes.extend(b"\r\n");
        bytes.extend(content);
        bytes
    }
}

/// Puts the bytes in that no text can hold.
fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    for c in text.chars() {
        match c {
            NOT_UTF8 => bytes.push(0xff),
            CONTROL => bytes.push(0x01),
            DOUBLE => {}
            c => bytes.extend(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    bytes
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// `text/html` and the like, without parameters.
    pub fn kind(&self) -> &str {
        self.header("content-type").unwrap_or_default().split(';').next().unwrap_or_default()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON, or the last message of a stream of events.
    pub fn json(&self) -> Value {
        if self.kind() == "text/event-stream" {
            let text = self.text();
            let last = text.lines().filter_map(|line| line.strip_prefix("data:")).next_back();
            return last
                .and_then(|data| serde_json::from_str(data.trim()).ok())
                .unwrap_or_default();
        }
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Everything that it tells, for searching.
    pub fn whole(&self) -> String {
        let mut whole = String::new();
        for (name, value) in &self.headers {
            let _ = writeln!(whole, "{name}: {value}");
        }
        whole + "\n" + &self.text()
    }
}

/// One connection, made again when the server has closed it.
pub struct Connection {
    authority: String,
    stream: Option<BufReader<TcpStream>>,
}

impl Connection {
    pub fn new(authority: &str) -> Self {
        Self { authority: authority.to_owned(), stream: None }
    }

    /// Sends a request and reads its answer; `None`: the server closed without one.
    pub async fn send(&mut self, request: &Request) -> Option<Answer> {
        let is_head = request.method == "HEAD";
        self.send_bytes(&request.bytes(&self.authority), is_head).await
    }

    pub async fn send_bytes(&mut self, bytes: &[u8], is_head: bool) -> Option<Answer> {
        let is_old = self.stream.is_some();
        let answer = timeout(PATIENCE, self.exchange(bytes, is_head));
        let answer = answer.await.expect("an answer in time").ok();
        // The server may close a connection that is idle at any moment.
        if answer.is_none() && is_old {
            let again = timeout(PATIENCE, self.exchange(bytes, is_head));
            return again.await.expect("an answer in time").ok();
        }
        answer
    }

    async fn exchange(&mut self, bytes: &[u8], is_head: bool) -> io::Result<Answer> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => BufReader::new(TcpStream::connect(&self.authority).await?),
        };
        // A body that is too long is not read to its end.
        let _ = stream.get_mut().write_all(bytes).await;
        let (answer, keeps) = read(&mut stream, is_head).await?;
        if keeps {
            self.stream = Some(stream);
        }
        Ok(answer)
    }
}

/// Reads one answer, and whether the connection can be used again.
async fn read(stream: &mut BufReader<TcpStream>, is_head: bool) -> io::Result<(Answer, bool)> {
    let malformed = || io::Error::other("no answer of HTTP");
    let first = line(stream).await?;
    let status: u16 = first.split(' ').nth(1).and_then(|s| s.parse().ok()).ok_or_else(malformed)?;
    let mut headers = Vec::new();
    loop {
        let line = line(stream).await?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').ok_or_else(malformed)?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut answer = Answer { status, headers, body: Vec::new() };
    let mut keeps = answer.header("connection") != Some("close");
    if is_head || status == 204 || status == 304 {
        return Ok((answer, keeps));
    }
    if answer.header("transfer-encoding") == Some("chunked") {
        loop {
            let length = line(stream).await?;
            let length = usize::from_str_radix(&length, 16).map_err(|_| malformed())?;
            let start = answer.body.len();
            answer.body.resize(start + length, 0);
            stream.read_exact(&mut answer.body[start..]).await?;
            line(stream).await?;
            if length == 0 {
                break;
            }
        }
    } else if let Some(length) = answer.header("content-length") {
        answer.body.resize(length.parse().map_err(|_| malformed())?, 0);
        stream.read_exact(&mut answer.body).await?;
    } else {
        keeps = false;
        stream.read_to_end(&mut answer.body).await?;
    }
    Ok((answer, keeps))
}

async fn line(stream: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut line = Vec::new();
    if stream.read_until(b'\n', &mut line).await? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
}
