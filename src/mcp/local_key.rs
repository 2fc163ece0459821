//! The key of `single-user` mode: whoever can reach the port must also be able to read the file.

use axum::http::{HeaderMap, header};
use secrecy::ExposeSecret as _;
use subtle::ConstantTimeEq as _;

use crate::domain::{Failure, FailureCode, Secret, failure::Result};

/// Checks `Authorization: Bearer …` (RFC 6750 section 2.1); in constant time.
///
/// # Errors
/// `unauthenticated`.
pub(super) fn check(headers: &HeaderMap, key: Option<&Secret>) -> Result<()> {
    let Some(key) = key else { return Ok(()) };
    let presented = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim())
        .unwrap_or_default();
    if presented.as_bytes().ct_eq(key.expose_secret().as_bytes()).into() {
        return Ok(());
    }
    Err(Failure::new(
        FailureCode::Unauthenticated,
        "This server serves one person, and the request does not carry their local key.",
    ))
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
            check(&headers, Some(&key)).is_ok()
        };
        assert!(sent("Bearer the-local-key"));
        assert!(sent("bearer the-local-key"));
        assert!(!sent("Bearer the-local-ke"));
        assert!(!sent("Bearer "));
        assert!(!sent("Basic the-local-key"));
        assert!(check(&HeaderMap::new(), Some(&key)).is_err());
        assert!(check(&HeaderMap::new(), None).is_ok());
    }
}
