//! What an answer costs: calls of GitHub, calls of the LLM, and tokens of whoever reads it.

use chrono::Duration;
use serde_json::{Value, json};

use crate::{
    fakes::{
        Behaviour, Browser, FileChange, Person, PullRequest, Repository, World, WorldBuilder,
        github::model::Review,
    },
    support::{Agent, Answer, Server},
};

/// Five pull requests that each say and change something of their own.
fn hive() -> Repository {
    Repository::new("octo", "hive").pull_requests((1..=5).map(|number| {
        PullRequest::new(number, &format!("Feed the bees of row {number}"))
            .body("They were hungry.")
            .label("bees")
            .comment("mira-holm", &format!("Is {number} g enough?"))
            .checks(3, 0, 0)
            .diff(vec![FileChange::added("feed.rs", &format!("fn feed() -> u32 {{ {number} }}\n"))])
    }))
}

fn world() -> WorldBuilder {
    World::builder().repositories(vec![hive()])
}

async fn connected(server: &Server, login: &str) -> Agent {
    let agent = server.agent().await;
    let link = agent.call("connect_github", json!({})).await.link();
    let page = Browser::new().approve(link, login).await;
    assert!(page.says(&format!("Connected as @{login}")), "{page:?}");
    agent
}

async fn ask(agent: &Agent) -> Answer {
    let answer = agent.call("summarize_prs", json!({ "repository": "octo/hive" })).await;
    assert!(!answer.is_error, "{}", answer.text);
    assert_eq!(answer.data["warnings"], json!([]), "{}", answer.text);
    assert_eq!(answer.data["complete"], true);
    answer
}

/// Calls of GitHub (without what linking asked) and of the LLM so far.
fn calls(server: &Server) -> (usize, usize) {
    let github = server.world.github.api_calls().iter().filter(|call| call.path != "/user").count();
    (github, server.world.llm.prompts().len())
}

/// What one more question costs, once the last answer is no longer fresh.
async fn cost(server: &Server, agent: &Agent) -> (usize, usize) {
    server.clock.advance(Duration::seconds(16));
    cost_at_once(server, agent).await
}

async fn cost_at_once(server: &Server, agent: &Agent) -> (usize, usize) {
    let before = calls(server);
    let answer = ask(agent).await;
    let after = calls(server);
    let cost = (after.0 - before.0, after.1 - before.1);
    let usage = &answer.data["usage"];
    assert_eq!(
        (usage["github_requests"].as_u64(), usage["llm_calls"].as_u64()),
        (Some(cost.0 as u64), Some(cost.1 as u64))
    );
    cost
}

#[tokio::test]
async fn only_what_changed_is_paid_for() {
    let server = Server::builder().world(world()).start().await;
    let agent = connected(&server, "octocat").await;
    let github = &server.world.github;
    assert_eq!(cost(&server, &agent).await, (2 + 5, 5), "first");
    assert_eq!(cost(&server, &agent).await, (1, 0), "unchanged");
    assert_eq!(cost_at_once(&server, &agent).await, (0, 0), "unchanged and fresh");

    github.update(|state| state.repositories[0].change(1).checks.failed = 2);
    assert_eq!(cost(&server, &agent).await, (1, 0), "CI");
    github.update(|state| {
        for number in 1..=5 {
            state.repositories[0].change(number).label_colour = "ff0000";
        }
    });
    assert_eq!(cost(&server, &agent).await, (1, 0), "labels' colours");
    github.update(|state| {
        let pull = state.repositories[0].change(2);
        pull.updated_at += Duration::hours(1);
        let (author, commit) = (Some("mira-holm".to_owned()), pull.head_oid.clone());
        let (at, body) = (pull.updated_at, String::new());
        pull.reviews.push(Review { author, state: "APPROVED", at, body, commit });
        pull.decision = Some("APPROVED");
    });
    assert_eq!(cost(&server, &agent).await, (1, 0), "an approval");
    server.clock.advance(Duration::seconds(16));
    let told = ask(&agent).await;
    let all = told.data["pull_requests"].as_array().unwrap();
    let second = all.iter().find(|one| one["number"] == 2).unwrap();
    assert_eq!(second["facts"]["approvals"], 1, "the fact is there all the same: {second}");

    github.update(|state| {
        let pull = state.repositories[0].change(3);
        let feed = FileChange::added("feed.rs", "fn feed() -> u32 { 300 }\n");
        pull.push(pull.updated_at + Duration::hours(1), vec![feed]);
    });
    assert_eq!(cost(&server, &agent).await, (3, 1), "one new head");
    github.update(|state| {
        let pull = state.repositories[0].change(4);
        pull.say(pull.updated_at + Duration::hours(1), "tomasz-k", "Twice as much, please.");
    });
    assert_eq!(cost(&server, &agent).await, (2, 1), "one comment");
    github.update(|state| {
        for number in 1..=5 {
            let pull = state.repositories[0].change(number);
            pull.updated_at += Duration::hours(1);
        }
    });
    assert_eq!(cost(&server, &agent).await, (2, 0), "something else, such as an edit of a branch");
    assert_eq!(cost(&server, &agent).await, (1, 0), "unchanged");
}

#[tokio::test]
async fn a_hundred_people_pay_for_the_parts_once() {
    let logins: Vec<String> = (0..100).map(|number| format!("person-{number}")).collect();
    let people = (1_000..).zip(&logins).map(|(id, login)| Person::new(id, login)).collect();
    let server = Server::builder().world(world().people(people)).start().await;
    let mut agents = Vec::new();
    for login in &logins {
        agents.push(connected(&server, login).await);
    }
    let answers = futures_util::future::join_all(agents.iter().map(ask)).await;
    let (github, llm) = calls(&server);
    println!("100 people at once: {github} calls of GitHub, {llm} of the LLM");
    assert!(github <= 106 && llm == 5, "{github} / {llm}");
    let paid = |what: &str| -> u64 {
        answers.iter().map(|answer| answer.data["usage"][what].as_u64().unwrap()).sum()
    };
    assert_eq!((paid("github_requests"), paid("llm_calls")), (github as u64, 5));
}

#[tokio::test]
async fn the_thirty_first_call_of_a_minute_is_told_to_wait() {
    let server = Server::builder().world(world()).start().await;
    let (agent, other) =
        (connected(&server, "octocat").await, connected(&server, "mira-holm").await);
    for _ in 0..30 {
        ask(&agent).await;
    }
    let refused = agent.call("summarize_prs", json!({ "repository": "octo/hive" })).await;
    assert_eq!(refused.code(), "too_many_requests", "{}", refused.text);
    let wait = &refused.raw["_meta"]["pr-summarizer/failure"]["retry_after_seconds"];
    assert!(wait.as_u64().is_some_and(|wait| (1..=60).contains(&wait)), "{wait}");
    ask(&other).await;
    server.clock.advance(Duration::minutes(1));
    ask(&agent).await;
}

#[tokio::test]
async fn the_days_tokens_are_counted_for_each_caller() {
    let builder = Server::builder().world(world()).set("LLM_DAILY_TOKENS", "1300");
    let server = builder.start().await;
    let (agent, other) =
        (connected(&server, "octocat").await, connected(&server, "mira-holm").await);
    let wanted = |number: u64| json!({ "repository": "octo/hive", "pull_requests": [number] });
    let status = |answer: &Answer| answer.data["pull_requests"][0]["summary_status"].clone();
    assert_eq!(status(&agent.call("summarize_prs", wanted(1)).await), "written");
    let spent = agent.call("summarize_prs", wanted(2)).await;
    assert_eq!(status(&spent), "extract", "{}", spent.text);
    assert!(
        spent.text.contains("used up until") && spent.text.contains("00:00 UTC"),
        "{}",
        spent.text
    );
    assert_eq!(spent.data["llm_host"], Value::Null);
    // What another has paid for is there for everybody who may read it.
    assert_eq!(status(&other.call("summarize_prs", wanted(2)).await), "written");
    assert_eq!(status(&agent.call("summarize_prs", wanted(2)).await), "cached");
    // A session that idles for half a day would end, and so would an unused connection.
    for _ in 0..3 {
        server.clock.advance(Duration::hours(8));
        agent.call("summarize_prs", wanted(2)).await;
    }
    let renewed = agent.call("summarize_prs", wanted(3)).await;
    assert_eq!(status(&renewed), "written", "{}", renewed.raw);
}

#[tokio::test]
async fn private_text_is_kept_from_the_llm_if_the_operator_wants() {
    let mut private = hive().private();
    private.name = "secret".to_owned();
    let people = vec![Person::new(1, "octocat").reads("octo/secret")];
    let world = World::builder().people(people).repositories(vec![hive(), private]);
    let server = Server::builder().world(world).set("LLM_PRIVATE", "off").start().await;
    let agent = connected(&server, "octocat").await;
    let host = server.world.llm.url().replace("http://", "").replace("/v1", "");
    let kept = agent.call("summarize_prs", json!({ "repository": "octo/secret" })).await;
    assert_eq!(kept.data["pull_requests"][0]["summary_status"], "extract");
    assert!(kept.text.contains("LLM_PRIVATE is off"), "{}", kept.text);
    assert_eq!((server.world.llm.prompts().len(), kept.text.contains(&host)), (0, false));
    let sent = ask(&agent).await;
    assert!(sent.text.contains(&format!("was sent to {host}")), "{}", sent.text);
    let status = agent.call("auth_status", json!({})).await;
    assert!(
        status.text.contains(&format!("public repositories is sent to {host}")),
        "{}",
        status.text
    );
}

/// As many tokens as a reader pays, by the rule of thumb of 3.5 characters each.
fn tokens(answer: &Answer) -> usize {
    answer.text.chars().count() * 10 / 35
}

#[tokio::test]
async fn the_text_stays_short() {
    // GitHub's own limits: titles of 256 characters, labels of 50, logins of 39.
    let title = "A_title_as long_as_GitHub *lets* one be ".repeat(7)[..256].to_owned();
    let wide = Repository::new("octo", "wide").pull_requests((1..=20).map(|number| {
        let mut pull = PullRequest::new(number, &title)
            .author(&"a".repeat(39))
            .body(&"Much to say. ".repeat(400))
            .decision("CHANGES_REQUESTED")
            .checks(40, 3, 5)
            .conflicts()
            .diff((0..250).map(|n| FileChange::generated(&format!("src/{n}.rs"), 8)).collect());
        for reviewer in 0..20 {
            let login = format!("{}-{reviewer:02}", "r".repeat(36));
            pull = pull
                .label(&format!("{} {reviewer:02}", "l_b*l".repeat(10).split_at(47).0))
                .requests(&format!("q{login}"))
                .review(&login, "CHANGES_REQUESTED")
                .thread("src/1.rs", false, &[(&login, "Please, no.")]);
        }
        pull
    }));
    let now = chrono::DateTime::from_timestamp(1_760_000_000, 0).unwrap();
    let story = crate::fakes::story::repository(now);
    let world = World::builder().repositories(vec![story, wide]);
    let server = Server::builder().world(world).start().await;
    let agent = connected(&server, "octocat").await;
    let longest = "The `change_of_it` makes *it* longer_than it_was before. ".repeat(100);
    for (repository, long) in [("lighthouse-labs/beacon", false), ("octo/wide", true)] {
        if long {
            server.world.llm.behave(Behaviour::Text(longest.clone()));
        }
        let five = agent.call("summarize_prs", json!({ "repository": repository })).await;
        let wanted = json!({ "repository": repository, "limit": 20, "detail": "full" });
        let all = agent.call("summarize_prs", wanted).await;
        let (few, many) = (tokens(&five), tokens(&all));
        let count = all.data["pull_requests"].as_array().unwrap().len();
        println!("{repository}: {few} tokens for 5, {many} for {count} in full");
        assert!(few <= 4_000, "{few} tokens: {}", five.text);
        assert!(many < 20_000, "{many} tokens: {}", all.text);
    }
}
