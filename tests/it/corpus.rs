//! The corpus of real pull requests, read in place when it is there, and the measure of a packing:
//! which of the identifiers and paths that the author names are left.

#![allow(dead_code, reason = "shared by programs that each use a part")]

use std::{collections::BTreeSet, path::PathBuf};

use pr_summarizer::{domain::pull_request::Diff, upstream::github::diff};

/// One squash-merged pull request.
pub(crate) struct Sample {
    /// owner/name.
    pub(crate) repository: String,
    pub(crate) number: u64,
    pub(crate) title: String,
    pub(crate) body: String,
    /// What `git show` printed.
    pub(crate) raw: String,
    /// The same, file by file.
    pub(crate) diff: Diff,
    /// Words of title and body that the diff contains.
    pub(crate) named: BTreeSet<String>,
}

/// All samples in which the author names something; `None` where there is no corpus.
pub(crate) fn load() -> Option<Vec<Sample>> {
    #[expect(clippy::disallowed_methods, reason = "where the corpus lies is the machine's matter")]
    let folder = std::env::var("CORPUS").map_or_else(
        |_| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus"),
        PathBuf::from,
    );
    let lines = std::fs::read_to_string(folder.join("pull_requests.jsonl")).ok()?;
    let samples = lines.lines().filter_map(|line| {
        let sample: serde_json::Value = serde_json::from_str(line).ok()?;
        let text = |field: &str| -> Option<String> {
            Some(sample.get(field)?.as_str().unwrap_or_default().to_owned())
        };
        let number = sample.get("number")?.as_u64()?;
        Some(Sample::new(text("repository")?, number, text("title")?, text("body")?, text("diff")?))
    });
    Some(samples.filter(|sample| !sample.named.is_empty()).collect())
}

impl Sample {
    /// Reads the diff, and finds which of its words title and body name.
    pub(crate) fn new(
        repository: String,
        number: u64,
        title: String,
        body: String,
        raw: String,
    ) -> Self {
        let mut named = identifiers(&format!("{title}\n{body}"));
        named.retain(|word| raw.contains(word));
        Self { repository, number, title, body, diff: diff::parse(&raw, false), raw, named }
    }
}

/// Of all words that authors named, the share (in percent) that `packed` still shows.
pub(crate) fn recall(samples: &[Sample], packed: impl Fn(&Sample) -> String) -> f64 {
    let (mut found, mut all) = (0.0, 0.0);
    for sample in samples {
        let text = packed(sample);
        for word in &sample.named {
            all += 1.0;
            found += f64::from(u8::from(text.contains(word)));
        }
    }
    100.0 * found / f64::max(all, 1.0)
}

/// Cuts the head, as one would without thinking.
pub(crate) fn head(sample: &Sample, budget: usize) -> String {
    sample.raw.chars().take(budget).collect()
}

/// Words with an underscore, an inner capital or a digit, words in backticks, and paths.
fn identifiers(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (n, part) in text.split('`').enumerate() {
        let in_code = n % 2 == 1 && part.len() <= 60 && !part.contains('\n');
        for word in part.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')) {
            let inner = word.trim_matches('_');
            let shaped = inner.contains('_')
                || inner.as_bytes().windows(2).any(|pair| match pair {
                    [a, b] if a.is_ascii_lowercase() => {
                        b.is_ascii_uppercase() || b.is_ascii_digit()
                    }
                    [a, b] => a.is_ascii_uppercase() && b.is_ascii_digit(),
                    _ => false,
                });
            if word.len() > 3 && (shaped || in_code) {
                found.insert(word.to_owned());
            }
        }
        for path in part.split(|c: char| !(c.is_ascii_alphanumeric() || "_./-".contains(c))) {
            let path = path.trim_matches(['.', '/', '-']);
            if path.len() > 3
                && path.contains('/')
                && path.contains(|c: char| c.is_ascii_alphabetic())
            {
                found.insert(path.to_owned());
            }
        }
    }
    found
}
