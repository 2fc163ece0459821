//! Linking without a server around it: a test holds the clock, the store and both ends of a race.

use std::{sync::Arc, time::Duration};

use chrono::DateTime;
use pr_summarizer::{
    domain::{
        AuthMode, Entropy, FlowId, GitHubAccount, ManualClock, PrincipalId, Secret, SystemEntropy,
        Timestamp, UserId,
    },
    identity::{
        AccountLinking, BrowserCookie, ClientName, Keyring, LinkingSettings, Principal, Sweeper,
        connection::ConnectionRecord,
        flow::{Flow, FlowPurpose, Phase},
        linking::{Accounts, Callback, Completed, Interrupted, Status},
        principal::{PrincipalRecord, key},
    },
    store::{Record, Store, Versioned},
    upstream::{
        Call,
        scalekit::{Scalekit, ScalekitSettings},
        transport::{Transport, TransportSettings},
    },
};
use url::Url;

use crate::fakes::{Browser, FakeScalekit, World, WorldBuilder};

/// Where the browser is sent back to; nobody listens there.
const ORIGIN: &str = "http://127.0.0.1:3000";

pub struct Desk {
    pub world: World,
    pub linking: AccountLinking,
    pub store: Store,
    pub clock: ManualClock,
    pub mode: AuthMode,
}

impl Desk {
    pub async fn new() -> Self {
        Self::of(World::builder(), AuthMode::Session).await
    }

    pub async fn of(world: WorldBuilder, mode: AuthMode) -> Self {
        let clock = ManualClock::new(DateTime::from_timestamp(1_800_000_000, 0).unwrap());
        let world = world.clock(Arc::new(clock.clone())).start().await;
        let store = Store::memory(Arc::new(clock.clone()));
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
        let transport = Transport::new(TransportSettings::default(), entropy.clone()).unwrap();
        let settings = ScalekitSettings {
            environment_url: world.scalekit.url().parse().unwrap(),
            client_id: FakeScalekit::CLIENT_ID.to_owned(),
            client_secret: Secret::from(FakeScalekit::CLIENT_SECRET.to_owned()),
            connection_name: FakeScalekit::CONNECTION_NAME.to_owned(),
        };
        let linking = AccountLinking::new(
            LinkingSettings { mode, public_base_url: ORIGIN.parse().unwrap() },
            Accounts::Linked(Scalekit::new(settings, transport, Arc::new(clock.clone()))),
            store.clone(),
            Keyring::new(Secret::from("k".repeat(32)), Vec::new()),
            None,
            Arc::new(clock.clone()),
            entropy,
        );
        Self { world, linking, store, clock, mode }
    }

    /// A new link; a later one of the same principal is another.
    pub async fn begin(&self, principal: &Principal) -> FlowId {
        let begun = self.linking.begin(principal, true, &call()).await.unwrap();
        let Status::Pending(link) = begun else { panic!("no link: {begun:?}") };
        assert_eq!(link.url.as_str(), format!("{ORIGIN}/connect/{}", link.flow.as_str()));
        link.flow
    }

    /// The button, Scalekit, and GitHub's consent as this person: what the browser comes back with.
    pub async fn consented(&self, flow: &FlowId, cookie: &BrowserCookie, login: &str) -> Callback {
        let step = self.linking.consent(flow, cookie, &call()).await.unwrap();
        self.authorized(&step.link, login).await
    }

    pub async fn authorized(&self, link: &Url, login: &str) -> Callback {
        let browser = Browser::new();
        browser.stop_before(Some(ORIGIN));
        let consent = browser.get(link).await;
        let back = browser.press(&consent, &format!("Authorize as {login}")).await.url;
        let value = |name: &str| {
            back.query_pairs().find(|(n, _)| n == name).map(|(_, value)| value.into_owned())
        };
        assert_eq!(back.path(), "/user/verify");
        Callback {
            state: value("state"),
            auth_request_id: value("auth_request_id"),
            error: value("error"),
        }
    }

    pub async fn complete(
        &self,
        callback: &Callback,
        cookie: &BrowserCookie,
    ) -> Result<Completed, Interrupted> {
        self.linking.complete(callback, Some(cookie), &call()).await
    }

    /// The whole way.
    pub async fn connect(
        &self,
        principal: &Principal,
        cookie: &BrowserCookie,
        login: &str,
    ) -> UserId {
        let flow = self.begin(principal).await;
        let callback = self.consented(&flow, cookie, login).await;
        self.complete(&callback, cookie).await.unwrap();
        self.principal(&principal.id).await.connection.unwrap()
    }

    pub async fn status(&self, principal: &Principal) -> Status {
        self.linking.status(principal, &call()).await.unwrap()
    }

    /// Whose account the principal is connected with.
    pub async fn login(&self, principal: &Principal) -> Option<String> {
        match self.status(principal).await {
            Status::Connected(connection) => Some(connection.account.login),
            _ => None,
        }
    }

    pub async fn sweep(&self) {
        Sweeper::new(self.linking.clone()).sweep().await.unwrap();
    }

    pub async fn kept<R: Record>(&self, id: &str) -> Option<Versioned<R>> {
        self.store.get::<R>(&key(self.mode, id)).await.unwrap()
    }

    pub async fn keep<R: Record>(&self, id: &str, record: &R, expires_at: Timestamp) {
        assert!(self.store.insert(&key(self.mode, id), record, expires_at).await.unwrap());
    }

    pub async fn flow(&self, id: &FlowId) -> Versioned<Flow> {
        self.kept(id.as_str()).await.unwrap()
    }

    pub async fn principal(&self, id: &PrincipalId) -> PrincipalRecord {
        self.kept(id.as_str()).await.map(|found| found.value).unwrap_or_default()
    }

    pub async fn connection(&self, user: &UserId) -> Option<ConnectionRecord> {
        self.kept(&user.digest()).await.map(|found| found.value)
    }

    /// Whether Scalekit holds an account under this identifier.
    pub fn has_account(&self, user: &UserId) -> bool {
        self.world.scalekit.account_of(user.as_str()).is_some()
    }
}

pub fn call() -> Call {
    Call::within(Duration::from_secs(20))
}

pub fn somebody() -> Principal {
    Principal { id: PrincipalId::mint(&SystemEntropy), client: ClientName::claimed("Test Agent") }
}

pub fn cookie() -> BrowserCookie {
    BrowserCookie::mint(&SystemEntropy)
}

pub fn octocat() -> GitHubAccount {
    GitHubAccount { id: 583_231, login: "octocat".to_owned() }
}

/// A flow of `principal` that has come so far.
pub fn flow_in(phase: Phase, principal: Option<PrincipalId>, created_at: Timestamp) -> Flow {
    Flow {
        id: FlowId::mint(&SystemEntropy),
        principal,
        purpose: FlowPurpose::Link,
        user: UserId::mint(&SystemEntropy),
        former_users: Vec::new(),
        client: ClientName::default(),
        asked_by: None,
        created_at,
        phase,
    }
}
