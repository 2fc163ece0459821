//! The rounds: every contender in turn, and what was measured of each.

use std::{collections::BTreeMap, time::Duration};

use serde_json::json;

use crate::{
    contenders::{self, Contender, Recipe, UPSTREAM},
    load::{load, tool},
    process::{Process, resident},
    upstream::Upstream,
    writer::Writer,
};

/// Calls whose cost is measured, and how many at a time.
const CALLS: usize = 2_000;
const WIDTH: usize = 8;
/// Calls of each client for the times, and in all at the least.
const CALLS_EACH: usize = 20;
const CALLS_AT_LEAST: usize = 400;
/// Clients whose calls wait for the upstream, and calls of each: 2 s at the upstream's limit.
pub const WAITING: usize = 256;
const WAITING_CALLS_EACH: usize = 40;
/// Sessions that are opened to see what one takes.
const SESSIONS: usize = 500;
/// How long a server is left alone before its idle memory is read.
const IDLE: Duration = Duration::from_millis(500);

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Figure {
    /// Microseconds of the processor for a call of `auth_status`.
    Status,
    /// The same while another process writes to the store without a pause, so that no copy of a record is good.
    StatusWritten,
    /// Of a call of `tools/list`.
    List,
    /// Milliseconds that a call of `auth_status` takes with so many clients: half of them, and 99 of 100.
    Half(usize),
    NinetyNine(usize),
    /// Of the calls that the upstream's 50 ms allow 256 clients, how many were made; milliseconds that 99 of 100
    /// took; microseconds of the processor for one.
    Share,
    ShareNinetyNine,
    ShareCost,
    /// Milliseconds from the start of the process to its first good answer.
    ColdStart,
    /// KiB resident after it.
    Idle,
    /// Bytes of resident memory for a session.
    Session,
}

/// Of one contender in one round.
pub type Figures = BTreeMap<Figure, f64>;

/// By contender, then by round.
pub type Results = BTreeMap<&'static str, Vec<Figures>>;

/// At how many clients times are measured.
pub const CLIENTS: [usize; 3] = [1, 32, 256];

/// Measures whose names `wanted` holds; with `is_short` only what has a bound by the floor.
pub async fn run(rounds: usize, is_short: bool, wanted: impl Fn(&str) -> bool) -> Results {
    let upstream = Upstream::start().await;
    let recipes: Vec<_> =
        contenders::others().into_iter().filter(|recipe| wanted(recipe.name)).collect();
    let mut running = Vec::new();
    if wanted(contenders::OURS) {
        running.push(Contender::session_mode().await);
    }
    if wanted(contenders::OURS_OAUTH) {
        running.push(Contender::oauth_mode().await);
    }
    for recipe in &recipes {
        running.push(Contender::other(recipe, &upstream).await);
    }
    for contender in &running {
        contenders::rehearse(contender).await;
    }
    let mut results = Results::new();
    // The first round warms up: some servers compile as they run.
    for round in 0..=rounds {
        for at in 0..running.len() {
            let contender = &running[(at + round) % running.len()];
            let mut figures = costs(contender).await;
            if !is_short {
                figures.extend(written(contender).await);
                figures.extend(times(contender).await);
                figures.extend(waiting(contender).await);
            }
            eprintln!("round {round}: {}", contender.name);
            if round > 0 {
                results.entry(contender.name).or_default().push(figures);
            }
        }
        if !is_short && round > 0 {
            for (name, figures) in starts(&recipes, &upstream, wanted(contenders::OURS)).await {
                if let Some(round) = results.get_mut(name).and_then(|rounds| rounds.last_mut()) {
                    round.extend(figures);
                }
            }
        }
    }
    results
}

async fn costs(Contender { pid, seats, .. }: &Contender) -> Figures {
    // A server that was left alone tidies up with the first calls, or has forgotten how to be fast.
    load(*pid, seats, tool("auth_status"), WIDTH, CALLS).await;
    let status = load(*pid, seats, tool("auth_status"), WIDTH, CALLS).await;
    let list = load(*pid, seats, ("tools/list", json!({})), WIDTH, CALLS).await;
    Figures::from([(Figure::Status, status.cpu), (Figure::List, list.cpu)])
}

async fn written(Contender { pid, seats, store, .. }: &Contender) -> Figures {
    let Some(store) = store else { return Figures::new() };
    let _writer = Writer::start(store);
    let status = load(*pid, seats, tool("auth_status"), WIDTH, CALLS).await;
    Figures::from([(Figure::StatusWritten, status.cpu)])
}

async fn times(Contender { pid, seats, .. }: &Contender) -> Figures {
    let mut figures = Figures::new();
    for clients in CLIENTS {
        let calls = (clients * CALLS_EACH).max(CALLS_AT_LEAST);
        let load = load(*pid, seats, tool("auth_status"), clients, calls).await;
        figures.insert(Figure::Half(clients), load.percentile(50));
        figures.insert(Figure::NinetyNine(clients), load.percentile(99));
    }
    figures
}

async fn waiting(contender: &Contender) -> Figures {
    let Some(trip) = &contender.trip else { return Figures::new() };
    let seats = trip.seats().await;
    let load =
        load(contender.pid, &seats, trip.call(), WAITING, WAITING * WAITING_CALLS_EACH).await;
    let limit = WAITING as f64 / UPSTREAM.as_secs_f64();
    Figures::from([
        (Figure::Share, load.rate / limit),
        (Figure::ShareNinetyNine, load.percentile(99)),
        (Figure::ShareCost, load.cpu),
    ])
}

/// New processes, each alone: how they start, and what they take before and after some sessions.
async fn starts(
    recipes: &[Recipe],
    upstream: &Upstream,
    ours: bool,
) -> BTreeMap<&'static str, Figures> {
    let mut results = BTreeMap::new();
    if ours {
        let state = tempfile::tempdir().unwrap();
        // The first start makes keys and a store; then it is as on all other days.
        drop(Process::start(contenders::ours(state.path()), None).await);
        let figures = start(contenders::ours(state.path())).await;
        results.insert(contenders::OURS, figures);
    }
    for recipe in recipes {
        let mut command = (recipe.command)();
        command.env("UPSTREAM", upstream.url());
        results.insert(recipe.name, start(command).await);
    }
    results
}

async fn start(command: tokio::process::Command) -> Figures {
    let process = Process::start(command, None).await;
    tokio::time::sleep(IDLE).await;
    let idle = resident(process.pid());
    process.open_sessions(SESSIONS).await;
    let taken = (resident(process.pid()) - idle) * 1024.0 / SESSIONS as f64;
    Figures::from([
        (Figure::ColdStart, process.cold_start.as_secs_f64() * 1e3),
        (Figure::Idle, idle),
        (Figure::Session, taken),
    ])
}
