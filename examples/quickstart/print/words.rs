//! Facts in words; what is unknown is said to be.

use chrono::{DateTime, Utc};
use pr_summarizer::domain::{
    digest::{Discussion, Facts, Omission, OmissionReason, OmittedFile},
    pull_request::{CheckState, Checks, ReviewDecision},
};

/// Files left out that are named; the answer's data has more of them.
const NAMED_FILES: usize = 2;

/// Breaks `text` between words so that no line is longer than `width` columns, each behind `indent`.
/// A longer word, such as an address, has a line to itself.
pub(super) fn wrapped(text: &str, indent: &str, width: usize) -> String {
    let mut lines = vec![indent.to_owned()];
    let mut column = columns(indent);
    for word in text.split_whitespace() {
        let needed = columns(word);
        let begun = column > columns(indent);
        if begun && column + 1 + needed > width {
            lines.push(indent.to_owned());
            column = columns(indent);
        }
        if let Some(line) = lines.last_mut() {
            if column > columns(indent) {
                line.push(' ');
                column += 1;
            }
            line.push_str(word);
            column += needed;
        }
    }
    lines.join("\n")
}

/// How many columns a terminal gives a text: two for each character of East Asia and for emoji.
fn columns(text: &str) -> usize {
    let is_wide = |c: char| {
        matches!(u32::from(c), 0x1100..=0x115f | 0x2e80..=0xd7a3 | 0xf900..=0xfaff
            | 0xfe30..=0xfe6f | 0xff00..=0xff60 | 0x1f000..=0x3fffd)
    };
    text.chars().map(|c| if is_wide(c) { 2 } else { 1 }).sum()
}

pub(super) fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// How long ago, in the largest unit that fits.
pub(super) fn age(then: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let elapsed = now - then;
    let (amount, unit) = match (elapsed.num_days(), elapsed.num_hours()) {
        (0, 0) => return "within the hour".to_owned(),
        (0, hours) => (hours, "hour"),
        (days, _) => (days, "day"),
    };
    format!("{amount} {unit}{} ago", if amount == 1 { "" } else { "s" })
}

pub(super) fn discussion(discussion: &Discussion) -> String {
    let said = match (discussion.conversation_comments, discussion.review_comments) {
        (Some(talk), Some(on_lines)) => count(talk + on_lines, "comment", "comments"),
        _ => "comments unknown".to_owned(),
    };
    match discussion.unresolved_threads {
        Some(0) => said,
        Some(open) => format!("{said}, {}", count(open, "open thread", "open threads")),
        None => format!("{said}, threads unknown"),
    }
}

pub(super) fn size(facts: &Facts) -> String {
    match (facts.additions, facts.deletions, facts.changed_files) {
        (Some(added), Some(deleted), Some(files)) => {
            format!("+{added} −{deleted} in {}", count(files, "file", "files"))
        }
        _ => "size unknown".to_owned(),
    }
}

pub(super) fn review(facts: &Facts) -> String {
    let decision = match facts.review_decision {
        ReviewDecision::Approved => "approved",
        ReviewDecision::ChangesRequested => "changes requested",
        ReviewDecision::ReviewRequired => "review required",
        ReviewDecision::None => "no review required",
        ReviewDecision::Unknown => "review unknown",
    };
    match facts.approvals {
        Some(approvals) if approvals > 0 => {
            format!("{decision} ({})", count(approvals.into(), "approval", "approvals"))
        }
        _ => decision.to_owned(),
    }
}

pub(super) fn checks(checks: &Checks) -> String {
    match checks.state {
        CheckState::None => return "no CI".to_owned(),
        CheckState::Unknown => return "CI unknown".to_owned(),
        CheckState::Passing | CheckState::Failing | CheckState::Pending => {}
    }
    let counted =
        [(checks.failed, "failed"), (checks.pending, "pending"), (checks.passed, "passed")];
    let counted = counted.iter().filter_map(|(number, word)| {
        number.filter(|number| *number > 0).map(|number| format!("{number} {word}"))
    });
    format!("CI {}", counted.collect::<Vec<_>>().join(", "))
}

/// The files left out, each kind with its reason.
pub(super) fn left_out(files: &[OmittedFile], omissions: &[Omission]) -> String {
    let all: u64 = omissions.iter().map(|omission| omission.files).sum();
    if all == 0 {
        return String::new();
    }
    let named = files.iter().take(NAMED_FILES);
    let mut named: Vec<_> =
        named.map(|file| format!("{} ({})", file.path, in_words(file.reason))).collect();
    let shown = u64::try_from(named.len()).unwrap_or(u64::MAX);
    if all > shown {
        named.push(format!("{} more", all - shown));
    }
    format!(", not {}", named.join(", "))
}

fn in_words(reason: OmissionReason) -> &'static str {
    match reason {
        OmissionReason::Binary => "binary",
        OmissionReason::Generated => "generated",
        OmissionReason::LockFile => "lock file",
        OmissionReason::Vendored => "vendored",
        OmissionReason::Minified => "minified",
        OmissionReason::NoPatch => "no patch from GitHub",
        OmissionReason::RenamedOnly => "renamed only",
        OmissionReason::Submodule => "submodule",
        OmissionReason::OverLimit => "beyond the server's limit",
        OmissionReason::Unlisted => "not listed",
        OmissionReason::Budget => "no room left",
    }
}
