//! Whose browser is it? One person starts a connection and another one finishes it.

use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::join_all;
use serde_json::json;

use super::house::{
    Asking, House, Resident, assert_refused, came_back, parameter, possible_callback,
    with_parameter,
};
use crate::{
    fakes::{Browser, LinkUse, Match},
    oauth::client::OAuthClient,
};

/// A link is sent to a victim, who goes the whole way in their own browser.
pub async fn a01(house: &mut House) {
    let victim = house.resident("octocat").await;
    let attacker = house.resident("mira-holm").await;
    let accounts = house.accounts();
    let repair = Resident { agent: attacker.agent.again(), ..house.resident("mira-holm").await };
    let page = repair.repair().approve(&victim.browser, "octocat").await;
    assert_eq!(page.status, 403, "{page:?}");
    assert!(page.says("came back as @octocat"), "{page:?}");
    assert_eq!(attacker.login().await.as_deref(), Some("mira-holm"));
    // Connecting @mira-holm a second time has replaced the first account.
    super::house::until("the victim's account stays", || house.accounts().len() == accounts.len())
        .await;
    // The attacker's authorize link gives a code to the address that the client registered, and
    // without the verifier it is worth nothing.
    let client = attacker.client();
    let code = client.code(&client.trip(&victim.browser, "octocat").await);
    let stranger = OAuthClient::discover(&house.server).await;
    assert_eq!(stranger.redeem(&code).await.status(), 400);
    // The sender knows the client and its address, but not what it made up for this trip.
    let guessed = [("code_verifier", "what-the-attacker-guesses-instead-of-it-0000")];
    assert_eq!(client.redeem_with(&code, &guessed).await.status(), 400);
    assert_eq!(client.redeem(&code).await.status(), 200, "it was good all the time");
    assert!(client.arrived().iter().any(|query| query.contains(&code)));
    assert_eq!(victim.login().await.as_deref(), Some("octocat"));
}

/// The attacker presses the button and forwards Scalekit's link; the victim completes it.
pub async fn a02(house: &mut House) {
    for (asking, login) in house.links().await {
        let (attacker, victim) = (Browser::new(), Browser::new());
        let (verified, accounts, before) =
            (house.verified(), house.accounts(), asking.login().await);
        let forwarded = asking.to_github(&attacker).await;
        let page = victim.press(&forwarded, &format!("Authorize as {login}")).await;
        assert_eq!(page.status, 403, "{page:?}");
        assert!(page.says("started in another browser"), "{page:?}");
        assert_eq!(house.verified(), verified);
        assert_eq!(asking.login().await, before);
        if let Some(agent) = asking.agent().await.filter(|_| before.is_none()) {
            let told = agent.call("auth_status", json!({})).await;
            assert!(told.text.contains("another browser"), "{}", told.text);
        }
        house.until_no_more_than(&accounts).await;
    }
}

/// Addresses of callbacks that have done their work, opened once more.
pub async fn a03(house: &mut House) {
    for (asking, login) in house.links().await {
        let (attacker, victim) = (Browser::new(), Browser::new());
        let (verified, before) = (house.verified(), asking.login().await);
        let forwarded = asking.to_github(&attacker).await;
        let page = victim.press(&forwarded, &format!("Authorize as {login}")).await;
        // The attacker, whose browser it is, replays what the victim's browser brought.
        for browser in [&attacker, &victim, &Browser::new()] {
            assert_refused(&browser.get(came_back(&page)).await);
        }
        assert_eq!(house.verified(), verified);
        assert_eq!(asking.login().await, before);
        // After an honest end it is gone, in any browser, and changes nothing.
        let done = asking.approve(&victim, login).await;
        assert_eq!(victim.get(came_back(&done)).await.status, 410);
        assert_eq!(attacker.get(came_back(&done)).await.status, 410);
        assert_eq!(house.verified(), verified + 1);
        assert_eq!(asking.login().await.as_deref(), Some(login));
        // But the same state with another authorization means that two browsers hold it.
        let other = with_parameter(&came_back(&done), "auth_request_id", "another");
        assert_eq!(attacker.get(other).await.status, 403);
        assert_eq!(house.verified(), verified + 1);
        assert_nothing_left(&asking, &victim, house).await;
    }
    if house.is_oauth() {
        one_link_for_two(house).await;
    }
}

/// What a trip had given is gone: the program's access, and the sign-in of the browser.
async fn assert_nothing_left(asking: &Asking, browser: &Browser, house: &House) {
    let Some(tokens) = asking.tokens() else {
        assert_eq!(asking.login().await, None);
        return;
    };
    assert!(!asking.client().is_admitted(&tokens.access).await);
    assert_eq!(asking.client().refresh(&tokens.refresh).await.status(), 400);
    let page = browser.get(house.url("/")).await;
    assert!(page.form_with("Sign in with GitHub").is_some(), "{page:?}");
}

/// Should one of Scalekit's links serve two people, and the tokens lie with the account, then the
/// attacker, who is faster, is taken for the victim: until the victim comes back.
async fn one_link_for_two(house: &House) {
    let scalekit = &house.server.world.scalekit;
    scalekit.configure(|settings| settings.links = LinkUse::Often);
    let (attacker, victim, trip) = (Browser::new(), Browser::new(), house.asks().await);
    let at_github = trip.to_github(&attacker).await;
    let link = at_github.chain.iter().find(|hop| hop.url.path().starts_with("/magicLink/"));
    let at_github_too = victim.get(&link.unwrap().url).await;
    let own = possible_callback(&attacker, &at_github, "mira-holm").await.unwrap();
    let theirs = possible_callback(&victim, &at_github_too, "octocat").await.unwrap();
    attacker.get(own).await;
    assert!(trip.login().await.is_some());
    let page = victim.get(theirs).await;
    assert_eq!(page.status, 403, "{page:?}");
    assert_nothing_left(&trip, &attacker, house).await;
    // Nor does it come back when the victim connects for themselves.
    let resident = house.resident("octocat").await;
    assert_nothing_left(&trip, &attacker, house).await;
    assert_eq!(resident.login().await.as_deref(), Some("octocat"));
    scalekit.configure(|settings| settings.links = LinkUse::Once);
}

/// The attacker's own authorization, slipped into the victim's browser.
pub async fn a05(house: &mut House) {
    let victim = house.resident("octocat").await;
    let (attacker, asking) = (Browser::new(), house.asks().await);
    let callback = asking.callback(&attacker, "mira-holm").await;
    let verified = house.verified();
    let slipped = victim.browser.get(&callback).await;
    assert_eq!(slipped.status, 403, "{slipped:?}");
    assert_eq!(house.verified(), verified);
    assert_eq!(victim.login().await.as_deref(), Some("octocat"));
    let shown = if house.is_oauth() { "/" } else { "/connected" };
    assert!(victim.browser.get(house.url(shown)).await.says("@octocat"));
    // In the middle of the victim's own connection too: with the state of the attacker's.
    let theirs = house.asks().await;
    let consent = theirs.to_github(&victim.browser).await;
    assert_refused(&victim.browser.get(&callback).await);
    victim.browser.press(&consent, "Authorize as octocat").await;
    assert_eq!(theirs.login().await.as_deref(), Some("octocat"));
}

/// The victim's link has leaked, and the attacker completes it.
pub async fn a06(house: &mut House) {
    let victim = house.resident("octocat").await;
    victim.agent.call("disconnect_github", json!({})).await;
    let link = victim.agent.call("connect_github", json!({})).await.link();
    let page = Browser::new().approve(&link, "mira-holm").await;
    assert_eq!(page.status, 403, "{page:?}");
    let told = victim.agent.call("auth_status", json!({})).await;
    assert_eq!(told.status(), "not_connected");
    assert!(told.text.contains("@mira-holm"), "{}", told.text);
    house.until_no_more_than(&[].into()).await;
    let link = victim.agent.call("connect_github", json!({})).await.link();
    assert!(Browser::new().approve(&link, "octocat").await.says("Connected as @octocat"));
    assert_eq!(victim.login().await.as_deref(), Some("octocat"));
    // The same where a connection is there that no longer works, which is when repairs happen.
    house.server.world.scalekit.revoke_github_grant("octocat");
    let wanted = json!({ "repository": "lighthouse-labs/beacon" });
    let revoked = victim.agent.call("summarize_prs", wanted.clone()).await;
    assert_eq!(revoked.code(), "reauthorization_required", "{}", revoked.text);
    let link = victim.agent.call("connect_github", json!({ "reconnect": true })).await.link();
    assert_eq!(Browser::new().approve(&link, "mira-holm").await.status, 403);
    for (tool, arguments) in [("auth_status", json!({})), ("summarize_prs", wanted)] {
        let told = victim.agent.call(tool, arguments).await;
        assert!(told.text.contains("@mira-holm"), "{tool}: {}", told.text);
        assert!(told.text.contains("@octocat no longer works"), "{tool}: {}", told.text);
    }
    let link = victim.agent.call("connect_github", json!({ "reconnect": true })).await.link();
    assert!(Browser::new().approve(&link, "octocat").await.says("Connected as @octocat"));
}

/// Fifty identical callbacks at once.
pub async fn a10(house: &mut House) {
    for (asking, login) in house.links().await {
        let (browser, verified) = (Browser::new(), house.verified());
        let callback = asking.callback(&browser, login).await;
        let pages = join_all((0..50).map(|_| browser.get(&callback))).await;
        assert_eq!(house.verified(), verified + 1);
        assert!(pages.iter().any(|page| page.status == 200), "{pages:?}");
        assert!(pages.iter().all(|page| [200, 409, 410].contains(&page.status)), "{pages:?}");
        assert_eq!(asking.login().await.as_deref(), Some(login));
        assert_eq!(browser.get(&callback).await.status, 410);
        // One that looks at the account before the others, and is told of it after they verified.
        let callback = asking.callback(&browser, login).await;
        let is_first = AtomicBool::new(true);
        let gate = house.server.world.scalekit.hold(Match::new(move |call| {
            call.path.ends_with("/details") && is_first.swap(false, Ordering::SeqCst)
        }));
        let others = async {
            gate.until_waiting(1).await;
            let page = browser.get(&callback).await;
            gate.release();
            page
        };
        let (late, page) = tokio::join!(browser.get(&callback), others);
        assert_eq!((late.status, page.status), (409, 200), "{late:?}");
        assert_eq!(house.verified(), verified + 2);
        assert_eq!(asking.login().await.as_deref(), Some(login));
    }
}

/// Authorizations are exchanged between flows: Scalekit does not bind one to the other.
pub async fn a30(house: &mut House) {
    let (attacker, victim) = (Browser::new(), Browser::new());
    let first = house.asks().await;
    let forwarded = first.to_github(&attacker).await;
    let burned = victim.press(&forwarded, "Authorize as octocat").await;
    let stolen = parameter(&came_back(&burned), "auth_request_id");
    // The victim's, with the state of the attacker's second flow, in the attacker's own browser.
    let second = house.asks().await;
    let own = second.callback(&attacker, "mira-holm").await;
    let page = attacker.get(with_parameter(&own, "auth_request_id", &stolen)).await;
    assert_refused(&page);
    assert_eq!(second.login().await, None);
    // And with a flow of which nothing was used.
    let third = house.asks().await;
    third.to_github(&attacker).await;
    let state = last_state(house);
    let page = attacker.get(with_parameter(&own, "auth_request_id", &stolen)).await;
    assert_refused(&page);
    let forged = house.url(&format!("/user/verify?state={state}&auth_request_id={stolen}"));
    assert_refused(&attacker.get(forged).await);
    assert_eq!(third.login().await, None);
    assert!(house.server.world.scalekit.active_accounts().is_empty());

    // The attacker's own, after the victim has consented to the same connection: the button was
    // pressed twice, one of Scalekit's links went to the victim, and the attacker is faster than
    // the victim's way back.
    for first_to_victim in [true, false] {
        let fourth = house.asks().await;
        let link = fourth.link().await;
        let (first, second) = (pressed(&attacker, &link).await, pressed(&attacker, &link).await);
        let (mine, theirs) = if first_to_victim { (second, first) } else { (first, second) };
        let own = possible_callback(&attacker, &mine, "mira-holm").await;
        possible_callback(&victim, &theirs, "octocat").await;
        if let Some(own) = own {
            attacker.get(own).await;
        }
        assert_ne!(fourth.login().await.as_deref(), Some("octocat"));
        let agents = [fourth.agent().await];
        for agent in agents.into_iter().flatten() {
            agent.call("disconnect_github", json!({})).await;
        }
    }
}

/// In whatever browser a repair is done, only the account itself counts.
pub async fn a33(house: &mut House) {
    let resident = house.resident("octocat").await;
    let before = house.accounts();
    // No cookie, another browser, another machine: the same account is enough.
    let page = Browser::new().approve(repair_link(&resident).await, "octocat").await;
    assert!(page.says("Connected as @octocat"), "{page:?}");
    super::house::until("the old account stays", || house.accounts().is_disjoint(&before)).await;
    assert_eq!(resident.login().await.as_deref(), Some("octocat"));
    // Another is refused, and what was there stays.
    let before = house.accounts();
    let page = Browser::new().approve(repair_link(&resident).await, "mira-holm").await;
    assert_eq!(page.status, 403, "{page:?}");
    assert_eq!(resident.login().await.as_deref(), Some("octocat"));
    house.until_no_more_than(&before).await;
    // A browser that linked an account before is not taken for the account.
    let thief = house.resident("mira-holm").await;
    let link = repair_link(&thief).await;
    let page = resident.browser.get(&link).await;
    assert!(page.form_with("again").is_none(), "{page:?}");
    let mut forged = page.form_with("Connect").unwrap().0.fields.clone();
    let id = house.server.world.github.update(|state| {
        let found = state.people.iter().find(|person| person.login == "octocat");
        found.unwrap().id.to_string()
    });
    forged.push(("use_again".to_owned(), id));
    let refused = resident.browser.submit(&page, "post", &link, &forged).await;
    assert_eq!(refused.status, 409, "{refused:?}");
    assert_eq!(thief.login().await.as_deref(), Some("mira-holm"));
}

async fn repair_link(resident: &Resident) -> String {
    let answer = resident.agent.call("connect_github", json!({ "reconnect": true })).await;
    assert_eq!(answer.status(), "authorization_required", "{}", answer.text);
    answer.link()
}

/// The button of a page that may have been pressed before, as far as GitHub.
async fn pressed(browser: &Browser, link: &str) -> crate::fakes::Page {
    let page = browser.get(link).await;
    let button = ["Connect GitHub", "another", "Allow and go on"]
        .into_iter()
        .find(|button| page.form_with(button).is_some());
    browser.press(&page, button.unwrap_or_else(|| panic!("no button: {page:?}"))).await
}

/// The state of the link minted last, as Scalekit was told it.
pub fn last_state(house: &House) -> String {
    let calls = house.server.world.scalekit.calls();
    let last = calls.iter().rev().find(|call| call.path.ends_with("magic_link")).unwrap();
    last.json()["state"].as_str().unwrap().to_owned()
}
