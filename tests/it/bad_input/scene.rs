//! One server in one mode: somebody whose requests are spoiled, and others who must not notice.

use serde_json::{Value, json};

use super::{judge::Judge, wire::Request};
use crate::{
    attacks::house::{House, Mode, Resident, parameter},
    fakes::{Browser, FakeLlm, FakeScalekit, Page, TokenStorage},
    oauth::{
        SECRET,
        client::{VERIFIER, tokens},
    },
};

/// How a browser asks for a page.
const PAGE: &str = "text/html,application/xhtml+xml,*/*;q=0.8";
const METRICS_TOKEN: &str = "a-token-for-monitoring-of-32-characters";
const COOKIE: &str = "__Host-prs-browser";
/// How often one flow's button may be pressed, with some in reserve.
const PRESSES: u8 = 4;

pub struct Scene {
    pub house: House,
    pub own: Own,
    others: Others,
    pub judge: Judge,
}

/// All that is needed to ask rightly, and so to ask wrongly too.
pub struct Own {
    pub resident: Resident,
    pub cookie: String,
    pub session: String,
    /// The access token or the local key.
    pub key: Option<String>,
    /// The last segment of a link that may be opened, how often its button was pressed, and what
    /// goes into its form.
    flow: String,
    flow_csrf: String,
    presses: u8,
    /// What comes back from Scalekit for a connection that is under way.
    callback: Option<(String, String)>,
    /// `/authorize?` what, and what goes into its form.
    request: String,
    request_csrf: String,
    page_csrf: String,
    person_csrf: String,
    person_account: String,
    connected_csrf: String,
    code: String,
    refresh: String,
}

/// They began before and go on after; nothing of theirs is used in between.
struct Others {
    resident: Resident,
    /// At GitHub, about to consent.
    under_way: (Browser, crate::attacks::house::Asking, Page),
    /// A link that was given and not opened.
    link: Option<String>,
    /// A code that was brought and not redeemed, with the client that it was brought to.
    code: Option<(Resident, String)>,
}

impl Scene {
    pub async fn open(mode: Mode) -> Self {
        let mut house = House::open(mode, TokenStorage::PerRequest).await;
        house.server.set("METRICS_TOKEN", METRICS_TOKEN);
        house.server.restart().await;
        // One machine is one person.
        let of = |login: &'static str| if mode == Mode::SingleUser { "octocat" } else { login };
        let others = Others::begin(&house, of("octocat"), of("mira-holm")).await;
        let own = Own::begin(&house, of("tomasz-k")).await;
        let judge = Judge::new(&house, &own, others.canaries(&house));
        Self { house, own, others, judge }
    }

    /// A request that is as it should be, by its name in the table.
    pub fn good(&self, name: &str) -> Request {
        self.own.good(name, &self.house)
    }

    /// The same, with everything in it that works once.
    pub async fn fresh(&mut self, name: &str) -> Request {
        self.own.renew(name).await;
        self.good(name)
    }

    /// What was under way before goes on, and who was signed in still is.
    pub async fn others_go_on(self) {
        let Self { house, others, own, .. } = self;
        let Others { resident, under_way: (browser, asking, consent), link, code } = others;
        assert_eq!(resident.login().await.as_deref(), Some("octocat"), "signed in as before");
        // One machine is one person, whose latest browser it is.
        if house.mode != Mode::SingleUser {
            let shown = if house.is_oauth() { "/" } else { "/connected" };
            assert!(resident.browser.get(house.url(shown)).await.says("@octocat"));
        }
        let other = if house.mode == Mode::SingleUser { "octocat" } else { "mira-holm" };
        let page = browser.press(&consent, &format!("Authorize as {other}")).await;
        assert_eq!(asking.login().await.as_deref(), Some(other), "{page:?}");
        if let Some((known, code)) = code {
            let tokens = tokens(known.client().redeem(&code).await).await;
            assert!(known.client().is_admitted(&tokens.access).await);
        }
        if let Some(link) = link {
            let page = resident.browser.approve(&link, "octocat").await;
            assert!(page.says("Connected as @octocat"), "{page:?}");
        }
        assert_eq!(resident.login().await.as_deref(), Some("octocat"));
        drop(own);
    }
}

impl Others {
    async fn begin(house: &House, login: &str, other: &str) -> Self {
        let resident = house.resident(login).await;
        let (browser, asking) = (Browser::new(), house.asks().await);
        let consent = asking.to_github(&browser).await;
        assert!(consent.form_with(&format!("Authorize as {other}")).is_some());
        let link = if house.mode == Mode::SingleUser {
            None
        } else {
            let agent = resident.agent.again();
            Some(agent.call("connect_github", json!({ "reconnect": true })).await.link())
        };
        let code = if house.is_oauth() {
            let known = house.resident(login).await;
            let code = brought(&known).await;
            Some((known, code))
        } else {
            None
        };
        Self { resident, under_way: (browser, asking, consent), link, code }
    }

    /// What nobody else may ever read.
    fn canaries(&self, house: &House) -> Vec<String> {
        let mut canaries: Vec<String> =
            [SECRET, METRICS_TOKEN, FakeScalekit::CLIENT_SECRET, FakeLlm::API_KEY]
                .map(str::to_owned)
                .into();
        canaries.push(self.resident.agent.session().to_owned());
        for browser in [&self.resident.browser, &self.under_way.0] {
            canaries.push(cookie_of(browser));
        }
        canaries.extend(self.link.as_deref().and_then(|l| l.rsplit('/').next()).map(str::to_owned));
        if house.is_oauth() {
            let tokens = self.resident.tokens();
            canaries.extend([tokens.access.clone(), tokens.refresh.clone()]);
        }
        canaries.extend(self.code.as_ref().map(|(_, code)| code.clone()));
        if house.mode == Mode::SingleUser {
            canaries.push(house.server.local_key());
        }
        canaries
    }
}

fn cookie_of(browser: &Browser) -> String {
    let cookie = browser.jar(|jar| jar.get("127.0.0.1", COOKIE).map(|c| c.value().to_owned()));
    cookie.expect("a browser that pressed a button has our cookie")
}

fn field(page: &Page, name: &str) -> String {
    let mut fields = page.forms.iter().flat_map(|form| &form.fields);
    let found = fields.find(|(n, _)| n == name);
    found.unwrap_or_else(|| panic!("no field {name}: {page:?}")).1.clone()
}

/// The token of the form that also has this field.
fn beside(page: &Page, name: &str) -> String {
    let form = page.forms.iter().find(|form| form.fields.iter().any(|(n, _)| n == name));
    let form = form.unwrap_or_else(|| panic!("no form {name}: {page:?}"));
    form.fields.iter().find(|(n, _)| n == "csrf").expect("a token").1.clone()
}

/// A code that the browser has just brought to this person's client.
async fn brought(resident: &Resident) -> String {
    let page = resident.browser.get(resident.client().authorize_url()).await;
    let button = page.form_with("Allow as @").map(|(_, button)| button.text.clone());
    let page = resident.browser.press(&page, &button.expect("they are signed in")).await;
    resident.client().code(&page)
}

impl Own {
    async fn begin(house: &House, login: &str) -> Self {
        let resident = house.resident(login).await;
        let key = match house.mode {
            Mode::Session => None,
            Mode::SingleUser => Some(house.server.local_key()),
            Mode::OAuth => Some(resident.tokens().access.clone()),
        };
        let mut own = Self {
            cookie: cookie_of(&resident.browser),
            session: resident.agent.session().to_owned(),
            key,
            flow: String::new(),
            flow_csrf: String::new(),
            presses: PRESSES,
            callback: None,
            request: String::new(),
            request_csrf: String::new(),
            page_csrf: String::new(),
            person_csrf: String::new(),
            person_account: String::new(),
            connected_csrf: String::new(),
            code: "x".repeat(43),
            refresh: "x".repeat(43),
            resident,
        };
        own.open_page(house).await;
        let page = own.resident.browser.get(house.url("/connected")).await;
        own.connected_csrf = field(&page, "csrf");
        own.renew("POST /connect/{flow}").await;
        if house.is_oauth() {
            let url = own.resident.client().authorize_url();
            let page = own.resident.browser.get(&url).await;
            own.request = field(&page, "request");
            own.request_csrf = field(&page, "csrf");
            let page = own.resident.browser.get(house.url("/")).await;
            own.person_csrf = beside(&page, "grant");
            own.person_account = field(&page, "account");
            // Not of the grant whose access token is used.
            own.renew("POST /token refresh").await;
        }
        own
    }

    /// The page of this browser may ask.
    async fn open_page(&mut self, house: &House) {
        let browser = &self.resident.browser;
        let mut page = browser.get(house.url("/")).await;
        match house.mode {
            Mode::OAuth => {}
            Mode::Session => {
                let link = browser.press(&page, "Connect GitHub").await;
                let (_, button) = link.form_with("Use @").expect("connected before");
                browser.press(&link, &button.text).await;
                page = browser.get(house.url("/")).await;
            }
            Mode::SingleUser => {
                let key = self.key.clone().unwrap();
                page = browser.press_with(&page, "Open this page", &[("key", &key)]).await;
                // A new cookie, from which nothing was connected yet.
                self.cookie = cookie_of(browser);
                let asked = json!({ "reconnect": true });
                let link = self.resident.agent.call("connect_github", asked).await.link();
                browser.approve(link, "octocat").await;
            }
        }
        self.page_csrf = beside(&page, "repository");
    }

    async fn renew(&mut self, name: &str) {
        match name {
            "POST /connect/{flow}" if self.presses < PRESSES => self.presses += 1,
            "POST /connect/{flow}" => {
                let agent = self.resident.agent.again();
                let link = agent.call("connect_github", json!({ "reconnect": true })).await.link();
                self.flow_csrf = field(&self.resident.browser.get(&link).await, "csrf");
                link.rsplit('/').next().unwrap().clone_into(&mut self.flow);
                self.presses = 1;
            }
            "GET /user/verify" => {
                let login = self.resident.login().await.expect("connected");
                let Resident { browser, asking, .. } = &self.resident;
                let callback = asking.callback(browser, &login).await;
                let [state, authorization] =
                    ["state", "auth_request_id"].map(|name| parameter(&callback, name));
                self.callback = Some((state, authorization));
                // Pressing may have given the browser its cookie anew.
                self.cookie = cookie_of(&self.resident.browser);
            }
            "POST /token code" => self.code = brought(&self.resident).await,
            "POST /token refresh" => {
                let code = brought(&self.resident).await;
                self.refresh = tokens(self.resident.client().redeem(&code).await).await.refresh;
            }
            _ => {}
        }
    }

    fn good(&self, name: &str, house: &House) -> Request {
        let (method, rest) = name.split_once(' ').unwrap();
        let path = rest.split(' ').next().unwrap().replace("{flow}", &self.flow);
        let cookie = format!("{COOKIE}={}", self.cookie);
        let request = Request::new(method, &path);
        let page = |request: Request| request.header("accept", PAGE).header("cookie", &cookie);
        let form = |request: Request, fields: &[(&str, &str)]| {
            let request = page(request).header("origin", &house.server.origin());
            request.header("sec-fetch-site", "same-origin").form(fields)
        };
        let client = house.is_oauth().then(|| self.resident.client());
        let id = client.map_or("", |client| client.id.as_str());
        let redirect = client.map_or("", |client| client.redirect.as_str());
        let resource = house.url("/mcp");
        match name {
            "GET /connect/{flow}" | "GET /connected" => page(request),
            "POST /connect/{flow}" => form(request, &[("csrf", &self.flow_csrf)]),
            "GET /user/verify" => {
                let (state, authorization) = self.callback.clone().unwrap_or_default();
                let query = [("state", state.as_str()), ("auth_request_id", &authorization)];
                page(request.query(&query))
                    .header("sec-fetch-mode", "navigate")
                    .header("sec-fetch-dest", "document")
            }
            // Not an account of this browser: nothing happens.
            "POST /connected" => form(request, &[("csrf", &self.connected_csrf), ("account", "1")]),
            "POST /digest" | "POST /page" | "POST /standing" => form(request, &self.on_page(&path)),
            "GET /" => page(request.query(&[("done", "revoke")])),
            // Not a grant of this person: nothing happens.
            "POST /person" => {
                let grant = "0".repeat(64);
                let fields = [
                    ("csrf", self.person_csrf.as_str()),
                    ("account", &self.person_account),
                    ("action", "revoke"),
                    ("grant", &grant),
                ];
                form(request, &fields)
            }
            "GET /authorize" => {
                let parsed = url::form_urlencoded::parse(self.request.as_bytes());
                let parsed: Vec<_> = parsed.into_owned().collect();
                let query: Vec<_> = parsed.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
                page(request.query(&query))
            }
            "POST /authorize" => {
                let fields = [
                    ("request", self.request.as_str()),
                    ("csrf", &self.request_csrf),
                    ("decision", "decline"),
                ];
                form(request, &fields)
            }
            "POST /token code" => request.header("accept", "application/json").form(&[
                ("grant_type", "authorization_code"),
                ("code", &self.code),
                ("client_id", id),
                ("redirect_uri", redirect),
                ("code_verifier", VERIFIER),
                ("resource", &resource),
            ]),
            "POST /token refresh" => request.header("accept", "application/json").form(&[
                ("grant_type", "refresh_token"),
                ("refresh_token", &self.refresh),
                ("client_id", id),
                ("scope", "pull_requests"),
                ("resource", &resource),
            ]),
            // Not a token: nothing happens.
            "POST /revoke" => request.form(&[
                ("token", "none"),
                ("token_type_hint", "refresh_token"),
                ("client_id", id),
            ]),
            "POST /register" => request.json(json!({
                "client_name": "Test",
                "redirect_uris": [redirect],
                "grant_types": ["authorization_code", "refresh_token"],
                "response_types": ["code"],
                "token_endpoint_auth_method": "none",
                "scope": "pull_requests",
                "client_uri": "https://client.example",
            })),
            "GET /metrics" => request.header("authorization", &format!("Bearer {METRICS_TOKEN}")),
            "POST /mcp" => self.rpc("tools/list", &json!({})),
            // Not a session: nothing ends.
            "DELETE /mcp" => {
                let request = self.entering(request);
                request.header("mcp-session-id", &"x".repeat(43))
            }
            _ => request,
        }
    }

    /// What the forms of the page that asks say.
    fn on_page(&self, path: &str) -> Vec<(&str, &str)> {
        // As whom it is read, where there is more than one person.
        let account = Some(&self.person_account).filter(|account| !account.is_empty());
        let mut fields = vec![("csrf", self.page_csrf.as_str())];
        fields.extend(account.map(|account| ("account", account.as_str())));
        fields.extend_from_slice(match path {
            "/digest" => &[
                ("repository", "lighthouse-labs/beacon"),
                ("limit", "1"),
                ("order", "newest"),
                ("exclude_drafts", "true"),
                ("exclude_bots", "true"),
            ],
            // It is connected already: nothing happens.
            "/page" => &[("action", "connect"), ("key", "none")],
            _ => &[],
        });
        fields
    }

    fn entering(&self, request: Request) -> Request {
        match &self.key {
            Some(key) => request.header("authorization", &format!("Bearer {key}")),
            None => request,
        }
    }

    /// A message within the session.
    pub fn rpc(&self, method: &str, params: &Value) -> Request {
        let message = json!({ "jsonrpc": "2.0", "id": "1", "method": method, "params": params });
        self.message(message)
            .header("mcp-session-id", &self.session)
            .header("mcp-protocol-version", "2025-11-25")
    }

    /// A message of the era without sessions.
    pub fn modern(&self, method: &str, mut params: Value) -> Request {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": { "name": "Test", "version": "1" },
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let name = params["name"].as_str().map(str::to_owned);
        let message = json!({ "jsonrpc": "2.0", "id": "1", "method": method, "params": params });
        let request = self.message(message).header("mcp-protocol-version", "2026-07-28");
        let request = request.header("mcp-method", method);
        match name {
            Some(name) => request.header("mcp-name", &name),
            None => request,
        }
    }

    /// Any message.
    pub fn message(&self, message: Value) -> Request {
        self.entering(Request::new("POST", "/mcp"))
            .header("accept", "application/json, text/event-stream")
            .json(message)
    }

    /// Where the client's answers go.
    pub fn redirect(&self, house: &House) -> Option<String> {
        house.is_oauth().then(|| self.resident.client().redirect.clone())
    }
}
