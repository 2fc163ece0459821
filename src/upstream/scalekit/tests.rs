//! The client against a small Scalekit on a real socket.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Uri},
    response::{IntoResponse, Response},
};
use tokio::net::TcpListener;

use super::*;
use crate::{
    domain::{ManualClock, SystemEntropy},
    upstream::transport::TransportSettings,
};

type Reply = fn(&str) -> (u16, &'static str);

/// Counts tokens, records requests, and answers everything but tokens by `answer`.
struct Fake {
    tokens: AtomicU32,
    /// Tokens up to this one are refused.
    revoked: AtomicU32,
    seen: Mutex<Vec<String>>,
    answer: Reply,
}

impl Fake {
    fn seen(&self, path: &str) -> usize {
        self.seen.lock().unwrap().iter().filter(|seen| seen.contains(path)).count()
    }
}

async fn respond(
    State(fake): State<Arc<Fake>>,
    method: axum::http::Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let path = uri.path();
    if path == "/oauth/token" {
        let form = String::from_utf8_lossy(&body);
        assert!(form.contains("grant_type=client_credentials"));
        if !form.contains("client_secret=sk-right") {
            return (StatusCode::UNAUTHORIZED, "{}").into_response();
        }
        let number = fake.tokens.fetch_add(1, Ordering::SeqCst) + 1;
        return format!(r#"{{"access_token":"token-{number}","expires_in":3600}}"#).into_response();
    }
    let token = headers["authorization"].to_str().unwrap().trim_start_matches("Bearer token-");
    let refused = token.parse::<u32>().unwrap() <= fake.revoked.load(Ordering::SeqCst);
    let names = |name: &str| headers.get(name).map_or("-", |value| value.to_str().unwrap());
    fake.seen.lock().unwrap().push(format!(
        "{method} {uri} {} {} {}",
        names("connection_name"),
        names("identifier"),
        String::from_utf8_lossy(&body)
    ));
    if refused {
        let body = r#"{"code":16,"message":"no","details":[{"error_code":"UNAUTHENTICATED"}]}"#;
        return (StatusCode::UNAUTHORIZED, body).into_response();
    }
    let (status, body) = (fake.answer)(path);
    (StatusCode::from_u16(status).unwrap(), body).into_response()
}

struct Bench {
    fake: Arc<Fake>,
    scalekit: Scalekit,
    clock: ManualClock,
    user: UserId,
}

async fn bench_with(secret: &str, answer: Reply) -> Bench {
    let fake = Arc::new(Fake {
        tokens: AtomicU32::new(0),
        revoked: AtomicU32::new(0),
        seen: Mutex::default(),
        answer,
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(respond).with_state(Arc::clone(&fake));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let clock = ManualClock::new(chrono::DateTime::from_timestamp(1_700_000_000, 0).unwrap());
    let settings = ScalekitSettings {
        environment_url: url.parse().unwrap(),
        client_id: "skc_1".to_owned(),
        client_secret: secret.into(),
        connection_name: "github-1".to_owned(),
    };
    let quick =
        TransportSettings { backoff: Duration::from_millis(1), ..TransportSettings::default() };
    let transport = Transport::new(quick, Arc::new(SystemEntropy)).unwrap();
    let scalekit = Scalekit::new(settings, transport, Arc::new(clock.clone()));
    Bench { fake, scalekit, clock, user: UserId::mint(&SystemEntropy) }
}

async fn bench(answer: Reply) -> Bench {
    bench_with("sk-right", answer).await
}

fn call() -> Call {
    Call::within(Duration::from_secs(10))
}

const ACTIVE: &str = r#"{"connected_account":{"status":"ACTIVE"}}"#;

#[tokio::test]
async fn many_callers_share_one_token_and_a_minute_before_its_end_a_new_one() {
    let b = bench(|_| (200, ACTIVE)).await;
    let status = async || b.scalekit.account_status(&b.user, &call()).await.unwrap();
    let all = futures_util::future::join_all((0..20).map(|_| status())).await;
    assert!(all.iter().all(|status| *status == Some(AccountStatus::Active)));
    assert_eq!(b.fake.tokens.load(Ordering::SeqCst), 1);
    b.clock.advance(chrono::Duration::seconds(3539));
    status().await;
    assert_eq!(b.fake.tokens.load(Ordering::SeqCst), 1);
    b.clock.advance(chrono::Duration::seconds(1));
    status().await;
    assert_eq!(b.fake.tokens.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_refused_token_is_renewed_once_by_one_of_many() {
    let b = bench(|_| (200, ACTIVE)).await;
    b.scalekit.check(&call()).await.unwrap();
    b.fake.revoked.store(1, Ordering::SeqCst);
    let calls = (0..10).map(|_| async { b.scalekit.account_status(&b.user, &call()).await });
    for status in futures_util::future::join_all(calls).await {
        assert_eq!(status.unwrap(), Some(AccountStatus::Active));
    }
    assert_eq!(b.fake.tokens.load(Ordering::SeqCst), 2);

    b.fake.revoked.store(u32::MAX, Ordering::SeqCst);
    let failure = b.scalekit.account_status(&b.user, &call()).await.unwrap_err();
    assert_eq!(failure.code, FailureCode::ScalekitRejectedUs);
    assert_eq!(b.fake.tokens.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn wrong_credentials_are_the_operators_fault_and_never_shown() {
    let b = bench_with("sk-canary", |_| (200, "{}")).await;
    let failure = b.scalekit.check(&call()).await.unwrap_err();
    assert_eq!(failure.code, FailureCode::ScalekitRejectedUs);
    assert!(!format!("{failure} {failure:?} {:?}", b.scalekit).contains("canary"));
}

#[tokio::test]
async fn a_link_is_made_for_a_new_account_and_must_be_safe_to_open() {
    let b = bench(|path| match path {
        "/api/v1/connected_accounts/details" => (404, "{}"),
        "/api/v1/connected_accounts" => (409, "{}"),
        "/api/v1/connected_accounts/magic_link" => {
            (200, r#"{"link":"https://acme.example/l/canary","expiry":"2023-11-14T22:13:20Z"}"#)
        }
        _ => (500, "unexpected"),
    })
    .await;
    let verify_url = Url::parse("https://us.example/user/verify").unwrap();
    let state = Secret::from("state-1");
    let link = b.scalekit.authorization_link(&b.user, &state, &verify_url, &call()).await.unwrap();
    assert_eq!(link.link.as_str(), "https://acme.example/l/canary");
    assert_eq!(link.expires_at, chrono::DateTime::from_timestamp(1_700_000_000, 0));
    assert!(!format!("{link:?}").contains("canary"));
    assert_eq!(b.fake.seen("POST /api/v1/connected_accounts "), 1);
    assert_eq!(b.fake.seen(r#""user_verify_url":"https://us.example/user/verify""#), 1);
    assert_eq!(b.fake.seen(r#""state":"state-1""#), 1);

    let is_safe = |link: &str, environment: &str| {
        is_safe_link(&link.parse().unwrap(), &environment.parse().unwrap())
    };
    let (real, stand_in) = ("https://acme.scalekit.example", "http://127.0.0.1:9");
    assert!(is_safe("https://a.example/l", real) && is_safe("https://a.example/l", stand_in));
    assert!(is_safe("http://scalekit.test:9/l", stand_in));
    for link in ["javascript:alert(1)", "http://127.0.0.1/l", "https://a:b@c.example/"] {
        assert!(!is_safe(link, real), "{link}");
    }
    assert!(!is_safe("javascript:alert(1)", stand_in));
}

#[tokio::test]
async fn verify_is_sent_once_whatever_comes_back() {
    let outcomes: [(Reply, _); 7] = [
        (|_| (200, r#"{"post_user_verify_redirect_url":"x"}"#), Verification::Verified),
        (|_| (400, "{}"), Verification::Refused),
        (|_| (403, "{}"), Verification::Refused),
        (|_| (404, "{}"), Verification::Refused),
        (|_| (429, "{}"), Verification::Uncertain),
        (|_| (500, "{}"), Verification::Uncertain),
        (|_| (503, "{}"), Verification::Uncertain),
    ];
    for (answer, expected) in outcomes {
        let b = bench(answer).await;
        let verification = b.scalekit.verify(&b.user, "req_1", &call()).await.unwrap();
        assert_eq!(verification, expected);
        assert_eq!(b.fake.seen("user/verify"), 1);
    }
    let b = bench(|_| (200, "{}")).await;
    b.fake.revoked.store(1, Ordering::SeqCst);
    let failure = b.scalekit.verify(&b.user, "req_1", &call()).await.unwrap_err();
    assert_eq!(failure.code, FailureCode::ScalekitRejectedUs);
    assert_eq!(b.fake.seen("user/verify"), 1);
}

#[tokio::test]
async fn deleting_what_is_not_there_is_success_and_an_outage_is_not() {
    let b = bench(|_| (404, "{}")).await;
    b.scalekit.delete_account(&b.user, &call()).await.unwrap();
    assert_eq!(b.fake.seen("POST /api/v1/connected_accounts:delete "), 1);
    assert_eq!(b.scalekit.account_status(&b.user, &call()).await.unwrap(), None);

    // The 404 of whatever else stands at that address says nothing of an account.
    let replies: [Reply; 3] = [|_| (500, "{}"), |_| (404, "<html>Not here</html>"), |_| (404, "")];
    for reply in replies {
        let b = bench(reply).await;
        let failure = b.scalekit.delete_account(&b.user, &call()).await.unwrap_err();
        assert_eq!(failure.code, FailureCode::ScalekitUnavailable);
        let failure = b.scalekit.account_status(&b.user, &call()).await.unwrap_err();
        assert_eq!(failure.code, FailureCode::ScalekitUnavailable);
    }
}

#[tokio::test]
async fn an_unknown_connection_is_the_operators_fault_and_no_missing_account() {
    let b = bench(|_| (404, r#"{"code":5,"message":"connection not found"}"#)).await;
    let failure = b.scalekit.account_status(&b.user, &call()).await.unwrap_err();
    assert_eq!(failure.code, FailureCode::ScalekitRejectedUs);
    let b = bench(|_| (404, r#"{"code":5,"message":"connected account not found"}"#)).await;
    assert_eq!(b.scalekit.account_status(&b.user, &call()).await.unwrap(), None);
}

fn proxied() -> ProxyRequest {
    ProxyRequest {
        method: Method::GET,
        path: "/repos/a/b".to_owned(),
        query: vec![("page", "2".to_owned())],
        accept: "application/json",
        body: None,
        dispatch: Dispatch { retry: Retry::Never, cap: BodyCap::JSON, purpose: Purpose::GitHub },
    }
}

#[tokio::test]
async fn the_proxy_is_told_whose_account_and_passes_githubs_answer_through() {
    let b = bench(|_| (401, r#"{"message":"Bad credentials"}"#)).await;
    let answer = b.scalekit.proxy(&b.user, &proxied(), &call()).await.unwrap();
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    let expected = format!("?page=2 github-1 {} ", b.user.as_str());
    assert_eq!(b.fake.seen(&expected), 1);
    // GitHub's 401 is no reason to renew our own token.
    assert_eq!(b.fake.tokens.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn the_proxys_own_refusals_have_their_own_meaning() {
    let outcomes: [(Reply, _); 7] = [
        (
            |_| (404, r#"{"code":5,"message":"connection not found"}"#),
            FailureCode::ScalekitRejectedUs,
        ),
        (
            |_| (404, r#"{"code":5,"message":"connected account not found"}"#),
            FailureCode::ReauthorizationRequired,
        ),
        (|_| (400, r#"{"code":3,"message":"invalid"}"#), FailureCode::ScalekitUnavailable),
        (
            |_| (400, r#"{"code":3,"message":"proxy not enabled for provider","details":[]}"#),
            FailureCode::ProxyDisabled,
        ),
        (
            |_| (400, r#"{"code":9,"message":"not active","details":[]}"#),
            FailureCode::ReauthorizationRequired,
        ),
        (|_| (429, r#"{"code":8,"message":"m","details":[]}"#), FailureCode::ScalekitUnavailable),
        (
            |_| (403, r#"{"code":7,"message":"m","details":[{"error_code":"TOOL_ERROR"}]}"#),
            FailureCode::GitHubAccessDenied,
        ),
    ];
    for (answer, code) in outcomes {
        let b = bench(answer).await;
        match b.scalekit.proxy(&b.user, &proxied(), &call()).await {
            Err(ProxyError::Failure(failure)) => assert_eq!(failure.code, code),
            other => panic!("{other:?} instead of {code:?}"),
        }
    }
}

#[tokio::test]
async fn a_tool_is_run_once_and_its_errors_are_githubs() {
    const SAML: &str =
        r#"{"code":13,"message":"canary SAML","details":[{"error_code":"TOOL_ERROR"}]}"#;
    const LIMIT: &str = r#"{"code":13,"message":"canary","details":[{"error_code":"TOOL_ERROR",
        "tool_error_info":{"tool_error_message":"API rate limit exceeded for user 1"}}]}"#;
    const PLAIN: &str = r#"{"code":13,"message":"canary","details":[{"error_code":"TOOL_ERROR"}]}"#;
    const OWN: &str = r#"{"code":8,"message":"canary","details":[{"error_code":"RATE_LIMITED"}]}"#;
    let cases: [(Reply, FailureCode); 10] = [
        (|_| (401, PLAIN), FailureCode::ReauthorizationRequired),
        (|_| (403, PLAIN), FailureCode::GitHubAccessDenied),
        (|_| (403, SAML), FailureCode::SsoRequired),
        (|_| (403, LIMIT), FailureCode::GitHubRateLimited),
        (|_| (404, PLAIN), FailureCode::RepositoryNotFound),
        (|_| (429, PLAIN), FailureCode::GitHubRateLimited),
        (|_| (429, OWN), FailureCode::ScalekitUnavailable),
        (|_| (500, PLAIN), FailureCode::GitHubUnavailable),
        // A time-out at the gateway: the tool may still run.
        (|_| (504, "<html>"), FailureCode::ScalekitUnavailable),
        (|_| (200, "<html>canary"), FailureCode::ScalekitUnavailable),
    ];
    for (answer, code) in cases {
        let b = bench(answer).await;
        let run = b.scalekit.execute_tool(&b.user, "github_repo_get", json!({}), &call()).await;
        let failure = run.unwrap_err();
        assert_eq!(failure.code, code, "{failure:?}");
        assert!(!format!("{failure:?}").contains("canary"));
        assert_eq!(b.fake.seen("execute_tool"), 1, "{failure:?}");
        assert_eq!(b.fake.tokens.load(Ordering::SeqCst), 1);
    }
    let b = bench(|_| (200, r#"{"data":{"id":7.0},"execution_id":"x"}"#)).await;
    b.scalekit.check(&call()).await.unwrap();
    b.fake.revoked.store(1, Ordering::SeqCst);
    let data =
        b.scalekit.execute_tool(&b.user, "github_repo_get", json!({ "a": 1 }), &call()).await;
    assert_eq!(data.unwrap(), json!({ "id": 7 }));
    let seen = b.fake.seen.lock().unwrap().join("");
    assert!(
        seen.contains(r#""tool_name":"github_repo_get""#) && seen.contains("github-1"),
        "{seen}"
    );
    assert_eq!(b.fake.tokens.load(Ordering::SeqCst), 2, "our own token is renewed");
}

#[tokio::test]
async fn a_time_out_is_the_end_of_a_tool() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&asked);
    let router = Router::new().fallback(move |uri: Uri| async move {
        if uri.path() == "/oauth/token" {
            return r#"{"access_token":"token-1","expires_in":3600}"#;
        }
        count.fetch_add(1, Ordering::SeqCst);
        std::future::pending().await
    });
    tokio::spawn(async move { axum::serve(listener, router).await });
    let settings = ScalekitSettings {
        environment_url: format!("http://{address}").parse().unwrap(),
        client_id: "skc_1".to_owned(),
        client_secret: "sk-right".into(),
        connection_name: "github-1".to_owned(),
    };
    let quick = TransportSettings {
        answer_timeout: Duration::from_millis(100),
        backoff: Duration::from_millis(1),
        ..TransportSettings::default()
    };
    let transport = Transport::new(quick, Arc::new(SystemEntropy)).unwrap();
    let clock = ManualClock::new(chrono::DateTime::from_timestamp(1_700_000_000, 0).unwrap());
    let scalekit = Scalekit::new(settings, transport, Arc::new(clock));
    let user = UserId::mint(&SystemEntropy);
    let run = scalekit.execute_tool(&user, "github_repo_get", json!({}), &call()).await;
    assert_eq!(run.unwrap_err().code, FailureCode::ScalekitUnavailable);
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}
