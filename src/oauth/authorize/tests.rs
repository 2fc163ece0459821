//! Authorization requests: the honest ones, and where each wrong one is shown.

use std::{collections::BTreeMap, sync::Arc};

use proptest::prelude::*;
use serde_json::json;
use url::{Url, form_urlencoded};

use super::*;
use crate::{
    domain::{Secret, SystemClock, SystemEntropy},
    identity::Keyring,
    oauth::{
        document::ClientDocuments,
        redirect::{KNOWN_HOSTS, RedirectPolicy},
    },
};

const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

struct World {
    clients: Clients,
    endpoints: Endpoints,
    client: String,
}

fn world() -> World {
    let own = Url::parse("https://prs.example").unwrap();
    let known: Vec<_> = KNOWN_HOSTS.iter().map(|uri| (*uri).to_owned()).collect();
    let clients = Clients::new(
        Keyring::new(Secret::from("a secret of at least 32 bytes, ok".to_owned()), Vec::new()),
        "https://prs.example",
        RedirectPolicy::new(&known, own.clone()),
        ClientDocuments::none(),
        Arc::new(SystemClock),
        Arc::new(SystemEntropy),
    );
    let request = json!({
        "client_name": "Claude",
        "redirect_uris": ["http://127.0.0.1/cb", "https://claude.ai/api/mcp/auth_callback"],
    });
    let answer = clients.register(request.to_string().as_bytes()).unwrap();
    let client = answer["client_id"].as_str().unwrap().to_owned();
    World { clients, endpoints: Endpoints::new(&own, false), client }
}

impl World {
    /// An honest query with some parameters set to something else, or left out.
    fn query(&self, changes: &[(&str, Option<&str>)]) -> String {
        let mut parameters: BTreeMap<&str, &str> = BTreeMap::from([
            ("response_type", "code"),
            ("client_id", self.client.as_str()),
            ("redirect_uri", "http://127.0.0.1:5000/cb"),
            ("state", "s t&a=te"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
            ("scope", "pull_requests"),
            ("resource", "https://prs.example/mcp"),
        ]);
        for (name, value) in changes {
            match value {
                Some(value) => parameters.insert(name, value),
                None => parameters.remove(name),
            };
        }
        form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish()
    }

    async fn parse(&self, query: &str) -> Result<AuthorizationRequest, Refusal> {
        AuthorizationRequest::parse(query.as_bytes(), &self.clients, &self.endpoints).await
    }

    async fn page(&self, query: &str) -> ErrorCode {
        match self.parse(query).await {
            Err(Refusal::Page(error)) => error.code,
            other => panic!("{query}: {other:?}"),
        }
    }

    /// What the client is told at its redirect URI.
    async fn told(&self, query: &str) -> BTreeMap<String, String> {
        match self.parse(query).await {
            Err(Refusal::Redirect(location, error)) => {
                let url = Url::parse(location.as_str()).unwrap();
                assert_eq!(url.host_str(), Some("127.0.0.1"));
                let told: BTreeMap<_, _> = url.query_pairs().into_owned().collect();
                assert_eq!(told["error"], error.code.slug());
                assert_eq!(told["iss"], "https://prs.example");
                told
            }
            other => panic!("{query}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn an_honest_request_is_read() {
    let world = world();
    let request = world.parse(&world.query(&[])).await.unwrap();
    assert_eq!(request.redirect.as_str(), "http://127.0.0.1:5000/cb");
    assert_eq!(request.state.as_deref(), Some("s t&a=te"));
    assert_eq!(request.asker().claims().get(), Some("Claude"));
    let logged = format!("{request:?}");
    assert!(
        logged.contains(&format!("{:?}", request.client.id)) && !logged.contains("a=te"),
        "{logged}"
    );
    assert!(matches!(request.asker(), Asker::Program { claims } if claims.get() == Some("Claude")));
    let location = request.granted("the-code", &world.endpoints);
    assert_eq!(format!("{location:?}"), "Location(…)");
    assert_eq!(
        location.as_str(),
        "http://127.0.0.1:5000/cb?code=the-code&state=s+t%26a%3Dte&iss=https%3A%2F%2Fprs.example"
    );
    // What may be left out, and what is ignored.
    let query = world.query(&[
        ("state", None),
        ("scope", None),
        ("resource", None),
        ("prompt", Some("none")),
        ("x", Some("y")),
        ("redirect_uri", Some("https://claude.ai/api/mcp/auth_callback")),
    ]);
    let request = world.parse(&query).await.unwrap();
    assert_eq!(request.state, None);
    assert!(matches!(request.asker(), Asker::Site { host, .. } if host == "claude.ai"));
    assert!(!request.granted("c", &world.endpoints).as_str().contains("state"));
    let kept = serde_json::to_string(&request).unwrap();
    assert_eq!(serde_json::from_str::<AuthorizationRequest>(&kept).unwrap(), request);
    assert!(!format!("{:?}", world.parse(&world.query(&[])).await).contains("s t&a"));
}

#[tokio::test]
async fn who_is_not_known_is_not_redirected_to() {
    let world = world();
    for (changes, code) in [
        (("client_id", None), ErrorCode::InvalidRequest),
        (("client_id", Some("")), ErrorCode::InvalidRequest),
        (("client_id", Some("claude")), ErrorCode::InvalidClient),
        (("client_id", Some("https://evil.example/client")), ErrorCode::InvalidClient),
        // Two are registered: which one is meant?
        (("redirect_uri", None), ErrorCode::InvalidRequest),
        (("redirect_uri", Some("https://evil.example/cb")), ErrorCode::InvalidRequest),
        (("redirect_uri", Some("http://127.0.0.1:5000/other")), ErrorCode::InvalidRequest),
        // Allowed, but not this client's.
        (("redirect_uri", Some("https://vscode.dev/redirect")), ErrorCode::InvalidRequest),
        // Nobody can read it.
        (("client_id", Some("\0")), ErrorCode::InvalidRequest),
        (("redirect_uri", Some("http://127.0.0.1:5000/cb\n")), ErrorCode::InvalidRequest),
    ] {
        assert_eq!(world.page(&world.query(&[changes])).await, code, "{changes:?}");
    }
    for doubled in ["client_id=x", "redirect_uri=http://127.0.0.1:5000/cb"] {
        let query = format!("{}&{doubled}", world.query(&[]));
        assert_eq!(world.page(&query).await, ErrorCode::InvalidRequest);
        let query = format!("{doubled}&{}", world.query(&[]));
        assert_eq!(world.page(&query).await, ErrorCode::InvalidRequest);
    }
}

#[tokio::test]
async fn other_errors_go_back_to_the_client_with_its_state() {
    let world = world();
    for (changes, error) in [
        (("response_type", None), "invalid_request"),
        (("response_type", Some("token")), "unsupported_response_type"),
        (("response_type", Some("code id_token")), "unsupported_response_type"),
        (("response_mode", Some("fragment")), "invalid_request"),
        (("request", Some("eyJ")), "invalid_request"),
        (("request_uri", Some("https://evil.example/r")), "invalid_request"),
        (("code_challenge", None), "invalid_request"),
        (("code_challenge", Some("short")), "invalid_request"),
        (
            ("code_challenge", Some("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw+cM")),
            "invalid_request",
        ),
        (("code_challenge_method", None), "invalid_request"),
        (("code_challenge_method", Some("plain")), "invalid_request"),
        (("code_challenge_method", Some("s256")), "invalid_request"),
        (("resource", Some("https://evil.example/mcp")), "invalid_target"),
        (("resource", Some("https://prs.example/mcp\0")), "invalid_target"),
        (("scope", Some("admin")), "invalid_scope"),
        // What nobody can read is told, known or not, and never repeated.
        (("scope", Some("pull_requests\u{7}")), "invalid_request"),
        (("x", Some("\r\nLocation: https://evil.example")), "invalid_request"),
    ] {
        let told = world.told(&world.query(&[changes])).await;
        assert_eq!(told["error"], error, "{changes:?}");
        assert_eq!(told["state"], "s t&a=te", "{changes:?}");
    }
    for doubled in ["scope=pull_requests", "code_challenge=x", "response_type=code", "x=1&x=1"] {
        let told = world.told(&format!("{}&{doubled}", world.query(&[]))).await;
        assert_eq!(told["error"], "invalid_request", "{doubled}");
    }
    let two = format!("{}&resource=https://prs.example", world.query(&[]));
    assert_eq!(world.told(&two).await["error"], "invalid_target");
}

#[tokio::test]
async fn a_doubtful_state_is_not_repeated() {
    let world = world();
    let long = "s".repeat(MAX_STATE_BYTES + 1);
    for query in [
        format!("{}&state=other", world.query(&[])),
        world.query(&[("state", Some(&long))]),
        world.query(&[("state", Some("ständig"))]),
        world.query(&[("state", Some("s\r\nLocation: https://evil.example"))]),
    ] {
        let told = world.told(&query).await;
        assert_eq!(told["error"], "invalid_request");
        assert!(!told.contains_key("state"));
    }
    assert!(world.parse(&world.query(&[("state", Some(&long[1..]))])).await.is_ok());
}

#[test]
fn only_the_verifier_fits_its_challenge() {
    // The example of RFC 7636 appendix B.
    let challenge = Challenge::parse(CHALLENGE).unwrap();
    assert!(challenge.fits(VERIFIER));
    assert!(!challenge.fits(CHALLENGE));
    assert!(!challenge.fits(&VERIFIER[1..]));
    assert!(!challenge.fits(""));
    // Verifiers that the standard does not allow, though their SHA-256 would fit.
    for bad in ["a".repeat(42), "a".repeat(129), format!("{}é", "a".repeat(50)), "a b".repeat(20)]
    {
        let own = URL_SAFE_NO_PAD.encode(Sha256::digest(bad.as_bytes()));
        assert!(!Challenge::parse(&own).unwrap().fits(&bad), "{bad}");
    }
    assert_eq!(Challenge::parse(&format!("{CHALLENGE}=")), None);
    assert_eq!(Challenge::parse(&CHALLENGE[..42]), None);
}

fn any_query() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec![
        "response_type",
        "client_id",
        "redirect_uri",
        "state",
        "code_challenge",
        "scope",
        "code_challenge_method",
        "resource",
        "response_mode",
        "x",
        "",
    ]);
    let value = prop_oneof![
        prop::sample::select(vec![
            "code",
            "S256",
            CHALLENGE,
            "http://127.0.0.1:1/cb",
            "https://evil.example/cb",
            "//evil.example",
            "javascript:alert(1)",
            "pull_requests",
            "%0d%0a",
            "%ff",
            "CLIENT",
            "https://prs.example/mcp",
        ])
        .prop_map(str::to_owned),
        "[ -~]{0,30}",
    ];
    prop::collection::vec((name, value), 0..10).prop_map(|pairs| {
        pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_query_leads_to_a_stranger(query in any_query(), honest in any::<bool>()) {
        let world = world();
        let query = query.replace("CLIENT", &world.client);
        let query = if honest { format!("{}&{query}", world.query(&[])) } else { query };
        let outcome = futures_util::FutureExt::now_or_never(world.parse(&query));
        let location = match outcome.expect("nothing is fetched") {
            Err(Refusal::Page(error)) => {
                prop_assert!(error.code.http_status() < 500);
                return Ok(());
            }
            Err(Refusal::Redirect(location, _)) => location,
            Ok(request) => request.granted("c", &world.endpoints),
        };
        let url = Url::parse(location.as_str()).unwrap();
        prop_assert_eq!((url.scheme(), url.host_str(), url.path()), ("http", Some("127.0.0.1"), "/cb"));
    }
}
