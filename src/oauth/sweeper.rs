//! Removes what has expired, and forgets persons who have not been here for a long time.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{AuthorizationServer, grant::Abandoned};
use crate::{domain::failure::Result, identity::AccountLinking};

/// How often it looks.
const EVERY: Duration = Duration::from_mins(1);
/// How many records of a kind one round removes.
const REMOVED_AT_ONCE: usize = 10_000;
/// How many persons one round forgets.
const BATCH: usize = 200;

/// Cleans up in the background.
#[derive(Debug, Clone)]
pub struct Sweeper {
    server: AuthorizationServer,
    linking: AccountLinking,
}

impl Sweeper {
    /// A sweeper for what `server` leaves behind; `linking` forgets the persons.
    pub fn new(server: AuthorizationServer, linking: AccountLinking) -> Self {
        Self { server, linking }
    }

    /// Sweeps until told to stop.
    pub async fn run(self, stop: CancellationToken) {
        loop {
            let swept = tokio::select! {
                () = stop.cancelled() => return,
                swept = self.sweep() => swept,
            };
            if let Err(failure) = swept {
                tracing::warn!(?failure, "a round of cleaning up tokens failed; the next follows");
            }
            if tokio::time::timeout(EVERY, stop.cancelled()).await.is_ok() {
                return;
            }
        }
    }

    /// One round.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn sweep(&self) -> Result<()> {
        self.server.purge(REMOVED_AT_ONCE).await?;
        for abandoned in self.server.grants().abandoned(BATCH).await? {
            if let Err(failure) = self.forget(&abandoned).await {
                tracing::warn!(?failure, "an abandoned person was not forgotten yet");
            }
        }
        Ok(())
    }

    async fn forget(&self, abandoned: &Abandoned) -> Result<()> {
        let grants = self.server.grants();
        self.linking.forget(&abandoned.person).await?;
        if !grants.forget(abandoned).await? {
            // They came back at this very moment, as somebody who is no longer known: their client
            // is sent through the trip once more, and they are somebody new.
            grants.revoke_all(&abandoned.person.principal).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
