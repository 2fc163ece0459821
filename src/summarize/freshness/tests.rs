//! Who finds which answer, for how long, and within how many bytes.

use proptest::prelude::*;

use super::*;
use crate::{
    domain::{
        digest::{Detail, Usage},
        ranking::Order,
        repository::RepositoryReference,
    },
    summarize::samples::at,
};

fn request(limit: usize) -> Request {
    Request {
        repository: RepositoryReference::parse("octo/hello").unwrap(),
        limit,
        pull_requests: Vec::new(),
        order: Order::MostDiscussed,
        exclude_drafts: false,
        exclude_bots: false,
        author: None,
        label: None,
        base: None,
        language: None,
        detail: Detail::Concise,
    }
}

fn answer(text: &str, read_at: Timestamp) -> RepositoryDigest {
    RepositoryDigest {
        repository: text.to_owned(),
        url: String::new(),
        open_pull_requests: None,
        ranking: String::new(),
        pull_requests: Vec::new(),
        complete: true,
        pending: Vec::new(),
        warnings: Vec::new(),
        llm_host: None,
        usage: Usage::NOTHING,
        generated_at: read_at,
    }
}

fn start() -> Timestamp {
    at("2026-06-30T12:00:00Z")
}

#[test]
fn an_answer_is_for_one_caller_one_account_one_question_and_15_seconds() {
    let freshness = Freshness::new(100_000);
    let (ann, bob, now) = (Caller::named("ann"), Caller::named("bob"), start());
    freshness.put(&ann, "a1", &request(5), &answer("one", now), now);
    let found = |caller: &Caller, account: &str, limit: usize, seconds: i64| {
        let now = now + TimeDelta::seconds(seconds);
        freshness.get(caller, account, &request(limit), now).map(|answer| answer.repository)
    };
    assert_eq!(found(&ann, "a1", 5, 15), Some("one".to_owned()));
    assert_eq!(found(&ann, "a1", 5, 16), None);
    assert_eq!(found(&ann, "a1", 5, -1), None, "a clock that was set back");
    assert_eq!(found(&ann, "a1", 6, 0), None);
    assert_eq!(found(&ann, "a2", 5, 0), None);
    assert_eq!(found(&bob, "a1", 5, 0), None);
    freshness.forget(&bob);
    assert_eq!(found(&ann, "a1", 5, 0), Some("one".to_owned()));
    freshness.forget(&ann);
    assert_eq!(found(&ann, "a1", 5, 0), None);
    // An answer that took long is not fresh when it comes.
    let late = now + TimeDelta::seconds(16);
    freshness.put(&ann, "a1", &request(5), &answer("late", now), late);
    assert_eq!(freshness.lock().bytes, 0);
}

proptest! {
    #[test]
    fn a_hit_is_the_last_answer_put_for_the_very_same_asker(
        steps in prop::collection::vec((0_u8..4, 0_u8..3, 0_usize..2, 1_usize..7, 0_i64..9), 1..200),
    ) {
        let freshness = Freshness::new(9_000);
        let mut now = start();
        let mut last: HashMap<(u8, usize, usize), RepositoryDigest> = HashMap::new();
        for (step, (what, who, account, limit, pause)) in steps.into_iter().enumerate() {
            now += TimeDelta::seconds(pause);
            let (caller, account_name) = (Caller::named(&who.to_string()), account.to_string());
            match what {
                0 => {
                    freshness.forget(&caller);
                    last.retain(|(other, ..), _| *other != who);
                }
                1 => {
                    let text = format!("{who} {account} {limit} {step}");
                    let made = answer(&text, now);
                    freshness.put(&caller, &account_name, &request(limit), &made, now);
                    last.insert((who, account, limit), made);
                }
                _ => {
                    let found = freshness.get(&caller, &account_name, &request(limit), now);
                    if let Some(found) = found {
                        prop_assert_eq!(Some(&found), last.get(&(who, account, limit)));
                        prop_assert!(now - found.generated_at <= FRESH);
                    }
                }
            }
            let kept = freshness.lock();
            let fresh = kept.by_caller.values().flatten();
            prop_assert_eq!(kept.bytes, fresh.map(|fresh| fresh.bytes).sum::<usize>());
            prop_assert!(kept.bytes <= 9_000);
            prop_assert!(kept.by_caller.values().all(|own| own.len() <= PER_CALLER));
            prop_assert!(kept.arrivals.len() <= 200);
        }
    }
}
