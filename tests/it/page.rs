//! The page at `/`: who may ask on it in each mode, what its answers hold, and what other sites and
//! other browsers get of it.

use std::time::Duration;

use serde_json::Value;

use crate::{
    fakes::{Browser, Match, Page},
    support::Server,
};

const REPOSITORY: &str = "lighthouse-labs/beacon";

/// A browser whose page is connected as this person, in `session` mode.
async fn connected(server: &Server, login: &str) -> Browser {
    let browser = Browser::new();
    let home = browser.get(server.url("/")).await;
    let connect = browser.press(&home, "Connect GitHub").await;
    assert!(connect.says("Go on only if you asked for this yourself"), "{connect:?}");
    let consent = browser.press(&connect, "Connect GitHub").await;
    let page = browser.press(&consent, &format!("Authorize as {login}")).await;
    assert!(page.says(&format!("Connected as @{login}")), "{page:?}");
    browser
}

async fn home(server: &Server, browser: &Browser) -> Page {
    browser.get(server.url("/")).await
}

/// The token of the page's forms.
fn csrf(page: &Page) -> String {
    let fields = page.forms.iter().flat_map(|form| &form.fields);
    fields.filter(|(name, _)| name == "csrf").map(|(_, value)| value.clone()).next().unwrap()
}

fn cookie(browser: &Browser) -> String {
    let name = "__Host-prs-browser";
    browser.jar(|jar| {
        jar.get("127.0.0.1", name).map(|c| format!("{name}={}", c.value())).unwrap_or_default()
    })
}

/// What the page's script sends, and what `changes` makes of the headers.
async fn fetched(
    server: &Server,
    path: &str,
    browser: &Browser,
    fields: &[(&str, &str)],
    site: &str,
) -> (u16, String) {
    let csrf = csrf(&home(server, browser).await);
    let mut form = vec![("csrf", csrf.as_str())];
    form.extend_from_slice(fields);
    let request = reqwest::Client::new()
        .post(server.url(path))
        .header("cookie", cookie(browser))
        .header("accept", "text/event-stream")
        .header("sec-fetch-site", site)
        .form(&form);
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

/// The events of an answer: name and data.
fn events(stream: &str) -> Vec<(String, Value)> {
    let blocks = stream.split("\n\n").filter(|block| block.starts_with("event: "));
    blocks
        .map(|block| {
            let (name, data) = block.split_once('\n').unwrap();
            let data = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
            (name.strip_prefix("event: ").unwrap().to_owned(), data)
        })
        .collect()
}

async fn asked(server: &Server, browser: &Browser, repository: &str) -> Vec<(String, Value)> {
    let fields = [("repository", repository), ("limit", "3")];
    let (status, body) = fetched(server, "/digest", browser, &fields, "same-origin").await;
    assert_eq!(status, 200, "{body}");
    for secret in ["usr_", "con_", "prs_", "gho_"] {
        assert!(!body.contains(secret), "{secret}: {body}");
    }
    events(&body)
}

#[tokio::test]
async fn an_answer_comes_as_events_and_its_repository_is_offered_again() {
    let server = Server::start().await;
    let browser = connected(&server, "octocat").await;
    let told = asked(&server, &browser, REPOSITORY).await;
    let names: Vec<&str> = told.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["progress", "progress", "progress", "progress", "progress", "digest"]);
    assert_eq!(told[0].1["total"], 0, "at once");
    assert_eq!((&told[4].1["done"], &told[4].1["total"]), (&3.into(), &3.into()));
    let digest = &told[5].1;
    assert_eq!(digest["repository"], REPOSITORY);
    assert_eq!(digest["pull_requests"].as_array().unwrap().len(), 3);
    assert_eq!(digest["complete"], true);
    let page = home(&server, &browser).await;
    assert!(page.body.contains(&format!("<option value=\"{REPOSITORY}\">")), "{page:?}");
}

#[tokio::test]
async fn a_failure_is_an_event_with_its_next_step() {
    let server = Server::start().await;
    let browser = connected(&server, "octocat").await;
    let told = asked(&server, &browser, "lighthouse-labs/none").await;
    let (name, failure) = told.last().unwrap();
    assert_eq!((name.as_str(), &failure["code"]), ("failure", &"repository_not_found".into()));
    assert!(failure["next"].as_str().unwrap().contains("spelling"), "{failure}");
    server.world.github.exhaust_rate_limit("octocat", true);
    asked(&server, &browser, REPOSITORY).await;
    let limited = asked(&server, &browser, REPOSITORY).await;
    let (_, limited) = limited.last().unwrap();
    assert_eq!(limited["code"], "github_rate_limited");
    assert!(limited["retry_after_seconds"].as_u64().unwrap() > 0, "{limited}");
    server.world.github.exhaust_rate_limit("octocat", false);
}

#[tokio::test]
async fn each_browser_has_its_own_connection_and_no_others() {
    let server = Server::start().await;
    let one = connected(&server, "octocat").await;
    assert_eq!(asked(&server, &one, REPOSITORY).await.last().unwrap().0, "digest");
    let other = Browser::new();
    let page = home(&server, &other).await;
    assert!(!page.says("@octocat") && !page.body.contains(REPOSITORY), "{page:?}");
    let fields = [("repository", REPOSITORY)];
    let (status, body) = fetched(&server, "/digest", &other, &fields, "same-origin").await;
    assert!(status == 403 && body.contains("not_connected"), "{status} {body}");
    // A second person at the same time: each is answered with their own.
    let mira = connected(&server, "mira-holm").await;
    assert!(home(&server, &mira).await.says("@mira-holm"));
    assert!(home(&server, &one).await.says("@octocat"));
    // Disconnecting one takes nothing from the other.
    let page = home(&server, &one).await;
    let page = one.press(&page, "Disconnect GitHub").await;
    assert!(!page.says("@octocat") && !page.body.contains(REPOSITORY), "{page:?}");
    assert!(home(&server, &mira).await.says("@mira-holm"));
}

#[tokio::test]
async fn a_link_of_the_page_works_in_its_own_browser_only() {
    let server = Server::start().await;
    let (one, other) = (Browser::new(), Browser::new());
    let page = home(&server, &one).await;
    let link = one.press(&page, "Connect GitHub").await;
    // Whoever is sent it can give nothing with it.
    let page = other.get(link.url.as_str()).await;
    assert!(page.status == 403 && page.says("works in that browser only"), "{page:?}");
    assert!(other.get(server.url("/")).await.form_with("Connect GitHub").is_some());
    let csrf = [("csrf".to_owned(), csrf(&link))];
    let pressed = other.submit(&link, "post", link.url.path(), &csrf).await;
    assert_eq!(pressed.status, 403, "{pressed:?}");
    assert_eq!(server.world.scalekit.verify_calls().len(), 0);
    let consent = one.press(&link, "Connect GitHub").await;
    let page = one.press(&consent, "Authorize as octocat").await;
    assert!(page.says("Connected as @octocat"), "{page:?}");
}

#[tokio::test]
async fn nobody_asks_from_another_site_or_without_the_pages_own_form() {
    let server = Server::start().await;
    let browser = connected(&server, "octocat").await;
    let fields = [("repository", REPOSITORY), ("action", "disconnect")];
    for path in ["/digest", "/standing", "/page"] {
        for site in ["cross-site", "same-site", "none"] {
            let (status, body) = fetched(&server, path, &browser, &fields, site).await;
            assert!(status == 403 && body.contains("forbidden"), "{path} {site}: {status} {body}");
        }
        // Another browser's token is none.
        let theirs = csrf(&home(&server, &connected(&server, "mira-holm").await).await);
        let request = reqwest::Client::new()
            .post(server.url(path))
            .header("cookie", cookie(&browser))
            .header("sec-fetch-site", "same-origin")
            .form(&[("csrf", theirs.as_str()), ("action", "disconnect"), fields[0]]);
        assert_eq!(request.send().await.unwrap().status(), 403, "{path}");
    }
    let asked = server.world.github.count(|call| call.path == "/graphql");
    assert_eq!(asked, 0, "nothing was read for anybody");
    assert!(home(&server, &browser).await.says("@octocat"));
}

#[tokio::test]
async fn whoever_leaves_ends_the_work() {
    let server = Server::start().await;
    let browser = connected(&server, "octocat").await;
    let gate = server.world.github.hold(Match::path("POST", "/graphql"));
    let token = csrf(&home(&server, &browser).await);
    let mut response = reqwest::Client::new()
        .post(server.url("/digest"))
        .header("cookie", cookie(&browser))
        .header("accept", "text/event-stream")
        .header("sec-fetch-site", "same-origin")
        .form(&[("csrf", token.as_str()), ("repository", REPOSITORY), ("limit", "1")])
        .send()
        .await
        .unwrap();
    let first = response.chunk().await.unwrap().unwrap();
    assert!(first.starts_with(b"event: progress"), "{first:?}");
    gate.until_waiting(1).await;
    drop(response);
    let left = tokio::time::timeout(Duration::from_secs(5), gate.until_waiting(0)).await;
    assert!(left.is_ok(), "GitHub is still asked for somebody who has left");
}

#[tokio::test]
async fn everything_the_page_needs_is_small() {
    let server = Server::start().await;
    let browser = connected(&server, "octocat").await;
    let page = home(&server, &browser).await;
    let (_, address) = page.body.split_once("<script src=\"").unwrap();
    let script = browser.get(server.url(address.split('"').next().unwrap())).await;
    assert_eq!(script.status, 200);
    assert!(script.body.contains("const Cards"));
    for forbidden in ["innerHTML", "insertAdjacentHTML", "outerHTML", "document.write", "eval("] {
        assert!(!script.body.contains(forbidden), "{forbidden}");
    }
    let bytes = page.body.len() + script.body.len();
    assert!(bytes < 40_000, "{bytes} bytes");
}

#[tokio::test]
async fn one_persons_server_asks_for_its_key_once() {
    let server = Server::builder().set("AUTH_MODE", "single-user").start().await;
    let browser = Browser::new();
    let page = home(&server, &browser).await;
    assert!(page.form_with("Summarize").is_none() && page.says("local key"), "{page:?}");
    let fields = [("repository", REPOSITORY), ("action", "connect")];
    for path in ["/digest", "/standing", "/page"] {
        let (status, body) = fetched(&server, path, &browser, &fields, "same-origin").await;
        assert!(status == 403 && body.contains("local key"), "{path}: {status} {body}");
    }
    let wrong = browser.press_with(&page, "Open this page", &[("key", "not-the-key")]).await;
    assert!(wrong.status == 403 && wrong.says("That is not the local key"), "{wrong:?}");
    let key = server.local_key();
    let page = browser.press_with(&wrong, "Open this page", &[("key", &key)]).await;
    assert!(page.form_with("Summarize").is_some() && !page.body.contains(&key), "{page:?}");
    let connect = browser.press(&page, "Connect GitHub").await;
    let consent = browser.press(&connect, "Connect GitHub").await;
    browser.press(&consent, "Authorize as octocat").await;
    assert!(home(&server, &browser).await.says("@octocat"));
    assert_eq!(asked(&server, &browser, REPOSITORY).await.last().unwrap().0, "digest");
    // A browser that has not shown it sees nothing of that.
    let page = home(&server, &Browser::new()).await;
    assert!(!page.says("@octocat") && !page.body.contains(REPOSITORY), "{page:?}");
}
