//! Who is calling: sessions, tokens, codes, handles and sealed values in the wrong hands.

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::house::{House, Mode, Resident, http, login_of};
use crate::{
    fakes::Browser,
    oauth::client::{OAuthClient, error, tokens},
    support::Agent,
};

/// Somebody else's session is as unknown as one that never was, on every method.
pub async fn a14(house: &mut House) {
    let victim = house.resident("octocat").await;
    let thief = house.resident("mira-holm").await;
    let stolen = victim.agent.session().to_owned();
    let unknown = "A".repeat(stolen.len());
    let mut seen = Vec::new();
    for session in [&stolen, &unknown] {
        let mut answers = Vec::new();
        for token in [Some(&thief.tokens().access), None] {
            for method in ["POST", "GET", "DELETE"] {
                let mut request = http()
                    .request(method.parse().unwrap(), house.url("/mcp"))
                    .header("mcp-session-id", session)
                    .header("mcp-protocol-version", "2025-11-25")
                    .header("accept", "application/json, text/event-stream");
                if method == "POST" {
                    request =
                        request.json(&json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" }));
                }
                if let Some(token) = token {
                    request = request.bearer_auth(token);
                }
                let answer = request.send().await.unwrap();
                answers.push((answer.status().as_u16(), answer.text().await.unwrap()));
            }
        }
        let statuses: Vec<_> = answers.iter().map(|(status, _)| *status).collect();
        assert_eq!(statuses, [404, 405, 404, 401, 401, 401]);
        seen.push(answers);
    }
    assert_eq!(seen[0], seen[1], "a stranger's session and none look the same");
    assert_eq!(victim.login().await.as_deref(), Some("octocat"));
}

/// What was given to one person is unknown to another.
pub async fn a15(house: &mut House) {
    let victim = house.resident("octocat").await;
    let thief = house.resident("mira-holm").await;
    victim.agent.call("disconnect_github", json!({})).await;
    let asking = |who: &Resident| {
        Agent::modern(&house.url("/mcp"), true).with_key(who.tokens().access.clone())
    };
    let asked = asking(&victim).call("connect_github", json!({})).await;
    let accepted = json!({
        "requestState": asked.raw["requestState"],
        "inputResponses": { "authorize": { "action": "accept" } },
    });
    let used = asking(&thief).call_with("connect_github", json!({}), accepted.clone()).await;
    assert_eq!(used.data["github_login"], "mira-holm", "{}", used.raw);
    // Nor does it end the victim's flow when the thief says no to it.
    let declined = json!({
        "requestState": asked.raw["requestState"],
        "inputResponses": { "authorize": { "action": "decline" } },
    });
    asking(&thief).call_with("connect_github", json!({}), declined).await;
    let url = asked.raw["inputRequests"]["authorize"]["params"]["url"].as_str().unwrap();
    assert!(Browser::new().approve(url, "octocat").await.says("Connected as @octocat"));
    thief.agent.call("disconnect_github", json!({})).await;
    assert_eq!(victim.login().await.as_deref(), Some("octocat"));
}

/// A code is worth something once, for its client, with its verifier, for this resource; a rotated
/// refresh token that comes back late ends the whole family.
pub async fn a23(house: &mut House) {
    let (browser, client) = (Browser::new(), OAuthClient::discover(&house.server).await);
    let other = OAuthClient::discover(&house.server).await;
    for changes in [
        [("code_verifier", "another-verifier-of-at-least-forty-three-chars")],
        [("client_id", other.id.as_str())],
        [("redirect_uri", other.redirect.as_str())],
        [("redirect_uri", "")],
    ] {
        let code = client.code(&client.trip(&browser, "octocat").await);
        let answer = client.redeem_with(&code, &changes).await;
        assert_eq!(error(answer).await, (400, "invalid_grant".to_owned()), "{changes:?}");
    }
    let code = client.code(&client.trip(&browser, "octocat").await);
    let foreign = client.redeem_with(&code, &[("resource", "https://evil.example/mcp")]).await;
    assert_eq!(error(foreign).await, (400, "invalid_target".to_owned()));
    let without = client.redeem_with(&code, &[("code_verifier", "")]).await;
    assert_eq!(without.status(), 400);
    let first = tokens(client.redeem(&code).await).await;
    assert!(client.is_admitted(&first.access).await);
    // Whoever has the used code alone spoils nothing.
    for changes in [
        [("client_id", other.id.as_str())],
        [("code_verifier", "another-verifier-of-at-least-forty-three-chars")],
        [("redirect_uri", other.redirect.as_str())],
    ] {
        let answer = client.redeem_with(&code, &changes).await;
        assert_eq!(error(answer).await, (400, "invalid_grant".to_owned()), "{changes:?}");
        assert!(client.is_admitted(&first.access).await, "{changes:?}");
    }
    // Used twice by one who has all of it: what it had opened ends.
    assert_eq!(error(client.redeem(&code).await).await.1, "invalid_grant");
    assert!(!client.is_admitted(&first.access).await);
    let late = client.code(&client.trip(&browser, "octocat").await);
    house.server.clock.advance(chrono::Duration::seconds(61));
    assert_eq!(error(client.redeem(&late).await).await.1, "invalid_grant");
    // Plain challenges, and none.
    for changes in [[("code_challenge_method", "plain")], [("code_challenge", "")]] {
        let page = browser.get(client.authorize_url_with(&changes)).await;
        assert!(page.url.as_str().contains("error=invalid_request"), "{page:?}");
    }

    let old = client.authorized(&browser, "octocat").await;
    assert_eq!(error(other.refresh(&old.refresh).await).await.1, "invalid_grant");
    assert_eq!(error(client.refresh(&old.access).await).await.1, "invalid_grant");
    // The honest twin: hosts refresh in parallel.
    let parallel = join_all((0..10).map(|_| client.refresh(&old.refresh))).await;
    let mut rotated = Vec::new();
    for answer in parallel {
        let new = tokens(answer).await;
        assert!(client.is_admitted(&new.access).await);
        rotated.extend(Some(new.refresh).filter(|token| !token.is_empty()));
    }
    assert_eq!(rotated.len(), 1, "one refresh token follows another");
    let new = tokens(client.refresh(&rotated[0]).await).await;
    house.server.clock.advance(chrono::Duration::seconds(121));
    assert_eq!(error(client.refresh(&rotated[0]).await).await.1, "invalid_grant");
    assert!(!client.is_admitted(&new.access).await);
    assert_eq!(error(client.refresh(&new.refresh).await).await.1, "invalid_grant");
}

/// What is no good token or key is told so, on every method, and where to get one.
pub async fn a24(house: &mut House) {
    let resident = house.resident("octocat").await;
    let (good, mut bad) = if house.is_oauth() {
        (resident.tokens().access.clone(), vec![resident.tokens().refresh.clone()])
    } else {
        (house.server.local_key(), vec![resident.agent.session().to_owned()])
    };
    let (rest, last) = good.split_at(good.len() - 1);
    bad.extend([
        format!("{rest}{}", if last == "A" { "B" } else { "A" }),
        rest.to_owned(),
        format!("{good}x"),
        format!("{good} {good}"),
        format!("{good},{good}"),
        "garbage".to_owned(),
        String::new(),
        "a".repeat(4_000),
    ]);
    let initialize = json!({
        "jsonrpc": "2.0", "id": 0, "method": "initialize",
        "params": { "protocolVersion": "2025-11-25", "capabilities": {},
            "clientInfo": { "name": "x", "version": "1" } },
    });
    let sent = |method: &str, authorization: &[String]| {
        let mut request = http().request(method.parse().unwrap(), house.url("/mcp"));
        request = request.header("accept", "application/json, text/event-stream");
        for value in authorization {
            request = request.header("authorization", value);
        }
        if method == "POST" { request.json(&initialize) } else { request }.send()
    };
    let ways = bad.iter().map(|token| vec![format!("Bearer {token}")]).chain([
        vec![],
        vec![format!("Basic {good}")],
        vec![good.clone()],
        vec!["Bearer".to_owned()],
    ]);
    for authorization in ways {
        for method in ["POST", "GET", "DELETE"] {
            let answer = sent(method, &authorization).await.unwrap();
            assert_eq!(answer.status(), 401, "{method} {authorization:?}");
            let challenge = answer.headers()["www-authenticate"].to_str().unwrap();
            assert!(challenge.starts_with("Bearer"), "{challenge}");
            assert_eq!(challenge.contains("resource_metadata="), house.is_oauth());
        }
    }
    let twice = vec![format!("Bearer {good}"), format!("Bearer {good}x")];
    let answer = sent("POST", &twice).await.unwrap();
    let refused = if house.is_oauth() { 400 } else { 401 };
    assert_eq!(answer.status(), refused, "of two keys none counts");
    for query in ["access_token", "token", "key"] {
        let in_query = format!("{}?{query}={good}", house.url("/mcp"));
        let answer = http().post(in_query).json(&initialize).send().await.unwrap();
        assert_eq!(answer.status(), 401);
    }
    assert_eq!(sent("POST", &[format!("Bearer {good}")]).await.unwrap().status(), 200);
    if house.is_oauth() {
        house.server.clock.advance(chrono::Duration::minutes(61));
        assert_eq!(sent("POST", &[format!("Bearer {good}")]).await.unwrap().status(), 401);
    }
}

/// Every value that the server gives out, in every place where it takes one.
pub async fn a36(house: &mut House) {
    let resident = house.resident("octocat").await;
    let (browser, asking) = (Browser::new(), house.asks().await);
    let page = browser.get(asking.link().await).await;
    let csrf = page.forms[0].fields.iter().find(|(name, _)| name == "csrf").unwrap().1.clone();
    let callback = asking.callback(&browser, "mira-holm").await;
    let cookie = browser.jar(|jar| jar.all()[0].cookie.value().to_owned());
    let mut values = vec![
        ("csrf", csrf),
        ("cookie", cookie),
        ("state", super::house::parameter(&callback, "state")),
        ("authorization", super::house::parameter(&callback, "auth_request_id")),
        ("session", resident.agent.session().to_owned()),
    ];
    let key = key(house, &resident);
    let modern = |asks: bool| {
        let agent = Agent::modern(&house.url("/mcp"), asks);
        key.clone()
            .map_or_else(|| Agent::modern(&house.url("/mcp"), asks), |key| agent.with_key(key))
    };
    let asked = modern(true).call("connect_github", json!({ "reconnect": true })).await;
    values.push(("sealed", asked.raw["requestState"].as_str().unwrap_or_default().to_owned()));
    let link =
        asked.raw["inputRequests"]["authorize"]["params"]["url"].as_str().unwrap_or_default();
    values.push(("flow", link.rsplit('/').next().unwrap_or_default().to_owned()));
    if house.mode == Mode::Session {
        values.push(("handle", modern(false).call("connect_github", json!({})).await.handle()));
    }
    if let Some(key) = &key {
        values.push(("bearer", key.clone()));
    }
    if house.is_oauth() {
        values.push(("client", asking.client().id.clone()));
        values.push(("refresh", resident.tokens().refresh.clone()));
    }
    values.retain(|(_, value)| !value.is_empty());
    assert!(values.len() >= 7, "{}", values.len());
    for (kind, value) in &values {
        in_the_agents_places(house, &resident, kind, value, &modern(true)).await;
        in_the_browsers_places(house, &page, kind, value).await;
        if house.is_oauth() {
            in_the_clients_places(&asking, kind, value).await;
        }
    }
    assert_eq!(resident.login().await.as_deref(), Some("octocat"));
    forged_states(&modern(true)).await;
}

fn key(house: &House, resident: &Resident) -> Option<String> {
    match house.mode {
        Mode::Session => None,
        Mode::SingleUser => Some(house.server.local_key()),
        Mode::OAuth => Some(resident.tokens().access.clone()),
    }
}

async fn in_the_agents_places(
    house: &House,
    resident: &Resident,
    kind: &str,
    value: &str,
    asking: &Agent,
) {
    if kind != "handle" {
        let answer = resident.agent.call("auth_status", json!({ "connection": value })).await;
        assert_eq!(answer.code(), "not_found", "{kind} as a handle: {}", answer.text);
    }
    if kind != "session" {
        let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" });
        let request = resident.agent.base(http().post(house.url("/mcp"))).json(&ping);
        let answer = request.header("mcp-session-id", value).send().await.unwrap();
        assert_eq!(answer.status(), 404, "{kind} as a session");
    }
    if kind != "bearer" && house.mode != Mode::Session {
        let request = http().post(house.url("/mcp")).bearer_auth(value).json(&json!({}));
        assert_eq!(request.send().await.unwrap().status(), 401, "{kind} as a key");
    }
    if kind != "sealed" {
        let back = json!({
            "requestState": value,
            "inputResponses": { "authorize": { "action": "accept" } },
        });
        let answer = asking.call_with("connect_github", json!({ "reconnect": true }), back).await;
        assert_eq!(answer.raw["resultType"], "input_required", "{kind} as a state: {}", answer.raw);
    }
}

async fn in_the_browsers_places(house: &House, page: &crate::fakes::Page, kind: &str, value: &str) {
    let stranger = Browser::new();
    if kind != "flow" {
        let answer = http().get(house.url(&format!("/connect/{value}"))).send().await.unwrap();
        assert!(
            [404, 410, 414].contains(&answer.status().as_u16()),
            "{kind} as a link: {answer:?}"
        );
    }
    if kind != "state" {
        let answer = format!("/user/verify?state={value}&auth_request_id=x");
        let answer = stranger.get(house.url(&answer)).await;
        assert!([400, 410].contains(&answer.status), "{kind} as a state: {answer:?}");
    }
    if kind != "csrf" {
        let mut fields = page.forms[0].fields.clone();
        fields.retain(|(name, _)| name != "csrf");
        fields.push(("csrf".to_owned(), value.to_owned()));
        fields.push(("decision".to_owned(), "allow".to_owned()));
        let action = page.url.join(&page.forms[0].action).unwrap();
        let answer = stranger.submit(page, "post", action.as_str(), &fields).await;
        assert_eq!(answer.status, 403, "{kind} as a form's token: {answer:?}");
    }
    if kind != "cookie" {
        let cookie = format!("__Host-prs-browser={value}");
        let shown = http().get(house.url("/connected")).header("cookie", cookie);
        let shown = shown.send().await.unwrap().text().await.unwrap();
        assert!(!shown.contains("@octocat"), "{kind} as a cookie: {shown}");
    }
}

async fn in_the_clients_places(asking: &super::house::Asking, kind: &str, value: &str) {
    let client = asking.client();
    if kind != "client" {
        let page = http().get(client.authorize_url_with(&[("client_id", value)]));
        assert_eq!(page.send().await.unwrap().status(), 400, "{kind} as a client");
        let answer = client.redeem_with("x", &[("client_id", value)]).await;
        assert_eq!(error(answer).await.1, "invalid_client", "{kind} as a client");
    }
    assert_eq!(error(client.redeem(value).await).await.1, "invalid_grant", "{kind} as a code");
    // The resident's refresh token is another client's.
    let refreshed = client.refresh(value).await;
    assert_eq!(error(refreshed).await.1, "invalid_grant", "{kind} as a refresh token");
}

/// A sealed state is good for its tool and its arguments, and only whole.
async fn forged_states(agent: &Agent) {
    let arguments = json!({ "reconnect": true });
    let asked = agent.call("connect_github", arguments.clone()).await;
    let sealed = asked.raw["requestState"].as_str().unwrap().to_owned();
    let url = |raw: &Value| raw["inputRequests"]["authorize"]["params"]["url"].clone();
    // Used up first, so that a new link is a new one.
    Browser::new().to_consent(url(&asked.raw).as_str().unwrap()).await;
    let flipped =
        format!("{}{}", &sealed[..sealed.len() - 1], if sealed.ends_with('A') { 'B' } else { 'A' });
    let responses = json!({ "authorize": { "action": "decline" } });
    for state in [&flipped, &sealed[1..], &sealed[..sealed.len() - 1], "rubbish", ""] {
        let back = json!({ "requestState": state, "inputResponses": responses });
        let answer = agent.call_with("connect_github", arguments.clone(), back).await;
        assert_eq!(answer.raw["resultType"], "input_required", "{}", answer.raw);
        assert_ne!(url(&answer.raw), url(&asked.raw));
    }
    let back = json!({ "requestState": sealed, "inputResponses": responses });
    let answer = agent.call_with("connect_github", json!({}), back).await;
    assert!(!answer.text.contains("declined"), "the arguments are others: {}", answer.raw);
}

/// Sessions are ended and accounts disconnected by their own only.
pub async fn a40(house: &mut House) {
    let victim = house.resident("octocat").await;
    let session = victim.agent.session().to_owned();
    let delete = async |key: Option<&str>, session: &str| {
        let mut request = http().delete(house.url("/mcp")).header("mcp-session-id", session);
        if let Some(key) = key {
            request = request.bearer_auth(key);
        }
        request.send().await.unwrap().status().as_u16()
    };
    let unknown = "A".repeat(session.len());
    match house.mode {
        Mode::Session => {
            let other = house.resident("mira-holm").await;
            for guess in [&unknown, &session[..20], &session.to_lowercase()] {
                if *guess != session {
                    assert_eq!(delete(None, guess).await, 404);
                }
            }
            other.agent.call("disconnect_github", json!({})).await;
            assert_eq!(delete(None, other.agent.session()).await, 204);
            let handle = json!({ "connection": session });
            assert_eq!(
                house.agent().await.call("disconnect_github", handle).await.code(),
                "not_found"
            );
        }
        Mode::SingleUser => {
            for key in [None, Some("wrong")] {
                assert_eq!(delete(key, &session).await, 401);
                assert_eq!(delete(key, &unknown).await, 401);
            }
            assert_eq!(delete(Some(&house.server.local_key()), &unknown).await, 404);
        }
        Mode::OAuth => {
            let thief = house.resident("mira-holm").await;
            let token = thief.tokens().access.clone();
            assert_eq!(delete(Some(&token), &session).await, 404);
            assert_eq!(delete(Some(&token), &unknown).await, 404);
            thief.agent.call("disconnect_github", json!({})).await;
            // Another client's refresh token is not revoked by whoever knows it.
            let give = [
                ("token", victim.tokens().refresh.as_str()),
                ("client_id", thief.client().id.as_str()),
            ];
            thief.client().post("revocation_endpoint", &give).await;
            assert!(victim.client().is_admitted(&victim.tokens().access).await);
        }
    }
    // A page's button disconnects what its own browser connected.
    let (attacker, page) = (Browser::new(), victim.browser.get(house.url("/connected")).await);
    if let Some(form) = page.forms.first() {
        let refused = attacker.submit(&page, "post", "/connected", &form.fields).await;
        assert_eq!(refused.status, 403, "{refused:?}");
    }
    assert_eq!(login_of(&victim.agent).await.as_deref(), Some("octocat"));
    assert_eq!(victim.agent.session(), session);
}
