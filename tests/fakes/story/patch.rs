//! Reads the story's diffs: one file a pull request, each changed file under a `=== ` line.

use crate::fakes::github::diff::{Change, FileChange};

pub(super) fn files(text: &str) -> Vec<FileChange> {
    let all = format!("\n{text}");
    all.split("\n=== ").skip(1).map(file).collect()
}

fn file(text: &str) -> FileChange {
    let (head, content) = text.split_once('\n').unwrap_or((text, ""));
    match head.split(' ').collect::<Vec<_>>().as_slice() {
        ["added", path] => FileChange::added(path, content),
        ["removed", path] => FileChange::removed(path, content),
        ["modified", path] => FileChange::modified(path, content),
        ["renamed", from, "->", to] => FileChange::renamed(from, to),
        ["binary", "added", path] => FileChange::binary(path, Change::Added),
        ["generated", path, lines] => {
            FileChange::generated(path, lines.parse().expect("a number of lines"))
        }
        _ => panic!("what is this? {head}"),
    }
}
