//! What passes for a summary and what does not.

use super::*;
use crate::{
    domain::digest::Detail,
    summarize::{prompt::prompt, samples},
};

fn asked() -> Prompt {
    prompt(&samples::repository(), &samples::pull_request(7), None, None, None, Detail::Concise)
}

#[test]
fn a_summary_is_left_alone() {
    for summary in [
        "Adds an LRU cache to `Client::send` so that repeated requests skip the network. It touches src/client.rs and its tests.",
        "Marks an order as approved once the payment clears; the reviewer asks for a test of the error path.",
        "Merges adjacent spans before printing and passes the result to the renderer. Nobody has answered the question about memory.",
        "Lets the scheduler retry failed jobs, which used to be dropped. Reviewers ask for a limit on retries.",
        "Rewrites the merge step of the sorter. The discussion is about stability and memory.",
    ] {
        assert_eq!(check(summary, &asked()), Checked::Sound(summary.to_owned()));
    }
}

#[test]
fn a_status_is_found_in_many_words() {
    for claim in [
        "It is ready to merge.",
        "The PR has been approved by two reviewers.",
        "All checks are green.",
        "CI is passing.",
        "All tests pass.",
        "The tests passed.",
        "LGTM.",
        "It can be merged now.",
        "This pull request was merged yesterday.",
        "Reviewers have approved it.",
        "Approved by ada.",
        "It has two approvals.",
        "There are merge conflicts.",
        "It has no conflicts with main.",
        "Changes were requested by bob.",
        "Bob requested changes.",
        "It is awaiting review.",
        "The build is failing.",
        "CI checks are still running.",
        "The change is not approved.",
        "The PR is good to go.",
        "It is already merged.",
        "Der PR wurde genehmigt.",
        "该请求已批准。",
        "The pipeline failed.",
        "It should be merged soon.",
    ] {
        let text = format!("Adds a cache to the client so that nothing is asked twice. {claim}");
        match check(&text, &asked()) {
            Checked::Opinionated { claims, .. } => assert_eq!(claims.len(), 1, "{claims:?}"),
            other => panic!("{claim}: {other:?}"),
        }
        assert_eq!(
            without_claims(&text).as_deref(),
            Some("Adds a cache to the client so that nothing is asked twice."),
            "{claim}"
        );
    }
    assert_eq!(without_claims("It is approved. CI is green."), None);
}

#[test]
fn what_is_no_summary_is_refused() {
    let asked = asked();
    for answer in [
        String::new(),
        " \n ".to_owned(),
        "ok".to_owned(),
        "<!DOCTYPE html><html><body>Bad gateway, please try again later</body></html>".to_owned(),
        "{\"summary\": \"Adds a cache to the client so that nothing is asked twice.\"}".to_owned(),
        "```json\n{\"summary\": \"Adds a cache to the client\"}\n```".to_owned(),
        "word ".repeat(20_000),
        asked.system.clone(),
        asked.user.clone(),
        "\u{202e}\u{200b}".repeat(50),
        "https://evil.example/a https://evil.example/b".to_owned(),
    ] {
        assert!(
            matches!(check(&answer, &asked), Checked::Unusable(_)),
            "{:?}",
            answer.chars().take(60).collect::<String>()
        );
    }
}

#[test]
fn links_and_mentions_are_gone() {
    let answer = "Adds a cache to the client, see [docs](http://evil.example) and @ada. ![x](http://evil.example/x.png)";
    let Checked::Sound(text) = check(answer, &asked()) else { panic!("refused") };
    assert_eq!(text, "Adds a cache to the client, see docs and ada. x");
}

#[test]
fn the_complaint_quotes_within_the_fence() {
    let asked = asked();
    let again = complaint(&asked, "Draft.", &["It is approved.".to_owned()]);
    assert!(again.starts_with(&asked.user));
    assert_eq!(again.matches(&format!("</{}>", asked.mark)).count(), 7);
}
