//! The rules that span several variables.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use url::Url;

use super::{
    Command, clients,
    environment::Environment,
    exposure::{Exposure, exposure},
    problem::Problems,
    reader::Reader,
    settings::{
        Access, KeySource, LlmSettings, LocalKey, LogSettings, OAuthSettings, SessionKeys,
        Settings, StoreLocation, SummarySettings,
    },
    values::{self, StoreUrl},
};
use crate::domain::AuthMode;

/// Names of the files in the state folder.
const STORE_FILE: &str = "store.db";
const SESSION_SECRET_FILE: &str = "session-secret";
const LOCAL_KEY_FILE: &str = "local-key";

const SCALEKIT: [&str; 3] =
    ["SCALEKIT_ENVIRONMENT_URL", "SCALEKIT_CLIENT_ID", "SCALEKIT_CLIENT_SECRET"];
const CONNECTION_NAME: &str = "GITHUB_CONNECTION_NAME";
const TOKEN: &str = "GITHUB_TOKEN";

pub(super) fn load(command: Command, environment: &Environment) -> Result<Settings, Problems> {
    let mut reader = Reader::new(environment);
    let settings = read(&mut reader, command, environment);
    reader.finish(settings)
}

/// Reads everything before it gives up on anything, so that all problems are noted.
fn read(reader: &mut Reader<'_>, command: Command, environment: &Environment) -> Option<Settings> {
    let mut warnings = Vec::new();
    let Exposure { mode: auth_mode, listen, public_base_url } =
        exposure(reader, command, &mut warnings);
    let access = access(reader, auth_mode, &mut warnings);
    let llm = llm(reader, &mut warnings);
    let oauth = oauth(reader, auth_mode, public_base_url.as_ref(), &mut warnings);
    let state_dir = state_dir(reader, environment);
    let store = store(reader, auth_mode, state_dir.as_deref(), &mut warnings);
    let session_secret = session_secret(reader, auth_mode, store.as_ref(), state_dir.as_deref());
    let local_key = match command {
        Command::Stdio => {
            // Counting is for servers that somebody watches.
            if reader.is_set("METRICS_TOKEN") {
                warnings.push(unused_over_a_pipe("METRICS_TOKEN"));
            }
            no_local_key(reader, &mut warnings);
            Some(LocalKey::Off)
        }
        Command::Serve | Command::Doctor => {
            local_key(reader, auth_mode, state_dir.as_deref(), &mut warnings)
        }
    };
    let deadline = reader.read("SUMMARY_DEADLINE_SECONDS", values::number(5..=300));
    let budget = reader.read("DIFF_BUDGET_CHARS", values::number(1_000..=200_000));
    let metrics_token = reader.read("METRICS_TOKEN", values::metrics_token);
    let format = reader.read("LOG_FORMAT", values::log_format);
    let filter = reader.read("RUST_LOG", values::log_filter);
    Some(Settings {
        listen: listen?,
        public_base_url: public_base_url?,
        auth_mode: auth_mode?,
        oauth,
        access: access?,
        session_secret: session_secret?,
        local_key: local_key?,
        state_dir: state_dir?,
        store: store?,
        llm: llm?,
        summaries: SummarySettings {
            deadline: Duration::from_secs(deadline?),
            diff_budget_chars: budget?,
        },
        log: LogSettings { format: format?, filter: filter? },
        metrics_token,
        warnings,
    })
}

fn access(
    reader: &mut Reader<'_>,
    mode: Option<AuthMode>,
    warnings: &mut Vec<String>,
) -> Option<Access> {
    if mode == Some(AuthMode::OAuth) {
        if reader.is_set(TOKEN) {
            reader.note(
                TOKEN,
                "is set in oauth mode",
                "Unset it: everybody would read GitHub as its owner. Scalekit reads it as each \
                 person.",
            );
        }
        return scalekit(reader);
    }
    let token_is_set = reader.is_set(TOKEN);
    let scalekit_is_set = SCALEKIT.iter().any(|name| reader.is_set(name));
    if token_is_set && scalekit_is_set {
        reader.note(
            TOKEN,
            "is set beside SCALEKIT_*",
            "Unset one of them: GITHUB_TOKEN reads GitHub as one person, Scalekit as each person.",
        );
        return None;
    }
    if token_is_set {
        if reader.is_set(CONNECTION_NAME) {
            warnings.push(format!("{CONNECTION_NAME} is not used with {TOKEN}."));
        }
        let api_url = reader.read("GITHUB_API_URL", values::upstream);
        let token = reader.read(TOKEN, values::secret);
        return Some(Access::Token { api_url: api_url?, token: token? });
    }
    if reader.is_set("GITHUB_API_URL") {
        warnings.push(format!("GITHUB_API_URL is not used without {TOKEN}."));
    }
    if !scalekit_is_set {
        reader.note(
            TOKEN,
            "is missing, and so are SCALEKIT_*",
            "Set it to try the server alone: GITHUB_TOKEN=$(gh auth token). Or set the four \
             variables of Scalekit, so that each person links their own account.",
        );
    }
    scalekit(reader)
}

fn scalekit(reader: &mut Reader<'_>) -> Option<Access> {
    let [environment_url, client_id, client_secret] = SCALEKIT;
    let environment_url = reader.require(environment_url, values::upstream);
    let client_id = reader.require(client_id, values::text);
    let client_secret = reader.require(client_secret, values::secret);
    let connection_name = reader.require(CONNECTION_NAME, values::text);
    Some(Access::Scalekit {
        environment_url: environment_url?,
        client_id: client_id?,
        client_secret: client_secret?,
        connection_name: connection_name?,
    })
}

fn llm(reader: &mut Reader<'_>, warnings: &mut Vec<String>) -> Option<LlmSettings> {
    let api_key = reader.read("OPENAI_API_KEY", values::secret);
    let base_url = reader.read("OPENAI_BASE_URL", values::llm);
    let model = reader.read("OPENAI_MODEL", values::text);
    let reads_private = reader.read("LLM_PRIVATE", values::switch);
    let daily_tokens = reader.read("LLM_DAILY_TOKENS", values::number(1_000..=u64::MAX));
    if !reader.is_set("OPENAI_API_KEY") && !reader.is_set("OPENAI_BASE_URL") {
        warnings.push(
            "No language model: answers hold extracts in place of written summaries. Set \
             OPENAI_API_KEY or OPENAI_BASE_URL."
                .to_owned(),
        );
    }
    Some(LlmSettings {
        base_url,
        api_key,
        model: model?,
        reads_private: reads_private?,
        daily_tokens,
    })
}

/// `None` in the modes without an authorization server.
fn oauth(
    reader: &mut Reader<'_>,
    mode: Option<AuthMode>,
    own: Option<&Url>,
    warnings: &mut Vec<String>,
) -> Option<OAuthSettings> {
    const LISTS: [&str; 2] = ["OAUTH_REDIRECT_URIS", "OAUTH_CLIENT_ID_ORIGINS"];
    let [redirects, documents] = LISTS;
    // Read in every mode: a wrong value is wrong also where it is not used.
    let redirect_uris = reader.read(redirects, |text| clients::redirect_uris(text, own));
    let client_id_origins = reader.read(documents, |text| clients::document_origins(text, own));
    if mode? == AuthMode::OAuth {
        return Some(OAuthSettings {
            redirect_uris: redirect_uris.unwrap_or_default(),
            client_id_origins: client_id_origins.unwrap_or_default(),
        });
    }
    for name in LISTS.into_iter().filter(|name| reader.is_set(name)) {
        warnings.push(format!("{name} is used in oauth mode only."));
    }
    None
}

fn state_dir(reader: &mut Reader<'_>, environment: &Environment) -> Option<PathBuf> {
    if reader.is_set("STATE_DIR") {
        return reader.read("STATE_DIR", |text| Ok(PathBuf::from(text)));
    }
    let folder = environment.default_state_dir();
    if folder.is_none() {
        reader.note(
            "STATE_DIR",
            "is missing, and this user has no home folder",
            "Set it to a folder that only this user can read.",
        );
    }
    folder
}

fn session_secret(
    reader: &mut Reader<'_>,
    mode: Option<AuthMode>,
    store: Option<&StoreLocation>,
    state_dir: Option<&Path>,
) -> Option<KeySource<SessionKeys>> {
    if reader.is_set("SESSION_SECRET") {
        return reader.read("SESSION_SECRET", values::session_keys).map(KeySource::Given);
    }
    if let Some(StoreLocation::Redis(_)) = store
        && mode != Some(AuthMode::OAuth)
    {
        reader.note(
            "SESSION_SECRET",
            "is missing, and what is kept in Redis is sealed with it",
            "Make one with `openssl rand -base64 32`, once, and give it to every instance: a file \
             in STATE_DIR would be another one on each machine.",
        );
        return None;
    }
    // A file that a new container or a second instance makes anew would log everybody out.
    if mode == Some(AuthMode::OAuth) {
        reader.note(
            "SESSION_SECRET",
            "is missing, and oauth mode needs one that you keep",
            "Make one with `openssl rand -base64 32`, once, and keep it: what clients and browsers \
             hold is signed with it.",
        );
        return None;
    }
    Some(KeySource::File(state_dir?.join(SESSION_SECRET_FILE)))
}

fn local_key(
    reader: &mut Reader<'_>,
    auth_mode: Option<AuthMode>,
    state_dir: Option<&Path>,
    warnings: &mut Vec<String>,
) -> Option<LocalKey> {
    // Read in every mode: a wrong value is wrong also where it is not used.
    let given = reader.read("LOCAL_KEY", values::local_key);
    let is_set = reader.is_set("LOCAL_KEY");
    let auth_mode = auth_mode?;
    if auth_mode != AuthMode::SingleUser {
        if let Some(Some(_)) = given {
            warnings.push(format!("LOCAL_KEY is not used in {} mode.", auth_mode.slug()));
        }
        return Some(LocalKey::Off);
    }
    match given {
        Some(Some(key)) => Some(LocalKey::Required(KeySource::Given(key))),
        Some(None) => {
            warnings.push(
                "LOCAL_KEY is off: every program of this machine reads GitHub as you.".to_owned(),
            );
            Some(LocalKey::Off)
        }
        None if is_set => None,
        None => Some(LocalKey::Required(KeySource::File(state_dir?.join(LOCAL_KEY_FILE)))),
    }
}

/// Over standard input and output nobody else can call.
fn no_local_key(reader: &mut Reader<'_>, warnings: &mut Vec<String>) {
    // A wrong value is wrong also where it is not used.
    if let Some(Some(_)) = reader.read("LOCAL_KEY", values::local_key) {
        warnings.push(unused_over_a_pipe("LOCAL_KEY"));
    }
}

fn unused_over_a_pipe(name: &str) -> String {
    format!("{name} is not used over standard input and output.")
}

fn store(
    reader: &mut Reader<'_>,
    mode: Option<AuthMode>,
    state_dir: Option<&Path>,
    warnings: &mut Vec<String>,
) -> Option<StoreLocation> {
    let url = if reader.is_set("STORE_URL") {
        reader.read("STORE_URL", values::store)
    } else {
        Some(StoreUrl::Default)
    };
    let instances = reader.read("INSTANCES", values::number(1..=1_000_u16));
    let (url, instances) = (url?, instances?);
    if matches!(url, StoreUrl::Memory) && mode == Some(AuthMode::OAuth) {
        warnings.push(
            "STORE_URL is memory: every restart ends all sign-ins and connections.".to_owned(),
        );
    }
    if let StoreUrl::Redis(address) = &url {
        if address.is_exposed() {
            warnings.push(
                "STORE_URL is not encrypted: that is for a private network; elsewhere use \
                 rediss://."
                    .to_owned(),
            );
        }
    } else if instances > 1 {
        reader.note(
            "STORE_URL",
            "names no store that several instances can share, and INSTANCES is more than 1",
            "Set it to redis://… or rediss://…: what one instance keeps in memory or on its disk \
             the others do not see.",
        );
        return None;
    }
    Some(match url {
        StoreUrl::Memory => StoreLocation::Memory,
        StoreUrl::File(path) => StoreLocation::Sqlite(path),
        StoreUrl::Default => StoreLocation::Sqlite(state_dir?.join(STORE_FILE)),
        StoreUrl::Redis(address) => StoreLocation::Redis(address),
    })
}
