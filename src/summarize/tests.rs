//! The whole room against a small GitHub and a small LLM on real sockets: what is asked how often,
//! and what one part's failure costs the others.

use std::{
    cmp::Reverse,
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{StatusCode, Uri},
};
use serde_json::{Value, json};

use super::*;
use crate::{
    domain::{
        ManualClock, RepositoryReference, SystemEntropy,
        digest::{Detail, Omission, OmissionReason, SummaryStatus},
        ranking::Order,
    },
    upstream::{
        github::GitHubTokenSettings,
        llm::LlmSettings,
        transport::{Transport, TransportSettings},
    },
};

/// GitHub and the LLM in one.
#[derive(Debug)]
struct World {
    heads: Mutex<Vec<String>>,
    broken_diff: Option<u64>,
    llm_status: u16,
    /// Lets one answer of the LLM through for each permit.
    gate: tokio::sync::Semaphore,
    diffs: AtomicU32,
    llm_calls: AtomicU32,
    is_private: Value,
    /// Points left of GitHub's limit.
    points: AtomicU32,
    /// What the list says of every change.
    changed_files: u64,
}

impl World {
    fn new(count: usize) -> Self {
        Self {
            heads: Mutex::new((0..count).map(|n| format!("head-{n}")).collect()),
            broken_diff: None,
            llm_status: 200,
            gate: tokio::sync::Semaphore::new(1_000),
            diffs: AtomicU32::new(0),
            llm_calls: AtomicU32::new(0),
            is_private: json!(false),
            points: AtomicU32::new(5_000),
            changed_files: 1,
        }
    }

    fn node(&self, number: usize) -> Value {
        json!({
            "number": number, "title": format!("Change {number}"), "state": "OPEN",
            "url": format!("https://github.com/octo/hello/pull/{number}"), "isDraft": false,
            "createdAt": "2026-06-01T00:00:00Z", "updatedAt": "2026-06-20T00:00:00Z",
            "author": { "__typename": "User", "login": "ada" }, "baseRefName": "main",
            "baseRefOid": "base", "headRefOid": self.heads.lock().unwrap()[number - 1],
            "totalCommentsCount": 10, "comments": { "totalCount": 10, "nodes": [] },
            "additions": 1, "deletions": 1, "changedFiles": self.changed_files, "statusCheckRollup": null,
        })
    }

    fn graphql(&self, query: &str) -> Value {
        let count = self.heads.lock().unwrap().len();
        let mut repository = json!({
            "nameWithOwner": "octo/hello", "url": "https://github.com/octo/hello",
            "isPrivate": self.is_private, "databaseId": 99, "open": { "totalCount": count },
        });
        if query.contains("query Conversations") {
            for number in 1..=count {
                repository[format!("pr_{number}")] = json!({
                    "number": number, "totalCommentsCount": 10,
                    "comments": { "totalCount": 10, "nodes": [{
                        "createdAt": "2026-06-10T00:00:00Z", "body": "Why?",
                        "author": { "__typename": "User", "login": "bob" } }] },
                    "reviewThreads": { "nodes": [] }, "reviews": { "nodes": [] },
                });
            }
        } else {
            let nodes: Vec<Value> = (1..=count).map(|number| self.node(number)).collect();
            repository["pullRequests"] = json!({
                "pageInfo": { "hasNextPage": false, "endCursor": null }, "nodes": nodes });
        }
        let limit = json!({ "limit": 5_000, "remaining": self.points.load(Ordering::SeqCst),
            "resetAt": "2026-06-30T12:40:00Z" });
        json!({ "data": { "rateLimit": limit, "repository": repository } })
    }
}

async fn respond(State(world): State<Arc<World>>, uri: Uri, body: Bytes) -> (StatusCode, String) {
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    if uri.path() == "/graphql" {
        return (StatusCode::OK, world.graphql(body["query"].as_str().unwrap()).to_string());
    }
    if uri.path() == "/llm/chat/completions" {
        world.llm_calls.fetch_add(1, Ordering::SeqCst);
        world.gate.acquire().await.unwrap().forget();
        let text = "Changes one line of the library. Bob asks why it is needed.";
        let answer = json!({ "choices": [{ "message": { "content": text } }],
            "usage": { "prompt_tokens": 100, "completion_tokens": 10 } });
        return (StatusCode::from_u16(world.llm_status).unwrap(), answer.to_string());
    }
    let number: u64 = uri.path().rsplit('/').next().unwrap().parse().expect("a diff's address");
    world.diffs.fetch_add(1, Ordering::SeqCst);
    if world.broken_diff == Some(number) {
        return (StatusCode::INTERNAL_SERVER_ERROR, String::new());
    }
    let diff = "diff --git a/src/lib.rs b/src/lib.rs\nindex 1..2 100644\n--- a/src/lib.rs\n\
                +++ b/src/lib.rs\n@@ -1 +1 @@\n-old\n+new\n";
    (StatusCode::OK, diff.to_owned())
}

/// The room, its clock, and what lies around it.
struct Stage {
    summarizer: Summarizer,
    github: GitHub,
    clock: ManualClock,
    world: Arc<World>,
    hurry: CancellationToken,
}

impl Stage {
    async fn ask(&self) -> RepositoryDigest {
        self.ask_as("ann").await.unwrap()
    }

    async fn ask_as(&self, name: &str) -> Result<RepositoryDigest> {
        let call = Call::within(Duration::from_secs(30));
        let caller = Caller::named(name);
        self.summarizer.summarize(&caller, &self.github, &request(), &(), &call).await
    }

    /// Until no answer is fresh any more.
    fn later(&self) {
        self.clock.advance(TimeDelta::seconds(16));
    }
}

async fn start(world: World, with_llm: bool) -> Stage {
    start_with(world, with_llm, SummarizeSettings::default()).await
}

async fn start_with(world: World, with_llm: bool, bounds: SummarizeSettings) -> Stage {
    let world = Arc::new(world);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(respond).with_state(Arc::clone(&world));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let transport = Transport::new(TransportSettings::default(), Arc::new(SystemEntropy)).unwrap();
    let github = GitHub::with_token(
        GitHubTokenSettings { api_url: base.parse().unwrap(), token: "gho_test".into() },
        transport,
    );
    let settings = LlmSettings {
        base_url: Some(format!("{base}/llm").parse().unwrap()),
        api_key: None,
        model: "small".to_owned(),
        answer_timeout: Duration::from_secs(20),
    };
    let llm = with_llm.then(|| Llm::new(settings, Arc::new(SystemEntropy)).unwrap());
    let clock = ManualClock::new(samples::at("2026-06-30T12:00:00Z"));
    let bounds = SummarizeSettings { deadline: Duration::from_secs(3), ..bounds };
    let ending = Ending::default();
    let summarizer = Summarizer::new(bounds, llm, Arc::new(clock.clone()), ending.clone());
    Stage { summarizer, github, clock, world, hurry: ending.hurry }
}

fn request() -> Request {
    Request {
        repository: RepositoryReference::parse("octo/hello").unwrap(),
        limit: 5,
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

fn statuses(digest: &RepositoryDigest) -> Vec<SummaryStatus> {
    digest.pull_requests.iter().map(|part| part.summary_status).collect()
}

#[derive(Default)]
struct Heard(Mutex<Vec<(u32, u32)>>);

impl Progress for Heard {
    fn report(&self, done: u32, total: u32, _message: String) {
        self.0.lock().unwrap().push((done, total));
    }
}

#[tokio::test]
async fn nothing_is_asked_or_written_twice() {
    let stage = start(World::new(5), true).await;
    let first = stage.ask().await;
    assert_eq!(statuses(&first), [SummaryStatus::Written; 5]);
    assert_eq!((first.usage.github_requests, first.usage.llm_calls), (7, 5));
    assert_eq!((first.usage.prompt_tokens, first.usage.completion_tokens), (Some(500), Some(50)));
    assert_eq!(first.warnings, Vec::<String>::new());
    let part = &first.pull_requests[0];
    assert_eq!((part.coverage.files, part.coverage.files_read), (Some(1), 1));
    assert_eq!(part.coverage.comments_used, 1);

    stage.later();
    let second = stage.ask().await;
    assert_eq!(statuses(&second), [SummaryStatus::Cached; 5]);
    assert_eq!((second.usage.github_requests, second.usage.llm_calls), (1, 0));
    assert_eq!(second.usage.cache_hits, 15);

    stage.later();
    stage.world.heads.lock().unwrap()[2] = "pushed".to_owned();
    let third = stage.ask().await;
    // The change is the same to the letter, so its summary is too.
    assert_eq!((third.usage.github_requests, third.usage.llm_calls), (2, 0));
}

#[tokio::test]
async fn a_late_summary_is_there_the_next_time() {
    let world = World { gate: tokio::sync::Semaphore::new(2), ..World::new(3) };
    let stage = start(world, true).await;
    let begun = std::time::Instant::now();
    let first = stage.ask().await;
    assert!(begun.elapsed() < Duration::from_millis(3_500), "{:?}", begun.elapsed());
    assert!(!first.complete && first.pending.len() == 1, "{:?}", first.pending);
    let late = first.pull_requests.iter().find(|part| part.number == first.pending[0]).unwrap();
    assert_eq!((late.summary_status, &late.summary), (SummaryStatus::Pending, &None));
    stage.world.gate.add_permits(1);
    let second = stage.ask().await;
    assert!(second.complete);
    assert_eq!(stage.world.llm_calls.load(Ordering::SeqCst), 3);
    assert_eq!(second.usage.llm_calls, 0);
}

#[tokio::test]
async fn a_server_that_stops_answers_with_what_is_there() {
    let stage = start(World { gate: tokio::sync::Semaphore::new(2), ..World::new(3) }, true).await;
    let heard = Heard::default();
    let call = Call::within(Duration::from_secs(30));
    let (caller, request) = (Caller::named("ann"), request());
    let asked = stage.summarizer.summarize(&caller, &stage.github, &request, &heard, &call);
    let two_are_done = async {
        while heard.0.lock().unwrap().last() != Some(&(2, 3)) {
            tokio::task::yield_now().await;
        }
        stage.hurry.cancel();
        std::time::Instant::now()
    };
    let (digest, hurried) = tokio::join!(asked, two_are_done);
    assert!(hurried.elapsed() < Duration::from_secs(1), "{:?}", hurried.elapsed());
    let digest = digest.unwrap();
    assert!(digest.pull_requests.is_sorted_by_key(|part| Reverse(part.number)), "{digest:?}");
    assert_eq!(digest.pull_requests.len(), 3);
    assert!(!digest.complete && digest.pending.len() == 1, "{:?}", digest.pending);
    assert!(digest.warnings.iter().any(|one| one.contains("told to stop")), "{digest:?}");
    // Before GitHub has answered there is nothing to give.
    assert_eq!(stage.ask_as("bob").await.unwrap_err().code, FailureCode::Stopping);
}

#[tokio::test]
async fn one_broken_diff_costs_the_others_nothing() {
    let world = World { broken_diff: Some(2), ..World::new(3) };
    let stage = start(world, true).await;
    let digest = stage.ask().await;
    assert_eq!(statuses(&digest), [SummaryStatus::Written; 3]);
    for part in &digest.pull_requests {
        assert_eq!(part.coverage.files, (part.number != 2).then_some(1));
    }
    assert_eq!(digest.warnings, ["The diff of no. 2 could not be read (github_unavailable)."]);
}

#[tokio::test]
async fn an_llm_that_is_down_leaves_the_facts() {
    let world = World { llm_status: 401, ..World::new(3) };
    let stage = start(world, true).await;
    let digest = stage.ask().await;
    assert_eq!(statuses(&digest), [SummaryStatus::Extract; 3]);
    assert_eq!(digest.warnings.len(), 1, "{:?}", digest.warnings);
    assert!(digest.warnings[0].contains("llm_rejected_us"), "{:?}", digest.warnings);
    assert!(digest.pull_requests[0].summary.as_ref().unwrap().starts_with(extract::MARK));
}

#[tokio::test]
async fn without_an_llm_one_call_is_enough() {
    let stage = start(World::new(3), false).await;
    let heard = Heard::default();
    let call = Call::within(Duration::from_secs(30));
    let caller = Caller::named("ann");
    let (Stage { summarizer, github, .. }, request) = (&stage, request());
    let digest = summarizer.summarize(&caller, github, &request, &heard, &call).await.unwrap();
    assert_eq!(statuses(&digest), [SummaryStatus::Extract; 3]);
    assert_eq!((digest.usage.github_requests, stage.world.diffs.load(Ordering::SeqCst)), (1, 0));
    assert_eq!(digest.warnings.len(), 1);
    assert_eq!(*heard.0.lock().unwrap(), [(0, 3), (1, 3), (2, 3), (3, 3)]);
}

#[tokio::test]
async fn files_that_the_diff_does_not_list_are_counted_as_not_read() {
    let stage = start(World { changed_files: 300, ..World::new(1) }, true).await;
    let digest = stage.ask().await;
    let coverage = &digest.pull_requests[0].coverage;
    assert_eq!((coverage.files, coverage.files_read, coverage.files_cut), (Some(300), 1, 0));
    let unlisted = Omission { reason: OmissionReason::Unlisted, files: 299 };
    assert_eq!(coverage.omissions, [unlisted]);
    let text = render::render(&digest);
    assert!(text.contains("1 of 300 files whole, left out 299 not listed"), "{text}");
}

/// The text of a call that is pending waits for its place when the account goes: it is not sent.
#[tokio::test]
async fn nothing_is_sent_of_a_caller_who_has_gone() {
    let governor = GovernorLimits { writing: 2, ..GovernorLimits::default() };
    let bounds = SummarizeSettings { governor, ..SummarizeSettings::default() };
    let world = World { gate: tokio::sync::Semaphore::new(0), ..World::new(5) };
    let stage = start_with(world, true, bounds).await;
    let first = stage.ask().await;
    assert_eq!(first.pending.len(), 5);
    assert_eq!(stage.world.llm_calls.load(Ordering::SeqCst), 2);
    let ann = Caller::named("ann");
    stage.summarizer.forget(&ann);
    // Nothing is left that could still send something.
    stage.summarizer.until_written(&ann).await;
    stage.world.gate.add_permits(100);
    let other = stage.ask_as("bob").await.unwrap();
    assert!(other.complete);
    assert_eq!(stage.world.llm_calls.load(Ordering::SeqCst), 2 + 5);
}

#[tokio::test]
async fn the_llms_host_is_told_only_if_text_went_there() {
    // The first place is never free, so nothing of the second caller is sent.
    let writing = WritingLimits { max_concurrent: 1, ..WritingLimits::default() };
    let bounds = SummarizeSettings { writing, ..SummarizeSettings::default() };
    let world = World { gate: tokio::sync::Semaphore::new(0), ..World::new(1) };
    let stage = start_with(world, true, bounds).await;
    let (sent, queued) = tokio::join!(stage.ask(), async {
        while stage.world.llm_calls.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        let mut asked = request();
        asked.language = Some("German".to_owned());
        let call = Call::within(Duration::from_secs(30));
        let caller = Caller::named("bob");
        stage.summarizer.summarize(&caller, &stage.github, &asked, &(), &call).await.unwrap()
    });
    assert!(sent.llm_host.is_some() && !sent.complete);
    assert!(queued.llm_host.is_none() && !queued.complete, "{:?}", queued.llm_host);
}

#[tokio::test]
async fn a_language_that_is_not_checked_is_said_to_be() {
    let stage = start(World::new(1), true).await;
    let mut asked = request();
    for (language, is_told) in [("Swedish", true), ("German", false)] {
        asked.language = Some(language.to_owned());
        let call = Call::within(Duration::from_secs(30));
        let caller = Caller::named("ann");
        let summarizer = &stage.summarizer;
        let digest = summarizer.summarize(&caller, &stage.github, &asked, &(), &call).await;
        assert_eq!(digest.unwrap().warnings.contains(&UNCHECKED_LANGUAGE.to_owned()), is_told);
    }
}

#[test]
fn numbers_are_asked_for_once_each() {
    let mut asked = request();
    assert_eq!(asked.numbers(), Vec::<u64>::new());
    asked.repository.pull_request = Some(9);
    assert_eq!(asked.numbers(), [9]);
    asked.pull_requests = [3, 3, 1].into_iter().chain(100..200).collect();
    assert_eq!(asked.numbers()[..3], [9, 3, 1]);
    assert_eq!(asked.numbers().len(), MAX_PULL_REQUESTS);
    assert!(asked.warnings()[0].starts_with("83 of the numbers asked for"), "{asked:?}");
}

#[test]
fn nothing_that_was_asked_for_is_left_aside_without_a_word() {
    let mut asked = request();
    (asked.label, asked.exclude_drafts) = (Some("bug".to_owned()), true);
    assert_eq!(asked.warnings(), Vec::<String>::new());
    asked.repository.pull_request = Some(9);
    assert_eq!(
        asked.warnings(),
        [
            "Pull requests asked for by number are not filtered: exclude_drafts, label had no effect."
        ]
    );
    (asked.label, asked.exclude_drafts) = (None, false);
    asked.pull_requests = (100..119).chain([9]).collect();
    assert_eq!(asked.warnings(), Vec::<String>::new());
    asked.pull_requests = (100..120).collect();
    assert_eq!(
        asked.warnings(),
        ["1 of the numbers asked for are beyond the 20 of one answer and left out: #119. Ask for \
          them in another call."]
    );
}

#[tokio::test]
async fn the_same_question_at_once_has_the_same_answer_for_the_same_caller() {
    let stage = start(World::new(5), true).await;
    let first = stage.ask().await;
    stage.clock.advance(TimeDelta::seconds(15));
    let again = stage.ask().await;
    assert_eq!((again.usage.github_requests, again.usage.llm_calls), (0, 0));
    assert_eq!(again.generated_at, first.generated_at);
    assert_eq!(statuses(&again), [SummaryStatus::Cached; 5]);
    assert_eq!(stage.ask_as("bob").await.unwrap().usage.github_requests, 1);
    stage.summarizer.forget(&Caller::named("ann"));
    assert_eq!(stage.ask().await.usage.github_requests, 1);
    stage.later();
    assert_eq!(stage.ask().await.usage.github_requests, 1);
}

#[tokio::test]
async fn private_text_stays_here_if_it_shall() {
    for (is_private, sent) in [(json!(true), 0), (Value::Null, 0), (json!(false), 2)] {
        let settings =
            SummarizeSettings { llm_reads_private: false, ..SummarizeSettings::default() };
        let stage = start_with(World { is_private, ..World::new(2) }, true, settings).await;
        let digest = stage.ask().await;
        assert_eq!(stage.world.llm_calls.load(Ordering::SeqCst), sent);
        assert_eq!(digest.llm_host.is_some(), sent > 0);
        if sent == 0 {
            assert_eq!(statuses(&digest), [SummaryStatus::Extract; 2]);
            assert!(digest.warnings[0].contains("LLM_PRIVATE"), "{:?}", digest.warnings);
            assert_eq!(digest.usage.github_requests, 1);
        }
    }
    let stage = start(World { is_private: json!(true), ..World::new(2) }, true).await;
    let digest = stage.ask().await;
    assert!(digest.llm_host.is_some_and(|host| host.starts_with("127.0.0.1:")));
}

#[tokio::test]
async fn githubs_limit_is_told_before_it_stops_us() {
    let stage = start(World::new(2), true).await;
    stage.world.points.store(499, Ordering::SeqCst);
    let warned = stage.ask().await;
    assert_eq!(
        warned.warnings,
        ["Of GitHub's rate limit for this account 499 of 5000 points are left until 2026-06-30 \
          12:40 UTC."]
    );
    stage.later();
    stage.world.points.store(0, Ordering::SeqCst);
    stage.world.heads.lock().unwrap()[0] = "pushed".to_owned();
    let last = stage.ask().await;
    // What was read before is there; the new head is not asked for.
    assert_eq!((last.usage.github_requests, stage.world.diffs.load(Ordering::SeqCst)), (1, 2));
    let files = |digest: &RepositoryDigest, number: u64| {
        let found = digest.pull_requests.iter().find(|part| part.number == number);
        found.unwrap().coverage.files
    };
    assert_eq!((files(&last, 1), files(&last, 2)), (None, Some(1)));
    stage.later();
    let stopped = stage.ask_as("ann").await.unwrap_err();
    assert_eq!(stopped.code, FailureCode::GitHubRateLimited);
    assert!(stopped.detail.contains("12:40 UTC"), "{stopped:?}");
    assert_eq!(stopped.retry_after, Some(Duration::from_secs(40 * 60 - 2 * 16)));
    stage.world.points.store(5_000, Ordering::SeqCst);
    stage.clock.advance(TimeDelta::minutes(40));
    assert_eq!(files(&stage.ask().await, 1), Some(1));
}
