//! Whether an access to GitHub that was handed out is still its principal's own.

use std::time::Duration;

use tokio::time::timeout;

use super::{super::principal::Principal, AccountLinking, OwnGitHub};
use crate::domain::failure::Result;

/// How soon a change at another instance is noticed.
const LOOK_EVERY: Duration = Duration::from_secs(2);

impl AccountLinking {
    /// Whether `own` is of the account that [`AccountLinking::github`] would hand out to the
    /// principal now, told from the store alone. Another connection of the same account is as good.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn holds(&self, principal: &Principal, own: &OwnGitHub) -> Result<bool> {
        let Some(account) = own.account else { return Ok(true) };
        let Some(record) = self.principal_record(&principal.id).await? else { return Ok(false) };
        let connection = self.connection_of(&record).await?;
        Ok(connection.is_some_and(|found| {
            !found.value.needs_reauthorization && found.value.account.id == account
        }))
    }

    /// Returns when `own` is no longer the principal's own: at once after a change in this process.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn until_lost(&self, principal: &Principal, own: &OwnGitHub) -> Result<()> {
        let mut changes = self.inner.changes.subscribe();
        loop {
            // The sender lives as long as this does.
            let _ = timeout(LOOK_EVERY, changes.changed()).await;
            if !self.holds(principal, own).await? {
                return Ok(());
            }
        }
    }
}
