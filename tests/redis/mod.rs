//! A Redis server of a test's own, on a free port, with an append-only file.
//!
//! Where no `redis-server` is installed such tests are skipped, and say so; with `CI=true` (as
//! `.ci/run` has it) they fail.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "shared by programs that each use a part; a test stops at the first surprise"
)]

use std::{
    env,
    io::{self, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// A running server; killed when dropped.
pub struct RedisServer {
    folder: TempDir,
    port: u16,
    process: Option<Child>,
}

impl RedisServer {
    /// Starts one. `None`: none is installed, and the test is to be skipped.
    pub fn start() -> Option<Self> {
        for _ in 0..20 {
            let folder = tempfile::tempdir().unwrap();
            // Free at this moment; another program may still be faster.
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let process = match spawn(port, folder.path()) {
                Ok(process) => process,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return skipped(),
                Err(error) => panic!("redis-server cannot be started: {error}"),
            };
            let mut server = Self { folder, port, process: Some(process) };
            if server.answers() {
                return Some(server);
            }
        }
        panic!("redis-server does not start");
    }

    /// What `STORE_URL` names.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// SIGKILL: nothing is finished, nothing is told.
    pub fn kill(&mut self) {
        let mut process = self.process.take().expect("it runs");
        process.kill().unwrap();
        process.wait().unwrap();
    }

    /// Starts it again on the same port and the same files.
    pub fn restart(&mut self) {
        assert!(self.process.is_none(), "it runs still");
        self.process = Some(spawn(self.port, self.folder.path()).unwrap());
        assert!(self.answers(), "redis-server does not come back");
    }

    /// Sends an inline command and reads what comes at once; for a look from outside.
    pub fn ask(&self, command: &str) -> String {
        let mut socket = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        write!(socket, "{command}\r\nQUIT\r\n").unwrap();
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Everything it has written to its files.
    pub fn files(&self) -> Vec<u8> {
        fn read(folder: &Path, into: &mut Vec<u8>) {
            for entry in folder.read_dir().unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    read(&path, into);
                } else {
                    into.extend(std::fs::read(path).unwrap());
                }
            }
        }
        let mut bytes = Vec::new();
        read(self.folder.path(), &mut bytes);
        bytes
    }

    /// Whether it is up; false if it has ended by itself, as it does when the port is taken.
    fn answers(&mut self) -> bool {
        let process = self.process.as_mut().unwrap();
        let end = Instant::now() + Duration::from_secs(30);
        while Instant::now() < end {
            if process.try_wait().unwrap().is_some() {
                return false;
            }
            if let Ok(mut socket) = TcpStream::connect(("127.0.0.1", self.port)) {
                socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
                let mut answer = [0; 5];
                let asked = socket.write_all(b"PING\r\n");
                if asked.and_then(|()| socket.read_exact(&mut answer)).is_ok()
                    && answer == *b"+PONG"
                {
                    return true;
                }
            }
            thread::sleep(Duration::from_millis(5));
        }
        panic!("redis-server does not answer");
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

fn spawn(port: u16, folder: &Path) -> io::Result<Child> {
    Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--daemonize", "no"])
        .args(["--save", "", "--appendonly", "yes", "--maxmemory-policy", "noeviction"])
        .arg("--dir")
        .arg(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
}

fn skipped<T>() -> Option<T> {
    let how = "redis-server is not installed (apt-get install redis-server)";
    assert!(env::var("CI").is_err(), "{how}");
    // Past the test program's capture, so that it is seen.
    let name = thread::current().name().unwrap_or("a test").to_owned();
    let _ = writeln!(io::stderr(), "SKIPPED {name}: {how}");
    None
}
