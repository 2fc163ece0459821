//! Tokens as text: how they look, how they are kept, and how they are read from a request.
//!
//! A token is a prefix (so that secret scanners know it), where to find its grant, and 256 random
//! bits. A refresh token also carries its family's mark, which no access token shows: whoever
//! presents it with other random bits holds an *old* refresh token of the family, and that is how
//! late reuse is told from made-up text without keeping every old token.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::ExposeSecret as _;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::metadata::Scope;
use crate::domain::{Entropy, Secret};

/// How long an access token lives, in seconds.
pub const ACCESS_SECONDS: i64 = 3600;

const ACCESS_PREFIX: &str = "prsa_";
const REFRESH_PREFIX: &str = "prsr_";

/// The lengths of 16 and 32 bytes in unpadded base64url.
const SHORT: usize = 22;
const LONG: usize = 43;

/// SHA-256 as unpadded base64url: all that is kept of a secret.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub(super) struct Digest(String);

impl Digest {
    pub(super) fn of(secret: &str) -> Self {
        Self(URL_SAFE_NO_PAD.encode(Sha256::digest(secret.as_bytes())))
    }

    /// In constant time, although an attacker cannot choose a digest's bytes anyway.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }

    /// The characters, for keys.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// The parts of a new grant that never change: where it is, and its family's mark.
pub(super) struct Family {
    pub(super) locator: String,
    pub(super) mark: String,
}

impl Family {
    pub(super) fn mint(entropy: &dyn Entropy) -> Self {
        Self { locator: entropy.token::<16>(), mark: entropy.token::<16>() }
    }
}

/// A new access token of the grant at `locator`.
pub(super) fn mint_access(locator: &str, entropy: &dyn Entropy) -> Secret {
    Secret::from(format!("{ACCESS_PREFIX}{locator}{}", entropy.token::<32>()))
}

/// A new refresh token of a family.
pub(super) fn mint_refresh(locator: &str, mark: &str, entropy: &dyn Entropy) -> Secret {
    Secret::from(format!("{REFRESH_PREFIX}{locator}{mark}{}", entropy.token::<32>()))
}

/// What may be one of our tokens, taken apart.
pub(super) enum Presented<'a> {
    Access { locator: &'a str },
    Refresh { locator: &'a str, mark: &'a str },
}

impl<'a> Presented<'a> {
    pub(super) fn parse(token: &'a str) -> Option<Self> {
        let plain =
            |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if let Some(rest) = token.strip_prefix(ACCESS_PREFIX) {
            let (locator, _) = rest.split_at_checked(SHORT)?;
            return (rest.len() == SHORT + LONG && plain(rest)).then_some(Self::Access { locator });
        }
        let rest = token.strip_prefix(REFRESH_PREFIX)?;
        let (locator, rest) = rest.split_at_checked(SHORT)?;
        let (mark, secret) = rest.split_at_checked(SHORT)?;
        (secret.len() == LONG && [locator, mark, secret].into_iter().all(plain))
            .then_some(Self::Refresh { locator, mark })
    }

    pub(super) fn locator(&self) -> &'a str {
        match self {
            Self::Access { locator } | Self::Refresh { locator, .. } => locator,
        }
    }
}

/// What a client gets for a code or a refresh token (RFC 6749 section 5.1).
#[derive(Debug)]
pub struct TokenAnswer {
    /// For `/mcp`.
    pub access_token: Secret,
    /// For the next access token. `None`: the client has a newer one already.
    pub refresh_token: Option<Secret>,
    /// What was granted.
    pub scope: Scope,
}

impl TokenAnswer {
    /// The body of the answer: secret, and never to be cached.
    pub fn to_json(&self) -> String {
        let mut body = json!({
            "access_token": self.access_token.expose_secret(),
            "token_type": "Bearer",
            "expires_in": ACCESS_SECONDS,
            "scope": self.scope.as_str(),
        });
        if let (Some(token), Some(body)) = (&self.refresh_token, body.as_object_mut()) {
            body.insert("refresh_token".to_owned(), json!(token.expose_secret()));
        }
        body.to_string()
    }
}

/// Why a request to the protected resource is refused (RFC 6750 section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unauthorized {
    /// It carries no token.
    Missing,
    /// It carries two.
    Malformed,
    /// The token is unknown, expired, revoked, for another resource, or no access token. Which of
    /// these is nobody's business.
    Invalid,
}

impl Unauthorized {
    /// The HTTP status.
    pub fn http_status(self) -> u16 {
        match self {
            Self::Missing | Self::Invalid => 401,
            Self::Malformed => 400,
        }
    }
}

/// The token in the `Authorization` headers of a request (RFC 6750 section 2.1), the only place
/// where one is looked for.
pub fn bearer<'a>(
    mut authorization: impl Iterator<Item = &'a [u8]>,
) -> Result<&'a str, Unauthorized> {
    let header = authorization.next().ok_or(Unauthorized::Missing)?;
    if authorization.next().is_some() {
        return Err(Unauthorized::Malformed);
    }
    let header = std::str::from_utf8(header).map_err(|_| Unauthorized::Invalid)?;
    let (scheme, token) = header.split_once(' ').unwrap_or((header, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        // Credentials of another kind are none of ours; the challenge says which are.
        return Err(Unauthorized::Missing);
    }
    Ok(token.trim_matches(' '))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::SystemEntropy;

    #[test]
    fn what_is_minted_is_read_and_nothing_else() {
        let family = Family::mint(&SystemEntropy);
        let access = mint_access(&family.locator, &SystemEntropy);
        let access = access.expose_secret();
        let refresh = mint_refresh(&family.locator, &family.mark, &SystemEntropy);
        let refresh = refresh.expose_secret();
        let read = Presented::parse(access).unwrap();
        assert!(matches!(read, Presented::Access { .. }));
        assert_eq!(read.locator(), family.locator);
        match Presented::parse(refresh).unwrap() {
            Presented::Refresh { locator, mark } => {
                assert_eq!((locator, mark), (family.locator.as_str(), family.mark.as_str()));
            }
            Presented::Access { .. } => panic!("a refresh token is no access token"),
        }
        assert!(!access.contains(&family.mark));
        for bad in [
            "",
            "prsa_",
            &access[..access.len() - 1],
            &format!("{access}A"),
            &access.replace("prsa_", "prsr_"),
            &refresh.replace("prsr_", "prsa_"),
            &format!("{}é", &access[..access.len() - 2]),
        ] {
            assert!(Presented::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_refusal_has_the_status_of_rfc_6750() {
        assert_eq!(Unauthorized::Missing.http_status(), 401);
        assert_eq!(Unauthorized::Invalid.http_status(), 401);
        assert_eq!(Unauthorized::Malformed.http_status(), 400);
    }

    #[test]
    fn a_token_is_read_from_one_bearer_header() {
        let read = |headers: &[&'static str]| bearer(headers.iter().map(|h| h.as_bytes()));
        assert_eq!(read(&["Bearer abc"]), Ok("abc"));
        assert_eq!(read(&["bEARER  abc"]), Ok("abc"));
        assert_eq!(read(&[]), Err(Unauthorized::Missing));
        assert_eq!(read(&["Basic abc"]), Err(Unauthorized::Missing));
        assert_eq!(read(&["Bearer abc", "Bearer abc"]), Err(Unauthorized::Malformed));
        // What is no token is not found later on.
        assert_eq!(read(&["Bearer"]), Ok(""));
        assert_eq!(bearer([&b"Bearer \xff"[..]].into_iter()), Err(Unauthorized::Invalid));
    }

    proptest! {
        #[test]
        fn no_text_confuses_it(text in ".{0,120}", bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = Presented::parse(&text);
            let _ = Presented::parse(&format!("{REFRESH_PREFIX}{text}"));
            let _ = Presented::parse(&format!("{ACCESS_PREFIX}{text}"));
            let _ = bearer(std::iter::once(bytes.as_slice()));
        }
    }
}
