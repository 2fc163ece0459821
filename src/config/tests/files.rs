//! The files that are made at the start, and not before.

use std::{fs, path::Path, sync::Arc};

use secrecy::ExposeSecret as _;

use super::*;
use crate::domain::SystemEntropy;

fn settings(state_dir: &Path) -> Settings {
    let state_dir = state_dir.to_str().unwrap();
    load(&Environment::of([("GITHUB_TOKEN", "ghp_token"), ("STATE_DIR", state_dir)])).unwrap()
}

#[test]
fn reading_makes_nothing_and_preparing_makes_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let state_dir = folder.path().join("deep/state");
    let settings = settings(&state_dir);
    assert!(!state_dir.exists());

    let first = settings.prepare(&SystemEntropy).unwrap();
    let (session, local) = (&first.session_keys.current, first.local_key.as_ref().unwrap());
    assert_ne!(session.expose_secret(), local.expose_secret());
    assert!(session.expose_secret().len() >= 43);
    let mut files: Vec<_> =
        fs::read_dir(&state_dir).unwrap().map(|it| it.unwrap().file_name()).collect();
    files.sort();
    assert_eq!(files, ["local-key", "session-secret"], "and no draft is left");

    let second = settings.prepare(&SystemEntropy).unwrap();
    assert_eq!(second.session_keys.current.expose_secret(), session.expose_secret());
    assert_eq!(second.local_key.unwrap().expose_secret(), local.expose_secret());
}

#[test]
fn what_is_given_needs_no_files() {
    let folder = tempfile::tempdir().unwrap();
    let state_dir = folder.path().join("state");
    let environment = Environment::of([
        ("GITHUB_TOKEN", "ghp_token"),
        ("STATE_DIR", state_dir.to_str().unwrap()),
        ("SESSION_SECRET", SECRET),
        ("LOCAL_KEY", "0123456789abcdef0123456789abcdef"),
        ("STORE_URL", "memory:"),
    ]);
    let prepared = load(&environment).unwrap().prepare(&SystemEntropy).unwrap();
    assert_eq!(prepared.session_keys.current.expose_secret(), SECRET);
    assert_eq!(prepared.local_key.unwrap().expose_secret(), "0123456789abcdef0123456789abcdef");
    assert!(!state_dir.exists());
}

#[test]
fn two_starts_at_once_agree_on_the_keys() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Arc::new(settings(folder.path()));
    let starts: Vec<_> = (0..8)
        .map(|_| {
            let settings = Arc::clone(&settings);
            std::thread::spawn(move || settings.prepare(&SystemEntropy).unwrap())
        })
        .collect();
    let keys: std::collections::BTreeSet<_> = starts
        .into_iter()
        .map(|start| start.join().unwrap().session_keys.current.expose_secret().to_owned())
        .collect();
    assert_eq!(keys.len(), 1);
}

#[cfg(unix)]
#[test]
fn the_files_are_their_owners_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let allow = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    let folder = tempfile::tempdir().unwrap();
    let state_dir = folder.path().join("state");
    let settings = settings(&state_dir);
    settings.prepare(&SystemEntropy).unwrap();
    let key = state_dir.join("session-secret");
    assert_eq!((mode(&state_dir), mode(&key)), (0o700, 0o600));

    allow(&key, 0o640);
    let problems = settings.prepare(&SystemEntropy).unwrap_err();
    assert!(problems.to_string().contains("can be read by other users"), "{problems}");
    allow(&key, 0o600);
    allow(&state_dir, 0o770);
    let problems = settings.prepare(&SystemEntropy).unwrap_err();
    assert!(problems.to_string().contains("other users may write to"), "{problems}");
}

#[test]
fn a_broken_key_file_is_a_problem_and_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    settings.prepare(&SystemEntropy).unwrap();
    for (file, text) in [("session-secret", "canary"), ("local-key", "")] {
        fs::write(folder.path().join(file), text).unwrap();
    }
    let problems = settings.prepare(&SystemEntropy).unwrap_err();
    assert_eq!(problems.0.len(), 2, "{problems}");
    assert!(!problems.to_string().contains("canary"));
    assert_eq!(fs::read_to_string(folder.path().join("session-secret")).unwrap(), "canary");
}
