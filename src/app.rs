//! The wiring: from settings to a server that listens, and an orderly end.

pub mod doctor;
mod metrics;

use std::{future::Future, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::{Router, middleware};
use metrics_exporter_prometheus::PrometheusHandle;
use rmcp::ServerHandler;
use tokio::{net::TcpListener, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    config::{Access, Settings, StoreLocation},
    domain::{AuthMode, Clock, Entropy, Failure, FailureCode, failure::Result},
    front::{Front, FrontSettings},
    http::{self, Guard, HttpSettings, Readiness},
    identity::{
        AccountLinking, Keyring, LinkingSettings, Purpose, Register, Sessions, Sweeper,
        linking::Accounts,
    },
    mcp::{self, Entrance, McpParts, McpServer, McpSettings, RunningCalls},
    oauth::{
        self, AuthorizationServer, ClientDocuments, ClientKeys, Clients, Codes, Endpoints, Grants,
        RedirectPolicy, document::KNOWN_ORIGINS, redirect::KNOWN_HOSTS,
    },
    store::{Seal, Store},
    summarize::{
        Asking, Caller, Ending, SummarizeSettings, Summarizer, governor::GovernorLimits,
        writing::WritingLimits,
    },
    upstream::{
        github::{GitHub, GitHubTokenSettings},
        llm::{Llm, LlmSettings},
        scalekit::{Scalekit, ScalekitSettings},
        transport::{Transport, TransportSettings},
    },
};

/// How long running calls may take by themselves once the server was told to stop.
const PATIENCE: Duration = Duration::from_secs(18);

/// How long after that, when they were told to answer with what they have.
const HURRY: Duration = Duration::from_secs(2);

/// How long connections may take to close after that, and again after they were told to; how long
/// the work in the background may take to end.
const CLOSE: Duration = Duration::from_secs(3);

/// A server that holds its port and has not begun to answer.
#[derive(Debug)]
pub struct App {
    listener: TcpListener,
    address: SocketAddr,
    router: Router,
    front: Front,
    readiness: Readiness,
    running: RunningCalls,
    sweeper: Sweeper,
    token_sweeper: Option<oauth::Sweeper>,
    ending: Ending,
}

impl App {
    /// Opens the store, takes the port and puts the rooms together.
    ///
    /// # Errors
    /// `internal`, with a sentence for the operator: state folder, store, port.
    pub async fn bind(
        settings: Settings,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self> {
        let listener = TcpListener::bind(settings.listen).await.map_err(|error| {
            let sentence = format!("The address {} cannot be listened on.", settings.listen);
            Failure::new(FailureCode::Internal, sentence).caused_by(error)
        })?;
        Self::on(listener, settings, clock, entropy).await
    }

    /// The same on a listener that is there already.
    ///
    /// # Errors
    /// As [`App::bind`].
    pub async fn on(
        listener: TcpListener,
        settings: Settings,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self> {
        Self::with(listener, settings, clock, entropy, |server| server).await
    }

    /// The same with what `around` makes of the MCP server: the stack below it stays what it is.
    ///
    /// # Errors
    /// As [`App::bind`].
    pub async fn with<S: ServerHandler + Clone>(
        listener: TcpListener,
        settings: Settings,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        around: impl FnOnce(McpServer) -> S,
    ) -> Result<Self> {
        let address = listener.local_addr().map_err(|error| {
            Failure::new(FailureCode::Internal, "The port has no address.").caused_by(error)
        })?;
        // Before anything is counted.
        let listener_of_metrics =
            settings.metrics_token.as_ref().map(|_| metrics::listener()).transpose()?;
        let prepared = settings
            .prepare(&*entropy)
            .map_err(|problems| Failure::new(FailureCode::Internal, problems.to_string()))?;
        let keyring = Keyring::new(prepared.session_keys.current, prepared.session_keys.previous);
        let store = open_store(&settings.store, &keyring, &clock, &entropy).await?;
        let transport = Transport::new(TransportSettings::default(), entropy.clone())?;
        let authorization = authorization(&settings, &store, &keyring, &clock, &entropy).await?;
        let register = authorization.as_ref().map(register_of);
        let linking = AccountLinking::new(
            LinkingSettings {
                mode: settings.auth_mode,
                public_base_url: settings.public_base_url.clone(),
            },
            accounts(&settings.access, &transport, &clock),
            store.clone(),
            keyring.clone(),
            register,
            clock.clone(),
            entropy.clone(),
        );
        let llm = written_by(&settings, entropy.clone())?;
        let ending = Ending::default();
        let summarizer = Summarizer::new(summaries(&settings), llm, clock.clone(), ending.clone());
        let endings = authorization.iter().map(|server| server.grants().endings());
        for endings in endings.chain([linking.endings()]) {
            // What passes for fresh was read for somebody who may have left.
            let summarizer = summarizer.clone();
            endings.listen(move |principal| summarizer.forget(&Caller::new(principal)));
        }
        let parts = McpParts {
            settings: McpSettings {
                mode: settings.auth_mode,
                entrance: match (&authorization, prepared.local_key) {
                    (Some(server), _) => Entrance::AccessToken(Box::new(server.clone())),
                    (None, Some(key)) => Entrance::LocalKey(key),
                    (None, None) => Entrance::Open,
                },
                summary_deadline: settings.summaries.deadline,
                llm_host: summarizer.llm_host().map(str::to_owned),
                llm_reads_private: settings.llm.reads_private,
            },
            linking: linking.clone(),
            sessions: Sessions::new(
                store.clone(),
                settings.auth_mode,
                clock.clone(),
                entropy.clone(),
            ),
            asking: Asking::new(linking.clone(), summarizer, github_hosts(&settings.access)),
            keyring,
            stop: ending.stop.clone(),
        };
        let (agents, running) = mcp::router(parts, around)?;
        let readiness = Readiness::new(store.clone());
        let front = Front::new(FrontSettings::default());
        let guard = match settings.auth_mode {
            AuthMode::OAuth => Guard::public,
            AuthMode::Session | AuthMode::SingleUser => Guard::loopback,
        };
        let guard = guard(settings.public_base_url.clone());
        let browsers = http::router(
            HttpSettings { public_base_url: settings.public_base_url, mode: settings.auth_mode },
            linking.clone(),
            authorization.clone(),
            readiness.clone(),
            clock,
            entropy,
        );
        let looked = settings.metrics_token.map(|token| {
            let (front, running) = (front.clone(), running.clone());
            metrics::Looked { token, front, running, store }
        });
        let router = guarded(browsers.merge(agents), guard, listener_of_metrics.zip(looked));
        let token_sweeper =
            authorization.map(|server| oauth::Sweeper::new(server, linking.clone()));
        let sweeper = Sweeper::new(linking);
        Ok(Self {
            listener,
            address,
            router,
            front,
            readiness,
            running,
            sweeper,
            token_sweeper,
            ending,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `shutdown` is ready, then lets running calls finish within bounds: not ready,
    /// no new connections, the running calls (in the end with what they have), the rest. Takes 30
    /// seconds at most, which is what platforms give before they kill.
    pub async fn serve(self, shutdown: impl Future<Output = ()> + Send + 'static) {
        let Self {
            listener,
            router,
            front,
            readiness,
            running,
            sweeper,
            token_sweeper,
            ending,
            ..
        } = self;
        let Ending { hurry, stop } = ending;
        let background = TaskTracker::new();
        background.spawn(sweeper.run(stop.clone()));
        if let Some(sweeper) = token_sweeper {
            background.spawn(sweeper.run(stop.clone()));
        }
        let closing = CancellationToken::new();
        let mut served = pin!(front.serve(listener, router, closing.clone()));
        let drained = async {
            shutdown.await;
            tracing::info!(running = running.count(), "stopping");
            readiness.drain();
            closing.cancel();
            if timeout(PATIENCE, running.idle()).await.is_ok() {
                return;
            }
            hurry.cancel();
            if timeout(HURRY, running.idle()).await.is_err() {
                tracing::warn!(running = running.count(), "some calls did not finish in time");
                stop.cancel();
            }
        };
        tokio::select! {
            () = &mut served => {}
            () = drained => {}
        }
        // A call is no longer running when its answer is still on its way: what is cut off is cut
        // off only after the connections had their time to close by themselves.
        let mut is_closed = timeout(CLOSE, &mut served).await.is_ok();
        stop.cancel();
        if !is_closed {
            is_closed = timeout(CLOSE, &mut served).await.is_ok();
        }
        if !is_closed {
            tracing::warn!("some connections did not close in time");
        }
        background.close();
        let _ = timeout(CLOSE, background.wait()).await;
    }
}

/// The routes behind the guard. With metrics what it refuses is counted too.
fn guarded(
    routes: Router,
    guard: Guard,
    metrics: Option<(&'static PrometheusHandle, metrics::Looked)>,
) -> Router {
    let guard = middleware::from_fn_with_state(guard, http::guard::stand);
    match metrics {
        Some((handle, looked)) => routes
            .merge(metrics::router(looked, handle))
            .layer(guard)
            .layer(middleware::from_fn(metrics::counted)),
        None => routes.layer(guard),
    }
}

/// What outlives the process is sealed.
async fn open_store(
    location: &StoreLocation,
    keyring: &Keyring,
    clock: &Arc<dyn Clock>,
    entropy: &Arc<dyn Entropy>,
) -> Result<Store> {
    let seal = Seal::new(keyring.derived(Purpose::StoredValue), entropy.clone());
    match location {
        StoreLocation::Memory => Ok(Store::memory(clock.clone())),
        StoreLocation::Sqlite(path) => Store::sqlite(path, clock.clone()).await?.sealed(seal).await,
        StoreLocation::Redis(address) => {
            Store::redis(address, clock.clone(), entropy.clone()).await?.sealed(seal).await
        }
    }
}

/// What an address of a repository may have as its host: GitHub's own, or that of the server whose
/// API is read. Which one Scalekit reads is not told: another than GitHub's own is named by
/// owner/repo.
fn github_hosts(access: &Access) -> Vec<String> {
    let api = match access {
        Access::Scalekit { .. } => None,
        Access::Token { api_url, .. } => api_url.host_str(),
    };
    match api {
        None | Some("api.github.com") => {
            ["github.com", "www.github.com", "ssh.github.com"].map(str::to_owned).to_vec()
        }
        Some(own) => vec![own.strip_prefix("api.").unwrap_or(own).to_owned(), own.to_owned()],
    }
}

fn accounts(access: &Access, transport: &Transport, clock: &Arc<dyn Clock>) -> Accounts {
    match access.clone() {
        Access::Scalekit { environment_url, client_id, client_secret, connection_name } => {
            let settings =
                ScalekitSettings { environment_url, client_id, client_secret, connection_name };
            Accounts::Linked(Scalekit::new(settings, transport.clone(), clock.clone()))
        }
        Access::Token { api_url, token } => {
            let settings = GitHubTokenSettings { api_url, token };
            Accounts::Token(GitHub::with_token(settings, transport.clone()))
        }
    }
}

/// The embedded authorization server of `oauth` mode: what it ships with and what the operator adds.
async fn authorization(
    settings: &Settings,
    store: &Store,
    keyring: &Keyring,
    clock: &Arc<dyn Clock>,
    entropy: &Arc<dyn Entropy>,
) -> Result<Option<AuthorizationServer>> {
    let Some(added) = &settings.oauth else { return Ok(None) };
    let with = |known: &[&str], added: &[String]| -> Vec<String> {
        known.iter().map(|&entry| entry.to_owned()).chain(added.iter().cloned()).collect()
    };
    let refused = |problems: Vec<String>| Failure::new(FailureCode::Internal, problems.join(" "));
    let redirects = with(KNOWN_HOSTS, &added.redirect_uris);
    let redirects = RedirectPolicy::new(&redirects, settings.public_base_url.clone());
    let origins = with(KNOWN_ORIGINS, &added.client_id_origins);
    let documents =
        ClientDocuments::new(&origins, clock.clone(), entropy.clone())?.map_err(refused)?;
    let endpoints = Endpoints::new(&settings.public_base_url, documents.are_served());
    let clients = Clients::new(
        keyring.clone(),
        endpoints.issuer(),
        redirects,
        documents,
        clock.clone(),
        entropy.clone(),
    )
    .remembering(ClientKeys::kept(store, keyring).await?);
    let grants = Grants::new(store.clone(), clock.clone(), entropy.clone());
    let codes = Codes::new(store.clone(), grants.clone(), clock.clone(), entropy.clone());
    Ok(Some(AuthorizationServer::new(endpoints, clients, codes, grants)))
}

/// Who is forgotten when is known where the grants are.
fn register_of(server: &AuthorizationServer) -> Arc<dyn Register> {
    Arc::new(server.grants().clone())
}

fn summaries(settings: &Settings) -> SummarizeSettings {
    SummarizeSettings {
        deadline: settings.summaries.deadline,
        diff_budget_chars: settings.summaries.diff_budget_chars,
        llm_reads_private: settings.llm.reads_private,
        governor: GovernorLimits {
            daily_tokens: settings.llm.daily_tokens,
            ..GovernorLimits::default()
        },
        ..SummarizeSettings::default()
    }
}

/// No key and no address: nobody writes, and extracts stand in.
fn written_by(settings: &Settings, entropy: Arc<dyn Entropy>) -> Result<Option<Llm>> {
    let llm = &settings.llm;
    if llm.base_url.is_none() && llm.api_key.is_none() {
        return Ok(None);
    }
    let settings = LlmSettings {
        base_url: llm.base_url.clone(),
        api_key: llm.api_key.clone(),
        model: llm.model.clone(),
        // Whoever asked has left by then; the next call finds what came of it.
        answer_timeout: WritingLimits::default().time,
    };
    Llm::new(settings, entropy).map(Some)
}
