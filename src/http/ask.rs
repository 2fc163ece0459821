//! The question on the page at `/`, and the place for its answer.

use maud::{Markup, html};

/// The orders in which pull requests come, as a person calls them.
const ORDERS: [(&str, &str); 4] = [
    ("most_discussed", "Most discussed"),
    ("recently_updated", "Recently updated"),
    ("newest", "Newest"),
    ("oldest", "Oldest"),
];

/// Asks about a repository; `known` are those asked about before, the last one first. `account`: whose
/// page this is, where others may sign in to the same browser.
pub(super) fn form(csrf: &str, known: &[String], account: Option<u64>) -> Markup {
    html! {
        form #ask method="post" action="/digest" {
            input type="hidden" name="csrf" value=(csrf);
            @if let Some(account) = account { input type="hidden" name="account" value=(account); }
            label for="repository" { "Repository" }
            input #repository name="repository" required maxlength="300" list="known"
                placeholder="owner/repo" autocomplete="off" autocapitalize="none" spellcheck="false";
            datalist #known {
                @for repository in known { option value=(repository) {} }
            }
            div.row {
                div {
                    label for="order" { "Order" }
                    select #order name="order" {
                        @for (value, words) in ORDERS { option value=(value) { (words) } }
                    }
                }
                div {
                    label for="limit" { "How many" }
                    input #limit name="limit" type="number" min="1" max="20" value="5" required;
                }
            }
            label.check {
                input type="checkbox" name="exclude_drafts" value="true";
                " Leave drafts out"
            }
            label.check {
                input type="checkbox" name="exclude_bots" value="true";
                " Leave out what bots opened"
            }
            button.go { "Summarize" }
            noscript {
                p.small { "Without JavaScript the answer is plain text, and comes all at once." }
            }
        }
    }
}

/// Where the script tells how far it is, what went wrong, and the answer.
pub(super) fn results() -> Markup {
    html! {
        div #status role="status" {}
        div #failure role="alert" {}
        section #results aria-label="Answer" hidden {}
    }
}
