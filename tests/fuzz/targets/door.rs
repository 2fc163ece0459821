//! The whole server over a socket: heads, paths, queries, cookies, tokens, forms, JSON-RPC bodies.
#![no_main]

use std::{
    env,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    sync::{Arc, LazyLock},
    time::Duration,
};

use libfuzzer_sys::fuzz_target;
use pr_summarizer::{
    app::App,
    config::{self, Environment},
    domain::{SystemClock, SystemEntropy},
};
use tokio::{net::TcpListener, runtime::Runtime};

const PATHS: [&str; 16] = [
    "/mcp",
    "/",
    "/user/verify?",
    "/authorize?",
    "/connected",
    "/connect/AAAAAAAAAAAAAAAAAAAAAAAAAA",
    "/token",
    "/register",
    "/revoke",
    "/person",
    "/readyz",
    "/.well-known/oauth-protected-resource/mcp",
    "/.well-known/oauth-authorization-server",
    "/metrics",
    "/authorize",
    "",
];
const METHODS: [&str; 4] = ["GET", "POST", "DELETE", "OPTIONS"];
const TYPES: [&str; 3] = ["application/json", "application/x-www-form-urlencoded", "text/plain"];
/// Longer than any answer here takes; a hang is a finding.
const PATIENCE: Duration = Duration::from_secs(15);

/// One server for agents with sessions and one for strangers with tokens, for as long as this runs.
static SERVERS: LazyLock<(Runtime, [SocketAddr; 2])> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let addresses = ["session", "oauth"].map(|mode| {
        runtime.block_on(async {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
            let address = listener.local_addr().expect("an address");
            let environment = [
                ("PORT", address.port().to_string()),
                ("PUBLIC_BASE_URL", format!("http://127.0.0.1:{}", address.port())),
                ("AUTH_MODE", mode.to_owned()),
                ("STORE_URL", "memory:".to_owned()),
                ("SESSION_SECRET", "the secret of the fuzzer only and of nobody else".to_owned()),
                ("STATE_DIR", env::temp_dir().display().to_string()),
                // Nobody listens there.
                ("SCALEKIT_ENVIRONMENT_URL", "http://127.0.0.1:9".to_owned()),
                ("SCALEKIT_CLIENT_ID", "nobody".to_owned()),
                ("SCALEKIT_CLIENT_SECRET", "nothing".to_owned()),
                ("GITHUB_CONNECTION_NAME", "github".to_owned()),
            ];
            let settings = config::load(&Environment::of(environment)).expect("sound settings");
            let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
            let app = App::on(listener, settings, clock, entropy).await.expect("an app");
            tokio::spawn(app.serve(std::future::pending()));
            address
        })
    });
    (runtime, addresses)
});

fuzz_target!(|given: (u8, u8, &[u8], &[u8], &[u8])| {
    let (how, path, query, headers, body) = given;
    let address = SERVERS.1[usize::from(how & 1)];
    let mut request = Vec::new();
    if how & 2 == 0 {
        // As a client writes it, with anything in the places that are free.
        let method = METHODS[usize::from(how >> 2 & 3)];
        let path = PATHS[usize::from(path & 15)];
        let query = query.iter().filter(|b| !b" \r\n".contains(b));
        request.extend(format!("{method} {path}").bytes());
        request.extend(query);
        let kind = TYPES[usize::from(how >> 4) % 3];
        request.extend(
            format!(
                " HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: {kind}\r\n\
                 Accept: application/json, text/event-stream\r\nOrigin: http://{address}\r\n\
                 Content-Length: {}\r\n",
                body.len()
            )
            .bytes(),
        );
        request.extend(headers);
        request.extend(b"\r\n\r\n");
        request.extend(body);
    } else {
        for part in [query, headers, body] {
            request.extend(part);
        }
    }
    let mut stream = TcpStream::connect(address).expect("the server takes connections");
    stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
    // It may have heard enough before the end.
    let _ = stream.write_all(&request);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    loop {
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(count) => answer.extend(&piece[..count]),
            Err(error) => {
                let hangs = matches!(
                    error.kind(),
                    std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                );
                assert!(!hangs, "no answer in time");
                break;
            }
        }
    }
    let head = String::from_utf8_lossy(answer.get(..12).unwrap_or_default()).into_owned();
    // Scalekit is away here, which is said with 502 or 503; anything else of that kind is ours.
    assert!(!head.starts_with("HTTP/1.1 500"), "{}", String::from_utf8_lossy(&answer));
    let told = String::from_utf8_lossy(&answer);
    assert!(!told.contains("usr_"), "an identifier was told: {told}");
});
