//! `pr-summarizer doctor`: tries everything that the server will need, once, and says what it found.
//!
//! Where something can only be known by doing it, it is done and undone: a link for an account that
//! is nobody's, which is deleted again; a completion of a few tokens. Nothing of what others answer
//! is printed, only what it means.

use std::{fmt, sync::Arc, time::Duration};

use reqwest::Method;

use super::rooms::{accounts, open_store, upstream, written_by};
use crate::{
    config::{Settings, StoreLocation},
    domain::{
        AuthMode, Clock, Entropy, Failure, FailureCode, Fault, Secret, UserId, failure::Result,
    },
    identity::{Keyring, linking::Accounts},
    upstream::{
        scalekit::Scalekit,
        transport::{BodyCap, Call, Dispatch, Purpose, Retry, Transport, TransportSettings},
    },
};

/// How long each look may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// Tokens of the completion that is asked for.
const FEW_TOKENS: u32 = 16;

/// What was looked at, and what came of it.
#[derive(Debug)]
pub struct Finding {
    /// What.
    pub what: &'static str,
    /// How it is.
    pub outcome: Outcome,
}

/// How something is.
#[derive(Debug)]
pub enum Outcome {
    /// As it should be; in words.
    Sound(String),
    /// Not wrong, but good to know.
    Note(String),
    /// Not as it should be.
    Broken(Box<Failure>),
}

impl Finding {
    /// Whether the server would not work like this.
    pub fn is_broken(&self) -> bool {
        matches!(self.outcome, Outcome::Broken(_))
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.outcome {
            Outcome::Sound(words) => write!(f, "ok      {}: {words}", self.what),
            Outcome::Note(words) => write!(f, "note    {}: {words}", self.what),
            Outcome::Broken(failure) => {
                let code = failure.code.slug();
                write!(f, "BROKEN  {}: {} ({code})", self.what, failure.detail)?;
                let next = match failure.code.fault() {
                    Fault::Upstream => {
                        "Check the address in the settings, and that this machine reaches it: a \
                         proxy goes into HTTPS_PROXY, a private authority into SSL_CERT_FILE."
                    }
                    // Its sentence says what to do; the step is for those who ask the operator.
                    Fault::Server => return Ok(()),
                    _ => failure.code.human_next_step(),
                };
                write!(f, "\n        Next: {next}")
            }
        }
    }
}

/// Looks at everything; each finding is handed to `tell` as soon as it is known. True: nothing is
/// broken.
pub async fn examine(
    settings: &Settings,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    mut tell: impl FnMut(&Finding),
) -> bool {
    let mut all_sound = true;
    let mut look = |what, outcome: Result<Outcome>| {
        let finding = Finding { what, outcome: outcome.unwrap_or_else(Outcome::Broken) };
        all_sound &= !finding.is_broken();
        tell(&finding);
    };
    for warning in &settings.warnings {
        look("settings", Ok(Outcome::Note(warning.clone())));
    }
    look("store", store(settings, &clock, &entropy).await);
    let transport = Transport::new(TransportSettings::default(), entropy.clone());
    let prepared = transport.and_then(|transport| {
        transport.prepare(upstream(&settings.access))?;
        Ok(transport)
    });
    let transport = match prepared {
        Ok(transport) => transport,
        Err(failure) => {
            look("network", Err(failure));
            return false;
        }
    };
    match accounts(&settings.access, &transport, &clock) {
        Accounts::Linked(scalekit) => {
            look("Scalekit", credentials(&scalekit).await);
            look("GitHub", linking(&scalekit, settings, &*entropy).await);
        }
        Accounts::Token(github) => {
            let viewer = github.viewer(&Call::within(PATIENCE)).await;
            let words = |login| format!("GITHUB_TOKEN is @{login}'s.");
            look("GitHub", viewer.map(|account| Outcome::Sound(words(account.login))));
        }
    }
    look("LLM", llm(settings, entropy).await);
    look("address", address(settings, &transport).await);
    all_sound
}

async fn store(
    settings: &Settings,
    clock: &Arc<dyn Clock>,
    entropy: &Arc<dyn Entropy>,
) -> Result<Outcome> {
    let prepared = settings
        .prepare(&**entropy)
        .map_err(|problems| Failure::new(FailureCode::Internal, problems.to_string()))?;
    let keyring = Keyring::new(prepared.session_keys.current, prepared.session_keys.previous);
    let store = open_store(&settings.store, &keyring, clock, entropy).await?;
    store.ping().await?;
    Ok(match &settings.store {
        StoreLocation::Memory => {
            Outcome::Note("in memory: connections are gone when the server ends.".to_owned())
        }
        StoreLocation::Sqlite(path) => {
            Outcome::Sound(format!("{} can be read and written.", path.display()))
        }
        StoreLocation::Redis(_) => Outcome::Sound("Redis can be read and written.".to_owned()),
    })
}

async fn credentials(scalekit: &Scalekit) -> Result<Outcome> {
    scalekit.check(&Call::within(PATIENCE)).await?;
    Ok(Outcome::Sound("the credentials are accepted.".to_owned()))
}

/// Goes as far as one can without a person.
async fn linking(
    scalekit: &Scalekit,
    settings: &Settings,
    entropy: &dyn Entropy,
) -> Result<Outcome> {
    let call = Call::within(PATIENCE);
    let (nobody, state) = (UserId::mint(entropy), Secret::from(entropy.token::<32>()));
    let mut back = settings.public_base_url.clone();
    back.set_path("/user/verify");
    let link = scalekit.authorization_link(&nobody, &state, &back, &call).await;
    let deleted = scalekit.delete_account(&nobody, &Call::within(PATIENCE)).await;
    link?;
    deleted?;
    let verification = match settings.auth_mode {
        AuthMode::OAuth => {
            " Custom user verification cannot be seen from here: check the dashboard."
        }
        AuthMode::Session | AuthMode::SingleUser => "",
    };
    Ok(Outcome::Sound(format!(
        "the connection exists, and a link can be made (its account was deleted again).{verification} \
         Whether the proxy is on shows with the first account."
    )))
}

async fn llm(settings: &Settings, entropy: Arc<dyn Entropy>) -> Result<Outcome> {
    let Some(llm) = written_by(settings, entropy)? else {
        let words = "none is configured: extracts will stand in for summaries.";
        return Ok(Outcome::Note(words.to_owned()));
    };
    let question = ("You are being tried out.", "Answer with the word: ready");
    llm.complete(question.0, question.1, FEW_TOKENS, &Call::within(PATIENCE)).await?;
    Ok(Outcome::Sound(format!("{} answers as {}.", llm.host(), llm.model())))
}

/// Whether the server is reached where its links point; it may not be running yet.
async fn address(settings: &Settings, transport: &Transport) -> Result<Outcome> {
    let public = &settings.public_base_url;
    let mut probe = public.clone();
    probe.set_path("/healthz");
    let dispatch =
        Dispatch { retry: Retry::Never, cap: BodyCap::Cut(100), purpose: Purpose::Elsewhere };
    let request = transport.request(Method::GET, probe);
    let answer = transport.send(request, dispatch, &Call::within(PATIENCE)).await;
    let words = match answer {
        Ok(answer) if answer.status.is_success() && &*answer.body == b"ok\n" => {
            return Ok(Outcome::Sound(format!("a server of ours answers at {public}.")));
        }
        Ok(answer) => format!(
            "{public} answers, but not as this server does (status {}): look at the proxy.",
            answer.status.as_u16()
        ),
        Err(error) => {
            format!("{public} is not reached from here ({error}); start the server first.")
        }
    };
    Ok(Outcome::Note(words))
}
