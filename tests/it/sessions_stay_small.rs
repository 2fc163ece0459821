//! What a session costs where it is kept: at most a kilobyte, whatever its program calls itself.
//!
//! Measured in the store itself, over what [`COUNT`] of them add: key, sealed value, the row and its
//! place in the index. Nothing of a session lives in the process.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};
use serde_json::json;
use tempfile::TempDir;

use crate::{
    fakes::Browser,
    oauth::client::OAuthClient,
    support::{Agent, Server, redis_server::RedisServer},
};

/// In bytes.
const MOST: u64 = 1024;

/// As many as one person may have; the list of theirs is then as long as it gets.
const COUNT: u64 = 64;

/// Longer than any name that is kept, in characters and in bytes.
fn long_name() -> String {
    "\u{20000}".repeat(100)
}

/// Where records are kept, seen from outside.
enum Place {
    Sqlite(TempDir),
    Redis(RedisServer),
}

impl Place {
    fn sqlite() -> Self {
        Self::Sqlite(tempfile::tempdir().unwrap())
    }

    fn url(&self) -> String {
        match self {
            Self::Sqlite(folder) => format!("sqlite:{}", folder.path().join("store.db").display()),
            Self::Redis(server) => server.url(),
        }
    }

    /// Bytes that all records of these kinds take.
    fn bytes(&self, kind: &str) -> u64 {
        match self {
            Self::Sqlite(folder) => in_sqlite(&folder.path().join("store.db"), kind),
            Self::Redis(server) => in_redis(server, kind),
        }
    }
}

/// What stands in the rows and once more in the index by expiry, with what the file format adds:
/// a number's width, a record's header, a cell's length and its pointer.
fn in_sqlite(path: &Path, kind: &str) -> u64 {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    connection
        .query_row(
            "SELECT coalesce(sum(2 * (length(kind) + octet_length(key)) + octet_length(value)), 0)
                 + count(*) * (8 + 6 + 6 + 8 + 5 + 2 * 5)
             FROM record WHERE kind = :kind",
            [kind],
            |row| row.get::<_, i64>(0),
        )
        .unwrap()
        .unsigned_abs()
}

/// What the server says that the records and their index take, with all its own structures.
fn in_redis(server: &RedisServer, kind: &str) -> u64 {
    let usage = |name: &str| {
        let answer = server.ask(&format!("MEMORY USAGE {name} SAMPLES 0"));
        let first = answer.lines().next().unwrap();
        first.strip_prefix(':').map_or(0, |bytes| bytes.trim().parse::<u64>().unwrap())
    };
    let names = server.ask(&format!("KEYS prs:{{{kind}}}:*"));
    names.lines().filter(|line| line.starts_with("prs:")).map(usage).sum()
}

async fn server(place: &Place, mode: &str) -> Server {
    Server::builder()
        .set("AUTH_MODE", mode)
        .set("STORE_URL", place.url())
        .set("SESSION_SECRET", "a-session-secret-of-at-least-32-bytes!")
        .start()
        .await
}

async fn sessions_and_handles(place: Place) {
    let server = server(&place, "session").await;
    for _ in 0..COUNT {
        Agent::legacy_with(&server.url("/mcp"), None, &long_name()).await;
        let asked = server.modern_agent().call("connect_github", json!({})).await;
        assert!(!asked.handle().is_empty());
    }
    assert_small(&place, "session");
    assert_small(&place, "handle");
}

async fn sessions_of_a_person(place: Place) {
    let server = server(&place, "oauth").await;
    let client = OAuthClient::discover(&server).await;
    let tokens = client.authorized(&Browser::new(), "octocat").await;
    for _ in 0..COUNT {
        let key = Some(tokens.access.clone());
        Agent::legacy_with(&server.url("/mcp"), key, &long_name()).await;
    }
    assert_small(&place, "session");
    assert_small(&place, "session-list");
}

fn assert_small(place: &Place, kind: &str) {
    let each = place.bytes(kind).div_ceil(COUNT);
    println!("{kind}: {each} bytes");
    assert!(each > 100, "{kind}: nothing was measured");
    assert!(each <= MOST, "{kind}: {each} bytes");
}

#[tokio::test]
async fn in_sqlite_a_session_or_handle_takes_a_kilobyte_at_most() {
    sessions_and_handles(Place::sqlite()).await;
}

#[tokio::test]
async fn in_sqlite_a_persons_session_takes_a_kilobyte_at_most() {
    sessions_of_a_person(Place::sqlite()).await;
}

#[tokio::test]
async fn in_redis_a_session_or_handle_takes_a_kilobyte_at_most() {
    let Some(redis) = RedisServer::start() else { return };
    sessions_and_handles(Place::Redis(redis)).await;
}

#[tokio::test]
async fn in_redis_a_persons_session_takes_a_kilobyte_at_most() {
    let Some(redis) = RedisServer::start() else { return };
    sessions_of_a_person(Place::Redis(redis)).await;
}
