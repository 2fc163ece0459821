//! Keys, one per purpose.
//!
//! Every key is derived from a root secret with HKDF-SHA256 (RFC 5869) under a label of its own, so
//! that a tag made for one purpose is worthless for any other. Several roots allow rotation: the
//! first signs, all verify.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::ExposeSecret as _;
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use crate::domain::{Secret, identifier::sha256_hex};

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Ties a flow to the browser that pressed the button.
    BrowserBinding,
    /// Ties a form to the browser it was shown to.
    Csrf,
    /// Seals what an MCP client echoes back during an elicitation.
    RequestState,
    /// Signs what a registered OAuth client is, into its `client_id`.
    ClientId,
    /// Seals what the store keeps.
    StoredValue,
}

impl Purpose {
    fn label(self) -> &'static [u8] {
        match self {
            Self::BrowserBinding => b"pr-summarizer/v1/browser-binding",
            Self::Csrf => b"pr-summarizer/v1/csrf",
            Self::RequestState => b"pr-summarizer/v1/request-state",
            Self::ClientId => b"pr-summarizer/v1/client-id",
            Self::StoredValue => b"pr-summarizer/v1/stored-value",
        }
    }
}

/// The root secrets.
#[derive(Debug, Clone)]
pub struct Keyring {
    first: Secret,
    retired: Vec<Secret>,
}

impl Keyring {
    /// A keyring that signs with `first` and still verifies what `retired` secrets signed.
    pub fn new(first: Secret, retired: Vec<Secret>) -> Self {
        Self { first, retired }
    }

    /// HMAC-SHA256 (RFC 2104) over the parts, as unpadded base64url.
    pub fn sign(&self, purpose: Purpose, parts: &[&[u8]]) -> String {
        tag(&derive(&self.first, purpose), parts)
    }

    /// Whether `tag` was made over these parts by any of the secrets; in constant time.
    pub fn verify(&self, purpose: Purpose, parts: &[&[u8]], presented: &str) -> bool {
        self.roots()
            .fold(false, |known, root| known | is_tag_of(&derive(root, purpose), parts, presented))
    }

    /// The derived keys with an identifier each, the signing one first.
    pub fn derived(&self, purpose: Purpose) -> Vec<(String, [u8; 32])> {
        self.roots()
            .map(|root| {
                let key = derive(root, purpose);
                // A digest of a derived key names it and tells nothing about it.
                let name = sha256_hex(&key).get(..16).unwrap_or_default().to_owned();
                (name, key)
            })
            .collect()
    }

    fn roots(&self) -> impl Iterator<Item = &Secret> {
        std::iter::once(&self.first).chain(&self.retired)
    }
}

/// Whether `presented` was made over these parts with a derived key; in constant time.
pub fn is_tag_of(key: &[u8; 32], parts: &[&[u8]], presented: &str) -> bool {
    tag(key, parts).as_bytes().ct_eq(presented.as_bytes()).into()
}

fn derive(root: &Secret, purpose: Purpose) -> [u8; 32] {
    let mut key = [0_u8; 32];
    #[expect(clippy::expect_used, reason = "32 bytes are always within HKDF's limit of 8160")]
    Hkdf::<Sha256>::new(None, root.expose_secret().as_bytes())
        .expand(purpose.label(), &mut key)
        .expect("32 bytes fit");
    key
}

/// Each part is preceded by its length, so that no two lists of parts look alike.
fn tag(key: &[u8; 32], parts: &[&[u8]]) -> String {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length");
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyring(first: &str, retired: &[&str]) -> Keyring {
        Keyring::new(
            Secret::from(first.to_owned()),
            retired.iter().map(|s| Secret::from((*s).to_owned())).collect(),
        )
    }

    #[test]
    fn a_tag_serves_one_purpose_and_one_list_of_parts() {
        let keys = keyring("a root secret of at least 32 bytes!", &[]);
        let made = keys.sign(Purpose::Csrf, &[b"ab", b"c"]);
        assert!(keys.verify(Purpose::Csrf, &[b"ab", b"c"], &made));
        assert!(!keys.verify(Purpose::BrowserBinding, &[b"ab", b"c"], &made));
        assert!(!keys.verify(Purpose::Csrf, &[b"a", b"bc"], &made));
        assert!(!keys.verify(Purpose::Csrf, &[b"abc"], &made));
        assert!(!keys.verify(Purpose::Csrf, &[b"ab", b"c"], &made[1..]));
        assert!(!keys.verify(Purpose::Csrf, &[b"ab", b"c"], ""));
    }

    #[test]
    fn a_retired_secret_verifies_but_does_not_sign() {
        let old = keyring("the old secret of at least 32 bytes", &[]);
        let both = keyring(
            "the new secret of at least 32 bytes",
            &["the old secret of at least 32 bytes"],
        );
        let by_old = old.sign(Purpose::Csrf, &[b"x"]);
        let by_both = both.sign(Purpose::Csrf, &[b"x"]);
        assert!(both.verify(Purpose::Csrf, &[b"x"], &by_old));
        assert!(!old.verify(Purpose::Csrf, &[b"x"], &by_both));
        let derived = both.derived(Purpose::RequestState);
        assert_eq!(derived.len(), 2);
        // A secret that is written twice is good once.
        let root = "the old secret of at least 32 bytes";
        assert!(keyring(root, &[root]).verify(Purpose::Csrf, &[b"x"], &by_old));
        assert_eq!(derived[1], old.derived(Purpose::RequestState)[0]);
        assert_ne!(derived[0], derived[1]);
        assert!(derived.iter().all(|(name, _)| name.len() == 16));
        assert_ne!(derived[0].1, both.derived(Purpose::StoredValue)[0].1);
    }
}
