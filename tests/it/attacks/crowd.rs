//! Fifty people with a private repository each, who ask at the same moments with the same request
//! ids. No byte of one's answer reaches another.
//!
//! 1,000 calls are made here. For the 10,000 of the demand:
//! `ATTACK_CALLS=10000 cargo test --test it attacks::a27`.

use std::time::Instant;

use futures_util::future::join_all;
use serde_json::json;

use super::house::{House, Resident};
use crate::{
    fakes::{FileChange, Person, PullRequest, Repository},
    support::Answer,
};

const PEOPLE: usize = 50;
const USUAL_CALLS: usize = 1_000;
/// Rounds between two minutes of the test's clock: a caller may ask 30 times in one.
const ROUNDS_A_MINUTE: usize = 20;

fn login(person: usize) -> String {
    format!("singer-{person:02}")
}

/// What tells whose a text is. Ends in a letter, so that none is the beginning of another.
fn canary(person: usize) -> String {
    format!("canary{person:02}x")
}

fn people() -> Vec<Person> {
    let person =
        |n: usize| Person::new(1_000 + n as u64, &login(n)).reads(&format!("aviary/{}", login(n)));
    (0..PEOPLE).map(person).collect()
}

/// Alike in everything but the canary: numbers, sizes, times.
fn repository(person: usize) -> Repository {
    let song = canary(person);
    let pull = PullRequest::new(7, &format!("Teach {song} to sing"))
        .body(&format!("The {song} was silent."))
        .label(&song)
        .comment("hubot", &format!("Louder, {song}."))
        .diff(vec![FileChange::added(&format!("src/{song}.rs"), &format!("fn {song}() {{}}\n"))]);
    Repository::new("aviary", &login(person)).private().pull_request(pull)
}

pub async fn a27(house: &mut House) {
    house.server.world.github.update(|state| {
        state.people.extend(people());
        state.repositories.extend((0..PEOPLE).map(repository));
    });
    let mut residents = Vec::new();
    for person in 0..PEOPLE {
        residents.push(house.resident(&login(person)).await);
    }
    let rounds = calls().div_ceil(PEOPLE);
    let (started, mut own, mut refused) = (Instant::now(), 0_usize, 0_usize);
    for round in 0..rounds {
        if round % ROUNDS_A_MINUTE == 0 {
            house.server.clock.advance(chrono::Duration::minutes(1));
        }
        // In every fifth round everybody asks for their neighbour's.
        let beside = round % 5 == 4;
        let answers = residents.iter().enumerate().map(async |(person, resident)| {
            let whose = if beside { (person + 1) % PEOPLE } else { person };
            (person, ask(resident, whose).await)
        });
        for (person, answer) in join_all(answers).await {
            assert_own(person, &answer);
            if beside {
                assert_eq!(answer.code(), "repository_not_found", "{}", answer.text);
                refused += 1;
            } else {
                assert!(!answer.is_error, "{}", answer.text);
                assert!(answer.text.contains(&canary(person)), "{}", answer.text);
                own += 1;
            }
        }
    }
    let spent = started.elapsed();
    println!("{} calls, {own} answered, {refused} refused, in {spent:?}", own + refused);
    assert_eq!(own + refused, rounds * PEOPLE);
    // What the model was shown was one person's each time, too.
    for prompt in house.server.world.llm.prompts() {
        let sung = (0..PEOPLE).filter(|person| prompt.user.contains(&canary(*person)));
        assert!(sung.count() <= 1, "{}", prompt.user);
    }
}

#[expect(clippy::disallowed_methods, reason = "how long it may take is the machine's matter")]
fn calls() -> usize {
    let wanted = std::env::var("ATTACK_CALLS").ok().and_then(|calls| calls.parse().ok());
    wanted.unwrap_or(USUAL_CALLS)
}

async fn ask(resident: &Resident, whose: usize) -> Answer {
    let repository = format!("aviary/{}", login(whose));
    resident.agent.call("summarize_prs", json!({ "repository": repository })).await
}

/// The answer, all of it, sings no other's song.
fn assert_own(person: usize, answer: &Answer) {
    let whole = format!("{} {}", answer.raw, json!(answer.progress));
    let own = canary(person);
    for (place, _) in whole.match_indices("canary") {
        let sung = &whole[place..(place + own.len()).min(whole.len())];
        assert_eq!(sung, own, "{}", answer.text);
    }
}
