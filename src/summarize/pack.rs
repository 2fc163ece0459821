//! A diff in a budget: what a reader must see of a change when it does not fit as a whole.
//!
//! Cutting the head shows a third of a large change. Measured better, and done in this order: an
//! index of all files first; then the whole diff if it fits; else without context lines; else also
//! without indentation and the rest of long deletions; else each file its fair share, small files whole and
//! large ones cut, tests and documents after the rest. Lock files and other noise stand in the
//! index only. Every file is accounted for: read, cut, or omitted with its reason. The index has a third
//! of the budget; files that it has no room for are counted at its end.

use std::{collections::BTreeMap, fmt::Write as _};

use super::noise;
use crate::domain::{
    digest::{Omission, OmissionReason, OmittedFile},
    pull_request::{ChangeType, Diff, FileDiff},
    text,
};

/// Characters of a path that are shown.
const PATH_CHARS: usize = 200;
/// Deleted lines that are shown of a hunk that only deletes.
const DELETED_LINES: usize = 3;
/// Of a budget, the part that the index may take: one in so many.
const INDEX_PART: usize = 3;
/// A patch is looked at up to so many budgets (bytes): beyond that nothing could be shown anyway.
const LOOKED_AT_BUDGETS: usize = 64;
/// Omitted files that are named; the rest is counted.
const MAX_NAMED: usize = 50;
/// Less than this (characters) of a file says nothing: it is left to the index.
const LEAST_SHARE: usize = 60;

/// What became of a diff.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    /// For the prompt: at most the budget's characters, and at most twice as many bytes. Free of
    /// invisible characters; links and commands in it are only words.
    pub text: String,
    /// Files read with every changed line.
    pub read: u64,
    /// Files read in part.
    pub cut: u64,
    /// The first files not read, in the diff's order.
    pub omitted: Vec<OmittedFile>,
    /// How many files were not read for which reason, in the order of these reasons.
    pub omissions: Vec<Omission>,
    /// The change goes on where the diff ends: there are more files than these.
    pub is_truncated: bool,
}

impl Packed {
    /// All files of the diff: read, cut and omitted.
    pub fn files(&self) -> u64 {
        let omitted = self.omissions.iter().map(|omission| omission.files).sum::<u64>();
        self.read.saturating_add(self.cut).saturating_add(omitted)
    }
}

/// What of a patch is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Detail {
    Whole,
    ChangedLines,
    FewDeletions,
}

/// A file worth reading, and what becomes of it.
struct Entry<'a> {
    position: usize,
    file: &'a FileDiff,
    heading: String,
    body: String,
    is_aside: bool,
    is_abridged: bool,
}

/// Packs `diff` into `budget_chars` characters (and twice as many bytes).
pub fn pack(diff: &Diff, budget_chars: usize) -> Packed {
    let mut omitted: Vec<(usize, OmissionReason)> = Vec::new();
    let mut entries = Vec::new();
    for (position, file) in diff.files.iter().enumerate() {
        match noise::omission(file) {
            Some(reason) => omitted.push((position, reason)),
            None => entries.push(Entry {
                position,
                file,
                heading: format!("=== {}\n", text::line(&file.path, PATH_CHARS)),
                body: String::new(),
                is_aside: noise::is_aside(&file.path),
                is_abridged: false,
            }),
        }
    }
    let index = index(diff, &entries, &omitted, budget_chars / INDEX_PART);
    let room = budget_chars.saturating_sub(cost(&index));
    let fits = [Detail::Whole, Detail::ChangedLines, Detail::FewDeletions]
        .into_iter()
        .any(|detail| fill(&mut entries, detail, budget_chars) <= room);
    if !fits {
        share(&mut entries, room);
    }
    let mut packed = Packed {
        text: index,
        read: 0,
        cut: 0,
        omitted: Vec::new(),
        omissions: Vec::new(),
        is_truncated: diff.is_truncated,
    };
    for entry in &entries {
        match (entry.body.is_empty(), entry.is_abridged) {
            (true, _) => {
                omitted.push((entry.position, OmissionReason::Budget));
                continue;
            }
            (false, true) => packed.cut += 1,
            (false, false) => packed.read += 1,
        }
        packed.text.push_str(&entry.heading);
        packed.text.push_str(&entry.body);
    }
    packed.omissions = counted(&omitted);
    omitted.sort_unstable_by_key(|(position, _)| *position);
    packed.omitted = omitted
        .into_iter()
        .take(MAX_NAMED)
        .filter_map(|(position, reason)| {
            let path = text::name(&diff.files.get(position)?.path, PATH_CHARS);
            Some(OmittedFile { path, reason })
        })
        .collect();
    packed
}

/// How many files for which reason.
fn counted(omitted: &[(usize, OmissionReason)]) -> Vec<Omission> {
    let mut counts: BTreeMap<OmissionReason, u64> = BTreeMap::new();
    for (_, reason) in omitted {
        *counts.entry(*reason).or_default() += 1;
    }
    counts.into_iter().map(|(reason, files)| Omission { reason, files }).collect()
}

/// What a text takes of the budget: its characters, or half its bytes if that is more. Adds up.
fn cost(text: &str) -> usize {
    text.chars().count().max(text.len().div_ceil(2))
}

/// One line a file: what to read first, and what there is besides.
fn index(
    diff: &Diff,
    entries: &[Entry<'_>],
    omitted: &[(usize, OmissionReason)],
    room: usize,
) -> String {
    let mut lines: Vec<(u8, usize, String)> = entries
        .iter()
        .map(|entry| (u8::from(entry.is_aside), entry.position, index_line(entry.file, "")))
        .collect();
    for (position, reason) in omitted {
        if let Some(file) = diff.files.get(*position) {
            lines.push((2, *position, index_line(file, in_words(*reason))));
        }
    }
    lines.sort_unstable_by_key(|(class, position, _)| (*class, *position));
    let files = diff.files.len();
    let mut index = if diff.is_truncated {
        format!("the first {files} files of a larger change:\n")
    } else {
        format!("{files} files changed:\n")
    };
    if cost(&index) > room {
        return String::new();
    }
    // The room for the last line, which says how many are not listed.
    let room = room.saturating_sub(30);
    let mut used = cost(&index);
    let total = lines.len();
    for (listed, (_, _, line)) in lines.into_iter().enumerate() {
        used += cost(&line);
        if used > room {
            let _ = writeln!(index, "… and {} more", total - listed);
            break;
        }
        index.push_str(&line);
    }
    index
}

fn index_line(file: &FileDiff, note: &str) -> String {
    let sign = match file.change {
        ChangeType::Added => 'A',
        ChangeType::Deleted => 'D',
        ChangeType::Renamed => 'R',
        ChangeType::Modified => 'M',
    };
    let path = text::line(&file.path, PATH_CHARS);
    let from = file
        .previous_path
        .as_deref()
        .filter(|previous| *previous != file.path)
        .map(|previous| format!(" (from {})", text::line(previous, PATH_CHARS)))
        .unwrap_or_default();
    format!("{sign} {path}{from} +{} -{}{note}\n", file.additions, file.deletions)
}

fn in_words(reason: OmissionReason) -> &'static str {
    match reason {
        OmissionReason::Binary => " (binary)",
        OmissionReason::Generated => " (generated)",
        OmissionReason::LockFile => " (lock file)",
        OmissionReason::Vendored => " (vendored)",
        OmissionReason::Minified => " (minified)",
        OmissionReason::NoPatch => " (not shown by GitHub)",
        OmissionReason::RenamedOnly => " (renamed only)",
        OmissionReason::Submodule => " (submodule)",
        OmissionReason::Budget => " (no room)",
        OmissionReason::OverLimit | OmissionReason::Unlisted => " (not read)",
    }
}

/// Writes every file at this detail and answers what they take together; stops adding once it is
/// clear that they do not fit.
fn fill(entries: &mut [Entry<'_>], detail: Detail, budget: usize) -> usize {
    let mut total = 0_usize;
    for entry in entries {
        let patch = entry.file.patch.as_deref().unwrap_or_default();
        let end = patch.floor_char_boundary(budget.saturating_mul(LOOKED_AT_BUDGETS));
        let seen = patch.get(..end).unwrap_or_default();
        let (body, is_shortened) = written(&text::block(seen, usize::MAX), detail);
        entry.body = body;
        entry.is_abridged = is_shortened || end < patch.len() || entry.file.is_cut;
        total = total.saturating_add(cost(&entry.heading)).saturating_add(cost(&entry.body));
    }
    total
}

/// The hunks of a patch at this detail, and whether changed lines were left out.
fn written(patch: &str, detail: Detail) -> (String, bool) {
    let mut body = String::with_capacity(patch.len());
    let mut is_shortened = false;
    let mut hunk: Vec<&str> = Vec::new();
    for line in patch.lines() {
        if line.starts_with("@@") {
            is_shortened |= write_hunk(&mut body, &hunk, detail);
            hunk.clear();
        }
        hunk.push(line);
    }
    is_shortened |= write_hunk(&mut body, &hunk, detail);
    (body, is_shortened)
}

fn write_hunk(body: &mut String, lines: &[&str], detail: Detail) -> bool {
    let only_deletes = detail == Detail::FewDeletions && !lines.iter().any(|l| l.starts_with('+'));
    let mut deleted = 0_usize;
    for line in lines {
        match line.as_bytes().first() {
            Some(b'@') => {
                // The line numbers say nothing; the enclosing function does.
                let section = line.get(2..).and_then(|rest| rest.split_once("@@"));
                body.push_str("@@");
                body.push_str(section.map_or("", |(_, section)| section).trim_end());
                body.push('\n');
                continue;
            }
            Some(b'+') => {}
            Some(b'-') => {
                deleted += 1;
                if only_deletes && deleted > DELETED_LINES {
                    continue;
                }
            }
            _ if detail != Detail::Whole => continue,
            // A stray carriage return can leave a line without a sign: it gets one, so that no
            // line of a patch looks like a heading.
            Some(b' ' | b'\\') => {}
            _ => body.push(' '),
        }
        if detail == Detail::FewDeletions {
            push_without_indent(body, line);
            continue;
        }
        body.push_str(line);
        body.push('\n');
    }
    if only_deletes && deleted > DELETED_LINES {
        let _ = writeln!(body, "… {} more deleted lines", deleted - DELETED_LINES);
        return true;
    }
    false
}

/// A changed line with little of its indentation, which is a sixth of most code and names nothing;
/// empty ones go. The words of the line all stay.
fn push_without_indent(body: &mut String, line: &str) {
    let (sign, rest) = line.split_at_checked(1).unwrap_or((line, ""));
    let code = rest.trim_start();
    if code.is_empty() {
        return;
    }
    body.push_str(sign);
    if code.len() < rest.len() {
        body.push(' ');
    }
    body.push_str(code.trim_end());
    body.push('\n');
}

/// Gives each file its fair share of the room: what a small file leaves over goes to the larger
/// ones; tests and documents get what the others leave.
fn share(entries: &mut [Entry<'_>], mut room: usize) {
    for is_aside in [false, true] {
        let mut by_cost: Vec<(usize, &mut Entry<'_>)> = entries
            .iter_mut()
            .filter(|entry| entry.is_aside == is_aside)
            .map(|entry| (cost(&entry.heading) + cost(&entry.body), entry))
            .collect();
        by_cost.sort_by_key(|(cost, entry)| (*cost, entry.position));
        let mut left = by_cost.len();
        for (wanted, entry) in by_cost {
            let fair = room / left.max(1);
            left -= 1;
            if wanted > fair {
                shorten(entry, fair);
            }
            if !entry.body.is_empty() {
                room = room.saturating_sub(cost(&entry.heading) + cost(&entry.body));
            }
        }
    }
}

/// Cuts a file at a line so that it takes no more than `share`.
fn shorten(entry: &mut Entry<'_>, share: usize) {
    const MARK: &str = "…\n";
    let room = share.saturating_sub(cost(&entry.heading) + cost(MARK));
    let mut used = 0_usize;
    let mut end = 0_usize;
    for line in entry.body.split_inclusive('\n') {
        used += cost(line);
        if used > room {
            break;
        }
        end += line.len();
    }
    entry.body.truncate(end);
    entry.is_abridged = true;
    if room < LEAST_SHARE || end == 0 {
        entry.body.clear();
    } else {
        entry.body.push_str(MARK);
    }
}

#[cfg(test)]
mod tests;
