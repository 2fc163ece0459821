//! What attackers try. Each ends with proof that the victim is unharmed and honest runs still work.

use serde_json::json;

use super::{
    Member, OAuthClient, login, member, parameter, repair_link, start, start_in, tokens,
    until_accounts,
};
use crate::{
    fakes::{Browser, TokenStorage, VerificationMode, World},
    support::{Agent, Server},
};

/// A01: a link is sent to a victim, who completes it.
#[tokio::test]
async fn a01_a_link_completed_by_a_victim() {
    for storage in [TokenStorage::PerRequest, TokenStorage::PerAccount] {
        let server = start_in(World::builder().token_storage(storage)).await;
        let victim = member(&server, "octocat").await;
        let attacker = member(&server, "mira-holm").await;
        // The attacker's repair link brings another account: it is refused, deleted, and told.
        let page = victim.browser.approve(repair_link(&attacker.agent).await, "octocat").await;
        assert_eq!(page.status, 403, "{page:?}");
        assert!(page.says("came back as @octocat"), "{page:?}");
        assert_eq!(login(&attacker.agent).await.as_deref(), Some("mira-holm"));
        until_accounts(&server.world, 2).await;
        // The attacker's authorize link gives a code to the address that the client registered, and
        // without the verifier it is worth nothing.
        let code = attacker.client.code(&attacker.client.trip(&victim.browser, "octocat").await);
        let stranger = OAuthClient::discover(&server).await;
        assert_eq!(stranger.redeem(&code).await.status(), 400);
        assert!(attacker.client.arrived().iter().any(|query| query.contains(&code)));
        assert_eq!(login(&victim.agent).await.as_deref(), Some("octocat"));
    }
}

/// A06, A33: the victim's link has leaked, and the attacker completes it.
#[tokio::test]
async fn a06_a_leaked_link_completed_by_an_attacker() {
    let server = start().await;
    let victim = member(&server, "octocat").await;
    victim.agent.call("disconnect_github", json!({})).await;
    until_accounts(&server.world, 0).await;
    let link = victim.agent.call("connect_github", json!({})).await.link();
    let page = Browser::new().approve(&link, "mira-holm").await;
    assert_eq!(page.status, 403, "{page:?}");
    let told = victim.agent.call("auth_status", json!({})).await;
    assert_eq!(told.status(), "not_connected");
    assert!(told.text.contains("@mira-holm"), "{}", told.text);
    until_accounts(&server.world, 0).await;
    let link = victim.agent.call("connect_github", json!({})).await.link();
    assert!(Browser::new().approve(&link, "octocat").await.says("Connected as @octocat"));
    assert_eq!(login(&victim.agent).await.as_deref(), Some("octocat"));
}

/// A02, A03: the trip is finished in another browser than it began.
#[tokio::test]
async fn a02_a_trip_finished_in_another_browser() {
    for storage in [TokenStorage::PerRequest, TokenStorage::PerAccount] {
        let server = start_in(World::builder().token_storage(storage)).await;
        let (attacker, victim) = (Browser::new(), Browser::new());
        let client = OAuthClient::discover(&server).await;
        let forwarded = client.to_github(&attacker).await;
        let page = victim.press(&forwarded, "Authorize as octocat").await;
        assert_eq!(page.status, 403, "{page:?}");
        assert_eq!(server.world.scalekit.verify_calls().len(), 0);
        let callback = page.chain.iter().find(|hop| hop.url.path() == "/user/verify").unwrap();
        let replayed = attacker.get(&callback.url).await;
        assert!((400..500).contains(&replayed.status), "{replayed:?}");
        assert_eq!(server.world.scalekit.verify_calls().len(), 0);
        assert!(client.arrived().is_empty());
        until_accounts(&server.world, 0).await;
        client.authorized(&victim, "octocat").await;
    }
}

/// A30: the victim's authorization with the state of the attacker's own trip.
#[tokio::test]
async fn a30_a_swapped_authorization() {
    for storage in [TokenStorage::PerRequest, TokenStorage::PerAccount] {
        let server = start_in(World::builder().token_storage(storage)).await;
        let (attacker, victim) = (Browser::new(), Browser::new());
        let client = OAuthClient::discover(&server).await;
        let forwarded = client.to_github(&attacker).await;
        let burned = victim.press(&forwarded, "Authorize as octocat").await;
        let callback = burned.chain.iter().find(|hop| hop.url.path() == "/user/verify").unwrap();
        let stolen = parameter(&callback.url, "auth_request_id").unwrap();
        client.to_github(&attacker).await;
        let calls = server.world.scalekit.calls();
        let asked = calls.iter().rev().find(|call| call.path.ends_with("magic_link")).unwrap();
        let state = asked.json()["state"].as_str().unwrap().to_owned();
        let forged = format!("/user/verify?state={state}&auth_request_id={stolen}");
        let page = attacker.get(server.url(&forged)).await;
        assert!((400..500).contains(&page.status), "{page:?}");
        assert!(client.arrived().is_empty());
        let tokens = client.authorized(&victim, "octocat").await;
        assert_eq!(login(&client.agent(&tokens).await).await.as_deref(), Some("octocat"));
    }
}

/// A14, A40: somebody else's session is as unknown as one that never was, on every method.
#[tokio::test]
async fn a14_a_stolen_session_id() {
    let server = start().await;
    let victim = member(&server, "octocat").await;
    let thief = member(&server, "mira-holm").await;
    let stolen = victim.agent.session().to_owned();
    let unknown = "ses_".to_owned() + &"A".repeat(stolen.len() - 4);
    let http = &thief.client.http;
    let mut seen = Vec::new();
    for session in [&stolen, &unknown] {
        let with = |request: reqwest::RequestBuilder, token: bool| {
            let request = request
                .header("mcp-session-id", session)
                .header("mcp-protocol-version", "2025-11-25")
                .header("accept", "application/json, text/event-stream");
            if token { request.bearer_auth(&thief.tokens.access) } else { request }
        };
        let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" });
        let mut answers = Vec::new();
        for token in [true, false] {
            for request in [
                with(http.post(server.url("/mcp")), token).json(&message),
                with(http.get(server.url("/mcp")), token),
                with(http.delete(server.url("/mcp")), token),
            ] {
                let answer = request.send().await.unwrap();
                answers.push((answer.status().as_u16(), answer.text().await.unwrap()));
            }
        }
        assert_eq!(
            answers.iter().map(|(status, _)| *status).collect::<Vec<_>>(),
            [404, 405, 404, 401, 401, 401]
        );
        seen.push(answers);
    }
    assert_eq!(seen[0], seen[1], "a stranger's session and none look the same");
    assert_eq!(login(&victim.agent).await.as_deref(), Some("octocat"));
}

/// A15, A40: what was given to one person is unknown to another.
#[tokio::test]
async fn a15_request_states_handles_and_flows_of_another() {
    let server = start().await;
    let victim = member(&server, "octocat").await;
    let thief = member(&server, "mira-holm").await;
    victim.agent.call("disconnect_github", json!({})).await;
    let asking = |token: &str| Agent::modern(&server.url("/mcp"), true).with_key(token.to_owned());
    let asked = asking(&victim.tokens.access).call("connect_github", json!({})).await;
    let sealed = asked.raw["requestState"].as_str().unwrap().to_owned();
    let accepted = json!({
        "requestState": sealed,
        "inputResponses": { "authorize": { "action": "accept" } },
    });
    let used = asking(&thief.tokens.access);
    let used = used.call_with("connect_github", json!({}), accepted).await;
    assert_eq!(used.data["github_login"], "mira-holm", "{}", used.raw);
    // No handles here: every one is unknown.
    for tool in ["auth_status", "connect_github", "disconnect_github"] {
        let handle = json!({ "connection": format!("con_{}", "A".repeat(43)) });
        let answer = thief.agent.call(tool, handle).await;
        assert_eq!(answer.code(), "not_found", "{tool}: {}", answer.text);
    }
    // Whoever disconnects, disconnects themselves.
    let url = asked.raw["inputRequests"]["authorize"]["params"]["url"].as_str().unwrap();
    assert!(Browser::new().approve(url, "octocat").await.says("Connected as @octocat"));
    thief.agent.call("disconnect_github", json!({})).await;
    assert_eq!(login(&victim.agent).await.as_deref(), Some("octocat"));
}

/// A17: in Scalekit-users-only mode nobody can tell whose browser it was.
#[tokio::test]
async fn a17_users_only_mode_is_refused_and_deleted() {
    let mut server = start().await;
    let Member { agent, .. } = member(&server, "octocat").await;
    let link = repair_link(&agent).await;
    let users_only = VerificationMode::ScalekitUsersOnly;
    server.world.scalekit.configure(|settings| settings.verification = users_only);
    Browser::new().approve(link, "mira-holm").await;
    assert_eq!(login(&agent).await.as_deref(), Some("octocat"));
    until_accounts(&server.world, 1).await;
    agent.call("disconnect_github", json!({})).await;
    let link = agent.call("connect_github", json!({})).await.link();
    Browser::new().approve(link, "octocat").await;
    let told = agent.call("auth_status", json!({})).await;
    assert_eq!(told.status(), "blocked", "{}", told.text);
    assert!(told.text.contains("users-only"), "{}", told.text);
    until_accounts(&server.world, 0).await;
    // A trip that never comes back is deleted when its time is up.
    let client = OAuthClient::discover(&server).await;
    let page = client.trip(&Browser::new(), "octocat").await;
    assert!(!page.url.as_str().starts_with(&client.redirect), "{page:?}");
    server.clock.advance(chrono::Duration::minutes(16));
    server.restart().await;
    until_accounts(&server.world, 0).await;
    assert!(client.arrived().is_empty());
}

/// A21: consent is never silent, however often it was given.
#[tokio::test]
async fn a21_consent_is_always_asked() {
    let server = start().await;
    let Member { browser, client, .. } = member(&server, "octocat").await;
    let arrived = client.arrived().len();
    for changes in [&[][..], &[("prompt", "none")], &[("approval_prompt", "auto")]] {
        let page = browser.get(client.authorize_url_with(changes)).await;
        assert_eq!(page.url.path(), "/authorize", "{page:?}");
        assert!(page.form_with("Allow as @octocat").is_some(), "{page:?}");
        assert!(page.says("A program on this computer"), "{page:?}");
        assert!(page.says("calls itself"), "{page:?}");
    }
    assert_eq!(client.arrived().len(), arrived);
}

/// A22: a code goes to a registered address or nowhere.
#[tokio::test]
async fn a22_redirect_tricks() {
    let server = start().await;
    let Member { browser, client, .. } = member(&server, "octocat").await;
    let own = server.url("/callback");
    let tricks = [
        "https://evil.example/callback",
        "http://evil.example/callback",
        "javascript:alert(1)",
        "data:text/html,x",
        "intent://x#Intent;end",
        "//evil.example/callback",
        "https://claude.ai@evil.example/api/mcp/auth_callback",
        "https://claude.ai.evil.example/api/mcp/auth_callback",
        "https://claude.ai/api/mcp/auth_callback/../x",
        "https://claude.ai/api/mcp/auth_callback#x",
        "https://claude.ai:8443/api/mcp/auth_callback",
        "https://claude.ai/api/mcp/auth_callback",
        "http://localhost.evil.example/callback",
        "http://127.0.0.1.nip.io/callback",
        "http://127.0.0.1:1/other",
        "http://127.0.0.1@evil.example/callback",
        "http://0.0.0.0/callback",
        "http://2130706433/callback",
        "http://[::ffff:127.0.0.1]/callback",
        "http://localhost./callback",
        "http://127.0.0.1:80\\@evil.example/callback",
        "http://127.0.0.1/callback\r\nLocation: http://evil.example",
        "\thttp://127.0.0.1/callback",
        &own,
    ];
    for trick in tricks {
        let url = client.authorize_url_with(&[("redirect_uri", trick)]);
        let page = browser.get(url).await;
        assert_eq!((page.status, page.chain.len()), (400, 1), "{trick}: {page:?}");
        assert!(page.links.is_empty() && page.forms.is_empty(), "{trick}: {page:?}");
        let wanted = json!({ "redirect_uris": [trick], "token_endpoint_auth_method": "none" });
        let endpoint = client.metadata["registration_endpoint"].as_str().unwrap();
        let registered = client.http.post(endpoint).json(&wanted).send().await.unwrap();
        let fine = trick == "https://claude.ai/api/mcp/auth_callback"
            || trick == "http://127.0.0.1:1/other";
        assert_eq!(registered.status(), if fine { 201 } else { 400 }, "{trick}");
    }
    let doubled = format!("{}&redirect_uri=http://evil.example", client.authorize_url());
    assert_eq!(browser.get(doubled).await.status, 400);
    client.authorized(&browser, "octocat").await;
}

/// A38: another mode on the same store sees nothing of this one.
#[tokio::test]
async fn a38_a_change_of_mode_crosses_no_record() {
    let mut server = start().await;
    let Member { browser, client, tokens: own, agent } = member(&server, "octocat").await;
    let session = agent.session().to_owned();
    server.set("AUTH_MODE", "session");
    server.restart().await;
    let other = server.agent().await;
    assert_eq!(login(&other).await, None);
    let page = browser.get(other.call("connect_github", json!({})).await.link()).await;
    assert!(page.form_with("again").is_none(), "{page:?}");
    let stale = client.http.delete(server.url("/mcp")).header("mcp-session-id", &session);
    assert_eq!(stale.send().await.unwrap().status(), 404);
    server.set("AUTH_MODE", "oauth");
    server.restart().await;
    assert_eq!(login(&client.agent(&own).await).await.as_deref(), Some("octocat"));
    assert!(!client.is_admitted(other.session()).await);
    let again = tokens(client.refresh(&own.refresh).await).await;
    assert!(client.is_admitted(&again.access).await);
}

/// A04, A18: a proxy's headers form no link, and only the public name is answered.
#[tokio::test]
async fn a04_forged_hosts_form_no_link() {
    let server = start().await;
    let client = OAuthClient::discover(&server).await;
    let http = &client.http;
    for (name, value) in [
        ("x-forwarded-host", "evil.example"),
        ("forwarded", "host=evil.example"),
        ("x-forwarded-proto", "https"),
    ] {
        for path in ["/", "/.well-known/oauth-authorization-server", "/mcp"] {
            let answer = http.get(server.url(path)).header(name, value).send().await.unwrap();
            let told = format!("{:?}", answer.headers()) + &answer.text().await.unwrap();
            assert!(!told.contains("evil") && !told.contains("https://127"), "{path}: {told}");
        }
    }
    for host in ["evil.example", "localhost", "0.0.0.0", "127.0.0.1.nip.io"] {
        for path in ["/", "/authorize", "/token", "/register", "/mcp", "/user/verify", "/person"] {
            let answer = http.get(server.url(path)).header("host", host).send().await.unwrap();
            assert_eq!(answer.status(), 403, "{host} {path}");
        }
    }
    client.authorized(&Browser::new(), "octocat").await;
    for call in server.world.scalekit.calls() {
        if call.path.ends_with("magic_link") {
            assert_eq!(call.json()["user_verify_url"], server.url("/user/verify"));
        }
    }
}

/// "Use @octocat again" is a loopback thing: here only the account itself counts.
#[tokio::test]
async fn a_browser_that_linked_before_is_offered_nothing_in_a_repair() {
    let server = start().await;
    let Member { browser, .. } = member(&server, "octocat").await;
    let thief = member(&server, "mira-holm").await;
    let link = repair_link(&thief.agent).await;
    let page = browser.get(&link).await;
    assert!(page.form_with("again").is_none(), "{page:?}");
    let mut forged = page.form_with("Connect").unwrap().0.fields.clone();
    let id = octocats_id(&server);
    forged.push(("use_again".to_owned(), id));
    let refused = browser.submit(&page, "post", &link, &forged).await;
    assert_eq!(refused.status, 409, "{refused:?}");
    assert_eq!(login(&thief.agent).await.as_deref(), Some("mira-holm"));
}

fn octocats_id(server: &Server) -> String {
    server.world.github.update(|state| {
        let found = state.people.iter().find(|person| person.login == "octocat");
        found.unwrap().id.to_string()
    })
}
