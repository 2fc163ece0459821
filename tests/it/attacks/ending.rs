//! What ends, ends for everybody and at once: access, modes, connections that nobody verified.

use std::time::Duration;

use serde_json::json;

use super::house::{BEACON, House, Mode, Resident, http, login_of};
use crate::{
    fakes::{Browser, Match, VerificationMode},
    oauth::client::tokens,
    support::Answer,
};

/// In Scalekit-users-only mode nobody can tell whose browser it was.
pub async fn a17(house: &mut House) {
    let resident = house.resident("octocat").await;
    let repair = async |resident: &Resident| {
        resident.agent.call("connect_github", json!({ "reconnect": true })).await.link()
    };
    let link = repair(&resident).await;
    let accounts = house.accounts();
    let scalekit = &house.server.world.scalekit;
    scalekit.configure(|settings| settings.verification = VerificationMode::ScalekitUsersOnly);
    Browser::new().approve(link, "mira-holm").await;
    assert_eq!(resident.login().await.as_deref(), Some("octocat"));
    house.until_no_more_than(&accounts).await;
    resident.agent.call("disconnect_github", json!({})).await;
    let link = resident.agent.call("connect_github", json!({})).await.link();
    Browser::new().approve(link, "octocat").await;
    let told = resident.agent.call("auth_status", json!({})).await;
    assert_eq!(told.status(), "blocked", "{}", told.text);
    assert!(told.text.contains("users-only"), "{}", told.text);
    house.until_no_more_than(&[].into()).await;
    // Whoever tries again after a trip that never came back is told.
    let (trip, browser) = (house.asks().await, Browser::new());
    let page = trip.approve(&browser, "octocat").await;
    assert!(!page.url.as_str().starts_with(&trip.client().redirect), "{page:?}");
    let page = browser.get(trip.client().authorize_url()).await;
    let page = browser.press(&page, "Allow and go on").await;
    assert_eq!(page.status, 403, "{page:?}");
    assert!(page.says("custom user verification"), "{page:?}");
    house.until_no_more_than(&[].into()).await;
    // A trip that never comes back is deleted when its time is up, and so is a repair; its agent is
    // told, though it never asked meanwhile.
    let link = resident.agent.call("connect_github", json!({})).await.link();
    Browser::new().approve(link, "octocat").await;
    let page = trip.approve(&Browser::new(), "octocat").await;
    assert!(!page.url.as_str().starts_with(&trip.client().redirect), "{page:?}");
    house.server.clock.advance(chrono::Duration::minutes(16));
    house.server.restart().await;
    house.until_no_more_than(&[].into()).await;
    assert_eq!(trip.login().await, None);
    let told = resident.agent.call("auth_status", json!({})).await;
    assert_eq!(told.status(), "blocked", "{}", told.text);
    let scalekit = &house.server.world.scalekit;
    scalekit.configure(|settings| settings.verification = VerificationMode::Custom);
}

/// Another mode on the same store sees nothing of this one.
pub async fn a38(house: &mut House) {
    let resident = house.resident("octocat").await;
    let pending = house.asks().await.callback(&resident.browser, "octocat").await;
    let session = resident.agent.session().to_owned();
    let own = house.mode;
    for other in [Mode::Session, Mode::SingleUser, Mode::OAuth] {
        if other == own {
            continue;
        }
        enter(house, other).await;
        // Neither the session nor the browser nor an open flow is known.
        let key = match other {
            Mode::SingleUser => Some(house.server.local_key()),
            Mode::OAuth => Some(house.resident("mira-holm").await.tokens().access.clone()),
            Mode::Session => None,
        };
        let mut stale = http().delete(house.url("/mcp")).header("mcp-session-id", &session);
        if let Some(key) = key {
            stale = stale.bearer_auth(key);
        }
        assert_eq!(stale.send().await.unwrap().status(), 404, "{other:?}");
        let verified = house.verified();
        assert_eq!(resident.browser.get(&pending).await.status, 410, "{other:?}");
        assert_eq!(house.verified(), verified);
        for path in ["/", "/connected"] {
            let page = resident.browser.get(house.url(path)).await;
            assert!(!page.says("octocat"), "{other:?}: {page:?}");
        }
        if other != Mode::OAuth {
            let agent = house.agent().await;
            assert_eq!(login_of(&agent).await, None, "{other:?}");
            let page = resident.browser.get(agent.call("connect_github", json!({})).await.link());
            assert!(page.await.form_with("again").is_none());
        }
    }
    enter(house, own).await;
    assert_eq!(resident.login().await.as_deref(), Some("octocat"));
    if own == Mode::OAuth {
        let client = resident.client();
        let again = tokens(client.refresh(&resident.tokens().refresh).await).await;
        assert!(client.is_admitted(&again.access).await);
    }
}

async fn enter(house: &mut House, mode: Mode) {
    house.server.set(
        "AUTH_MODE",
        match mode {
            Mode::Session => "session",
            Mode::SingleUser => "single-user",
            Mode::OAuth => "oauth",
        },
    );
    house.server.restart().await;
    house.mode = mode;
}

/// Access that is taken away during a call, or while an answer is still fresh.
pub async fn a39(house: &mut House) {
    let mut ways = vec![End::Tool, End::ConnectedPage, End::OtherAccount];
    if house.is_oauth() {
        ways = vec![End::Tool, End::RevokedOnPage, End::RevokedByClient, End::Deleted];
    }
    for end in ways {
        // During a call.
        let resident = house.resident("octocat").await;
        let gate = house.server.world.llm.hold(Match::any());
        let ended = async {
            gate.until_waiting(1).await;
            end_access(house, &resident, end).await;
        };
        // It ends at once and by itself: the LLM never answers, and is let go.
        let both = Box::pin(async { tokio::join!(summarize(&resident, end), ended) });
        let (answer, ()) = soon(&format!("{end:?}: the call runs on"), both).await;
        assert_nothing_served(&answer, end);
        soon(&format!("{end:?}: the LLM is still asked"), gate.until_waiting(0)).await;
        gate.release();
        drop(gate);
        // Inside the 15 seconds in which an answer passes for fresh.
        let resident = house.resident("octocat").await;
        let first = summarize(&resident, end).await;
        assert!(!first.is_error, "{}", first.text);
        assert!(!summarize(&resident, end).await.is_error);
        end_access(house, &resident, end).await;
        match end {
            End::RevokedOnPage | End::RevokedByClient | End::Deleted => {
                let client = resident.client();
                assert!(!client.is_admitted(&resident.tokens().access).await, "{end:?}");
            }
            End::OtherAccount => {
                // It may read, but with the account that is there now.
                let asked = house.server.world.github.api_calls().len();
                assert!(!summarize(&resident, end).await.is_error);
                assert!(house.server.world.github.api_calls().len() > asked);
            }
            End::Tool | End::ConnectedPage => {
                assert_nothing_served(&summarize(&resident, end).await, end);
            }
        }
        house.server.clock.advance(chrono::Duration::minutes(2));
    }
}

/// Long before a call would end by itself.
async fn soon<T>(otherwise: &str, it: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(15), it).await.expect(otherwise)
}

/// What takes the access away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Tool,
    ConnectedPage,
    OtherAccount,
    RevokedOnPage,
    RevokedByClient,
    Deleted,
}

async fn end_access(house: &House, resident: &Resident, end: End) {
    match end {
        End::Tool => {
            // By another call of the same caller.
            resident.agent.again().call("disconnect_github", json!({})).await;
        }
        End::ConnectedPage => {
            let page = resident.browser.get(house.url("/connected")).await;
            resident.browser.press(&page, "Disconnect @octocat").await;
        }
        End::OtherAccount => {
            let again = resident.agent.call("connect_github", json!({ "reconnect": true })).await;
            let page = Browser::new().approve(again.link(), "mira-holm").await;
            assert!(page.says("Connected as @mira-holm"), "{page:?}");
        }
        End::RevokedOnPage | End::Deleted => {
            let browser = Browser::new();
            let page = browser.get(house.url("/")).await;
            let consent = browser.press(&page, "Sign in with GitHub").await;
            let page = browser.press(&consent, "Authorize as octocat").await;
            let button =
                if end == End::Deleted { "Delete everything about me" } else { "Revoke all" };
            assert_eq!(browser.press(&page, button).await.status, 200);
        }
        End::RevokedByClient => {
            let (client, token) = (resident.client(), &resident.tokens().refresh);
            let give = [("token", token.as_str()), ("client_id", client.id.as_str())];
            assert_eq!(client.post("revocation_endpoint", &give).await.status(), 200);
        }
    }
}

/// In a language of its own, so that no summary is there already.
async fn summarize(resident: &Resident, end: End) -> Answer {
    let language = format!("{end:?}");
    let wanted = json!({ "repository": BEACON, "limit": 1, "language": language });
    resident.agent.call("summarize_prs", wanted).await
}

fn assert_nothing_served(answer: &Answer, end: End) {
    assert!(answer.is_error, "{end:?}: {}", answer.text);
    assert!(
        ["not_connected", "unauthenticated"].contains(&answer.code()),
        "{end:?}: {}",
        answer.raw
    );
    assert!(answer.data["pull_requests"].is_null(), "{end:?}: {}", answer.raw);
    assert!(!answer.text.contains("#431"), "{end:?}: {}", answer.text);
}
