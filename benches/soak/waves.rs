//! Three waves of sessions that expire: what each leaves in memory and in the store.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;
use tokio::time::{Duration, Instant};

use crate::{
    client::{self, initialize},
    fakes::World,
    server::{By, Server, pause},
};

/// Longer than a session may be idle.
const HOURS: u32 = 13;

/// Sweeping comes round twice a minute; after that nothing more happens by itself.
const SETTLING: Duration = Duration::from_secs(35);

pub async fn run(sessions: usize) {
    println!("waves: 3 of {sessions} sessions that expire");
    let mut server = Server::start(World::start().await, By::Hand).await;
    println!("  fresh: {} KiB resident", server.resident());
    let mut after = Vec::new();
    for wave in 1..=3 {
        let begun = Instant::now();
        let (http, url) = (client::http(), format!("{}/mcp", server.origin));
        let opened = AtomicUsize::new(0);
        join_all((0..8).map(|_| async {
            while opened.fetch_add(1, Ordering::Relaxed) < sessions {
                initialize(&http, &url).await.unwrap();
            }
        }))
        .await;
        let (full, took) = (server.resident(), begun.elapsed());
        let stored = server.stored();
        server.advance(HOURS).await;
        pause(SETTLING).await;
        let resident = server.resident();
        println!(
            "  wave {wave}: opened in {:.1} s, {full} KiB resident then, {resident} KiB when \
             expired; store {stored} KiB",
            took.as_secs_f64()
        );
        after.push(resident);
    }
    let most = *after.iter().max().unwrap();
    let growth = most as f64 / after[0] as f64;
    println!(
        "  most after a wave: {most} KiB, {growth:.2} of the first; panics {}",
        server.panics()
    );
    assert_eq!(server.panics(), 0);
    assert!(growth <= 1.1, "memory does not come back");
    assert!(cfg!(debug_assertions) || most <= 32 * 1024, "more than 32 MiB");
}
