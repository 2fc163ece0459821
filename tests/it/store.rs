//! The store's file between processes: shared by two, and after one was killed.
//!
//! The other process is this test program again, told by its environment to run [`other_process`].

#![expect(clippy::unwrap_used, reason = "in a test, a panic is the message")]

use std::{
    env,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    sync::Arc,
};

use pr_summarizer::{
    domain::{SystemClock, Timestamp},
    store::{Change, Record, Store, Versioned},
};
use serde::{Deserialize, Serialize};

/// What the other process shall do, and with which file. Unset in the test run itself.
const ROLE: &str = "STORE_TEST_ROLE";
const FILE: &str = "STORE_TEST_FILE";

const ADDITIONS: u64 = 200;
const KILLS: u64 = 8;
const ACKNOWLEDGED_BEFORE_A_KILL: usize = 40;

#[derive(Clone, Serialize, Deserialize)]
struct Tally {
    total: u64,
}

impl Record for Tally {
    const KIND: &'static str = "tally";
}

async fn open(path: &Path) -> Store {
    Store::sqlite(path, Arc::new(SystemClock)).await.unwrap()
}

async fn add(store: &Store, times: u64) {
    for _ in 0..times {
        let added = store.update("tally", |tally: &mut Versioned<Tally>| {
            tally.value.total += 1;
            Change::Write(())
        });
        assert_eq!(added.await.unwrap(), Some(()));
    }
}

/// Inserts without end, eight at a time, and says each key once the store has acknowledged it.
async fn insert_for_ever(store: &Store, prefix: &str) {
    let insert = |number: u64| async move {
        let key = format!("{prefix}/{number}");
        let tally = Tally { total: number };
        assert!(store.insert(&key, &tally, Timestamp::MAX_UTC).await.unwrap());
        println!("acknowledged {key};");
    };
    for first in (0_u64..).step_by(8) {
        futures_util::future::join_all((first..first + 8).map(insert)).await;
    }
}

/// Not a test: what the other process runs. In the test run itself it has no role and does nothing.
#[tokio::test]
async fn other_process() {
    let (Some(role), Some(path)) = (env::var_os(ROLE), env::var_os(FILE)) else { return };
    let store = open(Path::new(&path)).await;
    match role.to_str().unwrap() {
        "add" => add(&store, ADDITIONS).await,
        prefix => insert_for_ever(&store, prefix).await,
    }
}

fn spawn(role: &str, path: &Path) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", "store::other_process", "--nocapture"])
        .env(ROLE, role)
        .env(FILE, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn acknowledged(stdout: ChildStdout) -> impl Iterator<Item = String> {
    let lines = BufReader::new(stdout).lines().map_while(Result::ok);
    // The test program may have begun the line, and the kill may have cut it off.
    lines.filter_map(|line| Some(line.split_once("acknowledged ")?.1.strip_suffix(';')?.to_owned()))
}

#[tokio::test]
async fn two_processes_share_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = open(&path).await;
    assert!(store.insert("tally", &Tally { total: 0 }, Timestamp::MAX_UTC).await.unwrap());
    let others = [spawn("add", &path), spawn("add", &path)];
    add(&store, ADDITIONS).await;
    for other in others {
        let output = other.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
    let tally = store.get::<Tally>("tally").await.unwrap().unwrap();
    assert_eq!(tally.value.total, 3 * ADDITIONS);
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let mut promised = Vec::new();
    for run in 0..KILLS {
        let mut other = spawn(&format!("run {run}"), &path);
        let mut lines = acknowledged(other.stdout.take().unwrap());
        let before = promised.len();
        promised.extend(lines.by_ref().take(ACKNOWLEDGED_BEFORE_A_KILL));
        // SIGKILL on Unix: in the middle of whatever it is writing.
        other.kill().unwrap();
        other.wait().unwrap();
        promised.extend(lines);
        assert!(promised.len() >= before + ACKNOWLEDGED_BEFORE_A_KILL);
    }
    let store = open(&path).await;
    for key in &promised {
        let kept = store.get::<Tally>(key).await.unwrap();
        assert!(kept.is_some(), "{key} was acknowledged and is gone");
    }
}
