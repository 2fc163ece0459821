//! Documents about clients: which are fetched, which are believed.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use chrono::DateTime;
use futures_util::future::join_all;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::*;
use crate::{
    domain::{ManualClock, SystemEntropy},
    oauth::redirect::KNOWN_HOSTS,
};

/// A host of documents on this computer that counts its requests.
struct Site {
    origin: String,
    requests: Arc<AtomicUsize>,
}

impl Site {
    /// Answers by path; `{origin}` in a body is the site's own.
    async fn serve(pages: Vec<(&'static str, &'static str, String)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(AtomicUsize::new(0));
        let (own, counted) = (origin.clone(), Arc::clone(&requests));
        tokio::spawn(async move {
            loop {
                let (mut socket, _) = listener.accept().await.unwrap();
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(socket.read_u8().await.unwrap());
                }
                counted.fetch_add(1, Ordering::SeqCst);
                let head = String::from_utf8(head).unwrap();
                let path = head.split(' ').nth(1).unwrap();
                let page = pages.iter().find(|(page, ..)| *page == path);
                let (head, body) =
                    page.map_or(("404 Not Found", ""), |(_, head, body)| (head, body));
                let body = body.replace("{origin}", &own);
                let answer = format!(
                    "HTTP/1.1 {head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                    body.len()
                );
                // A client that has read enough is gone.
                let _ = socket.write_all(answer.as_bytes()).await;
            }
        });
        Self { origin, requests }
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

const JSON: &str = "200 OK\r\nContent-Type: application/json; charset=utf-8";

fn document(path: &str) -> serde_json::Value {
    json!({
        "client_id": format!("{{origin}}{path}"),
        "client_name": "Claude Code",
        "redirect_uris": ["http://localhost/callback", "https://evil.example/cb"],
        "token_endpoint_auth_method": "none",
    })
}

fn changed(path: &str, field: &str, value: serde_json::Value) -> String {
    let mut document = document(path);
    document[field] = value;
    document.to_string()
}

fn policy() -> RedirectPolicy {
    let known: Vec<_> = KNOWN_HOSTS.iter().map(|uri| (*uri).to_owned()).collect();
    RedirectPolicy::new(&known, Url::parse("https://prs.example").unwrap())
}

fn clock() -> ManualClock {
    ManualClock::new(DateTime::from_timestamp(1_800_000_000, 0).unwrap())
}

fn documents(origins: &[&str], clock: &ManualClock) -> Result<ClientDocuments, Vec<String>> {
    let origins: Vec<_> = origins.iter().map(|origin| (*origin).to_owned()).collect();
    ClientDocuments::new(&origins, Arc::new(clock.clone()), Arc::new(SystemEntropy)).unwrap()
}

#[tokio::test]
async fn a_good_document_is_a_client_and_fetched_once() {
    let site = Site::serve(vec![("/c", JSON, document("/c").to_string())]).await;
    let clock = clock();
    let documents = documents(&[&site.origin], &clock).unwrap();
    let id = format!("{}/c", site.origin);
    for _ in 0..3 {
        let client = documents.find(&id, &policy()).await.unwrap();
        assert_eq!(client.id.as_str(), id);
        assert_eq!(client.name.get(), Some("Claude Code"));
        assert_eq!(json!(client.redirects), json!(["http://localhost/callback"]));
    }
    assert_eq!(site.requests(), 1);
    clock.advance(REMEMBER_GOOD);
    assert!(documents.find(&id, &policy()).await.is_ok());
    assert_eq!(site.requests(), 2);
}

#[tokio::test]
async fn what_is_not_the_clients_own_document_is_no_client() {
    let internal = Site::serve(vec![("/c", JSON, document("/c").to_string())]).await;
    let redirect = format!("302 Found\r\nLocation: {}/c", internal.origin);
    let redirect: &'static str = Box::leak(redirect.into_boxed_str());
    let pages = vec![
        ("/other-id", JSON, document("/c").to_string()),
        ("/secret", JSON, changed("/secret", "client_secret", json!("s"))),
        (
            "/basic",
            JSON,
            changed("/basic", "token_endpoint_auth_method", json!("client_secret_basic")),
        ),
        ("/key", JSON, changed("/key", "token_endpoint_auth_method", json!("private_key_jwt"))),
        ("/evil", JSON, changed("/evil", "redirect_uris", json!(["https://evil.example/cb"]))),
        ("/none", JSON, changed("/none", "redirect_uris", json!([]))),
        ("/type", JSON, changed("/type", "redirect_uris", json!("http://localhost/callback"))),
        ("/grant", JSON, changed("/grant", "grant_types", json!(["client_credentials"]))),
        ("/huge", JSON, changed("/huge", "x", json!("x".repeat(MAX_DOCUMENT_BYTES)))),
        ("/html", "200 OK\r\nContent-Type: text/html", document("/html").to_string()),
        ("/untyped", "200 OK", document("/untyped").to_string()),
        ("/text", "200 OK\r\nContent-Type: text/x+json", document("/text").to_string()),
        ("/longer", "200 OK\r\nContent-Type: application/jsonp", document("/longer").to_string()),
        (
            "/created",
            "201 Created\r\nContent-Type: application/json",
            document("/created").to_string(),
        ),
        ("/array", JSON, "[]".to_owned()),
        ("/cut", JSON, "{".to_owned()),
        ("/500", "500 No\r\nContent-Type: application/json", document("/500").to_string()),
        ("/redirect", redirect, String::new()),
        ("/absent", "404 Not Found", String::new()),
    ];
    let paths: Vec<_> = pages.iter().map(|(path, ..)| *path).collect();
    let site = Site::serve(pages).await;
    let documents = documents(&[&site.origin], &clock()).unwrap();
    for path in &paths {
        for _ in 0..2 {
            let refused = documents.find(&format!("{}{path}", site.origin), &policy()).await;
            assert_eq!(refused.unwrap_err().code, ErrorCode::InvalidClient, "{path}");
        }
    }
    assert_eq!(site.requests(), paths.len(), "a bad answer is remembered too");
    assert_eq!(internal.requests(), 0, "no redirect is followed");
}

#[tokio::test]
async fn a_document_of_a_json_type_of_its_own_is_read() {
    let typed = "200 OK\r\nContent-Type: Application/CIMD+JSON ; charset=utf-8";
    let mut bare = document("/bare");
    bare.as_object_mut().unwrap().remove("token_endpoint_auth_method");
    let pages = vec![
        ("/typed", typed, document("/typed").to_string()),
        ("/bare", JSON, bare.to_string()),
        ("/grants", JSON, changed("/grants", "grant_types", json!(["authorization_code"]))),
        ("/answers", JSON, changed("/answers", "response_types", json!(["code"]))),
        ("/long", JSON, changed("/long", "x", json!("x".repeat(16_000)))),
    ];
    let paths: Vec<_> = pages.iter().map(|(path, ..)| *path).collect();
    let site = Site::serve(pages).await;
    let documents = documents(&[&site.origin], &clock()).unwrap();
    for path in paths {
        let found = documents.find(&format!("{}{path}", site.origin), &policy()).await;
        assert!(found.is_ok(), "{path}");
    }
}

#[tokio::test]
async fn nothing_is_fetched_from_where_the_operator_did_not_allow_it() {
    let site = Site::serve(Vec::new()).await;
    let allowed = ["https://claude.ai", "http://127.0.0.1:1"];
    let documents = documents(&allowed, &clock()).unwrap();
    let long = format!("https://claude.ai/{}", "a".repeat(MAX_ADDRESS_BYTES));
    for id in [
        &format!("{}/c", site.origin),
        "https://evil.example/c",
        "http://claude.ai/c",
        "https://claude.ai",
        "https://claude.ai/",
        "https://claude.ai:8443/c",
        "https://claude.ai:443/c",
        "https://claude.ai./c",
        "https://CLAUDE.ai/c",
        "https://claude.ai@evil.example/c",
        "https://u@claude.ai/c",
        "https://claude.ai.evil.example/c",
        "https://evil.example/claude.ai",
        "https://claude.ai/a/../c",
        "https://claude.ai/%2e%2e/c",
        "https://claude.ai/c?x=1",
        "https://claude.ai/c#x",
        "https://claude.ai\\c",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/c",
        "http://localhost:1/c",
        &long,
    ] {
        let refused = documents.find(id, &policy()).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::InvalidClient, "{id}");
        assert!(documents.admits(id).is_err(), "{id}");
        assert!(ClientDocuments::none().admits(id).is_err());
    }
    assert!(documents.admits("https://claude.ai/oauth/claude-code-client-metadata").is_ok());
    let longest = &long[..MAX_ADDRESS_BYTES];
    assert!(documents.admits(longest).is_ok());
    assert!(documents.admits(&format!("{longest}a")).is_err());
    assert_eq!(site.requests(), 0);
}

#[tokio::test]
async fn the_memory_is_bounded_and_keeps_the_good() {
    let site = Site::serve(vec![("/c", JSON, document("/c").to_string())]).await;
    let documents = documents(&[&site.origin], &clock()).unwrap();
    let id = format!("{}/c", site.origin);
    documents.find(&id, &policy()).await.unwrap();
    for n in 0..2 * MOST_REMEMBERED {
        let _ = documents.find(&format!("{}/made-up/{n}", site.origin), &policy()).await;
    }
    let before = site.requests();
    assert!(documents.find(&id, &policy()).await.is_ok());
    assert_eq!(site.requests(), before);
    assert_eq!(documents.0.unwrap().lock().len(), MOST_REMEMBERED);
}

#[tokio::test]
async fn a_bad_answer_is_asked_for_again_after_a_minute() {
    let site = Site::serve(Vec::new()).await;
    let clock = clock();
    let documents = documents(&[&site.origin], &clock).unwrap();
    let id = format!("{}/absent", site.origin);
    for (advance, requests) in [(0, 1), (59, 1), (1, 2), (59, 2), (1, 3), (61, 4)] {
        clock.advance(TimeDelta::seconds(advance));
        assert!(documents.find(&id, &policy()).await.is_err());
        assert_eq!(site.requests(), requests);
    }
}

#[tokio::test]
async fn the_memory_makes_room_with_what_has_run_out_first() {
    let site = Site::serve(vec![("/c", JSON, document("/c").to_string())]).await;
    let clock = clock();
    let documents = documents(&[&site.origin], &clock).unwrap();
    let bad = |n: usize| format!("{}/made-up/{n}", site.origin);
    documents.find(&format!("{}/c", site.origin), &policy()).await.unwrap();
    clock.advance(REMEMBER_GOOD - TimeDelta::seconds(30));
    for n in 1..MOST_REMEMBERED {
        assert!(documents.find(&bad(n), &policy()).await.is_err());
    }
    // The good one has just run out; the bad ones have half a minute left.
    clock.advance(TimeDelta::seconds(30));
    assert!(documents.find(&bad(0), &policy()).await.is_err());
    let before = site.requests();
    for n in 0..MOST_REMEMBERED {
        assert!(documents.find(&bad(n), &policy()).await.is_err());
    }
    assert_eq!(site.requests(), before);
}

#[tokio::test]
async fn whoever_waited_for_a_fetch_uses_its_answer() {
    let site = Site::serve(vec![("/c", JSON, document("/c").to_string())]).await;
    let (documents, policy) = (documents(&[&site.origin], &clock()).unwrap(), policy());
    let id = format!("{}/c", site.origin);
    let found = join_all((0..3 * MOST_FETCHES).map(|_| documents.find(&id, &policy))).await;
    assert!(found.iter().all(Result::is_ok));
    assert_eq!(site.requests(), MOST_FETCHES);
}

#[test]
fn an_address_is_told_from_a_registration_by_its_scheme() {
    for (id, is_address) in [
        ("https://claude.ai/c", true),
        ("http://127.0.0.1:3000/c", true),
        ("prs_x.https://claude.ai/c", false),
        ("HTTPS://claude.ai/c", false),
        ("", false),
    ] {
        assert_eq!(ClientDocuments::is_address(id), is_address, "{id}");
    }
}

#[test]
fn the_log_names_no_origin_but_their_number() {
    let known = documents(KNOWN_ORIGINS, &clock()).unwrap();
    assert_eq!(format!("{known:?}"), "ClientDocuments(3 origins)");
    assert_eq!(format!("{:?}", ClientDocuments::none()), "ClientDocuments(0 origins)");
}

#[test]
fn the_operators_origins_are_checked() {
    let known: Vec<_> = KNOWN_ORIGINS.to_vec();
    assert!(documents(&known, &clock()).unwrap().are_served());
    assert!(!documents(&[], &clock()).unwrap().are_served());
    for good in [
        "https://claude.ai/",
        "https://claude.ai:8443",
        "http://localhost:3000",
        "http://127.0.0.1:3000",
        "http://127.9.9.9",
        "http://[::1]:3000",
    ] {
        assert!(documents(&[good], &clock()).unwrap().are_served(), "{good}");
    }
    for bad in [
        "claude.ai",
        "http://claude.ai",
        "https://claude.ai/path",
        "https://claude.ai?x",
        "https://claude.ai#x",
        "https://u@claude.ai",
        "https://:p@claude.ai",
        "https://localhost",
        "https://app.localhost",
        "http://app.localhost",
        "http://[fe80::1]",
        "https://intranet",
        "https://10.0.0.1",
        "https://[::1]",
        "http://10.0.0.1",
        "ftp://claude.ai",
    ] {
        let problems = documents(&["https://claude.ai", bad], &clock()).unwrap_err();
        assert_eq!(problems.len(), 1, "{bad}");
        assert!(problems[0].contains(bad));
    }
}

/// Both edges of every range, and what lies next to it.
const NOT_PUBLIC: &[&str] = &[
    "0.0.0.0",
    "0.255.255.255",
    "10.0.0.0",
    "10.255.255.255",
    "100.64.0.0",
    "100.127.255.255",
    "127.0.0.0",
    "127.255.255.255",
    "169.254.0.0",
    "169.254.169.254",
    "169.254.255.255",
    "172.16.0.0",
    "172.31.255.255",
    "192.0.0.0",
    "192.0.0.255",
    "192.0.2.0",
    "192.0.2.255",
    "192.88.99.0",
    "192.88.99.255",
    "192.168.0.0",
    "192.168.255.255",
    "198.18.0.0",
    "198.19.255.255",
    "198.51.100.0",
    "198.51.100.255",
    "203.0.113.0",
    "203.0.113.255",
    "224.0.0.0",
    "239.255.255.255",
    "240.0.0.0",
    "255.255.255.255",
    "::",
    "::1",
    "::8.8.8.8",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "64:ff9b::a00:1",
    "1fff:ffff::",
    "2001::",
    "2001:1ff:ffff::",
    "2001:db8::",
    "2001:db8:ffff::",
    "2002::",
    "2002:a00:1::",
    "3fff::1",
    "3fff:fff:ffff::",
    "4000::",
    "fc00::1",
    "fd12::1",
    "fe80::1",
    "ff02::1",
];

const PUBLIC: &[&str] = &[
    "1.0.0.0",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "169.253.255.255",
    "169.255.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "191.255.255.255",
    "192.0.1.1",
    "192.0.3.0",
    "192.1.0.1",
    "192.1.2.1",
    "192.88.98.255",
    "192.88.100.0",
    "192.89.99.1",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "198.51.99.255",
    "198.51.101.0",
    "198.52.100.1",
    "203.0.112.255",
    "203.0.114.0",
    "203.1.113.1",
    "223.255.255.255",
    // The second and third parts of one range behind the first of another.
    "8.51.100.1",
    "8.0.113.1",
    "8.0.2.1",
    "8.88.99.1",
    "8.168.0.1",
    "8.18.0.1",
    "8.254.0.1",
    "8.16.0.1",
    "8.64.0.1",
    "2000::",
    "2001:200::",
    "2001:db7:ffff::",
    "2001:db9::",
    "2003::",
    "2606:4700::1111",
    "2606:db8::1",
    "3ffe:fff::",
    "3fff:1000::",
];

#[test]
fn every_special_range_ends_where_its_registry_says() {
    for address in NOT_PUBLIC {
        assert!(!is_public(address.parse().unwrap()), "{address}");
    }
    for address in PUBLIC {
        assert!(is_public(address.parse().unwrap()), "{address}");
    }
}

#[tokio::test]
async fn names_lead_to_public_addresses_only() {
    // A name written as a number is resolved without asking anybody, so this needs no network.
    let private = PublicNames.resolve("10.0.0.1".parse().unwrap()).await;
    assert!(private.is_err());
    let public = PublicNames.resolve("8.8.8.8".parse().unwrap()).await;
    assert_eq!(public.unwrap().count(), 1);
    // The operator's own computer goes by this one name, and that name leads nowhere else.
    let mut local = PublicNames.resolve("localhost".parse().unwrap()).await.unwrap();
    assert!(local.all(|address| address.ip().is_loopback()));
    assert!(PublicNames.resolve("127.0.0.1".parse().unwrap()).await.is_err());
}
