//! Linking on a store that fails at each of its writes in turn. Whatever was left half done, no
//! account is lost: Scalekit holds those that somebody is connected with, and in the end no other.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use chrono::TimeDelta;
use pr_summarizer::{
    domain::{
        AuthMode, Clock as _, Entropy, Failure, FailureCode, ManualClock, PrincipalId, Secret,
        SystemClock, SystemEntropy,
    },
    identity::{
        AccountLinking, BrowserCookie, ClientName, Keyring, LinkingSettings, Person, Principal,
        Register, Sweeper,
        linking::{Accounts, AuthorizationStep, Callback, Status},
    },
    oauth::{
        self, AuthorizationServer, ClientDocuments, Clients, Codes, Endpoints, Grants,
        RedirectPolicy,
    },
    store::Store,
    upstream::{
        Call,
        scalekit::{Scalekit, ScalekitSettings},
        transport::{Transport, TransportSettings},
    },
};
use url::Url;

use crate::{
    fakes::{Browser, FakeScalekit, World},
    support::{Failing, FailingStore},
};

const ORIGIN: &str = "http://127.0.0.1:3000";

type Result<T> = std::result::Result<T, Box<Failure>>;

/// What is interrupted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    /// Somebody connects who is not known yet.
    Connect,
    /// The button is pressed twice, and the second tab is finished.
    PressTwice,
    /// Somebody who is connected connects the same account once more.
    Reconnect,
    /// Another session takes up what this browser had linked, and lets go of its own.
    UseAgain,
    Disconnect,
    /// The callback comes back in another browser.
    OtherBrowser,
    /// The same, after the connection was made.
    Undo,
    /// Everything about a person is deleted.
    Forget,
}

impl Act {
    /// Whether the principal is connected when it was done; `None`: nobody was to be connected.
    fn connects(self) -> bool {
        !matches!(self, Self::Disconnect | Self::OtherBrowser | Self::Undo | Self::Forget)
    }
}

/// The world around all rounds of one test.
struct House {
    world: World,
    clock: ManualClock,
    mode: AuthMode,
    // Made once: that is slow.
    transport: Transport,
    browser: Browser,
}

/// One person, one browser, one store; processes come and go.
struct Round<'h> {
    house: &'h House,
    store: Arc<FailingStore>,
    cookie: BrowserCookie,
    /// Known from the beginning, or once the person was identified.
    principal: Mutex<Option<Principal>>,
}

fn call() -> Call {
    Call::within(Duration::from_secs(10))
}

impl House {
    async fn open(mode: AuthMode) -> Self {
        let clock = ManualClock::new(SystemClock.now());
        let world = World::builder().clock(Arc::new(clock.clone())).start().await;
        let transport =
            Transport::new(TransportSettings::default(), Arc::new(SystemEntropy)).unwrap();
        let browser = Browser::new();
        browser.stop_before(Some(&format!("{ORIGIN}/")));
        Self { world, clock, mode, transport, browser }
    }

    fn round(&self) -> Round<'_> {
        let principal = (self.mode != AuthMode::OAuth).then(principal);
        Round {
            house: self,
            store: Arc::default(),
            cookie: BrowserCookie::mint(&SystemEntropy),
            principal: Mutex::new(principal),
        }
    }

    fn accounts(&self) -> usize {
        self.world.scalekit.accounts().len()
    }

    /// No authorization was verified twice.
    fn assert_verified_once(&self) {
        let mut times = BTreeMap::<String, usize>::new();
        for call in self.world.scalekit.verify_calls() {
            *times.entry(call.json()["auth_request_id"].to_string()).or_default() += 1;
        }
        assert!(times.values().all(|times| *times == 1), "{times:?}");
    }
}

fn keyring() -> Keyring {
    Keyring::new(Secret::from("k".repeat(32)), Vec::new())
}

fn principal() -> Principal {
    Principal { id: PrincipalId::mint(&SystemEntropy), client: ClientName::default() }
}

impl Round<'_> {
    /// A process that has just started on this store.
    fn process(&self) -> AccountLinking {
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
        let clock = Arc::new(self.house.clock.clone());
        let transport = self.house.transport.clone();
        let settings = ScalekitSettings {
            environment_url: self.house.world.scalekit.url().parse().unwrap(),
            client_id: FakeScalekit::CLIENT_ID.to_owned(),
            client_secret: Secret::from(FakeScalekit::CLIENT_SECRET.to_owned()),
            connection_name: FakeScalekit::CONNECTION_NAME.to_owned(),
        };
        let is_oauth = self.house.mode == AuthMode::OAuth;
        let register = is_oauth.then(|| Arc::new(self.grants()) as Arc<dyn Register>);
        AccountLinking::new(
            LinkingSettings { mode: self.house.mode, public_base_url: ORIGIN.parse().unwrap() },
            Accounts::Linked(Scalekit::new(settings, transport, clock.clone())),
            self.store(),
            keyring(),
            register,
            clock,
            entropy,
        )
    }

    fn principal(&self) -> Option<Principal> {
        self.principal.lock().unwrap().clone()
    }

    /// As far as Scalekit's link.
    async fn press(&self, process: &AccountLinking) -> Result<AuthorizationStep> {
        let Some(principal) = self.principal().filter(|_| self.house.mode != AuthMode::OAuth)
        else {
            let name = ClientName::default();
            return process.identify(String::new(), name, &self.cookie, &call()).await;
        };
        let Status::Pending(link) = process.begin(&principal, true, &call()).await? else {
            panic!("no link");
        };
        process.consent(&link.flow, &self.cookie, &call()).await
    }

    /// From Scalekit's link to the callback, which is not delivered.
    async fn at_github(&self, step: &AuthorizationStep) -> Callback {
        let browser = &self.house.browser;
        let consent = browser.get(&step.link).await;
        let back = browser.press(&consent, "Authorize as octocat").await;
        let read = |name: &str| {
            let mut pairs = back.url.query_pairs();
            pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
        };
        let (state, auth_request_id) = (read("state"), read("auth_request_id"));
        assert!(state.is_some() && auth_request_id.is_some(), "{back:?}");
        Callback { state, auth_request_id, error: None }
    }

    async fn deliver(&self, process: &AccountLinking, callback: &Callback) -> Result<()> {
        let completed = process.complete(callback, Some(&self.cookie), &call()).await;
        let completed = completed.map_err(|interrupted| interrupted.failure)?;
        if let Some(identified) = completed.identified {
            let id = identified.person.principal;
            *self.principal.lock().unwrap() = Some(Principal { id, client: ClientName::default() });
        }
        Ok(())
    }

    async fn connect(&self, process: &AccountLinking) -> Result<Callback> {
        let step = self.press(process).await?;
        let callback = self.at_github(&step).await;
        self.deliver(process, &callback).await?;
        Ok(callback)
    }

    /// What is there before the act; the callback that led to it.
    async fn prepare(&self, act: Act) -> Option<Callback> {
        let process = self.process();
        match act {
            Act::Connect | Act::PressTwice | Act::OtherBrowser => None,
            Act::Reconnect | Act::Disconnect | Act::Undo | Act::Forget => {
                Some(self.connect(&process).await.unwrap())
            }
            Act::UseAgain => {
                // Two sessions of one browser, each with an account of its own at Scalekit.
                self.connect(&process).await.unwrap();
                let first = self.principal.lock().unwrap().replace(principal());
                self.connect(&process).await.unwrap();
                // The first one's is the older; what the browser offers is the newer.
                *self.principal.lock().unwrap() = first;
                None
            }
        }
    }

    async fn act(&self, act: Act, before: Option<&Callback>) -> Result<()> {
        let process = self.process();
        match act {
            Act::Connect | Act::Reconnect => self.connect(&process).await.map(|_| ()),
            Act::PressTwice => {
                let principal = self.principal().unwrap();
                let Status::Pending(link) = process.begin(&principal, true, &call()).await? else {
                    panic!("no link");
                };
                let first = process.consent(&link.flow, &self.cookie, &call()).await?;
                self.at_github(&first).await;
                let second = process.consent(&link.flow, &self.cookie, &call()).await?;
                let callback = self.at_github(&second).await;
                self.deliver(&process, &callback).await
            }
            Act::UseAgain => {
                let principal = self.principal().unwrap();
                let Status::Pending(link) = process.begin(&principal, true, &call()).await? else {
                    panic!("no link");
                };
                let page = process.open(&link.flow, Some(&self.cookie)).await?;
                let account = page.known_accounts[0].id;
                process.reuse(&link.flow, &self.cookie, account).await.map(|_| ())
            }
            Act::Disconnect => process.disconnect(&self.principal().unwrap()).await,
            Act::OtherBrowser => {
                let callback = self.at_github(&self.press(&process).await?).await;
                refused_elsewhere(&process, &callback).await
            }
            Act::Undo => {
                let mut callback = before.unwrap().clone();
                callback.auth_request_id = Some("another".to_owned());
                refused_elsewhere(&process, &callback).await
            }
            Act::Forget => process.forget(&self.person().await).await,
        }
    }

    async fn person(&self) -> Person {
        let id = self.principal().unwrap().id;
        self.process().person(&id).await.unwrap().unwrap().person
    }

    /// Told, and able to read.
    async fn is_connected(&self, process: &AccountLinking) -> bool {
        let Some(principal) = self.principal() else { return false };
        let told = process.status(&principal, &call()).await.unwrap();
        if !matches!(told, Status::Connected(_)) {
            return false;
        }
        let own = process.github(&principal, &call()).await.unwrap();
        let viewer = own.github.viewer(&call()).await;
        assert_eq!(viewer.expect("what is said to be connected works").login, "octocat");
        true
    }

    async fn sweep(&self) {
        let sweeper = Sweeper::new(self.process());
        for _ in 0..2 {
            sweeper.sweep().await.unwrap();
        }
    }

    async fn holds(&self, kind: &'static str) -> usize {
        self.store.kept(kind).await.len()
    }

    fn store(&self) -> Store {
        Store::new(self.store.clone(), Arc::new(self.house.clock.clone()))
    }

    /// The authorization server of `oauth` mode on the same store.
    fn authorization(&self) -> AuthorizationServer {
        let (clock, entropy) = (Arc::new(self.house.clock.clone()), Arc::new(SystemEntropy));
        let origin: Url = ORIGIN.parse().unwrap();
        let endpoints = Endpoints::new(&origin, false);
        let documents = ClientDocuments::new(&[], clock.clone(), entropy.clone()).unwrap();
        let clients = Clients::new(
            keyring(),
            endpoints.issuer(),
            RedirectPolicy::new(&[], origin),
            documents.unwrap(),
            clock.clone(),
            entropy.clone(),
        );
        let codes = Codes::new(self.store(), self.grants(), clock, entropy);
        AuthorizationServer::new(endpoints, clients, codes, self.grants())
    }

    fn grants(&self) -> Grants {
        let clock = Arc::new(self.house.clock.clone());
        Grants::new(self.store(), clock, Arc::new(SystemEntropy))
    }

    /// The process has started anew, and in time all is as it should be.
    async fn assert_nothing_lost(&self, act: Act, done: &Result<()>) {
        let process = self.process();
        if done.is_ok() {
            assert_eq!(self.is_connected(&process).await, act.connects(), "acknowledged");
        }
        let others = usize::from(act == Act::UseAgain);
        self.house.clock.advance(TimeDelta::minutes(31));
        self.sweep().await;
        let connected = usize::from(self.is_connected(&process).await);
        if done.is_ok() {
            assert_eq!(connected == 1, act.connects(), "acknowledged");
        }
        // Who a trip that failed was of is known when they come again.
        if act != Act::UseAgain && self.principal().is_some() {
            assert_eq!(self.house.accounts(), connected, "accounts at Scalekit");
            assert_eq!(self.holds("connection").await, connected, "connections");
        }
        // The way out.
        self.connect(&process).await.unwrap();
        self.sweep().await;
        assert!(self.is_connected(&process).await);
        assert_eq!(self.house.accounts(), 1 + others, "accounts at Scalekit");
        assert_eq!(self.holds("connection").await, 1 + others, "connections");
        process.disconnect(&self.principal().unwrap()).await.unwrap();
        if others > 0 {
            process.disconnect_here(&self.cookie, 583_231).await.unwrap();
        }
        self.sweep().await;
        self.house.clock.advance(TimeDelta::minutes(31));
        self.sweep().await;
        assert_eq!(self.house.accounts(), 0, "accounts at Scalekit");
        for kind in ["connection", "deletion", "flow", "state"] {
            assert_eq!(self.holds(kind).await, 0, "{kind}");
        }
        if self.house.mode == AuthMode::OAuth {
            self.house.clock.advance(TimeDelta::days(31));
            let sweeper = oauth::Sweeper::new(self.authorization(), process);
            sweeper.sweep().await.unwrap();
            for kind in ["person", "principal", "oauth-person"] {
                assert_eq!(self.holds(kind).await, 0, "{kind}");
            }
        }
        self.house.assert_verified_once();
        self.house.world.scalekit.clear_calls();
    }
}

/// Delivers the callback in a browser that never was here. Told so, or not told at all.
async fn refused_elsewhere(process: &AccountLinking, callback: &Callback) -> Result<()> {
    let stranger = BrowserCookie::mint(&SystemEntropy);
    let refused = process.complete(callback, Some(&stranger), &call()).await.unwrap_err();
    match refused.failure.code {
        FailureCode::BrowserMismatch => Ok(()),
        _ => Err(refused.failure),
    }
}

/// Lets the first write of `act` fail, then the second, and so on until there are no more.
async fn at_every_write(mode: AuthMode, act: Act) {
    let house = House::open(mode).await;
    let mut writes = Vec::new();
    for failing in [Failing::OneWrite, Failing::FromThereOn] {
        for number in 0.. {
            let round = house.round();
            let before = round.prepare(act).await;
            round.store.fail_after(number, failing);
            let person = if act == Act::Forget { Some(round.person().await) } else { None };
            let done = round.act(act, before.as_ref()).await;
            let has_failed = round.store.mend();
            if let Some(person) = person.filter(|_| done.is_err()) {
                // Whoever is told that it failed tries again.
                round.process().forget(&person).await.unwrap();
            }
            println!("{act:?}, {failing:?}, write {number}: {}", done.is_ok());
            round.assert_nothing_lost(act, &done).await;
            if !has_failed {
                done.unwrap();
                writes.push(number);
                break;
            }
        }
    }
    assert!(writes.iter().all(|writes| *writes >= 3), "{writes:?}");
}

/// What would have gone on may be long, and is gone with the trip.
#[tokio::test]
async fn a_burned_trip_keeps_no_word_of_its_request() {
    let house = House::open(AuthMode::OAuth).await;
    let round = house.round();
    let process = round.process();
    let (request, name) = ("canary".to_owned(), ClientName::default());
    let step = process.identify(request, name, &round.cookie, &call()).await.unwrap();
    let kept = async || round.store.kept("flow").await.concat();
    assert!(kept().await.contains("canary"));
    let callback = round.at_github(&step).await;
    refused_elsewhere(&process, &callback).await.unwrap();
    assert!(kept().await.contains("Burned") && !kept().await.contains("canary"));
}

macro_rules! interrupted {
    ($($name:ident $mode:ident $act:ident)*) => {$(
        #[tokio::test]
        async fn $name() {
            at_every_write(AuthMode::$mode, Act::$act).await;
        }
    )*};
}

interrupted! {
    connecting Session Connect
    connecting_as_a_stranger OAuth Connect
    pressing_twice Session PressTwice
    reconnecting Session Reconnect
    reconnecting_by_a_trip OAuth Reconnect
    using_an_account_again Session UseAgain
    disconnecting Session Disconnect
    disconnecting_a_person OAuth Disconnect
    coming_back_elsewhere Session OtherBrowser
    coming_back_elsewhere_from_a_trip OAuth OtherBrowser
    undoing Session Undo
    undoing_a_trip OAuth Undo
    forgetting OAuth Forget
}
