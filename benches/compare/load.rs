//! Load: so many calls at a time, what they cost the server, and how long each took.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::sync::Barrier;

use crate::{
    process::ran,
    wire::{Seat, Wire},
};

/// What one load was like.
pub struct Load {
    /// Of the server, in microseconds a call.
    pub cpu: f64,
    /// Calls a second.
    pub rate: f64,
    /// In milliseconds, in order.
    times: Vec<f64>,
}

impl Load {
    /// In milliseconds.
    pub fn percentile(&self, percent: usize) -> f64 {
        self.times[(self.times.len() * percent / 100).min(self.times.len() - 1)]
    }
}

/// A call of a tool without arguments.
pub fn tool(name: &str) -> (&'static str, Value) {
    ("tools/call", json!({ "name": name, "arguments": {} }))
}

/// `calls` in all, `width` of them at a time, each on a connection of its own.
pub async fn load(
    pid: u32,
    seats: &[Seat],
    (method, params): (&str, Value),
    width: usize,
    calls: usize,
) -> Load {
    let each = calls.div_ceil(width);
    let ready = Arc::new(Barrier::new(width + 1));
    let clients: Vec<_> = (0..width)
        .map(|number| {
            let seat = &seats[number % seats.len()];
            // Connections share sessions, in which an id that is being answered must not come again.
            let message =
                json!({ "jsonrpc": "2.0", "id": number, "method": method, "params": params });
            let (address, request) = (seat.address, seat.request(&message));
            let ready = Arc::clone(&ready);
            tokio::spawn(async move {
                let mut wire = Wire::open(address).await;
                wire.repeat(&request).await;
                ready.wait().await;
                ready.wait().await;
                let mut times = Vec::with_capacity(each);
                for _ in 0..each {
                    let begun = Instant::now();
                    wire.repeat(&request).await;
                    times.push(begun.elapsed());
                }
                times
            })
        })
        .collect();
    // Connected and warm; then all at once.
    ready.wait().await;
    let (before, begun) = (ran(pid), Instant::now());
    ready.wait().await;
    let mut times = Vec::with_capacity(each * width);
    for client in clients {
        times.extend(client.await.unwrap());
    }
    let (took, ran) = (begun.elapsed(), ran(pid) - before);
    let mut times: Vec<_> = times.iter().map(|time: &Duration| time.as_secs_f64() * 1e3).collect();
    times.sort_unstable_by(f64::total_cmp);
    Load { cpu: ran / times.len() as f64, rate: times.len() as f64 / took.as_secs_f64(), times }
}
