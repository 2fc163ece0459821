//! Flows: what looking, guessing, hurrying and crashing do to them.

use pr_summarizer::domain::{Entropy, SystemEntropy};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{
    house::{House, assert_refused, http, parameter, until, with_parameter},
    linking::last_state,
};
use crate::fakes::{Browser, Match};

/// GET and HEAD of every page, with and without a cookie, change nothing.
pub async fn a08(house: &mut House) {
    let resident = house.resident("octocat").await;
    let (browser, asking) = (Browser::new(), house.asks().await);
    let pending = asking.to_github(&browser).await;
    let fresh = house.asks().await.link().await;
    let mut pages: Vec<String> =
        ["/", "/connected", "/person", "/user/verify", "/connect/x", "/healthz", "/none"]
            .map(|path| house.url(path))
            .into();
    pages.push(fresh);
    if house.is_oauth() {
        pages.push(resident.asking.link().await);
        let answer = resident.agent.call("connect_github", serde_json::json!({"reconnect": true}));
        pages.push(answer.await.link());
    }
    let (calls, accounts) = (house.server.world.scalekit.calls().len(), house.accounts());
    let cookie = resident.browser.jar(|jar| {
        jar.all()
            .iter()
            .map(|kept| format!("{}={}", kept.cookie.name(), kept.cookie.value()))
            .next()
    });
    for page in &pages {
        for method in ["HEAD", "GET", "GET"] {
            for cookie in [None, cookie.as_ref()] {
                let mut request = http().request(method.parse().unwrap(), page);
                if let Some(cookie) = cookie {
                    request = request.header("cookie", cookie);
                }
                let answer = request.header("accept", "text/html").send().await.unwrap();
                assert!(answer.headers().get("set-cookie").is_none(), "{method} {page}");
                assert!(!answer.status().is_redirection(), "{method} {page}");
                assert!(answer.status().as_u16() < 500, "{method} {page}");
            }
        }
    }
    assert_eq!(house.server.world.scalekit.calls().len(), calls);
    assert_eq!(house.accounts(), accounts);
    browser.press(&pending, "Authorize as octocat").await;
    assert_eq!(asking.login().await.as_deref(), Some("octocat"));
    assert_eq!(resident.login().await.as_deref(), Some("octocat"));
}

/// States that are none, no longer one, or somebody else's.
pub async fn a09(house: &mut House) {
    let (browser, asking) = (Browser::new(), house.asks().await);
    let expired = asking.callback(&browser, "octocat").await;
    house.server.clock.advance(chrono::Duration::minutes(16));
    let verified = house.verified();
    assert_eq!(browser.get(&expired).await.status, 410);
    let callback = asking.callback(&browser, "octocat").await;
    let real = parameter(&callback, "state");
    let (rest, last) = real.split_at(real.len() - 1);
    let flipped = format!("{rest}{}", if last == "A" { "B" } else { "A" });
    for bogus in ["", &flipped, &real[..20], &format!("{real}x"), "\u{ff}\0", &"A".repeat(5_000)] {
        assert_refused(&browser.get(with_parameter(&callback, "state", bogus)).await);
    }
    let doubled = format!("{callback}&state={real}");
    assert_eq!(browser.get(doubled).await.status, 400);
    let without = house.url(&format!("/user/verify?state={real}"));
    assert_eq!(browser.get(without).await.status, 400);
    let entropy: &dyn Entropy = &SystemEntropy;
    knock(house, (0..10_000).map(|_| entropy.token::<32>()).collect()).await;
    assert_eq!(house.verified(), verified);
    // Another's state is another browser's: it ends only itself.
    let others = house.asks().await.callback(&Browser::new(), "mira-holm").await;
    assert_eq!(browser.get(others).await.status, 403);
    assert_eq!(house.verified(), verified);
    browser.get(&callback).await;
    assert_eq!(house.verified(), verified + 1);
    assert_eq!(asking.login().await.as_deref(), Some("octocat"));
    assert_eq!(browser.get(&callback).await.status, 410);
    assert_eq!(house.verified(), verified + 1);
}

/// Asks for `/user/verify` with each of these states, over one connection, a hundred at a time.
async fn knock(house: &House, states: Vec<String>) {
    let authority = house.authority();
    let mut stream = TcpStream::connect(&authority).await.unwrap();
    let (mut seen, mut asked) = (String::new(), 0);
    for chunk in states.chunks(100) {
        let requests: Vec<String> = chunk
            .iter()
            .map(|state| {
                format!("GET /user/verify?state={state}&auth_request_id=x HTTP/1.1\r\nhost: {authority}\r\n\r\n")
            })
            .collect();
        stream.write_all(requests.concat().as_bytes()).await.unwrap();
        asked += chunk.len();
        let mut buffer = vec![0; 64 * 1024];
        while seen.matches("HTTP/1.1 410 Gone").count() < chunk.len() {
            let read = stream.read(&mut buffer).await.unwrap();
            assert!(read > 0, "the server hung up");
            seen += &String::from_utf8_lossy(&buffer[..read]);
            let other =
                seen.matches("HTTP/1.1 ").count() > seen.matches("HTTP/1.1 410 G").count() + 1;
            assert!(!other, "{seen}");
        }
        seen.clear();
    }
    assert_eq!(asked, 10_000);
}

/// Tabs, agents and clients do not hinder each other, from a browser's very first page on.
pub async fn a11(house: &mut House) {
    let browser = Browser::new();
    let (one, two) = (house.asks().await, house.asks().await);
    // Both pages are shown before this browser has its cookie.
    let first = browser.get(one.link().await).await;
    let second = browser.get(two.link().await).await;
    let button = if house.is_oauth() { "Allow and go on" } else { "Connect GitHub" };
    let at_github = browser.press(&first, button).await;
    // The one person of a machine is given the same link as long as it is unused.
    let second = if second.url == first.url && !house.is_oauth() {
        two.to_github(&browser).await
    } else {
        browser.press(&second, button).await
    };
    browser.press(&second, "Authorize as octocat").await;
    browser.press(&at_github, "Authorize as octocat").await;
    assert_eq!(one.login().await.as_deref(), Some("octocat"));
    assert_eq!(two.login().await.as_deref(), Some("octocat"));
    // Now that it is known.
    let (one, two) = (house.asks().await, house.asks().await);
    let (first, second) = (one.to_github(&browser).await, two.to_github(&browser).await);
    browser.press(&second, "Authorize as mira-holm").await;
    browser.press(&first, "Authorize as mira-holm").await;
    assert_eq!(one.login().await.as_deref(), Some("mira-holm"));
    assert_eq!(two.login().await.as_deref(), Some("mira-holm"));
    // Two tabs of one program.
    let both = house.asks().await;
    let (first, second) = (both.to_github(&browser).await, both.to_github(&browser).await);
    browser.press(&first, "Authorize as octocat").await;
    browser.press(&second, "Authorize as octocat").await;
    assert_eq!(both.login().await.as_deref(), Some("octocat"));
    for end in ["Authorize as mira-holm", "Cancel"] {
        two_tabs_of_one_link(house, end).await;
    }
}

/// The button of one link, pressed in two tabs: the older one is not wanted any more, however it
/// ends, and the newer one works.
async fn two_tabs_of_one_link(house: &House, end: &str) {
    let resident = house.resident("mira-holm").await;
    let again = resident.agent.call("connect_github", serde_json::json!({ "reconnect": true }));
    let (browser, link) = (Browser::new(), again.await.link());
    // Its account is deleted at once, but Scalekit may be slow.
    let delete = Match::path("POST", "/api/v1/connected_accounts:delete");
    let gate = house.server.world.scalekit.hold(delete);
    let (older, newer) = (browser.to_consent(&link).await, browser.to_consent(&link).await);
    let verified = house.verified();
    let page = browser.press(&older, end).await;
    assert_eq!(page.status, 410, "{page:?}");
    assert!(page.says("newer link"), "{page:?}");
    assert_eq!(house.verified(), verified);
    drop(gate);
    let page = browser.press(&newer, "Authorize as mira-holm").await;
    assert!(page.says("Connected as @mira-holm"), "{page:?}");
    assert_eq!(resident.login().await.as_deref(), Some("mira-holm"));
}

/// Callbacks that Scalekit never sent, while an honest one is on its way.
pub async fn a12(house: &mut House) {
    for (asking, login) in house.links().await {
        let browser = Browser::new();
        let consent = asking.to_github(&browser).await;
        let state = last_state(house);
        let verified = house.verified();
        for bogus in [
            "state=unknown&auth_request_id=x".to_owned(),
            "auth_request_id=x".to_owned(),
            "error=access_denied&state=unknown".to_owned(),
            "error=access_denied".to_owned(),
            format!("state={state}"),
            format!("state={state}&auth_request_id="),
            format!("state={state}&auth_request_id={}", "x".repeat(2_000)),
            format!("state={state}&state={state}&auth_request_id=x"),
            // Nobody has consented yet, so there is nothing to verify.
            format!("state={state}&auth_request_id=made-up"),
            format!("state={state}&auth_request_id=x&auth_request_id=y"),
            format!("state[]={state}&auth_request_id=x"),
            String::new(),
        ] {
            for at in [&browser, &Browser::new()] {
                let from_other = !std::ptr::eq(at, &raw const browser) && bogus.contains(&state);
                // From another browser that is A02, and ends it.
                if !from_other || bogus.contains("&state=") || bogus.contains("[]") {
                    assert_refused(&at.get(house.url(&format!("/user/verify?{bogus}"))).await);
                }
            }
        }
        assert_eq!(house.verified(), verified);
        browser.press(&consent, &format!("Authorize as {login}")).await;
        assert_eq!(asking.login().await.as_deref(), Some(login));
    }
}

/// The process dies after Scalekit verified and before it was written down.
pub async fn a13(house: &mut House) {
    house.server.restart_as_program().await;
    let (browser, asking) = (Browser::new(), house.asks().await);
    let repairs = if house.is_oauth() {
        let resident = house.resident("octocat").await;
        resident.repair()
    } else {
        asking
    };
    let verified = house.verified();
    let consent = repairs.to_github(&browser).await;
    let gate = house.server.world.scalekit.hold(Match::path("GET", "/proxy/user"));
    {
        let press = browser.press(&consent, "Authorize as octocat");
        tokio::select! {
            page = press => panic!("it must not finish: {page:?}"),
            () = gate.until_waiting(1) => {}
        }
    }
    house.server.kill_and_restart().await;
    gate.release();
    assert_eq!(repairs.login().await.as_deref(), Some("octocat"));
    assert_eq!(house.verified(), verified + 1, "no second consent");
    if house.is_oauth() {
        // The client of a trip has nothing yet to ask with: the person opens the same page again.
        let trip = house.asks().await;
        let callback = trip.callback(&browser, "octocat").await;
        let gate = house.server.world.scalekit.hold(Match::path("GET", "/proxy/user"));
        tokio::select! {
            page = browser.get(&callback) => panic!("it must not finish: {page:?}"),
            () = gate.until_waiting(1) => {}
        }
        house.server.kill_and_restart().await;
        gate.release();
        browser.get(&callback).await;
        assert_eq!(trip.login().await.as_deref(), Some("octocat"));
        assert_eq!(house.verified(), verified + 2, "no second consent");
    }
}

/// What was burned, has expired or was superseded leaves no account at Scalekit.
pub async fn a31(house: &mut House) {
    let before = house.accounts();
    // Burned in another browser, declined, refused.
    let (attacker, victim) = (Browser::new(), Browser::new());
    let forwarded = house.asks().await.to_github(&attacker).await;
    victim.press(&forwarded, "Authorize as octocat").await;
    let consent = house.asks().await.to_github(&attacker).await;
    attacker.press(&consent, "Cancel").await;
    let refused = house.asks().await.callback(&attacker, "octocat").await;
    attacker.get(with_parameter(&refused, "auth_request_id", "another")).await;
    house.until_no_more_than(&before).await;
    // Superseded: each program has so many open.
    if !house.is_oauth() {
        let agent = house.asks().await;
        for _ in 0..7 {
            agent.to_github(&attacker).await;
        }
        until("superseded accounts stay", || house.accounts().len() <= before.len() + 5).await;
    }
    // Expired: opened and left, and consented to but never brought back.
    house.asks().await.to_github(&attacker).await;
    house.asks().await.callback(&attacker, "octocat").await;
    assert!(house.accounts().len() > before.len());
    house.server.clock.advance(chrono::Duration::minutes(16));
    // A start sweeps first of all.
    house.server.restart().await;
    house.until_no_more_than(&before).await;
}

/// What browsers and scanners open by themselves: nothing is verified, nothing burned.
pub async fn a37(house: &mut House) {
    for (asking, login) in house.links().await {
        let (browser, verified) = (Browser::new(), house.verified());
        let link = asking.link().await;
        let page = browser.get(&link).await;
        let callback = asking.callback(&browser, login).await;
        let cookie = browser.jar(|jar| {
            let kept = jar.all().first().expect("the browser has its cookie");
            format!("{}={}", kept.cookie.name(), kept.cookie.value())
        });
        for (name, value) in [
            ("sec-purpose", "prefetch"),
            ("sec-purpose", "prefetch;prerender"),
            ("sec-purpose", "prefetch;anonymous-client-ip"),
            ("purpose", "prefetch"),
            ("x-purpose", "preview"),
            ("x-moz", "prefetch"),
            ("sec-fetch-mode", "no-cors"),
            ("sec-fetch-mode", "cors"),
            ("sec-fetch-dest", "image"),
            ("sec-fetch-dest", "iframe"),
            ("sec-fetch-dest", "empty"),
        ] {
            for sent in [None, Some(&cookie)] {
                let get = |url: &str| {
                    let request = http().get(url).header(name, value);
                    sent.map(|c| request.try_clone().unwrap().header("cookie", c))
                        .unwrap_or(request)
                };
                let answer = get(&callback).send().await.unwrap();
                assert_eq!(answer.status(), 403, "{name}: {value}");
                let answer = get(page.url.as_str()).send().await.unwrap();
                assert!(answer.headers().get("set-cookie").is_none());
            }
        }
        for url in [&callback, &link] {
            for sent in ["", &cookie] {
                let head = http().head(url).header("cookie", sent).send().await.unwrap();
                assert!([200, 405, 409].contains(&head.status().as_u16()), "{head:?}");
            }
        }
        assert_eq!(house.verified(), verified);
        browser.get(&callback).await;
        assert_eq!(house.verified(), verified + 1);
        assert_eq!(asking.login().await.as_deref(), Some(login));
    }
}
