//! Each limit, met and waited out; and what one caller's greed costs another.

use super::*;
use crate::{domain::ManualClock, summarize::samples::at};

fn governor(limits: GovernorLimits) -> (Governor, ManualClock) {
    let clock = ManualClock::new(at("2026-06-30T23:00:00Z"));
    (Governor::new(limits, Arc::new(clock.clone())), clock)
}

async fn admit(governor: &Governor, name: &str) -> Result<Admission> {
    let soon = Instant::now() + Duration::from_millis(30);
    governor.admit(&Caller::named(name), "account", soon).await
}

async fn refusal(governor: &Governor, name: &str) -> (FailureCode, u64) {
    let failure = admit(governor, name).await.map(|_| ()).unwrap_err();
    (failure.code, failure.retry_after.unwrap().as_secs())
}

#[tokio::test]
async fn thirty_calls_a_minute_and_not_one_more() {
    let (governor, clock) = governor(GovernorLimits::default());
    for second in 0..30 {
        admit(&governor, "ann").await.unwrap_or_else(|failure| panic!("{second}: {failure:?}"));
        clock.advance(TimeDelta::seconds(1));
    }
    assert_eq!(refusal(&governor, "ann").await, (FailureCode::TooManyRequests, 30));
    // Being refused does not make the wait longer, and nobody else waits.
    admit(&governor, "bob").await.unwrap();
    clock.advance(TimeDelta::seconds(30));
    admit(&governor, "ann").await.unwrap();
    assert_eq!(refusal(&governor, "ann").await, (FailureCode::TooManyRequests, 1));
    // A clock that was set back keeps nobody out.
    clock.advance(TimeDelta::hours(-2));
    admit(&governor, "ann").await.unwrap();
}

#[tokio::test]
async fn four_at_once_and_the_fifth_waits_for_its_turn() {
    let (governor, _) = governor(GovernorLimits::default());
    let mut running = Vec::new();
    for _ in 0..4 {
        running.push(admit(&governor, "ann").await.unwrap());
    }
    assert_eq!(refusal(&governor, "ann").await, (FailureCode::TooManyRequests, 5));
    admit(&governor, "bob").await.unwrap();
    let fifth = tokio::spawn({
        let governor = governor.clone();
        let deadline = Instant::now() + Duration::from_secs(5);
        async move { governor.admit(&Caller::named("ann"), "account", deadline).await.is_ok() }
    });
    tokio::task::yield_now().await;
    running.pop();
    assert!(fifth.await.unwrap());
}

#[tokio::test]
async fn a_used_up_limit_of_github_concerns_one_account() {
    let (governor, clock) = governor(GovernorLimits::default());
    let ann = Caller::named("ann");
    admit(&governor, "ann").await.unwrap();
    governor.hold(&ann, "account", at("2026-06-30T23:10:00Z"));
    assert_eq!(refusal(&governor, "ann").await, (FailureCode::GitHubRateLimited, 600));
    let soon = Instant::now() + Duration::from_millis(30);
    governor.admit(&ann, "another account", soon).await.unwrap();
    clock.advance(TimeDelta::minutes(10));
    admit(&governor, "ann").await.unwrap();
    // However long GitHub says: it counts by the hour.
    governor.hold(&ann, "account", at("2027-01-01T00:00:00Z"));
    assert_eq!(refusal(&governor, "ann").await, (FailureCode::GitHubRateLimited, 3_600));
}

#[tokio::test]
async fn a_new_day_brings_new_tokens() {
    let limits = GovernorLimits { daily_tokens: Some(1_000), ..GovernorLimits::default() };
    let (governor, clock) = governor(limits);
    let allowance = admit(&governor, "ann").await.unwrap().allowance;
    let midnight = at("2026-07-01T00:00:00Z");
    let first = allowance.reserve(900).unwrap();
    assert_eq!(allowance.reserve(101).unwrap_err(), midnight);
    first.settle(500);
    // Nothing began with it: it is given back.
    drop(allowance.reserve(500).unwrap());
    // Begun and not settled: it stays spent.
    allowance.reserve(400).unwrap().begin();
    assert_eq!(allowance.reserve(101).unwrap_err(), midnight);
    let late = allowance.reserve(100).unwrap();
    clock.advance(TimeDelta::hours(1));
    let _whole_day = allowance.reserve(1_000).unwrap();
    // Yesterday's tokens are not given back today.
    late.settle(0);
    assert_eq!(allowance.reserve(1).unwrap_err(), at("2026-07-02T00:00:00Z"));
    let other = admit(&governor, "bob").await.unwrap().allowance;
    assert!(other.reserve(1_000).is_ok());
}

#[tokio::test]
async fn callers_are_forgotten_at_the_bound() {
    let limits = GovernorLimits { max_callers: 50, ..GovernorLimits::default() };
    let (governor, clock) = governor(limits);
    for number in 0..500 {
        admit(&governor, &number.to_string()).await.unwrap();
        assert!(governor.lock().len() <= 50);
        clock.advance(TimeDelta::milliseconds(1));
    }
    assert!(governor.lock().contains_key(&Caller::named("499")));
    // All seen at the same moment: room is made all the same.
    for number in 500..600 {
        admit(&governor, &number.to_string()).await.unwrap();
        assert!(governor.lock().len() <= 50);
    }
}
