//! A browser that asks on the page of this server, in the loopback modes: it is to its principal what
//! a session of MCP is. In `oauth` mode the page belongs to whoever is signed in, and there is none
//! of these.

use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};

use super::{IDLE, Sessions};
use crate::{
    domain::{
        AuthMode, Failure, FailureCode, PrincipalId, Secret, Timestamp, failure::Result,
        identifier::sha256_hex,
    },
    identity::{BrowserCookie, ClientName, Principal},
    store::Record,
};

/// What the page calls itself where a program would be named.
const NAME: &str = "the page of this server";

/// A browser whose page may ask.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PageRecord {
    /// For whom.
    pub principal: PrincipalId,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When it was last used, to the ten minutes.
    pub last_used_at: Timestamp,
}

impl Record for PageRecord {
    const KIND: &'static str = "page";
    const IS_READ_OFTEN: bool = true;
}

/// Under which name a browser's page is kept: made of its cookie, and of the local key if one must be
/// shown, so that another key closes every page.
#[derive(Debug)]
pub struct PageKey(String);

impl PageKey {
    /// The key of this browser's page.
    pub fn of(browser: &BrowserCookie, local_key: Option<&Secret>) -> Self {
        let local_key = local_key.map_or("", |key| key.expose_secret());
        Self(sha256_hex(&[browser.bytes(), b"/page/", local_key.as_bytes()].concat()))
    }
}

impl Sessions {
    /// For whom this browser's page may ask; `None` unless it was opened. Changes nothing.
    pub async fn page(&self, page: &PageKey) -> Result<Option<Principal>> {
        let found = self.store.get::<PageRecord>(&self.key(&page.0)).await?;
        Ok(found.map(|found| asks(found.value.principal)))
    }

    /// The same, and notes the use.
    pub async fn use_page(&self, page: &PageKey) -> Result<Option<Principal>> {
        let key = self.key(&page.0);
        let Some(found) = self.store.get::<PageRecord>(&key).await? else { return Ok(None) };
        Ok(Some(asks(self.touched(&key, found).await?)))
    }

    /// Lets this browser's page ask: in `session` mode for a principal of its own, in `single-user`
    /// mode for the one of this machine.
    ///
    /// # Errors
    /// `unauthenticated` in `oauth` mode, where only a sign-in says who a person is.
    pub async fn open_page(&self, page: &PageKey) -> Result<Principal> {
        if let Some(principal) = self.use_page(page).await? {
            return Ok(principal);
        }
        let principal = match self.mode {
            AuthMode::Session => PrincipalId::mint(&*self.entropy),
            AuthMode::SingleUser => self.machine(ClientName::default()).await?.id,
            AuthMode::OAuth => {
                return Err(Failure::new(
                    FailureCode::Unauthenticated,
                    "Nobody is signed in to this browser.",
                ));
            }
        };
        let now = self.clock.now();
        let record = PageRecord { principal, created_at: now, last_used_at: now };
        let key = self.key(&page.0);
        if self.store.insert(&key, &record, now + IDLE).await? {
            return Ok(asks(record.principal));
        }
        // Another tab was faster.
        self.use_page(page).await?.ok_or_else(|| {
            Failure::new(FailureCode::Internal, "The page of this browser could not be opened.")
        })
    }

    /// The one principal of this machine, for its page, where no key must be shown.
    pub async fn machine_page(&self) -> Result<Principal> {
        self.machine(ClientName::claimed(NAME)).await
    }

    /// The same if it was ever needed. Changes nothing.
    pub async fn known_machine_page(&self) -> Result<Option<Principal>> {
        let found = self.known_machine().await?;
        Ok(found.map(asks))
    }
}

fn asks(id: PrincipalId) -> Principal {
    Principal { id, client: ClientName::claimed(NAME) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use chrono::{DateTime, Duration};

    use super::*;
    use crate::{
        domain::{ManualClock, SystemEntropy},
        store::Store,
    };

    fn sessions(mode: AuthMode) -> (Sessions, ManualClock) {
        let clock = ManualClock::new(DateTime::from_timestamp(1_800_000_000, 0).unwrap());
        let store = Store::memory(Arc::new(clock.clone()));
        (Sessions::new(store, mode, Arc::new(clock.clone()), Arc::new(SystemEntropy)), clock)
    }

    fn page(local_key: Option<&str>) -> (BrowserCookie, PageKey) {
        let browser = BrowserCookie::mint(&SystemEntropy);
        let key = local_key.map(|key| Secret::from(key.to_owned()));
        let page = PageKey::of(&browser, key.as_ref());
        (browser, page)
    }

    #[tokio::test]
    async fn each_browser_asks_for_a_principal_of_its_own() {
        let (sessions, _) = sessions(AuthMode::Session);
        let ((_, one), (_, other)) = (page(None), page(None));
        assert!(sessions.page(&one).await.unwrap().is_none());
        let first = sessions.open_page(&one).await.unwrap();
        assert_eq!(sessions.open_page(&one).await.unwrap().id, first.id);
        assert_eq!(sessions.page(&one).await.unwrap().unwrap().id, first.id);
        assert!(sessions.page(&other).await.unwrap().is_none());
        assert_ne!(sessions.open_page(&other).await.unwrap().id, first.id);
    }

    #[tokio::test]
    async fn an_idle_page_ends_and_every_page_after_a_week() {
        let (sessions, clock) = sessions(AuthMode::Session);
        let ((_, used), (_, idle)) = (page(None), page(None));
        let id = sessions.open_page(&used).await.unwrap().id;
        sessions.open_page(&idle).await.unwrap();
        for _ in 0..14 {
            clock.advance(IDLE - Duration::minutes(1));
            let known = sessions.use_page(&used).await.unwrap().unwrap();
            assert_eq!(known.id, id);
        }
        assert!(sessions.page(&idle).await.unwrap().is_none());
        clock.advance(Duration::hours(1));
        assert!(sessions.page(&used).await.unwrap().is_none(), "a week is over");
    }

    #[tokio::test]
    async fn looking_at_a_page_is_no_use_of_it() {
        let (sessions, clock) = sessions(AuthMode::Session);
        let (_, browser) = page(None);
        sessions.open_page(&browser).await.unwrap();
        clock.advance(Duration::hours(11));
        assert!(sessions.page(&browser).await.unwrap().is_some());
        clock.advance(Duration::hours(2));
        assert!(sessions.page(&browser).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn the_machines_page_is_under_its_key() {
        let (sessions, _) = sessions(AuthMode::SingleUser);
        assert!(sessions.known_machine_page().await.unwrap().is_none());
        let (browser, shown) = page(Some("a-local-key"));
        let machine = sessions.open_page(&shown).await.unwrap().id;
        assert_eq!(machine, sessions.machine_page().await.unwrap().id);
        assert_eq!(Some(machine), sessions.known_machine_page().await.unwrap().map(|p| p.id));
        // With another key at the next start this browser must show it again.
        let changed = PageKey::of(&browser, Some(&Secret::from("another".to_owned())));
        assert!(sessions.page(&changed).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn persons_have_no_such_page() {
        let (sessions, _) = sessions(AuthMode::OAuth);
        let failure = sessions.open_page(&page(None).1).await.unwrap_err();
        assert_eq!(failure.code, FailureCode::Unauthenticated);
    }
}
