//! Persons: which principal a verified GitHub account is.
//!
//! The principal is minted once, at random, when GitHub first names the account to us, and kept
//! under the account's number, which never changes and is never given to another. Nothing that a
//! client or a browser sends leads here: the only key is what `GET /user` answered.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{
    domain::{Entropy, GitHubAccount, PrincipalId, Timestamp, failure::Result},
    store::{Record, Store},
};

/// A person: a GitHub account, and the principal that it is here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Ours, opaque; stays inside.
    pub principal: PrincipalId,
    /// GitHub's number for the account.
    pub github_id: u64,
}

/// What is kept about persons above this room, where it is known how long their tokens live: who is
/// to be forgotten when, and what acts for them.
#[async_trait]
pub trait Register: fmt::Debug + Send + Sync {
    /// Sees to it that this person is forgotten once they have had no live token for 30 days.
    async fn note(&self, person: &Person) -> Result<()>;

    /// Ends everything that acts for the principal, and what is on its way to.
    async fn revoke_all(&self, principal: &PrincipalId) -> Result<()>;
}

/// Kept under the account's number, until the person is forgotten.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct PersonRecord {
    principal: PrincipalId,
}

impl Record for PersonRecord {
    const KIND: &'static str = "person";
}

/// Finds persons.
#[derive(Debug, Clone)]
pub struct People {
    store: Store,
    register: Option<Arc<dyn Register>>,
    entropy: Arc<dyn Entropy>,
}

impl People {
    /// People on one store; `register` in the mode that has persons.
    pub fn new(
        store: Store,
        register: Option<Arc<dyn Register>>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self { store, register, entropy }
    }

    /// The person of an account that GitHub has just named; the first time, a new one.
    pub async fn meet(&self, account: &GitHubAccount) -> Result<Person> {
        loop {
            if let Some(person) = self.find(account).await? {
                self.note(&person).await?;
                return Ok(person);
            }
            let principal = PrincipalId::mint(&*self.entropy);
            let person = Person { principal, github_id: account.id };
            // Noted first: a person who is in no register would never be forgotten. Whoever loses
            // the race below leaves an entry about nobody, which ends by itself.
            self.note(&person).await?;
            let record = PersonRecord { principal: person.principal };
            // Whoever loses the race reads what the winner wrote.
            self.store.insert(&key(account.id), &record, Timestamp::MAX_UTC).await?;
        }
    }

    /// The person of an account, if it is known here.
    pub async fn find(&self, account: &GitHubAccount) -> Result<Option<Person>> {
        let found = self.store.get::<PersonRecord>(&key(account.id)).await?;
        Ok(found.map(|found| Person { principal: found.value.principal, github_id: account.id }))
    }

    /// Ends everything that acts for a person.
    pub(super) async fn revoke_all(&self, principal: &PrincipalId) -> Result<()> {
        match &self.register {
            Some(register) => register.revoke_all(principal).await,
            None => Ok(()),
        }
    }

    async fn note(&self, person: &Person) -> Result<()> {
        match &self.register {
            Some(register) => register.note(person).await,
            None => Ok(()),
        }
    }

    /// Forgets a person; should the account come back, it is a new principal. A principal that the
    /// account no longer is stays untouched.
    pub async fn forget(&self, person: &Person) -> Result<()> {
        let key = key(person.github_id);
        if let Some(found) = self.store.get::<PersonRecord>(&key).await?
            && found.value.principal == person.principal
        {
            self.store.remove_if::<PersonRecord>(&key, found.version).await?;
        }
        Ok(())
    }
}

fn key(github_id: u64) -> String {
    format!("github/{github_id}")
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;

    use super::*;
    use crate::domain::{SystemClock, SystemEntropy};

    fn people() -> People {
        People::new(Store::memory(Arc::new(SystemClock)), None, Arc::new(SystemEntropy))
    }

    fn account(id: u64, login: &str) -> GitHubAccount {
        GitHubAccount { id, login: login.to_owned() }
    }

    #[tokio::test]
    async fn an_account_is_one_principal_whatever_its_login() {
        let people = people();
        let octocat = people.meet(&account(1, "octocat")).await.unwrap();
        assert_eq!(people.meet(&account(1, "renamed")).await.unwrap(), octocat);
        let other = people.meet(&account(2, "octocat")).await.unwrap();
        assert_ne!(other.principal, octocat.principal);
    }

    #[tokio::test]
    async fn a_person_is_minted_once_however_many_come_at_once() {
        let people = people();
        let account = account(7, "octocat");
        let met = join_all((0..50).map(|_| people.meet(&account))).await;
        let first = met[0].as_ref().unwrap();
        assert!(met.iter().all(|person| person.as_ref().unwrap() == first));
    }

    #[tokio::test]
    async fn a_forgotten_account_comes_back_as_somebody_new() {
        let people = people();
        let old = people.meet(&account(7, "octocat")).await.unwrap();
        people.forget(&old).await.unwrap();
        let new = people.meet(&account(7, "octocat")).await.unwrap();
        assert_ne!(new.principal, old.principal);
        // A late second deletion does not hit the newcomer.
        people.forget(&old).await.unwrap();
        assert_eq!(people.meet(&account(7, "octocat")).await.unwrap(), new);
    }
}
