//! The rooms, put together around an open store: what both ways to serve agents have in common.

use std::sync::Arc;

use axum::Router;
use url::Url;

use crate::{
    config::{Access, Settings, StoreLocation},
    domain::{AuthMode, Clock, Entropy, Failure, FailureCode, failure::Result},
    front::{Front, FrontSettings},
    http::{self, Desk, Guard, HttpSettings, Readiness},
    identity::{
        AccountLinking, Keyring, LinkingSettings, Purpose, Register, Sessions, Sweeper, Turnstile,
        linking::Accounts,
    },
    mcp::{Entrance, McpParts, McpSettings, RunningCalls},
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

/// What is there before anybody is let in.
pub(super) struct Rooms {
    pub(super) store: Store,
    /// What the agent's door works with.
    pub(super) agents: McpParts,
    /// The browser's and operator's routes.
    pub(super) browsers: Router,
    pub(super) guard: Guard,
    pub(super) front: Front,
    pub(super) readiness: Readiness,
    pub(super) running: RunningCalls,
    pub(super) sweeper: Sweeper,
    pub(super) token_sweeper: Option<oauth::Sweeper>,
    pub(super) ending: Ending,
}

impl Rooms {
    /// Opens the store and puts the rooms together. `serves_mcp`: agents come in under the same
    /// origin as browsers.
    ///
    /// # Errors
    /// `internal`, with a sentence for the operator: state folder, store.
    pub(super) async fn open(
        settings: Settings,
        serves_mcp: bool,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self> {
        let prepared = settings
            .prepare(&*entropy)
            .map_err(|problems| Failure::new(FailureCode::Internal, problems.to_string()))?;
        let keyring = Keyring::new(prepared.session_keys.current, prepared.session_keys.previous);
        let store = open_store(&settings.store, &keyring, &clock, &entropy).await?;
        let transport = Transport::new(TransportSettings::default(), entropy.clone())?;
        transport.prepare(upstream(&settings.access))?;
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
        forgets_with_access(&summarizer, &linking, authorization.as_ref());
        let llm_host = summarizer.llm_host().map(str::to_owned);
        let asking = Asking::new(linking.clone(), summarizer, github_hosts(&settings.access));
        let sessions =
            Sessions::new(store.clone(), settings.auth_mode, clock.clone(), entropy.clone());
        let (turnstile, running) = (Turnstile::default(), RunningCalls::default());
        let desk = Desk {
            asking: asking.clone(),
            sessions: sessions.clone(),
            local_key: prepared.local_key.clone(),
            deadline: settings.summaries.deadline,
            turnstile: turnstile.clone(),
            running: running.tracker().clone(),
            stop: ending.stop.clone(),
        };
        let agents = McpParts {
            settings: McpSettings {
                mode: settings.auth_mode,
                entrance: match (&authorization, prepared.local_key) {
                    (Some(server), _) => Entrance::AccessToken(Box::new(server.clone())),
                    (None, Some(key)) => Entrance::LocalKey(key),
                    (None, None) => Entrance::Open,
                },
                summary_deadline: settings.summaries.deadline,
                llm_host,
                llm_reads_private: settings.llm.reads_private,
            },
            linking: linking.clone(),
            sessions,
            turnstile,
            asking,
            keyring,
            running: running.clone(),
            stop: ending.stop.clone(),
        };
        let readiness = Readiness::new(store.clone());
        let guard = match settings.auth_mode {
            AuthMode::OAuth => Guard::public,
            AuthMode::Session | AuthMode::SingleUser => Guard::loopback,
        };
        let guard = guard(settings.public_base_url.clone());
        let pages = HttpSettings {
            public_base_url: settings.public_base_url,
            mode: settings.auth_mode,
            serves_mcp,
        };
        let browsers = http::router(
            pages,
            linking.clone(),
            authorization.clone(),
            desk,
            readiness.clone(),
            clock,
            entropy,
        );
        let token_sweeper =
            authorization.map(|server| oauth::Sweeper::new(server, linking.clone()));
        Ok(Self {
            store,
            agents,
            browsers,
            guard,
            front: Front::new(FrontSettings::default()),
            readiness,
            running,
            sweeper: Sweeper::new(linking),
            token_sweeper,
            ending,
        })
    }
}

/// What passes for fresh was read for somebody whose access may have ended.
fn forgets_with_access(
    summarizer: &Summarizer,
    linking: &AccountLinking,
    authorization: Option<&AuthorizationServer>,
) {
    let endings = authorization.into_iter().map(|server| server.grants().endings());
    for endings in endings.chain([linking.endings()]) {
        let summarizer = summarizer.clone();
        endings.listen(move |principal| summarizer.forget(&Caller::new(principal)));
    }
}

/// What outlives the process is sealed.
pub(super) async fn open_store(
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

/// Where accounts are read from.
pub(super) fn upstream(access: &Access) -> &Url {
    match access {
        Access::Scalekit { environment_url, .. } => environment_url,
        Access::Token { api_url, .. } => api_url,
    }
}

pub(super) fn accounts(access: &Access, transport: &Transport, clock: &Arc<dyn Clock>) -> Accounts {
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
pub(super) fn written_by(settings: &Settings, entropy: Arc<dyn Entropy>) -> Result<Option<Llm>> {
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
