//! The grants of one person: listed, revoked, bounded, and forgotten with the person.

use async_trait::async_trait;
use chrono::Duration;

use super::{
    Abandoned, GrantId, GrantRecord, GrantView, Grants, KEEP_PERSON, MOST_GRANTS, PersonGrants,
};
use crate::{
    domain::{PrincipalId, Timestamp, failure::Result as Fallible},
    identity::{Person, Register},
    store::{Change, Versioned},
};

/// How far the end of a person's record may lag behind, so that a refresh rarely writes it.
const KEEP_SLACK: Duration = Duration::days(1);

#[async_trait]
impl Register for Grants {
    async fn note(&self, person: &Person) -> Fallible<()> {
        self.remember(person).await.map(|_| ())
    }

    async fn revoke_all(&self, principal: &PrincipalId) -> Fallible<()> {
        Self::revoke_all(self, principal).await.map(|_| ())
    }
}

impl Grants {
    /// Notes that a person was here, with or without a grant, and says in which epoch.
    pub async fn remember(&self, person: &Person) -> Fallible<String> {
        let key = person.principal.digest();
        let until = self.clock.now() + KEEP_PERSON;
        loop {
            let known = self
                .store
                .update(&key, |found: &mut Versioned<PersonGrants>| {
                    let epoch = found.value.epoch.clone();
                    if found.expires_at >= until {
                        return Change::Leave(epoch);
                    }
                    found.expires_at = until;
                    Change::Write(epoch)
                })
                .await?;
            if let Some(epoch) = known {
                return Ok(epoch);
            }
            let epoch = self.entropy.token::<16>();
            let record = PersonGrants { person: person.clone(), epoch, grants: Vec::new() };
            // Whoever loses the race reads what the winner wrote.
            self.store.insert(&key, &record, until).await?;
        }
    }

    /// A person's grants, the last used first.
    pub async fn list(&self, principal: &PrincipalId) -> Fallible<Vec<GrantView>> {
        let Some(known) = self.store.get::<PersonGrants>(&principal.digest()).await? else {
            return Ok(Vec::new());
        };
        let mut views = Vec::with_capacity(known.value.grants.len());
        for id in known.value.grants {
            if let Some(found) = self.store.get::<GrantRecord>(id.as_str()).await? {
                let GrantRecord { terms, created_at, last_used_at, .. } = found.value;
                views.push(GrantView { id, client: terms.asker, created_at, last_used_at });
            }
        }
        views.sort_by_key(|view| std::cmp::Reverse(view.last_used_at));
        Ok(views)
    }

    /// Ends one grant of a person. False: they have no such grant (any more).
    pub async fn revoke(&self, principal: &PrincipalId, id: &GrantId) -> Fallible<bool> {
        match self.store.get::<GrantRecord>(id.as_str()).await? {
            Some(found) if found.value.terms.person.principal == *principal => {
                self.end(id).await?;
                Ok(true)
            }
            // Somebody else has just ended it, and may not have come to tell it yet.
            _ => {
                self.endings.tell(principal);
                Ok(false)
            }
        }
    }

    /// Whether a person has revoked nothing as a whole since they were in this epoch.
    pub async fn is_current(&self, principal: &PrincipalId, epoch: &str) -> Fallible<bool> {
        let known = self.store.get::<PersonGrants>(&principal.digest()).await?;
        Ok(known.is_some_and(|known| known.value.epoch == epoch))
    }

    /// Ends whatever is of a person's epoch: codes that are on their way, and sign-ins. The new
    /// epoch is answered. Grants are not of an epoch once they are open.
    pub async fn begin_epoch(&self, principal: &PrincipalId) -> Fallible<String> {
        let epoch = self.entropy.token::<16>();
        self.store
            .update(&principal.digest(), |found: &mut Versioned<PersonGrants>| {
                found.value.epoch.clone_from(&epoch);
                Change::Write(())
            })
            .await?;
        Ok(epoch)
    }

    /// Ends all grants of a person, and whatever is of their epoch. Says how many grants. After a
    /// failure some may be left, which are still listed and ended by another try.
    pub async fn revoke_all(&self, principal: &PrincipalId) -> Fallible<usize> {
        // First: a grant that is being opened then finds that it is of an earlier one.
        self.begin_epoch(principal).await?;
        self.end_all(principal).await
    }

    /// Ends the grants of a person that are listed, and says how many.
    pub async fn end_all(&self, principal: &PrincipalId) -> Fallible<usize> {
        let key = principal.digest();
        let listed = self.store.get::<PersonGrants>(&key).await?;
        let listed = listed.map(|found| found.value.grants).unwrap_or_default();
        let mut ended = 0;
        for id in &listed {
            ended += usize::from(self.store.remove::<GrantRecord>(id.as_str()).await?);
        }
        self.endings.tell(principal);
        let until = self.clock.now() + KEEP_PERSON;
        // Struck off last: what is in no list could never be revoked.
        self.store
            .update(&key, |found: &mut Versioned<PersonGrants>| {
                found.value.grants.retain(|id| !listed.contains(id));
                if found.value.grants.is_empty() {
                    found.expires_at = until;
                }
                Change::Write(())
            })
            .await?;
        Ok(ended)
    }

    /// Removes the record of a person of whom nothing else is kept.
    pub async fn forget_person(&self, principal: &PrincipalId) -> Fallible<()> {
        self.store.remove::<PersonGrants>(&principal.digest()).await?;
        Ok(())
    }

    /// Persons without a live grant for 30 days. Delete what is kept of each, then
    /// [`Grants::forget`] it; until then it comes again.
    pub async fn abandoned(&self, limit: usize) -> Fallible<Vec<Abandoned>> {
        let expired = self.store.expired::<PersonGrants>(limit).await?;
        Ok(expired
            .into_iter()
            .map(|(key, found)| Abandoned {
                person: found.value.person,
                key,
                version: found.version,
            })
            .collect())
    }

    /// Removes the last record of a person. False: they came back meanwhile.
    pub async fn forget(&self, abandoned: &Abandoned) -> Fallible<bool> {
        self.store.remove_if::<PersonGrants>(&abandoned.key, abandoned.version).await
    }

    /// Removes up to `limit` grants that have expired.
    pub(in crate::oauth) async fn purge(&self, limit: usize) -> Fallible<usize> {
        self.store.purge::<GrantRecord>(limit).await
    }

    /// Ends a grant, whoever asks.
    pub(in crate::oauth) async fn end(&self, id: &GrantId) -> Fallible<()> {
        let Some(found) = self.store.get::<GrantRecord>(id.as_str()).await? else { return Ok(()) };
        self.store.remove::<GrantRecord>(id.as_str()).await?;
        let principal = &found.value.terms.person.principal;
        self.endings.tell(principal);
        let until = self.clock.now() + KEEP_PERSON;
        self.store
            .update(&principal.digest(), |person: &mut Versioned<PersonGrants>| {
                person.value.grants.retain(|other| other != id);
                if person.value.grants.is_empty() {
                    person.expires_at = until;
                }
                Change::Write(())
            })
            .await?;
        Ok(())
    }

    /// A person whose grant was prolonged is kept that much longer. False: there is no such person
    /// any more, whose page could revoke it.
    pub(super) async fn keep_person(
        &self,
        id: &GrantId,
        grant_expires_at: Timestamp,
    ) -> Fallible<bool> {
        let Some(grant) = self.store.get::<GrantRecord>(id.as_str()).await? else {
            return Ok(true);
        };
        let until = grant_expires_at + KEEP_PERSON;
        let kept = self
            .store
            .update(
                &grant.value.terms.person.principal.digest(),
                |person: &mut Versioned<PersonGrants>| {
                    if until - person.expires_at < KEEP_SLACK {
                        return Change::Leave(());
                    }
                    person.expires_at = until;
                    Change::Write(())
                },
            )
            .await?;
        Ok(kept.is_some())
    }

    /// Strikes expired grants off the list, then ends the longest unused ones beyond the limit.
    pub(super) async fn make_room(
        &self,
        key: &str,
        listed: &[GrantId],
        newest: &GrantId,
    ) -> Fallible<()> {
        let (mut live, mut gone) = (Vec::new(), Vec::new());
        for id in listed.iter().filter(|id| *id != newest) {
            match self.store.get::<GrantRecord>(id.as_str()).await? {
                Some(found) => live.push((found.value.last_used_at, id.clone())),
                None => gone.push(id.clone()),
            }
        }
        live.sort_by_key(|(last_used_at, _)| *last_used_at);
        let surplus = (live.len() + 1).saturating_sub(MOST_GRANTS);
        for (_, id) in live.into_iter().take(surplus) {
            if let Some(found) = self.store.get::<GrantRecord>(id.as_str()).await? {
                self.store.remove::<GrantRecord>(id.as_str()).await?;
                self.endings.tell(&found.value.terms.person.principal);
            }
            gone.push(id);
        }
        self.store
            .update(key, |person: &mut Versioned<PersonGrants>| {
                person.value.grants.retain(|id| !gone.contains(id));
                Change::Write(())
            })
            .await?;
        Ok(())
    }
}
