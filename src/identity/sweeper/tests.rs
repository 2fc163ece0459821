//! When the sweeper wakes, and what it makes room for.

use std::sync::Arc;

use super::*;
use crate::{
    domain::{AuthMode, Clock, ManualClock, PrincipalId, SystemClock, SystemEntropy, UserId},
    identity::{ClientName, samples},
};

fn linking() -> AccountLinking {
    linking_at(Arc::new(SystemClock))
}

fn linking_at(clock: Arc<dyn Clock>) -> AccountLinking {
    samples::linking(AuthMode::Session, Store::memory(Arc::clone(&clock)), clock)
}

/// Without being woken it sleeps; a wish of before it looked is not lost.
#[tokio::test(start_paused = true)]
async fn it_sleeps_until_there_is_something_to_delete() {
    let linking = linking();
    assert!(tokio::time::timeout(EVERY, linking.deletion_wanted()).await.is_err());
    linking.delete_account_soon(&UserId::mint(&SystemEntropy)).await.unwrap();
    assert!(tokio::time::timeout(EVERY, linking.deletion_wanted()).await.is_ok());
    assert!(tokio::time::timeout(EVERY, linking.deletion_wanted()).await.is_err());
}

#[tokio::test]
async fn a_round_ends_when_it_is_told_to_stop() {
    let stop = CancellationToken::new();
    let sweeping = tokio::spawn(Sweeper::new(linking()).run(stop.clone()));
    stop.cancel();
    sweeping.await.unwrap();
}

#[test]
fn the_log_shows_no_key() {
    let shown = format!("{:?}", linking());
    assert!(shown.starts_with("AccountLinking") && shown.contains("mode: Session"), "{shown}");
    assert!(!shown.contains("kkkk") && !shown.contains("secret"), "{shown}");
}

#[tokio::test]
async fn of_all_sessions_the_longest_idle_go() {
    let clock = ManualClock::new(SystemClock.now());
    let sweeper = Sweeper::new(linking_at(Arc::new(clock.clone())));
    let (store, now) = (sweeper.linking.store(), clock.now());
    let record = SessionRecord {
        principal: PrincipalId::mint(&SystemEntropy),
        client: ClientName::default(),
        created_at: now,
        last_used_at: now,
    };
    let over = 3;
    for number in 0..MOST_SESSIONS + over {
        let idle_until = now + chrono::Duration::seconds(1 + i64::try_from(number).unwrap());
        store.insert(&number.to_string(), &record, idle_until).await.unwrap();
    }
    sweeper.sweep().await.unwrap();
    assert_eq!(store.count::<SessionRecord>().await.unwrap(), MOST_SESSIONS);
    for number in 0..=over {
        let kept = store.get::<SessionRecord>(&number.to_string()).await.unwrap();
        assert_eq!(kept.is_some(), number == over, "{number}");
    }
}
