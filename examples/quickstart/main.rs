//! Everything in one run, offline, without an account and without a key.
//!
//! The server is the real one, and so is the MCP client that talks to it. Scalekit, GitHub and the
//! LLM are the fake worlds of the tests, on ports of this machine. With `--serve` they keep running,
//! for the host that you use yourself.

#[path = "../../tests/fakes/mod.rs"]
mod fakes;

mod assistant;
mod clock;
mod host;
mod person;
mod print;
mod scene;
mod serve;

use std::{
    error::Error,
    fmt::Display,
    io::{self, Write as _},
    time::Instant,
};

use clap::Parser;
use pr_summarizer::domain::digest::RepositoryDigest;

use self::{
    assistant::Assistant,
    print::Paint,
    scene::{Scene, Staging},
};

/// The repository that the story is about.
const REPOSITORY: &str = "lighthouse-labs/beacon";
/// Whose GitHub account is linked.
const PERSON: &str = "octocat";

/// See pr-summarizer work: offline, without an account, without a key.
#[derive(Debug, Clone, Copy, Parser)]
#[command(name = "quickstart")]
struct Arguments {
    /// Keep running, for your own host; ends with Ctrl-C, SIGTERM or the end of standard input.
    #[arg(long)]
    serve: bool,
    /// Let Scalekit and GitHub be sites of their own (scalekit.test, github.test), as for a browser
    /// that is told to find them on this machine.
    #[arg(long, requires = "serve")]
    several_sites: bool,
    /// Serve strangers, as in public: each client goes through OAuth. A line `later SECONDS` on
    /// standard input puts the clocks of this world forward.
    #[arg(long, requires = "serve")]
    oauth: bool,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    if arguments.serve {
        let staging = Staging { several_sites: arguments.several_sites, oauth: arguments.oauth };
        return serve::until_told(staging).await;
    }
    let scene = Scene::start(scene::any_port().await?, Staging::default(), false).await?;
    match tell(&scene, Paint::for_stdout()).await {
        Err(error) if is_broken_pipe(&*error) => {}
        told => told?,
    }
    scene.end().await
}

/// The reader has seen enough, as with `| head`.
fn is_broken_pipe(error: &(dyn Error + 'static)) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// The story: refused, linked, answered.
async fn tell(scene: &Scene, paint: Paint) -> Result<(), Box<dyn Error>> {
    say(print::opening(paint))?;

    say(paint.bold("1. An assistant asks for the most-discussed pull requests."))?;
    let mut assistant = Assistant::connect(&scene.mcp_url()).await?;
    let asked = format!("summarize_prs {{ \"repository\": \"{REPOSITORY}\" }}");
    say(format!("   → {asked}"))?;
    let refused = assistant.summarize(REPOSITORY, |_| Ok(())).await?;
    let text = assistant::text(&refused);
    say(print::quoted("   ← ", &text))?;
    let link = link_in(&text, scene).ok_or("The refusal held no link.")?;

    say("")?;
    say(paint.bold("2. The person opens the link, in a browser of their own."))?;
    person::approve(link, PERSON, scene, paint).await?;

    say("")?;
    say(paint.bold("3. The assistant asks again."))?;
    say(format!("   → {asked}"))?;
    let started = Instant::now();
    let answer = assistant.summarize(REPOSITORY, |step| say(format!("   · {step}"))).await?;
    if answer.is_error == Some(true) {
        return Err(assistant::text(&answer).into());
    }
    let seconds = started.elapsed().as_secs_f64();
    let data = answer.structured_content.ok_or("The answer held no data.")?;
    let digest: RepositoryDigest = serde_json::from_value(data)?;
    say(format!("   ← answered in {seconds:.1} s\n"))?;
    say(print::digest(&digest, paint))?;
    assistant.leave().await?;
    say(print::closing(paint))?;
    Ok(())
}

/// Shows a line at once. Unlike `println!` it does not panic when nobody reads any more.
fn say(line: impl Display) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

/// The link of this server that stands in a text for assistants.
fn link_in<'t>(text: &'t str, scene: &Scene) -> Option<&'t str> {
    let start = text.find(&format!("{}/connect/", scene.origin()))?;
    text.get(start..)?.split_whitespace().next()
}
