//! Hostile pull requests: each payload in every field that a stranger writes, and out of the mouth
//! of an LLM that obeys it, through the real server.
//!
//! Nothing of it may reach a reader as a link, a mention or something unseen; and the pull requests
//! beside it must not change by a byte.

mod encodings;
mod oracle;
mod payloads;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Instant,
};

use pr_summarizer::domain::text;
use serde_json::{Value, json};

use self::{
    oracle::{Place, leaks},
    payloads::Payload,
};
use crate::{
    fakes::{Behaviour, Browser, FileChange, ProxyMode, PullRequest, Repository, World, story},
    support::{Agent, Answer, Server},
};

const OWNER: &str = "octo";
const NAME: &str = "hello";
/// Pull requests beside the poisoned ones; 20 go into a call.
const NEIGHBOURS: [u64; 2] = [900, 901];
/// The first poisoned pull request.
const FIRST: u64 = 1_000;
const POISONED_A_CALL: usize = 18;
/// A caller may ask only so often in a minute.
const BATCHES_A_PERSON: usize = 12;
/// Fields of the structured answer that hold a name by itself.
const NAMES: [&str; 4] = ["base", "labels", "path", "repository"];

fn neighbour(number: u64) -> PullRequest {
    PullRequest::new(number, &format!("Cache the answers of client {number}"))
        .body("Repeated requests went out again. This keeps the last 100 answers.")
        .comment("hubot", "Why 100, and not a size in bytes?")
        .thread("src/client.rs", false, &[("hubot", "Please test the eviction.")])
        .diff(vec![FileChange::modified("src/client.rs", "@@ 1\n context\n-old\n+new\n")])
}

/// The payload in every field of a pull request.
fn poisoned(number: u64, payload: &str) -> PullRequest {
    let line = payload.replace(['\n', '\r'], "\n+");
    PullRequest::new(number, payload)
        .body(&format!("{payload}\n\nFixes the cache. {payload} For everybody.\n{payload}"))
        .author(payload)
        .base(payload)
        .branch(payload)
        .label(payload)
        .label(&format!("kind {payload}"))
        .comment(payload, payload)
        .comment("hubot", &format!("I think so: {payload}"))
        .thread(payload, false, &[(payload, payload)])
        .review_saying(payload, "CHANGES_REQUESTED", payload)
        .review_saying("hubot", "APPROVED", payload)
        .requests(payload)
        .requests_team(payload)
        .diff(vec![
            FileChange::modified(
                "src/cache.rs",
                &format!("@@ 1 {line}\n context\n-old\n+{line}\n"),
            ),
            FileChange::added(payload, payload),
            FileChange::binary(
                &format!("{payload}/a.png"),
                crate::fakes::github::diff::Change::Added,
            ),
            FileChange::renamed("src/old.rs", &format!("docs/{payload}")),
        ])
}

/// What an obeying LLM writes about each: the payload itself, plain and within sentences.
fn said(payload: &str) -> String {
    format!(
        "It keeps more answers in the cache, {payload} and so on.\n{payload}\n\n{payload} It is small."
    )
}

/// The number that a prompt is about.
fn number_of(prompt: &str) -> Option<u64> {
    let (_, rest) = prompt.split_once(", pull request ")?;
    rest.split_once('.')?.0.parse().ok()
}

async fn connected(server: &Server) -> Agent {
    let agent = server.agent().await;
    let link = agent.call("connect_github", json!({})).await.link();
    assert!(Browser::new().approve(link, "octocat").await.says("Connected as @octocat"));
    agent
}

async fn server_with(pull_requests: Vec<PullRequest>, proxy: ProxyMode) -> Server {
    let repository = Repository::new(OWNER, NAME).pull_requests(pull_requests);
    let world =
        World::builder().people(story::people()).repositories(vec![repository]).proxy(proxy);
    Server::builder().world(world).start().await
}

async fn ask(agent: &Agent, numbers: &[u64], language: &str) -> Answer {
    let repository = format!("{OWNER}/{NAME}");
    let wanted = json!({ "repository": repository, "pull_requests": numbers, "language": language, "detail": "full" });
    let answer = agent.call("summarize_prs", wanted).await;
    assert!(!answer.is_error, "{}", answer.text);
    let read = answer.data["pull_requests"].as_array().unwrap().len();
    assert_eq!(read, numbers.len(), "{}", answer.data["warnings"]);
    answer
}

/// One pull request's part, as bytes.
fn digest(answer: &Answer, number: u64) -> String {
    let all = answer.data["pull_requests"].as_array().unwrap();
    all.iter().find(|one| one["number"] == number).unwrap().to_string()
}

/// The same in the answer's text.
fn paragraph(answer: &Answer, number: u64) -> String {
    let from = answer.text.find(&format!("## #{number} ")).expect("its heading");
    let rest = &answer.text[from..];
    let address = format!("/pull/{number}\n");
    rest[..rest.find(&address).expect("its address") + address.len()].to_owned()
}

/// Every text of a structured answer, with the name of its field.
fn texts(value: &Value, field: &str, found: &mut Vec<(String, String)>) {
    match value {
        Value::String(text) => found.push((field.to_owned(), text.clone())),
        Value::Array(all) => all.iter().for_each(|one| texts(one, field, found)),
        Value::Object(fields) => fields.iter().for_each(|(name, one)| texts(one, name, found)),
        _ => {}
    }
}

/// What of an answer some reader would follow or not see. The only addresses are the repository's
/// and the pull requests' own, alone in their field or on their line.
fn leaks_of(answer: &Answer, numbers: &[u64]) -> Vec<String> {
    let home = format!("https://github.com/{OWNER}/{NAME}");
    let own: BTreeSet<String> =
        numbers.iter().map(|n| format!("{home}/pull/{n}")).chain([home.clone()]).collect();
    let mut found = Vec::new();
    let mut fields = Vec::new();
    texts(&answer.data, "", &mut fields);
    for progress in &answer.progress {
        texts(&progress["params"]["message"], "progress", &mut fields);
    }
    assert!(fields.iter().any(|(name, _)| name == "progress"));
    let host = answer.data["llm_host"].as_str().expect("where text goes").to_owned();
    for (field, text) in fields {
        if field == "url" && own.contains(&text) || field == "llm_host" {
            continue;
        }
        let text = without_own(&text, numbers, &host);
        let place = if NAMES.contains(&field.as_str()) { Place::Name } else { Place::Prose };
        found.extend(
            leaks(&text, place).into_iter().map(|leak| format!("{leak} of {field} {text:?}")),
        );
    }
    for line in answer.text.lines().filter(|line| !own.contains(*line)) {
        let line = without_own(line, numbers, &host);
        found.extend(
            leaks(&line, Place::Prose)
                .into_iter()
                .map(|leak| format!("{leak} of the text {line:?}")),
        );
    }
    found
}

/// A line without what we write ourselves: the pull request's own number at its beginning, and the
/// LLM's host where it is said that text goes there.
fn without_own(line: &str, numbers: &[u64], host: &str) -> String {
    let begins = ["## ", "Note: \\"].into_iter().find(|begin| line.starts_with(begin));
    let (heading, rest) = begins.map_or(("", line), |begin| line.split_at(begin.len()));
    let own = numbers.iter().map(|number| format!("#{number}"));
    let rest = own
        .filter_map(|own| rest.strip_prefix(&own))
        .find(|rest| rest.starts_with([' ', ':']))
        .unwrap_or(rest);
    let told = format!("was sent to {host} to be summarized.");
    format!("{heading}{}", rest.replace(&told, ""))
}

/// Says one of each kind.
fn assert_none(found: &[String]) {
    let kinds: BTreeMap<&str, &String> = found
        .iter()
        .map(|leak| (leak.split_once(" of ").expect("a leak and its payload").0, leak))
        .collect();
    let kinds: Vec<&str> = kinds.into_values().map(String::as_str).collect();
    assert!(found.is_empty(), "{} leaks, such as\n{}", found.len(), kinds.join("\n"));
}

/// The neighbours alone: first written, then as they were written.
struct Baseline {
    digests: BTreeMap<(String, bool, u64), String>,
}

const SAYS_PAYLOAD: &str = "English";
const SAYS_PROMPT: &str = "German";

impl Baseline {
    async fn take(proxy: ProxyMode) -> Self {
        let server = server_with(NEIGHBOURS.map(neighbour).to_vec(), proxy).await;
        let agent = connected(&server).await;
        let mut digests = BTreeMap::new();
        for language in [SAYS_PAYLOAD, SAYS_PROMPT] {
            for is_first in [true, false] {
                let answer = ask(&agent, &NEIGHBOURS, language).await;
                for number in NEIGHBOURS {
                    let parts = digest(&answer, number) + &paragraph(&answer, number);
                    digests.insert((language.to_owned(), is_first, number), parts);
                }
            }
        }
        Self { digests }
    }

    fn compare(&self, answer: &Answer, language: &str, is_first: bool) {
        for number in NEIGHBOURS {
            let parts = digest(answer, number) + &paragraph(answer, number);
            assert_eq!(self.digests[&(language.to_owned(), is_first, number)], parts);
        }
    }
}

/// An LLM that obeys the poisoned: says their payload, or repeats what it was shown.
fn obey(server: &Server, batch: &BTreeMap<u64, Payload>) {
    let said: BTreeMap<u64, String> =
        batch.iter().map(|(number, payload)| (*number, said(&payload.text))).collect();
    let numbers: BTreeSet<u64> = batch.keys().copied().collect();
    let is_poisoned = move |prompt: &crate::fakes::llm::Prompt| {
        number_of(&prompt.user).is_some_and(|number| numbers.contains(&number))
    };
    server.world.llm.when(
        is_poisoned,
        Behaviour::Saying(Arc::new(move |prompt| {
            if prompt.system.contains(SAYS_PROMPT) {
                // Without the marks, by which a repeated prompt is known.
                let lines = prompt.user.lines().filter(|line| !line.contains("data-"));
                return lines.collect::<Vec<_>>().join("\n");
            }
            said[&number_of(&prompt.user).expect("asked for")].clone()
        })),
    );
}

#[tokio::test]
async fn no_payload_reaches_a_reader_and_no_neighbour_changes() {
    let payloads = payloads::all();
    assert!(payloads.len() >= 500, "{}", payloads.len());
    attack(payloads, ProxyMode::Enabled, "none").await;
}

/// The other way to GitHub's texts, with a tenth of the payloads: each needs seven requests.
#[tokio::test]
async fn no_payload_passes_by_the_tools_either() {
    let payloads = payloads::all().into_iter().step_by(10).collect();
    attack(payloads, ProxyMode::Disabled, "unknown").await;
}

/// Has each payload in every field, said by an LLM that obeys; `decision` is what review is said to
/// have decided where nothing is required.
async fn attack(payloads: Vec<Payload>, proxy: ProxyMode, decision: &str) {
    let started = Instant::now();
    let baseline = Baseline::take(proxy).await;
    let server = server_with(Vec::new(), proxy).await;
    let mut agent = connected(&server).await;
    let (mut batches, mut calls, mut found) = (0, 0, Vec::new());
    let (mut next_number, mut written) = (FIRST, 0);
    for batch in payloads.chunks(POISONED_A_CALL) {
        let batch: BTreeMap<u64, Payload> = (next_number..).zip(batch.iter().cloned()).collect();
        next_number += POISONED_A_CALL as u64;
        server.world.github.update(|state| {
            let poisoned = batch.iter().map(|(number, payload)| poisoned(*number, &payload.text));
            state.repositories[0].pull_requests =
                poisoned.chain(NEIGHBOURS.map(neighbour)).collect();
        });
        obey(&server, &batch);
        let numbers: Vec<u64> = batch.keys().copied().chain(NEIGHBOURS).collect();
        if batches % BATCHES_A_PERSON == BATCHES_A_PERSON - 1 {
            agent = connected(&server).await;
        }
        // Each third batch also by an LLM that repeats all it was shown.
        let languages =
            if batches % 3 == 0 { &[SAYS_PAYLOAD, SAYS_PROMPT][..] } else { &[SAYS_PAYLOAD] };
        batches += 1;
        for &language in languages {
            let is_first = next_number == FIRST + POISONED_A_CALL as u64;
            let answer = ask(&agent, &numbers, language).await;
            found.extend(leaks_of(&answer, &numbers));
            baseline.compare(&answer, language, is_first);
            for one in answer.data["pull_requests"].as_array().unwrap() {
                // What strangers write is no fact.
                assert!(
                    NEIGHBOURS.map(Value::from).contains(&one["number"]) || {
                        one["facts"]["checks"]["state"] == "none"
                            && one["stage"] != "ready"
                            && one["facts"]["review_decision"] == decision
                    }
                );
                written += usize::from(one["summary_status"] == "written");
            }
            calls += 1;
        }
    }
    println!(
        "{} payloads in every field, {calls} calls, {written} summaries by an obeying LLM, {:?}: \
         {} leaks",
        payloads.len(),
        started.elapsed(),
        found.len(),
    );
    assert!(written > payloads.len(), "the payloads never came to the filter: {written}");
    assert_none(&found);
}

#[test]
fn the_filter_is_idempotent_and_finds_every_payload() {
    let mut found = Vec::new();
    for Payload { name, text: payload } in payloads::all() {
        for (clean, place) in [
            (text::prose as fn(&str, usize) -> String, Place::Prose),
            (text::title, Place::Prose),
            (text::name, Place::Name),
        ] {
            for (around, room) in
                [(payload.clone(), 40), (said(&payload), 4_000), (format!("x{payload}y"), 400)]
            {
                let once = clean(&around, room);
                assert_eq!(clean(&once, room), once, "{name}: {around:?}");
                let leaks = leaks(&once, place).into_iter();
                found.extend(leaks.map(|leak| format!("{leak} of {name} {payload:?} in {once:?}")));
            }
        }
    }
    assert_none(&found);
}
