//! COUNTED. What an operator's monitoring sees: how often, how it ended, how long it took.
//!
//! One function for each thing that is counted, so that names and labels stand in one place. Labels
//! are words of this program, never a caller's: no person, repository, link or text of anybody can
//! become one, and there are only so many series. Where nobody asked for metrics nothing is kept.
//!
//! Names follow Prometheus's conventions: base units, `_total` for counters.
//! Source: <https://prometheus.io/docs/practices/naming/>

use std::time::Duration;

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

/// Upper bounds of the buckets of durations, in seconds: from an answer out of memory to the longest
/// call there is.
pub const SECONDS: &[f64] = &[0.005, 0.02, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 45.0];

/// An HTTP request was answered: by which route of ours, and with which status.
pub fn http_request(route: String, status: u16, time: Duration) {
    let class = match status {
        100..=199 => "1xx",
        200..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        _ => "5xx",
    };
    let of = [("route", route), ("status", class.to_owned())];
    counter!("http_requests_total", &of).increment(1);
    histogram!("http_request_seconds", &of).record(time);
}

/// A call of a tool ended.
pub fn tool_call(tool: &'static str, outcome: &'static str, time: Duration) {
    counter!("tool_calls_total", "tool" => tool, "outcome" => outcome).increment(1);
    histogram!("tool_call_seconds", "tool" => tool).record(time);
}

/// One attempt of a request to an upstream ended.
pub fn upstream_request(upstream: &'static str, outcome: &'static str, time: Duration) {
    counter!("upstream_requests_total", "upstream" => upstream, "outcome" => outcome).increment(1);
    histogram!("upstream_request_seconds", "upstream" => upstream).record(time);
}

/// Requests to an upstream go through, or do not.
pub fn upstream_is_up(upstream: &'static str, is_up: bool) {
    gauge!("upstream_up", "upstream" => upstream).set(if is_up { 1.0 } else { 0.0 });
}

/// A flow that should have linked an account ended.
pub fn flow_ended(outcome: &'static str) {
    counter!("flows_total", "outcome" => outcome).increment(1);
}

/// Tokens that the LLM says it has read and written.
pub fn llm_tokens(read: Option<u64>, written: Option<u64>) {
    counter!("llm_tokens_total", "kind" => "read").increment(read.unwrap_or_default());
    counter!("llm_tokens_total", "kind" => "written").increment(written.unwrap_or_default());
}

/// Parts of answers: taken from the cache, and all.
pub fn summary(cache_hits: u32, llm_calls: u32, pending: usize) {
    counter!("cache_hits_total").increment(cache_hits.into());
    counter!("llm_calls_total").increment(llm_calls.into());
    counter!("pending_summaries_total").increment(u64::try_from(pending).unwrap_or(u64::MAX));
}

/// How things stand at the moment of asking.
#[derive(Debug, Clone, Copy)]
pub struct Standing {
    /// Connections to this process.
    pub connections: usize,
    /// Calls of tools that are running.
    pub running_calls: usize,
    /// Sessions in the store, those of other instances included; `None` if the store did not say.
    pub sessions: Option<u64>,
}

/// Sets what is not counted as it happens.
#[expect(clippy::cast_precision_loss, reason = "beyond 2^53 of anything other things are wrong")]
pub fn standing(standing: Standing) {
    gauge!("http_connections").set(standing.connections as f64);
    gauge!("running_calls").set(standing.running_calls as f64);
    if let Some(sessions) = standing.sessions {
        gauge!("sessions").set(sessions as f64);
    }
}

/// Says what each name means; to be called once, when somebody listens.
pub fn describe() {
    describe_counter!("http_requests_total", "HTTP requests by route and class of status.");
    describe_histogram!("http_request_seconds", "Time to the head of the answer.");
    describe_counter!(
        "tool_calls_total",
        "Calls of tools by outcome: answered, or a failure code."
    );
    describe_histogram!("tool_call_seconds", "Time of whole calls.");
    describe_counter!("upstream_requests_total", "Attempts by upstream and outcome.");
    describe_histogram!("upstream_request_seconds", "Time of each attempt.");
    describe_gauge!("upstream_up", "1 while requests go through, 0 while the breaker is open.");
    describe_counter!("flows_total", "Attempts to link an account, by how they ended.");
    describe_counter!("llm_tokens_total", "Tokens as the LLM counts them.");
    describe_counter!("llm_calls_total", "Completions that summaries cost.");
    describe_counter!("cache_hits_total", "Parts of summaries that were there already.");
    describe_counter!("pending_summaries_total", "Summaries that were late for their answer.");
    describe_gauge!("http_connections", "Connections to this process.");
    describe_gauge!("running_calls", "Calls of tools that are running.");
    describe_gauge!("sessions", "Sessions in the store, of all instances.");
}
