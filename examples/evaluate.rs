//! How good an LLM's summaries are, with the prompt and the check of the server:
//! `cargo run --example evaluate -- [how many pull requests]`.
//!
//! Asks the LLM of `OPENAI_API_KEY`, `OPENAI_BASE_URL` and `OPENAI_MODEL`; without the first two a
//! fake one answers, offline. Reads the corpus from the folder in `CORPUS`, or `../shared/corpus`;
//! without one, the pull requests of the tests' story.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, stream};
use pr_summarizer::{
    domain::{
        SystemEntropy,
        digest::Detail,
        failure::Result,
        pull_request::{Author, Checks, MergeState, Mergeable, PullRequest, ReviewDecision},
        text,
    },
    summarize::{
        check::{Checked, check},
        pack::pack,
        prompt::prompt,
    },
    upstream::{
        Call,
        llm::{Llm, LlmSettings},
    },
};

use corpus::Sample;

#[path = "../tests/it/corpus.rs"]
mod corpus;
#[path = "../tests/fakes/mod.rs"]
mod fakes;

/// Pull requests read unless told otherwise: enough for a tendency, few enough to pay for.
const USUAL_COUNT: usize = 24;
/// Characters of each diff, as the server's default.
const DIFF_BUDGET_CHARS: usize = 14_000;
/// Questions under way at the same time.
const AT_ONCE: usize = 4;
/// Characters of an answer that are searched for links.
const LONGEST_ANSWER: usize = 20_000;
/// How long one answer may take.
const PATIENCE: Duration = Duration::from_mins(2);

/// What became of one question.
struct Score {
    verdict: &'static str,
    /// Identifiers that the author named, and how many of them the summary names.
    named: (usize, usize),
    words: usize,
    /// Addresses and mentions that the LLM wrote.
    links: usize,
    tokens: (Option<u64>, Option<u64>),
    took: Duration,
}

#[tokio::main]
async fn main() -> Result<()> {
    let wanted = std::env::args().nth(1).and_then(|count| count.parse().ok());
    let (from, samples) = match corpus::load() {
        Some(samples) => ("the corpus", samples),
        None => ("the story", story()),
    };
    let samples = spread(samples, wanted.unwrap_or(USUAL_COUNT));
    // Lives as long as it is asked.
    let world = fakes::World::start().await;
    let llm = llm(&world)?;
    println!("{} pull requests of {from}, {} at {}", samples.len(), llm.model(), llm.host());
    println!("{HEADINGS}");
    for (name, detail) in [("concise", Detail::Concise), ("full", Detail::Full)] {
        let scores: Vec<Score> = stream::iter(&samples)
            .map(|sample| score(&llm, sample, detail))
            .buffered(AT_ONCE)
            .inspect(|_| {
                eprint!(".");
            })
            .collect()
            .await;
        eprint!("\r");
        println!("{}", row(name, &scores));
    }
    println!("{LEGEND}");
    Ok(())
}

const HEADINGS: &str = "\
    detail   sound  claims  unusable  failed  named %  words p50  p90  links  tokens in  out  s p50";
const LEGEND: &str = "
sound: fit to be read at once. unusable: no summary. claims: states a review, CI or merge status,
which the server has repaired. named: of the identifiers that the author names and the diff
contains, those that the summary names. links: addresses and mentions in the raw answers, all of
which the server takes out.";

fn row(name: &str, scores: &[Score]) -> String {
    let count = |verdict: &str| scores.iter().filter(|score| score.verdict == verdict).count();
    let sum = |part: fn(&Score) -> usize| scores.iter().map(part).sum::<usize>();
    let answered: Vec<&Score> = scores.iter().filter(|score| score.verdict != "failed").collect();
    let (named, found) = (sum(|score| score.named.0), sum(|score| score.named.1));
    let percent = (found * 1_000).checked_div(named).unwrap_or_default();
    let words = answered.iter().map(|score| score.words);
    let seconds = answered.iter().map(|score| score.took.as_millis());
    let mean = |part: fn(&Score) -> Option<u64>| {
        let total: Option<u64> = answered.iter().map(|score| part(score)).sum();
        let mean = total.map(|total| total.checked_div(answered.len() as u64).unwrap_or_default());
        mean.map_or_else(|| "?".to_owned(), |tokens| tokens.to_string())
    };
    let millis = quantile(seconds, 50);
    format!(
        "{name:<8} {:>5}  {:>6}  {:>8}  {:>6}  {:>5}.{}  {:>9}  {:>3}  {:>5}  {:>9}  {:>3}  {:>3}.{}",
        count("sound"),
        count("claims"),
        count("unusable"),
        count("failed"),
        percent / 10,
        percent % 10,
        quantile(words.clone(), 50),
        quantile(words, 90),
        sum(|score| score.links),
        mean(|score| score.tokens.0),
        mean(|score| score.tokens.1),
        millis / 1_000,
        millis % 1_000 / 100,
    )
}

fn quantile<T: Ord + Copy + Default>(values: impl Iterator<Item = T>, percent: usize) -> T {
    let mut values: Vec<T> = values.collect();
    values.sort_unstable();
    values.get(values.len().saturating_sub(1) * percent / 100).copied().unwrap_or_default()
}

async fn score(llm: &Llm, sample: &Sample, detail: Detail) -> Score {
    let Ok(repository) = sample.repository.parse() else { return failed(sample) };
    let packed = pack(&sample.diff, DIFF_BUDGET_CHARS);
    let asked = prompt(&repository, &pull_request(sample), None, Some(&packed), None, detail);
    let call = Call::within(PATIENCE);
    let started = Instant::now();
    let completion = match llm.complete(&asked.system, &asked.user, asked.max_tokens, &call).await {
        Ok(completion) => completion,
        Err(failure) => {
            eprintln!("\rNo. {} of {}: {failure}", sample.number, sample.repository);
            return failed(sample);
        }
    };
    let (verdict, summary) = match check(&completion.text, completion.is_cut, &asked) {
        Checked::Sound(text) => ("sound", text),
        Checked::Opinionated { text, .. } => ("claims", text),
        Checked::Unusable(_) => ("unusable", String::new()),
    };
    let raw = &completion.text;
    Score {
        verdict,
        named: (sample.named.len(), sample.named.iter().filter(|n| summary.contains(*n)).count()),
        words: summary.split_whitespace().count(),
        links: text::prose(raw, LONGEST_ANSWER).matches(text::REMOVED_LINK).count()
            + raw.matches("](").count()
            + raw.matches('@').count(),
        tokens: (completion.prompt_tokens, completion.completion_tokens),
        took: started.elapsed(),
    }
}

fn failed(sample: &Sample) -> Score {
    Score {
        verdict: "failed",
        named: (sample.named.len(), 0),
        words: 0,
        links: 0,
        tokens: (None, None),
        took: Duration::ZERO,
    }
}

/// The LLM of the environment, or the fake one.
fn llm(world: &fakes::World) -> Result<Llm> {
    #[expect(clippy::disallowed_methods, reason = "the LLM to evaluate is named by its user")]
    let setting = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let (key, url) = (setting("OPENAI_API_KEY"), setting("OPENAI_BASE_URL"));
    let model = setting("OPENAI_MODEL").unwrap_or_else(|| "gpt-4.1-mini".to_owned());
    let is_real = key.is_some() || url.is_some();
    let settings = LlmSettings {
        base_url: if is_real { url } else { Some(world.llm.url()) }
            .and_then(|url| url.parse().ok()),
        api_key: if is_real { key } else { Some(fakes::FakeLlm::API_KEY.to_owned()) }
            .map(Into::into),
        model: if is_real { model } else { "a fake one".to_owned() },
        answer_timeout: PATIENCE,
    };
    Llm::new(settings, Arc::new(SystemEntropy))
}

/// `count` of them, evenly spread, so that every repository has its share.
fn spread(samples: Vec<Sample>, count: usize) -> Vec<Sample> {
    let all = samples.len();
    let chosen: BTreeSet<usize> = (0..count.min(all)).map(|n| n * all / count.min(all)).collect();
    let numbered = samples.into_iter().enumerate();
    numbered.filter(|(n, _)| chosen.contains(n)).map(|(_, sample)| sample).collect()
}

fn story() -> Vec<Sample> {
    let told = fakes::story::repository(chrono::DateTime::UNIX_EPOCH);
    let name = told.name_with_owner();
    told.pull_requests
        .into_iter()
        .filter_map(|one| {
            let diff = fakes::github::diff::unified(&one.files).ok()?;
            Some(Sample::new(name.clone(), one.number, one.title, one.body, diff))
        })
        .filter(|sample| !sample.named.is_empty())
        .collect()
}

/// The sample as GitHub would tell it, with nothing said about it yet.
fn pull_request(sample: &Sample) -> PullRequest {
    let count = |part: fn(&pr_summarizer::domain::pull_request::FileDiff) -> u64| {
        Some(sample.diff.files.iter().map(part).sum())
    };
    let at = chrono::DateTime::UNIX_EPOCH;
    PullRequest {
        number: sample.number,
        title: sample.title.clone(),
        url: format!("https://github.com/{}/pull/{}", sample.repository, sample.number),
        body: sample.body.clone(),
        author: Author::ghost(),
        is_draft: false,
        created_at: at,
        updated_at: at,
        base_ref_name: "main".to_owned(),
        base_ref_oid: None,
        head_ref_oid: String::new(),
        head_committed_at: None,
        additions: count(|file| file.additions),
        deletions: count(|file| file.deletions),
        changed_files: u64::try_from(sample.diff.files.len()).ok(),
        conversation_comments: None,
        review_comments: None,
        reviews: None,
        unresolved_threads: None,
        unresolved_threads_seen: 0,
        review_decision: ReviewDecision::Unknown,
        latest_reviews: None,
        review_requests: None,
        has_unnamed_requests: false,
        mergeable: Mergeable::Unknown,
        merge_state: MergeState::Unknown,
        is_in_merge_queue: None,
        auto_merge: None,
        checks: Checks::UNKNOWN,
        labels: None,
        last_human_activity: None,
    }
}
