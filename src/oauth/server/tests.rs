//! The whole server, from registration to revocation, and what it answers to nonsense.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::json;
use url::{Url, form_urlencoded};

use super::*;
use crate::{
    domain::{Clock, Entropy, ManualClock, PrincipalId, Secret, SystemClock, SystemEntropy},
    identity::Keyring,
    oauth::{ClientDocuments, RedirectPolicy},
    store::Store,
};

const REDIRECT: &str = "http://127.0.0.1:5000/cb";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

fn server() -> AuthorizationServer {
    server_at(Arc::new(SystemClock))
}

fn server_at(clock: Arc<dyn Clock>) -> AuthorizationServer {
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    let own = Url::parse("https://prs.example").unwrap();
    let store = Store::memory(Arc::clone(&clock));
    let endpoints = Endpoints::new(&own, false);
    let grants = Grants::new(store.clone(), Arc::clone(&clock), Arc::clone(&entropy));
    let codes = Codes::new(store, grants.clone(), Arc::clone(&clock), Arc::clone(&entropy));
    let clients = Clients::new(
        Keyring::new(Secret::from("a secret of at least 32 bytes, ok".to_owned()), Vec::new()),
        endpoints.issuer(),
        RedirectPolicy::new(&[], own),
        ClientDocuments::none(),
        clock,
        entropy,
    );
    AuthorizationServer::new(endpoints, clients, codes, grants)
}

fn encode(pairs: &[(&str, &str)]) -> Vec<u8> {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish().into_bytes()
}

fn register(server: &AuthorizationServer) -> String {
    let body = json!({ "redirect_uris": ["http://127.0.0.1/cb"] }).to_string();
    server.register(body.as_bytes()).unwrap()["client_id"].as_str().unwrap().to_owned()
}

async fn code(server: &AuthorizationServer, client: &str, person: &Person) -> String {
    let query = encode(&[
        ("response_type", "code"),
        ("client_id", client),
        ("redirect_uri", REDIRECT),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ]);
    let request = server.authorize(&query).await.unwrap();
    let epoch = server.grants.remember(person).await.unwrap();
    let location = server.grant(&request, person, epoch).await.unwrap();
    let url = Url::parse(location.as_str()).unwrap();
    url.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned()
}

fn person() -> Person {
    Person { principal: PrincipalId::mint(&SystemEntropy), github_id: 1 }
}

/// A form with the honest fields of a redemption, some set to something else.
fn redemption<'a>(client: &'a str, code: &'a str, changes: &[(&'a str, &'a str)]) -> Vec<u8> {
    let mut fields = vec![
        ("grant_type", "authorization_code"),
        ("client_id", client),
        ("code", code),
        ("redirect_uri", REDIRECT),
        ("code_verifier", VERIFIER),
    ];
    for change in changes {
        fields.retain(|(name, _)| *name != change.0);
        fields.push(*change);
    }
    encode(&fields)
}

async fn check(server: &AuthorizationServer, header: &str) -> Result<Access, Unauthorized> {
    server.check(std::iter::once(header.as_bytes())).await.unwrap()
}

#[tokio::test]
async fn a_client_goes_all_the_way() {
    let server = server();
    let (client, person) = (register(&server), person());
    let code = code(&server, &client, &person).await;
    let tokens = server.token(&redemption(&client, &code, &[])).await.unwrap();
    let body: Value = serde_json::from_str(&tokens.to_json()).unwrap();
    assert_eq!((&body["token_type"], &body["expires_in"]), (&json!("Bearer"), &json!(3600)));
    let bearer = format!("Bearer {}", body["access_token"].as_str().unwrap());
    let access = check(&server, &bearer).await.unwrap();
    assert_eq!(access.principal, person.principal);
    let refresh = body["refresh_token"].as_str().unwrap();
    assert_eq!(
        check(&server, &format!("Bearer {refresh}")).await.unwrap_err(),
        Unauthorized::Invalid
    );
    let form = encode(&[
        ("grant_type", "refresh_token"),
        ("client_id", &client),
        ("refresh_token", refresh),
        ("resource", "https://prs.example/"),
    ]);
    let body: Value = serde_json::from_str(&server.token(&form).await.unwrap().to_json()).unwrap();
    // Again within the grace: no second successor.
    let again: Value = serde_json::from_str(&server.token(&form).await.unwrap().to_json()).unwrap();
    assert!(body.get("refresh_token").is_some() && again.get("refresh_token").is_none());
    let next = body["refresh_token"].as_str().unwrap();
    server.revoke(&encode(&[("token", next), ("client_id", &client)])).await.unwrap();
    assert_eq!(check(&server, &bearer).await.unwrap_err(), Unauthorized::Invalid);
}

#[tokio::test]
async fn each_wrong_form_gets_its_error_and_spoils_nothing() {
    use ErrorCode::{
        InvalidClient, InvalidGrant, InvalidRequest, InvalidTarget, UnsupportedGrantType,
    };
    let server = server();
    let (client, other) = (register(&server), register(&server));
    let code = code(&server, &client, &person()).await;
    for (change, expected) in [
        (("grant_type", ""), InvalidRequest),
        (("grant_type", "password"), UnsupportedGrantType),
        (("grant_type", "client_credentials"), UnsupportedGrantType),
        (("client_id", ""), InvalidRequest),
        (("client_id", "x"), InvalidClient),
        (("client_id", "https://claude.ai/client"), InvalidClient),
        (("client_id", &other), InvalidGrant),
        (("code", ""), InvalidRequest),
        (("code", "x"), InvalidGrant),
        (("code_verifier", ""), InvalidRequest),
        (("code_verifier", "x"), InvalidGrant),
        (("redirect_uri", ""), InvalidGrant),
        (("redirect_uri", "https://evil.example"), InvalidGrant),
        (("resource", "https://evil.example/mcp"), InvalidTarget),
    ] {
        let refused = server.token(&redemption(&client, &code, &[change])).await.unwrap_err();
        assert_eq!(refused.code, expected, "{change:?}");
    }
    for (doubled, expected) in [
        (("code", "x"), InvalidRequest),
        (("client_id", "x"), InvalidRequest),
        (("resource", "https://prs.example"), InvalidTarget),
    ] {
        let mut form = redemption(&client, &code, &[("resource", "https://prs.example/mcp")]);
        form.push(b'&');
        form.extend(encode(&[doubled]));
        assert_eq!(server.token(&form).await.unwrap_err().code, expected, "{doubled:?}");
    }
    let tokens = server.token(&redemption(&client, &code, &[])).await.unwrap();
    let refresh = tokens.refresh_token.unwrap();
    let form = |scope| {
        encode(&[
            ("grant_type", "refresh_token"),
            ("client_id", &client),
            ("refresh_token", refresh.expose_secret()),
            ("scope", scope),
        ])
    };
    assert_eq!(server.token(&form("admin")).await.unwrap_err().code, ErrorCode::InvalidScope);
    assert!(server.token(&form("pull_requests")).await.is_ok());
    assert_eq!(server.revoke(b"").await.unwrap_err().code, InvalidRequest);
    let unknown = encode(&[("token", "x"), ("client_id", "y")]);
    assert_eq!(server.revoke(&unknown).await.unwrap_err().code, InvalidClient);
    assert_eq!(server.revoke(b"token=x").await.unwrap_err().code, InvalidRequest);
    let hinted = encode(&[("token", "x"), ("client_id", &client), ("token_type_hint", "y")]);
    assert!(server.revoke(&hinted).await.is_ok());
}

#[tokio::test]
async fn a_refusal_is_delivered_to_the_client() {
    let server = server();
    let client = register(&server);
    let query = encode(&[
        ("response_type", "code"),
        ("client_id", &client),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
        ("state", "abc"),
    ]);
    let request = server.authorize(&query).await.unwrap();
    assert_eq!(
        server.decline(&request).as_str(),
        "http://127.0.0.1/cb?error=access_denied&error_description=The+person+declined.\
         &state=abc&iss=https%3A%2F%2Fprs.example"
    );
    assert_eq!(server.check(std::iter::empty()).await.unwrap().unwrap_err(), Unauthorized::Missing);
}

fn nonsense() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        "grant_type=",
        "authorization_code",
        "refresh_token",
        "&",
        "=",
        "client_id=",
        "CLIENT",
        "code=",
        "CODE",
        "code_verifier=",
        VERIFIER,
        "redirect_uri=",
        "resource=",
        "token=",
        "%",
        "%00",
        "%ff",
        "\r\n",
        "scope=",
        "prsr_",
        "prsa_",
        "{",
        "\"",
        "ü",
        "https://evil.example",
    ]);
    prop_oneof![
        prop::collection::vec(piece, 0..16).prop_map(|pieces| pieces.concat().into_bytes()),
        prop::collection::vec(any::<u8>(), 0..200),
    ]
}

#[test]
fn ten_thousand_nonsenses_get_an_answer_and_disturb_nothing() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let server = server();
    let client = register(&server);
    let code = runtime.block_on(code(&server, &client, &person()));
    let config = ProptestConfig { cases: 10_000, failure_persistence: None, ..Default::default() };
    let mut runner = prop::test_runner::TestRunner::new(config);
    runner
        .run(&nonsense(), |bytes| {
            let text = String::from_utf8_lossy(&bytes).replace("CLIENT", &client);
            runtime.block_on(async {
                let outcomes = [
                    server.token(text.as_bytes()).await.err(),
                    server.token(&bytes).await.err(),
                    server.register(&bytes).err(),
                    server.revoke(&bytes).await.err(),
                    match server.authorize(text.as_bytes()).await {
                        Err(Refusal::Page(error) | Refusal::Redirect(_, error)) => Some(error),
                        Ok(_) => None,
                    },
                ];
                for error in outcomes.into_iter().flatten() {
                    assert!(error.code.http_status() < 500, "{error:?}");
                }
                assert!(server.check(std::iter::once(bytes.as_slice())).await.unwrap().is_err());
            });
            Ok(())
        })
        .unwrap();
    let redeemed = runtime.block_on(server.token(&redemption(&client, &code, &[])));
    assert!(redeemed.is_ok(), "a pending code was disturbed");
}

#[tokio::test]
async fn what_has_expired_is_purged_and_counted() {
    let clock = ManualClock::new(SystemClock.now());
    let server = server_at(Arc::new(clock.clone()));
    let (client, person) = (register(&server), person());
    for _ in 0..3 {
        let code = code(&server, &client, &person).await;
        server.token(&redemption(&client, &code, &[])).await.unwrap();
    }
    code(&server, &client, &person).await;
    assert_eq!(server.purge(10).await.unwrap(), 0);
    // Three used codes and one that was not, three grants.
    clock.advance(chrono::Duration::days(30));
    assert_eq!(server.purge(10).await.unwrap(), 7);
    assert_eq!(server.purge(10).await.unwrap(), 0);
}
