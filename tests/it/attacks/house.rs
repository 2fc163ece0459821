//! One server in one mode, and what people and programs do there, told the same way for every mode.
//!
//! An attack is played between two honest runs: [`stage`] sees to it, so that none can pass because
//! nothing works, and none can leave something broken behind.

use std::{collections::BTreeSet, sync::LazyLock, time::Duration};

use serde_json::json;
use tokio::sync::OnceCell;
use url::Url;

use crate::{
    fakes::{Browser, Page, TokenStorage, World},
    oauth::{
        SECRET,
        client::{OAuthClient, Tokens, tokens},
    },
    support::{Agent, Server},
};

/// `AUTH_MODE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Session,
    SingleUser,
    OAuth,
}

/// The story's repository, which everybody may read.
pub const BEACON: &str = "lighthouse-labs/beacon";

/// Who connects before and after each attack. Nobody attacks them, or attacks as them.
const HONEST: &str = "tomasz-k";

/// Plays an attack between two honest runs, once for each way in which Scalekit may keep tokens.
/// The calls to Scalekit are counted from the attack's beginning.
pub async fn stage(mode: Mode, storages: &[TokenStorage], attack: impl AsyncFn(&mut House)) {
    for storage in storages {
        let mut house = House::open(mode, *storage).await;
        house.honest_run().await;
        house.server.world.scalekit.clear_calls();
        attack(&mut house).await;
        house.honest_run().await;
    }
}

pub struct House {
    pub server: Server,
    pub mode: Mode,
}

impl House {
    pub async fn open(mode: Mode, storage: TokenStorage) -> Self {
        let world = World::builder().token_storage(storage).hosts("scalekit.test", "github.test");
        let builder = Server::builder().world(world).set("SESSION_SECRET", SECRET);
        let builder = match mode {
            Mode::Session => builder.set("AUTH_MODE", "session"),
            Mode::SingleUser => builder.set("AUTH_MODE", "single-user"),
            Mode::OAuth => builder.set("AUTH_MODE", "oauth"),
        };
        Self { server: builder.start().await, mode }
    }

    pub fn is_oauth(&self) -> bool {
        self.mode == Mode::OAuth
    }

    pub fn url(&self, path: &str) -> String {
        self.server.url(path)
    }

    /// `127.0.0.1:port`.
    pub fn authority(&self) -> String {
        self.server.origin().trim_start_matches("http://").to_owned()
    }

    /// A program that wants to be connected and is not yet.
    pub async fn asks(&self) -> Asking {
        self.asks_as("Test Agent").await
    }

    /// The same, by the name that it claims to have.
    pub async fn asks_as(&self, name: &str) -> Asking {
        let way = match self.mode {
            Mode::OAuth => {
                let client = Box::new(OAuthClient::discover_as(&self.server, name).await);
                Way::Trip(client, OnceCell::new())
            }
            _ => Way::Link(self.agent_as(name).await),
        };
        Asking { way }
    }

    /// A session of a loopback mode.
    pub async fn agent(&self) -> Agent {
        self.agent_as("Test Agent").await
    }

    async fn agent_as(&self, name: &str) -> Agent {
        let key = (self.mode == Mode::SingleUser).then(|| self.server.local_key());
        Agent::legacy_with(&self.url("/mcp"), key, name).await
    }

    /// A person with a browser of their own, connected.
    pub async fn resident(&self, login: &str) -> Resident {
        let (browser, asking) = (Browser::new(), self.asks().await);
        asking.approve(&browser, login).await;
        let agent = asking.agent().await.expect("the honest way works");
        assert_eq!(login_of(&agent).await.as_deref(), Some(login));
        Resident { browser, agent, asking }
    }

    /// Every kind of link that a program can be given here, with the account that belongs to it:
    /// one of somebody new, and in `oauth` mode also a repair.
    pub async fn links(&self) -> Vec<(Asking, &'static str)> {
        let mut links = vec![(self.asks().await, "octocat")];
        if self.is_oauth() {
            links.push((self.resident("mira-holm").await.repair(), "mira-holm"));
        }
        links
    }

    /// How often Scalekit was asked to verify somebody.
    pub fn verified(&self) -> usize {
        self.server.world.scalekit.verify_calls().len()
    }

    /// The identifiers of all accounts at Scalekit.
    pub fn accounts(&self) -> BTreeSet<String> {
        let accounts = self.server.world.scalekit.accounts();
        accounts.into_iter().map(|account| account.identifier).collect()
    }

    /// Until Scalekit holds no other accounts than these.
    pub async fn until_no_more_than(&self, accounts: &BTreeSet<String>) {
        until("accounts stay behind", || self.accounts().is_subset(accounts)).await;
    }

    /// Somebody who minds their own business connects, summarizes and disconnects.
    pub async fn honest_run(&self) {
        let before = self.accounts();
        let Resident { agent, .. } = self.resident(HONEST).await;
        let answer = agent.call("summarize_prs", json!({ "repository": BEACON, "limit": 1 })).await;
        assert!(!answer.is_error, "{}", answer.text);
        assert_eq!(answer.data["pull_requests"][0]["number"], 431);
        agent.call("disconnect_github", json!({})).await;
        self.until_no_more_than(&before).await;
    }
}

/// A person whose program is connected.
pub struct Resident {
    pub browser: Browser,
    pub agent: Agent,
    pub asking: Asking,
}

impl Resident {
    pub async fn login(&self) -> Option<String> {
        login_of(&self.agent).await
    }

    /// The client of `oauth` mode.
    pub fn client(&self) -> &OAuthClient {
        self.asking.client()
    }

    pub fn tokens(&self) -> &Tokens {
        self.asking.tokens().expect("a mode with tokens, which came before the agent")
    }

    /// Asks for a link with which the connection may be made again.
    pub fn repair(self) -> Asking {
        Asking { way: Way::Link(self.agent) }
    }
}

/// A program that asks a person to connect it: with a link of ours, or by a trip through
/// `/authorize`.
pub struct Asking {
    way: Way,
}

enum Way {
    Link(Agent),
    Trip(Box<OAuthClient>, OnceCell<Tokens>),
}

impl Asking {
    pub fn client(&self) -> &OAuthClient {
        match &self.way {
            Way::Trip(client, _) => client,
            Way::Link(_) => panic!("no OAuth client in this mode"),
        }
    }

    /// What the person opens first.
    pub async fn link(&self) -> String {
        match &self.way {
            Way::Link(agent) => {
                let answer = agent.call("connect_github", json!({ "reconnect": true })).await;
                assert_eq!(answer.status(), "authorization_required", "{}", answer.text);
                answer.link()
            }
            Way::Trip(client, _) => client.authorize_url(),
        }
    }

    /// As far as GitHub's consent page.
    pub async fn to_github(&self, browser: &Browser) -> Page {
        let page = match &self.way {
            Way::Link(_) => browser.to_consent(self.link().await).await,
            Way::Trip(client, _) => client.to_github(browser).await,
        };
        assert!(page.url.as_str().contains("/login/oauth/authorize"), "{page:?}");
        page
    }

    /// The whole way. Where the browser ends up.
    pub async fn approve(&self, browser: &Browser, login: &str) -> Page {
        let consent = self.to_github(browser).await;
        browser.press(&consent, &format!("Authorize as {login}")).await
    }

    /// As far as GitHub, where the person says no.
    pub async fn decline(&self, browser: &Browser) -> Page {
        let consent = self.to_github(browser).await;
        browser.press(&consent, "Cancel").await
    }

    /// The address with which the browser would come back to us, not opened.
    pub async fn callback(&self, browser: &Browser, login: &str) -> String {
        let consent = self.to_github(browser).await;
        unopened_callback(browser, &consent, login).await
    }

    /// What the program acts with, if it was connected.
    pub async fn agent(&self) -> Option<Agent> {
        match &self.way {
            Way::Link(agent) => Some(agent.again()),
            Way::Trip(client, kept) => {
                let wanted = async {
                    let arrived = client.arrived();
                    let code = arrived.iter().find_map(|query| {
                        url::form_urlencoded::parse(query.as_bytes())
                            .find(|(name, _)| name == "code")
                            .map(|(_, code)| code.into_owned())
                    });
                    Ok(tokens(client.redeem(&code.ok_or(())?).await).await)
                };
                let tokens: Result<_, ()> = kept.get_or_try_init(|| wanted).await;
                match tokens {
                    Ok(tokens) => Some(client.agent(tokens).await),
                    Err(()) => None,
                }
            }
        }
    }

    /// The tokens that a trip has brought.
    pub fn tokens(&self) -> Option<&Tokens> {
        match &self.way {
            Way::Trip(_, tokens) => tokens.get(),
            Way::Link(_) => None,
        }
    }

    /// With whose account the program can read now.
    pub async fn login(&self) -> Option<String> {
        login_of(&self.agent().await?).await
    }
}

pub async fn login_of(agent: &Agent) -> Option<String> {
    let answer = agent.call("auth_status", json!({})).await;
    answer.data["github_login"].as_str().map(str::to_owned)
}

/// Consents at GitHub; the address with which the browser would come back to us, not opened.
async fn unopened_callback(browser: &Browser, consent: &Page, login: &str) -> String {
    let callback = possible_callback(browser, consent, login).await;
    callback.expect("Scalekit sends the browser back")
}

/// The same, if Scalekit sends the browser back at all.
pub async fn possible_callback(browser: &Browser, consent: &Page, login: &str) -> Option<String> {
    browser.stop_before(Some("http://127.0.0.1"));
    let page = browser.press(consent, &format!("Authorize as {login}")).await;
    browser.stop_before(None);
    (page.url.path() == "/user/verify").then(|| page.url.into())
}

/// The address with which the browser came back to us.
pub fn came_back(page: &Page) -> String {
    let hop = page.chain.iter().find(|hop| hop.url.path() == "/user/verify");
    hop.expect("the browser came back").url.to_string()
}

/// A parameter of an address.
pub fn parameter(url: &str, name: &str) -> String {
    let url = Url::parse(url).unwrap();
    let found = url.query_pairs().find(|(n, _)| n == name).expect("the parameter");
    found.1.into_owned()
}

/// The address with another value of this parameter.
pub fn with_parameter(url: &str, name: &str, value: &str) -> String {
    let mut url = Url::parse(url).unwrap();
    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    url.query_pairs_mut().clear().extend_pairs(
        pairs.iter().map(|(n, v)| (n.as_str(), if n == name { value } else { v.as_str() })),
    );
    url.into()
}

/// Refused, and for the caller's own fault.
pub fn assert_refused(page: &Page) {
    assert!((400..500).contains(&page.status), "{page:?}");
}

/// A client that follows nothing.
pub fn http() -> reqwest::Client {
    // Made once, because that is slow; shared by tests whose runtimes end, so it keeps nothing open.
    static CLIENT: LazyLock<reqwest::Client> = LazyLock::new(|| {
        let client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0);
        client.redirect(reqwest::redirect::Policy::none()).build().unwrap()
    });
    CLIENT.clone()
}

/// Until it is so; what happens in the background has no other sign.
pub async fn until(otherwise: &str, is_so: impl Fn() -> bool) {
    for _ in 0..1_000 {
        if is_so() {
            return;
        }
        let pause = tokio::time::timeout(Duration::from_millis(10), std::future::pending::<()>());
        pause.await.unwrap_err();
    }
    panic!("{otherwise}");
}
