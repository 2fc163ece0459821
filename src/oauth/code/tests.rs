//! Codes: redeemed once, by whom they were issued to, in time.

use chrono::DateTime;
use futures_util::future::join_all;
use serde_json::json;
use url::Url;

use super::*;
use crate::{
    domain::{ManualClock, PrincipalId, SystemEntropy},
    identity::ClientName,
    oauth::{
        client::{Client, ClientId},
        error::ErrorCode,
        metadata::Scope,
        redirect::RedirectPolicy,
    },
};

const RESOURCE: &str = "https://prs.example/mcp";
const REDIRECT: &str = "http://127.0.0.1:5000/cb";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

struct World {
    codes: Codes,
    grants: Grants,
    clock: ManualClock,
    person: Person,
    request: AuthorizationRequest,
}

fn clock() -> ManualClock {
    ManualClock::new(DateTime::from_timestamp(1_800_000_000, 0).unwrap())
}

fn world() -> World {
    let clock = clock();
    world_on(Store::memory(Arc::new(clock.clone())), clock)
}

fn world_on(store: Store, clock: ManualClock) -> World {
    let shared: Arc<dyn Clock> = Arc::new(clock.clone());
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    let grants = Grants::new(store.clone(), Arc::clone(&shared), Arc::clone(&entropy));
    let codes = Codes::new(store, grants.clone(), shared, entropy);
    let policy = RedirectPolicy::new(&[], Url::parse("https://prs.example").unwrap());
    let redirect = policy.admit(REDIRECT).unwrap();
    let request = AuthorizationRequest {
        client: Client {
            id: ClientId::new("client"),
            name: ClientName::claimed("Claude"),
            redirects: vec![redirect.clone()],
        },
        redirect,
        redirect_was_named: true,
        state: None,
        challenge: Challenge::parse("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM").unwrap(),
        scope: Scope::PullRequests,
    };
    let person = Person { principal: PrincipalId::mint(&SystemEntropy), github_id: 1 };
    World { codes, grants, clock, person, request }
}

impl World {
    async fn issue(&self) -> String {
        let epoch = self.grants.remember(&self.person).await.unwrap();
        let code = self.codes.issue(&self.request, &self.person, epoch, RESOURCE).await.unwrap();
        code.expose_secret().to_owned()
    }

    async fn redeem_as(
        &self,
        code: &str,
        client: &str,
        redirect: Option<&str>,
        verifier: &str,
    ) -> Result<TokenAnswer, ErrorCode> {
        let client = ClientId::new(client).digest();
        let redemption = Redemption { code, client: &client, redirect, verifier };
        self.codes.redeem(&redemption).await.map_err(|error| error.code)
    }

    async fn redeem(&self, code: &str) -> Result<TokenAnswer, ErrorCode> {
        self.redeem_as(code, "client", Some(REDIRECT), VERIFIER).await
    }

    async fn is_good(&self, tokens: &TokenAnswer) -> bool {
        let token = tokens.access_token.expose_secret();
        match self.grants.check_access(token, RESOURCE).await.unwrap() {
            Ok(access) => access.principal == self.person.principal,
            Err(_) => false,
        }
    }

    async fn count(&self) -> usize {
        self.grants.list(&self.person.principal).await.unwrap().len()
    }
}

#[tokio::test]
async fn a_code_is_redeemed_once_and_coming_back_ends_its_grant() {
    let world = world();
    let code = world.issue().await;
    let tokens = world.redeem(&code).await.unwrap();
    assert!(tokens.refresh_token.is_some() && world.is_good(&tokens).await);
    let another = world.redeem(&world.issue().await).await.unwrap();
    // Long after the code's minute.
    world.clock.advance(Duration::minutes(30));
    // Who has the code alone, or not all that belongs to it, spoils nothing.
    let other_verifier = "x".repeat(43);
    for (client, redirect, verifier) in [
        ("x", None, "x"),
        ("another", Some(REDIRECT), VERIFIER),
        ("client", Some(REDIRECT), &other_verifier),
        ("client", None, VERIFIER),
    ] {
        let again = world.redeem_as(&code, client, redirect, verifier).await;
        assert_eq!(again.unwrap_err(), ErrorCode::InvalidGrant);
        assert!(world.is_good(&tokens).await, "{client} {redirect:?} {verifier}");
    }
    assert_eq!(world.redeem(&code).await.unwrap_err(), ErrorCode::InvalidGrant);
    assert!(!world.is_good(&tokens).await);
    assert!(world.is_good(&another).await);
}

#[tokio::test]
async fn a_wrong_redemption_is_refused_and_the_right_one_still_succeeds() {
    let world = world();
    let code = world.issue().await;
    let other_verifier = "x".repeat(43);
    for (presented, client, redirect, verifier) in [
        ("", "client", Some(REDIRECT), VERIFIER),
        ("unknown", "client", Some(REDIRECT), VERIFIER),
        (&code[1..], "client", Some(REDIRECT), VERIFIER),
        (&code, "another", Some(REDIRECT), VERIFIER),
        (&code, "client", Some("http://127.0.0.1:5001/cb"), VERIFIER),
        (&code, "client", None, VERIFIER),
        (&code, "client", Some(REDIRECT), &other_verifier),
        (&code, "client", Some(REDIRECT), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
        (&code, "client", Some(REDIRECT), ""),
    ] {
        let refused = world.redeem_as(presented, client, redirect, verifier).await;
        assert_eq!(refused.unwrap_err(), ErrorCode::InvalidGrant, "{presented} {client}");
    }
    assert_eq!(world.count().await, 0);
    assert!(world.redeem(&code).await.is_ok());
}

#[tokio::test]
async fn a_redirect_uri_that_was_not_named_need_not_be() {
    let mut world = world();
    world.request.redirect_was_named = false;
    let code = world.issue().await;
    assert!(world.redeem_as(&code, "client", Some("http://127.0.0.1/cb"), VERIFIER).await.is_err());
    assert!(world.redeem_as(&code, "client", None, VERIFIER).await.is_ok());
    let code = world.issue().await;
    assert!(world.redeem(&code).await.is_ok());
}

#[tokio::test]
async fn a_code_lives_a_minute() {
    let world = world();
    let (in_time, late) = (world.issue().await, world.issue().await);
    world.clock.advance(LIFETIME - Duration::milliseconds(1));
    assert!(world.redeem(&in_time).await.is_ok());
    world.clock.advance(Duration::milliseconds(1));
    assert_eq!(world.redeem(&late).await.unwrap_err(), ErrorCode::InvalidGrant);
    assert_eq!(world.codes.purge(10).await.unwrap(), 1);
}

#[tokio::test]
async fn of_many_redemptions_at_once_at_most_one_succeeds_and_none_lasts() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..5 {
        // On a file every step waits, so that the redemptions really come in between each other.
        let (path, clock) = (folder.path().join(format!("{round}.db")), clock());
        let store = Store::sqlite(&path, Arc::new(clock.clone())).await.unwrap();
        let world = world_on(store, clock);
        let code = world.issue().await;
        let answers = join_all((0..20).map(|_| world.redeem(&code))).await;
        let good: Vec<_> = answers.into_iter().filter_map(Result::ok).collect();
        assert_eq!(good.len(), 1);
        assert!(!world.is_good(&good[0]).await, "the code was in several hands");
        assert_eq!(world.count().await, 0);
    }
}

#[tokio::test]
async fn revoking_everything_also_ends_codes_on_their_way() {
    let world = world();
    let code = world.issue().await;
    world.grants.revoke_all(&world.person.principal).await.unwrap();
    assert_eq!(world.redeem(&code).await.unwrap_err(), ErrorCode::InvalidGrant);
    assert!(world.redeem(&world.issue().await).await.is_ok());
}

#[tokio::test]
async fn what_is_kept_redeems_nothing() {
    let world = world();
    let code = world.issue().await;
    let key = Digest::of(&code);
    let kept = world.codes.store.get::<CodeRecord>(key.as_str()).await.unwrap().unwrap();
    assert!(!json!(kept.value).to_string().contains(&code));
    assert!(world.redeem(key.as_str()).await.is_err());
    // Once it is used, it does not tell whose it was.
    world.redeem(&code).await.unwrap();
    let kept = world.codes.store.get::<CodeRecord>(key.as_str()).await.unwrap().unwrap();
    let (kept, person) = (json!(kept.value).to_string(), json!(world.person));
    assert!(!kept.contains(person["principal"].as_str().unwrap()), "{kept}");
    assert!(!kept.contains("github_id"), "{kept}");
    assert_eq!(code.len(), 43);
}
