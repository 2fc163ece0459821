//! One call of a tool, whichever way it came: where from, how it ends, and what is told of it.

use rmcp::{
    ErrorData, RoleServer,
    model::{CallToolRequestParams, CallToolResponse, RequestId},
    service::RequestContext,
};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::{
    McpServer, answer,
    answer::Answer,
    authorization::can_ask,
    caller::{Caller, client_name},
    journal::{self, Ended},
    progress::Listener,
    tools,
};
use crate::{
    domain::{Failure, FailureCode, failure::Result},
    identity::ClientName,
    oauth::Admission,
    upstream,
};

/// Where a call comes from, and what its client takes.
pub(super) struct Origin {
    caller: Result<Caller>,
    id: RequestId,
    client: ClientName,
    can_ask: bool,
    listener: Option<Listener>,
    /// Cancelled when the client has left, or nothing more is answered.
    left: CancellationToken,
}

impl Origin {
    /// Of a call that the SDK handed on.
    pub(super) fn of(context: RequestContext<RoleServer>) -> Self {
        let caller = Caller::of(&context);
        let client = caller.as_ref().map(|it| client_name(it, &context)).unwrap_or_default();
        let can_ask = can_ask(&context);
        let token = context.meta.get_progress_token();
        let listener = token.map(|token| Listener { peer: context.peer, token });
        Self { caller, id: context.id, client, can_ask, listener, left: context.ct }
    }

    /// Of a call within a session whose client wants nothing but the answer. Who sent it may be gone
    /// as soon as the call is no longer polled.
    pub(super) fn within_session(caller: Caller, id: RequestId, stop: CancellationToken) -> Self {
        let client = caller.session_client().cloned().unwrap_or_default();
        Self { caller: Ok(caller), id, client, can_ask: false, listener: None, left: stop }
    }
}

impl McpServer {
    /// Runs a call until it is done, or its client cancels it or leaves, or may no longer call.
    pub(super) async fn call(
        &self,
        request: CallToolRequestParams,
        origin: Origin,
    ) -> Result<CallToolResponse, ErrorData> {
        let upstream = upstream::Call::within(self.inner.parts.settings.summary_deadline);
        let entry = journal::Entry::begin(tools::name(&request.name), upstream.clone());
        let (ended, answer) = self.ended(request, origin, upstream).instrument(entry.span()).await;
        entry.end(ended);
        answer
    }

    async fn ended(
        &self,
        request: CallToolRequestParams,
        origin: Origin,
        upstream: upstream::Call,
    ) -> (Ended, Result<CallToolResponse, ErrorData>) {
        let tool = request.name.clone();
        let Origin { caller, id, client, can_ask, listener, left } = origin;
        let outcome = match caller {
            Ok(caller) => {
                let running = self.inner.parts.running.start(caller.session(), &id);
                let admission = caller.admission().cloned();
                let server = self.inner.clone();
                let call = tools::Call { server, caller, client, can_ask, listener, upstream };
                let entrance = &self.inner.parts.settings.entrance;
                let outcome = tokio::select! {
                    // What is answered at once needs nobody to watch over it.
                    biased;
                    outcome = tools::dispatch(call, request) => outcome,
                    () = left.cancelled() => return (Ended::Cancelled, Err(was_cancelled())),
                    () = running.cancelled() => return (Ended::Cancelled, Err(was_cancelled())),
                    refused = entrance.until_refused(admission.as_ref()) => {
                        Some(Err(tools::Refusal::plain(refused.err().unwrap_or_else(revoked))))
                    }
                };
                self.still_allowed(outcome, admission.as_ref()).await
            }
            Err(failure) => Some(Err(tools::Refusal::plain(failure))),
        };
        match outcome {
            None => {
                let text = "There is no tool of this name. Next: call tools/list.";
                (Ended::NoSuchTool, Err(ErrorData::invalid_params(text, None)))
            }
            Some(Ok(answer)) => (Ended::Answered, Ok(answer.into())),
            Some(Err(refusal)) => {
                answer::log(&refusal.failure, &tool);
                let answer = answer::failed(&refusal.failure, refusal.further.as_deref());
                (Ended::Failed(refusal.failure.code), Ok(answer.into()))
            }
        }
    }

    /// What is answered if the grant still stands; whoever revoked it while the call ran wants
    /// nothing of it told.
    async fn still_allowed(
        &self,
        outcome: Option<Result<Answer, tools::Refusal>>,
        admission: Option<&Admission>,
    ) -> Option<Result<Answer, tools::Refusal>> {
        match self.inner.parts.settings.entrance.still_admits(admission).await {
            Ok(true) => outcome,
            Ok(false) => Some(Err(tools::Refusal::plain(revoked()))),
            Err(failure) => Some(Err(tools::Refusal::plain(failure))),
        }
    }
}

fn revoked() -> Box<Failure> {
    Failure::new(
        FailureCode::Unauthenticated,
        "The access of this client was revoked while the call ran.",
    )
}

fn was_cancelled() -> ErrorData {
    ErrorData::internal_error("The call was cancelled.", None)
}
