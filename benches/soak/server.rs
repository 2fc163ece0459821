//! The server under measurement: a process of its own, and what the system says of it.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::BufRead as _,
    path::PathBuf,
    process::Stdio,
    sync::Arc,
};

use chrono::TimeDelta;
use pr_summarizer::{
    app::App,
    config::{self, Environment},
    domain::{Clock as _, ManualClock, SystemClock, SystemEntropy},
};
use tempfile::TempDir;
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpStream},
    process::{Child, Command},
    sync::oneshot,
    time::{Duration, Instant},
};

use crate::fakes::{FakeLlm, FakeScalekit, World};

/// Where the process that [`serve_until_told`] runs in finds its port.
const PORT: &str = "PORT";

pub struct Server {
    pub world: World,
    pub origin: String,
    process: Child,
    state: TempDir,
}

/// By which clock it lives.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The program itself.
    Machine,
    /// This executable as a server, with a clock that is moved.
    Hand,
}

impl Server {
    pub async fn start(world: World, by: By) -> Self {
        let port = free_port().await;
        let state = tempfile::tempdir().unwrap();
        let environment = BTreeMap::from([
            (PORT, port.to_string()),
            ("STATE_DIR", state.path().display().to_string()),
            ("SCALEKIT_ENVIRONMENT_URL", world.scalekit.url().to_owned()),
            ("SCALEKIT_CLIENT_ID", FakeScalekit::CLIENT_ID.to_owned()),
            ("SCALEKIT_CLIENT_SECRET", FakeScalekit::CLIENT_SECRET.to_owned()),
            ("GITHUB_CONNECTION_NAME", FakeScalekit::CONNECTION_NAME.to_owned()),
            ("OPENAI_BASE_URL", world.llm.url()),
            ("OPENAI_API_KEY", FakeLlm::API_KEY.to_owned()),
            ("RUST_LOG", "warn".to_owned()),
        ]);
        let (program, arguments) = match by {
            By::Machine => (PathBuf::from(env!("CARGO_BIN_EXE_pr-summarizer")), None),
            By::Hand => (std::env::current_exe().unwrap(), Some("serve")),
        };
        let log = File::create(state.path().join("log")).unwrap();
        let process = Command::new(program)
            .args(arguments)
            .env_clear()
            .envs(&environment)
            .current_dir(state.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            assert!(begun.elapsed() < Duration::from_secs(30), "the server does not start");
            pause(Duration::from_millis(20)).await;
        }
        Self { world, origin: format!("http://127.0.0.1:{port}"), process, state }
    }

    pub fn address(&self) -> String {
        self.origin.trim_start_matches("http://").to_owned()
    }

    /// Moves the clock of a server that lives by hand.
    pub async fn advance(&mut self, hours: u32) {
        let told = format!("{hours}\n");
        self.process.stdin.as_mut().unwrap().write_all(told.as_bytes()).await.unwrap();
    }

    /// Resident memory in KiB.
    pub fn resident(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Open descriptors.
    pub fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.pid())).unwrap().count()
    }

    /// What the log says of panics.
    pub fn panics(&self) -> usize {
        let log = fs::read_to_string(self.state.path().join("log")).unwrap();
        log.lines().filter(|line| line.contains("panicked")).count()
    }

    /// The size of the store in KiB.
    pub fn stored(&self) -> u64 {
        let size = |name: &str| fs::metadata(self.state.path().join(name)).map_or(0, |m| m.len());
        (size("store.db") + size("store.db-wal")) / 1024
    }

    pub fn pid(&self) -> u32 {
        self.process.id().expect("it runs")
    }
}

/// The largest of what is measured while this lives.
pub struct Peak(tokio::task::JoinHandle<u64>, oneshot::Sender<()>);

impl Peak {
    pub fn of(pid: u32) -> Self {
        let (stop, mut stopped) = oneshot::channel();
        let watching = tokio::spawn(async move {
            let mut most = 0;
            loop {
                if let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) {
                    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
                    let now = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
                    most = most.max(now.unwrap_or(0));
                }
                let moment = Duration::from_millis(50);
                if tokio::time::timeout(moment, &mut stopped).await.is_ok() {
                    return most;
                }
            }
        });
        Self(watching, stop)
    }

    pub async fn end(self) -> u64 {
        let _ = self.1.send(());
        self.0.await.unwrap()
    }
}

/// Waits: a measurement has nothing else to wait for than time.
pub async fn pause(time: Duration) {
    tokio::time::sleep_until(Instant::now() + time).await;
}

async fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    listener.local_addr().unwrap().port()
}

/// The server in this process: each line of standard input moves its clock by so many hours, its
/// end ends it.
pub async fn serve_until_told() {
    let settings = config::load(&Environment::of_process()).unwrap();
    let clock = ManualClock::new(SystemClock.now());
    let moved = clock.clone();
    let app = App::bind(settings, Arc::new(clock), Arc::new(SystemEntropy)).await.unwrap();
    let (end, ended) = oneshot::channel::<()>();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            moved.advance(TimeDelta::hours(line.trim().parse().unwrap()));
        }
        let _ = end.send(());
    });
    app.serve(async {
        let _ = ended.await;
    })
    .await;
}
