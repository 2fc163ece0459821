//! Mixed load at 50 calls a second: memory and descriptors must stay where they are.

use std::{sync::Arc, time::Instant};

use serde_json::json;
use tokio::{
    sync::{Mutex, Semaphore},
    time::{Duration, MissedTickBehavior},
};

use crate::{
    client::{self, Session, Tally},
    fakes::{Browser, FileChange, Person, World},
    server::{By, Server},
};

const PEOPLE: usize = 60;
const EVERY: Duration = Duration::from_millis(20);
/// Calls under way at most; beyond it the load waits, and says so.
const UNDER_WAY: usize = 400;
const REPOSITORY: &str = "lighthouse-labs/beacon";
/// The first tenth fills caches and pools; memory is compared after it.
const WARM_UP: u32 = 10;
const LANGUAGES: [&str; 6] = ["English", "German", "French", "Spanish", "Polish", "Norwegian"];

/// One look at the server.
struct Sample {
    at: Duration,
    resident: u64,
    descriptors: usize,
}

pub async fn run(time: Duration) {
    println!("load: {} s of 50 calls a second by {PEOPLE} people", time.as_secs());
    let people = (0..PEOPLE).map(|n| Person::new(9_000 + n as u64, &format!("person-{n}")));
    let world = World::builder().people(people.collect()).start().await;
    let server = Server::start(world, By::Machine).await;
    println!("  server pid {}", server.pid());
    let people = Arc::new(connected(&server).await);
    let tally = Arc::new(Mutex::new(Tally::default()));
    let places = Arc::new(Semaphore::new(UNDER_WAY));
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (begun, mut samples, mut total, mut failed) = (Instant::now(), Vec::new(), 0, 0);
    let mut number = 0;
    while begun.elapsed() < time {
        ticks.tick().await;
        let place = Arc::clone(&places).acquire_owned().await.unwrap();
        let (people, noted) = (Arc::clone(&people), Arc::clone(&tally));
        tokio::spawn(async move {
            let begun = Instant::now();
            let outcome = call(&people, number).await;
            noted.lock().await.note(begun, outcome);
            drop(place);
        });
        number += 1;
        if number % 500 == 0 {
            samples.push(Sample {
                at: begun.elapsed(),
                resident: server.resident(),
                descriptors: server.descriptors(),
            });
            forget(&server);
        }
        if number % 3_000 == 0 {
            let mut minute = std::mem::take(&mut *tally.lock().await);
            (total, failed) = (total + minute.count(), failed + minute.failures.len());
            report(&server, begun.elapsed(), &mut minute);
        }
        if number % 6_000 == 0 {
            somebody_pushes(&server, number);
        }
    }
    let _ = places.acquire_many(UNDER_WAY as u32).await.unwrap();
    let mut rest = std::mem::take(&mut *tally.lock().await);
    (total, failed) = (total + rest.count(), failed + rest.failures.len());
    report(&server, begun.elapsed(), &mut rest);
    conclude(&server, &samples, total, failed);
}

/// A session for each, with an account of their own.
async fn connected(server: &Server) -> Vec<Session> {
    let http = client::http();
    let mut sessions = Vec::new();
    for n in 0..PEOPLE {
        let session = Session::open(http.clone(), &server.origin).await;
        let answer = session.tool("connect_github", json!({})).await.unwrap();
        let link = answer["structuredContent"]["url"].as_str().expect("a link").to_owned();
        let page = Browser::new().approve(link, &format!("person-{n}")).await;
        assert!(page.says(&format!("Connected as @person-{n}")), "{page:?}");
        sessions.push(session);
    }
    sessions
}

/// One call of the mix.
async fn call(people: &[Session], number: usize) -> Result<(), String> {
    let person = &people[number % people.len()];
    match number % 50 {
        0..=27 => person.tool("auth_status", json!({})).await.map(drop),
        28..=39 => {
            let minute = number / 3_000;
            let arguments = json!({
                "repository": REPOSITORY,
                "limit": 3 + number % 3,
                "language": LANGUAGES[minute % LANGUAGES.len()],
            });
            person.tool("summarize_prs", arguments).await.map(drop)
        }
        40..=43 => person.ask("tools/list", json!({})).await.map(drop),
        44 | 45 => {
            let origin = person.url.trim_end_matches("/mcp");
            let session = Session::open(person.http.clone(), origin).await;
            let link = session.tool("connect_github", json!({})).await?;
            let url = link["structuredContent"]["url"].as_str().ok_or("no link")?.to_owned();
            let page = person.http.get(url).send().await.map_err(|error| error.to_string())?;
            expect(200, page.status().as_u16())?;
            let closed = session.close().await.map_err(|error| error.to_string())?;
            expect(204, closed.as_u16())
        }
        46 | 47 => {
            let message = json!({ "jsonrpc": "1.0" });
            let answer = person.send(&message).await.map_err(|error| error.to_string())?;
            expect(400, answer.status().as_u16())
        }
        _ => {
            let url = person.url.replace("/mcp", "/readyz");
            let answer = person.http.get(url).send().await.map_err(|error| error.to_string())?;
            expect(200, answer.status().as_u16())
        }
    }
}

fn expect(status: u16, found: u16) -> Result<(), String> {
    if status == found { Ok(()) } else { Err(format!("{found} instead of {status}")) }
}

/// The fakes' own records, which would be this process's memory and not the server's.
fn forget(server: &Server) {
    server.world.scalekit.clear_calls();
    server.world.github.clear_calls();
    server.world.llm.clear_calls();
}

/// Something new to read and to summarize.
fn somebody_pushes(server: &Server, number: usize) {
    server.world.github.update(|state| {
        let repository = &mut state.repositories[0];
        let open = repository.pull_requests.iter().filter(|one| one.number > 430).count().max(1);
        let which = repository.pull_requests[number / 6_000 % open].number;
        let text = format!("fn changed() -> usize {{ {number} }}\n");
        repository.change(which).push(chrono_now(), vec![FileChange::added("new.rs", &text)]);
    });
}

fn chrono_now() -> chrono::DateTime<chrono::Utc> {
    pr_summarizer::domain::Clock::now(&pr_summarizer::domain::SystemClock)
}

fn report(server: &Server, at: Duration, minute: &mut Tally) {
    println!(
        "  {:>5} s: {} calls, {} failed, p50 {:.1} ms, p99 {:.1} ms; {} KiB resident, {} \
         descriptors, {} panics",
        at.as_secs(),
        minute.count(),
        minute.failures.len(),
        minute.percentile(50),
        minute.percentile(99),
        server.resident(),
        server.descriptors(),
        server.panics()
    );
    if let Some(why) = minute.failures.first() {
        println!("    the first failure: {why}");
    }
}

fn conclude(server: &Server, samples: &[Sample], total: usize, failed: usize) {
    let end = samples.last().map_or(Duration::ZERO, |sample| sample.at);
    let warm: Vec<&Sample> = samples.iter().filter(|one| one.at >= end / WARM_UP).collect();
    let hours = |sample: &Sample| sample.at.as_secs_f64() / 3600.0;
    let count = warm.len() as f64;
    let mean_at = warm.iter().map(|one| hours(one)).sum::<f64>() / count;
    let mean = warm.iter().map(|one| one.resident as f64).sum::<f64>() / count;
    let together: f64 =
        warm.iter().map(|one| (hours(one) - mean_at) * (one.resident as f64 - mean)).sum();
    let spread: f64 = warm.iter().map(|one| (hours(one) - mean_at).powi(2)).sum();
    let slope = together / spread / 1024.0;
    let most = |pick: fn(&Sample) -> u64| warm.iter().map(|one| pick(one)).max().unwrap_or(0);
    let least = |pick: fn(&Sample) -> u64| warm.iter().map(|one| pick(one)).min().unwrap_or(0);
    println!(
        "  in all {total} calls, {failed} failed; resident {}..{} KiB, slope {slope:.2} MiB/h; \
         descriptors {}..{}; {} panics",
        least(|one| one.resident),
        most(|one| one.resident),
        least(|one| one.descriptors as u64),
        most(|one| one.descriptors as u64),
        server.panics()
    );
    assert_eq!(server.panics(), 0);
    assert!(failed * 1000 <= total, "more than one in a thousand failed");
}
