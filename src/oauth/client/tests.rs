//! Registrations, honest and forged.

use chrono::DateTime;
use proptest::prelude::*;
use url::Url;

use super::*;
use crate::{
    domain::{ManualClock, Secret, SystemEntropy},
    oauth::redirect::KNOWN_HOSTS,
    store::Store,
};

fn keyring(secrets: &[&str]) -> Keyring {
    let mut secrets = secrets.iter().map(|text| Secret::from((*text).to_owned()));
    Keyring::new(secrets.next().unwrap(), secrets.collect())
}

fn clients_with(keys: Keyring, base: &str) -> Clients {
    let own = Url::parse(base).unwrap();
    let known: Vec<_> = KNOWN_HOSTS.iter().map(|uri| (*uri).to_owned()).collect();
    let policy = RedirectPolicy::new(&known, own.clone());
    let clock = Arc::new(ManualClock::new(DateTime::UNIX_EPOCH));
    let issuer = own.origin().ascii_serialization();
    Clients::new(keys, &issuer, policy, ClientDocuments::none(), clock, Arc::new(SystemEntropy))
}

fn clients() -> Clients {
    clients_with(keyring(&["a secret of at least 32 bytes, ok"]), "https://prs.example")
}

fn register(clients: &Clients, request: &Value) -> Result<Value, OAuthError> {
    clients.register(request.to_string().as_bytes())
}

fn registered(clients: &Clients) -> String {
    let answer = register(clients, &json!({ "redirect_uris": ["http://127.0.0.1/cb"] })).unwrap();
    answer["client_id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_registration_is_opened_again() {
    let clients = clients();
    let answer = register(
        &clients,
        &json!({
            "client_name": "Cursor",
            "redirect_uris": [
                "cursor://anysphere.cursor-mcp/oauth/callback",
                "https://evil.example/cb",
                "http://localhost:8787/callback",
                "http://localhost:8787/callback",
            ],
            "grant_types": ["authorization_code", "refresh_token", "device_code"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "client_secret_basic",
            "logo_uri": "https://evil.example/logo.png",
        }),
    )
    .unwrap();
    let kept =
        json!(["cursor://anysphere.cursor-mcp/oauth/callback", "http://localhost:8787/callback"]);
    assert_eq!(answer["redirect_uris"], kept);
    assert_eq!(answer["client_name"], "Cursor");
    assert_eq!(answer["token_endpoint_auth_method"], "none");
    assert!(answer.get("client_secret").is_none() && answer.get("logo_uri").is_none());
    let client = clients.find(answer["client_id"].as_str().unwrap()).await.unwrap();
    assert_eq!(client.name.get(), Some("Cursor"));
    assert_eq!(json!(client.redirects), kept);
    assert_ne!(registered(&clients), registered(&clients));
}

#[test]
fn what_cannot_be_served_is_not_registered() {
    use ErrorCode::{InvalidClientMetadata as Metadata, InvalidRedirectUri as Redirect};
    let loopback = json!(["http://127.0.0.1/cb"]);
    for (request, expected) in [
        (json!({}), Redirect),
        (json!({ "redirect_uris": [] }), Redirect),
        (json!({ "redirect_uris": ["https://evil.example"] }), Redirect),
        (json!({ "redirect_uris": ["javascript:alert(1)", "https://prs.example/x"] }), Redirect),
        (json!({ "redirect_uris": vec!["http://127.0.0.1/cb"; MOST_LISTED + 1] }), Redirect),
        (json!({ "redirect_uris": "http://127.0.0.1/cb" }), Metadata),
        (json!({ "redirect_uris": [1] }), Metadata),
        (json!({ "redirect_uris": loopback, "client_name": 1 }), Metadata),
        (json!({ "redirect_uris": loopback, "grant_types": ["client_credentials"] }), Metadata),
        (json!({ "redirect_uris": loopback, "response_types": ["token"] }), Metadata),
        (json!([["http://127.0.0.1/cb"], null, null, null]), Metadata),
        (json!("x"), Metadata),
        (json!({ "redirect_uris": loopback, "x": "y".repeat(MAX_REGISTRATION_BYTES) }), Metadata),
    ] {
        let refused = register(&clients(), &request).unwrap_err();
        assert_eq!(refused.code, expected, "{request}");
    }
    for text in ["", "{", "{\"redirect_uris\":[],\"redirect_uris\":[]}", "\u{feff}{}"] {
        assert_eq!(clients().register(text.as_bytes()).unwrap_err().code, Metadata, "{text}");
    }
}

#[test]
fn a_registration_may_be_as_long_as_its_bounds_say() {
    let listed = json!({ "redirect_uris": vec!["http://127.0.0.1/cb"; MOST_LISTED] });
    assert!(register(&clients(), &listed).is_ok());
    let mut request = json!({ "redirect_uris": ["http://127.0.0.1/cb"] }).to_string();
    request.push_str(&" ".repeat(16_384 - request.len()));
    assert!(clients().register(request.as_bytes()).is_ok());
    request.push(' ');
    assert!(clients().register(request.as_bytes()).is_err());
    // Four addresses that fill what is kept to the last byte, and one more that no longer fits.
    let long = |n: usize| format!("http://127.0.0.1/{n}{}", "a".repeat(MAX_KEPT_BYTES / 4 - 18));
    let mut uris: Vec<_> = (0..4).map(long).collect();
    uris.push("http://127.0.0.1".to_owned());
    let answer = register(&clients(), &json!({ "redirect_uris": uris })).unwrap();
    assert_eq!(answer["redirect_uris"], json!(uris[..4]));
    let many: Vec<_> = (0..=MOST_KEPT).map(|n| format!("http://127.0.0.1/{n}")).collect();
    let answer = register(&clients(), &json!({ "redirect_uris": many })).unwrap();
    assert_eq!(answer["redirect_uris"], json!(many[..MOST_KEPT]));
}

#[test]
fn a_log_names_a_client_by_its_digest() {
    let id = clients().recognize(&registered(&clients())).unwrap();
    assert_eq!(format!("{id:?}"), format!("ClientId({}…)", &id.digest()[..8]));
}

#[tokio::test]
async fn a_name_is_filtered_and_the_identifier_stays_short() {
    let long: Vec<_> =
        (0..10).map(|n| format!("http://127.0.0.1/{n}/{}", "a".repeat(400))).collect();
    let name = format!("Cl\u{202e}au\u{0}de\u{200b}\n{}", "ü".repeat(4_000));
    let request = json!({ "client_name": name, "redirect_uris": long });
    let answer = register(&clients(), &request).unwrap();
    let id = answer["client_id"].as_str().unwrap();
    assert!(id.len() < 4096, "{}", id.len());
    let shown = answer["client_name"].as_str().unwrap();
    assert!(shown.starts_with("Claude") && shown.chars().count() <= 64, "{shown}");
    assert!(!shown.contains(['\u{202e}', '\0', '\n', '\u{200b}']));
    let kept = clients().find(id).await.unwrap().redirects;
    assert_eq!(kept.len(), MAX_KEPT_BYTES / 420);
}

#[tokio::test]
async fn a_registration_outlives_the_secret_that_signed_it() {
    const OLD: &str = "the old secret of at least 32 bytes";
    const NEW: &str = "the new secret of at least 32 bytes";
    const OTHER: &str = "a secret that was never given here";
    let base = "https://prs.example";
    let store = Store::memory(Arc::new(ManualClock::new(DateTime::UNIX_EPOCH)));
    let started = async |secrets: &[&str]| {
        let keys = keyring(secrets);
        let kept = ClientKeys::kept(&store, &keys).await.unwrap();
        assert!(!format!("{kept:?}").contains(','), "{kept:?}");
        clients_with(keys, base).remembering(kept)
    };
    let id = registered(&started(&[OLD]).await);
    assert!(clients_with(keyring(&[NEW, OLD]), base).recognize(&id).is_ok());
    assert!(started(&[NEW]).await.recognize(&id).is_ok());
    // Not without the record, not of a secret that the record does not know, not elsewhere.
    let forgotten = clients_with(keyring(&[NEW]), base).recognize(&id).unwrap_err();
    assert_eq!(forgotten.code, ErrorCode::InvalidClient);
    let foreign = registered(&clients_with(keyring(&[OTHER]), base));
    let elsewhere = registered(&clients_with(keyring(&[OLD]), "https://other.example"));
    for id in [foreign, elsewhere] {
        assert!(started(&[NEW]).await.recognize(&id).is_err());
    }
    // However often it is rotated, the record stays small.
    for rotation in 0..100 {
        started(&[format!("secret {rotation} of at least 32 bytes").as_str()]).await;
    }
    assert!(started(&[NEW]).await.recognize(&id).is_err());
}

#[test]
fn what_we_did_not_sign_for_this_purpose_does_not_open() {
    let keys = keyring(&["a secret of at least 32 bytes, ok"]);
    let clients = clients();
    let id = registered(&clients);
    let (claims, tag) = id.strip_prefix(PREFIX).unwrap().split_once('.').unwrap();
    let raw = URL_SAFE_NO_PAD.decode(claims).unwrap();
    let other_purpose = keys.sign(Purpose::RequestState, &[b"https://prs.example", &raw]);
    let forged_claims = String::from_utf8(raw.clone()).unwrap().replace("/cb", "/db");
    let forged = URL_SAFE_NO_PAD.encode(forged_claims);
    for bad in [
        format!("{PREFIX}{claims}.{other_purpose}"),
        format!("{PREFIX}{forged}.{tag}"),
        format!("{PREFIX}{claims}."),
        format!("{PREFIX}{claims}"),
        format!("{PREFIX}{claims}.{tag}.x"),
        format!("{PREFIX}{claims}=.{tag}"),
        format!("{PREFIX}.{tag}"),
        format!("{claims}.{tag}"),
        String::new(),
        "client".to_owned(),
    ] {
        assert_eq!(clients.recognize(&bad).unwrap_err().code, ErrorCode::InvalidClient, "{bad}");
    }
    // Another server with the same secret.
    let elsewhere =
        clients_with(keyring(&["a secret of at least 32 bytes, ok"]), "https://other.example");
    assert_eq!(elsewhere.recognize(&id).unwrap_err().code, ErrorCode::InvalidClient);
    assert!(clients.recognize(&id).is_ok());
}

proptest! {
    #[test]
    fn a_changed_byte_closes_it(at in any::<prop::sample::Index>(), to in "[A-Za-z0-9_-]") {
        let clients = clients();
        let id = registered(&clients);
        let at = at.index(id.len());
        let mut changed = id.clone();
        changed.replace_range(at..=at, &to);
        prop_assert_eq!(clients.recognize(&changed).is_ok(), changed == id);
    }

    #[test]
    fn no_request_confuses_it(bytes in prop::collection::vec(any::<u8>(), 0..200), text in ".{0,200}") {
        let _ = clients().register(&bytes);
        let _ = clients().register(text.as_bytes());
        prop_assert!(clients().recognize(&text).is_err());
    }
}
