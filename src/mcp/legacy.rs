//! What stands before the SDK: who is calling, and sessions for clients up to 2025-11-25.
//!
//! `initialize` gets an `Mcp-Session-Id`; every later message of that session must carry it (MCP
//! 2025-11-25, transports, session management). A request that names its protocol version in
//! `_meta` is of the era without sessions. Bodies are read here once, bounded in size and time, and
//! held against JSON-RPC, so that malformed ones get its error instead of a bare status. What every
//! session asks for in the same plain words is answered here: calls ([`direct`]), the list of tools
//! ([`tool_list`]).

mod direct;
mod json;
mod message;
mod tool_list;

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use futures_util::StreamExt as _;
use rmcp::model::{ErrorCode, InitializeRequestParams, RequestId};
use serde_json::{Value, json};
use tokio::time::timeout;

pub(super) use self::tool_list::ToolList;
use self::{direct::Direct, message::Message, tool_list::Asked};
use super::{
    McpServer, RunningCalls,
    caller::Caller,
    entrance::{Admitted, Entrance},
    turnstile::{turned_away, until_sent},
};
use crate::{
    domain::{AuthMode, Failure, SessionId, text},
    identity::{ClientName, Principal, Sessions, Turnstile},
};

const SESSION_HEADER: &str = "mcp-session-id";

/// What is said once or not at all: two readers of a request could each believe another one.
const SINGLE_HEADERS: [&str; 5] =
    [SESSION_HEADER, "mcp-protocol-version", "mcp-method", "mcp-name", "content-type"];

/// JSON-RPC's code for what a server defines itself; clients of this era take it with HTTP 404 as
/// "initialize again".
const SESSION_NOT_FOUND: ErrorCode = ErrorCode(-32001);

/// No refusal of the SDK is longer, in bytes.
const LONGEST_REFUSAL: usize = 1_000;

/// How much of a body that nobody wants is awaited, in bytes, and how long.
const LONGEST_UNWANTED: usize = 64 * 1024;
const UNWANTED_PATIENCE: Duration = Duration::from_secs(2);

/// What the door needs.
#[derive(Debug)]
pub(super) struct Door {
    pub(super) server: McpServer,
    pub(super) sessions: Sessions,
    pub(super) running: RunningCalls,
    pub(super) entrance: Entrance,
    pub(super) turnstile: Turnstile,
    pub(super) tool_list: ToolList,
}

/// The middleware of `/mcp`.
pub(super) async fn admit(State(door): State<Arc<Door>>, request: Request, next: Next) -> Response {
    let admitted = match door.entrance.admit(request.headers()).await {
        Ok(admitted) => admitted,
        Err(refusal) => return unwanted(request.into_body(), *refusal).await,
    };
    let headers = request.headers();
    if let Some(name) =
        SINGLE_HEADERS.iter().find(|name| headers.get_all(**name).iter().count() > 1)
    {
        let text = format!("The header {name} was sent more than once.");
        let refusal =
            refuse(StatusCode::BAD_REQUEST, ErrorCode::INVALID_REQUEST, &text, &Value::Null);
        return unwanted(request.into_body(), refusal).await;
    }
    match *request.method() {
        Method::POST => door.post(&admitted, request, next).await,
        Method::DELETE => door.delete(&admitted, request.headers()).await,
        _ => (
            StatusCode::METHOD_NOT_ALLOWED,
            [(header::ALLOW, "POST, DELETE")],
            "This server sends nothing outside of its answers; use POST.\n",
        )
            .into_response(),
    }
}

impl Door {
    async fn post(&self, admitted: &Admitted, request: Request, next: Next) -> Response {
        let (parts, body) = request.into_parts();
        let message = match message::read(body, message::BODY_PATIENCE).await {
            Ok(message) => message,
            Err(refusal) => return *refusal,
        };
        if message.is_modern(&parts.headers) {
            return self.modern(admitted, parts, message, next).await;
        }
        if message.method() == Some("initialize") {
            return self.initialize(admitted, parts, message, next).await;
        }
        self.within_session(admitted, parts, message, next).await
    }

    async fn modern(
        &self,
        admitted: &Admitted,
        parts: Parts,
        message: Message,
        next: Next,
    ) -> Response {
        let known = |principal| {
            let admission = admitted.admission().cloned();
            Caller::Known { principal, session: None, admission }
        };
        let caller = match (admitted.person(), self.sessions.mode()) {
            (Some(id), _) => known(Principal { id: id.clone(), client: ClientName::default() }),
            (None, AuthMode::SingleUser) => {
                match self.sessions.machine(ClientName::default()).await {
                    Ok(principal) => known(principal),
                    Err(failure) => return internal(&failure, &message.id()),
                }
            }
            (None, AuthMode::Session | AuthMode::OAuth) => Caller::Sessionless,
        };
        self.answer(caller, parts, message, next).await
    }

    async fn initialize(
        &self,
        admitted: &Admitted,
        parts: Parts,
        message: Message,
        next: Next,
    ) -> Response {
        let id = message.id();
        // The SDK would take it for an unknown method and answer 200, and a session would begin.
        if message.params::<InitializeRequestParams>().is_none() {
            return refuse(
                StatusCode::BAD_REQUEST,
                ErrorCode::INVALID_PARAMS,
                "initialize needs protocolVersion, capabilities and clientInfo.",
                &id,
            );
        }
        let claimed = message.param("clientInfo/title").or(message.param("clientInfo/name"));
        let client = ClientName::claimed(claimed.and_then(Value::as_str).unwrap_or_default());
        // Where it is known who comes, nobody fills the queue of the newcomers alone.
        let passage = admitted.person().map(|person| self.turnstile.pass(person));
        if matches!(passage, Some(None)) {
            return turned_away(StatusCode::TOO_MANY_REQUESTS, &id);
        }
        let Some(_turn) = self.turnstile.welcome().await else {
            return turned_away(StatusCode::SERVICE_UNAVAILABLE, &id);
        };
        let mut response = forward(parts, message, next).await;
        if response.status() != StatusCode::OK {
            return response;
        }
        let opened = self.sessions.open(client, admitted.person()).await;
        match opened.map(|session| HeaderValue::from_str(session.as_str())) {
            Ok(Ok(value)) => {
                response.headers_mut().insert(SESSION_HEADER, value);
                response
            }
            Ok(Err(_)) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
            Err(failure) => internal(&failure, &id),
        }
    }

    async fn within_session(
        &self,
        admitted: &Admitted,
        parts: Parts,
        message: Message,
        next: Next,
    ) -> Response {
        let Some(session) = parts.headers.get(SESSION_HEADER) else {
            return refuse(
                StatusCode::BAD_REQUEST,
                ErrorCode::INVALID_REQUEST,
                "The Mcp-Session-Id header is missing. Next: send initialize and repeat the id \
                 that its answer carries.",
                &message.id(),
            );
        };
        let session = session.to_str().ok().and_then(SessionId::parse);
        let principal = match &session {
            Some(session) => self.sessions.find(session, admitted.person()).await,
            None => Ok(None),
        };
        let (session, principal) = match (session, principal) {
            (Some(session), Ok(Some(principal))) => (session.digest(), principal),
            (_, Ok(_)) => return unknown_session(&message.id()),
            (_, Err(failure)) => return internal(&failure, &message.id()),
        };
        if message.method() == Some("notifications/cancelled")
            && let Some(id) = message.param("requestId")
            && let Ok(id) = serde_json::from_value::<RequestId>(id.clone())
        {
            self.running.cancel(&session, &id);
        }
        let admission = admitted.admission().cloned();
        let caller = Caller::Known { principal, session: Some(session), admission };
        self.answer(caller, parts, message, next).await
    }

    /// Hands a message of `caller` on, within their share. Who a client without sessions is shows
    /// only in its handle, which the tools read: it is held to their limits alone.
    async fn answer(&self, caller: Caller, parts: Parts, message: Message, next: Next) -> Response {
        let passage = match &caller {
            Caller::Known { principal, .. } => match self.turnstile.pass(&principal.id) {
                Some(passage) => Some(passage),
                None => return turned_away(StatusCode::TOO_MANY_REQUESTS, &message.id()),
            },
            Caller::Sessionless => None,
        };
        let response = self.respond(caller, parts, message, next).await;
        match passage {
            Some(passage) => until_sent(passage, response),
            None => response,
        }
    }

    /// What every session asks for in the same words is answered here; in the newer era an answer
    /// also says how it may be kept.
    async fn respond(
        &self,
        caller: Caller,
        mut parts: Parts,
        message: Message,
        next: Next,
    ) -> Response {
        let is_of_session = matches!(caller, Caller::Known { session: Some(_), .. });
        if is_of_session && let Some(call) = Direct::asked(&parts.headers, &message) {
            return call.answer(&self.server, caller).await;
        }
        let asked = is_of_session.then(|| Asked::by(&parts.headers, &message)).flatten();
        parts.extensions.insert(caller);
        match asked {
            Some(asked) => self.list(&asked, parts, message, next).await,
            None => forward(parts, message, next).await,
        }
    }

    async fn list(&self, asked: &Asked, parts: Parts, message: Message, next: Next) -> Response {
        if let Some(known) = self.tool_list.answer(asked) {
            return known;
        }
        self.tool_list.keep(asked, forward(parts, message, next).await).await
    }

    async fn delete(&self, admitted: &Admitted, headers: &HeaderMap) -> Response {
        let Some(session) = headers.get(SESSION_HEADER) else {
            return refuse(
                StatusCode::BAD_REQUEST,
                ErrorCode::INVALID_REQUEST,
                "The Mcp-Session-Id header is missing.",
                &Value::Null,
            );
        };
        let closed = match session.to_str().ok().and_then(SessionId::parse) {
            Some(session) => self.sessions.close(&session, admitted.person()).await,
            None => Ok(false),
        };
        match closed {
            Ok(true) => StatusCode::NO_CONTENT.into_response(),
            Ok(false) => unknown_session(&Value::Null),
            Err(failure) => internal(&failure, &Value::Null),
        }
    }
}

/// The answer to a request whose body nobody wants to know. A body that is still on its way when the
/// answer leaves ends the connection without a word, and the client that sends its next request
/// there, now with a token, is cut off. So what is short and prompt is awaited, and where it is not
/// the answer says that the connection ends.
async fn unwanted(body: Body, mut answer: Response) -> Response {
    let mut parts = body.into_data_stream();
    let whole = timeout(UNWANTED_PATIENCE, async {
        let mut length = 0;
        while length <= LONGEST_UNWANTED {
            match parts.next().await {
                Some(Ok(part)) => length += part.len(),
                Some(Err(_)) => return false,
                None => return true,
            }
        }
        false
    });
    if !whole.await.unwrap_or_default() {
        answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    answer
}

/// Hands a message on to the SDK. It refuses in plain text, in part without saying so, which clients
/// of JSON-RPC cannot read: such an answer is put into an error of JSON-RPC.
async fn forward(parts: Parts, message: Message, next: Next) -> Response {
    let is_json = |kind: &HeaderValue| kind.as_bytes().starts_with(b"application/json");
    let sent_json = parts.headers.get(header::CONTENT_TYPE).is_some_and(is_json);
    let id = message.id();
    let response = next.run(Request::from_parts(parts, Body::from(message.bytes))).await;
    let mut status = response.status();
    let is_refusal = status.is_client_error() || status.is_server_error();
    if !is_refusal || response.headers().get(header::CONTENT_TYPE).is_some_and(is_json) {
        return response;
    }
    // JSON that it could not take for a message; the type of the content was right.
    if status == StatusCode::UNSUPPORTED_MEDIA_TYPE && sent_json {
        status = StatusCode::BAD_REQUEST;
    }
    let code = if status.is_server_error() {
        ErrorCode::INTERNAL_ERROR
    } else {
        ErrorCode::INVALID_REQUEST
    };
    let said = to_bytes(response.into_body(), LONGEST_REFUSAL).await.unwrap_or_default();
    let said = text::line(&String::from_utf8_lossy(&said), LONGEST_REFUSAL);
    let said = if said.is_empty() { "The message was refused." } else { &said };
    refuse(status, code, said, &id)
}

fn unknown_session(id: &Value) -> Response {
    refuse(
        StatusCode::NOT_FOUND,
        SESSION_NOT_FOUND,
        "This session is not known here, or it has ended. Next: send initialize without an \
         Mcp-Session-Id.",
        id,
    )
}

/// A failure of ours as JSON-RPC; logs it.
pub(super) fn internal(failure: &Failure, id: &Value) -> Response {
    tracing::error!(?failure, "a request failed before it reached a tool");
    let text = format!("{} Incident {}.", failure.detail, failure.incident);
    let status = StatusCode::from_u16(failure.code.http_status())
        .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = refuse(status, ErrorCode::INTERNAL_ERROR, &text, id);
    if let Some(wait) = failure.retry_after {
        let seconds = HeaderValue::from(wait.as_secs().max(1));
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    response
}

/// An answer that is written already.
fn json_answer(body: Body) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// A refusal as JSON-RPC.
pub(super) fn refuse(status: StatusCode, code: ErrorCode, text: &str, id: &Value) -> Response {
    let error = json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code.0, "message": text } });
    (status, [(header::CONTENT_TYPE, "application/json")], error.to_string()).into_response()
}
