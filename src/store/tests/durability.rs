//! What the file must stand: restarts, two stores at once, damage, strangers, other versions.

use std::{fs, path::Path, sync::Arc};

use chrono::Duration;
use rusqlite::Connection;

use super::{Note, Tally, noon, note};
use crate::{
    domain::{Timestamp, clock::Clock as _, failure::Failure},
    store::{Change, Store, Versioned},
};

async fn open(path: &Path) -> Result<Store, Box<Failure>> {
    Store::sqlite(path, Arc::new(noon())).await
}

async fn refusal(path: &Path) -> String {
    let failure = open(path).await.unwrap_err();
    assert!(failure.detail.contains(path.to_str().unwrap()), "{failure:?}");
    failure.detail
}

#[tokio::test]
async fn what_was_kept_is_there_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = open(&path).await.unwrap();
    assert!(store.insert("a", &note("kept"), Timestamp::MAX_UTC).await.unwrap());
    let first = store.get::<Note>("a").await.unwrap().unwrap();
    drop(store);
    let store = open(&path).await.unwrap();
    let second = store.get::<Note>("a").await.unwrap().unwrap();
    assert_eq!(second, first);
    assert!(store.remove::<Note>("a").await.unwrap());
    assert!(store.insert("a", &note("new"), Timestamp::MAX_UTC).await.unwrap());
    assert!(!store.remove_if::<Note>("a", first.version).await.unwrap());
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_may_read_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let (new, old) = (folder.path().join("new.db"), folder.path().join("old.db"));
    fs::write(&old, "").unwrap();
    fs::set_permissions(&old, fs::Permissions::from_mode(0o644)).unwrap();
    for path in [new, old] {
        let store = open(&path).await.unwrap();
        store.ping().await.unwrap();
        for ending in ["", "-wal", "-shm"] {
            let file = format!("{}{ending}", path.display());
            let mode = fs::metadata(&file).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{file}");
        }
    }
}

#[tokio::test]
async fn two_stores_on_one_file_take_turns() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    // Both at once, so that both try to make the tables.
    let (left, right) = tokio::join!(open(&path), open(&path));
    let stores = [left.unwrap(), right.unwrap()];
    let zero = Tally { total: 0 };
    assert!(stores[0].insert("t", &zero, Timestamp::MAX_UTC).await.unwrap());
    assert!(!stores[1].insert("t", &zero, Timestamp::MAX_UTC).await.unwrap());
    let tasks: Vec<_> = (0..40)
        .map(|turn| {
            let store = stores[turn % 2].clone();
            tokio::spawn(async move {
                let add = |tally: &mut Versioned<Tally>| {
                    tally.value.total += 1;
                    Change::Write(())
                };
                store.update("t", add).await.unwrap().unwrap();
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    for store in stores {
        assert_eq!(store.get::<Tally>("t").await.unwrap().unwrap().value.total, 40);
    }
}

/// Opened copies of what was read are told only as long as nobody has written.
#[tokio::test]
async fn what_somebody_else_changed_is_not_told_from_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let (ours, theirs) = (open(&path).await.unwrap(), open(&path).await.unwrap());
    // By a program that knows nothing of us.
    let foreign = Connection::open(&path).unwrap();
    let told = async || ours.get::<Note>("a").await.unwrap().map(|found| found.value);
    for round in 0..20 {
        assert_eq!(told().await, None, "{round}");
        assert!(theirs.insert("a", &note("first"), Timestamp::MAX_UTC).await.unwrap());
        for _ in 0..2 {
            assert_eq!(told().await, Some(note("first")), "{round}");
        }
        let seen = theirs.get::<Note>("a").await.unwrap().unwrap();
        assert!(theirs.replace("a", seen.version, &note("2"), seen.expires_at).await.unwrap());
        for _ in 0..2 {
            assert_eq!(told().await, Some(note("2")), "{round}");
        }
        // The log begins anew, and with it what is known of its state.
        if round % 3 == 0 {
            foreign.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
            assert_eq!(told().await, Some(note("2")), "{round}");
        }
        if round % 2 == 0 {
            assert!(theirs.remove::<Note>("a").await.unwrap());
        } else {
            assert_eq!(foreign.execute("DELETE FROM record WHERE key = 'a'", []).unwrap(), 1);
        }
    }
    assert_eq!(told().await, None);
}

/// A store that was moved to another disk, with a link in its place, and beside the link what a killed
/// process has left.
#[cfg(unix)]
#[tokio::test]
async fn the_index_beside_a_link_is_not_that_of_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let (path, target) = (folder.path().join("store.db"), folder.path().join("moved.db"));
    let store = open(&path).await.unwrap();
    assert!(store.insert("old", &note("x"), Timestamp::MAX_UTC).await.unwrap());
    let index = format!("{}-shm", path.display());
    let left = fs::read(&index).unwrap();
    drop(store);
    // Its thread closes the file, and with it goes the index.
    while fs::exists(&index).unwrap() {
        tokio::task::yield_now().await;
    }
    fs::rename(&path, &target).unwrap();
    std::os::unix::fs::symlink(&target, &path).unwrap();
    fs::write(&index, left).unwrap();
    let store = open(&path).await.unwrap();
    for text in ["1", "2"] {
        assert!(store.insert("a", &note(text), Timestamp::MAX_UTC).await.unwrap());
        for _ in 0..2 {
            assert_eq!(store.get::<Note>("a").await.unwrap().unwrap().value, note(text));
        }
        assert!(store.remove::<Note>("a").await.unwrap());
        assert_eq!(store.get::<Note>("a").await.unwrap(), None, "{text}");
    }
}

/// Also not what has expired meanwhile, which nobody has to write.
#[tokio::test]
async fn what_has_expired_is_not_told_from_memory() {
    let (clock, folder) = (noon(), tempfile::tempdir().unwrap());
    let path = folder.path().join("store.db");
    let store = Store::sqlite(&path, Arc::new(clock.clone())).await.unwrap();
    let until = clock.now() + Duration::minutes(1);
    assert!(store.insert("a", &note("short"), until).await.unwrap());
    for _ in 0..2 {
        assert!(store.get::<Note>("a").await.unwrap().is_some());
    }
    clock.advance(Duration::minutes(1));
    assert_eq!(store.get::<Note>("a").await.unwrap(), None);
}

/// Moved, replaced, deleted: what would be written now, nobody would find again.
#[cfg(unix)]
#[tokio::test]
async fn a_file_that_is_no_longer_in_its_place_is_not_used() {
    use crate::domain::FailureCode;
    let folder = tempfile::tempdir().unwrap();
    let (path, away) = (folder.path().join("store.db"), folder.path().join("away.db"));
    let store = open(&path).await.unwrap();
    assert!(store.insert("a", &note("kept"), Timestamp::MAX_UTC).await.unwrap());
    let refuses = async |what: &str| {
        for refused in [
            store.ping().await.unwrap_err(),
            store.get::<Note>("a").await.unwrap_err(),
            store.insert("b", &note("lost"), Timestamp::MAX_UTC).await.unwrap_err(),
            store.count::<Note>().await.unwrap_err(),
        ] {
            assert_eq!(refused.code, FailureCode::StoreUnavailable, "{what}");
            assert!(refused.detail.contains("no longer in its place"), "{what}: {refused:?}");
            assert!(format!("{refused:?}").contains("put the file back"), "{what}: {refused:?}");
            assert!(!refused.detail.contains('/'), "for the log alone: {refused:?}");
        }
    };
    fs::rename(&path, &away).unwrap();
    refuses("moved").await;
    fs::write(&path, "").unwrap();
    refuses("replaced").await;
    // Put back it is used again, and nothing was written meanwhile.
    fs::rename(&away, &path).unwrap();
    store.ping().await.unwrap();
    assert_eq!(store.get::<Note>("a").await.unwrap().unwrap().value, note("kept"));
    assert_eq!(store.get::<Note>("b").await.unwrap(), None);
    fs::remove_file(&path).unwrap();
    refuses("deleted").await;
}

#[tokio::test]
async fn a_damaged_file_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let garbage = b"This is not a database, it is a poem about one. ".repeat(200);
    fs::write(&path, &garbage).unwrap();
    assert!(refusal(&path).await.contains("is damaged"));
    assert_eq!(fs::read(&path).unwrap(), garbage);

    // A real file with a page overwritten in the middle.
    let path = folder.path().join("torn.db");
    let store = open(&path).await.unwrap();
    for number in 0..200 {
        let (key, text) = (format!("k{number}"), note(&"text ".repeat(100)));
        assert!(store.insert(&key, &text, Timestamp::MAX_UTC).await.unwrap());
    }
    drop(store);
    let connection = Connection::open(&path).unwrap();
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    drop(connection);
    let mut bytes = fs::read(&path).unwrap();
    assert!(bytes.len() > 5 * 4096, "{}", bytes.len());
    bytes[2 * 4096..5 * 4096].fill(0xA5);
    fs::write(&path, &bytes).unwrap();
    assert!(refusal(&path).await.contains("is damaged"));
}

#[tokio::test]
async fn another_programs_file_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bookmarks.db");
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch("CREATE TABLE bookmark (url TEXT)").unwrap();
    drop(connection);
    let before = fs::read(&path).unwrap();
    assert!(refusal(&path).await.contains("belongs to another program"));
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn a_newer_versions_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    drop(open(&path).await.unwrap());
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch("PRAGMA user_version = 1000").unwrap();
    drop(connection);
    assert!(refusal(&path).await.contains("newer version"));
}

#[tokio::test]
async fn a_file_that_cannot_be_made_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    assert!(refusal(&folder.path().join("absent/store.db")).await.contains("could not be opened"));
    assert!(refusal(folder.path()).await.contains("could not be opened"));
}
