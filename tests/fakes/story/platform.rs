//! What beacon stands on: storage, routes, the agent, its dependencies and machines.

use chrono::{DateTime, Duration, Utc};

use super::{Told, patch};
use crate::fakes::PullRequest;

const SILENCES: &str = "\
    Silences move from the memory of one instance into a Postgres table that all instances \
    share, with a maximum of seven days and a mandatory reason checked by the database; when the \
    database is away, nothing is silent. The discussion turns on the hot path: one query per \
    alert would hit the very database that is failing, so Mira proposes a cached answer of at \
    most five minutes with LISTEN/NOTIFY, and two seconds as the longest acceptable delay. Jun \
    asks that the old table is dropped in a later migration, since the previous version still \
    writes to it during a deploy.";

pub(super) fn silences(now: DateTime<Utc>) -> Told {
    let opened = PullRequest::new(438, "Keep silences in Postgres so that they survive a restart")
        .author("tomasz-k")
        .branch("durable-silences")
        .opened(now - Duration::days(10))
        .label("storage")
        .label("post-mortem")
        .body(
            "Half of the pages on Monday morning were for things that had been silenced on \
             Sunday: the silences lived in the memory of the instance that was restarted.\n\n\
             They move to a table that all instances share. A silence lasts at most seven days \
             and needs a reason of eight characters; the database checks both. If the database \
             does not answer, **nothing is silent**: one page too many is better than one too \
             few.\n\nAction item 3 of the post-mortem (#430).",
        )
        .comment(
            "adaeze-o",
            "One query for each alert? At the peak of the Sunday that was 340 alerts a second, \
             against the database that was failing over.",
        )
        .comment(
            "tomasz-k",
            "At most a few dozen rows and an index on `ends_at`, 0.2 ms here. But you are right \
             about *which* database. If it is down we page, and it was down.",
        )
        .comment(
            "mira-holm",
            "So the failure of the database un-silences the alert about the database. There is a \
             certain poetry to it. Could we remember the last answer for, say, 30 seconds, and \
             use it while the database is away?",
        );
    let pull_request = silences_review(opened)
        .later(Duration::days(3))
        .comment(
            "octocat",
            "The console's silence form should know the 8 characters too; I do that.",
        )
        .conflicts()
        .decision("REVIEW_REQUIRED")
        .requests("mira-holm")
        .checks(13, 0, 0)
        .diff(patch::files(include_str!("diffs/438.diff")));
    Told { pull_request, prose: SILENCES }
}

fn silences_review(pull_request: PullRequest) -> PullRequest {
    pull_request
        .thread(
            "src/silence.rs",
            false,
            &[
                (
                    "mira-holm",
                    "This is where I would keep the last good answer: \
                     `ArcSwap<(Instant, Vec<Silence>)>`, refreshed in the background, never older \
                     than five minutes. Then the hot path does not touch the database at all.",
                ),
                (
                    "tomasz-k",
                    "Then a silence takes effect up to one refresh later. People press the button \
                     *because* the phone rings. How long is too long?",
                ),
                ("mira-holm", "Two seconds. `LISTEN/NOTIFY` for the rest."),
            ],
        )
        .thread(
            "migrations/0042_silences.sql",
            false,
            &[
                (
                    "jun-watanabe",
                    "`DROP TABLE` in the same migration: the old version is still running while \
                     this is deployed, and its command line writes to `cli_silences`.",
                ),
                ("tomasz-k", "Right, it has to be two deploys. I will move the drop to 0043."),
                ("jun-watanabe", "And please say in 0043 since when it is safe."),
            ],
        )
        .review_saying(
            "mira-holm",
            "COMMENTED",
            "Happy with the table. The hot path and the migration need one more round.",
        )
}

const GENERATED_ROUTES: &str = "\
    A generator writes one routing rule per service and severity from the service catalogue and \
    replaces the hand-kept match through which 61 % of the services fell to the platform team; a \
    nightly script refreshes the 30,000 generated lines. The debate is code against data: \
    generated code catches a broken catalogue early but adds 94 seconds to a clean build, and \
    the author agreed to print an embedded JSON file instead. Still open are a guard against an \
    empty catalogue, which would remove every route, and whether tier-2 services should wait \
    half an hour during quiet hours.";

pub(super) fn generated_routes(now: DateTime<Utc>) -> Told {
    let opened = PullRequest::new(442, "Generate the routing rules from the service catalogue")
        .author("adaeze-o")
        .branch("rulegen")
        .opened(now - Duration::days(7))
        .label("routing")
        .label("post-mortem")
        .body(
            "`route()` was a `match` that everybody was meant to extend and nobody did: 61 % of \
             our services fell through to the platform team.\n\n\
             `rulegen` reads the catalogue and writes a rule for each service and severity, \
             30,000 lines in one file. A nightly job writes them anew.\n\n\
             Please review `rulegen/` and `scripts/`; the generated file is exactly what they \
             print.",
        )
        .comment(
            "mira-holm",
            "I love that nobody has to remember anything. I do not love a 30,000-line diff every \
             night. Could the rules be data, loaded at start, instead of code?",
        )
        .comment(
            "adaeze-o",
            "As code, a wrong catalogue fails in CI and not at 03:00. As data we would have to \
             write that check ourselves.",
        )
        .comment(
            "jun-watanabe",
            "It also adds 94 seconds to a clean build; the job runs into its ten-minute limit on \
             the small runners. That is the red check.",
        );
    let pull_request = generated_routes_review(opened)
        .later(Duration::days(1))
        .comment(
            "mira-holm",
            "Proposal: keep the generator and its checks, but let it print one JSON file that is \
             embedded with `include_bytes!`. Compile time is gone and CI still sees a bad \
             catalogue.",
        )
        .comment("adaeze-o", "Sold. That makes the diff reviewable, too.")
        .decision("REVIEW_REQUIRED")
        .requests("tomasz-k")
        .checks(12, 1, 0)
        .diff(patch::files(include_str!("diffs/442.diff")));
    Told { pull_request, prose: GENERATED_ROUTES }
}

fn generated_routes_review(pull_request: PullRequest) -> PullRequest {
    pull_request
        .thread(
            "rulegen/src/main.rs",
            false,
            &[
                (
                    "tomasz-k",
                    "Quiet hours delay the page of a tier-2 service by half an hour. Tier 2 is \
                     e-mail. Half an hour without e-mail is an incident.",
                ),
                ("adaeze-o", "The old rules did the same, by accident: platform's policy has it."),
                ("tomasz-k", "Then it was wrong before. Could we at least make it five minutes?"),
                ("mira-holm", "Let us not change behaviour and mechanism at once. Issue?"),
            ],
        )
        .thread(
            "scripts/refresh_rules.py",
            false,
            &[
                (
                    "octocat",
                    "If the catalogue answers with an empty list, this happily writes a file \
                     without rules and the nightly job opens a pull request that unroutes \
                     everything.",
                ),
                ("adaeze-o", "Ouch. It will refuse to remove more than 5 % of the rules at once."),
            ],
        )
}

const WEBHOOKS: &str = "\
    The Go agent retries webhooks with full jitter and a ceiling of one minute, so that agents \
    no longer come back in step after an outage. Answers that say no for good are not repeated, \
    and cancelling the context ends the wait. Adaeze pointed out that 408 may be repeated as \
    well, which was added; nothing else was asked for.";

pub(super) fn webhooks(now: DateTime<Utc>) -> Told {
    let pull_request =
        PullRequest::new(444, "Retry webhooks with jitter, and not what was refused")
            .author("jun-watanabe")
            .branch("webhook-jitter")
            .opened(now - Duration::days(5))
            .label("agent")
            .body(
                "After an outage all agents retried in step and took the receiver down again. Full \
             jitter, a ceiling of a minute, and a 4xx other than 429 is final.",
            )
            .thread(
                "agent/webhook/deliver.go",
                true,
                &[
                    ("adaeze-o", "408 is a 4xx that one may repeat."),
                    ("jun-watanabe", "No receiver of ours sends it, but you are right. Added."),
                ],
            )
            .comment("mira-holm", "The test server counts, no sleeps. This is how I like them.")
            .review("adaeze-o", "APPROVED")
            .review("mira-holm", "APPROVED")
            .decision("APPROVED")
            .queued()
            .checks(9, 0, 0)
            .diff(patch::files(include_str!("diffs/444.diff")));
    Told { pull_request, prose: WEBHOOKS }
}

const TOKIO_UPDATE: &str = "\
    Dependabot raises tokio from 1.47.1 to 1.48.0 and tokio-macros with it; only the manifest \
    and the lock file change. Nobody has commented. The lock file shows that tokio no longer \
    depends on io-uring and slab here.";

pub(super) fn tokio_update(now: DateTime<Utc>) -> Told {
    let pull_request = PullRequest::new(445, "Bump tokio from 1.47.1 to 1.48.0")
        .author("dependabot[bot]")
        .branch("dependabot/cargo/tokio-1.48.0")
        .opened(now - Duration::days(4))
        .label("dependencies")
        .label("rust")
        .body(
            "Bumps [tokio](https://github.com/tokio-rs/tokio) from 1.47.1 to 1.48.0.\n\n\
             Dependabot will resolve any conflicts with this PR as long as you don't alter it \
             yourself.",
        )
        .decision("REVIEW_REQUIRED")
        .auto_merge()
        .checks(6, 0, 8)
        .diff(patch::files(include_str!("diffs/445.diff")));
    Told { pull_request, prose: TOKIO_UPDATE }
}

const STAGING: &str = "\
    Staging moves to a smaller single-zone database instance and to Postgres 17, ahead of \
    production in November, to save money. Tomasz warns that AWS cannot shrink storage in place, \
    so the plan would replace the instance and be stopped half-way by the deletion protection. \
    The author has not answered yet.";

pub(super) fn staging(now: DateTime<Utc>) -> Told {
    let pull_request = PullRequest::new(450, "Staging: a smaller database, and Postgres 17")
        .author("mira-holm")
        .branch("small-staging")
        .opened(now - Duration::hours(20))
        .label("infrastructure")
        .body(
            "Staging costs more than production because nobody dared to touch it. A `t4g.medium`, \
             one zone, and the version that production gets in November.",
        )
        .comment(
            "tomasz-k",
            "AWS cannot shrink `allocated_storage` in place: this plan replaces the instance, and \
             `deletion_protection` will stop it half-way.",
        )
        .decision("REVIEW_REQUIRED")
        .requests("tomasz-k")
        .checks(2, 0, 1)
        .diff(patch::files(include_str!("diffs/450.diff")));
    Told { pull_request, prose: STAGING }
}
