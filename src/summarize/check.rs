//! What an LLM wrote, before anybody reads it.
//!
//! The output filter takes every link, mention and invisible character. What is no summary at all
//! (nothing, HTML, JSON, a flood, the prompt) is refused. A sentence that states how reviews, CI or
//! the merge stand is refused too, true or not: facts say that, beside the summary.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
};

use super::prompt::{Prompt, RULES_BEGIN};
use crate::domain::text;

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

/// Looks at `answer`, which was written for `prompt`.
pub fn check(answer: &str, prompt: &Prompt) -> Checked {
    let trimmed = answer.trim();
    if answer.len() > FLOOD_BYTES {
        return Checked::Unusable("its answer was far too long");
    }
    if trimmed.contains(&prompt.mark) || trimmed.contains(RULES_BEGIN) {
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
    let paragraphs: Vec<String> = text
        .split("\n\n")
        .map(|paragraph| {
            sentences(paragraph)
                .filter(|sentence| !is_claim(sentence))
                .map(str::trim)
                .collect::<Vec<_>>()
                .join(" ")
        })
        .filter(|paragraph| !paragraph.is_empty())
        .collect();
    let kept = paragraphs.join("\n\n");
    (letters(&kept) >= 2 * LEAST_CHARS).then_some(kept)
}

/// How much was said: letters, removed links left out.
fn letters(said: &str) -> usize {
    said.replace(text::REMOVED_LINK, "").chars().filter(|c| c.is_alphabetic()).count()
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

/// Statements of a status, as word sequences. `*` stands for up to two words, `|` parts ways.
/// Code may approve, merge and pass as its subject matter; so a claim needs a pull request, its
/// people, its checks or its tests in the same breath.
const CLAIMS: &[&str] = &[
    "ready|safe|good|cleared|set to|for * merge|merging|land|ship|go",
    "can|could|should|may|must|will * be * merged",
    "lgtm",
    "pr|request|change|changes|it|this|branch|work * is|was|were|are|been|gets|got * approved|merged|mergeable|accepted|rejected",
    "has|have * been * approved|merged|accepted",
    "reviewer|reviewers|maintainer|maintainers|everyone|everybody|he|she|they|team * approved|approve|approves",
    "approved by",
    "with|has|have|received|one|two|three|1|2|3|several|multiple|an|all|no|awaiting|pending|needs|required * approval|approvals",
    "all|every|the|its|ci * checks|check|ci|tests|test|pipeline|pipelines|build|builds * pass|passes|passed|passing|green|fail|fails|failed|failing|pending|running|succeed|succeeds|succeeded|red",
    "ci|checks|pipeline|build * is|are|was|were * green|red|passing|failing|broken|pending|running|successful",
    "checks|tests|builds|pipelines|ci pass|passes|passed|fail|failed|succeed|succeeded",
    "green|passing|failing ci|checks|build|pipeline|tests",
    "merge conflict|conflicts",
    "conflicts with * base|main|master",
    "no conflicts",
    "changes * requested",
    "requested|requests|requesting changes",
    "awaiting|awaits|pending|needs|requires|waiting * review|reviews|reviewers",
    "already|been|be|was merged",
    "freigegeben|genehmigt|gemergt|zusammengeführt",
    "approuvée|approuvé|fusionnée|fusionné",
    "aprobada|aprobado|fusionada|aprovado|aprovada|mesclado",
    "approvata|approvato",
];

/// The same in languages that are written without spaces.
const CLAIMS_UNSPACED: &[&str] = &[
    "已批准",
    "已合并",
    "可以合并",
    "通过了所有",
    "已通过",
    "承認され",
    "承認済み",
    "マージ済み",
    "マージ可能",
    "マージされ",
    "승인",
    "병합",
];

/// One step of a claim.
enum Step {
    /// Up to two words, whichever.
    Gap,
    /// One of these words.
    Word(Vec<&'static str>),
}

/// The claims by each word that one may begin with, with the steps that follow it.
static CLAIMS_BY_START: LazyLock<HashMap<&str, Vec<Arc<[Step]>>>> = LazyLock::new(|| {
    let step = |step: &'static str| match step {
        "*" => Step::Gap,
        words => Step::Word(words.split('|').collect()),
    };
    let mut claims: HashMap<_, Vec<_>> = HashMap::new();
    for claim in CLAIMS {
        let (start, rest) = claim.split_once(' ').unwrap_or((claim, ""));
        let rest: Arc<[Step]> = rest.split(' ').filter(|s| !s.is_empty()).map(step).collect();
        for word in start.split('|') {
            claims.entry(word).or_default().push(Arc::clone(&rest));
        }
    }
    claims
});

fn is_claim(sentence: &str) -> bool {
    let lower = sentence.to_lowercase();
    // A negated verb is a statement all the same.
    let words: Vec<&str> = lower
        .split(|c: char| !(c.is_alphanumeric() || c == '\'' || c == '_' || c == '`'))
        .filter(|word| {
            !word.is_empty()
                && !matches!(
                    *word,
                    "not" | "now" | "fully" | "also" | "already" | "still" | "currently"
                )
        })
        .collect();
    let mut rest = words.as_slice();
    while let [word, after @ ..] = rest {
        let claims = CLAIMS_BY_START.get(word).map(Vec::as_slice).unwrap_or_default();
        if claims.iter().any(|steps| begins(after, steps)) {
            return true;
        }
        rest = after;
    }
    !lower.is_ascii() && CLAIMS_UNSPACED.iter().any(|claim| lower.contains(claim))
}

/// Do the words begin with these steps?
fn begins(words: &[&str], steps: &[Step]) -> bool {
    match steps {
        [] => true,
        [Step::Gap, rest @ ..] => {
            (0..=2).any(|skip| words.get(skip..).is_some_and(|words| begins(words, rest)))
        }
        [Step::Word(choices), rest @ ..] => words
            .split_first()
            .is_some_and(|(word, words)| choices.contains(word) && begins(words, rest)),
    }
}

#[cfg(test)]
mod tests;
