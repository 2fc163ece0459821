//! A process under measurement: how it is started, and what Linux says of it (proc(5)).

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use tokio::{
    net::TcpListener,
    process::{Child, Command},
    time,
};

use crate::wire::{Seat, Wire, initialize};

/// No server needs longer to start.
const PATIENCE: Duration = Duration::from_mins(1);
/// How exactly a start is timed.
const LOOK_EVERY: Duration = Duration::from_micros(500);

/// A server of our own making or another's; ended when this is dropped.
pub struct Process {
    pub address: SocketAddr,
    /// From its start to its first good answer.
    pub cold_start: Duration,
    child: Child,
}

impl Process {
    /// Starts a program that serves `/mcp` on `PORT`. `token` is for servers that want one.
    pub async fn start(mut program: Command, token: Option<&str>) -> Self {
        let address = free_address().await;
        program
            .env("PORT", address.port().to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        let begun = Instant::now();
        let child = program.spawn().expect("the program is there");
        let mut process = Self { address, cold_start: Duration::ZERO, child };
        process.first_answer(begun, token).await;
        process.cold_start = begun.elapsed();
        process
    }

    async fn first_answer(&mut self, begun: Instant, token: Option<&str>) {
        loop {
            if let Some(mut wire) = Wire::try_open(self.address).await {
                wire.exchange(&Seat::unseated(self.address, token).request(&initialize())).await;
                return;
            }
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none() && begun.elapsed() < PATIENCE, "it does not start: {ended:?}");
            time::sleep(LOOK_EVERY).await;
        }
    }

    /// So many clients introduce themselves, one after the other.
    pub async fn open_sessions(&self, count: usize) {
        let request = Seat::unseated(self.address, None).request(&initialize());
        let mut wire = Wire::open(self.address).await;
        for _ in 0..count {
            wire.repeat(&request).await;
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id().expect("it runs")
    }
}

/// How long the threads of a process have run, in microseconds (`schedstat`, which counts nanoseconds).
pub fn ran(pid: u32) -> f64 {
    let of_thread = |path: &Path| -> Option<u64> {
        let text = fs::read_to_string(path.join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse().ok()
    };
    let threads = fs::read_dir(format!("/proc/{pid}/task")).expect("Linux");
    let all: u64 = threads.filter_map(|thread| of_thread(&thread.ok()?.path())).sum();
    all as f64 / 1e3
}

/// Resident memory, in KiB.
pub fn resident(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a running process");
    line.split_whitespace().nth(1).and_then(|value| value.parse().ok()).expect("a number")
}

async fn free_address() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap()
}
