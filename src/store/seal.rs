//! Values sealed for the disk: XChaCha20-Poly1305 under keys that the store does not keep.
//!
//! A sealed value is `sealed1:` key id `:` base64url(nonce, ciphertext, tag). The record's kind and
//! key are authenticated with it, so that a value copied to another place does not open. The nonce
//! is drawn at random for each write; 192 bits are enough for that (RFC draft
//! draft-irtf-cfrg-xchacha, section 3.1).
//!
//! What is not hidden: the keys (digests, random identifiers of principals and flows, GitHub's number
//! of an account), how long a value is, and when it expires. What is not prevented: that who may write
//! to the store puts an older value back.

use std::{fmt, sync::Arc};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Payload},
};

use crate::domain::{
    Entropy,
    failure::{Failure, FailureCode, Result},
};

/// No JSON text begins like this.
const MARK: &str = "sealed1:";

/// In bytes.
const NONCE: usize = 24;

/// Seals with its first key and opens with all.
#[derive(Clone)]
pub struct Seal {
    keys: Vec<Key>,
    /// The identifiers of keys that the store was sealed with in former times.
    dropped: Vec<String>,
    entropy: Arc<dyn Entropy>,
}

#[derive(Clone)]
struct Key {
    id: String,
    cipher: XChaCha20Poly1305,
}

/// Why a value does not open. No word of the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shut {
    /// Sealed under a secret that is not given (any more).
    UnknownKey,
    /// Changed, cut, or copied from another place.
    Broken,
    /// Not sealed: whoever can write to the store could have written it.
    Plain,
}

impl Seal {
    /// A seal of keys with an identifier each, the one that closes first.
    pub fn new(keys: Vec<(String, [u8; 32])>, entropy: Arc<dyn Entropy>) -> Self {
        let keys = keys
            .into_iter()
            .map(|(id, key)| Key { id, cipher: XChaCha20Poly1305::new(&key.into()) })
            .collect();
        Self { keys, dropped: Vec::new(), entropy }
    }

    /// The identifiers of its keys, the one that closes first.
    pub(super) fn key_ids(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.keys.iter().map(|key| key.id.as_str())
    }

    /// Whether a value is sealed under a key that there was before. Reads no more than its name.
    pub(super) fn is_lost(&self, value: &str) -> bool {
        let id = value.strip_prefix(MARK).and_then(|sealed| sealed.split_once(':'));
        id.is_some_and(|(id, _)| self.dropped.iter().any(|dropped| dropped == id))
    }

    /// Tells which keys there were before.
    pub(super) fn note_dropped(&mut self, ids: impl IntoIterator<Item = String>) {
        self.dropped.extend(ids);
    }

    /// The sealed value.
    pub(super) fn close(&self, kind: &str, key: &str, value: &str) -> Result<String> {
        let failed = || Failure::new(FailureCode::Internal, "A record could not be sealed.");
        let Key { id, cipher } = self.keys.first().ok_or_else(failed)?;
        let mut nonce = [0_u8; NONCE];
        self.entropy.fill(&mut nonce);
        let place = place(kind, key);
        let payload = Payload { msg: value.as_bytes(), aad: &place };
        let closed = cipher.encrypt(&XNonce::from(nonce), payload).map_err(|_| failed())?;
        let mut sealed = format!("{MARK}{id}:");
        URL_SAFE_NO_PAD.encode_string([nonce.as_slice(), &closed].concat(), &mut sealed);
        Ok(sealed)
    }

    /// The value, and whether it is sealed under the first key.
    pub(super) fn open(&self, kind: &str, key: &str, value: &str) -> Result<(String, bool), Shut> {
        let sealed = value.strip_prefix(MARK).ok_or(Shut::Plain)?;
        let (id, sealed) = sealed.split_once(':').ok_or(Shut::Broken)?;
        let number = self.keys.iter().position(|key| key.id == id).ok_or(Shut::UnknownKey)?;
        let Key { cipher, .. } = self.keys.get(number).ok_or(Shut::UnknownKey)?;
        let bytes = URL_SAFE_NO_PAD.decode(sealed).map_err(|_| Shut::Broken)?;
        let (nonce, closed) = bytes.split_first_chunk::<NONCE>().ok_or(Shut::Broken)?;
        let place = place(kind, key);
        let payload = Payload { msg: closed, aad: &place };
        let opened = cipher.decrypt(&XNonce::from(*nonce), payload).map_err(|_| Shut::Broken)?;
        let text = String::from_utf8(opened).map_err(|_| Shut::Broken)?;
        Ok((text, number == 0))
    }
}

/// Where a value belongs; the length keeps kind and key apart.
fn place(kind: &str, key: &str) -> Vec<u8> {
    [&(kind.len() as u64).to_be_bytes(), kind.as_bytes(), key.as_bytes()].concat()
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seal").field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}

impl fmt::Display for Shut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownKey => "it is sealed under a SESSION_SECRET that is not given",
            Self::Broken => "its seal is broken",
            Self::Plain => "it is not sealed",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::SystemEntropy;

    fn seal(keys: &[u8]) -> Seal {
        let keys = keys.iter().map(|&byte| (format!("key{byte}"), [byte; 32])).collect();
        Seal::new(keys, Arc::new(SystemEntropy))
    }

    #[test]
    fn opens_what_it_closed_and_shows_nothing_of_it() {
        let seal = seal(&[1]);
        let closed = seal.close("flow", "k", "\"canary\"").unwrap();
        assert!(!closed.contains("canary") && closed.starts_with("sealed1:key1:"), "{closed}");
        assert_eq!(seal.open("flow", "k", &closed), Ok(("\"canary\"".into(), true)));
        assert_ne!(closed, seal.close("flow", "k", "\"canary\"").unwrap(), "a nonce came twice");
        assert!(!format!("{seal:?}").contains("key1"));
    }

    #[test]
    fn a_value_opens_in_its_own_place_only() {
        let seal = seal(&[1]);
        let closed = seal.close("flow", "k", "1").unwrap();
        for (kind, key) in [("flow", "l"), ("flo", "wk"), ("session", "k")] {
            assert_eq!(seal.open(kind, key, &closed), Err(Shut::Broken), "{kind} {key}");
        }
    }

    #[test]
    fn a_changed_value_does_not_open() {
        let seal = seal(&[1]);
        let closed = seal.close("flow", "k", "1").unwrap();
        for at in "sealed1:key1:".len()..closed.len() {
            let mut changed = closed.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            // The last character carries bits that stand for nothing; it is refused all the same.
            assert_eq!(seal.open("flow", "k", &changed), Err(Shut::Broken), "{at}");
        }
        for cut in ["sealed1:", "sealed1:key1", "sealed1:key1:", "sealed1:key1:AAAA"] {
            assert_eq!(seal.open("flow", "k", cut), Err(Shut::Broken), "{cut}");
        }
    }

    #[test]
    fn keys_rotate() {
        let (old, both, new) = (seal(&[1]), seal(&[2, 1]), seal(&[2]));
        let by_old = old.close("flow", "k", "1").unwrap();
        assert_eq!(both.open("flow", "k", &by_old), Ok(("1".into(), false)));
        assert_eq!(new.open("flow", "k", &by_old), Err(Shut::UnknownKey));
        let by_both = both.close("flow", "k", "1").unwrap();
        assert_eq!(new.open("flow", "k", &by_both), Ok(("1".into(), true)));
    }

    #[test]
    fn what_was_never_sealed_does_not_open() {
        for plain in ["{}", "", "sealed", " sealed1:key1:AAAA"] {
            assert_eq!(seal(&[1]).open("flow", "k", plain), Err(Shut::Plain));
        }
    }
}
