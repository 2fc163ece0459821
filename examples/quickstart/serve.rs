//! `--serve`: the same scene, for a host of your own or for the scripts that run real clients.

use std::{
    error::Error,
    io::{self, Read as _, Write as _},
    thread,
};

use tokio::{net::TcpListener, sync::oneshot};

use crate::{
    PERSON, REPOSITORY,
    scene::{Scene, any_port},
};

/// The port that the README's snippets name.
const USUAL_PORT: u16 = 3000;

/// Serves until Ctrl-C, SIGTERM or the end of standard input.
pub(crate) async fn until_told(several_sites: bool) -> Result<(), Box<dyn Error>> {
    let listener = match TcpListener::bind(("127.0.0.1", USUAL_PORT)).await {
        Ok(listener) => listener,
        Err(_) => any_port().await?,
    };
    let told = told_to_stop()?;
    let scene = Scene::start(listener, several_sites, true).await?;
    announce(&scene.mcp_url())?;
    told.await?;
    scene.end().await
}

/// Scripts read the lines `NAME=value`, so they stand at the line's start and are flushed.
fn announce(url: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "\
pr-summarizer runs here, with an invented repository and invented people:

MCP_URL={url}
REPOSITORY={REPOSITORY}
PERSON={PERSON}

Tell one of these about it:
  VS Code      .vscode/mcp.json         {{\"servers\":{{\"prs\":{{\"type\":\"http\",\"url\":\"{url}\"}}}}}}
  Cursor       ~/.cursor/mcp.json       {{\"mcpServers\":{{\"prs\":{{\"url\":\"{url}\"}}}}}}
  Claude Code  claude mcp add --transport http prs {url}
  Codex        codex mcp add prs --url {url}
  Gemini CLI   ~/.gemini/settings.json  {{\"mcpServers\":{{\"prs\":{{\"httpUrl\":\"{url}\"}}}}}}
  Zed          settings.json            {{\"context_servers\":{{\"prs\":{{\"url\":\"{url}\"}}}}}}

Then ask it: “Summarize the most-discussed pull requests of {REPOSITORY}.”
It shows you a link. Open it and be octocat, mira-holm or tomasz-k: the GitHub behind it is invented, too.
Ctrl-C ends it."
    )?;
    out.flush()
}

/// Ready when somebody wants the end. Listens from now on, so that no signal is missed later.
fn told_to_stop() -> io::Result<impl Future<Output = io::Result<()>>> {
    let closed = standard_input_closed();
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
            _ = closed => Ok(()),
        }
    })
}

/// Whoever started this server holds its standard input open for as long as it is wanted; so it
/// does not outlive a script that was killed.
fn standard_input_closed() -> oneshot::Receiver<()> {
    let (closed, waiting) = oneshot::channel();
    thread::spawn(move || {
        let mut ignored = [0; 256];
        while io::stdin().read(&mut ignored).is_ok_and(|read| read > 0) {}
        let _ = closed.send(());
    });
    waiting
}
