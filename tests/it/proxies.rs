//! What the system's proxies are used for. They are named by the environment, which a test cannot
//! change for itself; so it runs once more as a process of its own.

use std::{
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Router, extract::State};
use pr_summarizer::{
    domain::SystemEntropy,
    upstream::{
        Call,
        transport::{BodyCap, Dispatch, Purpose, Retry, Transport, TransportSettings},
    },
};
use reqwest::{Method, Url};

/// Where the inner run finds that it is one.
const INNER: &str = "TEST_OF_PROXIES_IS_INNER";

/// Answers everything with `text`, and counts.
async fn serve(text: &'static str) -> (Url, Arc<AtomicUsize>) {
    let visits = Arc::new(AtomicUsize::new(0));
    let answer = move |State(visits): State<Arc<AtomicUsize>>| async move {
        visits.fetch_add(1, Ordering::SeqCst);
        text
    };
    let router = Router::new().fallback(answer).with_state(Arc::clone(&visits));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url.parse().unwrap(), visits)
}

#[tokio::test]
async fn this_machine_is_reached_without_a_proxy_and_everything_else_with() {
    if std::env::var_os(INNER).is_some() {
        return inner().await;
    }
    let (proxy, visits) = serve("the proxy").await;
    let mut again = Command::new(std::env::current_exe().unwrap());
    let name = "proxies::this_machine_is_reached_without_a_proxy_and_everything_else_with";
    again.args(["--exact", name]).env(INNER, "1");
    for variable in ["NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy", "REQUEST_METHOD"] {
        again.env_remove(variable);
    }
    for variable in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"] {
        again.env(variable, proxy.as_str());
    }
    let output = tokio::task::spawn_blocking(move || again.output()).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    assert_eq!(visits.load(Ordering::SeqCst), 1);
}

async fn inner() {
    let settings = TransportSettings { max_retries: 0, ..TransportSettings::default() };
    let transport = Transport::new(settings, Arc::new(SystemEntropy)).unwrap();
    let dispatch = Dispatch { retry: Retry::Never, cap: BodyCap::JSON, purpose: Purpose::Scalekit };
    let ask = async |url: Url| {
        let request = transport.request(Method::GET, url);
        let call = Call::within(Duration::from_secs(10));
        let answer = transport.send(request, dispatch, &call).await.unwrap();
        String::from_utf8(answer.body.to_vec()).unwrap()
    };
    let (here, _) = serve("this machine").await;
    assert_eq!(ask(here.clone()).await, "this machine");
    let mut named = here;
    named.set_host(Some("localhost")).unwrap();
    assert_eq!(ask(named).await, "this machine");
    assert_eq!(ask("http://upstream.example/".parse().unwrap()).await, "the proxy");
}
