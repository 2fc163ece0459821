//! Redis killed, restarted, emptied and refusing: what callers see, and what is still there.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, timeout};

use super::{Note, RedisServer, Tally, noon, note, redis};
use crate::{
    domain::{SystemEntropy, Timestamp, failure::FailureCode},
    store::{Change, RedisAddress, Store, Versioned},
};

const RECOVERY: Duration = Duration::from_secs(5);

#[tokio::test]
async fn a_killed_server_is_told_of_and_comes_back_with_everything() {
    let Some(mut server) = RedisServer::start() else { return };
    let store = redis(&server, &noon()).await;
    for number in 0..100 {
        let key = format!("k{number}");
        assert!(store.insert(&key, &note(&key), Timestamp::MAX_UTC).await.unwrap());
    }
    server.kill();
    let asked = Instant::now();
    let failure = store.get::<Note>("k1").await.unwrap_err();
    assert_eq!(failure.code, FailureCode::StoreUnavailable);
    assert!(failure.retry_after.is_some() && !format!("{failure:?}").contains("redis://"));
    assert!(asked.elapsed() < RECOVERY, "nobody waits longer: {:?}", asked.elapsed());
    assert!(store.ping().await.is_err());
    server.restart();
    let back = Instant::now();
    while store.ping().await.is_err() {
        assert!(back.elapsed() < RECOVERY, "it has not recovered");
    }
    for number in 0..100 {
        let key = format!("k{number}");
        assert_eq!(store.get::<Note>(&key).await.unwrap().unwrap().value, note(&key));
    }
}

/// A restart shorter than the callers' patience is waited out: every update counts once.
#[tokio::test]
async fn a_restart_under_load_loses_and_doubles_nothing() {
    let Some(mut server) = RedisServer::start() else { return };
    let store = redis(&server, &noon()).await;
    assert!(store.insert("t", &Tally { total: 0 }, Timestamp::MAX_UTC).await.unwrap());
    let add = |store: Store| async move {
        let (mut told, mut unsure) = (0_u64, 0_u64);
        for _ in 0..200 {
            let add = |tally: &mut Versioned<Tally>| {
                tally.value.total += 1;
                Change::Write(())
            };
            match store.update("t", add).await {
                Ok(_) => told += 1,
                Err(_) => unsure += 1,
            }
        }
        (told, unsure)
    };
    let tasks: Vec<_> = (0..4).map(|_| tokio::spawn(add(store.clone()))).collect();
    for _ in 0..3 {
        let _ = timeout(Duration::from_millis(40), std::future::pending::<()>()).await;
        server.kill();
        server.restart();
    }
    let (mut told, mut unsure) = (0, 0);
    for task in tasks {
        let (its_told, its_unsure) = task.await.unwrap();
        told += its_told;
        unsure += its_unsure;
    }
    let total = store.get::<Tally>("t").await.unwrap().unwrap().value.total;
    assert!(told <= total && total <= told + unsure, "told {told}, unsure {unsure}, kept {total}");
    assert!(told > 700, "restarts cost {unsure} errors");
}

/// Scripts are forgotten when Redis restarts or an operator flushes them.
#[tokio::test]
async fn flushed_scripts_are_sent_again() {
    let Some(server) = RedisServer::start() else { return };
    let store = redis(&server, &noon()).await;
    assert!(store.insert("a", &note("a"), Timestamp::MAX_UTC).await.unwrap());
    assert!(server.ask("SCRIPT FLUSH").starts_with("+OK"));
    assert!(store.insert("b", &note("b"), Timestamp::MAX_UTC).await.unwrap());
}

/// Redis drops a record long after its expiry; its key must not stay in the index for ever.
#[tokio::test]
async fn a_record_that_redis_dropped_leaves_the_index_with_the_sweep() {
    let Some(server) = RedisServer::start() else { return };
    let clock = noon();
    let store = redis(&server, &clock).await;
    let soon = clock_in_a_minute();
    for key in ["dropped", "kept"] {
        assert!(store.insert(key, &note(key), soon).await.unwrap());
    }
    let left = server.ask("PTTL prs:{note}:record:kept");
    let days = left.trim_start_matches(':').lines().next().unwrap().parse::<u64>().unwrap();
    assert_eq!(days / 86_400_000, 30, "the safety net is later than every sweep");
    assert!(server.ask("DEL prs:{note}:record:dropped").starts_with(":1"));
    clock.advance(chrono::Duration::minutes(2));
    assert_eq!(store.expired::<Note>(10).await.unwrap().len(), 1);
    assert!(server.ask("ZCARD prs:{note}:by-expiry").starts_with(":1"));
}

fn clock_in_a_minute() -> Timestamp {
    use crate::domain::Clock as _;
    noon().now() + chrono::Duration::minutes(1)
}

#[tokio::test]
async fn a_full_server_is_told_as_such() {
    let Some(server) = RedisServer::start() else { return };
    let store = redis(&server, &noon()).await;
    assert!(server.ask("CONFIG SET maxmemory 1").starts_with("+OK"));
    let failure = store.insert("a", &note("canary"), Timestamp::MAX_UTC).await.unwrap_err();
    assert_eq!(failure.code, FailureCode::StoreUnavailable);
    assert!(failure.detail.contains("takes no writes"), "{failure:?}");
    assert!(store.ping().await.is_err(), "and readiness says so");
}

#[tokio::test]
async fn a_server_that_refuses_us_ends_the_start_at_once() {
    let Some(server) = RedisServer::start() else { return };
    assert!(server.ask("CONFIG SET requirepass canary-right").starts_with("+OK"));
    for (password, database) in [("canary-wrong", "0"), ("canary-right", "4000")] {
        let url = server.url().replace("redis://", &format!("redis://:{password}@"));
        let url = url.replace("/0", &format!("/{database}"));
        let address = RedisAddress::parse(&url).unwrap();
        let clock = Arc::new(noon());
        let refused = Store::redis(&address, clock, Arc::new(SystemEntropy)).await.unwrap_err();
        assert!(refused.detail.contains("refuses us"), "{refused:?}");
        assert!(!format!("{refused:?}").contains("canary"), "{refused:?}");
    }
}
