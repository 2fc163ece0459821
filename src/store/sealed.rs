//! Putting a seal on a store, and noticing that it is the wrong one.
//!
//! One small record says under which key a store was sealed last. A start with a secret that does
//! not open it is refused: every person's record would be unreadable, and what is sealed under two
//! secrets that do not know each other can never be read whole again.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Record, Seal, Store, seal::Shut};
use crate::domain::{
    Timestamp,
    failure::{Failure, FailureCode, Result},
};

/// There is one.
const KEY: &str = "check";

#[derive(Debug, Serialize, Deserialize)]
struct SealCheck {}

impl Record for SealCheck {
    const KIND: &'static str = "seal";
}

impl Store {
    /// The same store, whose values are sealed from now on.
    ///
    /// # Errors
    /// `internal`, with a sentence for the operator, when it was sealed under another secret; what
    /// the store itself may answer.
    pub async fn sealed(mut self, seal: Seal) -> Result<Self> {
        self.seal = Some(Arc::new(seal));
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
        // Of two instances that start together one writes it and both read it; reading brings it
        // under the first key.
        self.insert(KEY, &SealCheck {}, Timestamp::MAX_UTC).await?;
        self.get::<SealCheck>(KEY).await?;
        Ok(self)
    }
}
