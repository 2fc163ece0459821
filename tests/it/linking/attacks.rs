//! What attackers try. Each ends with proof that the victim is unharmed and honest runs still work.

use futures_util::future::join_all;
use serde_json::json;

use super::{callback, connected, link, login, parameter, status, until_accounts};
use crate::{
    fakes::{Browser, Gate, Match, TokenStorage, World},
    support::Server,
};

/// A02: the attacker presses the button and forwards Scalekit's link; the victim completes it.
#[tokio::test]
async fn a02_scalekits_link_completed_in_another_browser() {
    for storage in [TokenStorage::PerRequest, TokenStorage::PerAccount] {
        let server = Server::builder().world(World::builder().token_storage(storage)).start().await;
        let (attacker, victim) = (Browser::new(), Browser::new());
        let agent = server.agent().await;
        let forwarded = attacker.to_consent(link(&agent).await).await;
        let page = victim.press(&forwarded, "Authorize as octocat").await;
        assert_eq!(page.status, 403);
        assert!(page.says("started in another browser"), "{page:?}");
        assert_eq!(server.world.scalekit.verify_calls().len(), 0);
        let told = agent.call("auth_status", json!({})).await;
        assert_eq!(told.status(), "not_connected");
        assert!(told.text.contains("another browser"), "{}", told.text);
        until_accounts(&server.world, 0).await;

        // A03: the attacker, whose browser it is, replays what the victim's browser brought.
        let replay = attacker.get(callback(&page)).await;
        assert!((400..500).contains(&replay.status), "{replay:?}");
        assert_eq!(server.world.scalekit.verify_calls().len(), 0);
        assert_eq!(status(&agent).await, "not_connected");
        connected(&server, &victim, "octocat").await;
    }
}

/// A30: the victim's authorization with the state of the attacker's second flow.
#[tokio::test]
async fn a30_the_victims_authorization_in_the_attackers_second_flow() {
    for storage in [TokenStorage::PerRequest, TokenStorage::PerAccount] {
        let server = Server::builder().world(World::builder().token_storage(storage)).start().await;
        let (attacker, victim) = (Browser::new(), Browser::new());
        let agent = server.agent().await;
        let forwarded = attacker.to_consent(link(&agent).await).await;
        let burned = victim.press(&forwarded, "Authorize as octocat").await;
        let stolen = parameter(&callback(&burned), "auth_request_id");

        // The second flow, in the attacker's own browser, as far as an unused callback.
        let second = attacker.to_consent(link(&agent).await).await;
        let gate = hold_verification(&server);
        let own = tokio::join!(attacker.press(&second, "Authorize as mira-holm"), async {
            gate.until_waiting(1).await;
            gate.release();
        });
        let state = parameter(&callback(&own.0), "state");
        let forged =
            format!("{}?state={state}&auth_request_id={stolen}", server.url("/user/verify"));
        let page = attacker.get(&forged).await;
        assert!((400..500).contains(&page.status), "{page:?}");
        assert_ne!(login(&agent).await.as_deref(), Some("octocat"));

        // And with a flow whose own callback was never used.
        let third = server.agent().await;
        let unused = attacker.to_consent(link(&third).await).await;
        let state = state_of_pending(&server, &unused);
        let forged =
            format!("{}?state={state}&auth_request_id={stolen}", server.url("/user/verify"));
        let page = attacker.get(&forged).await;
        assert!((400..500).contains(&page.status), "{page:?}");
        assert_eq!(status(&third).await, "not_connected");
        connected(&server, &victim, "octocat").await;
    }
}

/// A05: the attacker's own authorization, slipped into the victim's browser.
#[tokio::test]
async fn a05_the_attackers_authorization_in_the_victims_browser() {
    let server = Server::start().await;
    let (attacker, victim) = (Browser::new(), Browser::new());
    let victims_agent = connected(&server, &victim, "octocat").await;
    let attackers_agent = server.agent().await;
    let consent = attacker.to_consent(link(&attackers_agent).await).await;
    let gate = hold_verification(&server);
    let (page, ()) = tokio::join!(attacker.press(&consent, "Authorize as mira-holm"), async {
        gate.until_waiting(1).await;
        let waiting = server.world.scalekit.verify_calls();
        assert_eq!(waiting.len(), 2);
        gate.release();
    });
    let slipped = victim.get(callback(&page)).await;
    assert!((400..500).contains(&slipped.status), "{slipped:?}");
    assert_eq!(login(&victims_agent).await.as_deref(), Some("octocat"));
}

/// A09, A12: states that are none, and callbacks that are bogus, touch nothing.
#[tokio::test]
async fn a09_bogus_states_touch_nothing() {
    let server = Server::start().await;
    let (browser, agent) = (Browser::new(), server.agent().await);
    let consent = browser.to_consent(link(&agent).await).await;
    let real = state_of_pending(&server, &consent);
    let flipped =
        format!("{}{}", &real[..real.len() - 1], if real.ends_with('A') { 'B' } else { 'A' });
    let mut bogus =
        vec![String::new(), flipped, real[..20].to_owned(), format!("{real}x"), "%FF%00".into()];
    bogus.extend((0..200).map(|n| format!("{n:043}")));
    for state in bogus {
        let page =
            browser.get(server.url(&format!("/user/verify?state={state}&auth_request_id=x"))).await;
        assert!((400..500).contains(&page.status), "{state}: {page:?}");
    }
    let doubled = server.url(&format!("/user/verify?state={real}&state={real}&auth_request_id=x"));
    assert_eq!(browser.get(doubled).await.status, 400);
    let without = browser.get(server.url(&format!("/user/verify?state={real}"))).await;
    assert_eq!(without.status, 400);
    assert_eq!(server.world.scalekit.verify_calls().len(), 0);
    assert!(browser.press(&consent, "Authorize as octocat").await.says("Connected as @octocat"));
}

/// A10: fifty identical callbacks at once.
#[tokio::test]
async fn a10_fifty_identical_callbacks_verify_once() {
    let server = Server::start().await;
    let (browser, agent) = (Browser::new(), server.agent().await);
    let consent = browser.to_consent(link(&agent).await).await;
    let gate = hold_verification(&server);
    let press = browser.press(&consent, "Authorize as octocat");
    let others = async {
        gate.until_waiting(1).await;
        let state = state_of_pending(&server, &consent);
        let id = server.world.scalekit.verify_calls()[0].json()["auth_request_id"].clone();
        let again = format!("/user/verify?state={state}&auth_request_id={}", id.as_str().unwrap());
        let all = (0..50).map(|_| browser.get(server.url(&again)));
        let all = join_all(all).await;
        gate.release();
        all
    };
    let (page, others) = tokio::join!(press, others);
    assert!(page.says("Connected as @octocat"), "{page:?}");
    assert!(others.iter().all(|page| page.status == 409), "{others:?}");
    assert_eq!(server.world.scalekit.verify_calls().len(), 1);
    // After it is done, the same again is gone and changes nothing.
    assert_eq!(browser.get(callback(&page)).await.status, 410);
    assert_eq!(status(&agent).await, "connected");
}

/// The same state with another authorization from another browser: two hold it, so nobody has it.
#[tokio::test]
async fn a_state_that_two_browsers_hold_undoes_the_connection() {
    let server = Server::start().await;
    let (browser, agent) = (Browser::new(), server.agent().await);
    let page = browser.approve(link(&agent).await, "octocat").await;
    let state = parameter(&callback(&page), "state");
    let other = server.url(&format!("/user/verify?state={state}&auth_request_id=another"));
    assert_eq!(Browser::new().get(other).await.status, 403);
    assert_eq!(status(&agent).await, "not_connected");
    until_accounts(&server.world, 0).await;
}

/// A08, A37: looking changes nothing, and neither do prefetches and HEAD.
#[tokio::test]
async fn a08_looking_changes_nothing() {
    let server = Server::start().await;
    let (browser, agent) = (Browser::new(), server.agent().await);
    let link = link(&agent).await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let before = server.world.scalekit.calls().len();
    for _ in 0..3 {
        assert_eq!(http.head(&link).send().await.unwrap().status(), 200);
        let shown = http.get(&link).send().await.unwrap();
        assert!(shown.headers().get("set-cookie").is_none());
    }
    assert_eq!(server.world.scalekit.calls().len(), before);
    let consent = browser.to_consent(&link).await;
    let state = state_of_pending(&server, &consent);
    let callback = server.url(&format!("/user/verify?state={state}&auth_request_id=x"));
    assert_eq!(http.head(&callback).send().await.unwrap().status(), 405);
    for (name, value) in [
        ("sec-purpose", "prefetch"),
        ("sec-purpose", "prefetch;prerender"),
        ("purpose", "prefetch"),
        ("sec-fetch-mode", "no-cors"),
        ("sec-fetch-dest", "image"),
    ] {
        let answer = http.get(&callback).header(name, value).send().await.unwrap();
        assert_eq!(answer.status(), 403, "{name}: {value}");
    }
    assert!(browser.press(&consent, "Authorize as octocat").await.says("Connected as @octocat"));
}

/// A19: a form that does not come from our page.
#[tokio::test]
async fn a19_cross_site_forms_are_refused() {
    let server = Server::start().await;
    let (victim, attacker) = (Browser::new(), Browser::new());
    let agent = server.agent().await;
    let link = link(&agent).await;
    // The attacker fetches a token of his own for the form.
    let seen = attacker.get(&link).await;
    let fields = seen.form_with("Connect GitHub").unwrap().0.fields.clone();
    let evil = Browser::page_at("http://evil.example/");
    let page = victim.submit(&evil, "post", &link, &fields).await;
    assert_eq!(page.status, 403, "{page:?}");
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    for headers in [vec![], vec![("origin", "null")], vec![("sec-fetch-site", "same-site")]] {
        let mut request = http.post(&link).form(&fields);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        assert_eq!(request.send().await.unwrap().status(), 403);
    }
    // From the right page, but with no token, another link's, or another browser's.
    connected(&server, &victim, "octocat").await;
    connected(&server, &attacker, "mira-holm").await;
    let own = victim.get(&link).await;
    let of_other_browser = attacker.get(&link).await.forms[0].fields.clone();
    let of_other_link =
        victim.get(super::link(&server.agent().await).await).await.forms[0].fields.clone();
    for fields in [vec![], of_other_browser, of_other_link] {
        let page = victim.submit(&own, "post", &link, &fields).await;
        assert_eq!(page.status, 403, "{page:?}");
    }
    assert_eq!(status(&agent).await, "pending");
}

/// A07: cookies that somebody planted are nobody's identity.
#[tokio::test]
async fn a07_planted_cookies() {
    let server = Server::start().await;
    let (victim, attacker) = (Browser::new(), Browser::new());
    let agent = server.agent().await;
    let consent = attacker.to_consent(link(&agent).await).await;
    let name = "__Host-prs-browser";
    let attackers =
        attacker.jar(|jar| jar.get("127.0.0.1", name).map(|c| c.value().to_owned())).unwrap();
    // Without the prefix's protection a second cookie of that name arrives beside the victim's.
    connected(&server, &victim, "octocat").await;
    let victims =
        victim.jar(|jar| jar.get("127.0.0.1", name).map(|c| c.value().to_owned())).unwrap();
    assert_ne!(attackers, victims);
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let state = state_of_pending(&server, &consent);
    let url = server.url(&format!("/user/verify?state={state}&auth_request_id=x"));
    let both = format!("{name}={victims}; {name}={attackers}");
    let answer = http.get(url).header("cookie", both).send().await.unwrap();
    assert_eq!(answer.status(), 400);
    assert_eq!(server.world.scalekit.verify_calls().len(), 1);
    let page =
        victim.get(server.url("/connected?sid=anything&usr=usr_AAAAAAAAAAAAAAAAAAAAAA")).await;
    assert!(page.says("Connected as @octocat"));
}

/// A04: only the configured origin forms links.
#[tokio::test]
async fn a04_forged_hosts_form_no_link() {
    let server = Server::start().await;
    let agent = server.agent().await;
    let browser = Browser::new();
    browser.to_consent(link(&agent).await).await;
    for call in server.world.scalekit.calls() {
        if call.path.ends_with("magic_link") {
            let url = call.json()["user_verify_url"].as_str().unwrap().to_owned();
            assert_eq!(url, server.url("/user/verify"));
        }
    }
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    for (name, value) in [
        ("x-forwarded-host", "evil.example"),
        ("forwarded", "host=evil.example"),
        ("x-forwarded-proto", "https"),
        ("via", "1.1 evil"),
        ("host", "evil.example"),
    ] {
        for path in ["/mcp", "/", "/connect/x", "/user/verify", "/connected"] {
            let answer = http.get(server.url(path)).header(name, value).send().await.unwrap();
            assert_eq!(answer.status(), 403, "{name} at {path}");
            assert!(!answer.text().await.unwrap().contains("evil"));
        }
    }
}

/// A20: no page of ours can be framed or clicked through.
#[tokio::test]
async fn a20_every_page_carries_its_headers() {
    let server = Server::start().await;
    let (browser, agent) = (Browser::new(), server.agent().await);
    let connect = browser.get(link(&agent).await).await;
    let done = browser.approve(&connect.url, "octocat").await;
    let pages = [
        connect,
        done,
        browser.get(server.url("/")).await,
        browser.get(server.url("/nothing-here")).await,
        browser.get(server.url("/connect/short")).await,
        browser.get(server.url("/user/verify")).await,
    ];
    for page in pages {
        let header = |name: &str| page.headers[name].to_str().unwrap().to_owned();
        let policy = header("content-security-policy");
        for part in [
            "default-src 'none'",
            "frame-ancestors 'none'",
            "form-action 'self'",
            "base-uri 'none'",
        ] {
            assert!(policy.contains(part), "{policy}");
        }
        assert_eq!(header("x-frame-options"), "DENY");
        assert_eq!(header("referrer-policy"), "same-origin");
        assert_eq!(header("cache-control"), "no-store");
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert!(!page.body.contains("<script"), "{page:?}");
    }
}

/// A35: what a program calls itself is shown as a claim, filtered.
#[tokio::test]
async fn a35_spoofed_client_names() {
    let server = Server::start().await;
    let name = format!("<b>GitHub</b>\u{202e}\u{200b}\r\n{}", "x".repeat(10_000));
    let agent = crate::support::Agent::legacy_with(&server.url("/mcp"), None, &name).await;
    let page = Browser::new().get(link(&agent).await).await;
    assert!(page.says("calls itself"), "{page:?}");
    assert!(!page.body.contains("<b>") && !page.body.contains('\u{202e}'), "{page:?}");
    assert!(page.body.len() < 10_000);
}

/// Verification waits at Scalekit until released.
fn hold_verification(server: &Server) -> Gate {
    server.world.scalekit.hold(Match::path("POST", "/api/v1/connected_accounts/user/verify"))
}

/// The state of the link minted last, as Scalekit was told it.
fn state_of_pending(server: &Server, _consent: &crate::fakes::Page) -> String {
    let calls = server.world.scalekit.calls();
    let last = calls.iter().rev().find(|call| call.path.ends_with("magic_link")).unwrap();
    last.json()["state"].as_str().unwrap().to_owned()
}
