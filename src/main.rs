//! The program: reads the settings, then serves until it is told to stop, or looks whether it could.

use std::{
    io::{self, IsTerminal as _, Write as _},
    process::ExitCode,
    sync::Arc,
};

use clap::Parser as _;
use pr_summarizer::{
    app::{App, StdioApp, doctor},
    config::{self, Cli, Command, Environment, KeySource, LocalKey, Problems, Settings},
    domain::{Secret, SystemClock, SystemEntropy},
    telemetry,
};
use rmcp::transport::stdio_pipes;
use secrecy::ExposeSecret as _;
use tokio::signal;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let command = cli.command();
    let settings = match config::load_for(command, &Environment::of_process()) {
        Ok(settings) => settings,
        Err(problems) => {
            eprintln!("{problems}");
            return ExitCode::from(config::EXIT_CODE);
        }
    };
    if cli.check_config {
        let Settings { auth_mode, public_base_url, listen, .. } = &settings;
        println!("The settings are complete and sound: {} mode,", auth_mode.slug());
        match command {
            Command::Stdio if listen.port() == 0 => {
                println!("over standard input and output, with pages on a free port.");
            }
            Command::Stdio => {
                println!("over standard input and output, with pages at {public_base_url}.");
            }
            Command::Serve | Command::Doctor => {
                println!("reached at {public_base_url}, listening on {listen}.");
            }
        }
        for warning in &settings.warnings {
            println!("Note: {warning}");
        }
        return ExitCode::SUCCESS;
    }
    telemetry::init(&settings.log);
    let done = match command {
        Command::Serve => serve(settings),
        Command::Stdio => serve_pipe(settings),
        Command::Doctor => examine(&settings),
    };
    done.unwrap_or_else(|error| {
        // Folders and keys are made only when the server starts.
        if let Some(problems) = error.downcast_ref::<Problems>() {
            eprintln!("{problems}");
            return ExitCode::from(config::EXIT_CODE);
        }
        eprintln!("pr-summarizer: {error:?}");
        ExitCode::FAILURE
    })
}

#[tokio::main]
async fn examine(settings: &Settings) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let tell = |finding: &doctor::Finding| println!("{finding}");
    let is_sound =
        doctor::examine(settings, Arc::new(SystemClock), Arc::new(SystemEntropy), tell).await;
    Ok(if is_sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[tokio::main]
async fn serve(settings: Settings) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let told_to_stop = told_to_stop()?;
    for warning in &settings.warnings {
        tracing::warn!("{warning}");
    }
    let (public, mode) = (settings.public_base_url.clone(), settings.auth_mode);
    let local_key = settings.prepare(&SystemEntropy)?.local_key;
    if let LocalKey::Required(KeySource::File(path)) = &settings.local_key {
        tracing::info!(path = %path.display(), "agents must send the local key in this file");
    }
    let app = App::bind(settings, Arc::new(SystemClock), Arc::new(SystemEntropy)).await?;
    tracing::info!(address = %app.address(), %public, mode = mode.slug(), "serving MCP at /mcp");
    // A file or a service's journal would keep the key for others to read.
    if io::stdout().is_terminal() {
        welcome(public.as_str(), local_key.as_ref())?;
    }
    app.serve(told_to_stop).await;
    Ok(ExitCode::SUCCESS)
}

fn serve_pipe(settings: Settings) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let done = runtime.block_on(async {
        let told_to_stop = told_to_stop()?;
        for warning in &settings.warnings {
            tracing::warn!("{warning}");
        }
        let mode = settings.auth_mode;
        // Here its problems are still those of settings.
        settings.prepare(&SystemEntropy)?;
        let app = StdioApp::bind(settings, Arc::new(SystemClock), Arc::new(SystemEntropy)).await?;
        let pages = app.address();
        tracing::info!(%pages, mode = mode.slug(), "serving MCP over standard input and output");
        Box::pin(app.serve(stdio_pipes(), told_to_stop)).await;
        Ok(ExitCode::SUCCESS)
    });
    // Where standard input is no pipe it is read on a thread of its own, which nothing but its end
    // can wake.
    runtime.shutdown_background();
    done
}

/// What to tell a host, for the person at the terminal.
fn welcome(public: &str, local_key: Option<&Secret>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "\nAdd it to your host, for example:")?;
    write!(out, "  claude mcp add --transport http prs {public}mcp")?;
    if let Some(key) = local_key {
        write!(out, " --header \"Authorization: Bearer {}\"", key.expose_secret())?;
    }
    writeln!(out, "\nOther hosts: README.md, \"Hosts\". Ctrl-C ends the server.\n")
}

/// Ready at Ctrl-C, or SIGTERM where there is such a thing. Listens from now on.
fn told_to_stop() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    #[cfg(unix)]
    {
        use signal::unix::{SignalKind, signal};
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        Ok(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        })
    }
    #[cfg(not(unix))]
    Ok(async {
        let _ = signal::ctrl_c().await;
    })
}
