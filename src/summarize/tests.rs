//! The whole room against a small GitHub and a small LLM on real sockets: what is asked how often,
//! and what one part's failure costs the others.

use std::sync::{
    Mutex,
    atomic::{AtomicU32, Ordering},
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
    domain::{ManualClock, SystemEntropy},
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
            "additions": 1, "deletions": 1, "changedFiles": 1, "statusCheckRollup": null,
        })
    }

    fn graphql(&self, query: &str) -> Value {
        let count = self.heads.lock().unwrap().len();
        let mut repository = json!({
            "nameWithOwner": "octo/hello", "url": "https://github.com/octo/hello",
            "isPrivate": false, "databaseId": 99, "open": { "totalCount": count },
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
        json!({ "data": { "rateLimit": { "remaining": 5_000 }, "repository": repository } })
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

async fn start(world: World, with_llm: bool) -> (Summarizer, GitHub, Arc<World>) {
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
    let clock = Arc::new(ManualClock::new(samples::at("2026-06-30T12:00:00Z")));
    let bounds =
        SummarizeSettings { deadline: Duration::from_secs(3), ..SummarizeSettings::default() };
    (Summarizer::new(bounds, llm, clock), github, world)
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

async fn ask(summarizer: &Summarizer, github: &GitHub) -> RepositoryDigest {
    let call = Call::within(Duration::from_secs(30));
    summarizer.summarize(github, &request(), &(), &call).await.unwrap()
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
    let (summarizer, github, world) = start(World::new(5), true).await;
    let first = ask(&summarizer, &github).await;
    assert_eq!(statuses(&first), [SummaryStatus::Written; 5]);
    assert_eq!((first.usage.github_requests, first.usage.llm_calls), (7, 5));
    assert_eq!((first.usage.prompt_tokens, first.usage.completion_tokens), (500, 50));
    assert_eq!(first.warnings, Vec::<String>::new());
    let part = &first.pull_requests[0];
    assert_eq!((part.coverage.files, part.coverage.files_read), (Some(1), 1));
    assert_eq!(part.coverage.comments_used, 1);

    let second = ask(&summarizer, &github).await;
    assert_eq!(statuses(&second), [SummaryStatus::Cached; 5]);
    assert_eq!((second.usage.github_requests, second.usage.llm_calls), (1, 0));
    assert_eq!(second.usage.cache_hits, 15);

    world.heads.lock().unwrap()[2] = "pushed".to_owned();
    let third = ask(&summarizer, &github).await;
    // The change is the same to the letter, so its summary is too.
    assert_eq!((third.usage.github_requests, third.usage.llm_calls), (2, 0));
}

#[tokio::test]
async fn a_late_summary_is_there_the_next_time() {
    let world = World { gate: tokio::sync::Semaphore::new(2), ..World::new(3) };
    let (summarizer, github, world) = start(world, true).await;
    let begun = std::time::Instant::now();
    let first = ask(&summarizer, &github).await;
    assert!(begun.elapsed() < Duration::from_millis(3_500), "{:?}", begun.elapsed());
    assert!(!first.complete && first.pending.len() == 1, "{:?}", first.pending);
    let late = first.pull_requests.iter().find(|part| part.number == first.pending[0]).unwrap();
    assert_eq!((late.summary_status, &late.summary), (SummaryStatus::Pending, &None));
    world.gate.add_permits(1);
    let second = ask(&summarizer, &github).await;
    assert!(second.complete);
    assert_eq!(world.llm_calls.load(Ordering::SeqCst), 3);
    assert_eq!(second.usage.llm_calls, 0);
}

#[tokio::test]
async fn one_broken_diff_costs_the_others_nothing() {
    let world = World { broken_diff: Some(2), ..World::new(3) };
    let (summarizer, github, _) = start(world, true).await;
    let digest = ask(&summarizer, &github).await;
    assert_eq!(statuses(&digest), [SummaryStatus::Written; 3]);
    for part in &digest.pull_requests {
        assert_eq!(part.coverage.files, (part.number != 2).then_some(1));
    }
    assert_eq!(digest.warnings, ["The diff of no. 2 could not be read (github_unavailable)."]);
}

#[tokio::test]
async fn an_llm_that_is_down_leaves_the_facts() {
    let world = World { llm_status: 401, ..World::new(3) };
    let (summarizer, github, _) = start(world, true).await;
    let digest = ask(&summarizer, &github).await;
    assert_eq!(statuses(&digest), [SummaryStatus::Extract; 3]);
    assert_eq!(digest.warnings.len(), 1, "{:?}", digest.warnings);
    assert!(digest.warnings[0].contains("llm_rejected_us"), "{:?}", digest.warnings);
    assert!(digest.pull_requests[0].summary.as_ref().unwrap().starts_with(extract::MARK));
}

#[tokio::test]
async fn without_an_llm_one_call_is_enough() {
    let (summarizer, github, world) = start(World::new(3), false).await;
    let heard = Heard::default();
    let call = Call::within(Duration::from_secs(30));
    let digest = summarizer.summarize(&github, &request(), &heard, &call).await.unwrap();
    assert_eq!(statuses(&digest), [SummaryStatus::Extract; 3]);
    assert_eq!((digest.usage.github_requests, world.diffs.load(Ordering::SeqCst)), (1, 0));
    assert_eq!(digest.warnings.len(), 1);
    assert_eq!(*heard.0.lock().unwrap(), [(0, 3), (1, 3), (2, 3), (3, 3)]);
}

#[test]
fn numbers_are_asked_for_once_each() {
    let mut asked = request();
    assert_eq!(numbers(&asked), Vec::<u64>::new());
    asked.repository.pull_request = Some(9);
    assert_eq!(numbers(&asked), [9]);
    asked.pull_requests = [3, 3, 1].into_iter().chain(100..200).collect();
    assert_eq!(numbers(&asked)[..4], [9, 3, 1, 100]);
    assert_eq!(numbers(&asked).len(), MAX_PULL_REQUESTS);
}
