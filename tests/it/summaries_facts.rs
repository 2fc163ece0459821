//! What the facts rest on: whose word counts, who sees what, and what one pull request may cost the
//! others.

use chrono::Duration;
use serde_json::{Value, json};

use crate::{
    fakes::{
        Browser, FileChange, Person, ProxyMode, PullRequest, Repository, World, WorldBuilder,
        github::model::Review,
    },
    support::{Agent, Answer, Server},
};

fn hive(all: impl IntoIterator<Item = PullRequest>) -> Repository {
    Repository::new("octo", "hive").stranger("mallory").pull_requests(all)
}

fn world(all: impl IntoIterator<Item = PullRequest>) -> WorldBuilder {
    World::builder().repositories(vec![hive(all)])
}

async fn connected(world: WorldBuilder) -> (Server, Agent) {
    let server = Server::builder().world(world).start().await;
    let agent = server.agent().await;
    let link = agent.call("connect_github", json!({})).await.link();
    let page = Browser::new().approve(link, "octocat").await;
    assert!(page.says("Connected as @octocat"), "{page:?}");
    (server, agent)
}

async fn ask(agent: &Agent) -> Answer {
    let answer = agent.call("summarize_prs", json!({ "repository": "octo/hive" })).await;
    assert!(!answer.is_error, "{}", answer.text);
    answer
}

fn of(answer: &Answer, number: u64) -> Value {
    let all = answer.data["pull_requests"].as_array().unwrap();
    all.iter().find(|one| one["number"] == number).unwrap().clone()
}

/// Calls of GitHub so far, without what linking asked.
fn calls(server: &Server) -> usize {
    server.world.github.api_calls().iter().filter(|call| call.path != "/user").count()
}

#[tokio::test]
async fn an_account_without_the_scope_for_teams_reads_everything_else() {
    let all = [
        PullRequest::new(1, "Ask a team").requests("mira-holm").requests_team("keepers"),
        PullRequest::new(2, "Ask a person").requests("mira-holm"),
    ];
    let people = vec![Person::new(1, "octocat").without_read_org()];
    let (server, agent) = connected(world(all).people(people)).await;
    let answer = ask(&agent).await;
    let (team, person) = (of(&answer, 1), of(&answer, 2));
    assert_eq!(team["facts"]["review_requests"], Value::Null, "not all of them are known");
    assert_eq!(team["next_actor"], "reviewers", "but that somebody is asked is: {team}");
    assert_eq!(person["facts"]["review_requests"], json!(["mira-holm"]));
    assert!(answer.data["warnings"].to_string().contains("read:org"), "{}", answer.text);
    assert_eq!(calls(&server), 1 + 2 + 2, "the refusal is paid for once");
    server.clock.advance(Duration::seconds(16));
    let again = ask(&agent).await;
    assert_eq!(calls(&server), 1 + 2 + 2 + 1, "and then known");
    assert!(again.data["warnings"].to_string().contains("read:org"), "{}", again.text);
    let one = json!({ "repository": "octo/hive", "pull_requests": [2] });
    let answer = agent.call("summarize_prs", one).await;
    assert_eq!(answer.data["warnings"], json!([]), "nothing is missing of this one");
    assert_eq!(calls(&server), 1 + 2 + 2 + 2);
}

/// Who may not write moves no stage, neither up nor down.
async fn strangers_are_not_heard(proxy: ProxyMode) -> [Value; 4] {
    let all = [
        PullRequest::new(1, "Approve myself").review("mallory", "APPROVED"),
        PullRequest::new(2, "Hold it up")
            .review("tomasz-k", "APPROVED")
            .review("mallory", "CHANGES_REQUESTED"),
        PullRequest::new(3, "Approved").review("tomasz-k", "APPROVED"),
        PullRequest::new(4, "Rejected").review("tomasz-k", "CHANGES_REQUESTED"),
    ];
    let (_server, agent) = connected(world(all).proxy(proxy)).await;
    let answer = ask(&agent).await;
    let told = [1, 2, 3, 4].map(|number| of(&answer, number));
    let counts = told.clone().map(|one| {
        let facts = &one["facts"];
        (facts["approvals"].as_u64().unwrap(), facts["changes_requested"].as_u64().unwrap())
    });
    assert_eq!(counts, [(0, 0), (1, 0), (1, 0), (0, 1)], "{}", answer.text);
    told
}

#[tokio::test]
async fn who_may_not_write_moves_no_stage() {
    let told = strangers_are_not_heard(ProxyMode::Enabled).await;
    let stages = told.map(|one| one["stage"].as_str().unwrap().to_owned());
    assert_eq!(stages, ["needs_review", "ready", "ready", "changes_requested"]);
}

#[tokio::test]
async fn who_may_not_write_moves_no_stage_over_tools_either() {
    let told = strangers_are_not_heard(ProxyMode::Disabled).await;
    let stages = told.map(|one| one["stage"].as_str().unwrap().to_owned());
    assert_eq!(stages, ["needs_review", "needs_review", "needs_review", "changes_requested"]);
}

#[tokio::test]
async fn a_reviewer_who_is_hidden_is_somebody() {
    let all = [
        PullRequest::new(1, "Ask a secret team").requests_hidden().decision("REVIEW_REQUIRED"),
        PullRequest::new(2, "Ask nobody").decision("REVIEW_REQUIRED"),
    ];
    let (_server, agent) = connected(world(all)).await;
    let answer = ask(&agent).await;
    let (hidden, nobody) = (of(&answer, 1), of(&answer, 2));
    assert_eq!(hidden["facts"]["review_requests"], Value::Null);
    assert_eq!(hidden["next_actor"], "reviewers", "{hidden}");
    assert_eq!(nobody["facts"]["review_requests"], json!([]));
    assert_eq!(nobody["next_actor"], "maintainers");
}

#[tokio::test]
async fn a_review_that_is_not_submitted_counts_for_nobody() {
    let draft = PullRequest::new(1, "Feed the bees").review("tomasz-k", "APPROVED").draft_review(
        "octocat",
        "feed.rs",
        "Not yet said.",
    );
    for proxy in [ProxyMode::Enabled, ProxyMode::Disabled] {
        let (_server, agent) = connected(world([draft.clone()]).proxy(proxy)).await;
        let answer = ask(&agent).await;
        let one = of(&answer, 1);
        assert_eq!(one["discussion"]["reviews"], 1, "{one}");
        assert_eq!(one["discussion"]["review_comments"], 0);
        if proxy == ProxyMode::Enabled {
            assert_eq!(one["discussion"]["unresolved_threads"], 0, "{one}");
            assert_eq!(
                (&one["stage"], &one["next_actor"]),
                (&json!("ready"), &json!("maintainers"))
            );
        }
    }
    // What others have begun stays among them, and what everybody sees counts.
    let both = draft.thread("feed.rs", false, &[("tomasz-k", "Why?"), ("ada", "Because.")]);
    let (_server, agent) = connected(world([both])).await;
    assert_eq!(of(&ask(&agent).await, 1)["discussion"]["unresolved_threads"], 1);
}

#[tokio::test]
async fn an_approval_with_words_is_a_remark() {
    let (server, agent) = connected(world([PullRequest::new(1, "Feed the bees")])).await;
    ask(&agent).await;
    let approve = |body: &str| {
        let body = body.to_owned();
        server.world.github.update(|state| {
            let pull = state.repositories[0].change(1);
            pull.updated_at += Duration::hours(1);
            let (author, commit) = (Some("mira-holm".to_owned()), pull.head_oid.clone());
            pull.reviews.push(Review {
                author,
                state: "APPROVED",
                at: pull.updated_at,
                body,
                commit,
            });
        });
        server.clock.advance(Duration::seconds(16));
    };
    let before = calls(&server);
    approve("");
    ask(&agent).await;
    assert_eq!((calls(&server) - before, server.world.llm.prompts().len()), (1, 1), "silent");
    approve("Approved, but fix the eviction first.");
    let answer = ask(&agent).await;
    assert_eq!(of(&answer, 1)["summary_status"], "written");
    let prompts = server.world.llm.prompts();
    assert_eq!((calls(&server) - before, prompts.len()), (3, 2), "with words");
    assert!(prompts[1].user.contains("fix the eviction first"));
}

#[tokio::test]
async fn a_discussion_too_large_to_read_costs_only_its_own_pull_request() {
    // GitHub's limit is 65,536 characters; each of these takes four bytes.
    let long = "\u{1f41d}".repeat(65_536);
    let talk = |mut pull: PullRequest| {
        for _ in 0..15 {
            pull = pull.comment("mallory", &long);
        }
        for _ in 0..17 {
            pull = pull.thread("feed.rs", false, &[("mallory", &long)]);
        }
        pull
    };
    let others = [2, 3].map(|number| {
        PullRequest::new(number, &format!("Row {number}")).comment("ada", &format!("Row {number}!"))
    });
    let quiet = || others.clone().into_iter();
    let (calm, agent) = connected(world(quiet().chain([PullRequest::new(1, "Loud")]))).await;
    ask(&agent).await;
    let all = quiet().chain([talk(PullRequest::new(1, "Loud"))]);
    let (server, agent) = connected(world(all)).await;
    let answer = ask(&agent).await;
    let warnings = answer.data["warnings"].to_string();
    assert!(warnings.contains("The discussion of no. 1 could not be read"), "{warnings}");
    assert!(!warnings.contains("no. 2") && !warnings.contains("no. 3"), "{warnings}");
    for number in [2, 3] {
        let about = |server: &Server| {
            let prompts = server.world.llm.prompts();
            let mut found = prompts.into_iter().map(|prompt| prompt.user);
            found.find(|prompt| prompt.contains(&format!("Row {number}!")))
        };
        let prompt = about(&server);
        assert!(prompt.is_some(), "no. {number} is told with its discussion");
        assert_eq!(prompt, about(&calm), "no. {number} by the same words");
    }
}

#[tokio::test]
async fn what_github_left_out_of_a_discussion_is_said_and_read_again() {
    let all = [1, 2].map(|number| {
        PullRequest::new(number, "Feed the bees").comment("ada", "First.").comment("ada", "Second.")
    });
    let (server, agent) = connected(world(all)).await;
    server.world.github.break_field("IssueComment.body", "INTERNAL", "no", 1);
    let answer = ask(&agent).await;
    let warnings = answer.data["warnings"].as_array().unwrap().clone();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].as_str().unwrap().contains("not told in full"), "{warnings:?}");
    let before = calls(&server);
    let again = ask(&agent).await;
    assert_eq!(again.data["warnings"], json!([]), "it was not kept: {}", again.text);
    assert_eq!(calls(&server) - before, 2, "the list, and one discussion");
}

#[tokio::test]
async fn what_a_tool_could_not_read_is_read_when_the_proxy_is_back() {
    let files = (0..80).map(|n| FileChange::added(&format!("src/f{n}.rs"), "fn f() {}")).collect();
    let all = [PullRequest::new(1, "Rename everything").diff(files)];
    let (server, agent) = connected(world(all).proxy(ProxyMode::Disabled)).await;
    let answer = ask(&agent).await;
    assert_eq!(of(&answer, 1)["coverage"]["files_read"], 30);
    let warnings = answer.data["warnings"].to_string();
    assert!(warnings.contains("first page"), "{warnings}");
    assert!(!warnings.contains("is larger than"), "{warnings}");
    server.clock.advance(Duration::minutes(1));
    server.world.scalekit.clear_calls();
    ask(&agent).await;
    let run = server.world.scalekit.tools_run();
    assert!(!run.iter().any(|tool| tool.ends_with("files_list")), "not read twice: {run:?}");
    server.world.scalekit.configure(|settings| settings.proxy = ProxyMode::Enabled);
    server.clock.advance(Duration::minutes(11));
    let whole = ask(&agent).await;
    assert_eq!(of(&whole, 1)["coverage"]["files_read"], 80, "{}", whole.text);
    assert_eq!(whole.data["warnings"], json!([]));
}

#[tokio::test]
async fn ready_says_what_github_says_of_the_merge() {
    let approved = |number: u64| {
        PullRequest::new(number, "Feed the bees").review("tomasz-k", "APPROVED").checks(1, 0, 0)
    };
    let all = [
        approved(1),
        approved(2).merge_state("BEHIND"),
        approved(3).merge_state("BLOCKED"),
        approved(4).mergeable_unknown(),
    ];
    let (_server, agent) = connected(world(all)).await;
    let answer = ask(&agent).await;
    for (number, next_actor, words) in [
        (1, "maintainers", "Approved by tomasz-k"),
        (2, "author", "behind the base branch"),
        (3, "unknown", "blocks the merge"),
        (4, "unknown", "not known yet"),
    ] {
        let one = of(&answer, number);
        assert_eq!((&one["stage"], &one["next_actor"]), (&json!("ready"), &json!(next_actor)));
        assert!(one["reasons"].to_string().contains(words), "{one}");
    }
}

#[tokio::test]
async fn each_of_githubs_limits_is_warned_of_before_it_ends() {
    for (resource, spent, words) in
        [("core", 4_600, "REST requests are left"), ("graphql", 4_499, "499 of 5000 points")]
    {
        let (server, agent) = connected(world([PullRequest::new(1, "Feed the bees")])).await;
        server.world.github.spend("octocat", resource, spent);
        let answer = ask(&agent).await;
        let warnings = answer.data["warnings"].as_array().unwrap();
        assert_eq!(warnings.len(), 1, "{resource}: {}", answer.text);
        assert!(warnings[0].as_str().unwrap().contains(words), "{resource}: {}", answer.text);
    }
}
