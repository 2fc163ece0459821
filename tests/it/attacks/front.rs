//! What reaches the server at all: names, origins, proxies, and unsafe ways to start it.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    process::Command,
};

use super::house::{House, Mode, http};
use crate::{fakes::Browser, oauth::SECRET};

/// Every route of the mode, one address each.
fn routes(house: &House) -> Vec<&'static str> {
    let mut routes = vec!["/mcp", "/", "/connect/x", "/user/verify", "/connected", "/none"];
    if house.is_oauth() {
        routes.extend([
            "/authorize",
            "/token",
            "/register",
            "/revoke",
            "/person",
            "/.well-known/oauth-authorization-server",
            "/.well-known/oauth-protected-resource/mcp",
        ]);
    }
    routes
}

const FORWARDING: [(&str, &str); 8] = [
    ("x-forwarded-host", "evil.example"),
    ("x-forwarded-proto", "https"),
    ("x-forwarded-for", "203.0.113.7"),
    ("x-forwarded-prefix", "/evil"),
    ("forwarded", "host=evil.example;proto=https"),
    ("via", "1.1 evil.example"),
    ("x-real-ip", "203.0.113.7"),
    ("cf-connecting-ip", "203.0.113.7"),
];

/// Only the configured origin forms links, whatever comes with the request that asks for one.
pub async fn a04(house: &mut House) {
    let asking = house.asks().await;
    let page = Browser::new().get(asking.link().await).await;
    let form = &page.forms[0];
    let button = form.buttons.first().and_then(|b| Some((b.name.clone()?, b.value.clone())));
    let fields: Vec<_> = form.fields.iter().cloned().chain(button).collect();
    let action = page.url.join(&form.action).unwrap().to_string();
    for (name, value) in FORWARDING {
        let post = http().post(&action).form(&fields).header("origin", house.server.origin());
        let answer = post.header(name, value).header(name, "other").send().await.unwrap();
        // A proxy in front is expected in public only.
        assert_eq!(answer.status(), if house.is_oauth() { 200 } else { 403 }, "{name}");
        assert!(!answer.text().await.unwrap().contains("evil"));
        for path in routes(house) {
            let answer = http().get(house.url(path)).header(name, value).send().await.unwrap();
            let told = format!("{:?}", answer.headers()) + &answer.text().await.unwrap();
            assert!(!told.contains("evil") && !told.contains("https://127"), "{path}: {told}");
        }
    }
    // Two names in one request, of which a proxy and this server might choose differently.
    let own = house.authority();
    for head in [
        format!("GET / HTTP/1.1\r\nhost: {own}\r\nhost: evil.example"),
        format!("GET / HTTP/1.1\r\nhost: evil.example\r\nhost: {own}"),
        format!("GET http://evil.example/ HTTP/1.1\r\nhost: {own}"),
        format!("GET http://{own}/ HTTP/1.1\r\nhost: evil.example"),
        "GET / HTTP/1.1\r\nhost: evil.example".to_owned(),
        format!("GET / HTTP/1.1\r\nhost: {own}.evil.example"),
        format!("GET / HTTP/1.1\r\nhost: evil.example@{own}"),
    ] {
        let answer = raw(house, &head).await;
        assert!(answer.starts_with("HTTP/1.1 403"), "{head}: {answer}");
    }
    assert!(raw(house, "GET / HTTP/1.1").await.starts_with("HTTP/1.1 4"), "no host at all");
    asking.approve(&Browser::new(), "octocat").await;
    let asked: Vec<_> = house.server.world.scalekit.calls();
    let links: Vec<_> = asked.iter().filter(|call| call.path.ends_with("magic_link")).collect();
    assert!(!links.is_empty());
    for call in links {
        assert_eq!(call.json()["user_verify_url"], house.url("/user/verify"));
    }
}

/// The answer to a request of exactly these lines.
async fn raw(house: &House, head: &str) -> String {
    let mut stream = TcpStream::connect(house.authority()).await.unwrap();
    stream.write_all(format!("{head}\r\nconnection: close\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

/// Every unsafe combination is refused before anything listens, all problems at once.
pub async fn a16(house: &mut House) {
    let mode = match house.mode {
        Mode::Session => "session",
        Mode::SingleUser => "single-user",
        Mode::OAuth => "oauth",
    };
    let unsafe_settings: &[&[(&str, &str)]] = match house.mode {
        Mode::Session | Mode::SingleUser => &[
            &[("HOST", "0.0.0.0")],
            &[("HOST", "::")],
            &[("HOST", "192.0.2.1")],
            &[("PUBLIC_BASE_URL", "https://prs.example")],
            &[("PUBLIC_BASE_URL", "http://192.0.2.1:3000")],
            &[("PUBLIC_BASE_URL", "http://127.0.0.1:3000/path")],
            &[("RENDER_EXTERNAL_URL", "https://prs.onrender.com")],
            &[("INSTANCES", "2"), ("STORE_URL", "memory:")],
        ],
        Mode::OAuth => &[
            &[("SESSION_SECRET", "")],
            &[("SESSION_SECRET", "short")],
            &[("PUBLIC_BASE_URL", "http://prs.example")],
            &[("PUBLIC_BASE_URL", "https://prs.example/path")],
            &[("PUBLIC_BASE_URL", "https://user@prs.example")],
            &[("HOST", "0.0.0.0"), ("PUBLIC_BASE_URL", "")],
            &[("GITHUB_TOKEN", "canary-token")],
            &[("OAUTH_REDIRECT_URIS", "javascript:alert(1)")],
            &[("OAUTH_CLIENT_ID_ORIGINS", "http://192.0.2.1")],
            &[("INSTANCES", "2"), ("STORE_URL", "memory:")],
        ],
    };
    let folder = tempfile::tempdir().unwrap();
    let start = async |settings: &[(&str, &str)]| {
        let mut program = Command::new(crate::support::program());
        program.env_clear().current_dir(folder.path()).arg("--check-config");
        program.envs([
            ("AUTH_MODE", mode),
            ("STATE_DIR", "."),
            ("SESSION_SECRET", SECRET),
            ("SCALEKIT_ENVIRONMENT_URL", "http://127.0.0.1:1"),
            ("SCALEKIT_CLIENT_ID", "skc_1"),
            ("SCALEKIT_CLIENT_SECRET", "canary-secret"),
            ("GITHUB_CONNECTION_NAME", "github"),
        ]);
        let output = program.envs(settings.iter().copied()).output().await.unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, said) = start(&[]).await;
    assert_eq!(code, Some(0), "{said}");
    for settings in unsafe_settings {
        let (code, said) = start(settings).await;
        assert_eq!(code, Some(78), "{settings:?}: {said}");
        assert!(settings.iter().any(|(name, _)| said.contains(name)), "{settings:?}: {said}");
        assert!(!said.contains("canary"), "{said}");
    }
    let all: Vec<_> = unsafe_settings[0].iter().chain(unsafe_settings[3]).copied().collect();
    let (_, said) = start(&all).await;
    assert!(all.iter().all(|(name, _)| said.contains(name)), "{said}");
}

/// Names that lead here without being ours, and pages of other sites.
pub async fn a18(house: &mut House) {
    let resident = house.resident("octocat").await;
    let (_, port) =
        house.authority().rsplit_once(':').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    let mut hosts: Vec<String> = [
        "evil.example",
        "0.0.0.0",
        "localhost.",
        "localhost.evil.example",
        "127.0.0.1.nip.io",
        "127.0.0.1.",
        "127.1",
        "127.0.0.2",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "[::ffff:127.0.0.1]",
        "[::]",
        "[::1%25lo]",
        "169.254.169.254",
        "127.0.0.1,evil.example",
    ]
    .map(str::to_owned)
    .into();
    if house.is_oauth() {
        // Here only the one public name is ours.
        hosts.extend(["localhost", "[::1]", "127.0.0.1:1"].map(str::to_owned));
    }
    for host in &hosts {
        for path in routes(house) {
            let with_port = if host.contains(":1") && !host.starts_with('[') {
                host.clone()
            } else {
                format!("{host}:{port}")
            };
            for name in [host, &with_port] {
                for method in ["GET", "POST"] {
                    let head =
                        format!("{method} {path} HTTP/1.1\r\nhost: {name}\r\ncontent-length: 0");
                    let answer = raw(house, &head).await;
                    assert!(answer.starts_with("HTTP/1.1 403"), "{head}: {answer}");
                    assert!(!answer.to_lowercase().contains("set-cookie"));
                }
            }
        }
    }
    // Pages of other sites may not call the tools.
    let origin = house.server.origin();
    for headers in [
        &[("origin", "http://evil.example")][..],
        &[("origin", "null")],
        &[("origin", "")],
        &[("origin", "http://127.0.0.1:1")],
        &[("origin", "https://127.0.0.1")],
        &[("origin", "http://localhost.")],
        &[("origin", &origin), ("origin", "http://evil.example")],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
    ] {
        for method in ["POST", "GET", "DELETE", "HEAD", "OPTIONS"] {
            let mut request = http().request(method.parse().unwrap(), house.url("/mcp"));
            request = resident.agent.base(request);
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), 403, "{method} {headers:?}");
            assert!(answer.headers().get("access-control-allow-origin").is_none());
        }
    }
    // A form of another site, submitted in a tab of its own.
    let evil = Browser::page_at("http://evil.example/");
    for path in routes(house) {
        // These hold nothing by cookie and answer clients in browsers, in JSON.
        let for_clients = path.starts_with("/.well-known")
            || ["/token", "/register", "/revoke", "/", "/none", "/user/verify"].contains(&path);
        let page = resident.browser.submit(&evil, "post", &house.url(path), &[]).await;
        assert!(
            page.status == 403 || for_clients && [400, 401, 404, 405].contains(&page.status),
            "{path}: {page:?}"
        );
    }
    assert_eq!(resident.login().await.as_deref(), Some("octocat"));
}

/// A server that trusts its machine, published by a reverse proxy or a tunnel.
pub async fn a34(house: &mut House) {
    let resident = house.resident("octocat").await;
    for (name, value) in FORWARDING {
        for path in routes(house) {
            for method in ["GET", "POST", "DELETE", "HEAD"] {
                let request = http().request(method.parse().unwrap(), house.url(path));
                let answer = resident.agent.base(request).header(name, value).send().await.unwrap();
                assert_eq!(answer.status(), 403, "{method} {path} with {name}");
            }
        }
    }
    // nginx as it is: HTTP/1.0, our own name, and nothing added.
    let own = house.authority();
    for method in ["POST", "GET", "DELETE"] {
        let head = format!("{method} /mcp HTTP/1.0\r\nhost: {own}\r\ncontent-length: 0");
        let answer = raw(house, &head).await;
        assert!(answer.contains(" 403 ") && answer.contains("AUTH_MODE"), "{answer}");
    }
    // A tunnel hands its own name on.
    for name in ["prs.ngrok.app", "prs.trycloudflare.com", "prs.example"] {
        let answer = http().get(house.url("/")).header("host", name).send().await.unwrap();
        assert_eq!(answer.status(), 403, "{name}");
    }
    assert_eq!(resident.login().await.as_deref(), Some("octocat"));
}
