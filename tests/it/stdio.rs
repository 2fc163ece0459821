//! The program over standard input and output, started as hosts start it.

use std::{os::fd::OwnedFd, process::Stdio, time::Duration};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::{Instant, timeout},
};

use crate::{
    fakes::{Browser, Match, PullRequest, Repository, World},
    support::{Answer, Pipe, Server, Stream},
};

/// Hosts kill a program that does not end by itself within seconds.
const QUICK: Duration = Duration::from_secs(10);

const ERAS: [Stream; 2] = [Stream::Legacy, Stream::Modern { asks: false }];

async fn world() -> Server {
    let rows = (1..=3).map(|number| PullRequest::new(number, &format!("Row {number}")).comments(2));
    let repository = Repository::new("octo", "hive").pull_requests(rows);
    let world = World::builder().repositories(vec![repository]);
    // The server beside it is in another mode, so the two share the file and none of its records.
    Server::builder().world(world).start().await
}

async fn connect(pipe: &mut Pipe) {
    let link = pipe.call("connect_github", json!({})).await.link();
    assert!(Browser::new().approve(link, "octocat").await.says("Connected as @octocat"));
}

#[tokio::test]
async fn a_host_connects_and_asks_in_both_eras() {
    for era in ERAS {
        let server = world().await;
        let mut pipe = server.pipe(&[]).speaking(era).await;
        let refused = pipe.call("summarize_prs", json!({ "repository": "octo/hive" })).await;
        assert_eq!(refused.code(), "not_connected", "{}", refused.text);
        let link = pipe.call("connect_github", json!({})).await;
        assert_eq!(link.status(), "authorization_required");
        assert!(link.data["connection"].is_null(), "the pipe is the person: {}", link.raw);
        assert_ne!(link.link(), server.url(""), "a port of its own");
        let page = reqwest::get(link.link()).await.unwrap().text().await.unwrap();
        let name = if era == Stream::Legacy { "Piped Agent" } else { "Modern Agent" };
        assert!(page.contains(name), "who asks is shown: {page}");
        let done = Browser::new().approve(link.link(), "octocat").await;
        assert!(done.says("Connected as @octocat"));
        let status = pipe.call("auth_status", json!({})).await;
        assert_eq!(status.data["auth_mode"], "single-user");
        assert_eq!(status.data["github_login"], "octocat");
        let answer = pipe.call("summarize_prs", json!({ "repository": "octo/hive" })).await;
        assert!(!answer.is_error, "{}", answer.text);
        assert_eq!(answer.data["pull_requests"].as_array().unwrap().len(), 3);
        assert!(!answer.progress.is_empty(), "progress is reported");
        pipe.leave();
        let (status, rest) = timeout(QUICK, pipe.ended()).await.unwrap();
        assert!(status.success() && rest.is_empty(), "{status:?} {rest:?}");
    }
}

/// The same call again, with the person's consent to open the link.
fn brought_back(asked: &Answer) -> Value {
    json!({
        "name": "connect_github", "arguments": {},
        "requestState": asked.raw["requestState"],
        "inputResponses": { "authorize": { "action": "accept" } },
    })
}

#[tokio::test]
async fn a_client_that_opens_links_is_asked() {
    let server = world().await;
    let mut pipe = server.pipe(&[]).speaking(Stream::Modern { asks: true }).await;
    let asked = pipe.call("connect_github", json!({})).await;
    let request = &asked.raw["inputRequests"]["authorize"]["params"];
    let link = request["url"].as_str().expect("a link").to_owned();
    assert!(Browser::new().approve(link, "octocat").await.says("Connected as @octocat"));
    let id = pipe.request("tools/call", brought_back(&asked)).await;
    let answer = pipe.answer(id).await;
    assert_eq!(answer.status(), "connected", "{}", answer.raw);
}

#[tokio::test]
async fn what_begins_the_older_protocol_is_the_first_thing_said() {
    let server = world().await;
    let mut pipe = server.pipe(&[]);
    // Nothing of this begins anything; what follows is answered.
    pipe.write(b"\xff\xfe not a message\n\n{\"half\":\n").await;
    pipe.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).await;
    let started = Instant::now();
    let answer = pipe.initialize().await;
    println!("initialize answered {:?} after it was sent", started.elapsed());
    assert_eq!(answer["result"]["protocolVersion"], "2025-11-25");
    assert!(answer["result"]["capabilities"]["tools"].is_object());
    let id = pipe.request("tools/list", json!({})).await;
    let tools = pipe.answer(id).await;
    assert_eq!(tools.raw["tools"].as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn a_probe_for_the_newer_protocol_leaves_both_open() {
    let server = world().await;
    for era in ERAS {
        let mut pipe = server.pipe(&[]).speaking(Stream::Modern { asks: false }).await;
        let id = pipe.request("server/discover", json!({})).await;
        let found = pipe.answer(id).await;
        assert!(found.raw["supportedVersions"].is_array(), "{}", found.raw);
        let mut pipe = pipe.speaking(era).await;
        let status = pipe.call("auth_status", json!({})).await;
        assert_eq!(status.status(), "not_connected");
    }
}

#[tokio::test]
async fn lines_that_are_no_messages_are_left_out() {
    let server = world().await;
    let mut pipe = server.pipe(&[]).speaking(Stream::Legacy).await;
    pipe.write(b"]] garbage [[\n\n\r\n\"text\"\n").await;
    // JSON that is no message is told so, without an id.
    let told = pipe.next().await;
    assert_eq!(told["error"]["code"], -32600);
    let mut long = serde_json::to_vec(&json!({
        "jsonrpc": "2.0", "id": 77, "method": "tools/call",
        "params": { "name": "auth_status", "arguments": { "connection": "x".repeat(300_000) } },
    }))
    .unwrap();
    long.push(b'\n');
    pipe.write(&long).await;
    let status = pipe.call("auth_status", json!({})).await;
    assert_eq!(status.status(), "not_connected");
    let unknown = pipe.request("no/such/method", json!({})).await;
    assert_eq!(pipe.answer(unknown).await.raw["code"], -32601);
    assert!(pipe.log().contains("maximum line length"), "{}", pipe.log());
}

#[tokio::test]
async fn a_cancelled_call_ends_and_is_not_answered() {
    for era in ERAS {
        let server = world().await;
        let mut pipe = server.pipe(&[]).speaking(era).await;
        connect(&mut pipe).await;
        let gate = server.world.github.hold(Match::new(|call| call.path == "/graphql"));
        let id = pipe.begin("summarize_prs", json!({ "repository": "octo/hive" })).await;
        gate.until_waiting(1).await;
        let params = json!({ "requestId": id, "reason": "enough" });
        pipe.send(&json!({
            "jsonrpc": "2.0", "method": "notifications/cancelled", "params": params,
        }))
        .await;
        // Its request to GitHub was let go of, long before that would have run out of time.
        timeout(QUICK / 2, gate.until_waiting(0)).await.unwrap();
        drop(gate);
        let next = pipe.begin("auth_status", json!({})).await;
        loop {
            let message = pipe.next().await;
            assert_ne!(message["id"], id, "the cancelled call was answered: {message}");
            if message["id"] == next {
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_host_that_leaves_during_a_call_gets_what_is_there() {
    let server = world().await;
    let mut pipe = server.pipe(&[]).speaking(Stream::Legacy).await;
    connect(&mut pipe).await;
    let gate = server.world.llm.hold(Match::new(|call| call.json().to_string().contains("Row 2")));
    let id = pipe.begin("summarize_prs", json!({ "repository": "octo/hive" })).await;
    gate.until_waiting(1).await;
    pipe.leave();
    let (status, rest) = timeout(QUICK, pipe.ended()).await.unwrap();
    assert!(status.success(), "{status:?}");
    let answer = rest.iter().find(|message| message["id"] == id).expect("an answer");
    let pending = answer["result"]["structuredContent"]["pending"].as_array().unwrap();
    assert!(pending.contains(&json!(2)), "{answer}");
}

#[tokio::test]
async fn a_call_that_waits_for_the_person_does_not_keep_the_program() {
    let server = world().await;
    let mut pipe = server.pipe(&[]).speaking(Stream::Modern { asks: true }).await;
    let asked = pipe.call("connect_github", json!({})).await;
    // The client says that the link was opened; nobody does, and for long the call waits.
    pipe.request("tools/call", brought_back(&asked)).await;
    pipe.leave();
    let (status, _) = timeout(QUICK, pipe.ended()).await.unwrap();
    assert!(status.success(), "{status:?}");
}

/// Node gives its children sockets in place of pipes; those are read on a thread that only their end
/// wakes.
#[tokio::test]
async fn sigterm_ends_it_over_pipes_and_over_sockets() {
    let server = world().await;
    let pipe = server.pipe(&[]).speaking(Stream::Legacy).await;
    terminate(pipe.pid()).await;
    let (status, _) = timeout(QUICK, pipe.ended()).await.unwrap();
    assert!(status.success(), "{status:?}");

    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let mut program = server.command();
    program.arg("stdio").env_remove("PORT").kill_on_drop(true);
    program.stdin(Stdio::from(OwnedFd::from(theirs.try_clone().unwrap())));
    program.stdout(Stdio::from(OwnedFd::from(theirs)));
    let mut program = program.spawn().unwrap();
    ours.set_nonblocking(true).unwrap();
    let mut ours = tokio::net::UnixStream::from_std(ours).unwrap();
    ours.write_all(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n").await.unwrap();
    let mut answer = [0; 10];
    ours.read_exact(&mut answer).await.unwrap();
    terminate(program.id().unwrap()).await;
    let status = timeout(QUICK, program.wait()).await.unwrap().unwrap();
    assert!(status.success(), "{status:?}");
}

async fn terminate(pid: u32) {
    let told = tokio::process::Command::new("kill").args(["-TERM", &pid.to_string()]).status();
    assert!(told.await.unwrap().success());
}

#[tokio::test]
async fn two_processes_share_one_file_and_one_person() {
    let server = world().await;
    let (first, second) = tokio::join!(
        server.pipe(&[]).speaking(Stream::Legacy),
        server.pipe(&[]).speaking(Stream::Modern { asks: false }),
    );
    let mut pipes = [first, second];
    connect(&mut pipes[0]).await;
    for pipe in &mut pipes {
        let status = pipe.call("auth_status", json!({})).await;
        assert_eq!(status.data["github_login"], "octocat");
    }
    // Both write at the same time, each many times: a link anew is a write.
    let [first, second] = &mut pipes;
    let often = async |pipe: &mut Pipe| {
        for _ in 0..10 {
            let answer = pipe.call("connect_github", json!({ "reconnect": true })).await;
            assert_eq!(answer.status(), "authorization_required", "{}", answer.text);
        }
    };
    tokio::join!(often(first), often(second));
    let gone = pipes[1].call("disconnect_github", json!({})).await;
    assert!(!gone.is_error, "{}", gone.text);
    assert_ne!(pipes[0].call("auth_status", json!({})).await.status(), "connected");
}

#[tokio::test]
async fn in_session_mode_each_process_is_somebody_else() {
    let server = world().await;
    let session = [("AUTH_MODE", "session")];
    let mut first = server.pipe(&session).speaking(Stream::Legacy).await;
    connect(&mut first).await;
    let status = first.call("auth_status", json!({})).await;
    assert_eq!((status.status(), &status.data["auth_mode"]), ("connected", &json!("session")));
    let mut second = server.pipe(&session).speaking(Stream::Modern { asks: false }).await;
    assert_eq!(second.call("auth_status", json!({})).await.status(), "not_connected");
}

#[tokio::test]
async fn the_operators_token_needs_no_linking_and_no_key() {
    let server = world().await;
    let token = server.world.github.token_of("octocat");
    let settings = [
        ("SCALEKIT_ENVIRONMENT_URL", ""),
        ("SCALEKIT_CLIENT_ID", ""),
        ("SCALEKIT_CLIENT_SECRET", ""),
        ("GITHUB_CONNECTION_NAME", ""),
        ("GITHUB_TOKEN", token.as_str()),
        ("GITHUB_API_URL", server.world.github.url()),
    ];
    let mut pipe = server.pipe(&settings).speaking(Stream::Legacy).await;
    let answer = pipe.call("summarize_prs", json!({ "repository": "octo/hive" })).await;
    assert!(!answer.is_error, "{}", answer.text);
    assert!(!server.state().join("local-key").exists(), "nobody needs a key");
}

#[tokio::test]
async fn beside_the_pipe_there_are_pages_and_no_agents_door() {
    let server = world().await;
    let mut pipe = server.pipe(&[]).speaking(Stream::Legacy).await;
    let link = pipe.call("connect_github", json!({})).await.link();
    let origin = reqwest::Url::parse(&link).unwrap().join("/").unwrap();
    let home = reqwest::get(origin.clone()).await.unwrap();
    assert_eq!(home.status(), 200);
    let page = home.text().await.unwrap();
    assert!(!page.contains("/mcp") && page.contains("a link to them works"), "{page}");
    let mcp = reqwest::Client::new().post(origin.join("/mcp").unwrap()).body("{}").send().await;
    assert_eq!(mcp.unwrap().status(), 404);
}

/// A host that writes and does not read must be made to wait, not be answered into memory.
/// The pipe's person needs no key, so whoever reaches the port of its pages must not ask as them.
#[tokio::test]
async fn beside_the_pipe_nobody_asks_on_a_page() {
    let server = world().await;
    let mut pipe = server.pipe(&[]).speaking(Stream::Legacy).await;
    connect(&mut pipe).await;
    let link = pipe.call("connect_github", json!({ "reconnect": true })).await.link();
    let link = reqwest::Url::parse(&link).unwrap();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let home = http.get(link.join("/").unwrap()).send().await.unwrap().text().await.unwrap();
    assert!(home.contains("a link to them works"), "{home}");
    assert!(!home.contains("<form") && !home.contains("<script"), "{home}");
    for path in ["/digest", "/page", "/standing", "/page.js", "/mcp"] {
        let form = [("repository", "octo/hive"), ("action", "disconnect")];
        let origin = link.origin().ascii_serialization();
        let post = http.post(link.join(path).unwrap()).header("origin", origin).form(&form);
        for request in [post, http.get(link.join(path).unwrap())] {
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), 404, "{path}");
        }
    }
    assert_eq!(pipe.call("auth_status", json!({})).await.status(), "connected");
}

#[tokio::test]
async fn a_host_that_does_not_read_is_not_read_either() {
    let server = world().await;
    let mut pipe = server.pipe(&[]).speaking(Stream::Legacy).await;
    let list = |id: u64| json!({ "jsonrpc": "2.0", "id": id, "method": "tools/list" });
    // One answer is longer than 10 KB: all of them would be more than 200 MB.
    let most = 20_000;
    let mut written = 0;
    while written < most {
        let line = format!("{}\n", list(100 + written));
        // The pipe is full for good once the program has stopped reading.
        if timeout(Duration::from_secs(2), pipe.write(line.as_bytes())).await.is_err() {
            break;
        }
        written += 1;
    }
    let resident = resident_kib(pipe.pid());
    println!("{written} requests taken without a reader, {resident} KiB resident");
    assert!(written < most, "everything was taken");
    assert!(resident < 64 * 1024, "{resident} KiB");
    // Once it reads, everything that was taken is answered.
    for _ in 0..written {
        let answer = pipe.next().await;
        assert!(answer["result"]["tools"].is_array(), "{answer}");
    }
}

fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn oauth_is_refused_and_says_why() {
    let server = world().await;
    let mut program = server.command();
    program.args(["stdio", "--check-config"]).env_remove("PORT");
    let sound = program.output().await.unwrap();
    assert!(sound.status.success());
    let said = String::from_utf8(sound.stdout).unwrap();
    assert!(said.contains("single-user") && said.contains("a free port"), "{said}");
    let mut program = server.command();
    let refused = program.args(["stdio"]).env("AUTH_MODE", "oauth").output().await.unwrap();
    assert_eq!(refused.status.code(), Some(78));
    assert_eq!(refused.stdout, b"");
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("AUTH_MODE is oauth") && said.contains("nobody signs in"), "{said}");
}

/// All the program says before it is asked.
#[tokio::test]
async fn it_says_nothing_by_itself() {
    let server = world().await;
    let mut pipe = server.pipe(&[("RUST_LOG", "trace")]);
    pipe.leave();
    let (status, said): (_, Vec<Value>) = timeout(QUICK, pipe.ended()).await.unwrap();
    assert!(status.success() && said.is_empty(), "{status:?} {said:?}");
}
