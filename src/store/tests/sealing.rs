//! What the disk and the server see of a sealed store, and how its keys rotate.

use std::{fs, path::Path, sync::Arc};

use super::{Note, RedisServer, Subject, noon, note, redis, seal};
use crate::{
    domain::{Timestamp, failure::Failure},
    store::{Seal, Store},
};

async fn open(path: &Path, seal: Seal) -> Result<Store, Box<Failure>> {
    Store::sqlite(path, Arc::new(noon())).await?.sealed(seal).await
}

/// The bytes of the file and of those beside it.
fn bytes(path: &Path) -> Vec<u8> {
    ["", "-wal", "-shm"]
        .iter()
        .filter_map(|ending| fs::read(format!("{}{ending}", path.display())).ok())
        .flatten()
        .collect()
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[tokio::test]
async fn the_disk_sees_no_value() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = open(&path, seal(&["a"])).await.unwrap();
    assert!(store.insert("a", &note("canary"), Timestamp::MAX_UTC).await.unwrap());
    assert!(holds(&bytes(&path), "sealed1:a:") && !holds(&bytes(&path), "canary"));

    let Some(server) = RedisServer::start() else { return };
    let store = redis(&server, &noon()).await.sealed(seal(&["a"])).await.unwrap();
    assert!(store.insert("a", &note("canary"), Timestamp::MAX_UTC).await.unwrap());
    assert!(holds(&server.files(), "sealed1:a:") && !holds(&server.files(), "canary"));
}

/// Who may write to the store cannot write a record of their own, neither before its first start nor
/// after the check for the seal was taken away.
#[tokio::test]
async fn a_value_that_was_never_sealed_does_not_open() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let forger = Store::sqlite(&path, Arc::new(noon())).await.unwrap();
    assert!(forger.insert("before", &note("forged"), Timestamp::MAX_UTC).await.unwrap());
    let store = open(&path, seal(&["a"])).await.unwrap();
    assert!(forger.insert("after", &note("forged"), Timestamp::MAX_UTC).await.unwrap());
    assert!(forger.backend.remove("seal", "check", None).await.unwrap());
    let again = open(&path, seal(&["a"])).await.unwrap();
    for store in [store, again] {
        for key in ["before", "after"] {
            let failure = store.get::<Note>(key).await.unwrap_err();
            assert!(format!("{failure:?}").contains("it is not sealed"), "{failure:?}");
        }
    }
}

#[tokio::test]
async fn a_rotated_secret_takes_over_record_by_record() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let old = open(&path, seal(&["a"])).await.unwrap();
    assert!(old.insert("k", &note("kept"), Timestamp::MAX_UTC).await.unwrap());
    let refused = open(&path, seal(&["b"])).await.unwrap_err();
    assert!(refused.detail.contains("another SESSION_SECRET"), "{refused:?}");
    let both = open(&path, seal(&["b", "a"])).await.unwrap();
    let read = both.get::<Note>("k").await.unwrap().unwrap();
    assert_eq!(read.value, note("kept"));
    assert!(both.replace("k", read.version, &note("more"), read.expires_at).await.unwrap());
    let new = open(&path, seal(&["b"])).await.unwrap();
    assert_eq!(new.get::<Note>("k").await.unwrap().unwrap().value, note("more"));
    assert!(old.get::<Note>("k").await.is_err());
}

/// A record that nobody read before its secret was dropped is as good as gone, for readers and for
/// writers; put back, the secret opens it again. One under a newer secret is an error.
#[tokio::test]
async fn what_a_dropped_secret_sealed_counts_as_absent() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let old = open(&path, seal(&["a"])).await.unwrap();
    for key in ["read", "unread", "taken"] {
        assert!(old.insert(key, &note("kept"), Timestamp::MAX_UTC).await.unwrap());
    }
    let both = open(&path, seal(&["b", "a"])).await.unwrap();
    assert!(both.get::<Note>("read").await.unwrap().is_some());
    let new = open(&path, seal(&["b"])).await.unwrap();
    assert!(new.get::<Note>("read").await.unwrap().is_some());
    assert!(new.get::<Note>("unread").await.unwrap().is_none());
    let changed = new.update::<Note, ()>("unread", |_| panic!("there is nothing to change")).await;
    assert_eq!(changed.unwrap(), None);
    assert!(new.insert("taken", &note("new"), Timestamp::MAX_UTC).await.unwrap());
    assert!(!new.insert("taken", &note("newer"), Timestamp::MAX_UTC).await.unwrap());
    assert_eq!(new.get::<Note>("taken").await.unwrap().unwrap().value, note("new"));
    // An instance that was started before the rotation overwrites nothing.
    assert!(old.get::<Note>("taken").await.is_err());
    assert!(!old.insert("taken", &note("older"), Timestamp::MAX_UTC).await.unwrap());
    let again = open(&path, seal(&["b", "a"])).await.unwrap();
    assert_eq!(again.get::<Note>("unread").await.unwrap().unwrap().value, note("kept"));
}

/// Who may write to the store cannot give one person's record to another.
#[tokio::test]
async fn a_value_moved_to_another_key_does_not_open() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = open(&path, seal(&["a"])).await.unwrap();
    for (key, text) in [("victim", "theirs"), ("attacker", "mine")] {
        assert!(store.insert(key, &note(text), Timestamp::MAX_UTC).await.unwrap());
    }
    let connection = rusqlite::Connection::open(&path).unwrap();
    let moved = "UPDATE record SET value = (SELECT value FROM record WHERE key = 'attacker') \
                 WHERE key = 'victim'";
    assert_eq!(connection.execute(moved, []).unwrap(), 1);
    let failure = store.get::<Note>("victim").await.unwrap_err();
    assert!(format!("{failure:?}").contains("its seal is broken"), "{failure:?}");
    assert_eq!(store.get::<Note>("attacker").await.unwrap().unwrap().value, note("mine"));
}

#[tokio::test]
async fn a_session_record_stays_small() {
    let subject = Subject::sqlite().await;
    let longest = note(&"n".repeat(600));
    assert!(subject.store.insert("k", &longest, subject.in_minutes(1)).await.unwrap());
    let row = subject.store.backend.get("note", "k", 0).await.unwrap().unwrap();
    assert!(row.value.len() <= 1024, "600 bytes became {}", row.value.len());
}
