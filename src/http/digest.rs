//! `POST /digest`: a question from the page, and its answer as it comes.
//!
//! To the page's script the answer is a stream of server-sent events: `progress` at once and with
//! each pull request, then `digest` or `failure`. A form that was sent without scripts gets a page
//! when all is done. What is wrong with the question itself is told with a status of its own.

use std::{convert::Infallible, time::Duration};

use axum::{
    body::{Body, Bytes},
    extract::{State, rejection::BytesRejection},
    http::{HeaderMap, header},
    response::{IntoResponse as _, Response},
};
use futures_util::stream;
use maud::html;
use serde::{Serialize, de::DeserializeOwned, de::value::StrDeserializer};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout},
};

use super::{
    Pages,
    asker::{Asker, Form},
    page,
    problem::{failure_response_saying, log},
    visitor::Visitor,
};
use crate::{
    domain::{Failure, FailureCode, digest::RepositoryDigest, failure::Result},
    identity::{Principal, turnstile::Passage},
    measure,
    summarize::{
        Progress, Request,
        asking::{Answered, Question},
        render,
    },
    upstream::Call,
};

/// By which name the counters know a question from the page.
const NAME: &str = "page";
/// Steps that may wait for a slow browser; further ones are left out, the next says more.
const WAITING: usize = 32;
/// Proxies cut what stays silent, so something is said at least this often.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// How long somebody is told to wait who asks too much at once.
const COME_BACK: Duration = Duration::from_secs(5);

/// POST `/digest`.
pub(super) async fn ask(
    State(pages): State<Pages>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    asked(pages, &headers, body).await.unwrap_or_else(|failure| {
        failure_response_saying(&failure, &headers, next_step(failure.code))
    })
}

async fn asked(
    pages: Pages,
    headers: &HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response> {
    let form = Form::read(&pages, headers, body)?;
    let wanted = pages.desk.asking.wanted(&question(&form)?)?;
    let principal = Asker::of(&pages, form.browser.cookie.as_ref()).await?.known(&pages)?;
    if let Some(server) = &pages.authorization {
        // The page says as whom it reads; another tab may have signed somebody else in since.
        let visitor = Visitor::of(form.browser.cookie.as_ref(), &pages, server).await?;
        let is_meant = visitor.map(|visitor| visitor.is_meant_by(&form.body)).transpose()?;
        if is_meant != Some(true) {
            return Err(somebody_else());
        }
    }
    let Some(passage) = pages.desk.turnstile.pass(&principal.id) else {
        let sentence = "Too many requests of this browser are being answered.";
        return Err(Failure::new(FailureCode::TooManyRequests, sentence).retry_after(COME_BACK));
    };
    let work = Work { pages, form, principal, wanted, begun: Instant::now() };
    let by_navigation = headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"));
    if by_navigation {
        let _running = work.pages.desk.running.token();
        return Ok(as_page(&work.run(()).await?).into_response());
    }
    Ok(streamed(work, passage))
}

/// What the fields of the form say.
fn question(form: &Form) -> Result<Question> {
    let limit =
        form.field("limit")?.map(|limit| limit.trim().parse().map_err(|_| no_such("limit")));
    Ok(Question {
        repository: form.field("repository")?.unwrap_or_default(),
        limit: limit.transpose()?,
        order: word(form, "order")?,
        exclude_drafts: form.field("exclude_drafts")?.is_some(),
        exclude_bots: form.field("exclude_bots")?.is_some(),
        ..Question::default()
    })
}

/// A field that has one of a few words.
fn word<T: DeserializeOwned>(form: &Form, name: &'static str) -> Result<Option<T>> {
    let Some(value) = form.field(name)? else { return Ok(None) };
    let read = StrDeserializer::<serde::de::value::Error>::new(&value);
    T::deserialize(read).map(Some).map_err(|_| no_such(name))
}

fn no_such(name: &str) -> Box<Failure> {
    let sentence = format!("The field {name} holds a value that it does not offer.");
    Failure::new(FailureCode::InvalidArguments, sentence)
}

/// A question that was let in.
struct Work {
    pages: Pages,
    form: Form,
    principal: Principal,
    wanted: Request,
    begun: Instant,
}

impl Work {
    async fn run<P: Progress>(&self, progress: P) -> Result<RepositoryDigest> {
        let outcome = self.answer(progress).await;
        let word = outcome.as_ref().map_or_else(|failure| failure.code.slug(), |_| "answered");
        measure::tool_call(NAME, word, self.begun.elapsed());
        outcome
    }

    async fn answer<P: Progress>(&self, progress: P) -> Result<RepositoryDigest> {
        let desk = &self.pages.desk;
        let call = Call::within(desk.deadline);
        let answered = tokio::select! {
            answered = desk.asking.answer(&self.principal, &self.wanted, progress, async {}, &call) => {
                answered
            }
            () = desk.stop.cancelled() => {
                let sentence = "The server was told to stop before the answer was there.";
                return Err(Failure::new(FailureCode::Stopping, sentence).retry_after(COME_BACK));
            }
        };
        // Whoever signed out or was locked out while it was made wants nothing of it shown.
        let asker = Asker::look(&self.pages, self.form.browser.cookie.as_ref()).await?;
        if asker.known(&self.pages)?.id != self.principal.id {
            return Err(somebody_else());
        }
        match answered? {
            Answered::Digest(digest) => Ok(*digest),
            Answered::Unlinked => {
                Err(Failure::new(FailureCode::NotConnected, "No GitHub account is connected yet."))
            }
        }
    }
}

/// What the script reads.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Event {
    Progress {
        done: u32,
        total: u32,
        message: String,
    },
    Digest(Box<RepositoryDigest>),
    Failure {
        code: &'static str,
        detail: String,
        next: &'static str,
        incident: String,
        retry_after_seconds: Option<u64>,
    },
}

impl Event {
    fn failed(failure: &Failure) -> Self {
        log(failure);
        Self::Failure {
            code: failure.code.slug(),
            detail: failure.detail.clone(),
            next: next_step(failure.code),
            incident: failure.incident.clone(),
            retry_after_seconds: failure.retry_after.map(|wait| wait.as_secs().max(1)),
        }
    }

    /// The event as it goes over the wire; JSON has no line breaks of its own.
    fn to_bytes(&self) -> Bytes {
        let name = match self {
            Self::Progress { .. } => "progress",
            Self::Digest(_) => "digest",
            Self::Failure { .. } => "failure",
        };
        let data = serde_json::to_string(self).unwrap_or_default();
        format!("event: {name}\ndata: {data}\n\n").into()
    }
}

fn somebody_else() -> Box<Failure> {
    let sentence = "Meanwhile somebody else has signed in to this browser.";
    Failure::new(FailureCode::Unauthenticated, sentence)
}

/// What a person does next on this very page; no assistant is at hand.
pub(super) fn next_step(code: FailureCode) -> &'static str {
    match code {
        FailureCode::NotConnected => {
            "Connect GitHub on this page, then ask again. Reload it if it shows no button for that."
        }
        FailureCode::ReauthorizationRequired => {
            "Connect GitHub again on this page, then ask again. Reload it if it shows no button for \
             that."
        }
        FailureCode::Unauthenticated => "Reload this page.",
        FailureCode::InvalidArguments => "Correct it and ask again.",
        other => other.human_next_step(),
    }
}

/// Hears how far the work is, and passes it on.
struct Reporter(mpsc::Sender<Event>);

impl Progress for Reporter {
    fn report(&self, done: u32, total: u32, message: String) {
        let _ = self.0.try_send(Event::Progress { done, total, message });
    }
}

/// The answer as events. It ends with the browser that asked: whoever leaves wants no answer.
fn streamed(work: Work, passage: Passage) -> Response {
    let (sender, receiver) = mpsc::channel(WAITING);
    Reporter(sender.clone()).report(0, 0, "Reading the repository".to_owned());
    let running = work.pages.desk.running.clone();
    running.spawn(async move {
        let event = tokio::select! {
            outcome = work.run(Reporter(sender.clone())) => match outcome {
                Ok(digest) => Event::Digest(Box::new(digest)),
                Err(failure) => Event::failed(&failure),
            },
            () = sender.closed() => {
                measure::tool_call(NAME, "cancelled", work.begun.elapsed());
                return;
            }
        };
        let _ = sender.send(event).await;
    });
    // The passage ends with the stream: an answer counts until it was sent.
    let events = stream::unfold((receiver, passage), |(mut receiver, passage)| async move {
        let bytes = match timeout(KEEP_ALIVE, receiver.recv()).await {
            Ok(event) => event?.to_bytes(),
            Err(_) => Bytes::from_static(b": still at work\n\n"),
        };
        Some((Ok::<_, Infallible>(bytes), (receiver, passage)))
    });
    let headers = [(header::CONTENT_TYPE, "text/event-stream; charset=utf-8")];
    (headers, Body::from_stream(events)).into_response()
}

/// The answer for a browser without scripts.
fn as_page(digest: &RepositoryDigest) -> maud::Markup {
    page::layout(
        &digest.repository,
        &html! {
            h1 { (digest.repository) }
            pre { (render::render(digest)) }
            p { a href="/" { "Ask again" } }
        },
    )
}
