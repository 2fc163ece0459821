//! Fake Scalekit, GitHub and LLM: three stateful worlds that speak real HTTP on loopback ports.
//!
//! They are written from the services' published wires, not from what our program happens to send:
//! whatever nobody documented is recorded as unexpected, answered 501, and fails the test when the
//! [`World`] is asserted or dropped. The integration tests and the quickstart share them.

#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::result_large_err,
    clippy::unnecessary_wraps,
    reason = "shared by programs that each use a part; a fake that is wrong must fail at once"
)]

pub mod browser;
pub mod canaries;
pub mod door;
pub mod github;
pub mod llm;
pub mod scalekit;
mod spoiled;
pub mod story;
pub mod traffic;

use std::sync::Arc;

use pr_summarizer::domain::{Clock, SystemClock};
use tokio::{net::TcpListener, task::JoinHandle};

pub use self::{
    browser::{Browser, Page},
    door::Door,
    github::{
        FakeGitHub,
        diff::{Change, FileChange},
        model::{Person, PullRequest, Repository},
    },
    llm::{Behaviour, FakeLlm},
    scalekit::{
        DeletionMode, DenialMode, FakeScalekit, LinkUse, ProxyMode, TokenStorage, VerificationMode,
    },
    traffic::{Call, Fault, Gate, Match, Sent},
};

/// All three, each on a port of its own.
pub struct World {
    pub scalekit: FakeScalekit,
    pub github: FakeGitHub,
    pub llm: FakeLlm,
    servers: Vec<JoinHandle<()>>,
}

/// How the worlds shall be; the defaults are those of a production set-up.
#[must_use]
pub struct WorldBuilder {
    scalekit: scalekit::Settings,
    hosts: Option<(String, String)>,
    people: Vec<Person>,
    repositories: Vec<Repository>,
    prose: Vec<(String, String)>,
    clock: Arc<dyn Clock>,
}

impl World {
    /// The story's people and repository, Scalekit as in production.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    pub fn builder() -> WorldBuilder {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        WorldBuilder {
            scalekit: scalekit::Settings::default(),
            hosts: None,
            people: story::people(),
            repositories: vec![story::repository(clock.now())],
            prose: story::prose(),
            clock,
        }
    }

    /// Panics if any of the worlds was asked something unexpected.
    pub fn assert_clean(&self) {
        let unexpected = self.take_unexpected();
        assert!(unexpected.is_empty(), "{}", unexpected.join("\n"));
    }

    /// What was unexpected so far; forgets it.
    pub fn take_unexpected(&self) -> Vec<String> {
        [self.scalekit.take_unexpected(), self.github.take_unexpected(), self.llm.take_unexpected()]
            .concat()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for server in &self.servers {
            server.abort();
        }
        if !std::thread::panicking() {
            self.assert_clean();
        }
    }
}

impl WorldBuilder {
    /// The dashboard's user verification setting.
    pub fn verification(mut self, mode: VerificationMode) -> Self {
        self.scalekit.verification = mode;
        self
    }

    /// Where Scalekit keeps a GitHub token that nobody has verified yet.
    pub fn token_storage(mut self, storage: TokenStorage) -> Self {
        self.scalekit.token_storage = storage;
        self
    }

    /// Whether the environment's proxy is on.
    pub fn proxy(mut self, mode: ProxyMode) -> Self {
        self.scalekit.proxy = mode;
        self
    }

    /// Whether a denial at GitHub comes back to `user_verify_url`.
    pub fn denial(mut self, mode: DenialMode) -> Self {
        self.scalekit.denial = mode;
        self
    }

    /// What deleting a connected account revokes at GitHub.
    pub fn deletion(mut self, mode: DeletionMode) -> Self {
        self.scalekit.deletion = mode;
        self
    }

    /// Whether a verification for the wrong identifier uses up the authorization request.
    pub fn mismatch_consumes(mut self, consumes: bool) -> Self {
        self.scalekit.mismatch_consumes = consumes;
        self
    }

    /// Host names (without port) that browsers see instead of 127.0.0.1, so that they are several
    /// sites: `hosts("scalekit.test", "github.test")`. [`Browser`] finds every name on loopback.
    pub fn hosts(mut self, scalekit: &str, github: &str) -> Self {
        self.hosts = Some((scalekit.to_owned(), github.to_owned()));
        self
    }

    /// Who has a GitHub account, instead of the story's three.
    pub fn people(mut self, people: Vec<Person>) -> Self {
        self.people = people;
        self
    }

    /// What GitHub hosts, instead of the story's repository.
    pub fn repositories(mut self, repositories: Vec<Repository>) -> Self {
        self.repositories = repositories;
        self
    }

    /// The worlds' time: links and tokens expire by it.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    pub async fn start(self) -> World {
        canaries::note("secret of Scalekit", FakeScalekit::CLIENT_SECRET);
        canaries::note("secret of the model", FakeLlm::API_KEY);
        canaries::note_texts(&self.repositories);
        let (scalekit_port, github_port, llm_port) = (bind().await, bind().await, bind().await);
        let origins = |listener: &TcpListener, name: Option<&String>| {
            let port = listener.local_addr().expect("an address").port();
            let public = name.map_or("127.0.0.1", String::as_str);
            (format!("http://127.0.0.1:{port}"), format!("http://{public}:{port}"))
        };
        let names = self.hosts.as_ref();
        let (url, public) = origins(&github_port, names.map(|(_, github)| github));
        let clock = Arc::clone(&self.clock);
        let github = FakeGitHub::new(url, public, clock, self.people, self.repositories);
        let (url, public) = origins(&scalekit_port, names.map(|(scalekit, _)| scalekit));
        let scalekit = FakeScalekit::new(url, public, self.scalekit, self.clock, github.clone());
        let llm = FakeLlm::new(origins(&llm_port, None).0, self.prose);
        let servers =
            vec![github.serve(github_port), scalekit.serve(scalekit_port), llm.serve(llm_port)];
        World { scalekit, github, llm, servers }
    }
}

async fn bind() -> TcpListener {
    TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port on loopback")
}
