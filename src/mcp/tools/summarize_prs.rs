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
        Failure, FailureCode, RepositoryReference,
        digest::{Detail, RepositoryDigest},
        failure::Result,
        ranking::Order,
        repository::host,
        text,
    },
    identity::{
        Principal,
        linking::{OwnGitHub, Status},
    },
    summarize::{Caller, MAX_PULL_REQUESTS, Request, Summarizer, render},
    upstream,
};

/// The tool's name.
pub const NAME: &str = "summarize_prs";

/// How many without being told.
const USUAL: usize = 5;
/// No filter is longer, in characters.
const LONGEST_FILTER: usize = 100;

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
    })
}

pub(super) async fn run(call: Call, request: CallToolRequestParams) -> Result<Answer, Refusal> {
    let input: Input = arguments::read(request.arguments)?;
    let parts = &call.server.parts;
    let wanted = wanted(&input, &parts.settings.github_hosts)?;
    let token = call.context.meta.get_progress_token();
    let (reporter, forwarder) = progress::channel(call.context.peer.clone(), token);
    forwarder.begin("Reading the repository").await;

    let principal = call.principal(input.connection.as_deref()).await?;
    let upstream = call.upstream.clone();
    let Some(principal) = principal else { return Err(connect_first(&call, None).await?) };
    let own = match parts.linking.github(&principal, &upstream).await {
        Err(failure) if failure.code == FailureCode::NotConnected => {
            return Err(connect_first(&call, Some(principal)).await?);
        }
        own => own?,
    };
    let access = Access { principal, own };
    let held = summarized(&call, &access, &wanted, (reporter, forwarder), &upstream).await;
    let Some(digest) = held else {
        return Err(access_lost(&call, access.principal, &upstream).await?);
    };
    match digest {
        Ok(digest) => {
            // Only a convenience: an answer is not lost for it.
            if let Err(failure) =
                parts.linking.note_repository(&access.principal, &digest.repository).await
            {
                tracing::warn!(?failure, "a repository that was asked about was not remembered");
            }
            Ok(Answer::done(render::render(&digest), &digest)?)
        }
        Err(failure) => {
            if failure.code == FailureCode::ReauthorizationRequired {
                parts.linking.note_refusal(&access.own).await;
            }
            Err(failure.into())
        }
    }
}

/// A caller's own access to GitHub.
struct Access {
    principal: Principal,
    own: OwnGitHub,
}

/// The digest, or what stood in its way; `None` if the access was lost meanwhile: disconnected in
/// a browser or by another call, or replaced by another account. Nothing is served then, and
/// nothing more is asked.
async fn summarized(
    call: &Call,
    access: &Access,
    wanted: &Request,
    (reporter, forwarder): (progress::Reporter, progress::Forwarder),
    upstream: &upstream::Call,
) -> Option<Result<RepositoryDigest>> {
    let parts = &call.server.parts;
    let Access { principal, own } = access;
    let caller = Caller::new(&principal.id);
    let work = async {
        let summarizer = &parts.summarizer;
        let digest = summarizer.summarize(&caller, &own.github, wanted, &reporter, upstream).await;
        // Ends the forwarder, once it has sent what was reported last.
        drop(reporter);
        digest
    };
    let linking = parts.linking.clone();
    let theirs = (principal.clone(), own.clone());
    let mut lost = Box::pin(async move { linking.until_lost(&theirs.0, &theirs.1).await });
    let digest = tokio::select! {
        (digest, ()) = async { tokio::join!(work, forwarder.run()) } => digest,
        lost = &mut lost => match lost {
            Ok(()) => {
                parts.summarizer.forget(&caller);
                return None;
            }
            Err(failure) => Err(failure),
        },
    };
    match parts.linking.holds(principal, own).await {
        Ok(true) => {
            if digest.as_ref().is_ok_and(|digest| !digest.complete) {
                tokio::spawn(watch_over(parts.summarizer.clone(), caller, lost));
            }
            Some(digest)
        }
        Ok(false) => {
            parts.summarizer.forget(&caller);
            None
        }
        Err(failure) => Some(Err(failure)),
    }
}

/// What is still written when a call has its answer ends with the access it was read by, however
/// that goes: a text that waits for its place is not sent to the LLM any more. Lasts as long as the
/// writing does, which has its own bound.
async fn watch_over(
    summarizer: Summarizer,
    caller: Caller,
    lost: impl Future<Output = Result<()>> + Send,
) {
    tokio::select! {
        // Whether it is lost is not known when the store fails: then it ends too.
        _ = lost => summarizer.forget(&caller),
        () = summarizer.until_written(&caller) => {}
    }
}

/// What a call is told whose access went away under it.
async fn access_lost(
    call: &Call,
    principal: Principal,
    upstream: &upstream::Call,
) -> Result<Refusal> {
    match call.server.parts.linking.github(&principal, upstream).await {
        Ok(_) => Ok(Refusal::plain(Failure::new(
            FailureCode::NotConnected,
            "Another GitHub account was connected while this call ran. Call again to read with it.",
        ))),
        Err(failure) if failure.code == FailureCode::NotConnected => {
            connect_first(call, Some(principal)).await
        }
        Err(failure) => Ok(failure.into()),
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

fn wanted(input: &Input, hosts: &[String]) -> Result<Request> {
    let repository = RepositoryReference::parse(&input.repository)?;
    if let Some(foreign) = host(&input.repository).filter(|host| !hosts.contains(host)) {
        let foreign = text::name(&foreign, LONGEST_FILTER);
        return Err(Failure::new(
            FailureCode::InvalidRepository,
            format!(
                "The address is at {foreign}; this server reads {}.",
                hosts.first().map_or("GitHub", String::as_str)
            ),
        ));
    }
    let pull_requests = input.pull_requests.clone().unwrap_or_default();
    if pull_requests.len() > MAX_PULL_REQUESTS {
        return Err(arguments::invalid(format!(
            "pull_requests names more than {MAX_PULL_REQUESTS} numbers."
        )));
    }
    if pull_requests.contains(&0) {
        return Err(arguments::invalid("pull_requests: numbers begin with 1."));
    }
    let limit = input.limit.map_or(USUAL, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    if !(1..=MAX_PULL_REQUESTS).contains(&limit) {
        return Err(arguments::invalid(format!("limit must be 1 to {MAX_PULL_REQUESTS}.")));
    }
    Ok(Request {
        repository,
        limit,
        pull_requests,
        order: input.order.unwrap_or_default(),
        exclude_drafts: input.exclude_drafts.unwrap_or(false),
        exclude_bots: input.exclude_bots.unwrap_or(false),
        author: filter("author", input.author.as_deref())?
            .map(|author| author.trim_start_matches('@').to_owned()),
        label: filter("label", input.label.as_deref())?,
        base: filter("base", input.base.as_deref())?,
        language: filter("language", input.language.as_deref())?,
        detail: input.detail.unwrap_or_default(),
    })
}

/// A filter in words: one line, not empty, not long.
fn filter(name: &str, value: Option<&str>) -> Result<Option<String>> {
    let Some(value) = value.map(str::trim) else { return Ok(None) };
    if value.is_empty() {
        return Ok(None);
    }
    if value.chars().count() > LONGEST_FILTER || text::line(value, LONGEST_FILTER) != value {
        return Err(arguments::invalid(format!(
            "{name} must be one line of at most {LONGEST_FILTER} plain characters."
        )));
    }
    Ok(Some(value.to_owned()))
}
