//! What the standards say about codes, tokens and challenges.

use serde_json::json;

use super::{Member, OAuthClient, error, member, start, tokens};
use crate::fakes::Browser;

/// A23: a code is worth something once, for its client, with its verifier, for this resource.
#[tokio::test]
async fn a23_codes() {
    let server = start().await;
    let (browser, client) = (Browser::new(), OAuthClient::discover(&server).await);
    let other = OAuthClient::discover(&server).await;
    let wrong = [
        [("code_verifier", "another-verifier-of-at-least-forty-three-chars")],
        [("client_id", other.id.as_str())],
        [("redirect_uri", other.redirect.as_str())],
        [("redirect_uri", "")],
    ];
    for changes in wrong {
        let code = client.code(&client.trip(&browser, "octocat").await);
        let answer = client.redeem_with(&code, &changes).await;
        assert_eq!(error(answer).await, (400, "invalid_grant".to_owned()), "{changes:?}");
    }
    let code = client.code(&client.trip(&browser, "octocat").await);
    let foreign = client.redeem_with(&code, &[("resource", "https://evil.example/mcp")]).await;
    assert_eq!(error(foreign).await, (400, "invalid_target".to_owned()));
    let first = tokens(client.redeem(&code).await).await;
    assert!(client.is_admitted(&first.access).await);
    // Used twice: what it had opened ends.
    assert_eq!(error(client.redeem(&code).await).await.1, "invalid_grant");
    assert!(!client.is_admitted(&first.access).await);
    let late = client.code(&client.trip(&browser, "octocat").await);
    server.clock.advance(chrono::Duration::seconds(61));
    assert_eq!(error(client.redeem(&late).await).await.1, "invalid_grant");
    // Plain challenges, and none.
    for changes in [[("code_challenge_method", "plain")], [("code_challenge", "")]] {
        let page = browser.get(client.authorize_url_with(&changes)).await;
        assert!(page.url.as_str().contains("error=invalid_request"), "{page:?}");
    }
}

/// A23: a rotated refresh token that comes back late ends the whole family.
#[tokio::test]
async fn a23_late_reuse_of_a_refresh_token() {
    let server = start().await;
    let Member { client, tokens: old, .. } = member(&server, "octocat").await;
    let stranger = OAuthClient::discover(&server).await;
    assert_eq!(error(stranger.refresh(&old.refresh).await).await.1, "invalid_grant");
    let new = tokens(client.refresh(&old.refresh).await).await;
    server.clock.advance(chrono::Duration::seconds(121));
    assert_eq!(error(client.refresh(&old.refresh).await).await.1, "invalid_grant");
    assert!(!client.is_admitted(&new.access).await);
    assert_eq!(error(client.refresh(&new.refresh).await).await.1, "invalid_grant");
}

/// A24: what is no good access token is told so, and where to get one.
#[tokio::test]
async fn a24_bad_tokens() {
    let server = start().await;
    let Member { client, tokens, .. } = member(&server, "octocat").await;
    let flipped = {
        let (rest, last) = tokens.access.split_at(tokens.access.len() - 1);
        format!("{rest}{}", if last == "A" { "B" } else { "A" })
    };
    let initialize = json!({
        "jsonrpc": "2.0", "id": 0, "method": "initialize",
        "params": { "protocolVersion": "2025-11-25", "capabilities": {},
            "clientInfo": { "name": "x", "version": "1" } },
    });
    let long = "a".repeat(4000);
    for token in ["garbage", "", &tokens.refresh, &flipped, &long] {
        for request in [
            client.http.post(server.url("/mcp")).json(&initialize),
            client.http.get(server.url("/mcp")),
            client.http.delete(server.url("/mcp")),
        ] {
            let answer = request.bearer_auth(token).send().await.unwrap();
            assert_eq!(answer.status(), 401, "{token}");
            let challenge = answer.headers()["www-authenticate"].to_str().unwrap();
            assert!(challenge.starts_with("Bearer ") && challenge.contains("resource_metadata="));
        }
    }
    let in_query = format!("{}?access_token={}", server.url("/mcp"), tokens.access);
    let in_query = client.http.post(in_query).json(&initialize).send().await.unwrap();
    assert_eq!(in_query.status(), 401);
    assert!(client.is_admitted(&tokens.access).await);
    server.clock.advance(chrono::Duration::minutes(61));
    assert!(!client.is_admitted(&tokens.access).await);
}

/// RFC 7009: a client gives back what it has.
#[tokio::test]
async fn a_client_revokes_its_own_tokens() {
    let server = start().await;
    let Member { client, tokens, .. } = member(&server, "octocat").await;
    let stranger = OAuthClient::discover(&server).await;
    let give = [("token", tokens.refresh.as_str()), ("client_id", stranger.id.as_str())];
    stranger.post("revocation_endpoint", &give).await;
    assert!(client.is_admitted(&tokens.access).await);
    let give = [("token", tokens.refresh.as_str()), ("client_id", client.id.as_str())];
    assert_eq!(client.post("revocation_endpoint", &give).await.status(), 200);
    assert!(!client.is_admitted(&tokens.access).await);
    let unknown = [("token", "unknown"), ("client_id", client.id.as_str())];
    assert_eq!(client.post("revocation_endpoint", &unknown).await.status(), 200);
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
