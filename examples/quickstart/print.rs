//! The digest as text for a terminal.

mod paint;
mod words;

use std::fmt::Write as _;

use pr_summarizer::domain::{
    digest::{Coverage, Digest, RepositoryDigest, SummaryStatus},
    stage::Stage,
};

pub(crate) use self::paint::Paint;
use self::words::{age, checks, count, discussion, left_out, review, size, wrapped};

/// Columns of every line.
const WIDTH: usize = 88;
/// What stands under a title is indented by this much.
const INDENT: &str = "     ";

/// What this is.
pub(crate) fn opening(paint: Paint) -> String {
    let text = "The server and the MCP client are real. Scalekit, GitHub, the LLM and everybody's \
                pull requests are invented, and run on this machine.";
    format!("{}\n{}\n", paint.bold("pr-summarizer, in a minute"), wrapped(text, "", WIDTH))
}

/// What was seen, and what to do next.
pub(crate) fn closing(paint: Paint) -> String {
    let text = "Real in this run: the server, the MCP client, the whole way through the browser, and \
                the ranking, stages, reasons and coverage, which the server computed. Invented: the \
                people, the repository, and the sentences of the LLM.";
    let mut out = format!("{}\n{}\n\n", paint.bold("What you saw"), wrapped(text, "", WIDTH));
    for (command, what) in [
        ("cargo run --example quickstart -- --serve", "the same, from your own host"),
        ("GITHUB_TOKEN=$(gh auth token) cargo run", "your own repositories, as yourself"),
        ("README.md, “With Scalekit”", "several accounts, no token in the server"),
    ] {
        let _ = writeln!(out, "  {command:<43}{}", paint.dim(what));
    }
    out
}

/// A text of several lines, the first behind `mark`, the others below it.
pub(crate) fn quoted(mark: &str, text: &str) -> String {
    let indent = " ".repeat(mark.chars().count());
    let lines: Vec<_> = text.lines().map(|line| wrapped(line, &indent, WIDTH)).collect();
    lines.join("\n").replacen(&indent, mark, 1)
}

/// The whole answer.
pub(crate) fn digest(digest: &RepositoryDigest, paint: Paint) -> String {
    let rule = paint.dim(&"─".repeat(WIDTH));
    let shown = digest.pull_requests.len();
    let of = digest.open_pull_requests.map_or_else(String::new, |open| format!(" of {open}"));
    let mut out = format!("{rule}\n");
    let _ = writeln!(out, "{}  {shown}{of} open pull requests", paint.bold(&digest.repository));
    let _ = writeln!(out, "{}", paint.dim(&wrapped(&digest.ranking, "", WIDTH)));
    let _ = writeln!(out, "{rule}");
    for pull_request in &digest.pull_requests {
        let _ = writeln!(out, "\n{}", one(pull_request, digest, paint));
    }
    for warning in &digest.warnings {
        let _ = writeln!(out, "\n{}", wrapped(&format!("Note: {warning}"), "", WIDTH));
    }
    let usage = &digest.usage;
    let cost = format!(
        "{}, {}, {} from the cache",
        count(usage.github_requests.into(), "request to GitHub", "requests to GitHub"),
        count(usage.llm_calls.into(), "call of the LLM", "calls of the LLM"),
        count(usage.cache_hits.into(), "part", "parts"),
    );
    let complete = if digest.complete { "complete" } else { "not complete: ask again" };
    let _ = writeln!(out, "\n{}", paint.dim(&format!("{complete} · {cost}")));
    out.push_str(&rule);
    out.push('\n');
    out
}

fn one(digest: &Digest, all: &RepositoryDigest, paint: Paint) -> String {
    let number = format!("#{}", digest.number);
    let title = wrapped(&digest.title, INDENT, WIDTH);
    let mut out = format!("{number:<5}{}\n", paint.bold(title.trim_start()));
    let stale = if digest.stale { " · stale" } else { "" };
    let dot = format!("● {}", digest.stage.in_words());
    let _ = writeln!(
        out,
        "{INDENT}{}{stale} · next: {}",
        paint.colour(colour(digest.stage), &dot),
        digest.next_actor.in_words()
    );
    let facts = &digest.facts;
    let ages = format!(
        "@{} · opened {} · updated {}",
        digest.author.as_deref().unwrap_or("?"),
        age(facts.created_at, all.generated_at),
        age(facts.updated_at, all.generated_at),
    );
    for line in [
        [ages, discussion(&digest.discussion)].join(" · "),
        [size(facts), review(facts), checks(&facts.checks)].join(" · "),
    ] {
        let _ = writeln!(out, "{}", paint.dim(&wrapped(&line, INDENT, WIDTH)));
    }
    let _ = writeln!(out, "\n{}\n", wrapped(&prose(digest), INDENT, WIDTH));
    let why = format!("Why: {}", digest.reasons.join(" "));
    let _ = writeln!(out, "{}", wrapped(&why, INDENT, WIDTH));
    let _ = writeln!(out, "{}", paint.dim(&wrapped(&coverage(&digest.coverage), INDENT, WIDTH)));
    let _ = write!(out, "{INDENT}{}", paint.link(&digest.url));
    out
}

fn prose(digest: &Digest) -> String {
    let summary = digest.summary.as_deref().unwrap_or_default();
    match digest.summary_status {
        SummaryStatus::Written | SummaryStatus::Cached => summary.to_owned(),
        SummaryStatus::Extract => format!("(Extract) {summary}"),
        SummaryStatus::Pending => "(The summary is still being written.)".to_owned(),
        SummaryStatus::Failed => "(No summary.)".to_owned(),
    }
}

fn coverage(coverage: &Coverage) -> String {
    let all = coverage.comments.map_or_else(|| "an unknown number".to_owned(), |n| n.to_string());
    let mut said = format!("Read: {} of {all} comments", coverage.comments_used);
    match coverage.files {
        None => said.push_str(", no diff"),
        Some(files) => {
            let _ = write!(said, ", {} of {files} files whole", coverage.files_read);
            if coverage.files_cut > 0 {
                let _ = write!(said, ", {} in part", coverage.files_cut);
            }
            said.push_str(&left_out(&coverage.files_omitted, &coverage.omissions));
        }
    }
    said
}

/// As the SGR parameter of a foreground colour.
fn colour(stage: Stage) -> u8 {
    const RED: u8 = 31;
    const GREEN: u8 = 32;
    const YELLOW: u8 = 33;
    const CYAN: u8 = 36;
    match stage {
        Stage::Conflicts | Stage::CiFailing | Stage::ChangesRequested => RED,
        Stage::UnresolvedThreads | Stage::CiPending | Stage::NeedsReview => YELLOW,
        Stage::Ready | Stage::Queued => GREEN,
        Stage::Draft => CYAN,
    }
}
