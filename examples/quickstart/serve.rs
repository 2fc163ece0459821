//! `--serve`: the same scene, for a host of your own or for the scripts that run real clients.

use std::{
    error::Error,
    io::{self, BufRead as _, Write as _},
    thread,
};

use chrono::Duration;
use tokio::{net::TcpListener, sync::oneshot};

use crate::{
    PERSON, REPOSITORY,
    clock::SceneClock,
    scene::{Scene, Staging, any_port},
};

/// The port that the README's snippets name.
const USUAL_PORT: u16 = 3000;

/// Serves until Ctrl-C, SIGTERM or the end of standard input.
pub(crate) async fn until_told(staging: Staging) -> Result<(), Box<dyn Error>> {
    let listener = match TcpListener::bind(("127.0.0.1", USUAL_PORT)).await {
        Ok(listener) => listener,
        Err(_) => any_port().await?,
    };
    let (signalled, scene) = (signalled()?, Scene::start(listener, staging, true).await?);
    let closed = standard_input_closed(scene.clock().clone());
    announce(&scene)?;
    tokio::select! {
        signalled = signalled => signalled?,
        _ = closed => {}
    }
    scene.end().await
}

/// Scripts read the lines `NAME=value`, so they stand at the line's start and are flushed.
fn announce(scene: &Scene) -> io::Result<()> {
    let url = scene.mcp_url();
    let document = scene.client_document();
    let document = document.map_or_else(String::new, |url| format!("\nCLIENT_DOCUMENT={url}"));
    let stdio = scene.stdio_env();
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "\
pr-summarizer runs here, with an invented repository and invented people:

MCP_URL={url}
REPOSITORY={REPOSITORY}
PERSON={PERSON}{document}
STDIO_ENV={}

Tell one of these about it:
  VS Code      .vscode/mcp.json         {{\"servers\":{{\"prs\":{{\"type\":\"http\",\"url\":\"{url}\"}}}}}}
  Cursor       ~/.cursor/mcp.json       {{\"mcpServers\":{{\"prs\":{{\"url\":\"{url}\"}}}}}}
  Claude Code  claude mcp add --transport http prs {url}
  Codex        codex mcp add prs --url {url}
  Gemini CLI   ~/.gemini/settings.json  {{\"mcpServers\":{{\"prs\":{{\"httpUrl\":\"{url}\"}}}}}}
  Zed          settings.json            {{\"context_servers\":{{\"prs\":{{\"url\":\"{url}\"}}}}}}

Then ask it: “Summarize the most-discussed pull requests of {REPOSITORY}.”
It shows you a link. Open it and be octocat, mira-holm or tomasz-k: the GitHub behind it is invented, too.
Ctrl-C ends it, and so does the end of standard input.",
        stdio.display()
    )?;
    out.flush()
}

/// Ready at Ctrl-C or SIGTERM. Listens from now on, so that no signal is missed later.
fn signalled() -> io::Result<impl Future<Output = io::Result<()>>> {
    #[cfg(unix)]
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    Ok(async move {
        #[cfg(unix)]
        let terminated = terminate.recv();
        #[cfg(not(unix))]
        let terminated = std::future::pending::<Option<()>>();
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => interrupted,
            _ = terminated => Ok(()),
        }
    })
}

/// Whoever started this server holds its standard input open for as long as it is wanted; so it
/// does not outlive a script that was killed. What is written there may put the clock forward.
fn standard_input_closed(clock: SceneClock) -> oneshot::Receiver<()> {
    let (closed, waiting) = oneshot::channel();
    thread::spawn(move || {
        for line in io::stdin().lock().lines() {
            let Ok(line) = line else { break };
            let seconds = line.strip_prefix("later ").and_then(|seconds| seconds.parse().ok());
            if let Some(by) = seconds.and_then(Duration::try_seconds) {
                clock.put_forward(by);
                eprintln!("The clocks of this world were put forward by {} s.", by.num_seconds());
            }
        }
        let _ = closed.send(());
    });
    waiting
}
