//! The program over standard input and output, as a host starts it.

use std::{
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use super::{Answer, mark_as_modern};

/// What the program is started with, and what it says.
pub struct Pipe {
    program: Child,
    input: Option<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
    log: Arc<Mutex<String>>,
    era: Stream,
    next_id: u64,
}

/// Which protocol is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    Legacy,
    Modern { asks: bool },
}

impl Pipe {
    pub fn start(mut program: Command) -> Self {
        let mut program = program
            .arg("stdio")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let mut lines = BufReader::new(program.stderr.take().unwrap()).lines();
        let kept = Arc::clone(&log);
        // A full pipe would stop the program.
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                let mut kept = kept.lock().unwrap();
                kept.push_str(&line);
                kept.push('\n');
            }
        });
        Self {
            input: program.stdin.take(),
            output: BufReader::new(program.stdout.take().unwrap()).lines(),
            program,
            log,
            era: Stream::Legacy,
            next_id: 1,
        }
    }

    /// Speaks this protocol from now on; the older one begins with `initialize`.
    pub async fn speaking(mut self, era: Stream) -> Self {
        self.era = era;
        if era == Stream::Legacy {
            let answer = self.initialize().await;
            assert_eq!(answer["result"]["serverInfo"]["name"], "pr-summarizer");
            self.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).await;
        }
        self
    }

    /// The answer to `initialize`, which is the first thing the program says.
    pub async fn initialize(&mut self) -> Value {
        let message = json!({
            "jsonrpc": "2.0", "id": 0, "method": "initialize",
            "params": {
                "protocolVersion": "2025-11-25",
                "capabilities": {},
                "clientInfo": { "name": "Piped Agent", "version": "1" },
            },
        });
        self.send(&message).await;
        let answer = self.next().await;
        assert_eq!(answer["id"], 0);
        answer
    }

    pub async fn send(&mut self, message: &Value) {
        self.write(format!("{message}\n").as_bytes()).await;
    }

    pub async fn write(&mut self, bytes: &[u8]) {
        self.input.as_mut().expect("standard input is open").write_all(bytes).await.unwrap();
    }

    /// The next message; anything else on standard output fails the test.
    pub async fn next(&mut self) -> Value {
        let line = self.output.next_line().await.unwrap();
        let line = line.unwrap_or_else(|| panic!("the output ended; the log: {}", self.log()));
        message(&line)
    }

    /// Sends a request and gives its id.
    pub async fn request(&mut self, method: &str, params: Value) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        let mut message = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        if let Stream::Modern { asks } = self.era {
            mark_as_modern(&mut message, asks);
        }
        self.send(&message).await;
        id
    }

    /// Begins a call of a tool that reports its progress.
    pub async fn begin(&mut self, tool: &str, arguments: Value) -> u64 {
        let token = format!("progress-{}", self.next_id);
        let meta = json!({ "progressToken": token });
        let params = json!({ "name": tool, "arguments": arguments, "_meta": meta });
        self.request("tools/call", params).await
    }

    /// The answer to the request of this id, with the progress that came before it.
    pub async fn answer(&mut self, id: u64) -> Answer {
        let mut progress = Vec::new();
        loop {
            let message = self.next().await;
            if message["method"] == "notifications/progress" {
                progress.push(message);
            } else {
                assert_eq!(message["id"], id, "{message}");
                return Answer::of(&message, progress);
            }
        }
    }

    pub async fn call(&mut self, tool: &str, arguments: Value) -> Answer {
        let id = self.begin(tool, arguments).await;
        self.answer(id).await
    }

    pub fn pid(&self) -> u32 {
        self.program.id().expect("the program runs")
    }

    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// The host closes its end, as when it quits.
    pub fn leave(&mut self) {
        drop(self.input.take());
    }

    /// Waits for the end; gives how it ended, and the messages that still came.
    pub async fn ended(mut self) -> (ExitStatus, Vec<Value>) {
        let mut rest = String::new();
        let output = self.output.get_mut();
        output.read_to_string(&mut rest).await.unwrap();
        let status = self.program.wait().await.unwrap();
        (status, rest.lines().map(message).collect())
    }
}

fn message(line: &str) -> Value {
    let message: Value =
        serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON on standard output: {line}"));
    assert_eq!(message["jsonrpc"], "2.0", "{line}");
    message
}
