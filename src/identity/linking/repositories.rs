//! Which repositories a principal asked about: what prompts and pages offer to complete.

use super::AccountLinking;
use crate::{
    domain::failure::Result,
    identity::{Principal, principal::PrincipalRecord},
    store::{Change, Versioned},
};

impl AccountLinking {
    /// Remembers that this principal was answered about a repository (owner/repo). Writes nothing
    /// when it was the last one already.
    pub async fn note_repository(&self, principal: &Principal, repository: &str) -> Result<()> {
        let key = self.key(principal.id.as_str());
        // A principal that is gone must not come back for this.
        self.store()
            .update(&key, |found: &mut Versioned<PrincipalRecord>| {
                if found.value.repositories.first().is_some_and(|last| last == repository) {
                    return Change::Leave(());
                }
                found.value.remember(repository);
                Change::Write(())
            })
            .await?;
        Ok(())
    }

    /// The repositories this principal was answered about, the last one first.
    pub async fn repositories(&self, principal: &Principal) -> Result<Vec<String>> {
        let record = self.principal_record(&principal.id).await?;
        Ok(record.map(|record| record.repositories).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use crate::identity::principal::PrincipalRecord;

    #[test]
    fn the_last_one_is_first_and_only_so_many_are_kept() {
        let mut record = PrincipalRecord::default();
        for n in 0..30 {
            record.remember(&format!("acme/repo-{n}"));
        }
        record.remember("Acme/Repo-25");
        assert_eq!(record.repositories.len(), PrincipalRecord::MOST_REPOSITORIES);
        assert_eq!(record.repositories[..2], ["Acme/Repo-25", "acme/repo-29"]);
        assert!(!record.repositories.contains(&"acme/repo-25".to_owned()));
    }
}
