//! What an LLM wrote, before anybody reads it.
//!
//! The output filter takes every link, mention and invisible character. What is no summary at all
//! (nothing, HTML, JSON, a flood, the prompt) is refused. A sentence that states how reviews, CI or
//! the merge stand is refused too, true or not: facts say that, beside the summary. Which sentences
//! do is known in some languages ([`checks_language`]).

mod claims;

use super::prompt::{Prompt, RULES_BEGIN};
use crate::domain::text;
use claims::is_claim;

/// Bytes beyond which an answer is a flood and not a summary.
const FLOOD_BYTES: usize = 20_000;
/// Characters below which nothing was said.
const LEAST_CHARS: usize = 20;

/// What became of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checked {
    /// Fit to be read.
    Sound(String),
    /// Fit to be read but for these sentences about the status.
    Opinionated {
        /// The whole, cleaned.
        text: String,
        /// The sentences.
        claims: Vec<String>,
    },
    /// No summary; the reason in words.
    Unusable(&'static str),
}

/// Whether statements of a status are found in summaries in this language, named by the caller;
/// English where none is named.
pub fn checks_language(language: Option<&str>) -> bool {
    language.map(str::trim).filter(|name| !name.is_empty()).is_none_or(claims::is_checked)
}

/// Looks at `answer`, which was written for `prompt`. One that was ended in the middle counts up to
/// its last whole sentence.
pub fn check(answer: &str, is_cut: bool, prompt: &Prompt) -> Checked {
    let trimmed = answer.trim();
    let trimmed = if is_cut { whole_sentences(trimmed) } else { trimmed };
    if answer.len() > FLOOD_BYTES {
        return Checked::Unusable("its answer was far too long");
    }
    let repeats = |text: &str| text.contains(&prompt.mark) || text.contains(RULES_BEGIN);
    if repeats(trimmed) {
        return Checked::Unusable("it repeated the question");
    }
    let lower = trimmed.get(..trimmed.floor_char_boundary(200)).unwrap_or_default().to_lowercase();
    if lower.starts_with("<!doctype") || lower.starts_with("<html") || lower.starts_with("<?xml") {
        return Checked::Unusable("it answered with HTML");
    }
    let bare = lower.trim_start_matches("```json").trim_start_matches('`').trim_start();
    if bare.starts_with("{\"") || bare.starts_with("{\n") || bare.starts_with("[{") {
        return Checked::Unusable("it answered with JSON");
    }
    let text = text::prose(trimmed, prompt.max_chars);
    // What stood between its letters is gone by now.
    if repeats(&text) {
        return Checked::Unusable("it repeated the question");
    }
    if is_cut && letters(&text) < 2 * LEAST_CHARS {
        return Checked::Unusable("its answer ended before the first sentence did");
    }
    if letters(&text) < LEAST_CHARS {
        return Checked::Unusable("it answered with next to nothing");
    }
    let claims: Vec<String> =
        sentences(&text).filter(|sentence| is_claim(sentence)).map(str::to_owned).collect();
    if claims.is_empty() { Checked::Sound(text) } else { Checked::Opinionated { text, claims } }
}

/// Asks for the same again without these sentences. The claims are the LLM's own words, made
/// harmless; they are quoted as data.
pub fn complaint(prompt: &Prompt, text: &str, claims: &[String]) -> String {
    format!(
        "{}\n\nA first draft was:\n<{mark} draft>\n{text}\n</{mark}>\n\
         It states a review, CI or merge status, which it must not:\n<{mark} claims>\n{}\n</{mark}>\n\
         Write it again without any such statement.",
        prompt.user,
        claims.join("\n"),
        mark = prompt.mark,
    )
}

/// The text without its claims; `None` if too little is left to be a summary.
pub fn without_claims(text: &str) -> Option<String> {
    let paragraphs: Vec<String> =
        text.split("\n\n").map(sober).filter(|paragraph| !paragraph.is_empty()).collect();
    let kept = paragraphs.join("\n\n");
    (letters(&kept) >= 2 * LEAST_CHARS).then_some(kept)
}

/// What was written, on one line, without the sentences that state a status: the facts say that.
///
/// What stood on two lines may be such a sentence once it stands on one, so it is looked through until
/// nothing goes.
pub fn sober(text: &str) -> String {
    let mut kept = text.to_owned();
    loop {
        let sound = sentences(&kept).filter(|sentence| !is_claim(sentence)).map(str::trim);
        let next = sound.collect::<Vec<_>>().join(" ");
        if next == kept {
            return kept;
        }
        kept = next;
    }
}

/// How much was said: letters, removed links left out.
fn letters(said: &str) -> usize {
    said.replace(text::REMOVED_LINK, "").chars().filter(|c| c.is_alphabetic()).count()
}

/// The text up to the end of its last whole sentence.
fn whole_sentences(text: &str) -> &str {
    let ends = |at: usize, end: char| {
        let after = text.get(at + end.len_utf8()..).unwrap_or_default();
        // A dot within a word (a file, a version) ends nothing, nor does one that a cut made last.
        matches!(end, '。' | '！' | '？') || after.starts_with(char::is_whitespace)
    };
    let last = text
        .char_indices()
        .rev()
        .find(|(at, end)| matches!(end, '.' | '!' | '?' | '。' | '！' | '？') && ends(*at, *end));
    last.and_then(|(at, end)| text.get(..at + end.len_utf8())).unwrap_or_default()
}

/// Splits where a sentence ends: a full stop and a space, its full-width form, or a line.
fn sentences(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive(['。', '！', '？', '\n']).flat_map(|part| {
        let mut rest = part;
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let end = [". ", "! ", "? ", "; "]
                .iter()
                .filter_map(|stop| rest.find(stop))
                .min()
                .map_or(rest.len(), |at| at + 2);
            let (sentence, after) = rest.split_at(end);
            rest = after;
            Some(sentence)
        })
    })
}

#[cfg(test)]
mod tests;
