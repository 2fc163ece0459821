//! Identifiers: who is who, and what is never shown to whom.
//!
//! Each is a type of its own so that one cannot be passed for another. Two are never confused: the
//! [`PrincipalId`] (ours, stays inside) and the [`UserId`] (what Scalekit calls `identifier`; a
//! fresh one for every linking flow). Neither is ever read from a client's input or written to an
//! answer, so neither has `Display`.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::entropy::Entropy;

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $bytes:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// What every identifier of this kind begins with.
            pub const PREFIX: &'static str = $prefix;

            /// A new identifier.
            pub fn mint(entropy: &dyn Entropy) -> Self {
                Self(format!(concat!($prefix, "{}"), entropy.token::<$bytes>()))
            }

            /// Reads what may be such an identifier: the right prefix, length and alphabet. Says
            /// nothing about whether it was ever minted.
            pub fn parse(text: &str) -> Option<Self> {
                let random = text.strip_prefix(Self::PREFIX)?;
                let expected = ($bytes * 8_usize).div_ceil(6);
                (random.len() == expected
                    && random.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'))
                .then(|| Self(text.to_owned()))
            }

            /// The characters on the wire.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// SHA-256 in hexadecimal: how the identifier is written into keys and logs.
            pub fn digest(&self) -> String {
                sha256_hex(self.0.as_bytes())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                // Enough to tell two apart in a log, useless as a credential.
                write!(f, "{}({}…)", stringify!($name), self.digest().get(..8).unwrap_or_default())
            }
        }
    };
}

identifier!(
    /// Whom a GitHub account belongs to at Scalekit: its `identifier`, 128 random bits.
    UserId, "usr_", 16
);
identifier!(
    /// Who is calling, in our own terms. Stays inside the server.
    PrincipalId, "pri_", 16
);
identifier!(
    /// One attempt to link a GitHub account; the last segment of `/connect/{id}`.
    FlowId, "", 16
);
identifier!(
    /// The value of `Mcp-Session-Id` (protocol versions up to 2025-11-25). A bearer secret.
    SessionId, "", 32
);
identifier!(
    /// What a client without sessions passes as `connection`. A bearer secret.
    ConnectionHandle, "con_", 32
);

/// SHA-256 in lower-case hexadecimal.
pub fn sha256_hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from(if half < 10 { b'0' + half } else { b'a' - 10 + half });
    let digest = Sha256::digest(bytes);
    digest.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::SystemEntropy;

    #[test]
    fn minted_identifiers_parse_and_differ() {
        let a = UserId::mint(&SystemEntropy);
        let b = UserId::mint(&SystemEntropy);
        assert_ne!(a, b);
        assert_eq!(UserId::parse(a.as_str()), Some(a.clone()));
        assert_eq!(a.as_str().len(), "usr_".len() + 22);
        assert_eq!(UserId::parse("usr_short"), None);
        assert_eq!(ConnectionHandle::parse(a.as_str()), None);
    }

    #[test]
    fn debug_shows_no_identifier() {
        let handle = ConnectionHandle::mint(&SystemEntropy);
        let shown = format!("{handle:?}");
        assert!(!shown.contains(&handle.as_str()[4..]), "{shown}");
    }
}
