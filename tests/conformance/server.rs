//! The stack of the server, with what the protocol's conformance suite wants to meet on it.
//!
//! The suite calls tools, reads resources and gets prompts that it names itself. They are registered
//! here beside the server's own tools, behind the same middleware, sessions, entrance and guard, so
//! that what the suite proves is proven of the stack that ships; but for plain calls of the server's own
//! tools within a session, which the SDK does not see: a test of the protocol holds those to its bytes.
//! No person is served here: Scalekit
//! is at an address where nobody answers.
//!
//! Prints `MCP_URL=…` and runs until its standard input ends.

#![allow(
    deprecated,
    reason = "sampling, roots and logging are on their way out, and until then the suite asks for them"
)]
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a program of the tests: what is wrong with it must end it"
)]

mod fixture;
mod inputs;
mod prompts;
mod resources;
mod tools;

use std::{
    error::Error,
    io::{self, Write as _},
    sync::Arc,
    thread,
};

use pr_summarizer::{
    app::App,
    config::{self, Environment},
    domain::{SystemClock, SystemEntropy},
    telemetry,
};
use tokio::{net::TcpListener, sync::oneshot};

use self::fixture::Fixture;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    let state = tempfile::tempdir()?;
    let settings = config::load(&Environment::of([
        ("PORT", address.port().to_string()),
        ("STATE_DIR", state.path().display().to_string()),
        ("STORE_URL", "memory:".to_owned()),
        ("SESSION_SECRET", "a-secret-of-the-conformance-runs-only".to_owned()),
        ("SCALEKIT_ENVIRONMENT_URL", "http://127.0.0.1:9".to_owned()),
        ("SCALEKIT_CLIENT_ID", "nobody".to_owned()),
        ("SCALEKIT_CLIENT_SECRET", "nothing".to_owned()),
        ("GITHUB_CONNECTION_NAME", "github".to_owned()),
    ]))?;
    telemetry::init(&settings.log);
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
    let app = App::with(listener, settings, clock, entropy, Fixture::around).await?;
    let mut out = io::stdout();
    writeln!(out, "MCP_URL=http://{address}/mcp")?;
    out.flush()?;
    let (closed, waiting) = oneshot::channel();
    thread::spawn(move || {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        let _ = closed.send(());
    });
    app.serve(async {
        let _ = waiting.await;
    })
    .await;
    Ok(())
}
