//! `summarize_prs`: what the server is for.

use rmcp::model::{CallToolRequestParams, Tool, ToolAnnotations};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    super::{answer::Answer, arguments, progress},
    Call, Description, Refusal, describe,
};
use crate::{
    domain::{
        Failure, FailureCode,
        digest::{Detail, RepositoryDigest},
        failure::Result,
        ranking::Order,
    },
    identity::{Principal, linking::Status},
    summarize::{
        asking::{Answered, Question},
        render,
    },
};

/// The tool's name.
pub const NAME: &str = "summarize_prs";

/// What the tool takes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// owner/repo, or an address at github.com; the address of a pull request means that one.
    repository: String,
    /// How many pull requests, 1 to 20; 5 if absent.
    #[schemars(range(min = 1, max = 20))]
    limit: Option<u32>,
    /// Just these pull requests, by number; at most 20.
    #[schemars(length(max = 20))]
    pull_requests: Option<Vec<u64>>,
    /// Which come first; `most_discussed` if absent.
    order: Option<Order>,
    /// Leave drafts out.
    exclude_drafts: Option<bool>,
    /// Leave out what bots opened.
    exclude_bots: Option<bool>,
    /// Only by this login.
    author: Option<String>,
    /// Only with this label.
    label: Option<String>,
    /// Only against this branch.
    base: Option<String>,
    /// Language of the summaries, in words or as a tag ("German", "pt-BR"); English if absent.
    language: Option<String>,
    /// concise (3-4 sentences) or full; concise if absent.
    detail: Option<Detail>,
    /// The value of `connection` from an earlier answer, if there was one.
    connection: Option<String>,
}

pub(super) fn descriptor() -> Tool {
    describe::<Input, RepositoryDigest>(Description {
        name: NAME,
        title: "Summarize pull requests",
        text: "Summarizes the most-discussed open pull requests of a GitHub repository: for each \
               its stage (computed by rule), whose turn it is, review and CI facts, what was read, \
               and 3-4 sentences on the change and the discussion. Takes up to 45 s, or as long as \
               the operator set; if `complete` is false, call again with the same arguments for the \
               rest.",
        annotations: ToolAnnotations::with_title("Summarize pull requests")
            .read_only(true)
            .destructive(false)
            .idempotent(true)
            .open_world(true),
        has_card: true,
    })
}

pub(super) async fn run(call: Call, request: CallToolRequestParams) -> Result<Answer, Refusal> {
    let input: Input = arguments::read(request.arguments)?;
    let (question, connection) = input.question();
    let asking = call.server.parts.asking.clone();
    let wanted = asking.wanted(&question)?;
    let (reporter, forwarder) = progress::channel(call.listener.clone());
    forwarder.begin("Reading the repository").await;

    let principal = call.principal(connection.as_deref()).await?;
    let upstream = call.upstream.clone();
    let Some(principal) = principal else { return Err(connect_first(&call, None).await?) };
    let telling = forwarder.run();
    // By far the largest of what a call may wait for.
    match Box::pin(asking.answer(&principal, &wanted, reporter, telling, &upstream)).await? {
        Answered::Digest(digest) => Ok(Answer::done(render::render(&digest), &digest)?),
        Answered::Unlinked => Err(connect_first(&call, Some(principal)).await?),
    }
}

impl Input {
    /// The question, and the handle that came with it.
    fn question(self) -> (Question, Option<String>) {
        let question = Question {
            repository: self.repository,
            limit: self.limit,
            pull_requests: self.pull_requests.unwrap_or_default(),
            order: self.order,
            exclude_drafts: self.exclude_drafts.unwrap_or(false),
            exclude_bots: self.exclude_bots.unwrap_or(false),
            author: self.author,
            label: self.label,
            base: self.base,
            language: self.language,
            detail: self.detail.unwrap_or_default(),
        };
        (question, self.connection)
    }
}

/// The failure of a caller without an account, with the link that cures it.
async fn connect_first(call: &Call, principal: Option<Principal>) -> Result<Refusal> {
    let parts = &call.server.parts;
    let (principal, handle) = if let Some(principal) = principal {
        (principal, None)
    } else {
        let (handle, principal) = parts.sessions.new_handle(call.client.clone()).await?;
        (principal, Some(handle))
    };
    let status = parts.linking.begin(&principal, false, &call.quick()).await?;
    let mut further = Vec::new();
    if let Status::Pending(link) = status {
        further.push(format!("Link for the user: {}", link.url));
    }
    if let Some(handle) = handle {
        further.push(format!(
            "Connection: {} (pass it as `connection` in every later call)",
            handle.as_str()
        ));
    }
    Ok(Refusal {
        failure: Failure::new(FailureCode::NotConnected, "No GitHub account is connected yet."),
        further: Some(further.join("\n")),
    })
}
