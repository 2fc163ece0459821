//! Ten thousand requests that nobody thought of: good ones spoiled in several places, and noise. Each
//! comes of a seed, which is told when its answer is wrong.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use futures_util::future::join_all;
use serde_json::json;

use super::{
    chance::Chance,
    rpc::{MESSAGES, TOOLS},
    scene::Scene,
    spoil::{noise, spoiled},
    table::{OPERATIONS, ROUTES},
    wire::{Answer, Connection, Request},
};
use crate::attacks::house::Mode;

/// Where the seeds begin. Another number is another storm.
const FIRST_SEED: u64 = 0x0bad_1d3a;
/// Requests at the same time. Fewer than one person may have.
const AT_ONCE: usize = 12;
/// One in so many is no HTTP, or hardly.
const NOISE: u64 = 20;
/// How many wrong answers are told.
const TOLD: usize = 20;

/// Requests that are as they should be, by what they ask for.
fn bases(scene: &Scene) -> Vec<(String, Request)> {
    let mode = scene.house.mode;
    let operations = OPERATIONS.iter().filter(|operation| operation.modes.includes(mode));
    let mut bases: Vec<_> =
        operations.map(|one| (one.name.to_owned(), scene.good(one.name))).collect();
    if scene.house.is_oauth() {
        let good = scene.good("POST /authorize");
        bases.push(("POST /authorize allow".to_owned(), good.with_field("decision", "allow")));
        let good = scene.good("POST /person");
        bases.push(("POST /person sign_in".to_owned(), good.with_field("action", "sign_in")));
    }
    for (path, _, methods) in ROUTES.iter().filter(|(_, modes, _)| modes.includes(mode)) {
        for method in methods.iter().filter(|method| ["HEAD", "OPTIONS"].contains(method)) {
            bases.push((format!("{method} {path}"), Request::new(method, path)));
        }
    }
    for message in MESSAGES {
        let params = (message.params)();
        let (method, own) = (message.method, &scene.own);
        bases.push((format!("POST /mcp {method}"), own.rpc(method, &params)));
        bases.push((format!("POST /mcp {method}, modern"), own.modern(method, params)));
    }
    for tool in TOOLS {
        // Without its argument it would do what it is for, and here all are one person.
        if tool.name == "disconnect_github" && mode == Mode::SingleUser {
            continue;
        }
        let params = json!({ "name": tool.name, "arguments": (tool.good)() });
        let own = &scene.own;
        bases.push((format!("POST /mcp {}", tool.name), own.rpc("tools/call", &params)));
        bases.push((format!("POST /mcp {}, modern", tool.name), own.modern("tools/call", params)));
    }
    bases
}

/// What came of a storm.
#[derive(Default)]
struct Weather {
    /// By what was asked for, then by status; 0: closed without an answer.
    answers: BTreeMap<String, BTreeMap<u16, usize>>,
    wrong: Vec<String>,
}

impl Weather {
    fn note(&mut self, what: &str, answer: Option<&Answer>) {
        let status = answer.map_or(0, |answer| answer.status);
        *self.answers.entry(what.to_owned()).or_default().entry(status).or_default() += 1;
    }

    fn add(&mut self, other: Self) {
        for (what, statuses) in other.answers {
            let known = self.answers.entry(what).or_default();
            for (status, count) in statuses {
                *known.entry(status).or_default() += count;
            }
        }
        self.wrong.extend(other.wrong);
    }

    fn by_status(&self) -> BTreeMap<u16, usize> {
        let mut all = BTreeMap::new();
        for (status, count) in self.answers.values().flatten() {
            *all.entry(*status).or_default() += count;
        }
        all
    }
}

/// The request of a seed, as bytes too if it is not quite one.
fn request_of(seed: u64, bases: &[(String, Request)]) -> (String, Request, Option<Vec<u8>>) {
    let mut chance = Chance::new(seed);
    let (what, base) = &bases[usize::try_from(seed).unwrap() % bases.len()];
    if chance.one_in(NOISE) {
        let (request, bytes) = noise(base, &mut chance);
        return ("noise".to_owned(), request, Some(bytes));
    }
    (what.clone(), spoiled(base.clone(), &mut chance), None)
}

async fn storm(mode: Mode, count: u64) {
    let scene = Scene::open(mode).await;
    let (bases, next, started) = (bases(&scene), AtomicU64::new(0), Instant::now());
    let authority = scene.house.authority();
    let worker = async || {
        let (mut connection, mut weather) = (Connection::new(&authority), Weather::default());
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return weather;
            }
            let seed = FIRST_SEED + number;
            let (what, request, bytes) = request_of(seed, &bases);
            let answer = match &bytes {
                // What follows on such a connection belongs to nobody knows what.
                Some(bytes) => Connection::new(&authority).send_bytes(bytes, false).await,
                None => connection.send(&request).await,
            };
            weather.note(&what, answer.as_ref());
            let objections = match &answer {
                Some(answer) => scene.judge.objections(&request, answer),
                None if bytes.is_some() => Vec::new(),
                None => vec!["no answer".to_owned()],
            };
            if !objections.is_empty() && weather.wrong.len() < TOLD {
                let sent = bytes.unwrap_or_else(|| request.bytes(&authority));
                let sent: String = String::from_utf8_lossy(&sent).chars().take(1_500).collect();
                let told: String = answer.map_or(String::new(), |a| a.whole());
                let told: String = told.chars().take(500).collect();
                weather.wrong.push(format!("seed {seed:#x}: {objections:?}\n{sent}\n-> {told}"));
            }
        }
    };
    let mut weather = Weather::default();
    for seen in join_all((0..AT_ONCE).map(|_| worker())).await {
        weather.add(seen);
    }
    println!("{count} requests in {:?}: {:?}", started.elapsed(), weather.by_status());
    for (what, statuses) in &weather.answers {
        println!("  {what}: {statuses:?}");
    }
    let told: Vec<_> = weather.wrong.iter().take(TOLD).cloned().collect();
    assert!(told.is_empty(), "\n{}\n", told.join("\n\n"));
    assert_eq!(weather.by_status().values().sum::<usize>() as u64, count);
    // Each was asked, got past the front and was refused for what was wrong with it.
    for (what, _) in &bases {
        let statuses = &weather.answers[what];
        let own = statuses.iter().filter(|(status, _)| ![0, 414, 431].contains(*status));
        assert!(own.map(|(_, count)| count).sum::<usize>() > 10, "{what}: {statuses:?}");
    }
    let seen = weather.by_status();
    for status in [200, 400, 401, 403, 404, 405, 413, 431] {
        let never = status == 401 && mode == Mode::Session;
        assert!(never || seen.contains_key(&status), "{status} never came: {seen:?}");
    }
    scene.others_go_on().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_in_oauth_mode() {
    storm(Mode::OAuth, 10_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_in_session_mode() {
    storm(Mode::Session, 2_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_in_single_user_mode() {
    storm(Mode::SingleUser, 2_000).await;
}

/// The same seed is the same request, whatever else runs; and no two storms are alike.
#[test]
fn a_seed_tells_its_request() {
    let base = Request::new("POST", "/token").form(&[("grant_type", "refresh_token")]);
    let bases = [("POST /token".to_owned(), base)];
    let sent = |seed| {
        let (_, request, bytes) = request_of(seed, &bases);
        bytes.unwrap_or_else(|| request.bytes("127.0.0.1:1"))
    };
    let all: Vec<_> = (0..300).map(sent).collect();
    assert_eq!(all, (0..300).map(sent).collect::<Vec<_>>());
    let mut different = all.clone();
    different.sort();
    different.dedup();
    assert!(different.len() > 250, "{}", different.len());
}
