//! What people see of beacon, and what people outside bring.

use chrono::{DateTime, Duration, Utc};

use super::{Told, patch};
use crate::fakes::PullRequest;

const ESCALATION_CHART: &str = "\
    The console's team page shows the escalation policy as bars whose width is the wait before \
    the next person is paged, with the current step marked and a stacked layout on phones. Waits \
    become seconds in the type, following an earlier change of the client. Reviewers looked at \
    accessibility: the duration was added to the text because width alone says nothing to a \
    screen reader, and very short steps keep a visible minimum. No request is left open.";

pub(super) fn escalation_chart(now: DateTime<Utc>) -> Told {
    let pull_request = PullRequest::new(440, "Show the escalation policy as a chart")
        .author("octocat")
        .branch("escalation-chart")
        .opened(now - Duration::days(6))
        .label("console")
        .label("accessibility")
        .body(
            "The team page printed the policy as JSON. Now it is a row of bars, as wide as the \
             wait before the next person is paged, with the current step marked. On a phone the \
             bars stand below each other. Screenshots of both themes are in the diff.",
        )
        .comment(
            "tomasz-k",
            "On the Sunday I asked three people who comes after me. This would have told me.",
        )
        .thread(
            "web/src/escalation/EscalationChart.tsx",
            true,
            &[
                (
                    "jun-watanabe",
                    "A screen reader reads the bars in order but not how long each waits, as the \
                     width says it alone.",
                ),
                ("octocat", "The duration is in the text now, and the step has `aria-current`."),
            ],
        )
        .thread(
            "web/src/escalation/steps.ts",
            true,
            &[
                ("mira-holm", "`wait: string` was \"5m\" from the API. Who converts?"),
                ("octocat", "The client does since #429; the old field is gone there too."),
            ],
        )
        .pushed(now - Duration::days(3))
        .review_saying("jun-watanabe", "APPROVED", "Tried it with VoiceOver. Very nice.")
        .review("mira-holm", "APPROVED")
        .comment("mira-holm", "The dark screenshot is going on the wall.")
        .comment("adaeze-o", "Steps of zero seconds were invisible; I see you gave them 5 %. 👍")
        .decision("APPROVED")
        .checks(16, 0, 0)
        .diff(patch::files(include_str!("diffs/440.diff")));
    Told { pull_request, prose: ESCALATION_CHART }
}

const MATRIX: &str = "\
    A contributor from outside adds a Python plugin that sends notifications to Matrix rooms and \
    uses the alert's id as transaction id, so that retries are harmless. Tomasz wants the access \
    token kept out of the object's printed form, because targets are logged at start-up, and Jun \
    notes that the plugin brings a second HTTP client. The author asked twice which way to store \
    the token and offered to maintain the plugin and lend a test room; nobody has answered.";

pub(super) fn matrix(now: DateTime<Utc>) -> Told {
    let pull_request = PullRequest::new(399, "Support Matrix rooms as a notification target")
        .author("pelikan-dev")
        .forked_by("pelikan-dev")
        .branch("matrix")
        .opened(now - Duration::days(52))
        .label("plugin")
        .label("help wanted")
        .body(
            "Our hackerspace pages itself with beacon and talks on Matrix. This is a plugin in \
             Python, so that the core stays as it is. The alert's id is the transaction id: a \
             retry is dropped by the server.",
        )
        .comment("mira-holm", "Welcome, and what a tidy first contribution!")
        .comment(
            "tomasz-k",
            "Who maintains it when Matrix changes? We have no room to test against.",
        )
        .comment("pelikan-dev", "I would. We can also lend you a room on our server.")
        .thread(
            "plugins/matrix/beacon_matrix/__init__.py",
            false,
            &[
                (
                    "tomasz-k",
                    "The access token sits in the room's `repr`, and beacon logs targets at \
                     start-up. Please keep it out of the dataclass's fields that are printed.",
                ),
                (
                    "pelikan-dev",
                    "`field(repr=False)` then? Or should plugins get their secrets from you?",
                ),
            ],
        )
        .thread(
            "plugins/matrix/pyproject.toml",
            false,
            &[(
                "jun-watanabe",
                "httpx is one more HTTP client in the image; the Slack plugin uses aiohttp.",
            )],
        )
        .later(Duration::days(9))
        .comment("pelikan-dev", "Gentle ping: which of the two for the token? I do either.")
        .later(Duration::days(3))
        .comment("pelikan-dev", "Still here :) Tell me if you would rather not have it.")
        .decision("REVIEW_REQUIRED")
        .requests_team("plugins")
        .checks(8, 0, 0)
        .diff(patch::files(include_str!("diffs/399.diff")));
    Told { pull_request, prose: MATRIX }
}

const TRANSLATIONS: &str = "\
    Page templates in German and Japanese are added and chosen by the reader's language, with \
    English as the fallback. The template variables are translated too, which Adaeze would \
    rather not have because they cannot be searched for, and the template linter does not accept \
    them. Octocat asks that a regional tag such as de-AT finds the German text instead of \
    falling back to English.";

pub(super) fn translations(now: DateTime<Utc>) -> Told {
    let pull_request = PullRequest::new(447, "Übersetzungen: pages in German and Japanese 🇩🇪 🇯🇵")
        .author("jun-watanabe")
        .branch("übersetzungen")
        .opened(now - Duration::days(3))
        .label("templates")
        .label("i18n: 日本語")
        .body(
            "Pages in the reader's language. 渡辺さん has read the Japanese text, Jörg Müßig the \
             German one. The names of the variables are translated as well, as the template engine \
             allows it.",
        )
        .comment(
            "adaeze-o",
            "Could the variables stay English? I can translate „Frist“ but not search for it.",
        )
        .comment(
            "jun-watanabe",
            "Fair. The linter does not like them either: 期限 is not \\w there.",
        )
        .thread(
            "src/template.rs",
            false,
            &[("octocat", "`de-AT` finds nothing and falls back to English. Strip the region?")],
        )
        .decision("REVIEW_REQUIRED")
        .checks(11, 2, 0)
        .diff(patch::files(include_str!("diffs/447.diff")));
    Told { pull_request, prose: TRANSLATIONS }
}
