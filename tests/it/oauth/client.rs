//! An MCP client's OAuth in plain HTTP: discovery, registration, PKCE, tokens. What the standards
//! leave to the client is asserted on the way, so that every test is also one of the protocol.

use std::sync::{Arc, Mutex};

use axum::{Router, extract::RawQuery, response::Html, routing::get};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use reqwest::{Response, header};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::{net::TcpListener, task::JoinHandle};
use url::{Url, form_urlencoded::Serializer};

use crate::{
    fakes::{Browser, Page, canaries},
    support::{Agent, Server},
};

pub const VERIFIER: &str = "a-verifier-of-at-least-forty-three-characters-0";
pub const STATE: &str = "the-clients-own-state";

/// A client that has registered, with an address on loopback where codes arrive.
pub struct OAuthClient {
    pub http: reqwest::Client,
    pub id: String,
    pub redirect: String,
    pub metadata: Value,
    mcp: String,
    arrived: Arc<Mutex<Vec<String>>>,
    listening: JoinHandle<()>,
}

/// What the token endpoint gave.
#[derive(Debug, Clone)]
pub struct Tokens {
    pub access: String,
    pub refresh: String,
}

impl OAuthClient {
    /// From nothing but the address of `/mcp` to a registration.
    pub async fn discover(server: &Server) -> Self {
        Self::discover_as(server, "Test Client").await
    }

    pub async fn discover_as(server: &Server, name: &str) -> Self {
        Self::discover_with(&server.origin(), name, None).await
    }

    pub async fn discover_at(origin: &str) -> Self {
        Self::discover_as_at(origin, "Test Client").await
    }

    pub async fn discover_as_at(origin: &str, name: &str) -> Self {
        Self::discover_with(origin, name, None).await
    }

    /// A client whose codes go to a fixed address, or to a scheme of its own.
    pub async fn discover_for(server: &Server, redirect: &str) -> Self {
        Self::discover_with(&server.origin(), "Test Client", Some(redirect)).await
    }

    async fn discover_with(origin: &str, name: &str, fixed: Option<&str>) -> Self {
        // A connection is never used again, so that a balancer may choose each time.
        let http = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().unwrap();
        let mcp = format!("{origin}/mcp");
        let refused = http.post(&mcp).json(&json!({})).send().await.unwrap();
        assert_eq!(refused.status(), 401);
        let challenge = refused.headers()[header::WWW_AUTHENTICATE].to_str().unwrap().to_owned();
        let (_, rest) = challenge.split_once("resource_metadata=\"").expect("where to ask");
        let resource = json_at(&http, rest.split('"').next().unwrap()).await;
        assert_eq!(resource["resource"], mcp);
        let issuer = resource["authorization_servers"][0].as_str().unwrap().to_owned();
        let well_known = "/.well-known/oauth-authorization-server";
        let metadata =
            json_at(&http, &format!("{}{well_known}", issuer.trim_end_matches('/'))).await;
        assert_eq!(metadata["issuer"], issuer);
        assert_eq!(metadata["code_challenge_methods_supported"], json!(["S256"]));
        let (own, arrived, listening) = listen().await;
        let redirect = fixed.map_or(own, str::to_owned);
        let wanted = json!({
            "client_name": name,
            "redirect_uris": [redirect],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
        });
        let endpoint = metadata["registration_endpoint"].as_str().unwrap();
        let registered = http.post(endpoint).json(&wanted).send().await.unwrap();
        assert_eq!(registered.status(), 201);
        let registered: Value = registered.json().await.unwrap();
        let id = registered["client_id"].as_str().unwrap().to_owned();
        Self { http, id, redirect, metadata, mcp, arrived, listening }
    }

    /// The address to which the person's browser is sent.
    pub fn authorize_url(&self) -> String {
        self.authorize_url_with(&[])
    }

    /// The same with other parameters; an empty value leaves one out.
    pub fn authorize_url_with(&self, changes: &[(&str, &str)]) -> String {
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER));
        let mut parameters = vec![
            ("response_type", "code"),
            ("client_id", &self.id),
            ("redirect_uri", &self.redirect),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
            ("state", STATE),
            ("resource", &self.mcp),
        ];
        for (name, value) in changes {
            parameters.retain(|(known, _)| known != name);
            if !value.is_empty() {
                parameters.push((name, value));
            }
        }
        let query = Serializer::new(String::new()).extend_pairs(parameters).finish();
        format!("{}?{query}", self.metadata["authorization_endpoint"].as_str().unwrap())
    }

    /// The person allows it, and is this person at GitHub. Where the browser ends up.
    pub async fn trip(&self, browser: &Browser, login: &str) -> Page {
        let consent = self.to_github(browser).await;
        browser.press(&consent, &format!("Authorize as {login}")).await
    }

    /// As far as GitHub's consent page.
    pub async fn to_github(&self, browser: &Browser) -> Page {
        let page = browser.get(self.authorize_url()).await;
        assert_eq!(page.status, 200, "{page:?}");
        let button = "Use another GitHub account";
        let button = if page.form_with(button).is_some() { button } else { "Allow and go on" };
        browser.press(&page, button).await
    }

    /// The code that the browser brought back.
    pub fn code(&self, page: &Page) -> String {
        assert!(page.url.as_str().starts_with(&self.redirect), "{page:?}");
        let answer = |name: &str| {
            page.url.query_pairs().find(|(n, _)| n == name).map(|(_, value)| value.into_owned())
        };
        assert_eq!(answer("state").as_deref(), Some(STATE));
        assert_eq!(answer("iss").as_deref(), self.metadata["issuer"].as_str());
        answer("code").unwrap_or_else(|| panic!("no code: {page:?}"))
    }

    /// Everything that arrived at this client's address.
    pub fn arrived(&self) -> Vec<String> {
        self.arrived.lock().unwrap().clone()
    }

    pub async fn post(&self, endpoint: &str, form: &[(&str, &str)]) -> Response {
        let url = self.metadata[endpoint].as_str().unwrap();
        self.http.post(url).form(form).send().await.unwrap()
    }

    pub async fn redeem(&self, code: &str) -> Response {
        self.redeem_with(code, &[]).await
    }

    /// With other parameters; an empty value leaves one out.
    pub async fn redeem_with(&self, code: &str, changes: &[(&str, &str)]) -> Response {
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("client_id", &self.id),
            ("redirect_uri", &self.redirect),
            ("code_verifier", VERIFIER),
        ];
        for (name, value) in changes {
            form.retain(|(known, _)| known != name);
            if !value.is_empty() {
                form.push((name, value));
            }
        }
        self.post("token_endpoint", &form).await
    }

    pub async fn refresh(&self, token: &str) -> Response {
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", token),
            ("client_id", self.id.as_str()),
        ];
        self.post("token_endpoint", &form).await
    }

    /// The whole way: the person allows it and the client has its tokens.
    pub async fn authorized(&self, browser: &Browser, login: &str) -> Tokens {
        let code = self.code(&self.trip(browser, login).await);
        tokens(self.redeem(&code).await).await
    }

    /// An MCP session with this token.
    pub async fn agent(&self, tokens: &Tokens) -> Agent {
        Agent::legacy_with(&self.mcp, Some(tokens.access.clone()), "Test Agent").await
    }

    /// An MCP client without sessions.
    pub fn modern_agent(&self, tokens: &Tokens) -> Agent {
        Agent::modern(&self.mcp, false).with_key(tokens.access.clone())
    }

    /// Whether `/mcp` still lets this token in.
    pub async fn is_admitted(&self, token: &str) -> bool {
        let agent = Agent::modern(&self.mcp, false).with_key(token.to_owned());
        let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" });
        match agent.send(ping).await.status().as_u16() {
            200 => true,
            401 => false,
            other => panic!("neither in nor out: {other}"),
        }
    }
}

impl Drop for OAuthClient {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

/// What a good answer of the token endpoint holds.
pub async fn tokens(answer: Response) -> Tokens {
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()[header::CACHE_CONTROL], "no-store");
    let answer: Value = answer.json().await.unwrap();
    assert_eq!(answer["token_type"], "Bearer");
    let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
    let tokens = Tokens { access: text("access_token"), refresh: text("refresh_token") };
    canaries::note("access", &tokens.access);
    canaries::note("refresh", &tokens.refresh);
    tokens
}

/// The error of a refused request.
pub async fn error(answer: Response) -> (u16, String) {
    let status = answer.status().as_u16();
    let answer: Value = answer.json().await.unwrap();
    (status, answer["error"].as_str().unwrap().to_owned())
}

/// The parameter of an address.
pub fn parameter(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(n, _)| n == name).map(|(_, value)| value.into_owned())
}

async fn json_at(http: &reqwest::Client, url: &str) -> Value {
    let answer = http.get(url).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{url}");
    assert_eq!(answer.headers()[header::ACCESS_CONTROL_ALLOW_ORIGIN], "*");
    answer.json().await.unwrap()
}

/// The client's own address, where the browser brings the code.
async fn listen() -> (String, Arc<Mutex<Vec<String>>>, JoinHandle<()>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let redirect = format!("http://127.0.0.1:{}/callback", listener.local_addr().unwrap().port());
    let arrived = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&arrived);
    let router = Router::new().route(
        "/callback",
        get(move |RawQuery(query): RawQuery| async move {
            kept.lock().unwrap().push(query.unwrap_or_default());
            Html("<title>Back at the client</title>")
        }),
    );
    let listening = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (redirect, arrived, listening)
}
