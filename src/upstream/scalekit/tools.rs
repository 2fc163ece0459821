//! Scalekit's tools: named requests to GitHub, for environments whose proxy is off.
//!
//! They tell less than the proxy lets through: no headers, no GraphQL, no diff; and every number is
//! a double.

use reqwest::Method;
use serde_json::{Value, json};

use super::{
    Rpc, Scalekit,
    proxy::{ProxyError, failure},
    unavailable, unreachable, wire,
    wire::ScalekitError,
};
use crate::{
    domain::{Failure, FailureCode, UserId, failure::Result},
    upstream::transport::{BodyCap, Call, Dispatch, Purpose, Retry},
};

/// Whole numbers up to here (2^49) are read exactly: `n.0` has one more digit than `n`, and a
/// decimal is read exactly only while all its digits together stay below 2^53.
const LARGEST_EXACT: f64 = 562_949_953_421_312.0;

impl Scalekit {
    /// Runs a tool as this person and returns its data, whole numbers as integers.
    ///
    /// Sent again only when no answer came, never after a time-out: the tool may still run.
    pub async fn execute_tool(
        &self,
        user: &UserId,
        tool: &'static str,
        params: Value,
        call: &Call,
    ) -> Result<Value> {
        let account = self.account(user);
        let rpc = Rpc {
            method: Method::POST,
            path: wire::EXECUTE_TOOL,
            query: Vec::new(),
            body: Some(json!({
                "tool_name": tool,
                "connector": account.connector,
                "identifier": account.identifier,
                "params": params,
            })),
            retry: Retry::Unanswered,
        };
        let dispatch = Dispatch { retry: rpc.retry, cap: BodyCap::JSON, purpose: Purpose::GitHub };
        let answer = self.authorized(|| self.request(&rpc), dispatch, call).await;
        let answer = answer.map_err(|error| match error {
            ProxyError::Transport(error) => unreachable(error),
            ProxyError::Failure(failure) => failure,
        })?;
        match ScalekitError::read(answer.status, &answer.body, &self.0.connection_name) {
            Some(error) => Err(failure(&error, &answer)),
            None if !answer.status.is_success() => Err(unavailable(&answer)),
            None => data(&answer.body),
        }
    }
}

/// What the tool returned.
fn data(body: &[u8]) -> Result<Value> {
    // serde's error may quote the body: it is not kept.
    let mut answer: Value = serde_json::from_slice(body).map_err(|_| odd())?;
    let data = answer.get_mut("data").map(Value::take).ok_or_else(odd)?;
    Ok(with_integers(data))
}

fn odd() -> Box<Failure> {
    Failure::new(
        FailureCode::ScalekitUnavailable,
        "Scalekit answered something else than a tool's data.",
    )
}

/// Doubles that are whole and exact become integers; others stay as they are.
fn with_integers(value: Value) -> Value {
    match value {
        Value::Number(number) => {
            let whole = number
                .as_f64()
                .filter(|_| number.is_f64())
                .filter(|double| double.fract() == 0.0 && double.abs() <= LARGEST_EXACT)
                // Written out, such a double has neither point nor exponent.
                .and_then(|double| double.to_string().parse::<i64>().ok());
            whole.map_or(Value::Number(number), Value::from)
        }
        Value::Array(values) => values.into_iter().map(with_integers).collect(),
        Value::Object(fields) => {
            fields.into_iter().map(|(name, value)| (name, with_integers(value))).collect()
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_become_integers_only_where_nothing_is_lost() {
        let read = |text: &str| with_integers(serde_json::from_str(text).unwrap()).to_string();
        assert_eq!(
            read(r#"{"a":[5.0,-0.0,583231.0],"b":{"c":1e3}}"#),
            r#"{"a":[5,0,583231],"b":{"c":1000}}"#
        );
        for exact in ["562949953421312", "562949953421311", "99999999999999"] {
            assert_eq!(read(&format!("{exact}.0")), exact);
        }
        for kept in ["1.5", "562949953421313.0", "9007199254740993.0", "1e300", "-1e19"] {
            assert!(serde_json::from_str::<u64>(&read(kept)).is_err(), "{kept}");
        }
        assert_eq!(read("18446744073709551615"), "18446744073709551615");
        assert_eq!(read(r#""5.0""#), r#""5.0""#);
    }

    #[test]
    fn what_is_no_data_is_a_failure() {
        for body in ["", "<html>", "[]", "{}", r#"{"execution_id":"x"}"#] {
            assert_eq!(data(body.as_bytes()).unwrap_err().code, FailureCode::ScalekitUnavailable);
        }
        assert_eq!(data(br#"{"data":{"n":1.0}}"#).unwrap(), json!({ "n": 1 }));
    }
}
