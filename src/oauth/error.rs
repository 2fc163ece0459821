//! What can go wrong between us and a client, in OAuth's own words.
//!
//! Sources: RFC 6749 sections 4.1.2.1 and 5.2, RFC 7591 section 3.2.2, RFC 8707 section 2.

use std::time::Duration;

use serde_json::json;

use crate::domain::{Failure, FailureCode};

macro_rules! error_codes {
    ($($(#[$doc:meta])* $name:ident = $slug:literal, $status:literal;)*) => {
        /// The `error` of an answer.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorCode { $($(#[$doc])* $name,)* }

        impl ErrorCode {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The word on the wire.
            pub fn slug(self) -> &'static str {
                match self { $(Self::$name => $slug,)* }
            }

            /// The HTTP status, where the error is not part of a redirect.
            pub fn http_status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }
        }
    };
}

error_codes! {
    /// Malformed: something is missing, doubled or has an unknown form.
    InvalidRequest = "invalid_request", 400;
    /// The `client_id` is not one of ours (any more). SDKs register anew when they read this. Not
    /// 401: that would need a challenge (RFC 9110 section 15.5.2), and nobody authenticates here.
    InvalidClient = "invalid_client", 400;
    /// The code or refresh token is unknown, used, expired, revoked, or somebody else's.
    InvalidGrant = "invalid_grant", 400;
    /// Neither a code nor a refresh token is offered.
    UnsupportedGrantType = "unsupported_grant_type", 400;
    /// Something else than a code is asked for.
    UnsupportedResponseType = "unsupported_response_type", 400;
    /// None of the scopes asked for exists, or more than was granted is asked for.
    InvalidScope = "invalid_scope", 400;
    /// The `resource` is not this server's.
    InvalidTarget = "invalid_target", 400;
    /// None of the redirect URIs of a registration is allowed.
    InvalidRedirectUri = "invalid_redirect_uri", 400;
    /// A registration asks for what this server does not do.
    InvalidClientMetadata = "invalid_client_metadata", 400;
    /// The person, or GitHub, said no.
    AccessDenied = "access_denied", 403;
    /// A bug, or a broken disk.
    ServerError = "server_error", 500;
    /// Too much at once; later it may succeed.
    TemporarilyUnavailable = "temporarily_unavailable", 503;
}

/// One such error on one occasion.
#[derive(Debug)]
pub struct OAuthError {
    /// Which.
    pub code: ErrorCode,
    /// What happened, for the developer of a client. A constant, so that nothing of a request is
    /// ever repeated; printable ASCII without `"` and `\` (RFC 6749 section 5.2).
    pub description: &'static str,
    /// What lies behind, for the log only. Present when it is not the client's fault.
    pub failure: Option<Box<Failure>>,
}

impl OAuthError {
    /// An error of the client's making.
    pub fn new(code: ErrorCode, description: &'static str) -> Self {
        debug_assert!(description.bytes().all(is_description), "{description}");
        Self { code, description, failure: None }
    }

    /// The body of an answer: `application/json`, never to be cached.
    pub fn to_json(&self) -> String {
        json!({ "error": self.code.slug(), "error_description": self.description }).to_string()
    }

    /// How long to wait before trying again.
    pub fn retry_after(&self) -> Option<Duration> {
        self.failure.as_ref().and_then(|failure| failure.retry_after)
    }
}

fn is_description(byte: u8) -> bool {
    matches!(byte, 0x20..=0x7e) && byte != b'"' && byte != b'\\'
}

impl From<Box<Failure>> for OAuthError {
    fn from(failure: Box<Failure>) -> Self {
        let (code, description) = match failure.code {
            FailureCode::TooManyRequests => {
                (ErrorCode::TemporarilyUnavailable, "Too much at once. Try again in a moment.")
            }
            FailureCode::StoreUnavailable => (
                ErrorCode::TemporarilyUnavailable,
                "The server cannot reach what it keeps. Try again in a moment.",
            ),
            _ => (ErrorCode::ServerError, "The server failed. Try again."),
        };
        Self { code, description, failure: Some(failure) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_what_lies_behind_stays_inside() {
        let slugs: std::collections::BTreeSet<_> =
            ErrorCode::ALL.iter().map(|code| code.slug()).collect();
        assert_eq!(slugs.len(), ErrorCode::ALL.len());
        let failure = Failure::new(FailureCode::Internal, "canary detail").caused_by("canary");
        let error = OAuthError::from(failure);
        assert_eq!(error.code.http_status(), 500);
        assert!(!error.to_json().contains("canary"), "{}", error.to_json());
        let busy =
            Failure::new(FailureCode::TooManyRequests, "x").retry_after(Duration::from_secs(3));
        let error = OAuthError::from(busy);
        assert_eq!(
            (error.code.http_status(), error.retry_after()),
            (503, Some(Duration::from_secs(3)))
        );
    }
    #[test]
    fn a_broken_store_is_told_as_a_passing_trouble() {
        for (code, wire, status) in [
            (FailureCode::TooManyRequests, "temporarily_unavailable", 503),
            (FailureCode::StoreUnavailable, "temporarily_unavailable", 503),
            (FailureCode::Internal, "server_error", 500),
        ] {
            let error = OAuthError::from(Failure::new(code, "x"));
            assert_eq!((error.code.slug(), error.code.http_status()), (wire, status), "{code:?}");
            assert!(error.failure.is_some() && error.retry_after().is_none());
            assert!(error.to_json().starts_with(&format!("{{\"error\":\"{wire}\",")));
        }
        let busy = OAuthError::from(Failure::new(FailureCode::TooManyRequests, "x"));
        let failed = OAuthError::from(Failure::new(FailureCode::Internal, "x"));
        assert_ne!(busy.description, failed.description);
    }

    /// RFC 6749 section 5.2: `%x20-21 / %x23-5B / %x5D-7E`.
    #[test]
    fn a_description_is_printable_without_quotes() {
        for byte in 0..=u8::MAX {
            let fine = matches!(byte, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e);
            assert_eq!(is_description(byte), fine, "{byte:#x}");
        }
    }
}
