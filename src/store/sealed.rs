//! Putting a seal on a store, and noticing that it is the wrong one.
//!
//! One small record says under which key a store was sealed last. A start with a secret that does
//! not open it is refused: every person's record would be unreadable, and what is sealed under two
//! secrets that do not know each other can never be read whole again.
//!
//! It also names the keys there were before. What is still sealed under one of those, because nobody
//! read it before its secret was dropped, counts as absent: its person begins anew. What is sealed
//! under a key that was never heard of is another matter, an instance that was given a newer secret
//! alone, and stays an error.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Record, Seal, Store, seal::Shut};
use crate::domain::{
    Timestamp,
    failure::{Failure, FailureCode, Result},
};

/// There is one.
const KEY: &str = "check";

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct SealCheck {
    /// The identifiers of all keys that ever were, the first one first.
    #[serde(default)]
    keys: Vec<String>,
}

impl Record for SealCheck {
    const KIND: &'static str = "seal";
}

impl Store {
    /// The same store, whose values are sealed from now on.
    ///
    /// # Errors
    /// `internal`, with a sentence for the operator, when it was sealed under another secret; what
    /// the store itself may answer.
    pub async fn sealed(mut self, mut seal: Seal) -> Result<Self> {
        let own: Vec<String> = seal.key_ids().rev().map(str::to_owned).collect();
        self.seal = Some(Arc::new(seal.clone()));
        // What was opened by other keys, or by none, is not for whoever has these.
        self.cache = Arc::default();
        if let Some(row) = self.backend.get(SealCheck::KIND, KEY, self.now()).await?
            && let Some(seal) = &self.seal
            && seal.open(SealCheck::KIND, KEY, &row.value) == Err(Shut::UnknownKey)
        {
            return Err(Failure::new(
                FailureCode::Internal,
                "The store was written under another SESSION_SECRET. Start with that one (the file \
                 session-secret in STATE_DIR, if it was made for you), or rotate it as \
                 SESSION_SECRET=new,old; or let STORE_URL name an empty store: everybody then links \
                 GitHub once more.",
            ));
        }
        let keys = self.note_keys(&own).await?;
        seal.note_dropped(keys.into_iter().filter(|key| !own.contains(key)));
        self.seal = Some(Arc::new(seal));
        Ok(self)
    }

    /// Adds these keys to those that ever were, and brings the record under the first of them.
    async fn note_keys(&self, own: &[String]) -> Result<Vec<String>> {
        loop {
            // Of two instances that start together one writes it and both read it.
            self.insert(KEY, &SealCheck::default(), Timestamp::MAX_UTC).await?;
            let Some(mut found) = self.get::<SealCheck>(KEY).await? else { continue };
            let keys = &mut found.value.keys;
            let known = keys.len();
            let new = own.iter().filter(|key| !keys.contains(key)).cloned().collect::<Vec<_>>();
            keys.extend(new);
            if keys.len() == known
                || self.replace(KEY, found.version, &found.value, Timestamp::MAX_UTC).await?
            {
                return Ok(found.value.keys);
            }
        }
    }
}
