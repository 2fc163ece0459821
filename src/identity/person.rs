//! Persons: which principal a verified GitHub account is.
//!
//! The principal is minted once, at random, when GitHub first names the account to us, and kept
//! under the account's number, which never changes and is never given to another. Nothing that a
//! client or a browser sends leads here: the only key is what `GET /user` answered.

use std::sync::Arc;

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
    entropy: Arc<dyn Entropy>,
}

impl People {
    /// People on one store.
    pub fn new(store: Store, entropy: Arc<dyn Entropy>) -> Self {
        Self { store, entropy }
    }

    /// The person of an account that GitHub has just named; the first time, a new one.
    pub async fn meet(&self, account: &GitHubAccount) -> Result<Person> {
        let key = key(account.id);
        loop {
            if let Some(found) = self.store.get::<PersonRecord>(&key).await? {
                let principal = found.value.principal;
                return Ok(Person { principal, github_id: account.id });
            }
            let record = PersonRecord { principal: PrincipalId::mint(&*self.entropy) };
            // Whoever loses the race reads what the winner wrote.
            self.store.insert(&key, &record, Timestamp::MAX_UTC).await?;
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
        People::new(Store::memory(Arc::new(SystemClock)), Arc::new(SystemEntropy))
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
