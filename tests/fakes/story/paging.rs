//! Whom beacon pages, and when: the lessons of the silent Sunday.

use chrono::{DateTime, Duration, Utc};

use super::{Told, patch};
use crate::fakes::PullRequest;

const FLAPPING: &str = "\
    Beacon keeps a short history for each alert instead of one timestamp, so that an alert which \
    returns three times over ten minutes counts as flapping and pages again every ten minutes. A \
    test replays the Sunday on which 41 failovers led to a single page. The discussion is about \
    noise: a replay of 90 days shows that most new night pages would come from deploys, and the \
    favoured answer is to switch it on for databases first and to respect maintenance windows \
    later. Reviewers still ask that returns older than ten minutes are forgotten, and that a new \
    entry is recognised without comparing clock ticks.";

pub(super) fn flapping(now: DateTime<Utc>) -> Told {
    let opened = PullRequest::new(431, "Page again when an alert flaps")
        .author("mira-holm")
        .branch("flapping")
        .opened(now - Duration::days(12))
        .label("paging")
        .label("post-mortem")
        .body(
            "On 14 September `postgres-primary` failed over 41 times in an hour. We paged once, \
             at 03:12, and Tomasz acknowledged it in his sleep. Every later return had the same \
             fingerprint and came within the hour, so the deduplication swallowed it.\n\n\
             This keeps a short history for each fingerprint instead of one moment. An alert that \
             comes back three times over ten minutes is *flapping* and pages again every ten \
             minutes, with the number of returns in the text. A single bounce stays a \
             duplicate.\n\n\
             `tests/flapping.rs` replays the Sunday: six pages instead of one.\n\n\
             Action item 1 of the post-mortem (#430).",
        )
        .comment(
            "tomasz-k",
            "Speaking as the one who slept through it: yes please. But six pages an hour for one \
             broken database is also a way to teach people to mute their phone. Could the second \
             page go to the *next* person instead of to me again?",
        )
        .comment(
            "mira-holm",
            "I thought about it. If the first person is already working on it, escalating wakes \
             somebody for nothing. The acknowledgement tells us nothing: you had acknowledged.",
        )
        .comment(
            "adaeze-o",
            "Numbers from the last 90 days, replayed through this branch: 212 alerts would have \
             been flapping, 31 of them at night. 24 of those 31 were `web-*` latency during \
             deploys. So most of the new pages would be about deploys, not about databases.",
        );
    let pull_request = flapping_review(opened)
        .later(Duration::days(2))
        .comment(
            "octocat",
            "For the deploys: the deploy bot already opens a maintenance window in the catalogue. \
             Flapping inside one could stay a ticket.",
        )
        .comment(
            "mira-holm",
            "I like that more than a second threshold. It needs #442, because only the generated \
             routes know the windows. Shall I wait, or ship with the flag off?",
        )
        .comment(
            "adaeze-o",
            "Ship it off by default, switch it on for `postgres-*` first. I can do the windows \
             once #442 is in.",
        )
        .decision("CHANGES_REQUESTED")
        .requests_team("on-call-leads")
        .checks(14, 0, 0)
        .diff(patch::files(include_str!("diffs/431.diff")));
    Told { pull_request, prose: FLAPPING }
}

fn flapping_review(pull_request: PullRequest) -> PullRequest {
    pull_request
        .thread(
            "src/dedup.rs",
            false,
            &[
                (
                    "tomasz-k",
                    "`first_seen` is never reset while the alert keeps returning inside the \
                     window. A service that bounces once a day for three days is *flapping* by \
                     this rule, since the first return is long ago. I think the history has to \
                     forget returns older than ten minutes.",
                ),
                (
                    "mira-holm",
                    "You are right that it is wrong, but once a day cannot happen: the window is \
                     an hour, so the entry starts anew. Three times in 59 minutes can. A ring of \
                     the last few returns would do it; is that worth the memory?",
                ),
                (
                    "adaeze-o",
                    "We hold about 9,000 fingerprints at peak. Eight instants each is half a \
                     megabyte. I would not think twice.",
                ),
                ("tomasz-k", "Then please the ring. And a test with returns at 0, 20 and 40 min."),
            ],
        )
        .thread(
            "src/dedup.rs",
            false,
            &[
                (
                    "jun-watanabe",
                    "`history.returns == 0 && history.last_seen == now` is how we detect that the \
                     entry is new? With a coarse clock two alerts in the same tick are both news.",
                ),
                ("mira-holm", "Fair, that is too clever. I will match on the `Entry`."),
            ],
        )
        .thread(
            "src/escalation.rs",
            true,
            &[
                ("octocat", "Does the console show `Reason::Flapping`? It falls back to \"New\"."),
                ("mira-holm", "It does since 8c1f; thanks for looking."),
            ],
        )
        .review_saying(
            "tomasz-k",
            "CHANGES_REQUESTED",
            "The idea is right and the replay test is lovely. Two things before this pages me at \
             night: returns have to age, and deploys need an answer.",
        )
}

const HAND_OVER: &str = "\
    Two daylight-saving mistakes in the hand-over of a shift are corrected: in autumn the shift \
    ended after the first of two identical hours, and in spring a time that does not exist was \
    shifted by the whole zone offset. The change is six lines in one function. The short \
    discussion is friendly and raises no objection; the code unwraps the spring case, which \
    nobody has commented on.";

pub(super) fn hand_over(now: DateTime<Utc>) -> Told {
    let pull_request = PullRequest::new(
        449,
        "Hand over after the second 02:30 when clocks go back",
    )
    .author("tomasz-k")
    .branch("dst-handover")
    .opened(now - Duration::days(2))
    .label("bug")
    .body(
        "Whoever hands over at 02:30 is off duty an hour early on the night in October, and \
             in March `from_utc_datetime` moved the hand-over by the whole offset. Ambiguous \
             times now mean the later one, missing times the next that exists.",
    )
    .comment("mira-holm", "Oslo, Lagos and Tokyo in one rotation, what could go wrong.")
    .review_saying("mira-holm", "APPROVED", "Six lines, two bugs. Thank you.")
    .comment("adaeze-o", "Lagos has no summer time, for once we are the simple ones.")
    .decision("APPROVED")
    .checks(14, 0, 0)
    .diff(patch::files(include_str!("diffs/449.diff")));
    Told { pull_request, prose: HAND_OVER }
}

const CRON: &str = "\
    The hand-written cron parser gives way to the crate croner, which also knows the last day of \
    the month and both numbers for Sunday. The catch found in the discussion: the new crate \
    combines day of month and day of week with OR where the old parser used AND, so 11 of 64 \
    rotations would silently mean something else. The author has the list of those rotations and \
    wants to write a migration after the daylight-saving fix.";

pub(super) fn cron(now: DateTime<Utc>) -> Told {
    let pull_request = PullRequest::new(427, "Replace the hand-written cron parser")
        .author("jun-watanabe")
        .branch("croner")
        .opened(now - Duration::days(16))
        .label("on-call schedule")
        .draft()
        .body(
            "Our parser does not know `L` and believes that Sunday is only ever 0. `croner` knows \
             both and is half the code. Draft because it skips hand-overs at times that do not \
             exist, see #449.",
        )
        .comment("tomasz-k", "Does it treat day-of-month *and* day-of-week as OR, as Vixie does?")
        .comment("jun-watanabe", "As OR by default, there is a switch for AND. Ours did AND.")
        .comment(
            "tomasz-k",
            "Then 11 of our 64 rotations change their meaning silently. Could you print them?",
        )
        .later(Duration::days(9))
        .comment("jun-watanabe", "I have the list. Waiting for #449, then I write the migration.")
        .checks(12, 0, 0)
        .diff(patch::files(include_str!("diffs/427.diff")));
    Told { pull_request, prose: CRON }
}

const OLD_GATEWAY: &str = "\
    The SMPP gateway, unused since the carrier switched it off in 2023, is deleted together with \
    its frame codec, and the HTTP text-message client moves out of the empty folder. Mira asked \
    whether the Lagos office still depends on it; it has not since January. Tomasz found that a \
    dependency believed to be SMPP's is also used by the e-mail templates, and the author put it \
    back in a later push.";

pub(super) fn old_gateway(now: DateTime<Utc>) -> Told {
    let pull_request = PullRequest::new(436, "Remove the SMPP gateway")
        .author("adaeze-o")
        .branch("no-smpp")
        .opened(now - Duration::days(8))
        .label("cleanup")
        .body(
            "The carrier switched SMPP off in 2023 and we have sent text messages by HTTP since. \
             The gateway is only ever built, never used. `http.rs` moves out of the folder that \
             nothing else is left in.",
        )
        .comment(
            "mira-holm",
            "Is the Lagos office not still on it? Their phones are on another carrier.",
        )
        .comment("adaeze-o", "I am the Lagos office :) We are on HTTP since January.")
        .thread(
            "Cargo.toml",
            true,
            &[
                (
                    "tomasz-k",
                    "`encoding_rs` is used by the e-mail templates too, CI only passes \
                  because reqwest pulls it in.",
                ),
                ("adaeze-o", "Good catch. Put back in the next push."),
            ],
        )
        .review_saying("tomasz-k", "CHANGES_REQUESTED", "Only the dependency.")
        .pushed(now - Duration::days(3))
        .comment("adaeze-o", "The dependency is back, with the right reason beside it.")
        .requests("tomasz-k")
        .decision("REVIEW_REQUIRED")
        .checks(14, 0, 0)
        .diff(patch::files(include_str!("diffs/436.diff")));
    Told { pull_request, prose: OLD_GATEWAY }
}
