//! Whatever a repository or an LLM brings: an answer that says what it is and what was not read.

use serde_json::{Value, json};

use crate::{
    fakes::{
        Behaviour, Browser, Change, Fault, FileChange, Match, PullRequest, Repository, Sent, World,
    },
    support::{Agent, Answer, Server},
};

async fn connected(repositories: Vec<Repository>) -> (Server, Agent) {
    let world = World::builder().repositories(repositories);
    let server = Server::builder().world(world).start().await;
    let agent = server.agent().await;
    let link = agent.call("connect_github", json!({})).await.link();
    assert!(Browser::new().approve(link, "octocat").await.says("Connected as @octocat"));
    (server, agent)
}

async fn ask(agent: &Agent, repository: &str) -> Answer {
    let answer = agent.call("summarize_prs", json!({ "repository": repository })).await;
    assert!(!answer.is_error, "{repository}: {}", answer.text);
    answer
}

fn shown(answer: &Answer) -> &Vec<Value> {
    answer.data["pull_requests"].as_array().unwrap()
}

fn numbers(answer: &Answer) -> Vec<u64> {
    shown(answer).iter().map(|one| one["number"].as_u64().unwrap()).collect()
}

/// Every file is read, cut or omitted, and nothing is counted twice.
fn files(pull_request: &Value) -> (u64, u64, u64, u64) {
    let coverage = &pull_request["coverage"];
    let count = |name: &str| coverage[name].as_u64().unwrap();
    let omissions = coverage["omissions"].as_array().unwrap();
    let omitted = omissions.iter().map(|one| one["files"].as_u64().unwrap()).sum();
    let named = coverage["files_omitted"].as_array().unwrap().len() as u64;
    assert_eq!(named, std::cmp::min(omitted, 50), "{coverage}");
    (count("files"), count("files_read"), count("files_cut"), omitted)
}

#[tokio::test]
async fn none_one_and_three_thousand_open_pull_requests() {
    let crowd = (1..=3_000).map(|number| {
        // The oldest five are the most discussed: no order by date finds them.
        let said = if number <= 5 { 10 - number } else { 0 };
        PullRequest::new(number, &format!("Move stone {number}"))
            .comments(usize::try_from(said).unwrap())
    });
    let (server, agent) = connected(vec![
        Repository::new("octo", "void"),
        Repository::new("octo", "lone").pull_request(PullRequest::new(7, "Add a door")),
        Repository::new("octo", "crowd").pull_requests(crowd),
    ])
    .await;
    let nothing = ask(&agent, "octo/void").await;
    assert_eq!(numbers(&nothing), [0; 0]);
    assert_eq!(nothing.data["open_pull_requests"], 0);
    assert_eq!(nothing.data["complete"], true);
    assert!(nothing.text.contains("no open pull requests"), "{}", nothing.text);
    let one = ask(&agent, "octo/lone").await;
    assert_eq!(numbers(&one), [7]);
    let before = server.world.github.api_calls().len();
    let many = ask(&agent, "octo/crowd").await;
    assert_eq!(numbers(&many), [1, 2, 3, 4, 5]);
    assert_eq!(many.data["open_pull_requests"], 3_000);
    // A page of the list, the conversations, and a diff each.
    assert_eq!(server.world.github.api_calls().len() - before, 2 + 5);
}

#[tokio::test]
async fn titles_and_bodies_in_any_script_or_none() {
    let titles = [
        "",
        "   ",
        "إصلاح محلل الأسماء",
        "🧑‍🚀 Launch the 🚀 🇪🇺",
        "Flip \u{202e}txt.exe\u{202c} and hide \u{200b}\u{2066}this\u{2069}",
    ];
    let all = titles.iter().zip(1..).map(|(title, number)| {
        PullRequest::new(number, title)
            .body(if number % 2 == 0 { title } else { "" })
            .comments(2)
            .diff(vec![FileChange::added("src/ملف 🚀.rs", "fn 名前() {}")])
    });
    let (server, agent) =
        connected(vec![Repository::new("octo", "babel").pull_requests(all)]).await;
    let answer = ask(&agent, "octo/babel").await;
    let of = |number: u64| shown(&answer).iter().find(|one| one["number"] == number).unwrap();
    assert_eq!(of(3)["title"], titles[2]);
    assert!(of(4)["title"].as_str().unwrap().contains('🚀'));
    for one in shown(&answer) {
        assert_eq!(one["summary_status"], "written", "{one}");
        assert_eq!(files(one), (1, 1, 0, 0));
    }
    let everything = answer.raw.to_string();
    for hidden in ['\u{202e}', '\u{202c}', '\u{200b}', '\u{2066}', '\u{2069}'] {
        assert!(!everything.contains(hidden), "U+{:04X} came through", u32::from(hidden));
        assert!(!server.world.llm.prompts().iter().any(|prompt| prompt.user.contains(hidden)));
    }
    // A title of nothing is still told apart from the next line.
    assert!(answer.text.contains("#1"), "{}", answer.text);
}

#[tokio::test]
async fn large_and_strange_changes_account_for_every_file() {
    let small = |n: usize| FileChange::added(&format!("src/part_{n:03}.rs"), "let part = 1;");
    let renames = (0..20)
        .map(|n| FileChange::renamed(&format!("old/{n}.rs"), &format!("new/{n}.rs")))
        .collect();
    let (server, agent) = connected(vec![
        Repository::new("octo", "large")
            .pull_request(
                PullRequest::new(1, "Touch many files")
                    .comments(9)
                    .diff((0..412).map(small).collect()),
            )
            .pull_request(
                PullRequest::new(2, "Generate tables")
                    .comments(8)
                    .diff(vec![FileChange::generated("src/tables.rs", 20_001), small(1)]),
            )
            .pull_request(PullRequest::new(3, "Rename all").comments(7).diff(renames))
            .pull_request(PullRequest::new(4, "Change pictures").comments(6).diff(vec![
                FileChange::binary("logo.png", Change::Modified),
                FileChange::removed("old.rs", "fn gone() {}"),
            ]))
            .pull_request(PullRequest::new(5, "Change nothing").comments(5)),
    ])
    .await;
    let answer = ask(&agent, "octo/large").await;
    assert_eq!(numbers(&answer), [1, 2, 3, 4, 5]);
    let accounted = |position: usize| {
        let counts @ (all, read, cut, omitted) = files(&shown(&answer)[position]);
        assert_eq!(all, read + cut + omitted, "{}", shown(&answer)[position]);
        counts
    };
    let reasons =
        |position: usize| shown(&answer)[position]["coverage"]["files_omitted"].to_string();
    assert_eq!(accounted(0).0, 412);
    // GitHub gives no patch for a file that large.
    assert_eq!(accounted(1), (2, 1, 0, 1));
    assert!(reasons(1).contains("no_patch"), "{}", reasons(1));
    assert_eq!(accounted(2).0, 20);
    assert!(reasons(2).contains("renamed_only"), "{}", reasons(2));
    assert_eq!(accounted(3), (2, 1, 0, 1));
    assert!(reasons(3).contains("binary"), "{}", reasons(3));
    assert_eq!(accounted(4), (0, 0, 0, 0));
    for one in shown(&answer) {
        assert_eq!(one["summary_status"], "written", "{one}");
    }
    // GitHub refused two of the diffs whole; their files came in pages of 60, four at once.
    let pages = server.world.github.count(|call| call.path.ends_with("/files"));
    assert!((7 + 1..=9 + 1).contains(&pages), "{pages}");
}

#[tokio::test]
async fn a_diff_without_an_end_is_cut_while_it_comes() {
    let repository = Repository::new("octo", "flood").pull_request(
        PullRequest::new(1, "Add the sea").diff(vec![FileChange::added("sea", "sea")]),
    );
    let (server, agent) = connected(vec![repository]).await;
    let head =
        "diff --git a/sea b/sea\nnew file mode 100644\n--- /dev/null\n+++ b/sea\n@@ -0,0 +1,9 @@\n";
    let sent = Sent::default();
    let flood = Fault::Endless(head, "+a wave of the sea, and another one\n", sent.clone());
    server.world.github.inject(Match::path("GET", "/repos/octo/flood/pulls/1"), flood, 1);
    let answer = ask(&agent, "octo/flood").await;
    let one = &shown(&answer)[0];
    assert_eq!(one["summary_status"], "written", "{one}");
    let (all, read, cut, omitted) = files(one);
    assert_eq!((all, read, cut, omitted), (1, 0, 1, 0), "{one}");
    assert!(one["coverage"].to_string().len() < 400, "{one}");
    // What lies in the buffers of both ends may go beyond what is kept.
    assert!(sent.bytes() < 20_000_000, "{} bytes were taken", sent.bytes());
}

#[tokio::test]
async fn five_thousand_comments_are_counted_and_the_last_are_read() {
    let mut long = PullRequest::new(1, "Choose a colour").comments(4_990);
    for n in 1..=10 {
        long = long.comment("mira-holm", &format!("Last words, part {n}."));
    }
    let (server, agent) = connected(vec![Repository::new("octo", "shed").pull_request(long)]).await;
    let answer = ask(&agent, "octo/shed").await;
    let one = &shown(&answer)[0];
    assert_eq!(one["discussion"]["conversation_comments"], 5_000);
    assert_eq!(one["coverage"]["comments"], 5_000);
    let used = one["coverage"]["comments_used"].as_u64().unwrap();
    assert!((10..=100).contains(&used), "{used}");
    assert!(server.world.llm.prompts()[0].user.contains("Last words, part 10."));
    assert_eq!(answer.data["usage"]["github_requests"], 3);
}

/// Whatever the LLM says, it is one answer about that pull request, of its length, or an extract.
#[tokio::test]
async fn an_llm_may_say_anything() {
    let behaviours = [
        ("nothing", Behaviour::Empty),
        ("a web page as the answer", Behaviour::Html),
        ("HTML as the text", Behaviour::Text("<div onclick='x()'><b>Adds</b> a door</div>".into())),
        ("JSON", Behaviour::Text(json!({ "summary": "Adds a door.", "risk": [1, 2] }).to_string())),
        ("100 kB", Behaviour::Text("The door is wide open. ".repeat(4_500))),
        ("100 kB in one word", Behaviour::Text("x".repeat(100_000))),
        (
            "another language",
            Behaviour::Text("Diese Änderung fügt eine Tür hinzu. 扉を追加します。".into()),
        ),
        ("the prompt", Behaviour::Obeying),
        ("control characters", Behaviour::Text("Adds\u{1b}[2J a \u{0}door\u{202e}.".into())),
        ("blanks", Behaviour::Text(" \n\t\n ".into())),
        ("no tokens", Behaviour::Uncounted),
        ("an error", Behaviour::Status(500)),
        ("a refusal", Behaviour::Status(400)),
    ];
    let repositories = (0..behaviours.len())
        .map(|n| {
            let one = PullRequest::new(1, "Add a door")
                .body("The wall has none.")
                .comments(2)
                .diff(vec![FileChange::added("door.rs", "struct Door;")]);
            Repository::new("octo", &format!("house-{n}")).pull_request(one)
        })
        .collect();
    let (server, agent) = connected(repositories).await;
    for (n, (what, behaviour)) in behaviours.into_iter().enumerate() {
        server.world.llm.behave(behaviour);
        let answer = ask(&agent, &format!("octo/house-{n}")).await;
        let one = &shown(&answer)[0];
        let status = one["summary_status"].as_str().unwrap();
        assert!(["written", "extract"].contains(&status), "{what}: {one}");
        let summary = one["summary"].as_str().unwrap();
        assert!(!summary.trim().is_empty(), "{what}");
        assert!(summary.chars().count() <= 2_000, "{what}: {} characters", summary.chars().count());
        let is_plain = |c: char| !c.is_control() && c != '\u{202e}' && !"<>".contains(c);
        assert!(summary.chars().all(|c| c == '\n' || is_plain(c)), "{what}: {summary:?}");
        if status == "extract" {
            assert!(!answer.data["warnings"].as_array().unwrap().is_empty(), "{what}");
        }
        assert_eq!(one["facts"]["additions"], 1, "{what}: the facts do not depend on the LLM");
    }
}
