//! Whole outages: how much they are amplified, what still works, how soon they are over for us, and
//! that one person cannot make one.

use std::time::Duration;

use futures_util::{StreamExt as _, future::join_all, stream};
use pr_summarizer::upstream::transport::Call;
use serde_json::json;
use tokio::time::{Instant, interval};

use super::{
    asked::{Asked, DEADLINE, Stage, is_whole, limits},
    kind::Kind,
};
use crate::{
    fakes::{Behaviour, Browser, Fault, Match, PullRequest, Repository, World},
    support::{Agent, Server},
};

const CALLS: usize = 200;
const AT_MOST: f64 = 1.1;
const BACK_WITHIN: Duration = Duration::from_secs(5);
/// Outages at the same time.
const AT_ONCE: usize = 6;
/// How often one asks while waiting for the end.
const EVERY: Duration = Duration::from_millis(50);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    InTurn,
    AtOnce,
}

/// What one outage has cost.
struct Tally {
    asked: Asked,
    kind: Kind,
    manner: Manner,
    /// `None`: a refused connection is noticed by nobody.
    made: Option<usize>,
    answered: usize,
    recovery: Duration,
}

impl Tally {
    #[expect(clippy::cast_precision_loss, reason = "a few hundreds")]
    fn amplification(&self) -> Option<f64> {
        Some(self.made? as f64 / CALLS as f64)
    }

    fn print(&self) {
        let made = self.made.map_or_else(|| "–".to_owned(), |made| made.to_string());
        let by = self.amplification().map_or_else(|| "–".to_owned(), |by| format!("{by:.2}"));
        println!(
            "| {:?} | {} | {:?} | {CALLS} | {made} | {by} | {} ms |",
            self.asked,
            self.kind.words(),
            self.manner,
            self.recovery.as_millis()
        );
    }

    fn is_right(&self) -> bool {
        self.amplification().is_none_or(|by| by <= AT_MOST)
            && self.answered == 0
            && self.recovery <= BACK_WITHIN
    }
}

async fn outage(asked: Asked, kind: Kind, manner: Manner) -> Tally {
    let stage = Stage::start().await;
    let clients = stage.clients(asked, &limits());
    clients.with_token().await;
    // As in use: there are connections, and an answer has come.
    while clients.try_to(asked, &Call::within(DEADLINE)).await.is_err() {}
    stage.traffic(asked).clear_calls();
    let visits = stage.door(asked).visits();
    kind.happen(&stage, asked).await;

    let ask = |n: usize| {
        let (clients, person) = (&clients, format!("person {}", n % 7));
        async move { clients.try_to(asked, &Call::within(DEADLINE).asked_by(&person)).await.is_ok() }
    };
    let answered = match manner {
        Manner::AtOnce => join_all((0..CALLS).map(ask)).await,
        Manner::InTurn => stream::iter(0..CALLS).then(ask).collect().await,
    };
    let answered = answered.into_iter().filter(|is_answered| *is_answered).count();
    let made = match kind {
        Kind::Refused => None,
        Kind::HungUp => Some(stage.door(asked).visits() - visits),
        _ => Some(stage.traffic(asked).calls().len()),
    };

    stage.traffic(asked).heal();
    if matches!(kind, Kind::HungUp | Kind::Refused) {
        stage.door(asked).open().await;
    }
    let (back, mut again) = (Instant::now(), interval(EVERY));
    while clients.try_to(asked, &Call::within(DEADLINE)).await.is_err() {
        assert!(back.elapsed() < 6 * BACK_WITHIN, "{asked:?}, {}: never back", kind.words());
        again.tick().await;
    }
    Tally { asked, kind, manner, made, answered, recovery: back.elapsed() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_is_not_amplified_and_is_over_within_five_seconds() {
    let mut outages = Vec::new();
    for asked in [Asked::Status, Asked::User, Asked::List, Asked::Completion] {
        for kind in [Kind::Refused, Kind::HungUp, Kind::Silence, Kind::Error500, Kind::Error502] {
            outages.extend([Manner::InTurn, Manner::AtOnce].map(|manner| (asked, kind, manner)));
        }
    }
    let running = outages.into_iter().map(|(asked, kind, manner)| async move {
        tokio::spawn(outage(asked, kind, manner)).await.unwrap()
    });
    let mut tallies: Vec<Tally> = stream::iter(running).buffered(AT_ONCE).collect().await;
    // What came late on a busy machine is tried again alone.
    for tally in tallies.iter_mut().filter(|tally| !tally.is_right()) {
        tally.print();
        *tally = outage(tally.asked, tally.kind, tally.manner).await;
    }
    println!("\n| asked | outage | {CALLS} calls | wanted | made | amplification | back after |");
    println!("|{}", " --- |".repeat(7));
    tallies.iter().for_each(Tally::print);
    assert_eq!(tallies.len(), 40);
    assert!(tallies.iter().all(Tally::is_right), "see the table above");
}

async fn connected(server: &Server) -> Agent {
    let agent = server.agent().await;
    let link = agent.call("connect_github", json!({})).await.link();
    assert!(Browser::new().approve(link, "octocat").await.says("Connected as @octocat"));
    agent
}

/// The whole server while Scalekit is away: the status comes from the store, the summary says what
/// is the matter and when to come back, and works again soon after.
#[tokio::test]
async fn while_scalekit_is_away_the_server_says_so_at_once() {
    let server = Server::start().await;
    let agent = connected(&server).await;
    let scalekit = &server.world.scalekit;
    scalekit.inject(Match::any(), Fault::status(503), usize::MAX);
    scalekit.clear_calls();
    let repository = json!({ "repository": "lighthouse-labs/beacon" });
    let mut last = None;
    for _ in 0..12 {
        let answer = agent.call("summarize_prs", repository.clone()).await;
        assert_eq!(answer.code(), "github_unavailable", "{}", answer.text);
        last = Some(answer);
    }
    let last = last.unwrap();
    assert!(last.text.contains("not asked again so soon"), "{}", last.text);
    let wait = &last.raw["_meta"]["pr-summarizer/failure"]["retry_after_seconds"];
    assert!((1..=2).contains(&wait.as_u64().unwrap()), "{wait}");
    let asked = scalekit.calls().len();
    assert!(asked <= 13, "{asked} requests for 12 calls");

    let before = scalekit.calls().len();
    let status = agent.call("auth_status", json!({})).await;
    assert_eq!(status.status(), "connected", "{}", status.text);
    assert_eq!(scalekit.calls().len(), before, "the store knows");

    scalekit.heal();
    let (back, mut again) = (Instant::now(), interval(Duration::from_millis(250)));
    loop {
        let answer = agent.call("summarize_prs", repository.clone()).await;
        if !answer.is_error {
            assert_eq!(answer.data["complete"], true);
            break;
        }
        assert!(back.elapsed() < BACK_WITHIN, "{}", answer.text);
        again.tick().await;
    }
}

/// A repository whose every request fails, and an LLM that stumbles over its texts: its reader
/// waits, everybody else is served.
#[tokio::test]
async fn one_persons_repository_makes_no_outage() {
    let repository = |name: &str| {
        let pull = |number| {
            PullRequest::new(number, &format!("Change {number} of {name}")).comment("ada", "Why?")
        };
        Repository::new("octo", name).pull_requests((1..=5).map(pull))
    };
    let world = World::builder().repositories(vec![repository("poison"), repository("plain")]);
    let stage = Stage::before(world.start().await).await;
    let clients = stage.clients(Asked::WholeList, &limits());
    clients.with_token().await;
    let scalekit = &stage.world.scalekit;
    let names_poison = |call: &crate::fakes::Call| {
        call.path.contains("/octo/poison/") || call.json()["variables"]["name"] == "poison"
    };
    stage.world.llm.when(|prompt| prompt.user.contains("of poison"), Behaviour::Status(500));

    // First only what the LLM reads is poison, then every word of GitHub is.
    for spoils_github in [false, true] {
        if spoils_github {
            scalekit.inject(Match::new(names_poison), Fault::status(502), usize::MAX);
        }
        let mut refused = 0;
        for round in 0..8 {
            let call = Call::within(DEADLINE);
            let own = clients.summarize("ann", "octo/poison", &call).await;
            match own {
                Ok(digest) => assert!(!is_whole(&digest) && !spoils_github),
                Err(failure) => refused += usize::from(failure.detail.contains("so soon")),
            }
            let call = Call::within(DEADLINE);
            // A new one each time: nobody is answered from a few seconds ago.
            let bob = format!("bob {round} {spoils_github}");
            let other = clients.summarize(&bob, "octo/plain", &call).await;
            let other = other.unwrap_or_else(|failure| panic!("round {round}: {failure:?}"));
            assert!(is_whole(&other), "round {round}: {:?}", other.warnings);
        }
        // Bob's answers open the way for Ann again each time; alone she has to wait.
        let mut alone = 0;
        for _ in 0..8 {
            let failed = clients.summarize("ann", "octo/poison", &Call::within(DEADLINE)).await;
            alone += usize::from(failed.is_err_and(|failure| failure.detail.contains("so soon")));
        }
        assert_eq!(refused, 0);
        assert_eq!(alone > 0, spoils_github, "{alone} of Ann's calls");
    }
}
