//! The fake worlds, and the real server among them.

use std::{error::Error, fs, io, path::PathBuf, sync::Arc};

use pr_summarizer::{
    app::App,
    config::{self, Environment},
    domain::SystemEntropy,
    telemetry,
};
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};
use url::Url;

use crate::{
    clock::SceneClock,
    fakes::{FakeLlm, FakeScalekit, World},
    host::HostSite,
};

/// Signs what this invented server gives out; nobody else ever holds it.
const SESSION_SECRET: &str = "a-secret-of-an-invented-server-only";

/// In the state folder.
const STDIO_ENV: &str = "stdio.env";

/// How the scene is set.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Staging {
    /// Browsers find Scalekit and GitHub under names of their own.
    pub(crate) several_sites: bool,
    /// The server serves strangers, and a host's site with a client's document is there, too.
    pub(crate) oauth: bool,
}

/// A server that runs, with everything around it.
pub(crate) struct Scene {
    world: World,
    host: Option<HostSite>,
    clock: SceneClock,
    port: u16,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
    /// Removed with its store and keys when the scene ends.
    state: TempDir,
}

/// A port that nobody uses.
pub(crate) async fn any_port() -> io::Result<TcpListener> {
    TcpListener::bind(("127.0.0.1", 0)).await
}

impl Scene {
    /// `logs`: the server's log goes to standard error, as it does in earnest.
    pub(crate) async fn start(
        listener: TcpListener,
        staging: Staging,
        logs: bool,
    ) -> Result<Self, Box<dyn Error>> {
        let clock = SceneClock::default();
        let mut world = World::builder().clock(Arc::new(clock.clone()));
        if staging.several_sites {
            world = world.hosts("scalekit.test", "github.test");
        }
        let world = world.start().await;
        let port = listener.local_addr()?.port();
        let state = tempfile::Builder::new().prefix("pr-summarizer-quickstart-").tempdir()?;
        let host = if staging.oauth { Some(HostSite::open().await?) } else { None };
        let services = [
            ("SCALEKIT_ENVIRONMENT_URL", world.scalekit.url().to_owned()),
            ("SCALEKIT_CLIENT_ID", FakeScalekit::CLIENT_ID.to_owned()),
            ("SCALEKIT_CLIENT_SECRET", FakeScalekit::CLIENT_SECRET.to_owned()),
            ("GITHUB_CONNECTION_NAME", FakeScalekit::CONNECTION_NAME.to_owned()),
            ("OPENAI_BASE_URL", world.llm.url()),
            ("OPENAI_API_KEY", FakeLlm::API_KEY.to_owned()),
        ];
        let folder = state.path().display();
        // For a process of its own, with a store of its own.
        let mut lines = vec![format!("STATE_DIR={folder}/stdio\n")];
        lines.extend(services.iter().map(|(name, value)| format!("{name}={value}\n")));
        fs::write(state.path().join(STDIO_ENV), lines.concat())?;
        let mut variables = vec![("PORT", port.to_string()), ("STATE_DIR", folder.to_string())];
        variables.extend(services);
        if let Some(host) = &host {
            variables.extend([
                ("AUTH_MODE", "oauth".to_owned()),
                ("SESSION_SECRET", SESSION_SECRET.to_owned()),
                ("OAUTH_CLIENT_ID_ORIGINS", host.origin().to_owned()),
            ]);
        }
        let settings = config::load(&Environment::of(variables))?;
        if logs {
            telemetry::init(&settings.log);
        }
        let app =
            App::on(listener, settings, Arc::new(clock.clone()), Arc::new(SystemEntropy)).await?;
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(app.serve(async {
            let _ = stopped.await;
        }));
        Ok(Self { world, host, clock, port, stop, served, state })
    }

    /// Where all its links begin.
    pub(crate) fn origin(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Where MCP clients find it.
    pub(crate) fn mcp_url(&self) -> String {
        format!("{}/mcp", self.origin())
    }

    /// The file with what `pr-summarizer stdio` needs in its environment to live in this world.
    pub(crate) fn stdio_env(&self) -> PathBuf {
        self.state.path().join(STDIO_ENV)
    }

    /// The address of the client's document, where the scene has one.
    pub(crate) fn client_document(&self) -> Option<String> {
        self.host.as_ref().map(HostSite::document)
    }

    /// What tells this world its time.
    pub(crate) fn clock(&self) -> &SceneClock {
        &self.clock
    }

    /// Who answers at this address.
    pub(crate) fn whose(&self, url: &Url) -> &'static str {
        let origin = url.origin().ascii_serialization();
        if origin == self.origin() {
            "pr-summarizer"
        } else if origin == self.world.scalekit.url() {
            "Scalekit"
        } else {
            "GitHub"
        }
    }

    /// Stops the server as SIGTERM does, and fails if the worlds were asked what no Scalekit, GitHub
    /// or LLM would understand.
    pub(crate) async fn end(self) -> Result<(), Box<dyn Error>> {
        let _ = self.stop.send(());
        self.served.await?;
        let unexpected = self.world.take_unexpected();
        if unexpected.is_empty() {
            return Ok(());
        }
        Err(format!("The fake services did not understand:\n{}", unexpected.join("\n")).into())
    }
}
