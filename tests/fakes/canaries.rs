//! What must never stand in a log: noted wherever it passes, in all worlds of this process.
//!
//! Secrets and identifiers are random, so it does not matter whose they are; texts of pull requests
//! are as distinct as their length makes them.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
};

use axum::http::HeaderMap;
use url::Url;

use super::{Repository, traffic::Call};

/// Shorter values would be found by chance.
const SHORTEST: usize = 16;

/// Fields of queries, forms and JSON whose values are nobody else's.
const NAMES: [&str; 9] = [
    "access_token",
    "auth_request_id",
    "client_secret",
    "code",
    "code_verifier",
    "identifier",
    "refresh_token",
    "requestState",
    "state",
];

/// What the last segment of such paths is.
const PATHS: [(&str, &str); 2] = [("/connect/", "link"), ("/magicLink/", "link of Scalekit")];

/// `None`: nobody listens, and nothing is kept.
static NOTED: Mutex<Option<BTreeMap<String, String>>> = Mutex::new(None);

fn noted() -> MutexGuard<'static, Option<BTreeMap<String, String>>> {
    NOTED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Begins to note.
pub fn listen() {
    noted().get_or_insert_default();
}

/// Takes note of a value, unless it is too short.
pub fn note(kind: &str, value: &str) {
    if value.len() >= SHORTEST
        && let Some(noted) = noted().as_mut()
        && !noted.contains_key(value)
    {
        noted.insert(value.to_owned(), kind.to_owned());
    }
}

/// What a world was asked with.
pub fn note_call(call: &Call) {
    if noted().is_none() {
        return;
    }
    note("bearer", call.bearer().unwrap_or_default());
    note_path(&call.path);
    note_fields(call.parameters());
    note_fields(call.form());
    if let Some(fields) = call.json().as_object() {
        let texts = fields.iter().filter_map(|(name, value)| Some((name, value.as_str()?)));
        note_fields(texts.map(|(name, value)| (name.clone(), value.to_owned())));
    }
}

/// Where a browser goes.
pub fn note_address(url: &Url) {
    note_path(url.path());
    note_fields(url.query_pairs().into_owned());
}

/// What a browser is told to keep.
pub fn note_cookies(headers: &HeaderMap) {
    for cookie in headers.get_all("set-cookie") {
        let pair = cookie.to_str().unwrap_or_default().split(';').next().unwrap_or_default();
        note("cookie", pair.split_once('=').map_or("", |(_, value)| value));
    }
}

/// The texts of what GitHub hosts.
pub fn note_texts(repositories: &[Repository]) {
    for pull in repositories.iter().flat_map(|repository| &repository.pull_requests) {
        note("title", &pull.title);
        note("body", &pull.body);
        for comment in &pull.comments {
            note("comment", &comment.body);
        }
    }
}

fn note_fields(fields: impl IntoIterator<Item = (String, String)>) {
    for (name, value) in fields {
        if NAMES.contains(&name.as_str()) {
            note(&name, &value);
        }
    }
}

fn note_path(path: &str) {
    for (prefix, kind) in PATHS {
        note(kind, path.strip_prefix(prefix).unwrap_or_default());
    }
}

/// How many there are, and which of them stand in a text, by kind and beginning.
pub fn found_in(text: &str) -> (usize, BTreeSet<String>) {
    // A copy: looking takes longer than others should wait to take note.
    let Some(noted) = noted().clone() else { return (0, BTreeSet::new()) };
    let show = |value: &str| {
        let start: String = value.chars().take(24).collect();
        format!("{} {start}…", noted[value])
    };
    let (words, texts): (Vec<&String>, Vec<&String>) =
        noted.keys().partition(|value| value.bytes().all(is_word));
    let mut found: BTreeSet<String> = texts
        .into_iter()
        .filter(|value| text.contains(value.as_str()))
        .map(|it| show(it))
        .collect();
    // There are thousands of words: each place in the text is looked up, not each word looked for.
    let mut by_start: HashMap<&[u8], Vec<&str>> = HashMap::new();
    for word in words {
        by_start.entry(&word.as_bytes()[..SHORTEST]).or_default().push(word);
    }
    for run in text.as_bytes().split(|byte| !is_word(*byte)) {
        for (at, start) in run.windows(SHORTEST).enumerate() {
            let whole = by_start.get(start).into_iter().flatten();
            found.extend(
                whole.filter(|word| run[at..].starts_with(word.as_bytes())).map(|it| show(it)),
            );
        }
    }
    (noted.len(), found)
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}
