//! Any sequence of operations answers what a plain map with the same rules answers.

use std::collections::BTreeMap;

use chrono::Duration;
use proptest::prelude::*;

use super::{Note, Subject, note};
use crate::{
    domain::{Timestamp, clock::Clock as _},
    store::Version,
};

#[derive(Debug, Clone)]
enum Step {
    Insert { key: u8, minutes: i64 },
    Read { key: u8 },
    Replace { key: u8, minutes: i64 },
    Remove { key: u8 },
    RemoveIf { key: u8 },
    Expired { limit: usize },
    Purge { limit: usize },
    Evict { keep: u64, limit: usize },
    Wait { minutes: i64 },
}

fn step() -> impl Strategy<Value = Step> {
    // Few keys and short times, so that the steps meet.
    let (key, minutes) = (0..4_u8, 0..4_i64);
    prop_oneof![
        4 => (key.clone(), minutes.clone()).prop_map(|(key, minutes)| Step::Insert { key, minutes }),
        3 => key.clone().prop_map(|key| Step::Read { key }),
        3 => (key.clone(), minutes.clone()).prop_map(|(key, minutes)| Step::Replace { key, minutes }),
        1 => key.clone().prop_map(|key| Step::Remove { key }),
        1 => key.prop_map(|key| Step::RemoveIf { key }),
        1 => (0..3_usize).prop_map(|limit| Step::Expired { limit }),
        1 => (0..3_usize).prop_map(|limit| Step::Purge { limit }),
        1 => (0..3_u64, 0..3_usize).prop_map(|(keep, limit)| Step::Evict { keep, limit }),
        2 => minutes.prop_map(|minutes| Step::Wait { minutes }),
    ]
}

/// What the map holds: the text, when it expires, and the number of the write that made it.
type Kept = (String, Timestamp, usize);

#[derive(Default)]
struct Model {
    kept: BTreeMap<String, Kept>,
    /// What was last read under each key: the store's version beside the model's.
    seen: BTreeMap<String, (Version, usize)>,
    writes: usize,
}

impl Model {
    fn write(&mut self, key: &str, expires_at: Timestamp) -> String {
        self.writes += 1;
        let text = format!("write {}", self.writes);
        self.kept.insert(key.to_owned(), (text.clone(), expires_at, self.writes));
        text
    }

    fn live(&self, key: &str, now: Timestamp) -> Option<&Kept> {
        self.kept.get(key).filter(|(_, expires_at, _)| *expires_at > now)
    }

    fn by_expiry(&self, wanted: impl Fn(Timestamp) -> bool) -> Vec<String> {
        let mut found: Vec<_> = self
            .kept
            .iter()
            .filter(|(_, (_, expires_at, _))| wanted(*expires_at))
            .map(|(key, (_, expires_at, _))| (*expires_at, key.clone()))
            .collect();
        found.sort();
        found.into_iter().map(|(_, key)| key).collect()
    }
}

fn name(key: u8) -> String {
    format!("key {key}")
}

async fn follow(subject: &Subject, model: &mut Model, step: Step) {
    let (store, now) = (&subject.store, subject.clock.now());
    match step {
        Step::Insert { key, minutes } => {
            let (key, expires_at) = (name(key), subject.in_minutes(minutes));
            let expected = model.live(&key, now).is_none();
            let text = format!("write {}", model.writes + 1);
            assert_eq!(store.insert(&key, &note(&text), expires_at).await.unwrap(), expected);
            if expected {
                model.write(&key, expires_at);
            }
        }
        Step::Read { key } => {
            let key = name(key);
            let read = store.get::<Note>(&key).await.unwrap();
            let expected = model.live(&key, now).cloned();
            let found = read.as_ref().map(|read| (read.value.0.clone(), read.expires_at));
            assert_eq!(found, expected.clone().map(|(text, expires_at, _)| (text, expires_at)));
            if let (Some(read), Some((_, _, write))) = (read, expected) {
                model.seen.insert(key, (read.version, write));
            }
        }
        Step::Replace { key, minutes } => {
            let (key, expires_at) = (name(key), subject.in_minutes(minutes));
            let Some(&(version, write)) = model.seen.get(&key) else { return };
            let expected = model.live(&key, now).is_some_and(|(_, _, last)| *last == write);
            let text = note(&format!("write {}", model.writes + 1));
            let replaced = store.replace(&key, version, &text, expires_at).await.unwrap();
            assert_eq!(replaced, expected);
            if expected {
                model.write(&key, expires_at);
            }
        }
        Step::Remove { key } => {
            let expected = model.kept.remove(&name(key)).is_some();
            assert_eq!(store.remove::<Note>(&name(key)).await.unwrap(), expected);
        }
        Step::RemoveIf { key } => {
            let key = name(key);
            let Some(&(version, write)) = model.seen.get(&key) else { return };
            let expected = model.kept.get(&key).is_some_and(|(_, _, last)| *last == write);
            assert_eq!(store.remove_if::<Note>(&key, version).await.unwrap(), expected);
            if expected {
                model.kept.remove(&key);
            }
        }
        Step::Expired { limit } => {
            let expired = store.expired::<Note>(limit).await.unwrap();
            let expected: Vec<_> =
                model.by_expiry(|at| at <= now).into_iter().take(limit).collect();
            assert_eq!(expired.into_iter().map(|(key, _)| key).collect::<Vec<_>>(), expected);
        }
        Step::Purge { limit } => {
            let expected: Vec<_> =
                model.by_expiry(|at| at <= now).into_iter().take(limit).collect();
            assert_eq!(store.purge::<Note>(limit).await.unwrap(), expected.len());
            model.kept.retain(|key, _| !expected.contains(key));
        }
        Step::Evict { keep, limit } => {
            let live = model.by_expiry(|at| at > now);
            let excess = live.len().saturating_sub(usize::try_from(keep).unwrap());
            let expected: Vec<_> = live.into_iter().take(excess.min(limit)).collect();
            let evicted = store.evict::<Note>(keep, limit).await.unwrap();
            assert_eq!(evicted.into_iter().map(|(key, _)| key).collect::<Vec<_>>(), expected);
            model.kept.retain(|key, _| !expected.contains(key));
        }
        Step::Wait { minutes } => subject.clock.advance(Duration::minutes(minutes)),
    }
    let live = model.by_expiry(|at| at > subject.clock.now()).len();
    assert_eq!(store.count::<Note>().await.unwrap(), u64::try_from(live).unwrap());
}

fn run<S: Future<Output = Option<Subject>>>(steps: Vec<Step>, subject: impl FnOnce() -> S) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let Some(subject) = subject().await else { return };
        let mut model = Model::default();
        for step in steps {
            follow(&subject, &mut model, step).await;
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]
    #[test]
    fn memory_behaves_like_a_map(steps in prop::collection::vec(step(), 1..60)) {
        run(steps, async || Some(Subject::memory()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]
    #[test]
    fn sqlite_behaves_like_a_map(steps in prop::collection::vec(step(), 1..60)) {
        run(steps, async || Some(Subject::sqlite().await));
    }

    #[test]
    fn redis_behaves_like_a_map(steps in prop::collection::vec(step(), 1..60)) {
        run(steps, Subject::redis);
    }
}
