//! `auth_status`: tells how the caller stands with GitHub.

use rmcp::model::{CallToolRequestParams, Tool, ToolAnnotations};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    super::{answer::Answer, arguments},
    Call, Description, describe, is_blocking,
};
use crate::{
    domain::{AuthMode, FailureCode, GitHubAccess, Timestamp, failure::Result},
    identity::{
        flow::Ending,
        linking::{Status, no_longer_works},
    },
};

/// The tool's name.
pub const NAME: &str = "auth_status";

/// What the tool takes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The value of `connection` from an earlier answer, if there was one.
    connection: Option<String>,
}

/// How the caller stands with GitHub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConnectionStatus {
    /// The account can be used.
    Connected,
    /// The user has a link and has not finished.
    Pending,
    /// No account.
    NotConnected,
    /// The account no longer works.
    Expired,
    /// Whoever runs the server must change a setting first.
    Blocked,
}

/// What the tool answers.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Output {
    /// How the caller stands with GitHub.
    status: ConnectionStatus,
    /// The account.
    #[serde(skip_serializing_if = "Option::is_none")]
    github_login: Option<String>,
    /// Since when.
    #[serde(skip_serializing_if = "Option::is_none")]
    connected_at: Option<Timestamp>,
    /// How the server tells its callers apart.
    auth_mode: AuthMode,
    /// By which way GitHub is read.
    #[serde(skip_serializing_if = "Option::is_none")]
    github_access: Option<GitHubAccess>,
    /// The server verified whose browser linked the account.
    #[serde(skip_serializing_if = "Option::is_none")]
    verified: Option<bool>,
    /// What to do now.
    next_step: String,
}

pub(super) fn descriptor() -> Tool {
    describe::<Input, Output>(Description {
        name: NAME,
        title: "GitHub connection status",
        text: "Tells whether a GitHub account is connected for this caller, and which one. Call it \
               after the user has opened the link of connect_github.",
        annotations: ToolAnnotations::with_title("GitHub connection status")
            .read_only(true)
            .destructive(false)
            .idempotent(true)
            .open_world(true),
        has_card: false,
    })
}

pub(super) async fn run(call: Call, request: CallToolRequestParams) -> Result<Answer> {
    let input: Input = arguments::read(request.arguments)?;
    let parts = &call.server.parts;
    let status = match call.principal(input.connection.as_deref()).await? {
        None => Status::NotConnected { last_ending: None },
        Some(principal) => match parts.linking.status(&principal, &call.quick()).await {
            Ok(status) => status,
            Err(failure) if is_blocking(&failure) => {
                let next_step = failure.code.agent_next_step();
                let output = plain(ConnectionStatus::Blocked, parts.settings.mode, next_step);
                return done(&failure.detail, &output);
            }
            Err(failure) => return Err(failure),
        },
    };
    let (text, mut output) = told(&status, parts.settings.mode);
    let text = match (&parts.settings.llm_host, output.status) {
        (Some(host), ConnectionStatus::Connected) => {
            let which =
                if parts.settings.llm_reads_private { "" } else { " in public repositories" };
            format!("{text} Text of pull requests{which} is sent to {host} to be summarized.")
        }
        _ => text,
    };
    let has_handles = parts.settings.mode != AuthMode::OAuth;
    if has_handles && matches!(status, Status::NotConnected { .. }) && input.connection.is_none() {
        output.next_step.push_str(" If an earlier answer carried `connection`, pass it.");
    }
    done(&text, &output)
}

fn told(status: &Status, mode: AuthMode) -> (String, Output) {
    match status {
        Status::Connected(connection) => {
            let login = connection.account.login.clone();
            let verified = if connection.verified { "" } else { " (unverified)" };
            let text = format!("GitHub is connected as @{login}{verified}.");
            let next_step = "Call summarize_prs.";
            let output = Output {
                github_login: Some(login),
                connected_at: connection.connected_at,
                github_access: Some(connection.access),
                verified: Some(connection.verified),
                ..plain(ConnectionStatus::Connected, mode, next_step)
            };
            (text, output)
        }
        Status::Pending(link) => {
            let text = format!("The user has not finished yet. Their link: {}", link.url);
            let next_step = FailureCode::AuthorizationPending.agent_next_step();
            (text, plain(ConnectionStatus::Pending, mode, next_step))
        }
        Status::NotConnected { last_ending } => {
            let text = last_ending
                .as_ref()
                .map_or("No GitHub account is connected.".into(), Ending::sentence)
                .into_owned();
            let next_step =
                last_ending.as_ref().map_or("Call connect_github for a link.", |ending| {
                    ending.failure().agent_next_step()
                });
            let status = match last_ending {
                // Only the operator can change that.
                Some(Ending::Unverified) => ConnectionStatus::Blocked,
                _ => ConnectionStatus::NotConnected,
            };
            (text, plain(status, mode, next_step))
        }
        Status::Expired { account, last_ending } => {
            let text = no_longer_works(account, last_ending.as_ref());
            let next_step = FailureCode::ReauthorizationRequired.agent_next_step();
            let output = Output {
                github_login: Some(account.login.clone()),
                ..plain(ConnectionStatus::Expired, mode, next_step)
            };
            (text, output)
        }
    }
}

fn done(text: &str, output: &Output) -> Result<Answer> {
    Answer::done(format!("{text}\nNext: {}", output.next_step), output)
}

fn plain(status: ConnectionStatus, auth_mode: AuthMode, next_step: &str) -> Output {
    Output {
        status,
        github_login: None,
        connected_at: None,
        auth_mode,
        github_access: None,
        verified: None,
        next_step: next_step.to_owned(),
    }
}
