//! Keys that outlive the secrets they were made from.
//!
//! A host registers once and keeps its `client_id` for years, and not every host registers anew when
//! it is told that it is no longer known. So the keys by which registrations were ever signed are
//! kept in the store, and still verify when `SESSION_SECRET` has long been another. A key tells
//! nothing of its secret, and whoever had one could register anyway.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use crate::{
    domain::{Failure, FailureCode, Timestamp, failure::Result},
    identity::{Keyring, Purpose, keyring},
    store::{Record, Store},
};

/// There is one record.
const KEY: &str = "all";

/// How many are kept; the oldest goes first.
const MOST: usize = 64;

/// How often the record is written before giving up: instances may start together.
const TRIES: usize = 32;

/// The keys that verify registrations, beside those of the secrets that are given.
#[derive(Clone, Default)]
pub struct ClientKeys(Vec<[u8; 32]>);

/// Base64url of each, the oldest first.
#[derive(Clone, Default, Serialize, Deserialize)]
struct ClientKeysRecord {
    keys: Vec<String>,
}

impl Record for ClientKeysRecord {
    const KIND: &'static str = "client-keys";
}

impl ClientKeys {
    /// Those that were kept, and from now on also those of the secrets in `keyring`.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn kept(store: &Store, keyring: &Keyring) -> Result<Self> {
        // In order of age: the secret that signs now came last.
        let given = keyring.derived(Purpose::ClientId).into_iter().rev();
        let given: Vec<String> = given.map(|(_, key)| URL_SAFE_NO_PAD.encode(key)).collect();
        for _ in 0..TRIES {
            let found = store.get::<ClientKeysRecord>(KEY).await?;
            let version = found.as_ref().map(|found| found.version);
            let mut record = found.map(|found| found.value).unwrap_or_default();
            let known = record.keys.len();
            for key in &given {
                if !record.keys.contains(key) {
                    record.keys.push(key.clone());
                }
            }
            let is_new = record.keys.len() > known;
            record.keys.drain(..record.keys.len().saturating_sub(MOST));
            let is_kept = match version {
                _ if !is_new => true,
                Some(version) => store.replace(KEY, version, &record, Timestamp::MAX_UTC).await?,
                None => store.insert(KEY, &record, Timestamp::MAX_UTC).await?,
            };
            if is_kept {
                let keys = record.keys.iter().filter_map(|key| URL_SAFE_NO_PAD.decode(key).ok());
                return Ok(Self(keys.filter_map(|key| key.try_into().ok()).collect()));
            }
        }
        Err(Failure::new(FailureCode::Internal, "Too many instances start at once."))
    }

    /// Whether a tag was made over these parts with any of the keys; in constant time for each.
    pub(super) fn verify(&self, parts: &[&[u8]], presented: &str) -> bool {
        self.0.iter().fold(false, |known, key| known | keyring::is_tag_of(key, parts, presented))
    }
}

impl fmt::Debug for ClientKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientKeys").field("keys", &self.0.len()).finish()
    }
}
