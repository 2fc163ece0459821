//! Clients that leave, people who disconnect, and an LLM that is late.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{
    fakes::{Browser, Fault, FileChange, Gate, Match, Person, PullRequest, Repository, World},
    support::{Agent, Server},
};

/// How long a socket may outlive the client it was opened for.
const SOON: Duration = Duration::from_millis(200);

fn world() -> crate::fakes::WorldBuilder {
    let repository = Repository::new("octo", "hive").pull_requests((1..=3).map(|number| {
        PullRequest::new(number, &format!("Feed the bees of row {number}"))
            .comment("mira-holm", "Is it enough?")
            .diff(vec![FileChange::added("feed.rs", &format!("fn feed() -> u32 {{ {number} }}\n"))])
    }));
    let mut secret = repository.clone().private();
    (secret.id, secret.name) = (4711, "secret".to_owned());
    "The canary sings".clone_into(&mut secret.change(1).title);
    World::builder()
        .people(vec![Person::new(1, "octocat").reads("octo/secret"), Person::new(2, "mira-holm")])
        .repositories(vec![repository, secret])
}

async fn approve(agent: &Agent, browser: &Browser, login: &str, arguments: Value) {
    let link = agent.call("connect_github", arguments).await.link();
    let page = browser.approve(link, login).await;
    assert!(page.says(&format!("Connected as @{login}")), "{page:?}");
}

async fn connected(server: &Server, browser: &Browser) -> Agent {
    let agent = server.agent().await;
    approve(&agent, browser, "octocat", json!({})).await;
    agent
}

/// With `hears` progress is told, which takes the SDK's machinery.
fn call(id: u64, repository: &str, hears: bool) -> Value {
    let meta = if hears { json!({ "progressToken": id }) } else { json!({}) };
    json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {
        "name": "summarize_prs", "arguments": { "repository": repository }, "_meta": meta } })
}

/// Fails unless nobody waits at the gate within the time.
async fn empties(gate: &Gate, what: &str) {
    let begun = Instant::now();
    let empty = tokio::time::timeout(Duration::from_secs(5), gate.until_waiting(0)).await;
    assert!(empty.is_ok(), "{what}: never");
    assert!(begun.elapsed() <= SOON, "{what}: after {:?}", begun.elapsed());
}

/// Each kind of request, how many of them wait at once, and on which world.
fn gates(server: &Server) -> Vec<(&'static str, Gate, usize)> {
    let world = &server.world;
    let conversations = |call: &crate::fakes::Call| {
        call.path.ends_with("/graphql") && call.json()["query"].to_string().contains("Conversation")
    };
    vec![
        ("LLM", world.llm.hold(Match::prefix("POST", "/v1/")), 3),
        ("conversations", world.github.hold(Match::new(conversations)), 1),
        ("diffs", world.github.hold(Match::prefix("GET", "/repos/")), 3),
        ("list", world.github.hold(Match::path("POST", "/graphql")), 1),
    ]
}

#[tokio::test]
async fn whoever_cancels_or_leaves_takes_the_work_along() {
    for (cancels, hears) in [(true, true), (true, false), (false, true), (false, false)] {
        let server = Server::builder().world(world()).start().await;
        let agent = connected(&server, &Browser::new()).await;
        let mut gates = gates(&server);
        while let Some((what, gate, count)) = gates.pop() {
            let what = format!("{what}, {}", if cancels { "cancelled" } else { "left" });
            let id = 100 + u64::try_from(gates.len()).unwrap();
            let sent = agent.send(call(id, "octo/hive", hears));
            let waiting = tokio::time::timeout(Duration::from_secs(5), gate.until_waiting(count));
            if cancels {
                let (answered, ()) = futures_util::join!(sent, async {
                    assert!(waiting.await.is_ok(), "{what}: {} wait", gate.waiting());
                    let note = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled",
                        "params": { "requestId": id, "reason": "enough" } });
                    assert!(agent.send(note).await.status().is_success());
                    empties(&gate, &what).await;
                });
                drop(answered);
            } else {
                let mut sent = Box::pin(sent);
                let mut response = None;
                let mut waiting = Box::pin(waiting);
                loop {
                    tokio::select! {
                        reached = &mut waiting => break assert!(reached.is_ok(), "{what}"),
                        begun = &mut sent, if response.is_none() => response = Some(begun),
                    }
                }
                drop((sent, response));
                empties(&gate, &what).await;
            }
            // From here on this kind of request passes.
            gate.release();
        }
        let whole = agent.call("summarize_prs", json!({ "repository": "octo/hive" })).await;
        assert_eq!(whole.data["complete"], true, "{}", whole.text);
    }
}

/// A39: nothing is served after the account is gone, neither of a running call nor of the last one.
#[tokio::test]
async fn a39_nothing_is_served_without_the_account() {
    for by_browser in [true, false] {
        let server = Server::builder().world(world()).start().await;
        let browser = Browser::new();
        let agent = connected(&server, &browser).await;
        let wanted = json!({ "repository": "octo/secret" });
        let disconnect = async || {
            if by_browser {
                let page = browser.get(server.url("/connected")).await;
                browser.press(&page, "Disconnect").await;
            } else {
                agent.call("disconnect_github", json!({})).await;
            }
        };
        // Within the window of the last answer.
        let first = agent.call("summarize_prs", wanted.clone()).await;
        assert!(first.text.contains("canary"), "{}", first.text);
        disconnect().await;
        let after = agent.call("summarize_prs", wanted.clone()).await;
        assert_eq!(after.code(), "not_connected", "{}", after.text);
        assert!(!after.raw.to_string().contains("canary"), "{}", after.raw);
        // During a call: it ends at once, and what it asked ends too.
        approve(&agent, &browser, "octocat", json!({})).await;
        server.world.github.update(|state| state.repositories[1].change(1).title.push('!'));
        let gate = server.world.llm.hold(Match::any());
        let (running, ()) =
            futures_util::join!(agent.call("summarize_prs", wanted.clone()), async {
                gate.until_waiting(1).await;
                disconnect().await;
                empties(&gate, "disconnected").await;
            });
        assert_eq!(running.code(), "not_connected", "{}", running.text);
        assert!(!running.raw.to_string().contains("canary"), "{}", running.raw);
    }
}

/// A call that ran out of time leaves texts that wait for their place. When the account goes, by
/// whichever way, they are not sent to the LLM any more, and what was sent ends.
#[tokio::test]
async fn nothing_of_a_pending_call_is_sent_after_the_account_is_gone() {
    for by_browser in [true, false] {
        let crowd = Repository::new("octo", "crowd")
            .pull_requests((1..=12).map(|number| {
                PullRequest::new(number, &format!("The canary sings song {number}"))
            }));
        let server = Server::builder()
            .world(World::builder().repositories(vec![crowd]))
            .set("SUMMARY_DEADLINE_SECONDS", "5")
            .start()
            .await;
        let browser = Browser::new();
        let agent = connected(&server, &browser).await;
        let gate = server.world.llm.hold(Match::any());
        let wanted = json!({ "repository": "octo/crowd", "limit": 12 });
        let first = agent.call("summarize_prs", wanted).await;
        assert_eq!(first.data["pending"].as_array().unwrap().len(), 12, "{}", first.text);
        assert_eq!(gate.waiting(), 8, "four have no place yet");
        if by_browser {
            let page = browser.get(server.url("/connected")).await;
            browser.press(&page, "Disconnect").await;
        } else {
            agent.call("disconnect_github", json!({})).await;
        }
        empties(&gate, "disconnected").await;
        gate.release();
        // Whatever had been let in by now would have been heard of before this one is answered.
        let other = Browser::new();
        approve(&agent, &other, "octocat", json!({})).await;
        let asked = server.world.llm.count(|_| true);
        assert_eq!(asked, 8, "by browser: {by_browser}");
    }
}

/// Another person's account behind the same session: nothing of the first one's is told.
#[tokio::test]
async fn a_new_account_sees_nothing_of_the_old_ones_answers() {
    let server = Server::builder().world(world()).start().await;
    let browser = Browser::new();
    let agent = connected(&server, &browser).await;
    let wanted = json!({ "repository": "octo/secret" });
    assert!(agent.call("summarize_prs", wanted.clone()).await.text.contains("canary"));
    approve(&agent, &browser, "mira-holm", json!({ "reconnect": true })).await;
    let other = agent.call("summarize_prs", wanted).await;
    assert_eq!(other.code(), "repository_not_found", "{}", other.text);
    assert!(!other.raw.to_string().contains("canary"), "{}", other.raw);
}

/// `LATE_LLM=70` runs it at full length: the LLM answers after 70 s, the deadline is the usual one.
#[tokio::test]
async fn an_answer_comes_in_time_and_the_next_one_is_complete() {
    let late = std::env::var_os("LATE_LLM").map(|late| late.to_str().unwrap().parse().unwrap());
    let deadline: u64 = if late.is_some() { 45 } else { 5 };
    let builder =
        Server::builder().world(world()).set("SUMMARY_DEADLINE_SECONDS", deadline.to_string());
    let server = builder.start().await;
    let agent = connected(&server, &Browser::new()).await;
    let gate = server.world.llm.hold(Match::new(|call| {
        let asked = call.json().to_string();
        asked.contains("row 1") || asked.contains("row 3")
    }));
    let wanted = json!({ "repository": "octo/hive" });
    let begun = Instant::now();
    let first = agent.call("summarize_prs", wanted.clone()).await;
    println!("answered after {:?} of {deadline} s", begun.elapsed());
    assert!(begun.elapsed() < Duration::from_secs(deadline), "{:?}", begun.elapsed());
    assert_eq!(first.data["complete"], false);
    assert_eq!(first.data["pending"], json!([3, 1]), "{}", first.text);
    assert!(first.text.contains("Still being written: 3, 1."), "{}", first.text);
    for part in first.data["pull_requests"].as_array().unwrap() {
        assert_eq!(part["coverage"]["files_read"], 1, "{part}");
        assert!(!part["stage"].is_null(), "{part}");
    }
    if let Some(late) = late {
        tokio::time::sleep_until((begun + Duration::from_secs(late)).into()).await;
    }
    gate.release();
    let second = agent.call("summarize_prs", wanted).await;
    println!("complete after {:?}", begun.elapsed());
    assert_eq!(second.data["complete"], true, "{}", second.text);
    assert_eq!(
        (server.world.llm.prompts().len(), second.data["usage"]["llm_calls"].clone()),
        (3, json!(0))
    );
}

#[tokio::test]
async fn what_is_written_in_the_background_ends_with_the_server() {
    let builder = Server::builder().world(world()).set("SUMMARY_DEADLINE_SECONDS", "5");
    let mut server = builder.start().await;
    let agent = connected(&server, &Browser::new()).await;
    let gate = server.world.llm.hold(Match::any());
    let first = agent.call("summarize_prs", json!({ "repository": "octo/hive" })).await;
    assert_eq!((first.data["complete"].clone(), gate.waiting()), (json!(false), 3));
    server.stop().await;
    empties(&gate, "stopped").await;
}

#[tokio::test]
async fn one_persons_missing_rights_are_nobody_elses() {
    let server = Server::builder().world(world()).start().await;
    let first = connected(&server, &Browser::new()).await;
    let second = server.agent().await;
    approve(&second, &Browser::new(), "mira-holm", json!({})).await;
    // The first one's requests for diffs are refused by GitHub while the second one waits for them.
    let gate = server.world.github.hold(Match::prefix("GET", "/repos/"));
    server.world.github.inject(Match::prefix("GET", "/repos/"), Fault::status(403), 3);
    let wanted = json!({ "repository": "octo/hive" });
    let mut running = Box::pin(first.call("summarize_prs", wanted.clone()));
    tokio::select! {
        _ = &mut running => panic!("it must wait"),
        () = gate.until_waiting(3) => {}
    }
    let lists = |server: &Server| server.world.github.count(|call| call.path == "/graphql");
    let before = lists(&server);
    let (refused, complete, ()) =
        futures_util::join!(running, second.call("summarize_prs", wanted.clone()), async {
            // Its list has been read; its diffs are the first one's, who is asking for them.
            while lists(&server) == before {
                tokio::task::yield_now().await;
            }
            gate.release();
        });
    let files = |answer: &crate::support::Answer| -> Vec<Value> {
        let all = answer.data["pull_requests"].as_array().unwrap();
        all.iter().map(|one| one["coverage"]["files"].clone()).collect()
    };
    assert_eq!(files(&refused), [Value::Null, Value::Null, Value::Null], "{}", refused.text);
    assert_eq!(files(&complete), [1, 1, 1], "{}", complete.text);
}
