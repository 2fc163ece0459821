//! Single flight, background work and repairs, against an LLM that answers from a script.

use std::sync::atomic::{AtomicU32, Ordering};

use axum::{Json, Router, extract::State, routing::post};
use serde_json::{Value, json};
use tokio::sync::Semaphore as Gate;

use super::*;
use crate::{
    domain::{ManualClock, SystemEntropy, digest::Detail},
    summarize::{
        governor::{Caller, Governor, GovernorLimits},
        prompt::prompt,
        samples,
    },
    upstream::llm::LlmSettings,
};

const SOUND: &str = "Adds a cache to the client so that nothing is asked twice.";

/// An LLM that answers each request with the next line, once the gate lets it.
struct World {
    calls: AtomicU32,
    gone: AtomicU32,
    lines: Vec<&'static str>,
    gate: Gate,
    clock: ManualClock,
    stop: CancellationToken,
}

/// Counts requests whose client left before the answer.
struct Leaving<'a>(&'a World, bool);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        if !self.1 {
            self.0.gone.fetch_add(1, Ordering::SeqCst);
        }
    }
}

async fn answer(State(world): State<Arc<World>>, Json(_): Json<Value>) -> Json<Value> {
    let call = world.calls.fetch_add(1, Ordering::SeqCst) as usize;
    let mut leaving = Leaving(&world, false);
    world.gate.acquire().await.unwrap().forget();
    leaving.1 = true;
    let line = world.lines[call.min(world.lines.len() - 1)];
    Json(json!({ "choices": [{ "message": { "content": line } }],
        "usage": { "prompt_tokens": 10, "completion_tokens": 2 } }))
}

async fn start(lines: &[&'static str], open: usize) -> (Writing, Arc<World>) {
    start_within(lines, open, WritingLimits::default()).await
}

async fn start_within(
    lines: &[&'static str],
    open: usize,
    limits: WritingLimits,
) -> (Writing, Arc<World>) {
    let world = Arc::new(World {
        calls: AtomicU32::new(0),
        gone: AtomicU32::new(0),
        lines: lines.to_vec(),
        gate: Gate::new(open),
        clock: ManualClock::new(samples::at("2026-06-30T12:00:00Z")),
        stop: CancellationToken::new(),
    });
    let app = Router::new().route("/chat/completions", post(answer)).with_state(Arc::clone(&world));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    let settings = LlmSettings {
        base_url: Some(base.parse().unwrap()),
        api_key: None,
        model: "small".to_owned(),
        answer_timeout: Duration::from_secs(10),
    };
    let llm = Llm::new(settings, Arc::new(SystemEntropy)).unwrap();
    let clock = Arc::new(world.clock.clone());
    (Writing::new(llm, limits, clock, world.stop.clone()), world)
}

/// What one caller may have written, by these limits.
async fn allowed_by(limits: GovernorLimits) -> Allowance {
    allowed_to("ann", limits).await
}

async fn allowed_to(name: &str, limits: GovernorLimits) -> Allowance {
    let clock = Arc::new(ManualClock::new(samples::at("2026-06-30T12:00:00Z")));
    let governor = Governor::new(limits, clock);
    governor.admit(&Caller::named(name), "account", soon()).await.unwrap().allowance
}

async fn allowed() -> Allowance {
    allowed_by(GovernorLimits::default()).await
}

fn asked(number: u64) -> Prompt {
    let sample = samples::pull_request(number);
    prompt(&samples::repository(), &sample, None, None, None, Detail::Concise)
}

/// What the caller is told.
async fn ask(writing: &Writing, number: u64, deadline: Instant, allowance: &Allowance) -> Answer {
    reply(writing, number, deadline, allowance).await.answer
}

async fn reply(writing: &Writing, number: u64, deadline: Instant, allowance: &Allowance) -> Reply {
    writing.write(asked(number), deadline, &CancellationToken::new(), allowance).await
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(8)
}

/// Waits for something that happens elsewhere, and fails if it does not.
async fn until(what: impl Fn() -> bool) {
    let mut tick = tokio::time::interval(Duration::from_millis(5));
    for _ in 0..1_000 {
        if what() {
            return;
        }
        tick.tick().await;
    }
    panic!("it did not happen");
}

fn written(answer: Answer) -> (String, Cost) {
    match answer {
        Answer::Now(Outcome::Written(text), cost) => (text.to_string(), cost),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_same_question_is_asked_once() {
    let allowance = allowed().await;
    let (writing, world) = start(&[SOUND], 100).await;
    let answers =
        futures_util::future::join_all((0..20).map(|_| ask(&writing, 7, soon(), &allowance))).await;
    let costs: u32 = answers.into_iter().map(|answer| written(answer).1.llm_calls).sum();
    assert_eq!((costs, world.calls.load(Ordering::SeqCst)), (1, 1));
    assert_eq!(ask(&writing, 7, soon(), &allowance).await, Answer::Earlier(SOUND.into()));
    written(ask(&writing, 8, soon(), &allowance).await);
    assert_eq!(world.calls.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn who_runs_out_of_time_finds_it_the_next_time() {
    let allowance = allowed().await;
    let (writing, world) = start(&[SOUND], 0).await;
    let short = Instant::now() + Duration::from_millis(100);
    assert_eq!(ask(&writing, 7, short, &allowance).await, Answer::Pending);
    world.gate.add_permits(1);
    let answer = ask(&writing, 7, soon(), &allowance).await;
    assert!(
        matches!(
            answer,
            Answer::Now(Outcome::Written(_), Cost { llm_calls: 0, .. }) | Answer::Earlier(_)
        ),
        "{answer:?}"
    );
    assert_eq!(ask(&writing, 7, soon(), &allowance).await, Answer::Earlier(SOUND.into()));
    assert_eq!(world.calls.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn the_last_to_leave_ends_the_work() {
    let (writing, world) = start(&[SOUND], 0).await;
    let begin = |writing: Writing| {
        tokio::spawn(async move { ask(&writing, 7, soon(), &allowed().await).await })
    };
    let (one, two) = (begin(writing.clone()), begin(writing.clone()));
    until(|| world.calls.load(Ordering::SeqCst) == 1).await;
    one.abort();
    assert!(one.await.unwrap_err().is_cancelled());
    assert_eq!(world.gone.load(Ordering::SeqCst), 0);
    two.abort();
    until(|| world.gone.load(Ordering::SeqCst) == 1).await;
    until(|| writing.0.jobs.lock().len() == 0).await;
    world.gate.add_permits(1);
    written(ask(&writing, 7, soon(), &allowed().await).await);
    assert_eq!(world.calls.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_claim_is_repaired_once() {
    let allowance = allowed().await;
    let claim = "Adds a cache to the client so that nothing is asked twice. It is approved.";
    let (writing, _) = start(&[claim, "Adds a cache to the client, and no more."], 9).await;
    let (text, cost) = written(ask(&writing, 7, soon(), &allowance).await);
    assert_eq!(text, "Adds a cache to the client, and no more.");
    assert_eq!(cost, Cost { llm_calls: 2, prompt_tokens: Some(20), completion_tokens: Some(4) });

    let (writing, world) = start(&[claim], 9).await;
    assert_eq!(written(ask(&writing, 7, soon(), &allowance).await).0, SOUND);
    assert_eq!(world.calls.load(Ordering::SeqCst), 2);

    let (writing, _) = start(&["The pull request is approved. CI is green."], 9).await;
    let answer = ask(&writing, 7, soon(), &allowance).await;
    assert!(matches!(answer, Answer::Now(Outcome::Unusable(_), _)), "{answer:?}");
}

#[tokio::test]
async fn what_is_no_summary_is_not_asked_for_again_at_once() {
    let allowance = allowed().await;
    let (writing, world) = start(&["", SOUND], 9).await;
    for (seconds, calls) in [(0, 1), (59, 0)] {
        world.clock.advance(TimeDelta::seconds(seconds));
        let reply = reply(&writing, 7, soon(), &allowance).await;
        let Answer::Now(Outcome::Unusable(_), cost) = reply.answer else { panic!("{reply:?}") };
        assert_eq!((cost.llm_calls, reply.was_sent), (calls, true));
    }
    world.clock.advance(TimeDelta::seconds(1));
    written(ask(&writing, 7, soon(), &allowance).await);
    assert_eq!(world.calls.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_full_queue_says_so() {
    let allowance = allowed().await;
    let limits = WritingLimits { max_queued: 1, ..WritingLimits::default() };
    let (writing, world) = start_within(&[SOUND], 0, limits).await;
    let short = Instant::now() + Duration::from_millis(50);
    assert_eq!(ask(&writing, 7, short, &allowance).await, Answer::Pending);
    assert_eq!(ask(&writing, 8, soon(), &allowance).await, Answer::Busy);
    world.gate.add_permits(1);
    until(|| writing.0.jobs.lock().len() == 0).await;
    assert_eq!(ask(&writing, 7, soon(), &allowance).await, Answer::Earlier(SOUND.into()));
}

#[tokio::test]
async fn what_nobody_waits_for_is_bounded_and_ends_with_the_server() {
    let limits = WritingLimits { max_in_background: 1, ..WritingLimits::default() };
    let (writing, world) = start_within(&[SOUND], 0, limits).await;
    let (ann, bob) = (allowed().await, allowed_to("bob", GovernorLimits::default()).await);
    let short = || Instant::now() + Duration::from_millis(200);
    assert_eq!(ask(&writing, 7, short(), &ann).await, Answer::Pending);
    // Who waits along for what is kept anyway takes no room.
    assert_eq!(ask(&writing, 7, short(), &bob).await, Answer::Pending);
    assert_eq!(ask(&writing, 8, short(), &bob).await, Answer::Busy);
    // The second one ends with its caller, the first one goes on.
    until(|| world.gone.load(Ordering::SeqCst) == 1).await;
    assert_eq!(writing.0.jobs.lock().len(), 1);
    world.stop.cancel();
    until(|| world.gone.load(Ordering::SeqCst) == 2).await;
    until(|| writing.0.jobs.lock().len() == 0).await;
}

#[tokio::test]
async fn one_callers_late_summaries_end_nobody_elses() {
    let limits = WritingLimits { max_in_background_each: 2, ..WritingLimits::default() };
    let (writing, world) = start_within(&[SOUND], 0, limits).await;
    let (ann, bob) = (allowed().await, allowed_to("bob", GovernorLimits::default()).await);
    let short = || Instant::now() + Duration::from_millis(200);
    let late = futures_util::join!(
        ask(&writing, 1, short(), &ann),
        ask(&writing, 2, short(), &ann),
        ask(&writing, 3, short(), &ann),
    );
    let late = [late.0, late.1, late.2];
    let count = |wanted: &Answer| late.iter().filter(|answer| *answer == wanted).count();
    assert_eq!((count(&Answer::Pending), count(&Answer::Busy)), (2, 1), "{late:?}");
    assert_eq!(ask(&writing, 4, short(), &bob).await, Answer::Pending);
    until(|| writing.0.jobs.lock().len() == 3).await;
    world.gate.add_permits(9);
    writing.until_written(&Caller::named("ann")).await;
    writing.until_written(&Caller::named("bob")).await;
    until(|| writing.0.jobs.lock().len() == 0).await;
}

/// Two of three texts still wait for their place when their caller goes: those are never sent. What
/// somebody else waits for too, or has had kept, goes on.
#[tokio::test]
async fn nothing_is_sent_for_a_caller_who_is_forgotten() {
    let limits = GovernorLimits { writing: 1, ..GovernorLimits::default() };
    let (writing, world) = start(&[SOUND], 0).await;
    let (ann, bob) = (allowed_by(limits).await, allowed_to("bob", GovernorLimits::default()).await);
    let short = || Instant::now() + Duration::from_millis(200);
    let late = futures_util::join!(
        reply(&writing, 1, short(), &ann),
        reply(&writing, 2, short(), &ann),
        reply(&writing, 3, short(), &ann),
        reply(&writing, 2, short(), &bob),
    );
    assert_eq!(late.0, Reply { answer: Answer::Pending, was_sent: true });
    assert_eq!(late.2, Reply { answer: Answer::Pending, was_sent: false }, "it has no place yet");
    assert_eq!(world.calls.load(Ordering::SeqCst), 1);
    writing.forget(&Caller::named("ann"));
    until(|| world.gone.load(Ordering::SeqCst) == 1).await;
    world.gate.add_permits(9);
    until(|| writing.0.jobs.lock().len() == 0).await;
    // Bob's was sent and kept, and no other.
    assert_eq!(world.calls.load(Ordering::SeqCst), 2);
    assert_eq!(ask(&writing, 2, soon(), &bob).await, Answer::Earlier(SOUND.into()));
}

#[tokio::test]
async fn a_reply_says_whether_the_text_was_sent() {
    let limits = WritingLimits { max_in_background: 0, ..WritingLimits::default() };
    let (writing, world) = start_within(&[SOUND], 0, limits).await;
    let allowance = allowed().await;
    let short = || Instant::now() + Duration::from_millis(200);
    // No room in the background, after the request had begun.
    let late = reply(&writing, 7, short(), &allowance).await;
    assert_eq!(late, Reply { answer: Answer::Busy, was_sent: true });
    // The server stops: before it had a place, and after.
    let hurry = CancellationToken::new();
    let one = allowed_by(GovernorLimits { writing: 1, ..GovernorLimits::default() }).await;
    let stopping = async {
        until(|| world.calls.load(Ordering::SeqCst) == 2).await;
        hurry.cancel();
    };
    let (sent, queued, ()) = futures_util::join!(
        writing.write(asked(8), soon(), &hurry, &one),
        writing.write(asked(9), soon(), &hurry, &one),
        stopping,
    );
    assert_eq!(sent, Reply { answer: Answer::Interrupted, was_sent: true });
    assert_eq!(queued, Reply { answer: Answer::Interrupted, was_sent: false });
    // Tokens that are not there.
    let poor = GovernorLimits { daily_tokens: Some(1), ..GovernorLimits::default() };
    let refused = reply(&writing, 10, soon(), &allowed_by(poor).await).await;
    assert!(matches!(refused, Reply { answer: Answer::Spent(_), was_sent: false }), "{refused:?}");
}

#[tokio::test]
async fn the_days_tokens_are_not_exceeded() {
    let (writing, world) = start(&[SOUND], 100).await;
    // Enough for one summary in a language with short tokens, not for two.
    let limits = GovernorLimits {
        daily_tokens: Some(writing.0.estimate(&asked(7), &asked(7).user) + 11),
        ..GovernorLimits::default()
    };
    let allowance = allowed_by(limits).await;
    let (one, two) = futures_util::join!(
        ask(&writing, 7, soon(), &allowance),
        ask(&writing, 8, soon(), &allowance),
    );
    written(one);
    let midnight = samples::at("2026-07-01T00:00:00Z");
    assert_eq!(two, Answer::Spent(midnight));
    // It cost 12 tokens in truth: one more fits, not two.
    assert_eq!(ask(&writing, 9, soon(), &allowance).await, Answer::Spent(midnight));
    // What is written already is free, and so is waiting for what another has written.
    assert_eq!(ask(&writing, 7, soon(), &allowance).await, Answer::Earlier(SOUND.into()));
    assert_eq!(world.calls.load(Ordering::SeqCst), 1);
}

/// A repair is another request: without tokens for it the draft loses its claims and is kept.
#[tokio::test]
async fn a_repair_is_paid_from_the_days_tokens_too() {
    let claim = "Adds a cache to the client so that nothing is asked twice. It is approved.";
    let (writing, world) = start(&[claim], 100).await;
    let limits = GovernorLimits {
        daily_tokens: Some(writing.0.estimate(&asked(7), &asked(7).user) + 11),
        ..GovernorLimits::default()
    };
    let allowance = allowed_by(limits).await;
    assert_eq!(written(ask(&writing, 7, soon(), &allowance).await).0, SOUND);
    assert_eq!(world.calls.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_long_list_leaves_room_for_a_short_one() {
    let (writing, world) = start(&[SOUND], 0).await;
    let greedy = allowed_by(GovernorLimits { writing: 2, ..GovernorLimits::default() }).await;
    let asks: Vec<_> = (1..=20)
        .map(|number| {
            let (writing, greedy) = (writing.clone(), greedy.clone());
            tokio::spawn(async move { ask(&writing, number, soon(), &greedy).await })
        })
        .collect();
    until(|| world.calls.load(Ordering::SeqCst) == 2).await;
    let other = tokio::spawn({
        let (writing, other) = (writing.clone(), allowed().await);
        async move { ask(&writing, 50, soon(), &other).await }
    });
    until(|| world.calls.load(Ordering::SeqCst) == 3).await;
    world.gate.add_permits(100);
    written(other.await.unwrap());
    for ask in asks {
        written(ask.await.unwrap());
    }
}
