//! The access rule, by chance: people, repositories and revocations in any order. An answer holds
//! only what this person's own first call returned, at most 15 s ago.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use pr_summarizer::{
    domain::{
        FailureCode, ManualClock, RepositoryReference, SystemEntropy, digest::Detail,
        ranking::Order,
    },
    summarize::{Caller, Ending, Request, SummarizeSettings, Summarizer, render::render},
    upstream::{
        github::{GitHub, GitHubTokenSettings},
        llm::{Llm, LlmSettings},
        transport::{Call, Transport, TransportSettings},
    },
};
use proptest::prelude::*;

use crate::fakes::{FakeLlm, FileChange, Person, PullRequest, Repository, World};

const PEOPLE: usize = 4;
const REPOSITORIES: usize = 3;
const OWNER: &str = "octo";

/// One thing that happens; the numbers are of people and repositories.
#[derive(Debug, Clone, Copy)]
enum Step {
    Ask(usize, usize),
    AskTogether(usize),
    Grant(usize, usize),
    Revoke(usize, usize),
    Push(usize),
    Say(usize),
    Wait(i64),
    Forget(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let (person, repository) = (0..PEOPLE, 0..REPOSITORIES);
    prop_oneof![
        8 => (person.clone(), repository.clone()).prop_map(|(p, r)| Step::Ask(p, r)),
        1 => repository.clone().prop_map(Step::AskTogether),
        4 => (person.clone(), repository.clone()).prop_map(|(p, r)| Step::Grant(p, r)),
        3 => (person.clone(), repository.clone()).prop_map(|(p, r)| Step::Revoke(p, r)),
        2 => repository.clone().prop_map(Step::Push),
        1 => repository.prop_map(Step::Say),
        3 => (1_i64..20).prop_map(Step::Wait),
        1 => person.prop_map(Step::Forget),
    ]
}

fn name(repository: usize) -> String {
    format!("{OWNER}/aviary{repository}")
}

/// Whether this person may read this repository before anything happens.
fn at_first(person: usize, repository: usize) -> bool {
    (person + repository).is_multiple_of(2)
}

/// The word that tells which repository a text is from, and of which state of it.
fn canary(repository: usize, version: u32) -> String {
    format!("canary{repository}v{version}x")
}

/// The repositories and states that a text has words of.
fn canaries(text: &str) -> impl Iterator<Item = (&str, u32)> {
    text.split(|c: char| !c.is_ascii_alphanumeric()).filter_map(|word| {
        let (of, state) = word.strip_prefix("canary")?.split_once('v')?;
        Some((of, state.strip_suffix('x')?.parse().ok()?))
    })
}

/// What is everywhere in this state of the repository.
fn sing(pull: &mut PullRequest, repository: usize, version: u32) {
    let canary = canary(repository, version);
    pull.title = format!("Teach {canary} to sing");
    pull.body = format!("The {canary} was silent.");
    pull.labels = vec![canary.clone()];
    let file = FileChange::added(&format!("{canary}.rs"), &format!("fn {canary}() {{}}\n"));
    pull.push(pull.updated_at + chrono::Duration::minutes(1), vec![file]);
}

/// The people's rights and the repositories' states as they should be.
struct Model {
    world: World,
    clock: ManualClock,
    summarizer: Summarizer,
    people: Vec<(Caller, GitHub)>,
    versions: Vec<u32>,
    rights: Vec<Vec<bool>>,
    /// For each person and repository: in which second the last first call was made, and the state
    /// it saw.
    seen: BTreeMap<(usize, usize), (i64, u32)>,
    second: i64,
    served: (u32, u32),
}

impl Model {
    async fn new() -> Self {
        let clock = ManualClock::new(chrono::DateTime::from_timestamp(1_770_000_000, 0).unwrap());
        let repositories = (0..REPOSITORIES).map(|number| {
            let mut pull = PullRequest::new(1, "").comment("somebody", "Louder.");
            sing(&mut pull, number, 0);
            let mut one =
                Repository::new(OWNER, &format!("aviary{number}")).private().pull_request(pull);
            one.id = 900 + number as u64;
            one
        });
        let people = (0..PEOPLE).map(|number| {
            let person = Person::new(number as u64 + 1, &format!("p{number}"));
            let mine = (0..REPOSITORIES).filter(|repository| at_first(number, *repository));
            mine.fold(person, |person, repository| person.reads(&name(repository)))
        });
        let world = World::builder()
            .people(people.collect())
            .repositories(repositories.collect())
            .clock(Arc::new(clock.clone()));
        let world = world.start().await;
        let transport = Transport::new(TransportSettings::default(), Arc::new(SystemEntropy));
        let transport = transport.unwrap();
        let people = (0..PEOPLE).map(|number| {
            let api_url = world.github.url().parse().unwrap();
            let token = world.github.token_of(&format!("p{number}")).into();
            let settings = GitHubTokenSettings { api_url, token };
            let github = GitHub::with_token(settings, transport.clone());
            (Caller::named(&number.to_string()), github)
        });
        let people = people.collect();
        let llm = LlmSettings {
            base_url: Some(world.llm.url().parse().unwrap()),
            api_key: Some(FakeLlm::API_KEY.into()),
            model: "small".to_owned(),
            answer_timeout: Duration::from_secs(10),
        };
        let llm = Llm::new(llm, Arc::new(SystemEntropy)).unwrap();
        let mut settings = SummarizeSettings::default();
        settings.governor.calls_per_minute = 10_000;
        let (clock_of_it, ending) = (Arc::new(clock.clone()), Ending::default());
        let summarizer = Summarizer::new(settings, Some(llm), clock_of_it, ending);
        Self {
            world,
            clock,
            summarizer,
            people,
            versions: vec![0; REPOSITORIES],
            rights: (0..PEOPLE)
                .map(|person| (0..REPOSITORIES).map(|r| at_first(person, r)).collect())
                .collect(),
            seen: BTreeMap::new(),
            second: 0,
            served: (0, 0),
        }
    }

    async fn take(&mut self, step: Step) {
        match step {
            Step::Ask(person, repository) => {
                let answer = self.ask(person, repository).await;
                self.judge(person, repository, answer);
            }
            Step::AskTogether(repository) => {
                let asking = (0..PEOPLE).map(|person| self.ask(person, repository));
                let answers = futures_util::future::join_all(asking).await;
                for (person, answer) in answers.into_iter().enumerate() {
                    self.judge(person, repository, answer);
                }
            }
            Step::Grant(person, repository) => self.change_right(person, repository, true),
            Step::Revoke(person, repository) => self.change_right(person, repository, false),
            Step::Push(repository) | Step::Say(repository) => {
                self.versions[repository] += 1;
                let version = self.versions[repository];
                self.world.github.update(|state| {
                    let pull = state.repositories[repository].change(1);
                    if matches!(step, Step::Push(_)) {
                        sing(pull, repository, version);
                    } else {
                        let at = pull.updated_at + chrono::Duration::minutes(1);
                        pull.title = format!("Teach {} to sing", canary(repository, version));
                        pull.say(
                            at,
                            "somebody",
                            &format!("Louder, {}.", canary(repository, version)),
                        );
                    }
                });
            }
            Step::Wait(seconds) => {
                self.second += seconds;
                self.clock.advance(chrono::Duration::seconds(seconds));
            }
            Step::Forget(person) => {
                self.summarizer.forget(&self.people[person].0);
                self.seen.retain(|(who, _), _| *who != person);
            }
        }
    }

    fn change_right(&mut self, person: usize, repository: usize, may: bool) {
        self.rights[person][repository] = may;
        self.world.github.update(|state| {
            let reads = &mut state.people[person].reads;
            if may {
                reads.insert(name(repository))
            } else {
                reads.remove(&name(repository))
            };
        });
    }

    async fn ask(&self, person: usize, repository: usize) -> Option<String> {
        let request = Request {
            repository: RepositoryReference::parse(&name(repository)).unwrap(),
            limit: 5,
            pull_requests: Vec::new(),
            order: Order::MostDiscussed,
            exclude_drafts: false,
            exclude_bots: false,
            author: None,
            label: None,
            base: None,
            language: None,
            detail: Detail::Concise,
        };
        let (caller, github) = &self.people[person];
        let call = Call::within(Duration::from_secs(20));
        let made = self.summarizer.summarize(caller, github, &request, &(), &call).await;
        match made {
            Ok(digest) => {
                Some(format!("{}\n{}", render(&digest), serde_json::to_string(&digest).unwrap()))
            }
            Err(failure) => {
                assert_eq!(failure.code, FailureCode::RepositoryNotFound, "{failure:?}");
                None
            }
        }
    }

    /// What the LLM was told of one pull request is of one repository.
    fn judge_prompts(&self) {
        for prompt in self.world.llm.prompts() {
            let of: BTreeSet<&str> = canaries(&prompt.user).map(|(of, _)| of).collect();
            assert_eq!(of.len(), 1, "{}", prompt.user);
        }
    }

    /// Holds the answer against the rights and states as they are, or were for this person.
    fn judge(&mut self, person: usize, repository: usize, answer: Option<String>) {
        let key = (person, repository);
        let fresh = self.seen.get(&key).filter(|(second, _)| self.second - second <= 15).copied();
        if fresh.is_none() && self.rights[person][repository] {
            self.seen.insert(key, (self.second, self.versions[repository]));
        }
        let expected = match fresh {
            Some((_, version)) => Some(version),
            None => self.rights[person][repository].then(|| self.versions[repository]),
        };
        let told = answer.is_some();
        assert_eq!(told, expected.is_some(), "person {person}, repository {repository}");
        let (Some(answer), Some(version)) = (answer, expected) else {
            self.served.1 += 1;
            return;
        };
        self.served.0 += 1;
        let mine = canary(repository, version);
        assert!(answer.contains(&mine), "{mine}: {answer}");
        // Labels and files keep the name of the last push; no other repository's is ever there.
        for (of, state) in canaries(&answer) {
            assert_eq!(of, repository.to_string(), "{answer}");
            assert!(state <= version, "{state} is newer than what this person saw: {answer}");
        }
    }
}

#[test]
fn an_answer_holds_only_what_this_persons_own_first_call_returned() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 25,
        max_shrink_iters: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let served = std::cell::Cell::new((0, 0));
    let outcome = runner.run(&prop::collection::vec(step(), 10..60), |steps| {
        let told = runtime.block_on(async {
            let mut model = Model::new().await;
            for step in steps {
                model.take(step).await;
            }
            model.judge_prompts();
            model.served
        });
        served.set((served.get().0 + told.0, served.get().1 + told.1));
        Ok(())
    });
    outcome.unwrap();
    let (answers, refusals) = served.get();
    println!("{answers} answers, {refusals} refusals");
    assert!(answers > 100 && refusals > 100, "{answers} answers, {refusals} refusals");
}
