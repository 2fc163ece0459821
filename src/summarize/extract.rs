//! What stands in for a summary when no LLM wrote one: the title, the first sentences of the
//! description and the size, in the author's words and clearly marked. What the author says of
//! reviews, checks and the merge is left out: the facts beside it say that.

use std::fmt::Write as _;

use super::check;
use crate::domain::{pull_request::PullRequest, text};

/// How every extract begins, so that nobody takes it for a summary.
pub const MARK: &str = "Extract, not a summary:";

const TITLE_CHARS: usize = 200;
const SENTENCES: usize = 3;
const BODY_CHARS: usize = 400;
/// A description is looked at up to here; templates and images stand before the first sentence.
const LOOKED_AT_CHARS: usize = 20_000;

/// The extract of `pull_request`.
pub fn extract(pull_request: &PullRequest) -> String {
    let title = text::title(&pull_request.title, TITLE_CHARS);
    let title = if title.is_empty() { "(no title)".to_owned() } else { title };
    let end = if title.ends_with(['.', '!', '?', '…', ')']) { "" } else { "." };
    let mut extract = format!("{MARK} {title}{end}");
    let description = check::sober(&sentences(&pull_request.body));
    if !description.is_empty() {
        extract.push(' ');
        extract.push_str(&description);
    }
    if let (Some(added), Some(deleted), Some(files)) =
        (pull_request.additions, pull_request.deletions, pull_request.changed_files)
    {
        let noun = if files == 1 { "file" } else { "files" };
        let _ = write!(extract, " {added} lines added, {deleted} deleted in {files} {noun}.");
    }
    extract
}

/// The first sentences of a description, without comments, headings, checklists and code.
fn sentences(body: &str) -> String {
    let body = without_comments(&text::block(body, LOOKED_AT_CHARS));
    let mut in_code = false;
    let mut paragraph = String::new();
    for line in body.lines().map(str::trim) {
        if line.starts_with("```") || line.starts_with("~~~") {
            in_code = !in_code;
            continue;
        }
        let is_furniture =
            in_code || line.starts_with(['#', '|', '>', '<', '!']) || line.starts_with("- [");
        if is_furniture {
            continue;
        }
        if line.is_empty() && paragraph.len() > 40 {
            break;
        }
        paragraph.push_str(line);
        paragraph.push(' ');
        if paragraph.len() > 4 * BODY_CHARS {
            break;
        }
    }
    let mut end = 0;
    for _ in 0..SENTENCES {
        let rest = paragraph.get(end..).unwrap_or_default();
        let Some(stop) = rest.find(['.', '!', '?', '。']).filter(|_| !rest.is_empty()) else {
            end = paragraph.len();
            break;
        };
        let mut stop = end + stop;
        // A dot within a word (a file, a version) ends no sentence.
        while let Some(next) = paragraph.get(stop + 1..).filter(|next| {
            paragraph.as_bytes().get(stop) == Some(&b'.') && !next.starts_with([' ', '\n'])
        }) {
            let Some(at) = next.find(['.', '!', '?', '。']) else {
                stop = paragraph.len().saturating_sub(1);
                break;
            };
            stop += 1 + at;
        }
        end = paragraph.ceil_char_boundary(stop + 1);
    }
    text::title(paragraph.get(..end).unwrap_or(&paragraph), BODY_CHARS)
}

/// Templates hide their instructions in HTML comments, often over several lines.
fn without_comments(body: &str) -> String {
    let mut out = String::with_capacity(body.len());
    let mut rest = body;
    while let Some((before, after)) = rest.split_once("<!--") {
        out.push_str(before);
        rest = after.split_once("-->").map_or("", |(_, after)| after);
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summarize::samples::pull_request;

    #[test]
    fn what_the_facts_say_is_left_to_them() {
        let mut one = pull_request(1);
        one.body =
            "Adds a door to the north wall. This pull request was approved by @octocat and all \
                    checks pass. It opens inwards."
                .to_owned();
        let extract = extract(&one);
        assert!(extract.contains("Adds a door") && extract.contains("opens inwards"), "{extract}");
        assert!(!extract.contains("approved") && !extract.contains("checks"), "{extract}");
    }

    #[test]
    fn the_first_sentences_stand_for_the_whole() {
        let mut sample = pull_request(7);
        sample.title = "Fix http://evil.example/x".to_owned();
        sample.body = "<!-- Tell\nus why -->\n## Why\n- [ ] tests\n```\ncode\n```\nReads v1.2 of \
                       Cargo.toml first. Then `a`. Third! Fourth."
            .to_owned();
        assert_eq!(
            extract(&sample),
            "Extract, not a summary: Fix (link removed) Reads v1.2 of Cargo.toml first. Then `a`. \
             Third! 120 lines added, 30 deleted in 4 files."
        );
    }

    #[test]
    fn nothing_said_is_fine() {
        let mut sample = pull_request(7);
        (sample.title, sample.body, sample.additions) = (String::new(), String::new(), None);
        assert_eq!(extract(&sample), "Extract, not a summary: (no title)");
        for body in ["<!-- open", "...", "a.b.c", "。。。", "\u{202e}", "é.é.é", "```"] {
            sample.body = body.to_owned();
            assert!(extract(&sample).starts_with(MARK));
        }
    }
}
