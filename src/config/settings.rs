//! What the program runs with, once everything has been read and found sound.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use tracing_subscriber::filter::Targets;
use url::Url;

use crate::{
    domain::{AuthMode, Secret},
    store::RedisAddress,
};

/// Complete and sound settings.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where to listen; a loopback address, but for `oauth` mode.
    pub listen: SocketAddr,
    /// The origin under which the server is reached: no path, query, fragment or user.
    pub public_base_url: Url,
    /// Who the caller is taken to be.
    pub auth_mode: AuthMode,
    /// What the operator adds for the authorization server; there in `oauth` mode only.
    pub oauth: Option<OAuthSettings>,
    /// How GitHub is read.
    pub access: Access,
    /// Where the keys for cookies and sealed state come from; in `oauth` mode always given.
    pub session_secret: KeySource<SessionKeys>,
    /// The key of `single-user` mode.
    pub local_key: LocalKey,
    /// Where the store and the keys are kept. May not exist before [`Settings::prepare`].
    pub state_dir: PathBuf,
    /// Where records are kept.
    pub store: StoreLocation,
    /// Who writes the summaries.
    pub llm: LlmSettings,
    /// How long and how much.
    pub summaries: SummarySettings,
    /// What is logged, and how.
    pub log: LogSettings,
    /// Who shows it may read the metrics; `None`: nobody may, and nothing is counted.
    pub metrics_token: Option<Secret>,
    /// What is not wrong but worth saying at the start.
    pub warnings: Vec<String>,
}

/// How GitHub is read.
#[derive(Debug, Clone)]
pub enum Access {
    /// Through Scalekit, which holds each person's token.
    Scalekit {
        /// The environment's address.
        environment_url: Url,
        /// Who we are there.
        client_id: String,
        /// The proof of it.
        client_secret: Secret,
        /// The name of the GitHub connection.
        connection_name: String,
    },
    /// Directly, with one person's token.
    Token {
        /// GitHub's REST API.
        api_url: Url,
        /// That person's token.
        token: Secret,
    },
}

/// What the operator adds to the lists that the authorization server ships with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OAuthSettings {
    /// Further redirect URIs, compared as text. None is plain http, has a fragment or a user, or
    /// leads back to this server.
    pub redirect_uris: Vec<String>,
    /// Further origins whose client-id documents are read, serialized as a browser writes them:
    /// https with a name, or, for development, http on this machine.
    pub client_id_origins: Vec<String>,
}

/// A key that was given, or one that is kept in a file and made when it is missing.
#[derive(Debug, Clone)]
pub enum KeySource<K> {
    /// This one.
    Given(K),
    /// The one in this file.
    File(PathBuf),
}

/// The keys that sign cookies and sealed state.
#[derive(Debug, Clone)]
pub struct SessionKeys {
    /// Signs, and is accepted.
    pub current: Secret,
    /// Are accepted still.
    pub previous: Vec<Secret>,
}

/// What a caller must present in `single-user` mode.
#[derive(Debug, Clone)]
pub enum LocalKey {
    /// Nothing: every program of this machine may call. Also in the other modes, where a session,
    /// a handle or an access token is the credential.
    Off,
    /// This key.
    Required(KeySource<Secret>),
}

/// Where records are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreLocation {
    /// In memory, gone with the process.
    Memory,
    /// In this file.
    Sqlite(PathBuf),
    /// In Redis or Valkey, which several instances may share.
    Redis(RedisAddress),
}

/// Who writes the summaries. Neither address nor key: nobody does, and extracts stand in.
#[derive(Debug, Clone)]
pub struct LlmSettings {
    /// Where it is reached; `None` is `OpenAI`'s own address.
    pub base_url: Option<Url>,
    /// What it wants to see.
    pub api_key: Option<Secret>,
    /// The model's name.
    pub model: String,
    /// It may read repositories that are not known to be public.
    pub reads_private: bool,
    /// Tokens that each caller may cost in a day; `None` is no limit.
    pub daily_tokens: Option<u64>,
}

/// How long a call may take, and how much it may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SummarySettings {
    /// For a whole call.
    pub deadline: Duration,
    /// Characters of each diff.
    pub diff_budget_chars: usize,
}

/// What is logged, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct LogSettings {
    /// For people or for programs.
    pub format: LogFormat,
    /// How much of what (`RUST_LOG`).
    pub filter: Targets,
}

/// For whom the log is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For programs: one JSON object a line.
    Json,
}
