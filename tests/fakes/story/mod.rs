//! The story: two weeks at Lighthouse Labs, whose service `beacon` pages whoever is on call.
//!
//! On the silent Sunday a database failed over forty-one times and beacon paged once, because
//! every return looked like a duplicate. Most of what is open is about that day: paging again
//! (#431), silences that were lost in a restart (#438), routes that nobody had written (#442).

mod community;
mod paging;
mod patch;
mod platform;

use chrono::{DateTime, Utc};

use super::{Person, PullRequest, Repository};

pub const OWNER: &str = "lighthouse-labs";
pub const NAME: &str = "beacon";

/// A pull request, and what the fake LLM says of it.
pub(super) struct Told {
    pull_request: PullRequest,
    prose: &'static str,
}

/// Whoever has a GitHub account that can be connected.
pub fn people() -> Vec<Person> {
    vec![
        Person::new(583_231, "octocat"),
        Person::new(7_240_118, "mira-holm"),
        Person::new(31_902_455, "tomasz-k"),
    ]
}

fn told(now: DateTime<Utc>) -> Vec<Told> {
    vec![
        paging::flapping(now),
        paging::hand_over(now),
        paging::cron(now),
        paging::old_gateway(now),
        platform::silences(now),
        platform::generated_routes(now),
        platform::webhooks(now),
        platform::tokio_update(now),
        platform::staging(now),
        community::escalation_chart(now),
        community::matrix(now),
        community::translations(now),
    ]
}

/// The repository as it stands now.
pub fn repository(now: DateTime<Utc>) -> Repository {
    let mut repository = Repository::new(OWNER, NAME)
        .formerly("lighthouse-labs/pager")
        .pull_requests(told(now).into_iter().map(|one| one.pull_request))
        // Done: these must not be listed.
        .pull_request(
            PullRequest::new(430, "Write the post-mortem of 14 September")
                .author("mira-holm")
                .opened(now - chrono::Duration::days(13))
                .comments(32)
                .state("MERGED"),
        )
        .pull_request(
            PullRequest::new(412, "Page everybody at once")
                .author("pelikan-dev")
                .opened(now - chrono::Duration::days(44))
                .comments(19)
                .state("CLOSED"),
        );
    "Pages whoever is on call, and nobody else.".clone_into(&mut repository.description);
    repository
}

/// Title and summary of each, for the fake LLM.
pub fn prose() -> Vec<(String, String)> {
    let all = told(DateTime::UNIX_EPOCH).into_iter();
    all.map(|one| (one.pull_request.title, one.prose.trim().replace('\n', " "))).collect()
}
