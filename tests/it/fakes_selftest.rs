//! The fake worlds keep their promises: they behave as published and let nothing unexpected pass.

use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::{Value, json};

mod access;
mod browser;
mod guesses;
mod schema;

use crate::fakes::{
    Browser, DenialMode, FakeScalekit, Fault, FileChange, Match, ProxyMode, PullRequest,
    Repository, VerificationMode, World, scalekit::AccountStatus,
};

const CALLBACK: &str = "http://127.0.0.1:9/user/verify";

/// Our program's side of Scalekit's wire, as short as a test wants it.
struct Wire<'w> {
    world: &'w World,
    client: reqwest::Client,
    token: String,
}

impl<'w> Wire<'w> {
    async fn open(world: &'w World) -> Self {
        let client = reqwest::Client::new();
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", FakeScalekit::CLIENT_ID),
            ("client_secret", FakeScalekit::CLIENT_SECRET),
        ];
        let url = format!("{}/oauth/token", world.scalekit.url());
        let answer = client.post(url).form(&form).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        let token = answer["access_token"].as_str().unwrap().to_owned();
        Self { world, client, token }
    }

    async fn post(&self, rpc: &str, mut body: Value) -> (u16, Value) {
        if rpc != "connected_accounts/user/verify" {
            body["connector"] = json!(FakeScalekit::CONNECTION_NAME);
        }
        let url = format!("{}/api/v1/{rpc}", self.world.scalekit.url());
        let request = self.client.post(url).bearer_auth(&self.token).json(&body);
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    /// A new account and the link that connects it.
    async fn link(&self, identifier: &str) -> String {
        let details = json!({"authorization_details": {"oauth_token": {}}});
        let account = json!({"identifier": identifier, "connected_account": details});
        assert_eq!(self.post("connected_accounts", account).await.0, 201);
        let wanted = json!({"identifier": identifier, "state": "s-1", "user_verify_url": CALLBACK});
        let (_, answer) = self.post("connected_accounts/magic_link", wanted).await;
        answer["link"].as_str().unwrap().to_owned()
    }

    async fn proxy(&self, identifier: &str, path: &str, accept: &str) -> reqwest::Response {
        let url = format!("{}/proxy{path}", self.world.scalekit.url());
        let request = self.client.get(url).bearer_auth(&self.token).header("accept", accept);
        let request = request.header("user-agent", "selftest").header("identifier", identifier);
        let request = request.header("connection_name", FakeScalekit::CONNECTION_NAME);
        request.send().await.unwrap()
    }
}

async fn graphql(world: &World, query: &str) -> reqwest::Response {
    let token = world.github.token_of("octocat");
    let client = reqwest::Client::builder().user_agent("selftest").build().unwrap();
    let url = format!("{}/graphql", world.github.url());
    client.post(url).bearer_auth(token).json(&json!({"query": query})).send().await.unwrap()
}

/// Presses on until the browser would leave for our server, which here is not running.
async fn callback_after(world: &World, link: &str, button: &str) -> url::Url {
    let browser = Browser::new();
    let consent = browser.get(link).await;
    assert!(consent.says("Authorize Acme PR Summaries"), "{consent:?}");
    let (form, pressed) = consent.form_with(button).unwrap();
    let mut fields = form.fields.clone();
    fields.push((pressed.name.clone().unwrap(), pressed.value.clone()));
    let client =
        reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let action = consent.url.join(&form.action).unwrap();
    let decided = client.post(action).form(&fields).send().await.unwrap();
    let back = decided.headers()["location"].to_str().unwrap().to_owned();
    assert!(back.starts_with(world.scalekit.public_url()), "{back}");
    let answer = client.get(back).send().await.unwrap();
    url::Url::parse(answer.headers()["location"].to_str().unwrap()).unwrap()
}

#[tokio::test]
async fn consent_ends_at_our_callback_and_verification_activates_the_account() {
    let world = World::start().await;
    let wire = Wire::open(&world).await;
    let link = wire.link("usr_a").await;
    let back = callback_after(&world, &link, "Authorize as octocat").await;
    assert!(back.as_str().starts_with(&format!("{CALLBACK}?auth_request_id=")), "{back}");
    assert!(back.as_str().ends_with("&state=s-1"), "{back}");
    let pending = world.scalekit.account_of("usr_a").unwrap();
    assert_eq!(pending.status, AccountStatus::PendingVerification);
    let refused = wire.proxy("usr_a", "/user", "application/json").await;
    assert_eq!(refused.status(), 400);

    let request = back.query_pairs().next().unwrap().1.into_owned();
    let verify = |who: &str| json!({"auth_request_id": request, "identifier": who});
    let rpc = "connected_accounts/user/verify";
    assert_eq!(wire.post(rpc, verify("usr_b")).await.0, 403);
    assert_eq!(wire.post(rpc, verify("usr_a")).await.0, 200);
    assert_eq!(wire.post(rpc, verify("usr_a")).await.0, 404, "a request is verified once");
    let user = wire.proxy("usr_a", "/user", "application/json").await;
    assert!(user.headers().contains_key("x-ratelimit-remaining"));
    assert_eq!(user.json::<Value>().await.unwrap()["login"], "octocat");

    world.scalekit.revoke_github_grant("octocat");
    let dead = wire.proxy("usr_a", "/user", "application/json").await;
    assert_eq!(dead.status(), 401);
    assert_eq!(dead.json::<Value>().await.unwrap()["message"], "Bad credentials");
    world.scalekit.revoke_tokens();
    let refused = wire.proxy("usr_a", "/user", "application/json").await;
    assert!(refused.json::<Value>().await.unwrap()["details"].is_array());
}

#[tokio::test]
async fn a_denial_comes_back_or_ends_at_scalekit() {
    let world = World::start().await;
    let wire = Wire::open(&world).await;
    let link = wire.link("usr_a").await;
    let back = callback_after(&world, &link, "Cancel").await;
    assert_eq!(back.query(), Some("error=access_denied&state=s-1"));

    world.scalekit.configure(|settings| settings.denial = DenialMode::EndsAtScalekit);
    let link = wire.link("usr_b").await;
    let page = Browser::new().decline(&link).await;
    assert!(page.says("Authorization was declined"), "{page:?}");
}

#[tokio::test]
async fn users_only_mode_activates_at_once_on_several_sites() {
    let world = World::builder()
        .verification(VerificationMode::ScalekitUsersOnly)
        .proxy(ProxyMode::Disabled)
        .hosts("scalekit.test", "github.test")
        .start()
        .await;
    let wire = Wire::open(&world).await;
    let link = wire.link("usr_a").await;
    assert!(link.starts_with("http://scalekit.test:"), "{link}");
    let page = Browser::new().approve(&link, "octocat").await;
    assert!(page.says("You can close this window"), "{page:?}");
    let hosts: Vec<_> = page.chain.iter().filter_map(|hop| hop.url.host_str()).collect();
    assert_eq!(hosts, ["github.test", "scalekit.test"]);
    assert!(Browser::new().get(&link).await.says("expired"), "a link works once");
    let refused = wire.proxy("usr_a", "/user", "application/json").await.text().await.unwrap();
    assert!(refused.contains("proxy not enabled for provider"), "{refused}");
    let tool = json!({
        "tool_name": "github_user_get_authenticated", "identifier": "usr_a", "params": {},
    });
    let (_, answer) = wire.post("execute_tool", tool).await;
    assert_eq!(answer["data"]["login"], "octocat");
}

#[tokio::test]
async fn unexpected_requests_fail_the_test() {
    let world = World::start().await;
    let wire = Wire::open(&world).await;
    let (status, _) = (
        reqwest::get(format!("{}/repos/a/b", world.github.url())).await.unwrap().status(),
        wire.client.get(world.llm.url()).send().await.unwrap(),
    );
    assert_eq!(status, 501);
    let secret = format!("{}/api/v1/connected_accounts/auth", world.scalekit.url());
    wire.client.get(secret).bearer_auth(&wire.token).send().await.unwrap();
    let said = catch_unwind(AssertUnwindSafe(|| drop(world))).unwrap_err();
    let said = said.downcast_ref::<String>().unwrap();
    for world in ["fake Scalekit", "fake GitHub", "fake LLM"] {
        assert!(said.contains(world), "{said}");
    }
}

#[tokio::test]
async fn graphql_refuses_what_the_schema_lacks_and_pages_without_a_size() {
    let world = World::start().await;
    let repository = r#"repository(owner: "lighthouse-labs", name: "beacon")"#;
    let unknown = format!("{{ {repository} {{ stars }} }}");
    let unbounded = format!("{{ {repository} {{ pullRequests {{ nodes {{ number }} }} }} }}");
    for query in [unknown, unbounded] {
        assert_eq!(graphql(&world, &query).await.status(), 501);
        assert_eq!(world.take_unexpected().len(), 1);
    }
}

#[tokio::test]
async fn graphql_orders_by_discussion_and_tells_partial_errors() {
    let busy = Repository::new("acme", "api").pull_requests(
        (1..=3_000).map(|number| PullRequest::new(number, "t").comments((number % 7) as usize)),
    );
    let hidden = Repository::new("acme", "hidden").private();
    let world = World::builder().repositories(vec![busy, hidden]).start().await;
    world.github.break_field("PullRequest#377.author", "FORBIDDEN", "no", 1);
    let query = r#"{
        api: repository(owner: "acme", name: "api") {
            pullRequests(first: 3, states: OPEN, orderBy: {field: COMMENTS, direction: DESC}) {
                totalCount
                nodes { number totalCommentsCount author { __typename login } }
                pageInfo { hasNextPage endCursor }
            }
        }
        hidden: repository(owner: "acme", name: "hidden") { id }
    }"#;
    let answer: Value = graphql(&world, query).await.json().await.unwrap();
    let listed = &answer["data"]["api"]["pullRequests"];
    assert_eq!(listed["totalCount"], 3_000);
    let numbers: Vec<_> =
        listed["nodes"].as_array().unwrap().iter().map(|n| &n["number"]).collect();
    assert_eq!(numbers, [377, 1_364, 2_351], "the most discussed, and ties in an order of its own");
    assert_eq!(listed["nodes"][0]["author"], Value::Null);
    assert_eq!(answer["data"]["hidden"], Value::Null);
    let kinds: Vec<_> = answer["errors"].as_array().unwrap().iter().map(|e| &e["type"]).collect();
    assert_eq!(kinds, ["FORBIDDEN", "NOT_FOUND"]);
}

#[tokio::test]
async fn large_diffs_are_refused_and_listed_file_by_file() {
    let files = vec![
        FileChange::modified("src/a.rs", "@@ 4 fn a() {\n keep\n-old\n+new\n+newer\n"),
        FileChange::generated("src/rules.rs", 30_000),
    ];
    let pull = PullRequest::new(1, "Large").diff(files.clone());
    let small = PullRequest::new(2, "Small").diff(files[..1].to_vec());
    let repository = Repository::new("acme", "api").pull_requests([pull, small]);
    let world = World::builder().repositories(vec![repository]).start().await;
    let token = world.github.token_of("octocat");
    let client = reqwest::Client::builder().user_agent("selftest").build().unwrap();
    let get = |path: &str, accept: &str| {
        let url = format!("{}/repos/acme/api/pulls/{path}", world.github.url());
        client.get(url).bearer_auth(&token).header("accept", accept).send()
    };
    let refused = get("1", "application/vnd.github.diff").await.unwrap();
    assert_eq!(refused.status(), 406);
    let refused: Value = refused.json().await.unwrap();
    assert_eq!(refused["errors"][0]["code"], "too_large");
    let listed: Value = get("1/files", "application/json").await.unwrap().json().await.unwrap();
    assert_eq!(listed[0]["patch"], "@@ -4,2 +4,3 @@ fn a() {\n keep\n-old\n+new\n+newer");
    assert_eq!(listed[1].get("patch"), None);
    assert_eq!(listed[1]["additions"], 30_000);
    let diff = get("2", "application/vnd.github.diff").await.unwrap().text().await.unwrap();
    assert!(diff.starts_with("diff --git a/src/a.rs b/src/a.rs\n"), "{diff}");
}

#[tokio::test]
async fn faults_and_gates_reach_the_requests_they_mean() {
    let world = World::start().await;
    let user = format!("{}/user", world.github.url());
    let token = world.github.token_of("octocat");
    let client = reqwest::Client::builder().user_agent("selftest").build().unwrap();
    let ask = || client.get(&user).bearer_auth(&token).send();
    world.github.inject(Match::path("GET", "/user"), Fault::status(503), 1);
    world.github.inject(Match::path("GET", "/user"), Fault::Reset, 1);
    assert_eq!(ask().await.unwrap().status(), 503);
    assert!(ask().await.unwrap().text().await.is_err(), "the connection is cut");
    assert_eq!(ask().await.unwrap().status(), 200);

    let gate = world.github.hold(Match::any());
    let waiting = tokio::spawn(ask());
    gate.until_waiting(1).await;
    waiting.abort();
    gate.until_waiting(0).await;
    gate.release();
    assert_eq!(ask().await.unwrap().status(), 200);
    assert_eq!(world.github.count(|call| call.path == "/user"), 5);
}
#[tokio::test]
async fn the_story_is_told_by_all_worlds() {
    let world = World::start().await;
    let story = crate::fakes::story::repository(chrono::DateTime::UNIX_EPOCH);
    let client = reqwest::Client::new();
    let open: Vec<_> = story.pull_requests.iter().filter(|one| one.state == "OPEN").collect();
    assert!(open.len() >= 10);
    for pull in open {
        let message = json!([{"role": "user", "content": format!("Title: {}", pull.title)}]);
        let body = json!({"model": "fake", "messages": message});
        let url = format!("{}/chat/completions", world.llm.url());
        let request = client.post(url).bearer_auth(crate::fakes::FakeLlm::API_KEY).json(&body);
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        let text = answer["choices"][0]["message"]["content"].as_str().unwrap();
        assert!(text.split(". ").count() >= 3, "prose for {:?}: {text}", pull.title);
    }
}
