//! What the standards say about codes, tokens and challenges.

use futures_util::future::join_all;
use reqwest::header;
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
};
use url::Url;

use super::{Member, OAuthClient, client::error, login, member, start};
use crate::{
    fakes::{Browser, Match},
    support::Agent,
};

/// RFC 7009: a client gives back what it has.
#[tokio::test]
async fn a_client_revokes_its_own_tokens() {
    let server = start().await;
    let Member { client, tokens, .. } = member(&server, "octocat").await;
    let stranger = OAuthClient::discover(&server).await;
    let give = [("token", tokens.refresh.as_str()), ("client_id", stranger.id.as_str())];
    // Section 2.1: a token of another client is refused, and the client is told.
    for token in [&tokens.refresh, &tokens.access] {
        let give = [("token", token.as_str()), give[1]];
        let refused = stranger.post("revocation_endpoint", &give).await;
        assert_eq!(error(refused).await, (400, "invalid_grant".to_owned()));
    }
    let refused = client.post("revocation_endpoint", &[("token", &tokens.refresh)]).await;
    assert_eq!(error(refused).await, (400, "invalid_request".to_owned()));
    assert!(client.is_admitted(&tokens.access).await);
    let give = [("token", tokens.refresh.as_str()), ("client_id", client.id.as_str())];
    assert_eq!(client.post("revocation_endpoint", &give).await.status(), 200);
    assert!(!client.is_admitted(&tokens.access).await);
    let unknown = [("token", "unknown"), ("client_id", client.id.as_str())];
    assert_eq!(client.post("revocation_endpoint", &unknown).await.status(), 200);
}

/// RFC 6749 sections 5.1 and 5.2: what must stand beside an answer of the token endpoint.
#[tokio::test]
async fn answers_with_tokens_are_never_kept_and_passwords_are_refused_in_their_scheme() {
    let server = start().await;
    let Member { client, tokens, .. } = member(&server, "octocat").await;
    let fields = [
        ("grant_type", "refresh_token"),
        ("refresh_token", &tokens.refresh),
        ("client_id", &client.id),
    ];
    for (endpoint, form) in [("/token", fields), ("/revoke", fields)] {
        let form = form.map(|(name, value)| match (endpoint, name) {
            ("/revoke", "refresh_token") => ("token", value),
            _ => (name, value),
        });
        let post = client.http.post(server.url(endpoint)).form(&form);
        let refused = post.basic_auth(&client.id, Some("secret")).send().await.unwrap();
        let challenge = refused.headers()[header::WWW_AUTHENTICATE].to_str().unwrap().to_owned();
        assert!(challenge.starts_with("Basic "), "{challenge}");
        assert_eq!(error(refused).await, (401, "invalid_client".to_owned()));
    }
    assert!(client.is_admitted(&tokens.access).await, "nothing was revoked");
    for (token, status) in [(tokens.refresh.as_str(), 200), ("x", 400)] {
        let answer = client.refresh(token).await;
        assert_eq!(answer.status(), status);
        assert_eq!(answer.headers()[header::CACHE_CONTROL], "no-store");
        assert_eq!(answer.headers()[header::PRAGMA], "no-cache");
    }
}

/// A person who asks too much at once is told so also when opening sessions, and is in nobody's way.
#[tokio::test]
async fn opening_sessions_counts_for_the_persons_share() {
    const SHARE: usize = 32;
    let server = start().await;
    let greedy = member(&server, "octocat").await;
    let other = member(&server, "mira-holm").await;
    let initialize = json!({
        "jsonrpc": "2.0", "id": 0, "method": "initialize",
        "params": { "protocolVersion": "2025-11-25", "capabilities": {},
            "clientInfo": { "name": "x", "version": "1" } },
    });
    let open = async |member: &Member| {
        let post = member.client.http.post(server.url("/mcp")).json(&initialize);
        let post = post.header(header::ACCEPT, "application/json, text/event-stream");
        post.bearer_auth(&member.tokens.access).send().await.unwrap()
    };
    let gate = server.world.llm.hold(Match::any());
    let ask = async |_: usize| {
        let wanted = json!({ "repository": "lighthouse-labs/beacon", "limit": 1 });
        // 30 in a minute are counted elsewhere, and minutes pass.
        while greedy.agent.call("summarize_prs", wanted.clone()).await.is_error {}
    };
    let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" });
    let played = async {
        let mut opened = 0;
        loop {
            server.clock.advance(chrono::Duration::seconds(5));
            // Full, if only with what is refused elsewhere in a moment.
            if greedy.agent.send(ping.clone()).await.status() == 429 {
                let answer = open(&greedy).await;
                if answer.status() == 429 {
                    assert!(answer.headers().contains_key(header::RETRY_AFTER));
                    break;
                }
                opened += 1;
                assert!(opened < 40, "they are opened beyond the share");
            }
        }
        assert_eq!(open(&other).await.status(), 200);
        gate.release();
    };
    tokio::join!(join_all((0..SHARE).map(ask)), played);
    assert_eq!(open(&greedy).await.status(), 200);
}

/// A person's sessions are bounded by ending the longest idle, never by refusing a new one.
#[tokio::test]
async fn the_sixty_fifth_session_of_a_person_ends_the_longest_idle() {
    let server = start().await;
    let Member { client, tokens, agent: first, .. } = member(&server, "octocat").await;
    let stranger = member(&server, "mira-holm").await;
    let second = client.agent(&tokens).await;
    server.clock.advance(chrono::Duration::minutes(11));
    assert_eq!(login(&first).await.as_deref(), Some("octocat"));
    let mut newest = None;
    for _ in 0..63 {
        newest = Some(client.agent(&tokens).await);
    }
    let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" });
    let status = async |agent: &Agent| agent.send(ping.clone()).await.status().as_u16();
    assert_eq!(status(&second).await, 404);
    for agent in [&first, &newest.unwrap(), &stranger.agent] {
        assert_eq!(status(agent).await, 200);
    }
}

/// Hosts that send no `resource` mean ours; the root form and a trailing slash too.
#[tokio::test]
async fn resources() {
    let server = start().await;
    let (browser, client) = (Browser::new(), OAuthClient::discover(&server).await);
    let (root, slash) = (server.origin(), server.url("/mcp/"));
    for resource in ["", &root, &slash] {
        let page = browser.get(client.authorize_url_with(&[("resource", resource)])).await;
        assert!(page.form_with("Allow").is_some(), "{resource}: {page:?}");
    }
    let page =
        browser.get(client.authorize_url_with(&[("resource", "https://evil.example/")])).await;
    assert!(page.url.as_str().contains("error=invalid_target"), "{page:?}");
}

/// Clients in browsers ask first whether they may.
#[tokio::test]
async fn preflights_are_answered() {
    let server = start().await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    for path in ["/token", "/register", "/revoke", "/.well-known/oauth-authorization-server"] {
        let asked = http
            .request(reqwest::Method::OPTIONS, server.url(path))
            .header("origin", "https://client.example")
            .header("access-control-request-method", "POST");
        let answer = asked.send().await.unwrap();
        assert_eq!(answer.status(), 204, "{path}");
        assert_eq!(answer.headers()["access-control-allow-origin"], "*");
        assert!(answer.headers().get("access-control-allow-credentials").is_none());
    }
    // Pages of other sites may not call the tools, nor read the consent page.
    let page = http.get(server.url("/authorize")).send().await.unwrap();
    assert!(page.headers().get("access-control-allow-origin").is_none());
}

/// A client whose token has ended reads the refusal and goes on over the same connection, even if
/// its message was still on its way when the refusal was decided.
#[tokio::test]
async fn a_refusal_does_not_end_the_connection() {
    let server = start().await;
    let mcp = Url::parse(&server.url("/mcp")).unwrap();
    let address = (mcp.host_str().unwrap(), mcp.port().unwrap());
    let mut connection = BufReader::new(TcpStream::connect(address).await.unwrap());
    let head = format!(
        "POST /mcp HTTP/1.1\r\nhost: {}:{}\r\ncontent-type: application/json\r\n\
         content-length: 2\r\n",
        address.0, address.1
    );
    // Whoever waits for `100 Continue` sends nothing before the server wants to read.
    connection.write_all(format!("{head}expect: 100-continue\r\n\r\n").as_bytes()).await.unwrap();
    assert_eq!(status(&mut connection).await.as_deref(), Some("100"));
    connection.write_all(b"{}").await.unwrap();
    assert_eq!(status(&mut connection).await.as_deref(), Some("401"));
    connection.write_all(format!("{head}\r\n{{}}").as_bytes()).await.unwrap();
    assert_eq!(status(&mut connection).await.as_deref(), Some("401"));
}

/// What is long is not awaited; the answer says that the connection ends with it.
#[tokio::test]
async fn a_refusal_awaits_no_long_body() {
    let server = start().await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let refused = http.post(server.url("/mcp")).body(vec![b' '; 200_000]).send().await.unwrap();
    assert_eq!(refused.status(), 401);
    assert_eq!(refused.headers()[header::CONNECTION], "close");
}

/// The status of the next answer, whose head and body are read; `None` where the connection ended.
async fn status(connection: &mut BufReader<TcpStream>) -> Option<String> {
    let (mut status, mut length) = (None, 0);
    loop {
        let mut line = String::new();
        if connection.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_ascii_lowercase();
        if status.is_none() {
            status = line.split(' ').nth(1).map(str::to_owned);
        } else if let Some(stated) = line.strip_prefix("content-length: ") {
            length = stated.parse().unwrap();
        } else if line.is_empty() {
            break;
        }
    }
    connection.read_exact(&mut vec![0; length]).await.ok()?;
    status
}
