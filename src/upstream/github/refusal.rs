//! What GitHub's refusals mean, by status and headers.
//!
//! Texts of GitHub are matched, never repeated: they may quote names that the caller may not see.

use std::time::Duration;

use chrono::DateTime;
use reqwest::{StatusCode, header::HeaderMap};

use super::limits::RateLimit;
use crate::{
    domain::{Failure, FailureCode},
    upstream::transport::{Answer, TransportError},
};

/// Says that an organization wants single sign-on; in refusals and beside partial answers.
/// Source: <https://docs.github.com/en/rest/authentication/authenticating-to-the-rest-api>
const SSO_HEADER: &str = "x-github-sso";

/// Whether the answer says that single sign-on is missing.
pub(super) fn wants_sso(headers: &HeaderMap) -> bool {
    headers.contains_key(SSO_HEADER)
}

/// The failure behind an answer that is not a success.
pub(super) fn failure(answer: &Answer) -> Box<Failure> {
    match answer.status {
        StatusCode::UNAUTHORIZED => reauthorize(),
        StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS if is_limit(answer) => {
            rate_limited(answer)
        }
        StatusCode::FORBIDDEN | StatusCode::NOT_FOUND if wants_sso(&answer.headers) => {
            sso_required()
        }
        StatusCode::FORBIDDEN | StatusCode::UNAVAILABLE_FOR_LEGAL_REASONS => denied(),
        StatusCode::NOT_FOUND | StatusCode::GONE => not_found(),
        status if status.is_redirection() => Failure::new(
            FailureCode::RepositoryNotFound,
            "The repository has moved to another name.",
        ),
        status => Failure::new(
            FailureCode::GitHubUnavailable,
            format!("GitHub answered with status {}.", status.as_u16()),
        ),
    }
}

/// 403 is also what GitHub answers to a used-up limit; headers tell, and where a proxy drops
/// them, the words do.
fn is_limit(answer: &Answer) -> bool {
    answer.status == StatusCode::TOO_MANY_REQUESTS
        || answer.retry_after().is_some()
        || header_number(&answer.headers, "x-ratelimit-remaining") == Some(0)
        || mentions(&answer.body, "rate limit")
}

/// Whether the beginning of a body holds these (lower-case) words.
fn mentions(body: &[u8], words: &str) -> bool {
    let head = body.get(..body.len().min(4096)).unwrap_or_default();
    String::from_utf8_lossy(head).to_ascii_lowercase().contains(words)
}

/// Whether an error's message blames a time-out.
pub(super) fn mentions_timeout(message: Option<&str>) -> bool {
    message.is_some_and(|message| {
        mentions(message.as_bytes(), "timeout") || mentions(message.as_bytes(), "timed out")
    })
}

pub(super) fn rate_limited(answer: &Answer) -> Box<Failure> {
    let failure = Failure::new(
        FailureCode::GitHubRateLimited,
        "GitHub's rate limit for this account is used up.",
    );
    match answer.retry_after().or_else(|| until_reset(answer)) {
        Some(wait) => failure.retry_after(wait),
        None => failure,
    }
}

/// What is left of REST's limit. The reset counts seconds since 1970.
pub(super) fn limit_in_headers(headers: &HeaderMap) -> Option<RateLimit> {
    let reset = header_number(headers, "x-ratelimit-reset");
    Some(RateLimit {
        limit: header_number(headers, "x-ratelimit-limit"),
        remaining: header_number(headers, "x-ratelimit-remaining")?,
        reset_at: reset
            .and_then(|seconds| i64::try_from(seconds).ok())
            .and_then(|seconds| DateTime::from_timestamp(seconds, 0)),
    })
}

/// `x-ratelimit-reset` counts seconds since 1970; GitHub's own `Date` says what time it is there.
fn until_reset(answer: &Answer) -> Option<Duration> {
    if header_number(&answer.headers, "x-ratelimit-remaining") != Some(0) {
        return None;
    }
    let reset = header_number(&answer.headers, "x-ratelimit-reset")?;
    let now = u64::try_from(answer.date()?.timestamp()).ok()?;
    Some(Duration::from_secs(reset.saturating_sub(now)))
}

fn header_number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

pub(super) fn reauthorize() -> Box<Failure> {
    Failure::new(
        FailureCode::ReauthorizationRequired,
        "GitHub no longer accepts the authorization of this account.",
    )
}

pub(super) fn sso_required() -> Box<Failure> {
    Failure::new(
        FailureCode::SsoRequired,
        "The repository's organization requires single sign-on for this authorization.",
    )
}

pub(super) fn denied() -> Box<Failure> {
    Failure::new(FailureCode::GitHubAccessDenied, "GitHub refused this to the account.")
}

pub(super) fn insufficient_scopes() -> Box<Failure> {
    Failure::new(
        FailureCode::GitHubAccessDenied,
        "GitHub refused this to the account: its authorization lacks a scope.",
    )
}

pub(super) fn not_found() -> Box<Failure> {
    Failure::new(
        FailureCode::RepositoryNotFound,
        "There is no such repository, or this GitHub account has no access to it.",
    )
}

pub(super) fn unreachable(error: TransportError) -> Box<Failure> {
    let detail = match error {
        TransportError::Down(_) => {
            "GitHub has not answered of late, and was not asked again so soon."
        }
        _ => "GitHub did not answer.",
    };
    error.hint(Failure::new(FailureCode::GitHubUnavailable, detail)).caused_by(error)
}

/// GitHub answered something that is not what was asked for.
pub(super) fn odd() -> Box<Failure> {
    Failure::new(FailureCode::GitHubUnavailable, "GitHub's answer could not be understood.")
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn answer(status: u16, headers: &[(&'static str, &'static str)], body: &'static str) -> Answer {
        let headers = headers.iter().map(|(k, v)| (k.parse().unwrap(), v.parse().unwrap()));
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: headers.collect(),
            body: Bytes::from_static(body.as_bytes()),
            truncated: false,
        }
    }

    #[test]
    fn each_refusal_has_its_meaning_and_repeats_nothing() {
        type Case = (u16, &'static [(&'static str, &'static str)], FailureCode);
        let cases: [Case; 11] = [
            (401, &[], FailureCode::ReauthorizationRequired),
            (403, &[], FailureCode::GitHubAccessDenied),
            (403, &[("x-github-sso", "required; url=u")], FailureCode::SsoRequired),
            (403, &[("x-ratelimit-remaining", "0")], FailureCode::GitHubRateLimited),
            (403, &[("retry-after", "7")], FailureCode::GitHubRateLimited),
            (404, &[], FailureCode::RepositoryNotFound),
            (404, &[("x-github-sso", "partial-results")], FailureCode::SsoRequired),
            (429, &[], FailureCode::GitHubRateLimited),
            (301, &[], FailureCode::RepositoryNotFound),
            (451, &[], FailureCode::GitHubAccessDenied),
            (500, &[], FailureCode::GitHubUnavailable),
        ];
        for (status, headers, code) in cases {
            let failure = failure(&answer(status, headers, r#"{"message":"canary"}"#));
            assert_eq!(failure.code, code, "{status} {headers:?}");
            assert!(!format!("{failure:?}").contains("canary"));
        }
    }

    #[test]
    fn a_secondary_limit_is_known_by_its_words_where_headers_are_lost() {
        let body = r#"{"message":"You have exceeded a secondary Rate Limit."}"#;
        assert_eq!(failure(&answer(403, &[], body)).code, FailureCode::GitHubRateLimited);
    }

    #[test]
    fn the_wait_is_stated_or_computed_from_githubs_own_clock() {
        let wait = |headers| failure(&answer(403, headers, "")).retry_after;
        assert_eq!(wait(&[("retry-after", "7")]), Some(Duration::from_secs(7)));
        assert_eq!(
            wait(&[
                ("x-ratelimit-remaining", "0"),
                ("x-ratelimit-reset", "1700000090"),
                ("date", "Tue, 14 Nov 2023 22:13:20 GMT"),
            ]),
            Some(Duration::from_secs(90))
        );
        assert_eq!(
            wait(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1700000090")]),
            None
        );
    }
}
