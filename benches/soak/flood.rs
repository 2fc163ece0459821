//! Abuse: sessions without end, connections that say nothing, and ones that say it slowly. Beside
//! it an honest client that asks twenty times a second.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Instant,
};

use futures_util::future::join_all;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinHandle,
    time::{Duration, MissedTickBehavior},
};

use crate::{
    client::{self, Session, Tally, initialize},
    fakes::World,
    server::{By, Peak, Server, pause},
};

/// How much of it.
#[derive(Clone, Copy)]
pub struct Size {
    initialize: usize,
    idle: usize,
    slow: usize,
    seconds: u64,
}

impl Size {
    pub const FULL: Self = Self { initialize: 50_000, idle: 10_000, slow: 5_000, seconds: 45 };
    pub const SHORT: Self = Self { initialize: 500, idle: 300, slow: 100, seconds: 3 };
}

/// No answer that is only waited for at the limit of what a busy machine gives is 100 times as late.
const HONEST_EVERY: Duration = Duration::from_millis(50);

struct Honest {
    stop: Arc<AtomicBool>,
    task: JoinHandle<Tally>,
}

impl Honest {
    async fn begin(server: &Server) -> Self {
        let session = Session::open(client::http(), &server.origin).await;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let task = tokio::spawn(async move {
            let mut tally = Tally::default();
            let mut ticks = tokio::time::interval(HONEST_EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            while !stopped.load(Ordering::Relaxed) {
                ticks.tick().await;
                let begun = Instant::now();
                tally.note(begun, session.tool("auth_status", json!({})).await);
            }
            tally
        });
        Self { stop, task }
    }

    async fn end(self) -> Tally {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap()
    }
}

pub async fn run(size: Size) {
    println!("flood: beside an honest client");
    let server = Server::start(World::start().await, By::Machine).await;
    let seconds = Duration::from_secs(size.seconds);
    phase(&server, "nothing else", async { pause(seconds).await }).await;
    phase(&server, "initialize", initialize_flood(&server, size.initialize)).await;
    phase(&server, "idle connections", idle(&server, size.idle, seconds)).await;
    phase(&server, "slow heads and bodies", slow(&server, size.slow, seconds)).await;
    pause(Duration::from_secs(1)).await;
    let (connections, panics) = (server.descriptors(), server.panics());
    println!("  afterwards: {} KiB resident, {connections} descriptors", server.resident());
    assert_eq!(panics, 0);
}

async fn phase(server: &Server, name: &str, abuse: impl Future<Output = ()>) {
    let (honest, peak) = (Honest::begin(server).await, Peak::of(server.pid()));
    abuse.await;
    let (mut tally, peak) = (honest.end().await, peak.end().await);
    let (count, failed) = (tally.count(), tally.failures.len());
    println!(
        "  {name}: honest {count} calls, {failed} failed, p50 {:.1} ms, p99 {:.1} ms; at most \
         {peak} KiB resident; {} descriptors",
        tally.percentile(50),
        tally.percentile(99),
        server.descriptors()
    );
    if let Some(why) = tally.failures.first() {
        println!("    the first failure: {why}");
    }
    assert!(failed * 1000 <= count, "more than one in a thousand failed");
    assert!(cfg!(debug_assertions) || peak <= 128_000, "more than 128 MB");
}

async fn initialize_flood(server: &Server, count: usize) {
    let (http, url) = (client::http(), format!("{}/mcp", server.origin));
    let (sent, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let begun = Instant::now();
    join_all((0..64).map(|_| async {
        while sent.fetch_add(1, Ordering::Relaxed) < count {
            if initialize(&http, &url).await.is_err() {
                refused.fetch_add(1, Ordering::Relaxed);
            }
        }
    }))
    .await;
    let refused = refused.load(Ordering::Relaxed);
    let took = begun.elapsed().as_secs_f64();
    println!("    {count} initialize in {took:.1} s, {refused} of them refused");
}

/// What the server cut, by seconds after it began.
#[derive(Default)]
struct Cuts(std::sync::Mutex<Vec<f64>>);

impl Cuts {
    fn note(&self, begun: Instant) {
        self.0.lock().unwrap().push(begun.elapsed().as_secs_f64());
    }

    fn print(&self, what: &str, of: usize) {
        let mut cuts = self.0.lock().unwrap();
        cuts.sort_unstable_by(f64::total_cmp);
        match (cuts.get(cuts.len() / 2), cuts.last()) {
            (Some(half), Some(last)) => println!(
                "    {what}: {} of {of} cut, half of them within {half:.1} s, the last after \
                 {last:.1} s",
                cuts.len(),
            ),
            _ => println!("    {what}: none of {of} cut"),
        }
    }
}

async fn idle(server: &Server, count: usize, time: Duration) {
    let (address, cuts) = (server.address(), Arc::new(Cuts::default()));
    let mut sockets = Vec::new();
    for _ in 0..count {
        let Ok(mut socket) = TcpStream::connect(&address).await else { continue };
        let (begun, cuts) = (Instant::now(), Arc::clone(&cuts));
        sockets.push(tokio::spawn(async move {
            let _ = socket.read_to_end(&mut Vec::new()).await;
            cuts.note(begun);
        }));
    }
    pause(time).await;
    cuts.print("idle", count);
    sockets.iter().for_each(JoinHandle::abort);
}

/// Half of them drip a head, half a body that they have announced as large.
async fn slow(server: &Server, count: usize, time: Duration) {
    let address = server.address();
    let (heads, bodies) = (Arc::new(Cuts::default()), Arc::new(Cuts::default()));
    let mut sockets = Vec::new();
    for number in 0..count {
        let Ok(socket) = TcpStream::connect(&address).await else { continue };
        let is_body = number % 2 == 0;
        let cuts = Arc::clone(if is_body { &bodies } else { &heads });
        sockets.push(tokio::spawn(async move {
            let begun = Instant::now();
            drip(socket, is_body).await;
            cuts.note(begun);
        }));
    }
    pause(time).await;
    heads.print("slow heads", count / 2);
    bodies.print("slow bodies", count / 2);
    sockets.iter().for_each(JoinHandle::abort);
}

/// Returns when the server has closed the connection.
async fn drip(mut socket: TcpStream, is_body: bool) {
    let head: &[u8] = if is_body {
        b"POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
          content-length: 200000\r\n\r\n"
    } else {
        b"GET / HTTP/1.1\r\nhost: localhost\r\nx-slow: "
    };
    if socket.write_all(head).await.is_err() {
        return;
    }
    let mut said = [0; 256];
    loop {
        match tokio::time::timeout(Duration::from_secs(1), socket.read(&mut said)).await {
            Ok(Ok(0) | Err(_)) => return,
            Err(_) if socket.write_all(b"x").await.is_err() => return,
            Ok(Ok(_)) | Err(_) => {}
        }
    }
}
