//! Who may come in at all: the local key of `single-user` mode, the access token of `oauth` mode.

use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use rmcp::model::ErrorCode;
use secrecy::ExposeSecret as _;
use serde_json::Value;
use subtle::ConstantTimeEq as _;

use super::legacy::{internal, refuse};
use crate::{
    domain::{FailureCode, PrincipalId, Secret, failure::Result as Fallible},
    oauth::{Access, Admission, AuthorizationServer, Unauthorized},
};

/// What must be shown.
#[derive(Debug, Clone)]
pub enum Entrance {
    /// Nothing: every program of this machine may call, and its session or handle is what it is
    /// known by.
    Open,
    /// The machine's key (RFC 6750 section 2.1).
    LocalKey(Secret),
    /// An access token of ours; its person is the caller.
    AccessToken(Box<AuthorizationServer>),
}

/// Who came in.
#[derive(Debug, Clone)]
pub(super) enum Admitted {
    /// Known by the session or handle.
    Anybody,
    /// The person behind the token.
    Person {
        /// Who.
        principal: PrincipalId,
        /// That the grant stood.
        admission: Admission,
    },
}

impl Admitted {
    /// The person behind the token, where there is one.
    pub(super) fn person(&self) -> Option<&PrincipalId> {
        match self {
            Self::Anybody => None,
            Self::Person { principal, .. } => Some(principal),
        }
    }

    /// That the token's grant stood, where there is one.
    pub(super) fn admission(&self) -> Option<&Admission> {
        match self {
            Self::Anybody => None,
            Self::Person { admission, .. } => Some(admission),
        }
    }
}

impl Entrance {
    /// Whether the grant by which somebody came in still stands: asked again before an answer.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) async fn still_admits(&self, by: Option<&Admission>) -> Fallible<bool> {
        match (self, by) {
            (Self::AccessToken(server), Some(by)) => server.grants().still_stands(by).await,
            (Self::AccessToken(_), None) => Ok(false),
            (Self::Open | Self::LocalKey(_), _) => Ok(true),
        }
    }

    /// Returns when the grant by which somebody came in no longer stands.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) async fn until_refused(&self, by: Option<&Admission>) -> Fallible<()> {
        match (self, by) {
            (Self::AccessToken(server), Some(by)) => server.grants().until_ended(by).await,
            (Self::AccessToken(_), None) => Ok(()),
            (Self::Open | Self::LocalKey(_), _) => std::future::pending().await,
        }
    }

    /// Admits a request, or answers it.
    pub(super) async fn admit(&self, headers: &HeaderMap) -> Result<Admitted, Box<Response>> {
        match self {
            Self::Open => Ok(Admitted::Anybody),
            Self::LocalKey(key) if carries(headers, key) => Ok(Admitted::Anybody),
            Self::LocalKey(_) => Err(Box::new(refused(
                StatusCode::UNAUTHORIZED,
                "Bearer",
                "This server serves one person, and the request does not carry their local key.",
            ))),
            Self::AccessToken(server) => {
                let sent = headers.get_all(header::AUTHORIZATION).iter().map(HeaderValue::as_bytes);
                match server.check(sent).await {
                    Ok(Ok(access)) => {
                        let Access { principal, admission, .. } = access;
                        Ok(Admitted::Person { principal, admission })
                    }
                    Ok(Err(why)) => Err(Box::new(unauthorized(server, why))),
                    Err(failure) => Err(Box::new(internal(&failure, &Value::Null))),
                }
            }
        }
    }
}

fn unauthorized(server: &AuthorizationServer, why: Unauthorized) -> Response {
    let status = StatusCode::from_u16(why.http_status()).unwrap_or(StatusCode::UNAUTHORIZED);
    let text = match why {
        Unauthorized::Missing => "The request carries no access token.",
        Unauthorized::Malformed => "The request carries more than one access token.",
        Unauthorized::Invalid => "The access token is not valid here, or it has expired.",
    };
    refused(status, &server.endpoints().challenge(&why), text)
}

fn refused(status: StatusCode, challenge: &str, text: &str) -> Response {
    let next = FailureCode::Unauthenticated.agent_next_step();
    let text = format!("{text} Next: {next}");
    let mut response = refuse(status, ErrorCode::INVALID_REQUEST, &text, &Value::Null);
    if let Ok(challenge) = HeaderValue::from_str(challenge) {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    response
}

/// In constant time. Of two such headers none is believed.
fn carries(headers: &HeaderMap, key: &Secret) -> bool {
    let mut sent = headers.get_all(header::AUTHORIZATION).iter();
    let only = sent.next().filter(|_| sent.next().is_none());
    let presented = only
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim())
        .unwrap_or_default();
    presented.as_bytes().ct_eq(key.expose_secret().as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_key_opens() {
        let key = Secret::from("the-local-key".to_owned());
        let sent = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
            carries(&headers, &key)
        };
        assert!(sent("Bearer the-local-key"));
        assert!(sent("bearer the-local-key"));
        assert!(!sent("Bearer the-local-ke"));
        assert!(!sent("Bearer "));
        assert!(!sent("Basic the-local-key"));
        assert!(!carries(&HeaderMap::new(), &key));
        let mut twice = HeaderMap::new();
        for _ in 0..2 {
            twice.append(header::AUTHORIZATION, "Bearer the-local-key".parse().unwrap());
        }
        assert!(!carries(&twice, &key));
    }

    #[tokio::test]
    async fn whoever_lacks_the_key_is_told_so() {
        let entrance = Entrance::LocalKey(Secret::from("the-local-key".to_owned()));
        let mut headers = HeaderMap::new();
        let refused = entrance.admit(&headers).await.unwrap_err();
        assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(refused.headers()[header::WWW_AUTHENTICATE], "Bearer");
        headers.insert(header::AUTHORIZATION, HeaderValue::from_static("Bearer another-key"));
        assert!(entrance.admit(&headers).await.is_err());
        headers.insert(header::AUTHORIZATION, HeaderValue::from_static("Bearer the-local-key"));
        let admitted = entrance.admit(&headers).await.unwrap();
        assert!(matches!(admitted, Admitted::Anybody));
        assert!(admitted.person().is_none() && admitted.admission().is_none());
        assert!(entrance.still_admits(None).await.unwrap());
        assert!(Entrance::Open.admit(&HeaderMap::new()).await.is_ok());
        assert!(Entrance::Open.still_admits(None).await.unwrap());
    }
}
