//! Single flight, background work and repairs, against an LLM that answers from a script.

use std::sync::atomic::AtomicU32;

use axum::{Json, Router, extract::State, routing::post};
use serde_json::{Value, json};
use tokio::sync::Semaphore as Gate;

use super::*;
use crate::{
    domain::{SystemEntropy, digest::Detail},
    summarize::{prompt::prompt, samples},
    upstream::llm::LlmSettings,
};

const SOUND: &str = "Adds a cache to the client so that nothing is asked twice.";

/// An LLM that answers each request with the next line, once the gate lets it.
struct World {
    calls: AtomicU32,
    gone: AtomicU32,
    lines: Vec<&'static str>,
    gate: Gate,
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
    let world = Arc::new(World {
        calls: AtomicU32::new(0),
        gone: AtomicU32::new(0),
        lines: lines.to_vec(),
        gate: Gate::new(open),
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
    (Writing::new(llm, WritingLimits::default()), world)
}

fn asked(number: u64) -> Prompt {
    let sample = samples::pull_request(number);
    prompt(&samples::repository(), &sample, None, None, None, Detail::Concise)
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
    let (writing, world) = start(&[SOUND], 100).await;
    let answers =
        futures_util::future::join_all((0..20).map(|_| writing.write(asked(7), soon()))).await;
    let costs: u32 = answers.into_iter().map(|answer| written(answer).1.llm_calls).sum();
    assert_eq!((costs, world.calls.load(Ordering::SeqCst)), (1, 1));
    assert_eq!(writing.write(asked(7), soon()).await, Answer::Earlier(SOUND.into()));
    written(writing.write(asked(8), soon()).await);
    assert_eq!(world.calls.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn who_runs_out_of_time_finds_it_the_next_time() {
    let (writing, world) = start(&[SOUND], 0).await;
    let short = Instant::now() + Duration::from_millis(100);
    assert_eq!(writing.write(asked(7), short).await, Answer::Pending);
    world.gate.add_permits(1);
    let answer = writing.write(asked(7), soon()).await;
    assert!(
        matches!(
            answer,
            Answer::Now(Outcome::Written(_), Cost { llm_calls: 0, .. }) | Answer::Earlier(_)
        ),
        "{answer:?}"
    );
    assert_eq!(writing.write(asked(7), soon()).await, Answer::Earlier(SOUND.into()));
    assert_eq!(world.calls.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn the_last_to_leave_ends_the_work() {
    let (writing, world) = start(&[SOUND], 0).await;
    let ask = |writing: Writing| tokio::spawn(async move { writing.write(asked(7), soon()).await });
    let (one, two) = (ask(writing.clone()), ask(writing.clone()));
    until(|| world.calls.load(Ordering::SeqCst) == 1).await;
    one.abort();
    assert!(one.await.unwrap_err().is_cancelled());
    assert_eq!(world.gone.load(Ordering::SeqCst), 0);
    two.abort();
    until(|| world.gone.load(Ordering::SeqCst) == 1).await;
    until(|| writing.0.running.lock().unwrap().is_empty()).await;
    world.gate.add_permits(1);
    written(writing.write(asked(7), soon()).await);
    assert_eq!(world.calls.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_claim_is_repaired_once() {
    let claim = "Adds a cache to the client so that nothing is asked twice. It is approved.";
    let (writing, _) = start(&[claim, "Adds a cache to the client, and no more."], 9).await;
    let (text, cost) = written(writing.write(asked(7), soon()).await);
    assert_eq!(text, "Adds a cache to the client, and no more.");
    assert_eq!(cost, Cost { llm_calls: 2, prompt_tokens: 20, completion_tokens: 4 });

    let (writing, world) = start(&[claim], 9).await;
    assert_eq!(written(writing.write(asked(7), soon()).await).0, SOUND);
    assert_eq!(world.calls.load(Ordering::SeqCst), 2);

    let (writing, _) = start(&["The pull request is approved. CI is green."], 9).await;
    let answer = writing.write(asked(7), soon()).await;
    assert!(matches!(answer, Answer::Now(Outcome::Unusable(_), _)), "{answer:?}");
}

#[tokio::test]
async fn what_is_no_summary_is_not_kept() {
    let (writing, world) = start(&["", SOUND], 9).await;
    let answer = writing.write(asked(7), soon()).await;
    assert!(matches!(answer, Answer::Now(Outcome::Unusable(_), _)), "{answer:?}");
    written(writing.write(asked(7), soon()).await);
    assert_eq!(world.calls.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_full_queue_says_so() {
    let (mut writing, world) = start(&[SOUND], 0).await;
    Arc::get_mut(&mut writing.0).unwrap().limits.max_queued = 1;
    let short = Instant::now() + Duration::from_millis(50);
    assert_eq!(writing.write(asked(7), short).await, Answer::Pending);
    assert_eq!(writing.write(asked(8), soon()).await, Answer::Busy);
    world.gate.add_permits(1);
    until(|| writing.0.running.lock().unwrap().is_empty()).await;
    assert_eq!(writing.write(asked(7), soon()).await, Answer::Earlier(SOUND.into()));
}
