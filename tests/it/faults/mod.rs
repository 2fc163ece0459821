//! Every fault on every request to an upstream: the right answer or the designed failure, within
//! the deadline, at a bounded price. `cargo test --test it faults -- --nocapture` prints the table.

mod asked;
mod kind;
mod outages;

use std::time::Duration;

use futures_util::{StreamExt as _, stream};

use asked::{Asked, DEADLINE, Outcome, Stage};
use kind::{Kind, expected};

/// How much later than the deadline an answer may come: two cores are shared with other tests.
const SLACK: Duration = Duration::from_millis(700);

/// Kinds of requests that are tried at the same time.
const AT_ONCE: usize = 11;

/// How often a wrong outcome is tried again, with nothing else going on here.
const TRIES_ALONE: usize = 2;

/// Every fault on one kind of request, in a world of its own.
async fn column(asked: Asked) -> Vec<(Kind, Outcome)> {
    let stage = Stage::start().await;
    let mut outcomes = Vec::new();
    for kind in Kind::ALL {
        if !kind.applies_to(asked) {
            continue;
        }
        outcomes.push((kind, tried(&stage, asked, kind).await));
    }
    outcomes
}

async fn tried(stage: &Stage, asked: Asked, kind: Kind) -> Outcome {
    let outcome = stage.ask(asked, || kind.happen(stage, asked)).await;
    stage.traffic(asked).heal();
    if matches!(kind, Kind::HungUp | Kind::Refused) {
        stage.door(asked).open().await;
    }
    outcome
}

/// What is wrong with an outcome, if anything.
fn complaint(asked: Asked, kind: Kind, outcome: &Outcome) -> Option<String> {
    let right = expected(kind, asked);
    let wait = outcome.retry_after.map(|wait| wait.as_secs());
    let is_right = outcome.word == right.word
        && outcome.requests <= right.requests
        && outcome.time <= DEADLINE + SLACK
        && (right.retry_after.is_none() || wait == right.retry_after);
    (!is_right).then(|| format!("{asked:?}, {}: {outcome:?}, not {right:?}", kind.words()))
}

fn cell(outcome: &Outcome) -> String {
    let wait = outcome.retry_after.map(|wait| format!(" (in {} s)", wait.as_secs()));
    let (word, millis) = (&outcome.word, outcome.time.as_millis());
    format!("{word}{} {millis} ms ×{}", wait.unwrap_or_default(), outcome.requests)
}

fn print(columns: &[(Asked, Vec<(Kind, Outcome)>)]) {
    let names: Vec<String> = columns.iter().map(|(asked, _)| format!("{asked:?}")).collect();
    println!("\n| fault | {} |\n|{}", names.join(" | "), " --- |".repeat(names.len() + 1));
    for kind in Kind::ALL {
        let cells = columns.iter().map(|(_, outcomes)| {
            let found = outcomes.iter().find(|(one, _)| *one == kind);
            found.map_or_else(|| "–".to_owned(), |(_, outcome)| cell(outcome))
        });
        println!("| {} | {} |", kind.words(), cells.collect::<Vec<_>>().join(" | "));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_on_every_request_ends_as_designed() {
    let (mut complaints, mut cells) = (Vec::new(), 0);
    let groups = [&Asked::SCALEKIT[..], &Asked::PROXY, &Asked::DIRECT, &Asked::WHOLE];
    let all = groups.iter().copied().flatten();
    let running = all.map(|asked| async { tokio::spawn(column(*asked)).await.unwrap() });
    let mut outcomes: Vec<_> = stream::iter(running).buffered(AT_ONCE).collect().await;
    // On a busy machine a good answer may come too late. Alone it does not, or not always.
    let mut again = 0;
    for (asked, outcomes) in groups.iter().copied().flatten().zip(&mut outcomes) {
        for (kind, outcome) in outcomes {
            for _ in 0..TRIES_ALONE {
                if complaint(*asked, *kind, outcome).is_some() {
                    *outcome = tried(&Stage::start().await, *asked, *kind).await;
                    again += 1;
                }
            }
        }
    }
    let mut outcomes = outcomes.into_iter();
    for group in groups {
        let columns: Vec<_> = group.iter().copied().zip(outcomes.by_ref()).collect();
        print(&columns);
        for (asked, outcomes) in &columns {
            cells += outcomes.len();
            let wrong = outcomes.iter().filter_map(|(kind, one)| complaint(*asked, *kind, one));
            complaints.extend(wrong);
        }
    }
    println!("\n{cells} cells, {again} tried again, {} of them wrong", complaints.len());
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
    // Three cannot be cut off alone (two faults); eight know no GitHub that refuses them; one fault
    // is for two only.
    assert_eq!(cells, 21 * Kind::ALL.len() - 3 * 2 - 8 - 19, "a cell is missing");
}
