//! Trips of people whom nobody knows yet are bounded, and no flood cancels a young one.

use chrono::TimeDelta;
use futures_util::{StreamExt as _, stream};
use reqwest::{Response, header};
use url::form_urlencoded::Serializer;

use super::{OAuthClient, SECRET, client::parameter, start, until_accounts};
use crate::{
    fakes::{Browser, Match, Page, VerificationMode},
    support::Server,
};

/// As many trips as may be under way, and as many as one browser may have.
const IN_ALL: usize = 2_000;
const OF_ONE_BROWSER: usize = 5;
/// As many as one browser may begin in 15 minutes.
const BEGUN_BY_ONE_BROWSER: usize = 20;
/// How many presses of the flood are on their way at the same time.
const AT_ONCE: usize = 32;

/// Presses the consent page's button without ever having a cookie: each press is another browser.
struct Flood {
    http: reqwest::Client,
    url: String,
    origin: String,
    form: String,
}

impl Flood {
    async fn of(server: &Server, client: &OAuthClient) -> Self {
        let page = Browser::new().get(client.authorize_url()).await;
        let (form, button) = page.form_with("Allow and go on").unwrap();
        let mut fields = form.fields.clone();
        fields.push((button.name.clone().unwrap(), button.value.clone()));
        let form = Serializer::new(String::new()).extend_pairs(&fields).finish();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { http, url: server.url("/authorize"), origin: server.origin(), form }
    }

    async fn press(&self) -> Response {
        self.http
            .post(&self.url)
            .header(header::ORIGIN, &self.origin)
            .header(header::ACCEPT, "text/html")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(self.form.clone())
            .send()
            .await
            .unwrap()
    }

    /// How many of so many presses began a trip; all others were asked to wait.
    async fn press_often(&self, times: usize) -> usize {
        let answers = stream::iter(0..times).map(|_| self.press()).buffer_unordered(AT_ONCE);
        let began = answers.map(|answer| match answer.status().as_u16() {
            200 => 1,
            429 => 0,
            other => panic!("{other}"),
        });
        began.fold(0, async |sum, one| sum + one).await
    }
}

/// Where a browser stands that finished at GitHub.
async fn finished(browser: &Browser, consent: &Page) -> Page {
    browser.press(consent, "Authorize as octocat").await
}

#[tokio::test]
async fn a_flood_of_trips_is_bounded_and_cancels_no_young_one() {
    // Thousands of writes to a disk would tell nothing more.
    let server = Server::builder().set("AUTH_MODE", "oauth").set("SESSION_SECRET", SECRET);
    let server = server.set("STORE_URL", "memory:").start().await;
    let client = OAuthClient::discover(&server).await;
    let flood = Flood::of(&server, &client).await;
    let honest = Browser::new();
    let consent = client.to_github(&honest).await;
    server.clock.advance(TimeDelta::seconds(30));
    assert_eq!(flood.press_often(IN_ALL + 100).await, IN_ALL - 1);
    assert_eq!(server.world.scalekit.accounts().len(), IN_ALL);

    let refused = flood.press().await;
    assert_eq!(refused.status(), 429);
    let wait: u64 = refused.headers()[header::RETRY_AFTER].to_str().unwrap().parse().unwrap();
    assert!((1..=120).contains(&wait), "{wait}");
    let page = refused.text().await.unwrap();
    assert!(page.contains("press the button again"), "{page}");

    // Whoever is just reading GitHub's page comes back as if nothing were, and makes room for one.
    let back = finished(&honest, &consent).await;
    assert!(parameter(&back.url, "code").is_some(), "{back:?}");
    let newcomer = Browser::new();
    let page = client.to_github(&newcomer).await;
    assert!(page.url.path().contains("/login/oauth/authorize"), "{page:?}");
    assert_eq!(flood.press().await.status(), 429);

    // What is old gives way, with its account.
    server.clock.advance(TimeDelta::minutes(2));
    assert_eq!(flood.press_often(20).await, 20);
    let back = finished(&newcomer, &page).await;
    assert!(parameter(&back.url, "code").is_some(), "{back:?}");
    // All that are open, without the newcomer's, and the person's.
    until_accounts(&server.world, IN_ALL).await;
}

#[tokio::test]
async fn the_sixth_trip_of_a_browser_ends_its_first() {
    let server = start().await;
    let client = OAuthClient::discover(&server).await;
    let (browser, stranger) = (Browser::new(), Browser::new());
    let others = client.to_github(&stranger).await;
    let mut consents = Vec::new();
    for _ in 0..=OF_ONE_BROWSER {
        consents.push(client.to_github(&browser).await);
    }
    until_accounts(&server.world, OF_ONE_BROWSER + 1).await;
    let first = finished(&browser, &consents[0]).await;
    assert!(first.status >= 400, "{first:?}");
    for consent in [&consents[1], &consents[OF_ONE_BROWSER]] {
        let back = finished(&browser, consent).await;
        assert!(parameter(&back.url, "code").is_some(), "{back:?}");
    }
    let back = finished(&stranger, &others).await;
    assert!(parameter(&back.url, "code").is_some(), "{back:?}");
}

/// However a trip ends, it makes room, and the browser's next ones are as good as its first.
#[tokio::test]
async fn trips_that_end_make_room() {
    let server = start().await;
    let client = OAuthClient::discover(&server).await;
    let browser = Browser::new();
    let waiting = client.to_github(&browser).await;
    for _ in 0..OF_ONE_BROWSER {
        let consent = client.to_github(&browser).await;
        let declined = browser.press(&consent, "Cancel").await;
        assert!(declined.says("declined"), "{declined:?}");
    }
    for _ in 0..OF_ONE_BROWSER {
        let back = client.trip(&browser, "octocat").await;
        assert!(parameter(&back.url, "code").is_some(), "{back:?}");
    }
    let back = finished(&browser, &waiting).await;
    assert!(parameter(&back.url, "code").is_some(), "{back:?}");
    // Those that nobody finishes make room when their time is up.
    for _ in 0..OF_ONE_BROWSER {
        client.to_github(&browser).await;
    }
    server.clock.advance(TimeDelta::minutes(16));
    let consent = client.to_github(&browser).await;
    let back = finished(&browser, &consent).await;
    assert!(parameter(&back.url, "code").is_some(), "{back:?}");
}

/// A reload drops the request that verifies. The page that follows arrives, or says how to go on.
#[tokio::test]
async fn whoever_reloads_in_the_middle_of_a_trip_arrives() {
    let server = start().await;
    let (client, browser) = (OAuthClient::discover(&server).await, Browser::new());
    for until_done in [false, true] {
        let verified = server.world.scalekit.verify_calls().len();
        let consent = client.to_github(&browser).await;
        browser.stop_before(Some(&server.url("/user/verify")));
        let callback = finished(&browser, &consent).await.url;
        browser.stop_before(None);
        let gate = server.world.scalekit.hold(Match::path("GET", "/proxy/user"));
        tokio::select! {
            page = browser.get(&callback) => panic!("it must not finish: {page:?}"),
            () = gate.until_waiting(1) => {}
        }
        if until_done {
            gate.release();
            until_signed_in(&server, &browser).await;
            let late = browser.get(&callback).await;
            assert_eq!(late.status, 410, "{late:?}");
            let again = late.links.iter().find(|link| link.text.contains("Try again")).unwrap();
            let again = browser.follow(&late, &again.href).await;
            let back = browser.press(&again, "Allow as @octocat").await;
            assert!(parameter(&back.url, "code").is_some(), "{back:?}");
        } else {
            // Nobody waits for the first request's answer, but its work goes on.
            let second = async {
                gate.until_waiting(2).await;
                gate.release();
            };
            let (back, ()) = tokio::join!(browser.get(&callback), second);
            assert!(parameter(&back.url, "code").is_some(), "{back:?}");
        }
        assert_eq!(server.world.scalekit.verify_calls().len(), verified + 1);
        // The next round begins signed out, as whom nobody knows.
        let page = browser.get(server.url("/")).await;
        browser.press(&page, "Sign out").await;
    }
}

async fn until_signed_in(server: &Server, browser: &Browser) {
    for _ in 0..400 {
        if browser.get(server.url("/")).await.says("@octocat") {
            return;
        }
    }
    panic!("the trip was not finished");
}

/// A trip that ends makes room, but not for more of them than a person can want.
#[tokio::test]
async fn a_browser_begins_so_many_trips_in_a_quarter_of_an_hour() {
    let server = start().await;
    let (client, browser) = (OAuthClient::discover(&server).await, Browser::new());
    for number in 0..BEGUN_BY_ONE_BROWSER {
        let consent = client.to_github(&browser).await;
        assert!(consent.url.path().contains("/login/oauth/authorize"), "{consent:?}");
        if number % 2 == 0 {
            browser.press(&consent, "Cancel").await;
        }
    }
    let calls = server.world.scalekit.count(|call| call.path.ends_with("/magic_link"));
    for _ in 0..3 {
        let refused = client.to_github(&browser).await;
        assert_eq!(refused.status, 429, "{refused:?}");
        let wait: i64 = refused.headers[header::RETRY_AFTER].to_str().unwrap().parse().unwrap();
        assert!((1..=15 * 60 + 1).contains(&wait), "{wait}");
    }
    let after = server.world.scalekit.count(|call| call.path.ends_with("/magic_link"));
    assert_eq!(after, calls, "Scalekit was asked all the same");
    // Nobody else pays for it, and neither does this browser later.
    for browser in [&Browser::new(), &browser] {
        let back = client.trip(browser, "octocat").await;
        assert!(parameter(&back.url, "code").is_some(), "{back:?}");
        server.clock.advance(TimeDelta::minutes(15));
    }
}

/// Nobody comes back from Scalekit in its users-only mode. The operator finds in the log why.
#[tokio::test]
async fn the_operator_is_told_of_users_only_mode_by_a_first_trip() {
    let server = Server::builder().set("AUTH_MODE", "oauth").set("SESSION_SECRET", SECRET);
    let server = server.program().start().await;
    let scalekit = &server.world.scalekit;
    scalekit.configure(|settings| settings.verification = VerificationMode::ScalekitUsersOnly);
    let (client, browser) = (OAuthClient::discover(&server).await, Browser::new());
    let trip = client.trip(&browser, "octocat").await;
    assert_eq!(trip.title, "Connected", "{trip:?}");
    let again = browser.get(client.authorize_url()).await;
    let again = browser.press(&again, "Allow and go on").await;
    assert!(again.says("Nothing was connected"), "{again:?}");
    until_accounts(&server.world, 0).await;
    let told = server.log();
    assert!(told.contains("switch it to custom user verification"), "{told}");
    // Once the operator has switched it, the next press works.
    scalekit.configure(|settings| settings.verification = VerificationMode::Custom);
    let back = client.trip(&browser, "octocat").await;
    assert!(parameter(&back.url, "code").is_some(), "{back:?}");
}
