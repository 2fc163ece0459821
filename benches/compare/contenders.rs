//! Who is measured: our server in two modes, the floor in two manners, and what people would write otherwise.

use std::{
    env, fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::process::Command;

use crate::{
    fakes::{Browser, Fault, Match, Person, World, WorldBuilder},
    floor::Manner,
    load::tool,
    oauth_client::OAuthClient,
    process::Process,
    support::{Server, program},
    upstream::Upstream,
    wire::Seat,
};

/// How long the upstream takes to answer.
pub const UPSTREAM: Duration = Duration::from_millis(50);
/// Principals that ask at the same time: each may have 32 requests under way.
const PEOPLE: usize = 16;

/// A server that runs, and clients that are ready to ask it.
pub struct Contender {
    pub name: &'static str,
    pub pid: u32,
    /// Connected clients.
    pub seats: Vec<Seat>,
    /// The file that its records are in, if it has one.
    pub store: Option<PathBuf>,
    /// What is asked for a call with one trip to the upstream, and by whom; none where it is not measured.
    pub trip: Option<Trip>,
    _running: Running,
}

enum Running {
    Ours { _server: Server },
    Other { _process: Process },
}

/// A call that waits for the upstream once.
pub enum Trip {
    /// Of people who are at GitHub's question: each look at how they stand asks Scalekit whether they are done. Who
    /// does not answer within a quarter of an hour has to begin anew, so there are new ones for each round.
    Pending(SocketAddr),
    /// Of a tool that does nothing else.
    Tool(Vec<Seat>),
}

impl Trip {
    pub async fn seats(&self) -> Vec<Seat> {
        let address = match self {
            Self::Tool(seats) => return seats.clone(),
            Self::Pending(address) => *address,
        };
        let mut seats = Vec::new();
        for _ in 0..PEOPLE {
            let seat = Seat::take(address, None).await;
            Browser::new().to_consent(link(&seat).await).await;
            seats.push(seat);
        }
        seats
    }

    pub fn call(&self) -> (&'static str, Value) {
        tool(match self {
            Self::Pending(_) => "auth_status",
            Self::Tool(_) => "upstream_call",
        })
    }
}

/// How a program starts, by name.
pub struct Recipe {
    pub name: &'static str,
    pub command: Box<dyn Fn() -> Command>,
}

impl Contender {
    /// Our server where each session is a principal, with GitHub accounts linked.
    pub async fn session_mode() -> Self {
        let server = Server::builder().set("RUST_LOG", "").world(people()).program().start().await;
        let address = server.origin().trim_start_matches("http://").parse().unwrap();
        let mut seats = Vec::new();
        for number in 0..PEOPLE {
            let seat = Seat::take(address, None).await;
            let page = Browser::new().approve(link(&seat).await, &login(number)).await;
            assert!(page.says(&format!("Connected as @{}", login(number))), "{page:?}");
            seats.push(seat);
        }
        let asked = Match::prefix("GET", "/api/v1/connected_accounts/details");
        server.world.scalekit.inject(asked, Fault::Delay(UPSTREAM), usize::MAX);
        Self {
            name: OURS,
            pid: server.pid().unwrap(),
            seats,
            store: Some(server.state().join("store.db")),
            trip: Some(Trip::Pending(address)),
            _running: Running::Ours { _server: server },
        }
    }

    /// Our server where an access token says who asks.
    pub async fn oauth_mode() -> Self {
        let server = Server::builder()
            .set("RUST_LOG", "")
            .set("AUTH_MODE", "oauth")
            .set("SESSION_SECRET", "a-session-secret-of-at-least-32-bytes!")
            .world(people())
            .program()
            .start()
            .await;
        let address = server.origin().trim_start_matches("http://").parse().unwrap();
        let client = OAuthClient::discover(&server).await;
        let mut seats = Vec::new();
        for number in 0..PEOPLE {
            let tokens = client.authorized(&Browser::new(), &login(number)).await;
            seats.push(Seat::take(address, Some(&tokens.access)).await);
        }
        let pid = server.pid().unwrap();
        Self {
            name: OURS_OAUTH,
            pid,
            seats,
            store: Some(server.state().join("store.db")),
            trip: None,
            _running: Running::Ours { _server: server },
        }
    }

    /// Another program, started by its recipe.
    pub async fn other(recipe: &Recipe, upstream: &Upstream) -> Self {
        let mut command = (recipe.command)();
        command.env("UPSTREAM", upstream.url());
        let process = Process::start(command, None).await;
        let mut seats = Vec::new();
        for _ in 0..PEOPLE {
            seats.push(Seat::take(process.address, None).await);
        }
        let trip = Some(Trip::Tool(seats.clone()));
        let (name, pid) = (recipe.name, process.pid());
        let running = Running::Other { _process: process };
        Self { name, pid, seats, store: None, trip, _running: running }
    }
}

pub const OURS: &str = "pr-summarizer, session mode";
pub const OURS_OAUTH: &str = "pr-summarizer, oauth mode";
pub const FLOOR: &str = "bare rmcp, its defaults";
pub const LEAST: &str = "bare rmcp, stateless JSON";

/// The floor, and every server in `servers/` that is installed.
pub fn others() -> Vec<Recipe> {
    let mut recipes = vec![floor(FLOOR, Manner::Sessions), floor(LEAST, Manner::Stateless)];
    let servers = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("benches/compare/servers");
    for (name, folder) in [
        ("TypeScript SDK 1.x", "typescript-1.x"),
        ("TypeScript SDK 2.x", "typescript-2.x"),
        ("FastMCP", "fastmcp"),
    ] {
        let start = servers.join(folder).join("start.sh");
        let command = move || {
            let mut command = Command::new("bash");
            command.arg(&start);
            command
        };
        recipes.push(Recipe { name, command: Box::new(command) });
    }
    recipes
}

fn floor(name: &'static str, manner: Manner) -> Recipe {
    let command = move || {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["floor", manner.name()]);
        command
    };
    Recipe { name, command: Box::new(command) }
}

/// Our program by itself, with settings as good as any: for how it starts, and what it takes when idle.
pub fn ours(state: &Path) -> Command {
    fs::create_dir_all(state).unwrap();
    let mut command = Command::new(program());
    command.env_clear().current_dir(state).env("STATE_DIR", state).envs([
        ("SCALEKIT_ENVIRONMENT_URL", "http://127.0.0.1:9"),
        ("SCALEKIT_CLIENT_ID", "nobody"),
        ("SCALEKIT_CLIENT_SECRET", "nothing"),
        ("GITHUB_CONNECTION_NAME", "github"),
    ]);
    command
}

fn people() -> WorldBuilder {
    let people = (0..PEOPLE).map(|number| Person::new(9_000 + number as u64, &login(number)));
    World::builder().people(people.collect())
}

fn login(number: usize) -> String {
    format!("person-{number}")
}

async fn link(seat: &Seat) -> String {
    let (method, params) = tool("connect_github");
    let answer = seat.ask(method, params).await;
    answer["structuredContent"]["url"].as_str().expect("a link").to_owned()
}

/// So that nothing is measured which is no answer.
pub async fn rehearse(contender: &Contender) {
    let (method, params) = tool("auth_status");
    let answer = contender.seats[0].ask(method, params).await;
    assert_eq!(answer["structuredContent"]["status"], json!("connected"), "{answer}");
    if let Some(trip) = &contender.trip {
        let (method, params) = trip.call();
        let answer = trip.seats().await[0].ask(method, params).await;
        let answer = &answer["structuredContent"];
        assert!(answer["status"] == json!("pending") || answer["bytes"].is_u64(), "{answer}");
    }
}
