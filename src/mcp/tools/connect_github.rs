//! `connect_github`: gives the person a link, or asks them through the client.

use std::time::Duration;

use chrono::SecondsFormat;
use rmcp::model::{CallToolRequestParams, Tool, ToolAnnotations};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{
    super::{
        answer::Answer,
        arguments,
        authorization::{Binding, Decision, decision},
    },
    Call, Description, describe, is_blocking,
};
use crate::{
    domain::{ConnectionHandle, Failure, FailureCode, Timestamp, failure::Result},
    identity::{
        Principal,
        flow::Ending,
        linking::{Connection, PendingLink, Status, no_longer_works},
    },
    summarize::Caller,
};

/// The tool's name.
pub const NAME: &str = "connect_github";

/// How long a repeated request waits for the browser; hosts give up at about 60 s.
const WAIT: Duration = Duration::from_secs(40);

/// What the tool takes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The value of `connection` from an earlier answer, if there was one.
    connection: Option<String>,
    /// True: link again even though an account is connected, for example another account.
    reconnect: Option<bool>,
}

/// Whether the person must do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConnectStatus {
    /// Done: the account can be used.
    Connected,
    /// The user must open the link.
    AuthorizationRequired,
    /// Whoever runs the server must change a setting first.
    Blocked,
}

/// What the tool answers.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Output {
    /// Whether the person must do something.
    status: ConnectStatus,
    /// The link for the user to open.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    /// Until when the link works.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
    /// The connected account.
    #[serde(skip_serializing_if = "Option::is_none")]
    github_login: Option<String>,
    /// Pass this value as `connection` in every later call.
    #[serde(skip_serializing_if = "Option::is_none")]
    connection: Option<String>,
    /// What to do now.
    next_step: String,
}

pub(super) fn descriptor() -> Tool {
    describe::<Input, Output>(Description {
        name: NAME,
        title: "Connect GitHub",
        text: "Links the user's own GitHub account. Answers `connected`, or a link that the user \
               must open in a browser. Call it when another tool says not_connected, or with \
               reconnect: true to use another account.",
        annotations: ToolAnnotations::with_title("Connect GitHub")
            .read_only(false)
            .destructive(false)
            .idempotent(true)
            .open_world(true),
        has_card: true,
    })
}

pub(super) async fn run(call: Call, mut request: CallToolRequestParams) -> Result<Answer> {
    let sent = serde_json::to_string(&request.arguments).unwrap_or_default();
    let input: Input = arguments::read(request.arguments.take())?;
    let known = call.principal(input.connection.as_deref()).await?;
    let binding =
        Binding { principal: known.as_ref().map(|p| p.id.clone()), tool: NAME, arguments: sent };
    if let Some(answer) = brought_back(&call, &request, &binding, known.as_ref()).await? {
        return Ok(answer);
    }
    let upstream = call.quick();
    let sessions = &call.server.parts.sessions;
    let asks = call.can_ask;
    let (principal, handle) = match known {
        Some(principal) => (principal, None),
        // The handle follows with the answer to the repeated request: a state never holds one.
        None if asks => (sessions.stranger(call.client.clone()), None),
        None => {
            let (handle, principal) = sessions.new_handle(call.client.clone()).await?;
            (principal, Some(handle))
        }
    };
    let reconnect = input.reconnect.unwrap_or(false);
    if reconnect {
        call.server.parts.asking.summarizer().forget(&Caller::new(&principal.id));
    }
    match call.server.parts.linking.begin(&principal, reconnect, &upstream).await {
        Ok(Status::Pending(link)) if asks => {
            Ok(Answer::Ask(call.server.states.ask(&link, &binding)))
        }
        Ok(status) => answer(&status, handle.as_ref()),
        Err(failure) if is_blocking(&failure) => blocked(&failure),
        Err(failure) => Err(failure),
    }
}

/// The client came back with the person's decision. `None`: it did not, or with nothing we know.
async fn brought_back(
    call: &Call,
    request: &CallToolRequestParams,
    binding: &Binding,
    known: Option<&Principal>,
) -> Result<Option<Answer>> {
    let Some(sealed) = &request.request_state else { return Ok(None) };
    let (linking, sessions) = (&call.server.parts.linking, &call.server.parts.sessions);
    let Some(flow) = call.server.states.open(sealed, binding) else { return Ok(None) };
    let Some(owner) = linking.principal_of(&flow).await? else { return Ok(None) };
    if known.is_some_and(|known| known.id != owner) {
        return Ok(None);
    }
    let principal = match known {
        Some(principal) => principal.clone(),
        None => Principal { id: owner, ..sessions.stranger(call.client.clone()) },
    };
    let status = match decision(request.input_responses.as_ref()) {
        Decision::Opened => linking.wait(&principal, &flow, Instant::now() + WAIT).await,
        Decision::Declined => {
            linking.decline(&flow).await?;
            linking.status(&principal, &call.quick()).await
        }
        Decision::Missing => match linking.begin(&principal, false, &call.quick()).await? {
            Status::Pending(link) => {
                return Ok(Some(Answer::Ask(call.server.states.ask(&link, binding))));
            }
            status => Ok(status),
        },
    };
    // Spent only now, with an answer at hand: a failure leaves the client a way back.
    if status.is_ok() && !sessions.claim_once(sealed).await? {
        return Ok(None);
    }
    let handle = match known {
        Some(_) => None,
        None => Some(sessions.handle_for(&principal.id).await?),
    };
    match status {
        Ok(status) => answer(&status, handle.as_ref()).map(Some),
        Err(failure) if is_blocking(&failure) => blocked(&failure).map(Some),
        Err(failure) => Err(failure),
    }
}

fn answer(status: &Status, handle: Option<&ConnectionHandle>) -> Result<Answer> {
    let (mut text, mut output) = match status {
        Status::Connected(connection) => connected(connection),
        Status::Pending(link) => pending(link),
        Status::NotConnected { last_ending: Some(ending) } => {
            let next_step = ending.failure().agent_next_step().to_owned();
            let status = match ending {
                // Only the operator can change that.
                Ending::Unverified => ConnectStatus::Blocked,
                _ => ConnectStatus::AuthorizationRequired,
            };
            (ending.sentence().into_owned(), plain(status, next_step))
        }
        Status::Expired { account, last_ending } => {
            let next_step = FailureCode::ReauthorizationRequired.agent_next_step().to_owned();
            let text = no_longer_works(account, last_ending.as_ref());
            (text, plain(ConnectStatus::AuthorizationRequired, next_step))
        }
        Status::NotConnected { last_ending: None } => {
            let next_step = FailureCode::AuthorizationExpired.agent_next_step().to_owned();
            let text = "No GitHub account is connected.".to_owned();
            (text, plain(ConnectStatus::AuthorizationRequired, next_step))
        }
    };
    if let Some(handle) = handle {
        text.push_str("\nConnection: ");
        text.push_str(handle.as_str());
        text.push_str(" (pass it as `connection` in every later call)");
        output.connection = Some(handle.as_str().to_owned());
    }
    text.push_str("\nNext: ");
    text.push_str(&output.next_step);
    Answer::done(text, &output)
}

fn connected(connection: &Connection) -> (String, Output) {
    let login = &connection.account.login;
    let unverified = if connection.verified {
        ""
    } else {
        " This connection is unverified: the Scalekit environment is in Scalekit-users-only mode, \
         which is meant for development."
    };
    let text = format!("GitHub is connected as @{login}.{unverified}");
    let next_step = "Call summarize_prs with the repository the user is interested in.".to_owned();
    let output =
        Output { github_login: Some(login.clone()), ..plain(ConnectStatus::Connected, next_step) };
    (text, output)
}

fn pending(link: &PendingLink) -> (String, Output) {
    let until = link.expires_at.to_rfc3339_opts(SecondsFormat::Secs, true);
    let text = format!(
        "To connect GitHub, the user must open this link in a browser (it works until {until}):\n{}",
        link.url
    );
    let next_step = "Show the link to the user, wait until they say that they are done, then call \
                     auth_status."
        .to_owned();
    let output = Output {
        url: Some(link.url.to_string()),
        expires_at: Some(link.expires_at),
        ..plain(ConnectStatus::AuthorizationRequired, next_step)
    };
    (text, output)
}

fn blocked(failure: &Failure) -> Result<Answer> {
    let next_step = failure.code.agent_next_step().to_owned();
    let text = format!("{}\nNext: {next_step}", failure.detail);
    Answer::done(text, &plain(ConnectStatus::Blocked, next_step))
}

fn plain(status: ConnectStatus, next_step: String) -> Output {
    Output { status, url: None, expires_at: None, github_login: None, connection: None, next_step }
}
