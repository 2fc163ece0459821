//! An upstream that takes its time, for the servers that are not ours.

use axum::{Router, routing::get};
use tokio::{net::TcpListener, task::JoinHandle, time};

use crate::contenders::UPSTREAM;

/// Answers some bytes after [`UPSTREAM`].
pub struct Upstream {
    url: String,
    serving: JoinHandle<()>,
}

impl Upstream {
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let listener = axum::serve::ListenerExt::tap_io(listener, |stream| {
            let _ = stream.set_nodelay(true);
        });
        let answer = || async {
            time::sleep(UPSTREAM).await;
            "x".repeat(400)
        };
        let router = Router::new().route("/", get(answer));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, serving }
    }

    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
