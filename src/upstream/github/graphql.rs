//! GitHub's GraphQL envelope: an answer of 200 may be whole, partial, or a refusal.

use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{GRAPHQL_PATH, access::Access, limits::RateLimit, refusal};
use crate::{
    domain::Failure,
    upstream::{
        scalekit::{ProxyError, ProxyRequest},
        transport::{Answer, BodyCap, Call, Dispatch, Purpose, Retry, TransportError},
    },
};

/// GitHub gives a query about 10 s and then answers 502, 504, or not at all.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(12);

/// What came back about a repository.
#[derive(Debug)]
pub(super) struct Reply {
    /// The repository's fields.
    pub(super) repository: Map<String, Value>,
    /// Which of them are missing because of an error.
    pub(super) gaps: Gaps,
    /// What is left of the hour's points, if GitHub said so.
    pub(super) rate_limit: Option<RateLimit>,
}

/// Why nothing came back.
#[derive(Debug)]
pub(super) enum QueryError {
    /// The query was too much for GitHub; a smaller one may succeed.
    Overloaded {
        /// An answer came and was longer than what is read.
        is_too_long: bool,
    },
    /// The authorization lacks a scope that something in the document needs.
    InsufficientScopes,
    /// Anything else.
    Failure(Box<Failure>),
}

impl QueryError {
    pub(super) fn into_failure(self) -> Box<Failure> {
        match self {
            Self::Overloaded { .. } => refusal::unreachable(TransportError::TimedOut),
            Self::InsufficientScopes => refusal::insufficient_scopes(),
            Self::Failure(failure) => failure,
        }
    }
}

/// Where GitHub put null because of an error: there null is unknown, elsewhere it means something.
#[derive(Debug, Default)]
pub(super) struct Gaps(Vec<Vec<String>>);

impl Gaps {
    /// Whether nothing is missing.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether an error lies at or below this path (from the repository on).
    pub(super) fn contains(&self, path: &[&str]) -> bool {
        self.0
            .iter()
            .any(|gap| gap.iter().map(String::as_str).take(path.len()).eq(path.iter().copied()))
    }
}

#[derive(Deserialize)]
struct Envelope {
    #[serde(default)]
    data: Option<Value>,
    #[serde(default)]
    errors: Vec<GraphQlError>,
}

#[derive(Deserialize)]
struct GraphQlError {
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    path: Option<Vec<Value>>,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    extensions: Option<Value>,
}

impl GraphQlError {
    fn is(&self, kind: &str) -> bool {
        self.kind.as_deref() == Some(kind)
    }

    fn is_sso(&self) -> bool {
        let flagged = self.extensions.as_ref().and_then(|e| e.get("saml_failure"));
        flagged == Some(&Value::Bool(true))
            || self.is("FORBIDDEN") && self.message.as_ref().is_some_and(|m| m.contains("SAML"))
    }

    /// The path below `repository`, if the error lies there. That something asked for by its
    /// number does not exist is an answer, not a gap.
    fn gap(&self) -> Option<Vec<String>> {
        let path = self.path.as_ref()?;
        if self.is("NOT_FOUND") && path.len() == 2 {
            return None;
        }
        let mut path = path.iter();
        (path.next()?.as_str() == Some("repository")).then(|| {
            path.map(|part| part.as_str().map_or_else(|| part.to_string(), str::to_owned)).collect()
        })
    }
}

/// Asks GitHub about a repository.
pub(super) async fn query(
    access: &Access,
    document: String,
    variables: Value,
    call: &Call,
) -> Result<Reply, QueryError> {
    let request = ProxyRequest {
        method: Method::POST,
        path: GRAPHQL_PATH.to_owned(),
        query: Vec::new(),
        accept: "application/json",
        body: Some(json!({ "query": document, "variables": variables })),
        // A query that was too much once would be too much again: no retry of bad answers here.
        dispatch: Dispatch {
            retry: Retry::Unanswered,
            cap: BodyCap::JSON,
            purpose: Purpose::GitHub,
        },
    };
    match access.send(&request, &call.at_most(PATIENCE)).await {
        Ok(answer) => read(&answer),
        Err(ProxyError::Transport(
            error @ (TransportError::TimedOut | TransportError::TooLarge(_)),
        )) => {
            let is_too_long = matches!(error, TransportError::TooLarge(_));
            Err(QueryError::Overloaded { is_too_long })
        }
        Err(ProxyError::Transport(error)) => Err(QueryError::Failure(refusal::unreachable(error))),
        Err(ProxyError::Failure(failure)) => Err(QueryError::Failure(failure)),
    }
}

fn read(answer: &Answer) -> Result<Reply, QueryError> {
    if matches!(answer.status.as_u16(), 502..=504) {
        return Err(QueryError::Overloaded { is_too_long: false });
    }
    if answer.status != StatusCode::OK {
        return Err(QueryError::Failure(refusal::failure(answer)));
    }
    // serde's error may quote the body: it is not kept.
    let envelope: Envelope =
        serde_json::from_slice(&answer.body).map_err(|_| QueryError::Failure(refusal::odd()))?;
    let errors = &envelope.errors;
    if errors.iter().any(|error| error.is("RATE_LIMITED") || error.is("RATE_LIMIT")) {
        return Err(QueryError::Failure(refusal::rate_limited(answer)));
    }
    let mut data = envelope.data.unwrap_or_default();
    let rate_limit = data.get("rateLimit").and_then(|told| RateLimit::deserialize(told).ok());
    let repository = match data.get_mut("repository").map(Value::take) {
        Some(Value::Object(repository)) => repository,
        // Only a null that was said is an answer; a field that is missing was not answered.
        Some(Value::Null) if errors.is_empty() => {
            return Err(QueryError::Failure(refusal::not_found()));
        }
        _ => return Err(why_nothing(answer, errors)),
    };
    let gaps = Gaps(errors.iter().filter_map(GraphQlError::gap).collect());
    Ok(Reply { repository, gaps, rate_limit })
}

fn why_nothing(answer: &Answer, errors: &[GraphQlError]) -> QueryError {
    let any = |kind: &str| errors.iter().any(|error| error.is(kind));
    QueryError::Failure(if errors.iter().any(GraphQlError::is_sso) {
        refusal::sso_required()
    } else if any("FORBIDDEN") {
        refusal::denied()
    } else if any("INSUFFICIENT_SCOPES") {
        return QueryError::InsufficientScopes;
    } else if any("NOT_FOUND") && refusal::wants_sso(&answer.headers) {
        refusal::sso_required()
    } else if any("NOT_FOUND") {
        refusal::not_found()
    } else if any("RESOURCE_LIMITS_EXCEEDED")
        || any("MAX_NODE_LIMIT_EXCEEDED")
        // "Something went wrong while executing your query. This may be the result of a timeout"
        || errors.iter().any(|e| e.kind.is_none() && refusal::mentions_timeout(e.message.as_deref()))
    {
        return QueryError::Overloaded { is_too_long: false };
    } else {
        refusal::odd()
    })
}

/// The gaps of an answer, for the tests of those who read it.
#[cfg(test)]
pub(super) fn gaps_of(body: &'static [u8]) -> Gaps {
    let envelope: Envelope = serde_json::from_slice(body).unwrap();
    Gaps(envelope.errors.iter().filter_map(GraphQlError::gap).collect())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::domain::FailureCode;

    fn reply(status: u16, body: &str) -> Result<Reply, QueryError> {
        read(&Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: reqwest::header::HeaderMap::new(),
            body: Bytes::copy_from_slice(body.as_bytes()),
            truncated: false,
        })
    }

    #[test]
    fn a_refusal_within_a_200_has_its_meaning() {
        for (errors, code) in [
            (r#"[{"type":"NOT_FOUND","path":["repository"]}]"#, FailureCode::RepositoryNotFound),
            (
                r#"[{"type":"FORBIDDEN","extensions":{"saml_failure":true}}]"#,
                FailureCode::SsoRequired,
            ),
            (
                r#"[{"type":"FORBIDDEN","message":"Resource protected by organization SAML enforcement."}]"#,
                FailureCode::SsoRequired,
            ),
            (r#"[{"type":"FORBIDDEN"}]"#, FailureCode::GitHubAccessDenied),
            (r#"[{"type":"INSUFFICIENT_SCOPES"}]"#, FailureCode::GitHubAccessDenied),
            (r#"[{"type":"RATE_LIMITED"}]"#, FailureCode::GitHubRateLimited),
            (r#"[{"message":"canary"}]"#, FailureCode::GitHubUnavailable),
            ("[]", FailureCode::RepositoryNotFound),
        ] {
            let body = format!(r#"{{"data":{{"repository":null}},"errors":{errors}}}"#);
            let failure = reply(200, &body).unwrap_err().into_failure();
            assert_eq!(failure.code, code, "{errors}");
            assert!(!format!("{failure:?}").contains("canary"));
        }
        for (status, body, code) in [
            (401, r#"{"message":"Bad credentials"}"#, FailureCode::ReauthorizationRequired),
            (200, "<html>", FailureCode::GitHubUnavailable),
            (200, "{}", FailureCode::GitHubUnavailable),
            (200, r#"{"data":null}"#, FailureCode::GitHubUnavailable),
            (200, r#"{"data":{}}"#, FailureCode::GitHubUnavailable),
            (200, r#"{"data":{"rateLimit":{"remaining":1}}}"#, FailureCode::GitHubUnavailable),
            (200, r#"{"errors":[]}"#, FailureCode::GitHubUnavailable),
            (200, r#"{"data":{"repository":7}}"#, FailureCode::GitHubUnavailable),
        ] {
            assert_eq!(reply(status, body).unwrap_err().into_failure().code, code);
        }
    }

    #[test]
    fn too_much_is_told_apart_because_less_may_succeed() {
        let timeout = r#"{"data":null,"errors":[{"message":"Something went wrong while executing your query. This may be the result of a timeout."}]}"#;
        for (status, body) in [(502, ""), (504, "<html>"), (200, timeout)] {
            assert!(
                matches!(reply(status, body), Err(QueryError::Overloaded { .. })),
                "{status} {body}"
            );
        }
    }

    #[test]
    fn a_partial_answer_says_where_null_is_unknown() {
        let body = r#"{"data":{"rateLimit":{"remaining":4999},"repository":{"a":[null]}},
            "errors":[{"type":"FORBIDDEN","path":["repository","a",0,"b","c"]}, {"message":"no path"}]}"#;
        let reply = reply(200, body).unwrap();
        let told = RateLimit { limit: None, remaining: 4999, reset_at: None };
        assert_eq!(reply.rate_limit, Some(told));
        assert!(reply.gaps.contains(&["a", "0", "b"]));
        assert!(!reply.gaps.contains(&["a", "1"]));
        assert!(!reply.gaps.contains(&["a", "0", "b", "c", "d"]));
    }
}
