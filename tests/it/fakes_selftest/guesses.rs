//! What nobody outside Scalekit knows is a setting of the fake, and each setting makes a difference.

use std::sync::Arc;

use chrono::Duration;
use pr_summarizer::domain::{Clock as _, ManualClock, SystemClock};
use serde_json::{Value, json};

use super::{CALLBACK, Wire, callback_after};
use crate::fakes::{Browser, DeletionMode, TokenStorage, World};

const VERIFY: &str = "connected_accounts/user/verify";

async fn another_link(wire: &Wire<'_>, identifier: &str) -> String {
    let wanted = json!({"identifier": identifier, "state": "s-2", "user_verify_url": CALLBACK});
    let (_, answer) = wire.post("connected_accounts/magic_link", wanted).await;
    answer["link"].as_str().unwrap().to_owned()
}

/// Two people consent on one account; who is read after the first consent is verified?
async fn read_after_two_consents(storage: TokenStorage) -> Value {
    let world = World::builder().token_storage(storage).start().await;
    let wire = Wire::open(&world).await;
    let first = wire.link("usr_a").await;
    let first = callback_after(&world, &first, "Authorize as octocat").await;
    let second = another_link(&wire, "usr_a").await;
    callback_after(&world, &second, "Authorize as mira-holm").await;
    let request = first.query_pairs().next().unwrap().1.into_owned();
    let body = json!({"auth_request_id": request, "identifier": "usr_a"});
    assert_eq!(wire.post(VERIFY, body).await.0, 200);
    let user = wire.proxy("usr_a", "/user", "application/json").await;
    user.json::<Value>().await.unwrap()["login"].clone()
}

#[tokio::test]
async fn pending_tokens_are_kept_with_the_request_or_with_the_account() {
    assert_eq!(read_after_two_consents(TokenStorage::PerRequest).await, "octocat");
    assert_eq!(read_after_two_consents(TokenStorage::PerAccount).await, "mira-holm");
}

#[tokio::test]
async fn a_mismatch_may_use_up_the_request() {
    for (consumes, afterwards) in [(false, 200), (true, 404)] {
        let world = World::builder().mismatch_consumes(consumes).start().await;
        let wire = Wire::open(&world).await;
        let link = wire.link("usr_a").await;
        let back = callback_after(&world, &link, "Authorize as octocat").await;
        let request = back.query_pairs().next().unwrap().1.into_owned();
        let verify = |who: &str| json!({"auth_request_id": request, "identifier": who});
        assert_eq!(wire.post(VERIFY, verify("usr_b")).await.0, 403);
        assert_eq!(wire.post(VERIFY, verify("usr_a")).await.0, afterwards);
    }
}

#[tokio::test]
async fn deleting_revokes_a_token_or_the_whole_grant() {
    for (deletion, left) in
        [(DeletionMode::Nothing, 2), (DeletionMode::Token, 1), (DeletionMode::Grant, 0)]
    {
        let world = World::builder().deletion(deletion).start().await;
        let wire = Wire::open(&world).await;
        world.github.token_of("octocat");
        let link = wire.link("usr_a").await;
        let back = callback_after(&world, &link, "Authorize as octocat").await;
        let request = back.query_pairs().next().unwrap().1.into_owned();
        let body = json!({"auth_request_id": request, "identifier": "usr_a"});
        wire.post(VERIFY, body).await;
        let gone = wire.post("connected_accounts:delete", json!({"identifier": "usr_a"})).await;
        assert_eq!(gone.0, 200);
        assert_eq!(world.github.living_tokens("octocat"), left, "{deletion:?}");
        assert!(world.scalekit.accounts().is_empty());
    }
}

#[tokio::test]
async fn links_and_access_tokens_end_by_the_clock() {
    let clock = ManualClock::new(SystemClock.now());
    let world = World::builder().clock(Arc::new(clock.clone())).start().await;
    let wire = Wire::open(&world).await;
    let link = wire.link("usr_a").await;
    clock.advance(Duration::minutes(11));
    assert_eq!(Browser::new().get(&link).await.status, 410);
    clock.advance(Duration::minutes(50));
    assert_eq!(wire.proxy("usr_a", "/user", "application/json").await.status(), 401);
}
