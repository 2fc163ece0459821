//! Canaries: everything that must not be told, and all that the program tells: its log at TRACE,
//! its errors, its pages, its answers.

use std::collections::BTreeMap;

use serde_json::json;

use super::house::{BEACON, House, Mode, Resident, came_back, http, parameter, with_parameter};
use crate::{
    fakes::{Browser, FakeLlm, FakeScalekit, Fault, FileChange, Match, PullRequest, Repository},
    oauth::{SECRET, client::VERIFIER},
    support::Agent,
};

/// Where pull-request text stands; each place sings its own song.
const SONGS: [&str; 12] = [
    "title",
    "body",
    "comment",
    "thread",
    "review",
    "diff",
    "path",
    "branch",
    "label",
    "author",
    "commenter",
    "summary",
];

fn song(place: &str) -> String {
    format!("canary-{place}-sings")
}

pub async fn a26(house: &mut House) {
    house.server.set("RUST_LOG", "trace");
    house.server.set("LOG_FORMAT", if house.mode == Mode::SingleUser { "json" } else { "text" });
    house.server.restart_as_program().await;
    sing(house);
    let mut canaries = Canaries::default();
    for place in SONGS {
        canaries.add(place, &song(place));
    }
    let resident = house.resident("octocat").await;
    let mut told = act(house, &resident, &mut canaries).await;
    told += &fail(house, &resident, &canaries).await;
    collect(house, &resident, &mut canaries);

    let least = if house.is_oauth() { 40 } else { 34 };
    assert!(canaries.0.len() >= least, "{} canaries: {:?}", canaries.0.len(), canaries.0.keys());
    let log = house.server.log();
    // At its loudest: there is a line for each request to an upstream.
    assert!(log.matches("TRACE").count() > 20 && log.contains("asked"), "{log}");
    for (name, value) in &canaries.0 {
        assert!(!log.contains(value), "{name} is in the log");
    }
    // Pages and answers hold what they are for, but never these.
    for name in canaries.0.keys().filter(|name| {
        ["secret", "token", "identifier", "code", "cookie", "authorization"]
            .iter()
            .any(|kind| name.starts_with(kind))
    }) {
        assert!(!told.contains(&canaries.0[name]), "{name} is on a page or in an answer");
    }
}

/// What must not be told, by name.
#[derive(Default)]
struct Canaries(BTreeMap<String, String>);

impl Canaries {
    fn add(&mut self, name: &str, value: &str) {
        // Shorter ones would be found by chance.
        if value.len() >= 10 {
            let same = self.0.values().any(|known| known == value);
            let place = self.0.keys().filter(|known| known.starts_with(name)).count();
            if !same {
                self.0.insert(format!("{name} {place}"), value.to_owned());
            }
        }
    }
}

fn sing(house: &House) {
    house.server.world.github.update(|state| {
        let pull = PullRequest::new(1, &song("title"))
            .body(&song("body"))
            .author(&song("author"))
            .branch(&song("branch"))
            .label(&song("label"))
            .comment(&song("commenter"), &song("comment"))
            .thread("src/a.rs", false, &[("hubot", &song("thread"))])
            .review_saying("hubot", "APPROVED", &song("review"))
            .diff(vec![FileChange::added(&format!("src/{}.rs", song("path")), &song("diff"))]);
        state.repositories.push(Repository::new("octo", "aviary").pull_request(pull));
    });
    let says = crate::fakes::Behaviour::Text(format!("It is about {}.", song("summary")));
    house.server.world.llm.when(|prompt| prompt.user.contains("octo/aviary"), says);
}

/// Everything that people and agents do; what they are told.
async fn act(house: &House, resident: &Resident, canaries: &mut Canaries) -> String {
    let mut told = String::new();
    let wanted = json!({ "repository": "octo/aviary", "detail": "full" });
    let answer = resident.agent.call("summarize_prs", wanted).await;
    assert!(answer.text.contains(&song("summary")), "{}", answer.text);
    told += &answer.raw.to_string();
    told += &resident.agent.call("auth_status", json!({})).await.raw.to_string();
    for url in ["/", "/connected"] {
        told += &resident.browser.get(house.url(url)).await.body;
    }
    // Another connection, of which one more browser knows everything; and one that is denied.
    let (browser, asking) = (Browser::new(), house.asks().await);
    canaries.add("link", asking.link().await.rsplit('/').next().unwrap());
    let page = asking.approve(&browser, "octocat").await;
    canaries.add("state", &parameter(&came_back(&page), "state"));
    canaries.add("authorization", &parameter(&came_back(&page), "auth_request_id"));
    for hop in &page.chain {
        for (name, value) in hop.url.query_pairs() {
            if ["state", "code", "auth_request_id"].contains(&name.as_ref())
                && value != crate::oauth::client::STATE
            {
                canaries.add(&format!("{name} at {}", hop.url.path()), &value);
            }
        }
    }
    told += &page.body;
    told += &house.asks().await.decline(&browser).await.body;
    canaries.add("cookie", browser.jar(|jar| jar.all()[0].cookie.value().to_owned()).as_str());
    let agent = asking.agent().await.unwrap();
    canaries.add("session", agent.session());
    if house.mode == Mode::Session {
        let handle = house.server.modern_agent().call("connect_github", json!({})).await.handle();
        canaries.add("handle", &handle);
    }
    let key = match house.mode {
        Mode::Session => None,
        Mode::SingleUser => Some(house.server.local_key()),
        Mode::OAuth => Some(resident.tokens().access.clone()),
    };
    let modern = Agent::modern(&house.url("/mcp"), true);
    let modern = if let Some(key) = key { modern.with_key(key) } else { modern };
    let asked = modern.call("connect_github", json!({ "reconnect": true })).await;
    canaries.add("sealed", asked.raw["requestState"].as_str().unwrap());
    if house.is_oauth() {
        canaries.add("client's state", crate::oauth::client::STATE);
        told += &resident.browser.get(resident.asking.link().await).await.body;
    }
    told
}

/// Everything that goes wrong, with the values at hand; what is said about it.
async fn fail(house: &House, resident: &Resident, canaries: &Canaries) -> String {
    let mut told = String::new();
    let (browser, asking) = (Browser::new(), house.asks().await);
    let callback = asking.callback(&browser, "octocat").await;
    let forged = with_parameter(&callback, "auth_request_id", "canary-of-no-authorization");
    told += &Browser::new().get(&forged).await.body;
    for value in canaries.0.values() {
        let value: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
        for address in [
            format!("/connect/{value}"),
            // No authorization beside it: a trip that is done would take back what it gave (A03).
            format!("/user/verify?state={value}&error=none"),
            format!("/none/{value}?{value}={value}"),
        ] {
            let answer = http().get(house.url(&address)).header("accept", "text/html");
            let answer = answer.header("cookie", format!("{value}={value}")).send().await.unwrap();
            assert!(answer.status().is_client_error(), "{address}");
            let body = answer.text().await.unwrap();
            assert!(!body.contains(&value), "{address} comes back: {body}");
        }
        let answer = http().post(house.url("/mcp")).bearer_auth(&value).body(value.clone());
        let body = answer.send().await.unwrap().text().await.unwrap();
        assert!(!body.contains(&value), "the body comes back: {body}");
    }
    // Upstreams that fail, with everything in what they say.
    let world = &house.server.world;
    let everything = canaries.0.values().cloned().collect::<Vec<_>>().join(" ");
    for status in [401, 403, 404, 422, 500] {
        let fault = || Fault::Status(status, json!({ "message": everything }).to_string(), vec![]);
        let wanted = json!({ "repository": "octo/aviary", "order": "newest" });
        world.llm.inject(Match::any(), fault(), 3);
        told += &resident.agent.call("summarize_prs", wanted.clone()).await.text;
        world.github.inject(Match::any(), fault(), 3);
        let answer = resident.agent.call("summarize_prs", json!({ "repository": BEACON })).await;
        told += &answer.raw.to_string();
        world.github.heal();
        world.scalekit.inject(Match::prefix("POST", "/api/"), fault(), 3);
        let again = resident.agent.call("connect_github", json!({ "reconnect": true })).await;
        told += &Browser::new().to_consent(again.link()).await.body;
        world.scalekit.heal();
        world.llm.heal();
    }
    for argument in canaries.0.values() {
        let odd = json!({ "repository": argument, "connection": argument });
        told += resident.agent.call("summarize_prs", odd).await.code();
    }
    told
}

/// What passed between the program and its upstreams, and what was never to leave it.
fn collect(house: &House, resident: &Resident, canaries: &mut Canaries) {
    let world = &house.server.world;
    canaries.add("secret of Scalekit", FakeScalekit::CLIENT_SECRET);
    canaries.add("secret of the model", FakeLlm::API_KEY);
    canaries.add("session", resident.agent.session());
    canaries.add("cookie", &resident.browser.jar(|jar| jar.all()[0].cookie.value().to_owned()));
    match house.mode {
        Mode::Session => {}
        Mode::SingleUser => canaries.add("secret key", &house.server.local_key()),
        Mode::OAuth => {
            canaries.add("secret of sessions", SECRET);
            canaries.add("token for access", &resident.tokens().access);
            canaries.add("token for refreshing", &resident.tokens().refresh);
            canaries.add("verifier", VERIFIER);
            for query in resident.client().arrived() {
                let pairs = url::form_urlencoded::parse(query.as_bytes());
                for (_, code) in pairs.filter(|(name, _)| name == "code") {
                    canaries.add("code", &code);
                }
            }
        }
    }
    for call in world.scalekit.calls() {
        canaries.add("token of Scalekit", call.bearer().unwrap_or_default());
        let body = call.json();
        for (name, kind) in
            [("state", "state"), ("auth_request_id", "authorization"), ("identifier", "identifier")]
        {
            canaries.add(kind, body[name].as_str().unwrap_or_default());
        }
        if let Some(link) = call.path.strip_prefix("/magicLink/") {
            canaries.add("link of Scalekit", link);
        }
    }
    for call in world.github.calls() {
        canaries.add("token of GitHub", call.bearer().unwrap_or_default());
        for (_, code) in call.form().iter().filter(|(name, _)| name == "code") {
            canaries.add("code of GitHub", code);
        }
    }
}
