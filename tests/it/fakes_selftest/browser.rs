//! The fake browser sends what Chromium sends, over the whole way of a consent.

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    extract::Request,
    http::{HeaderMap, header},
    response::{AppendHeaders, Html, IntoResponse as _, Response},
};
use futures_util::FutureExt as _;
use serde_json::json;

use super::Wire;
use crate::fakes::{Browser, World};

type Seen = Arc<Mutex<Vec<(String, HeaderMap)>>>;

/// A site with a connect page like ours: a button, then a refresh to `target`.
async fn site(target: impl Fn(&str) -> String + Send + Sync + 'static) -> (String, Seen) {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let origin = format!("http://app.test:{}", listener.local_addr().unwrap().port());
    let (seen, target) = (Seen::default(), Arc::new(target));
    let (seen_by_server, own) = (Arc::clone(&seen), origin.clone());
    let router = Router::new().fallback(move |request: Request| {
        let line = format!("{} {}", request.method(), request.uri().path());
        seen_by_server.lock().unwrap().push((line.clone(), request.headers().clone()));
        let page = answer(&line, &target(&own));
        async move { page }
    });
    tokio::spawn(async move { axum::serve(listener, router).await });
    (origin, seen)
}

fn answer(line: &str, target: &str) -> Response {
    let policy = [
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; form-action 'self'"),
        (header::REFERRER_POLICY, "same-origin"),
    ];
    match line {
        "GET /connect" => (
            policy,
            Html(
                "<title>Connect</title><form method=post action='/connect'>\
                  <input type=hidden name=csrf value='a&amp;b'>\
                  <button>Connect GitHub</button></form>",
            ),
        )
            .into_response(),
        "POST /connect" => (
            policy,
            AppendHeaders([
                (header::SET_COOKIE, "flow=1; Path=/; HttpOnly; SameSite=Lax"),
                (header::SET_COOKIE, "wary=1; Path=/; SameSite=Strict"),
            ]),
            Html(format!("<meta http-equiv='refresh' content='0; url={target}'><a href=/>on</a>")),
        )
            .into_response(),
        "POST /leave" => {
            (axum::http::StatusCode::SEE_OTHER, [(header::LOCATION, target.to_owned())])
                .into_response()
        }
        _ => Html("<title>Back</title>").into_response(),
    }
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
    headers.get(name).map_or("", |value| value.to_str().unwrap())
}

#[tokio::test]
async fn approving_walks_the_whole_chain_with_lax_cookies() {
    let world = World::builder().hosts("scalekit.test", "github.test").start().await;
    let wire = Wire::open(&world).await;
    let link = Arc::new(Mutex::new(String::new()));
    let given = Arc::clone(&link);
    let (origin, seen) = site(move |_| given.lock().unwrap().clone()).await;
    let account = json!({
        "identifier": "usr_a",
        "connected_account": {"authorization_details": {"oauth_token": {}}},
    });
    wire.post("connected_accounts", account).await;
    let wanted = json!({
        "identifier": "usr_a", "state": "s", "user_verify_url": format!("{origin}/user/verify"),
    });
    let (_, answer) = wire.post("connected_accounts/magic_link", wanted).await;
    answer["link"].as_str().unwrap().clone_into(&mut link.lock().unwrap());

    let browser = Browser::new();
    let page = browser.approve(format!("{origin}/connect"), "octocat").await;
    assert_eq!(page.title, "Back");
    assert_eq!(page.url.path(), "/user/verify");
    let seen = seen.lock().unwrap();
    let lines: Vec<_> = seen.iter().map(|(line, _)| line.as_str()).collect();
    assert_eq!(lines, ["GET /connect", "POST /connect", "GET /user/verify"]);
    assert_eq!(header(&seen[0].1, "sec-fetch-site"), "none");
    assert_eq!(header(&seen[1].1, "sec-fetch-site"), "same-origin");
    assert_eq!(header(&seen[1].1, "origin"), origin);
    assert_eq!(header(&seen[1].1, "referer"), format!("{origin}/connect"));
    assert_eq!(header(&seen[2].1, "sec-fetch-site"), "cross-site");
    assert_eq!(header(&seen[2].1, "cookie"), "flow=1", "Lax comes along, Strict stays");
    assert_eq!(header(&seen[2].1, "origin"), "");
}

#[tokio::test]
async fn form_action_stops_a_post_that_leaves_the_site() {
    let (origin, _) = site(|_| "http://elsewhere.test/".to_owned()).await;
    let browser = Browser::new();
    let page = browser.get(format!("{origin}/connect")).await;
    let leaving = browser.submit(&page, "post", "/leave", &[]);
    let stopped = AssertUnwindSafe(leaving).catch_unwind().await.unwrap_err();
    let said = stopped.downcast_ref::<String>().unwrap();
    assert!(said.contains("form-action"), "{said}");
}

#[tokio::test]
async fn a_foreign_page_posts_as_cross_site_without_lax_cookies() {
    let (origin, seen) = site(|own| format!("{own}/done")).await;
    let browser = Browser::new();
    let page = browser.get(format!("{origin}/connect")).await;
    let page = browser.press(&page, "Connect GitHub").await;
    assert_eq!(page.url.path(), "/done", "the refresh is followed");
    let evil = Browser::page_at("http://evil.test/");
    browser.submit(&evil, "post", &format!("{origin}/leave"), &[]).await;
    let seen = seen.lock().unwrap();
    let (_, forged) = seen.iter().find(|(line, _)| line == "POST /leave").unwrap();
    assert_eq!(header(forged, "origin"), "http://evil.test");
    assert_eq!(header(forged, "sec-fetch-site"), "cross-site");
    assert_eq!(header(forged, "cookie"), "");
}
