//! Everything that goes wrong, and what is expected of each.

use std::time::Duration;

use pr_summarizer::domain::{Clock as _, SystemClock};
use serde_json::json;

use super::asked::{Asked, Class, Stage};
use crate::fakes::Fault;

/// One kind of fault; "once": the request after it goes well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Nothing,
    Delay,
    Silence,
    CutOnce,
    Cut,
    HungUp,
    Refused,
    Drip,
    Endless,
    BadGzip,
    GzipBomb,
    BadJson,
    OddShape,
    WebPage,
    LimitForASecond,
    LimitUntilADate,
    LimitForAnHour,
    LimitWithoutEnd,
    Error500,
    Error502,
    Error503Once,
    UnauthorizedOnce,
    Unauthorized,
    GitHubUnauthorized,
    Sso,
    Forbidden,
    NotFound,
    PageNotFound,
    NotAcceptable,
    Redirect,
}

/// How a diff begins, and how it never ends.
const DIFF: &str = "diff --git a/a b/a\n--- a/a\n+++ b/a\n@@ -0,0 +1,99999 @@\n";
const LINE: &str = "+One more line of a file that somebody generated, as long as such lines are.\n";

impl Kind {
    pub const ALL: [Self; 30] = [
        Self::Nothing,
        Self::Delay,
        Self::Silence,
        Self::CutOnce,
        Self::Cut,
        Self::HungUp,
        Self::Refused,
        Self::Drip,
        Self::Endless,
        Self::BadGzip,
        Self::GzipBomb,
        Self::BadJson,
        Self::OddShape,
        Self::WebPage,
        Self::LimitForASecond,
        Self::LimitUntilADate,
        Self::LimitForAnHour,
        Self::LimitWithoutEnd,
        Self::Error500,
        Self::Error502,
        Self::Error503Once,
        Self::UnauthorizedOnce,
        Self::Unauthorized,
        Self::GitHubUnauthorized,
        Self::Sso,
        Self::Forbidden,
        Self::NotFound,
        Self::PageNotFound,
        Self::NotAcceptable,
        Self::Redirect,
    ];

    /// In words, for the table.
    pub fn words(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Delay => "delay of 0.3 s",
            Self::Silence => "no answer",
            Self::CutOnce => "reset mid-body, once",
            Self::Cut => "reset mid-body",
            Self::HungUp => "hang-up before a byte",
            Self::Refused => "connection refused",
            Self::Drip => "1 byte every 0.1 s",
            Self::Endless => "endless body",
            Self::BadGzip => "bad gzip",
            Self::GzipBomb => "gzip bomb (20 MB)",
            Self::BadJson => "bad JSON",
            Self::OddShape => "JSON of an odd shape",
            Self::WebPage => "200 with a web page",
            Self::LimitForASecond => "429, 1 s, once",
            Self::LimitUntilADate => "429, date, once",
            Self::LimitForAnHour => "429, 3600 s",
            Self::LimitWithoutEnd => "429 without a time",
            Self::Error500 => "500 storm",
            Self::Error502 => "502 storm",
            Self::Error503Once => "503, once",
            Self::UnauthorizedOnce => "401 of our token, once",
            Self::Unauthorized => "401 of our token",
            Self::GitHubUnauthorized => "401 of GitHub",
            Self::Sso => "403 single sign-on",
            Self::Forbidden => "403",
            Self::NotFound => "404",
            Self::PageNotFound => "404 with a web page",
            Self::NotAcceptable => "406",
            Self::Redirect => "302 elsewhere",
        }
    }

    /// Whether there is such a thing.
    pub fn applies_to(self, asked: Asked) -> bool {
        match self {
            Self::HungUp | Self::Refused => asked.comes_first(),
            Self::GitHubUnauthorized => {
                matches!(asked.class(), Class::Tool | Class::Query | Class::Read)
            }
            // Elsewhere it means what any 404 does.
            Self::PageNotFound => matches!(asked, Asked::Status | Asked::Delete),
            _ => true,
        }
    }

    /// Lets it happen to the next requests.
    pub async fn happen(self, stage: &Stage, asked: Asked) {
        let always = |fault| stage.inject(asked, fault, usize::MAX);
        let once = |fault| stage.inject(asked, fault, 1);
        let json = |text: &str| Fault::Status(200, text.to_owned(), Vec::new());
        let limited = |wait: String| refusal(asked, 429, &[("retry-after", wait)]);
        match self {
            Self::Nothing => {}
            Self::Delay => always(Fault::Delay(Duration::from_millis(300))),
            Self::Silence => always(Fault::Hang),
            Self::CutOnce => once(Fault::Reset),
            Self::Cut => always(Fault::Reset),
            Self::HungUp => stage.door(asked).hang_up().await,
            Self::Refused => stage.door(asked).shut().await,
            Self::Drip => always(Fault::Drip(Duration::from_millis(100))),
            Self::Endless if matches!(asked.alone(), Asked::Diff | Asked::OwnDiff) => {
                always(Fault::endless(DIFF, LINE));
            }
            Self::Endless => always(Fault::endless("{\"data\":\"", "more and more ")),
            Self::BadGzip => always(Fault::BadGzip),
            Self::GzipBomb => always(Fault::Bomb),
            Self::BadJson => always(Fault::Garbage),
            Self::OddShape => always(json(r#"{"items":[{"answer":42},null],"next":{}}"#)),
            Self::WebPage => always(Fault::Html),
            Self::LimitForASecond => once(limited("1".to_owned())),
            Self::LimitUntilADate => {
                let then = SystemClock.now() + chrono::Duration::seconds(1);
                once(limited(then.format("%a, %d %b %Y %H:%M:%S GMT").to_string()));
            }
            Self::LimitForAnHour => always(limited("3600".to_owned())),
            Self::LimitWithoutEnd => always(refusal(asked, 429, &[])),
            Self::Error500 => always(Fault::status(500)),
            Self::Error502 => always(Fault::status(502)),
            Self::Error503Once => once(Fault::status(503)),
            Self::UnauthorizedOnce => once(unauthenticated(asked)),
            Self::Unauthorized => always(unauthenticated(asked)),
            Self::GitHubUnauthorized => always(refusal(asked, 401, &[])),
            Self::Sso => {
                let sso = [("x-github-sso", "required; url=https://github.test/sso".to_owned())];
                always(refusal(asked, 403, &sso));
            }
            Self::Forbidden => always(refusal(asked, 403, &[])),
            Self::NotFound => always(refusal(asked, 404, &[])),
            Self::PageNotFound => {
                always(Fault::Status(404, "<html>Nothing here</html>".to_owned(), Vec::new()));
            }
            Self::NotAcceptable => always(refusal(asked, 406, &[])),
            Self::Redirect => {
                let elsewhere = vec![("location", "http://127.0.0.1:9/elsewhere".to_owned())];
                always(Fault::Status(302, String::new(), elsewhere));
            }
        }
    }
}

/// A refusal in the form of whoever refuses: a tool's error holds GitHub's.
fn refusal(asked: Asked, status: u16, headers: &[(&'static str, String)]) -> Fault {
    let body = match asked.class() {
        Class::Rpc | Class::Verify => json!({
            "code": if status == 404 { 5 } else { 7 }, "message": "injected",
            "details": [{ "error_code": if status == 404 { "NOT_FOUND" } else { "REFUSED" } }],
        }),
        Class::Tool => {
            let words = if headers.iter().any(|(name, _)| *name == "x-github-sso") {
                "Resource protected by organization SAML enforcement."
            } else {
                "injected"
            };
            json!({ "code": 2, "message": words, "details": [{ "error_code": "TOOL_ERROR" }] })
        }
        Class::Query | Class::Read => json!({ "message": "injected" }),
        Class::Completion => json!({ "error": { "message": "injected" } }),
    };
    Fault::Status(status, body.to_string(), headers.to_vec())
}

/// The refusal of our own credentials.
fn unauthenticated(asked: Asked) -> Fault {
    if asked.is_own() || asked.class() == Class::Completion {
        return refusal(asked, 401, &[]);
    }
    let details = json!([{ "error_code": "UNAUTHENTICATED" }]);
    let body = json!({ "code": 16, "message": "injected", "details": details });
    Fault::Status(401, body.to_string(), Vec::new())
}

/// What is right: the outcome in a word, how many requests it takes at most, and how long the caller
/// is told to wait, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected {
    pub word: &'static str,
    pub requests: usize,
    pub retry_after: Option<u64>,
}

pub fn expected(kind: Kind, asked: Asked) -> Expected {
    let alone = expected_alone(kind, asked.alone());
    if !asked.is_whole() || asked == Asked::WholeList {
        return alone;
    }
    // Facts always come; what is missing is said. Five diffs, five completions.
    let word = if alone.word == "answer" { "answer" } else { "partial" };
    let requests = match (asked, kind) {
        // What is too long for all is asked for each alone.
        (Asked::WholeTalk, Kind::Endless | Kind::GzipBomb) => alone.requests + 5,
        (Asked::WholeTalk, _) => alone.requests,
        _ => alone.requests * 5,
    };
    Expected { word, requests, retry_after: None }
}

fn expected_alone(kind: Kind, asked: Asked) -> Expected {
    let (word, requests) = word_and_requests(kind, asked);
    let is_limited =
        matches!(word, "github_rate_limited" | "scalekit_unavailable") || word == "llm_unavailable";
    let retry_after = match kind {
        Kind::LimitForAnHour if is_limited => Some(3600),
        Kind::LimitForASecond if is_limited => Some(1),
        _ => None,
    };
    Expected { word, requests, retry_after }
}

#[expect(clippy::match_same_arms, reason = "an arm is a rule")]
fn word_and_requests(kind: Kind, asked: Asked) -> (&'static str, usize) {
    let class = asked.class();
    let down = match class {
        Class::Rpc | Class::Tool => "scalekit_unavailable",
        Class::Verify => "uncertain",
        Class::Query | Class::Read => "github_unavailable",
        Class::Completion => "llm_unavailable",
    };
    let is_mute = matches!(asked, Asked::Delete | Asked::Verify);
    let is_diff = matches!(asked, Asked::Diff | Asked::OwnDiff);
    // Tries where a request may be repeated after a bad answer, and where none came.
    let (after_bad, after_none) = match class {
        Class::Rpc | Class::Read => (3, 3),
        Class::Completion => (2, 2),
        Class::Tool | Class::Query => (1, 3),
        Class::Verify => (1, 1),
    };
    // A query that was too much is asked again for less; nothing less can be asked of the rest.
    let less = if class == Class::Query { 2 } else { 1 };
    let again = |tries: usize| if tries > 1 { ("answer", 2) } else { (down, 1) };
    match kind {
        Kind::Nothing | Kind::Delay => ("answer", 1),
        Kind::Silence | Kind::Drip => (down, less),
        Kind::CutOnce => again(after_none),
        Kind::Cut | Kind::HungUp => (down, after_none),
        Kind::Refused => (down, 0),
        Kind::Endless if is_diff => ("partial", 1),
        // A diff is cut at its cap, and zeros are no diff.
        Kind::GzipBomb if is_diff => (down, 1),
        Kind::Endless | Kind::GzipBomb => (down, less),
        Kind::BadGzip => (down, 1),
        // The status said it all.
        Kind::BadJson | Kind::OddShape | Kind::WebPage if is_mute => ("answer", 1),
        Kind::BadJson | Kind::OddShape | Kind::WebPage if asked == Asked::Status => ("unknown", 1),
        // Taken for a yes; the link then finds no account.
        Kind::BadJson | Kind::OddShape | Kind::WebPage if asked == Asked::Create => {
            ("scalekit_rejected_us", 1)
        }
        Kind::BadJson | Kind::OddShape | Kind::WebPage => (down, 1),
        Kind::LimitForASecond | Kind::LimitUntilADate => match class {
            Class::Query | Class::Tool => ("github_rate_limited", 1),
            _ => again(after_bad),
        },
        Kind::LimitForAnHour | Kind::LimitWithoutEnd => match class {
            Class::Query | Class::Tool | Class::Read => ("github_rate_limited", 1),
            _ => (down, 1),
        },
        Kind::Error500 => (down, 1),
        Kind::Error502 => (down, after_bad.max(less)),
        // Less was asked for, so the answer says that checks are missing; a half page may need
        // another one.
        Kind::Error503Once if class == Class::Query && asked != Asked::Talk => ("partial", 3),
        Kind::Error503Once if asked == Asked::Talk => ("answer", 2),
        Kind::Error503Once => again(after_bad),
        Kind::UnauthorizedOnce | Kind::Unauthorized => match (class, asked) {
            (Class::Completion, _) => ("llm_rejected_us", 1),
            (_, asked) if asked.is_own() => ("github_token_rejected", 1),
            (Class::Verify, _) | (_, Asked::Token) => ("scalekit_rejected_us", 1),
            _ if kind == Kind::UnauthorizedOnce => ("answer", 2),
            _ => ("scalekit_rejected_us", 2),
        },
        _ => (refused(kind, asked), 1),
    }
}

/// What a refusal means.
#[expect(clippy::match_same_arms, reason = "an arm is a rule")]
fn refused(kind: Kind, asked: Asked) -> &'static str {
    match (kind, asked.class()) {
        (Kind::GitHubUnauthorized, _) if asked.is_own() => "github_token_rejected",
        (Kind::GitHubUnauthorized, _) => "reauthorization_required",
        // Not followed, and neither a yes nor a no.
        (Kind::Redirect, Class::Verify) => "uncertain",
        (_, Class::Verify) => "refused",
        (Kind::Redirect, Class::Rpc) if asked == Asked::Token => "scalekit_rejected_us",
        (Kind::Redirect, Class::Rpc | Class::Tool) => "scalekit_unavailable",
        (Kind::Redirect, Class::Query | Class::Read) => "repository_not_found",
        // What is not there needs no deletion.
        (Kind::NotFound, Class::Rpc) if asked == Asked::Delete => "answer",
        (Kind::NotFound, Class::Rpc) if asked == Asked::Status => "none",
        (Kind::NotAcceptable | Kind::PageNotFound, Class::Rpc) => "scalekit_unavailable",
        (_, Class::Rpc) => "scalekit_rejected_us",
        (Kind::Sso, Class::Tool | Class::Query | Class::Read) => "sso_required",
        (Kind::Forbidden, Class::Tool | Class::Query | Class::Read) => "github_access_denied",
        (Kind::NotFound, Class::Tool | Class::Query | Class::Read) => "repository_not_found",
        // Too large for GitHub to show as a diff: its files are listed instead.
        (Kind::NotAcceptable, Class::Read) if matches!(asked, Asked::Diff | Asked::OwnDiff) => {
            "answer"
        }
        (Kind::Redirect | Kind::NotAcceptable, Class::Completion) => "llm_unavailable",
        (_, Class::Completion) => "llm_rejected_us",
        (_, Class::Tool | Class::Query | Class::Read) => "github_unavailable",
    }
}
