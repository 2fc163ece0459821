//! The flow, the pointer and the session records under random interleavings and crashes, over each
//! store.
//!
//! A seed draws a run: the mode, the dashboard's settings, one process or two on one store, and who
//! asks for what when. Each request comes to a gate before every operation of the store and after
//! every write ([`stepping`]), and before every request to Scalekit; of all requests that are under
//! way one is let go to its next gate, so that a seed is one order of steps ([`gates`], [`run`]). Any
//! step may be a process's last one ([`house`]). What is known outside alone decides what may be
//! answered ([`judge`], [`callbacks`], [`ledger`]), and in the end everybody must be able to connect, and Scalekit
//! must hold nothing that nobody uses ([`ending`]).
//!
//! `INTERLEAVINGS=10000 cargo test --test it interleavings` runs so many seeds on each store instead
//! of a few, from `INTERLEAVINGS_FROM` on; `INTERLEAVINGS_SEED=n` runs one, and tells all its steps.

mod callbacks;
mod deeds;
mod ending;
mod entering;
mod gates;
mod house;
mod judge;
mod knowledge;
mod ledger;
mod named;
mod plan;
mod run;
mod stepping;
mod telling;

use std::{env, panic::AssertUnwindSafe, sync::Arc};

use futures_util::FutureExt as _;
use pr_summarizer::{
    domain::{ManualClock, SystemEntropy},
    upstream::transport::{Transport, TransportSettings},
};

use self::{
    gates::Gates,
    house::{Ground, Kind, beginning},
    run::{Asked, Run},
};
use crate::{fakes::World, support::redis_server::RedisServer};

/// How much of what had happened is told where something is wrong.
const TOLD: usize = 40;
/// After so many runs the fakes remember enough to be slow.
const RUNS_OF_A_WORLD: u64 = 100;

/// So many things that are wrong are enough to look at.
const ENOUGH: usize = 5;

/// What several runs share.
struct Stage {
    world: World,
    transport: Transport,
    gates: Gates,
    asked: Asked,
    clock: ManualClock,
}

impl Stage {
    async fn set() -> Self {
        let clock = beginning();
        let world = World::builder().clock(Arc::new(clock.clone())).repositories(Vec::new());
        let world = world.start().await;
        let transport =
            Transport::new(TransportSettings::default(), Arc::new(SystemEntropy)).unwrap();
        let (gates, asked) = (Gates::default(), Asked::default());
        let (at, heard) = (gates.clone(), asked.clone());
        world.scalekit.step_by_step(Arc::new(move |call| {
            let (at, heard, call) = (at.clone(), heard.clone(), call.clone());
            Box::pin(async move {
                // Several requests wait for one token: no step of their own.
                if call.path == "/oauth/token" {
                    return;
                }
                if let Some(by) = at.running()
                    && call.path.ends_with("/user/verify")
                {
                    let body = call.json();
                    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
                    let asked = (by, text("auth_request_id"), text("identifier"));
                    heard.lock().unwrap().push(asked);
                }
                let rpc = call.path.rsplit('/').next().unwrap_or_default().to_owned();
                at.pass(|| format!("asks Scalekit {} {rpc}", call.method)).await;
            })
        }));
        Self { world, transport, gates, asked, clock }
    }

    /// One run; what was wrong, and what had happened.
    async fn run(&self, seed: u64, ground: Ground, told: usize) -> Result<(usize, String), String> {
        self.world.scalekit.clear_calls();
        self.world.github.clear_calls();
        let around = (&self.world, &self.transport);
        let with = (self.gates.clone(), self.asked.clone(), &self.clock);
        let mut run = Run::begin(seed, ground, around, with).await;
        run.told = told;
        let ran = AssertUnwindSafe(run.run()).catch_unwind().await;
        self.gates.rest();
        let wrong = match ran {
            Ok(Ok(())) => return Ok((run.crashes, run.trace())),
            Ok(Err(wrong)) => wrong,
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned();
                text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
                    .unwrap_or_else(|| "a panic".to_owned())
            }
        };
        Err(format!("{wrong}\n{:?}\n{}", run.plan, run.trace()))
    }
}

fn setting(name: &str) -> Option<u64> {
    env::var_os(name).map(|value| value.to_str().unwrap().parse().unwrap())
}

async fn runs(kind: Kind, few: u64) {
    let Some(redis) = (match kind {
        Kind::Redis => RedisServer::start().map(Some),
        _ => Some(None),
    }) else {
        return;
    };
    let one = setting("INTERLEAVINGS_SEED");
    let first = one.or_else(|| setting("INTERLEAVINGS_FROM")).unwrap_or(0);
    let count = if one.is_some() { 1 } else { setting("INTERLEAVINGS").unwrap_or(few) };
    let told = if one.is_some() { usize::MAX } else { TOLD };
    let mut stage = Stage::set().await;
    let (mut endings, mut found) = (0, Vec::new());
    for seed in first..first + count {
        if seed % RUNS_OF_A_WORLD == 0 {
            stage = Stage::set().await;
        }
        let ground = match (kind, &redis) {
            (Kind::Redis, Some(server)) => Ground::redis(server),
            (Kind::Sqlite, _) => Ground::sqlite(),
            _ => Ground::memory(),
        };
        match stage.run(seed, ground, told).await {
            Ok((ended, _)) => endings += ended,
            Err(wrong) => {
                found.push(format!(
                    "run {seed} over {kind:?} (again: INTERLEAVINGS_SEED={seed} cargo test --test it \
                     interleavings::over_{}): {wrong}",
                    format!("{kind:?}").to_lowercase()
                ));
            }
        }
        if !stage.world.scalekit.accounts().is_empty() {
            stage = Stage::set().await;
        }
        if found.len() == ENOUGH {
            break;
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
    println!("{count} runs over {kind:?} from {first}: {endings} processes ended");
}

#[tokio::test]
async fn over_memory() {
    runs(Kind::Memory, 300).await;
}

#[tokio::test]
async fn over_sqlite() {
    runs(Kind::Sqlite, 60).await;
}

#[tokio::test]
async fn over_redis() {
    runs(Kind::Redis, 40).await;
}

/// What is found can be found again.
#[tokio::test]
async fn a_seed_is_one_order_of_steps() {
    for seed in 0..4 {
        let mut traces = Vec::new();
        for _ in 0..2 {
            let stage = Stage::set().await;
            traces.push(stage.run(seed, Ground::memory(), usize::MAX).await.unwrap().1);
        }
        assert_eq!(traces[0], traces[1]);
    }
}
