//! What Scalekit, GitHub and the LLM answer: any status, any body.
#![no_main]

use std::{
    net::Ipv4Addr,
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};

use libfuzzer_sys::fuzz_target;
use pr_summarizer::{
    domain::{RepositoryName, Secret, SystemClock, SystemEntropy, UserId, ranking::Order},
    upstream::{
        github::{GitHub, GitHubTokenSettings, ListQuery},
        llm::{Llm, LlmSettings},
        scalekit::{Scalekit, ScalekitSettings},
        transport::{Call, Transport, TransportSettings},
    },
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    runtime::Runtime,
};
use url::Url;

/// How long an answer may take; none here takes long.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is answered next.
static ANSWER: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct World {
    runtime: Runtime,
    transport: Transport,
    llm: Llm,
    address: Url,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).expect("a port");
    let address = listener.local_addr().expect("an address");
    runtime.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut heard = Vec::new();
                let mut piece = [0; 16 * 1024];
                while !is_whole(&heard) {
                    match stream.read(&mut piece).await {
                        Ok(count) if count > 0 => heard.extend(&piece[..count]),
                        _ => return,
                    }
                }
                let answer = if heard.starts_with(b"POST /oauth/token") {
                    let token = br#"{"access_token":"t","token_type":"Bearer","expires_in":3600}"#;
                    response(200, token)
                } else {
                    ANSWER.lock().expect("one thread at a time").clone()
                };
                let _ = stream.write_all(&answer).await;
            });
        }
    });
    let address = Url::parse(&format!("http://{address}/")).expect("an address");
    // What is tried again would only be answered the same.
    let settings = TransportSettings {
        max_retries: 0,
        answer_timeout: PATIENCE,
        ..TransportSettings::default()
    };
    let transport = Transport::new(settings, Arc::new(SystemEntropy)).expect("a transport");
    let settings = LlmSettings {
        base_url: Some(address.clone()),
        api_key: None,
        model: "a-model".to_owned(),
        answer_timeout: PATIENCE,
    };
    let llm = Llm::new(settings, Arc::new(SystemEntropy)).expect("a client");
    World { runtime, transport, llm, address }
});

fn is_whole(heard: &[u8]) -> bool {
    let text = String::from_utf8_lossy(heard);
    let Some((head, _)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    heard.len() >= head.len() + 4 + length.unwrap_or(0)
}

fn response(status: u16, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fuzz_target!(|given: (u8, u16, &[u8])| {
    let (what, status, body) = given;
    let World { runtime, transport, llm, address } = &*WORLD;
    // Not 5xx: an upstream that is down is left alone for a while.
    let status = match status % 8 {
        0..4 => 200,
        4 => 400 + status % 30,
        5 => 404,
        6 => 200 + status % 100,
        _ => 403,
    };
    *ANSWER.lock().expect("one thread at a time") = response(status, body);
    runtime.block_on(async {
        let call = Call::within(Duration::from_secs(10));
        let repository = RepositoryName::new("octo", "repo").expect("a constant");
        let secret = || Secret::from("nothing".to_owned());
        let github = || {
            let settings = GitHubTokenSettings { api_url: address.clone(), token: secret() };
            GitHub::with_token(settings, transport.clone())
        };
        let scalekit = || {
            let settings = ScalekitSettings {
                environment_url: address.clone(),
                client_id: "nobody".to_owned(),
                client_secret: secret(),
                connection_name: "github".to_owned(),
            };
            Scalekit::new(settings, transport.clone(), Arc::new(SystemClock))
        };
        let user = UserId::mint(&SystemEntropy);
        match what % 10 {
            0 => {
                let query = ListQuery {
                    repository,
                    limit: 5,
                    order: Order::default(),
                    exclude_drafts: false,
                    exclude_bots: false,
                    author: None,
                    label: None,
                    base: None,
                };
                if let Ok(list) = github().choose(&query, &call).await {
                    assert!(list.pull_requests.len() <= 5);
                }
            }
            1 => drop(github().by_number(&repository, &[1, 7], &call).await),
            2 => drop(github().conversations(&repository, &[1, 7], &call).await),
            3 => drop(github().diff(&repository, 7, &call).await),
            4 => drop(github().viewer(&call).await),
            5 => drop(scalekit().account_status(&user, &call).await),
            6 => {
                let state = secret();
                let back = Url::parse("http://127.0.0.1:3000/user/verify").expect("a constant");
                drop(scalekit().authorization_link(&user, &state, &back, &call).await);
            }
            7 => drop(scalekit().verify(&user, "a-request", &call).await),
            8 => {
                let github = GitHub::through_scalekit(scalekit(), user);
                drop(github.conversations(&repository, &[7], &call).await);
            }
            _ => drop(llm.complete("system", "user", 100, &call).await),
        }
    });
});
