//! The ranking against brute force, over repositories of every size; and the old algorithm, which
//! must fail the same test.

use std::{sync::Arc, time::Duration};

use pr_summarizer::{
    domain::{RepositoryName, Secret, SystemEntropy, ranking::Order},
    upstream::{
        Call,
        github::{GitHub, GitHubTokenSettings, ListQuery},
        transport::{Transport, TransportSettings},
    },
};
use proptest::{prelude::*, test_runner::TestRunner};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::fakes::{PullRequest, Repository, World};

/// How many pull requests are looked at before a tie is cut, at least.
const LOOKED_AT: usize = 77;

/// What an algorithm answers.
struct Ranking {
    numbers: Vec<u64>,
    /// It warns that a tie went on beyond what it looked at.
    is_tie_cut: bool,
}

/// How much is said about each pull request; the index is its number less one.
fn discussions() -> impl Strategy<Value = Vec<usize>> {
    let few = 0..12_usize;
    prop_oneof![
        Just(Vec::new()),
        prop::collection::vec(few.clone(), 1..40),
        prop::collection::vec(few, 300..3_000),
        prop::collection::vec(0..400_usize, 300..3_000),
    ]
}

fn repository(discussions: &[usize]) -> Repository {
    let all = discussions.iter().enumerate().map(|(index, said)| {
        let number = index as u64 + 1;
        let half = said / 2;
        let on_lines = vec![("mira-holm", "On this line."); said - half];
        let told = PullRequest::new(number, &format!("Change {number}")).comments(half);
        if on_lines.is_empty() { told } else { told.thread("src/lib.rs", false, &on_lines) }
    });
    Repository::new("lighthouse-labs", "generated").pull_requests(all)
}

/// By the published definition, over everything there is.
fn brute_force(discussions: &[usize], limit: usize) -> Vec<u64> {
    let mut all: Vec<(usize, u64)> =
        discussions.iter().enumerate().map(|(index, said)| (*said, index as u64 + 1)).collect();
    all.sort_by(|a, b| b.cmp(a));
    all.into_iter().take(limit).map(|(_, number)| number).collect()
}

fn github(world: &World) -> GitHub {
    let transport = Transport::new(TransportSettings::default(), Arc::new(SystemEntropy)).unwrap();
    let settings = GitHubTokenSettings {
        api_url: world.github.url().parse().unwrap(),
        token: Secret::from(world.github.token_of("octocat")),
    };
    GitHub::with_token(settings, transport)
}

async fn ours(github: &GitHub, limit: usize) -> Ranking {
    let query = ListQuery {
        repository: RepositoryName::new("lighthouse-labs", "generated").unwrap(),
        limit,
        order: Order::MostDiscussed,
        exclude_drafts: false,
        exclude_bots: false,
        author: None,
        label: None,
        base: None,
    };
    let call = Call::within(Duration::from_secs(30));
    let list = github.choose(&query, &call).await.unwrap();
    Ranking {
        numbers: list.pull_requests.iter().map(|one| one.number).collect(),
        is_tie_cut: list.warnings.iter().any(|warning| warning.contains("tie")),
    }
}

/// Sorts the list endpoint's items by fields that they do not have.
async fn the_old_way(world: &World, limit: usize) -> Ranking {
    let url = format!("{}/repos/lighthouse-labs/generated/pulls?state=open", world.github.url());
    let http = reqwest::Client::builder().no_proxy().user_agent("seed").build().unwrap();
    let token = world.github.token_of("octocat");
    let listed: Value =
        http.get(url).bearer_auth(token).send().await.unwrap().json().await.unwrap();
    let mut items = listed.as_array().unwrap().clone();
    items.sort_by(|a, b| {
        let said = |item: &Value| {
            item["comments"].as_f64().unwrap_or(f64::NAN)
                + item["review_comments"].as_f64().unwrap_or(f64::NAN)
        };
        said(b).partial_cmp(&said(a)).unwrap_or(std::cmp::Ordering::Equal)
    });
    let numbers = items.iter().take(limit).map(|item| item["number"].as_u64().unwrap()).collect();
    Ranking { numbers, is_tie_cut: false }
}

fn check(
    cases: u32,
    rank: impl Fn(&Runtime, &World, usize) -> Ranking,
) -> Result<(), proptest::test_runner::TestError<(Vec<usize>, usize)>> {
    let runtime = Runtime::new().unwrap();
    let world = runtime.block_on(
        World::builder()
            .repositories(vec![Repository::new("lighthouse-labs", "generated")])
            .start(),
    );
    let config = ProptestConfig {
        cases,
        failure_persistence: None,
        max_shrink_iters: 20,
        ..ProptestConfig::default()
    };
    TestRunner::new_with_rng(
        config,
        proptest::test_runner::TestRng::deterministic_rng(
            proptest::test_runner::RngAlgorithm::ChaCha,
        ),
    )
    .run(&(discussions(), 1..=20_usize), |(discussions, limit)| {
        world.github.update(|state| state.repositories[0] = repository(&discussions));
        let (ranking, expected) = (rank(&runtime, &world, limit), brute_force(&discussions, limit));
        if !ranking.is_tie_cut {
            prop_assert_eq!(ranking.numbers, expected);
            return Ok(());
        }
        // Too many tie to be looked at: which of those are listed is open, nothing else.
        let said = |numbers: &[u64]| -> Vec<usize> {
            numbers
                .iter()
                .map(|number| discussions[usize::try_from(*number).unwrap() - 1])
                .collect()
        };
        prop_assert_eq!(said(&ranking.numbers), said(&expected));
        let last = *said(&expected).last().unwrap();
        let tied = discussions.iter().filter(|said| **said == last).count();
        prop_assert!(tied > LOOKED_AT - limit, "{tied} tie, and that is said to be too many");
        Ok(())
    })
}

#[test]
fn the_ranking_equals_brute_force() {
    check(24, |runtime, world, limit| runtime.block_on(ours(&github(world), limit))).unwrap();
}

#[test]
fn the_old_algorithm_fails_the_same_test() {
    let verdict = check(24, |runtime, world, limit| runtime.block_on(the_old_way(world, limit)));
    assert!(verdict.is_err(), "sorting by absent fields must not pass");
}

/// For the check of every document against GitHub's published schema (`.ci/run clients`).
#[test]
fn the_graphql_documents_are_written_out() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .unwrap()
        .join("graphql-documents");
    std::fs::create_dir_all(&folder).unwrap();
    let documents = pr_summarizer::upstream::github::documents();
    assert!(documents.len() >= 3);
    for (name, document) in documents {
        std::fs::write(folder.join(format!("{name}.graphql")), document).unwrap();
    }
}
