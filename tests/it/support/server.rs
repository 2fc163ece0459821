//! Starts the server as `main` does, but with a clock that tests move and a port of their own.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{ExitStatus, Output, Stdio},
    sync::Arc,
};

use pr_summarizer::{
    app::App,
    config::{self, Environment},
    domain::{Clock as _, ManualClock, SystemClock, SystemEntropy},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    net::TcpListener,
    process::{Child, Command},
    sync::oneshot,
    task::JoinHandle,
};

use super::{Agent, Pipe, assert_tells_nothing};
use crate::fakes::{FakeLlm, FakeScalekit, World, WorldBuilder, canaries};

/// A running server, and the worlds around it.
pub struct Server {
    pub world: World,
    pub clock: ManualClock,
    port: u16,
    environment: BTreeMap<String, String>,
    state: TempDir,
    running: Running,
    log: Arc<std::sync::Mutex<String>>,
}

/// As a task of this process, with the test's clock; or as the program itself, which can be killed.
enum Running {
    Task { stop: oneshot::Sender<()>, task: JoinHandle<()> },
    Program(Child),
    Nothing,
}

/// How it shall be started.
pub struct ServerBuilder {
    world: Option<WorldBuilder>,
    environment: BTreeMap<String, String>,
    clock: ManualClock,
    as_program: bool,
}

impl Server {
    /// Session mode, Scalekit with custom verification, an LLM.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    pub fn builder() -> ServerBuilder {
        let clock = ManualClock::new(SystemClock.now());
        ServerBuilder { world: None, environment: BTreeMap::new(), clock, as_program: false }
    }

    /// The one origin of all links.
    pub fn origin(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin())
    }

    /// An MCP client of 2025-11-25, with a session.
    pub async fn agent(&self) -> Agent {
        Agent::legacy(&self.url("/mcp")).await
    }

    /// An MCP client of 2026-07-28, without sessions.
    pub fn modern_agent(&self) -> Agent {
        Agent::modern(&self.url("/mcp"), false)
    }

    /// The same, which declares that it can open links.
    pub fn asking_agent(&self) -> Agent {
        Agent::modern(&self.url("/mcp"), true)
    }

    /// Changes a setting for the next start.
    pub fn set(&mut self, name: &str, value: &str) {
        self.environment.insert(name.to_owned(), value.to_owned());
    }

    /// The process, where the program itself runs.
    pub fn pid(&self) -> Option<u32> {
        match &self.running {
            Running::Program(program) => program.id(),
            Running::Task { .. } | Running::Nothing => None,
        }
    }

    /// What the program has logged since its first start.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// A person's local key, where the mode has one.
    pub fn local_key(&self) -> String {
        std::fs::read_to_string(self.state.path().join("local-key")).unwrap().trim().to_owned()
    }

    /// Where the store and the keys are.
    pub fn state(&self) -> &Path {
        self.state.path()
    }

    /// Stops as on SIGTERM and starts again on the same port and the same state folder.
    pub async fn restart(&mut self) {
        self.stop().await;
        let listener = TcpListener::bind(("127.0.0.1", self.port)).await.unwrap();
        self.run_on(listener).await;
    }

    pub async fn stop(&mut self) {
        match std::mem::replace(&mut self.running, Running::Nothing) {
            Running::Task { stop, task } => {
                let _ = stop.send(());
                task.await.unwrap();
            }
            Running::Program(_) | Running::Nothing => panic!("no task is running"),
        }
    }

    /// Stops, and starts as the program itself on the same port and the same state folder.
    pub async fn restart_as_program(&mut self) {
        self.stop().await;
        self.run_program().await;
    }

    /// Kills the program (SIGKILL): nothing is finished, nothing is told.
    pub async fn kill_and_restart(&mut self) {
        match std::mem::replace(&mut self.running, Running::Nothing) {
            Running::Program(mut program) => program.kill().await.unwrap(),
            Running::Task { .. } | Running::Nothing => panic!("no program is running"),
        }
        self.run_program().await;
    }

    /// Runs the program beside the server, with its settings and these arguments, to its end.
    pub async fn run(&self, arguments: &[&str]) -> Output {
        let output = self.command().args(arguments).output().await.unwrap();
        assert_tells_nothing(&String::from_utf8_lossy(&output.stderr));
        assert_tells_nothing(&String::from_utf8_lossy(&output.stdout));
        output
    }

    /// The program over standard input and output beside the server, with its settings but for the
    /// port; in a world of its own when the store is.
    pub fn pipe(&self, settings: &[(&str, &str)]) -> Pipe {
        let mut program = self.command();
        program.env_remove("PORT").envs(settings.iter().copied());
        Pipe::start(program)
    }

    /// The program with these settings; its streams are the caller's.
    pub fn command(&self) -> Command {
        let mut program = Command::new(program());
        // A log at its loudest must not tell more of anybody.
        program
            .env_clear()
            .env("RUST_LOG", "trace")
            .envs(&self.environment)
            .current_dir(self.state.path());
        program
    }

    /// Tells the program to stop (SIGTERM).
    pub async fn tell_to_stop(&self) {
        let pid = self.pid().expect("the program runs").to_string();
        let told = Command::new("kill").args(["-TERM", &pid]).status().await.unwrap();
        assert!(told.success());
    }

    /// Returns when the program has ended by itself, and says how.
    pub async fn ended(&mut self) -> ExitStatus {
        match std::mem::replace(&mut self.running, Running::Nothing) {
            Running::Program(mut program) => program.wait().await.unwrap(),
            Running::Task { .. } | Running::Nothing => panic!("no program is running"),
        }
    }

    async fn run_on(&mut self, listener: TcpListener) {
        let settings = config::load(&Environment::of(self.environment.clone())).unwrap();
        let clock = Arc::new(self.clock.clone());
        let app = App::on(listener, settings, clock, Arc::new(SystemEntropy)).await.unwrap();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            let told = async {
                let _ = stopped.await;
            };
            app.serve(told).await;
        });
        self.running = Running::Task { stop, task };
    }

    async fn run_program(&mut self) {
        let mut program = self.command().stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let mut log = BufReader::new(program.stderr.take().unwrap()).lines();
        loop {
            let line = log.next_line().await.unwrap().expect("the program ended by itself");
            {
                let mut kept = self.log.lock().unwrap();
                kept.push_str(&line);
                kept.push('\n');
            }
            if line.contains("serving MCP") {
                break;
            }
        }
        // A full pipe would stop the program.
        let kept = Arc::clone(&self.log);
        tokio::spawn(async move {
            while let Ok(Some(line)) = log.next_line().await {
                let mut kept = kept.lock().unwrap();
                kept.push_str(&line);
                kept.push('\n');
            }
        });
        self.running = Running::Program(program);
    }
}

/// The program: the one that cargo has built with the tests, or another build of it, named in `PROGRAM`.
pub fn program() -> PathBuf {
    let named = std::env::var_os("PROGRAM").map(PathBuf::from);
    named.unwrap_or_else(|| env!("CARGO_BIN_EXE_pr-summarizer").into())
}

impl ServerBuilder {
    /// Other worlds than the usual.
    pub fn world(mut self, world: WorldBuilder) -> Self {
        self.world = Some(world);
        self
    }

    /// A setting, as in the environment; an empty value unsets it.
    pub fn set(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.insert(name.to_owned(), value.into());
        self
    }

    /// As the program itself, by the machine's clock.
    pub fn program(mut self) -> Self {
        self.as_program = true;
        self
    }

    pub async fn start(self) -> Server {
        canaries::listen();
        let clock = Arc::new(self.clock.clone());
        let world = self.world.unwrap_or_else(World::builder).clock(clock).start().await;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = tempfile::tempdir().unwrap();
        let mut environment = BTreeMap::from(
            [
                ("PORT", port.to_string()),
                ("STATE_DIR", state.path().display().to_string()),
                ("SCALEKIT_ENVIRONMENT_URL", world.scalekit.url().to_owned()),
                ("SCALEKIT_CLIENT_ID", FakeScalekit::CLIENT_ID.to_owned()),
                ("SCALEKIT_CLIENT_SECRET", FakeScalekit::CLIENT_SECRET.to_owned()),
                ("GITHUB_CONNECTION_NAME", FakeScalekit::CONNECTION_NAME.to_owned()),
                ("OPENAI_BASE_URL", world.llm.url()),
                ("OPENAI_API_KEY", FakeLlm::API_KEY.to_owned()),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        );
        // `GITHUB_TOKEN` and the like, where a test wants them from this world.
        for (name, value) in self.environment {
            let value = value
                .replace("{github}", world.github.url())
                .replace("{token:octocat}", &world.github.token_of("octocat"));
            environment.insert(name, value);
        }
        for name in ["SESSION_SECRET", "METRICS_TOKEN", "LOCAL_KEY", "GITHUB_TOKEN"] {
            canaries::note(name, environment.get(name).map_or("", String::as_str));
        }
        let mut server = Server {
            world,
            clock: self.clock,
            port,
            environment,
            state,
            running: Running::Nothing,
            log: Arc::default(),
        };
        if self.as_program {
            drop(listener);
            server.run_program().await;
        } else {
            server.run_on(listener).await;
        }
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Running::Task { task, .. } = &self.running {
            assert!(!task.is_finished() || std::thread::panicking(), "the server ended by itself");
            task.abort();
        }
        if !std::thread::panicking() {
            assert_tells_nothing(&self.log());
        }
    }
}
