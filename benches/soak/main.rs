//! What the server is like after a while and under abuse: memory, descriptors, and what honest
//! clients notice of it.
//!
//! `cargo bench --bench soak -- flood | waves | hour [--minutes N]`; without a word, a short form of
//! each, which takes some minutes. Everything is on loopback: the program itself, the fake worlds of the
//! tests around it, and the clients. Only processes that this one has started are ended.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    unreachable_pub,
    missing_docs,
    reason = "a measurement stops at the first surprise"
)]

#[path = "../../tests/fakes/mod.rs"]
mod fakes;

mod client;
mod flood;
mod hour;
mod server;
mod waves;

use std::time::Duration;

use clap::Parser;

/// Measure memory, descriptors and fairness.
#[derive(Debug, Parser)]
struct Arguments {
    /// flood, waves or hour; nothing is a short form of all three.
    what: Option<String>,
    /// How long `hour` lasts.
    #[arg(long, default_value_t = 60)]
    minutes: u64,
    /// Said by `cargo bench`; means nothing.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    match arguments.what.as_deref() {
        Some("flood") => runtime.block_on(flood::run(flood::Size::FULL)),
        Some("waves") => runtime.block_on(waves::run(10_000)),
        Some("hour") => runtime.block_on(hour::run(Duration::from_secs(60 * arguments.minutes))),
        // The server whose clock `waves` moves; started by it.
        Some("serve") => runtime.block_on(server::serve_until_told()),
        None => runtime.block_on(async {
            flood::run(flood::Size::SHORT).await;
            waves::run(300).await;
            hour::run(Duration::from_secs(10)).await;
        }),
        // A name that `cargo test NAME` passes to every target.
        Some(_) => {}
    }
}
