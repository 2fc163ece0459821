//! Documents about clients: which are fetched, which are believed.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use chrono::DateTime;
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
    RedirectPolicy::new(&known, Url::parse("https://prs.example").unwrap()).unwrap()
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
        assert_eq!(client.document_host.as_deref(), Some("127.0.0.1"));
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

#[test]
fn the_operators_origins_are_checked() {
    let known: Vec<_> = KNOWN_ORIGINS.to_vec();
    assert!(documents(&known, &clock()).unwrap().are_served());
    assert!(!documents(&[], &clock()).unwrap().are_served());
    for bad in [
        "claude.ai",
        "http://claude.ai",
        "https://claude.ai/path",
        "https://claude.ai?x",
        "https://u@claude.ai",
        "https://localhost",
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

#[tokio::test]
async fn names_lead_to_public_addresses_only() {
    for private in [
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "127.0.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.168.1.1",
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:8.8.8.8",
        "fe80::1",
        "fc00::1",
        "fd12::1",
        "ff02::1",
        "64:ff9b::a00:1",
        "2002:a00:1::",
        "2001::1",
        "2001:db8::1",
    ] {
        assert!(!is_public(private.parse().unwrap()), "{private}");
    }
    for public in ["8.8.8.8", "172.32.0.1", "100.128.0.1", "192.0.1.1", "2606:4700::1111"] {
        assert!(is_public(public.parse().unwrap()), "{public}");
    }
    // A name written as a number is resolved without asking anybody, so this needs no network.
    let private = PublicNames.resolve("10.0.0.1".parse().unwrap()).await;
    assert!(private.is_err());
    let public = PublicNames.resolve("8.8.8.8".parse().unwrap()).await;
    assert_eq!(public.unwrap().count(), 1);
}
