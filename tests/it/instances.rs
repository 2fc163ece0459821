//! Three instances on one Redis, without sticky routing.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::time::timeout;

use crate::{
    fakes::Browser,
    oauth::client::{OAuthClient, error},
    support::{Agent, Fleet},
};

const REPOSITORY: &str = "lighthouse-labs/beacon";
const RECOVERY: Duration = Duration::from_secs(5);

async fn pause(time: Duration) {
    let _ = timeout(time, std::future::pending::<()>()).await;
}

async fn login(agent: &Agent) -> Option<String> {
    let answer = agent.call("auth_status", json!({})).await;
    answer.data["github_login"].as_str().map(str::to_owned)
}

#[tokio::test]
async fn connect_on_one_call_back_at_the_second_summarize_on_the_third() {
    let Some(fleet) = Fleet::start("session").await else { return };
    let browser = Browser::new();
    fleet.only(0);
    let agent = fleet.agent().await;
    let link = agent.call("connect_github", json!({})).await.link();
    assert!(link.starts_with(&fleet.origin()), "{link}");
    let consent = browser.to_consent(link).await;
    fleet.only(1);
    let page = browser.press(&consent, "Authorize as octocat").await;
    assert!(page.says("Connected as @octocat"), "{page:?}");
    fleet.only(2);
    let summary =
        agent.call("summarize_prs", json!({ "repository": REPOSITORY, "limit": 2 })).await;
    assert!(!summary.is_error, "{}", summary.text);
    assert_eq!(summary.data["pull_requests"].as_array().unwrap().len(), 2);
    assert!(fleet.given().iter().all(|given| *given > 0), "{:?}", fleet.given());
}

/// The call waits at the first instance, and hears of what happened at the second from the store.
#[tokio::test]
async fn a_call_that_waits_hears_of_the_callback_at_another_instance() {
    let Some(fleet) = Fleet::start("session").await else { return };
    let browser = Browser::new();
    fleet.only(0);
    let agent = fleet.asking_agent();
    let asked = agent.call("connect_github", json!({})).await;
    let url = asked.raw["inputRequests"]["authorize"]["params"]["url"].as_str().unwrap().to_owned();
    let consent = browser.to_consent(url).await;
    let back = json!({
        "requestState": asked.raw["requestState"],
        "inputResponses": { "authorize": { "action": "accept" } },
    });
    let given = fleet.given();
    let waiting = agent.call_with("connect_github", json!({}), back);
    let person = async {
        // Until the call is at the first instance.
        while fleet.given() == given {
            tokio::task::yield_now().await;
        }
        fleet.only(1);
        browser.press(&consent, "Authorize as octocat").await
    };
    let (answer, page) = tokio::join!(waiting, person);
    assert!(page.says("Connected as @octocat"), "{page:?}");
    assert_eq!(answer.status(), "connected", "{}", answer.raw);
}

#[tokio::test]
async fn a_stranger_signs_in_through_all_instances_in_turn() {
    let Some(fleet) = Fleet::start("oauth").await else { return };
    let (browser, client) = (Browser::new(), OAuthClient::discover_at(&fleet.origin()).await);
    let tokens = client.authorized(&browser, "octocat").await;
    let agent = client.agent(&tokens).await;
    for _ in 0..3 {
        assert_eq!(login(&agent).await.as_deref(), Some("octocat"));
    }
    // A code that was used at one instance is used at all, and a rotated token ends the family.
    let code = client.code(&client.trip(&browser, "octocat").await);
    let first = client.redeem(&code).await;
    assert_eq!(first.status(), 200);
    assert_eq!(error(client.redeem(&code).await).await.1, "invalid_grant");
    assert!(fleet.given().iter().all(|given| *given > 3), "{:?}", fleet.given());
}

/// One instance after the other is replaced while people work: nobody notices.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_loses_nothing() {
    let Some(mut fleet) = Fleet::start("oauth").await else { return };
    let client = OAuthClient::discover_at(&fleet.origin()).await;
    let tokens = client.authorized(&Browser::new(), "octocat").await;
    let agent = Arc::new(client.agent(&tokens).await);
    let (stop, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let work = tokio::spawn({
        let (agent, stop, calls) = (Arc::clone(&agent), Arc::clone(&stop), Arc::clone(&calls));
        async move {
            while !stop.load(Ordering::Relaxed) {
                assert_eq!(login(&agent).await.as_deref(), Some("octocat"));
                calls.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    // A trip that is under way meanwhile.
    let browser = Browser::new();
    let consent = client.to_github(&browser).await;
    for number in 0..3 {
        let before = calls.load(Ordering::Relaxed);
        fleet.end(number).await;
        fleet.begin(number).await;
        while calls.load(Ordering::Relaxed) < before + 5 {
            pause(Duration::from_millis(5)).await;
            assert!(!work.is_finished(), "a call failed");
        }
    }
    let page = browser.press(&consent, "Authorize as octocat").await;
    let code = client.code(&page);
    assert_eq!(client.redeem(&code).await.status(), 200);
    stop.store(true, Ordering::Relaxed);
    work.await.unwrap();
    println!("{} calls, no error", calls.load(Ordering::Relaxed));
}

/// An instance that simply vanishes takes along what it was doing, and nothing else.
#[tokio::test]
async fn an_instance_that_vanishes_takes_nothing_along() {
    let Some(mut fleet) = Fleet::start("session").await else { return };
    let browser = Browser::new();
    let agent = fleet.agent().await;
    let link = agent.call("connect_github", json!({})).await.link();
    let consent = browser.to_consent(link).await;
    fleet.cut(0).await;
    let page = browser.press(&consent, "Authorize as octocat").await;
    assert!(page.says("Connected as @octocat"), "{page:?}");
    fleet.cut(1).await;
    assert_eq!(login(&agent).await.as_deref(), Some("octocat"));
}

/// Redis dies and comes back: whoever asks meanwhile is told so and when to come again, and then
/// everything is as it was.
#[tokio::test]
async fn redis_dies_and_comes_back() {
    let Some(mut fleet) = Fleet::start("oauth").await else { return };
    let browser = Browser::new();
    let client = OAuthClient::discover_at(&fleet.origin()).await;
    let tokens = client.authorized(&browser, "octocat").await;
    let agent = client.agent(&tokens).await;
    assert_eq!(login(&agent).await.as_deref(), Some("octocat"));
    let consent = client.to_github(&browser).await;
    fleet.redis.kill();
    let asked = Instant::now();
    let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" });
    for _ in 0..3 {
        let refused = agent.send(ping.clone()).await;
        assert_eq!(refused.status(), 503);
        assert_eq!(refused.headers()["retry-after"], "5");
        let text = refused.text().await.unwrap();
        assert!(text.contains("The store does not answer at the moment."), "{text}");
        assert!(!text.contains("redis:"), "{text}");
    }
    println!("three refusals in {:?}", asked.elapsed());
    let page = Browser::new().get(client.authorize_url()).await;
    assert_eq!(page.status, 200, "the consent page needs no store: {page:?}");
    let ready = client.http.get(format!("{}/readyz", fleet.origin())).send().await.unwrap();
    assert_eq!(ready.status(), 503);
    fleet.redis.restart();
    let back = Instant::now();
    while agent.send(ping.clone()).await.status() != 200 {
        assert!(back.elapsed() < RECOVERY, "it has not recovered");
        pause(Duration::from_millis(20)).await;
    }
    println!("recovered after {:?}", back.elapsed());
    for _ in 0..3 {
        assert_eq!(login(&agent).await.as_deref(), Some("octocat"));
    }
    let page = browser.press(&consent, "Authorize as octocat").await;
    assert_eq!(client.redeem(&client.code(&page)).await.status(), 200);
    assert!(back.elapsed() < Duration::from_mins(1));
}

/// What is kept about a person is gone when they say so, whatever instance they tell it.
#[tokio::test]
async fn deleting_everything_leaves_no_record_of_the_person() {
    let Some(fleet) = Fleet::start("oauth").await else { return };
    let browser = Browser::new();
    let client = OAuthClient::discover_at(&fleet.origin()).await;
    let tokens = client.authorized(&browser, "octocat").await;
    let agent = client.agent(&tokens).await;
    agent.call("connect_github", json!({ "reconnect": true })).await;
    let kept = |kind: &str| {
        let answer = fleet.redis.ask(&format!("ZCARD prs:{{{kind}}}:by-expiry"));
        answer.trim_start_matches(':').lines().next().unwrap().parse::<u64>().unwrap()
    };
    let about_them =
        ["person", "principal", "connection", "oauth-grant", "session", "session-list"];
    for kind in about_them {
        assert_eq!(kept(kind), 1, "{kind}");
    }
    let page = browser.get(format!("{}/", fleet.origin())).await;
    let page = browser.press(&page, "Delete everything about me").await;
    assert!(page.says("Sign in with GitHub"), "{page:?}");
    for kind in about_them {
        assert_eq!(kept(kind), 0, "{kind}");
    }
    assert!(!client.is_admitted(&tokens.access).await);
}

/// What lies in Redis is of no use without the secret: no login, no name, no state of a client.
#[tokio::test]
async fn redis_sees_no_private_text() {
    let Some(fleet) = Fleet::start("oauth").await else { return };
    let browser = Browser::new();
    let client = OAuthClient::discover_as_at(&fleet.origin(), "Canary Client").await;
    let tokens = client.authorized(&browser, "octocat").await;
    let agent = client.agent(&tokens).await;
    agent.call("connect_github", json!({ "reconnect": true })).await;
    client.to_github(&browser).await;
    let kept = fleet.redis.files();
    let holds = |text: &str| kept.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("sealed1:") && holds("prs:{connection}:record:"));
    let state = crate::oauth::client::STATE;
    let texts = ["octocat", "Canary", state, "usr_", client.redirect.as_str()];
    for text in texts.into_iter().chain([tokens.access.as_str(), tokens.refresh.as_str()]) {
        assert!(!holds(text), "{text} can be read in Redis");
    }
    for call in fleet.world.scalekit.calls() {
        if let Some(state) = call.json()["state"].as_str() {
            assert!(!holds(state), "a state can be read in Redis");
        }
    }
}
