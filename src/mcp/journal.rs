//! What the log says of each call of a tool: one span around its lines, and one line at its end.
//!
//! A line names the call by a number of its own, the caller by the head of a digest, the tool, what
//! was asked of others and how long it took. Never a secret, a link, a repository or anybody's text.

use tokio::time::Instant;
use tracing::{Span, field};

use crate::{
    domain::{FailureCode, PrincipalId, failure::log_number},
    measure, upstream,
};

/// Characters of a caller's digest: enough to tell callers apart, too few to look one up.
const CALLER: usize = 12;

/// Notes on the present span who is calling.
pub(super) fn name(principal: &PrincipalId) {
    let span = Span::current();
    if !span.is_disabled() {
        let digest = principal.digest();
        span.record("caller", digest.get(..CALLER).unwrap_or_default());
    }
}

/// How a call ended.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ended {
    /// With an answer.
    Answered,
    /// With a failure.
    Failed(FailureCode),
    /// Its client cancelled it or left.
    Cancelled,
    /// There is no such tool.
    NoSuchTool,
}

/// Writes the line at the end of a call, whichever way it ends: a call that is dropped was left by
/// its client.
#[derive(Debug)]
pub(super) struct Entry {
    tool: &'static str,
    span: Span,
    begun: Instant,
    upstream: upstream::Call,
    ended: Ended,
}

impl Entry {
    /// The tool is named only if there is one: any text may be sent as a name.
    pub(super) fn begin(tool: Option<&'static str>, upstream: upstream::Call) -> Self {
        let (tool, call) = (tool.unwrap_or("unknown"), log_number());
        let span = tracing::info_span!("call", call, tool, caller = field::Empty);
        Self { tool, span, begun: Instant::now(), upstream, ended: Ended::Cancelled }
    }

    /// What the call's lines stand in.
    pub(super) fn span(&self) -> Span {
        self.span.clone()
    }

    /// The call has come to its end.
    pub(super) fn end(mut self, ended: Ended) {
        self.ended = ended;
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let outcome = match self.ended {
            Ended::Answered => "answered",
            Ended::Failed(code) => code.slug(),
            Ended::Cancelled => "cancelled",
            Ended::NoSuchTool => "no_such_tool",
        };
        let time = self.begun.elapsed();
        measure::tool_call(self.tool, outcome, time);
        let milliseconds = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let (requests, github) = (self.upstream.requests(), self.upstream.github_requests());
        let _inside = self.span.enter();
        tracing::info!(outcome, milliseconds, requests, github_requests = github, "a call ended");
    }
}
