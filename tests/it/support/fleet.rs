//! Several instances on one Redis, behind a balancer that knows nothing of sessions.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use pr_summarizer::{
    app::App,
    config::{self, Environment},
    domain::{Clock as _, ManualClock, SystemClock, SystemEntropy},
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinHandle,
};

use super::{Agent, Ear, redis_server::RedisServer};
use crate::fakes::{FakeLlm, FakeScalekit, World, canaries};

/// What all instances sign and seal with.
pub const SECRET: &str = "one-secret-of-all-instances-32-bytes!";

/// The instances, and what they share.
pub struct Fleet {
    pub world: World,
    pub redis: RedisServer,
    pub clock: ManualClock,
    balancer: Balancer,
    environment: BTreeMap<String, String>,
    instances: Vec<Option<Instance>>,
    /// Looked through when it is dropped.
    _ear: Ear,
}

struct Instance {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// Gives each connection to the next instance of the rota.
pub struct Balancer {
    pub port: u16,
    rota: Arc<Mutex<Rota>>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Rota {
    /// Ports of the instances that are given connections; `None`: not now.
    ports: Vec<Option<u16>>,
    /// Who was given the last one.
    last: usize,
    /// The only one to be given any.
    only: Option<usize>,
    /// How many connections each was given.
    given: Vec<usize>,
}

impl Rota {
    fn next(&mut self) -> Option<u16> {
        let count = self.ports.len();
        let turns = (1..=count).map(|step| (self.last + step) % count);
        let next = turns
            .filter(|turn| self.only.is_none_or(|only| only == *turn))
            .find(|turn| self.ports[*turn].is_some())?;
        self.last = next;
        self.given[next] += 1;
        self.ports[next]
    }
}

impl Fleet {
    /// Three instances in `mode`. `None` where no Redis is installed.
    pub async fn start(mode: &str) -> Option<Self> {
        let redis = RedisServer::start()?;
        let ear = Ear::open();
        canaries::note("secret of sessions", SECRET);
        let clock = ManualClock::new(SystemClock.now());
        let world = World::builder().clock(Arc::new(clock.clone())).start().await;
        let balancer = Balancer::start().await;
        let origin = format!("http://127.0.0.1:{}", balancer.port);
        let environment = BTreeMap::from(
            [
                ("AUTH_MODE", mode.to_owned()),
                ("PUBLIC_BASE_URL", origin),
                ("SESSION_SECRET", SECRET.to_owned()),
                ("STATE_DIR", "/nonexistent: nothing is kept on a disk".to_owned()),
                ("STORE_URL", redis.url()),
                ("INSTANCES", "3".to_owned()),
                ("SCALEKIT_ENVIRONMENT_URL", world.scalekit.url().to_owned()),
                ("SCALEKIT_CLIENT_ID", FakeScalekit::CLIENT_ID.to_owned()),
                ("SCALEKIT_CLIENT_SECRET", FakeScalekit::CLIENT_SECRET.to_owned()),
                ("GITHUB_CONNECTION_NAME", FakeScalekit::CONNECTION_NAME.to_owned()),
                ("OPENAI_BASE_URL", world.llm.url()),
                ("OPENAI_API_KEY", FakeLlm::API_KEY.to_owned()),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        );
        let mut fleet =
            Self { world, redis, clock, balancer, environment, instances: Vec::new(), _ear: ear };
        for number in 0..3 {
            fleet.instances.push(None);
            fleet.balancer.with(|rota| {
                rota.ports.push(None);
                rota.given.push(0);
            });
            fleet.begin(number).await;
        }
        Some(fleet)
    }

    /// The one origin of all links.
    pub fn origin(&self) -> String {
        format!("http://127.0.0.1:{}", self.balancer.port)
    }

    /// From now on connections go to this instance only, and not to each in turn.
    pub fn only(&self, number: usize) {
        self.balancer.only(number);
    }

    /// How many connections each instance was given.
    pub fn given(&self) -> Vec<usize> {
        self.balancer.with(|rota| rota.given.clone())
    }

    pub async fn agent(&self) -> Agent {
        Agent::legacy(&format!("{}/mcp", self.origin())).await
    }

    pub fn asking_agent(&self) -> Agent {
        Agent::modern(&format!("{}/mcp", self.origin()), true)
    }

    /// Starts an instance and puts it on the rota.
    pub async fn begin(&mut self, number: usize) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let settings = config::load(&Environment::of(self.environment.clone())).unwrap();
        let clock = Arc::new(self.clock.clone());
        let app = App::on(listener, settings, clock, Arc::new(SystemEntropy)).await.unwrap();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            let told = async {
                let _ = stopped.await;
            };
            app.serve(told).await;
        });
        self.instances[number] = Some(Instance { stop, task });
        self.balancer.with(|rota| rota.ports[number] = Some(port));
    }

    /// Takes an instance off the rota, as a platform does, and then tells it to stop.
    pub async fn end(&mut self, number: usize) {
        self.balancer.with(|rota| rota.ports[number] = None);
        let Instance { stop, task } = self.instances[number].take().unwrap();
        let _ = stop.send(());
        task.await.unwrap();
    }

    /// Ends an instance in the middle of whatever it does; connections in its queue are reset.
    pub async fn cut(&mut self, number: usize) {
        let Instance { task, .. } = self.instances[number].take().unwrap();
        task.abort();
        let _ = task.await;
        self.balancer.with(|rota| rota.ports[number] = None);
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for instance in self.instances.iter().flatten() {
            instance.task.abort();
        }
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Balancer {
    /// Puts an instance on the rota.
    pub fn add(&self, port: u16) {
        self.with(|rota| {
            rota.ports.push(Some(port));
            rota.given.push(0);
        });
    }

    /// From now on connections go to this instance only.
    pub fn only(&self, number: usize) {
        self.with(|rota| rota.only = Some(number));
    }

    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let rota = Arc::new(Mutex::new(Rota::default()));
        let shared = Arc::clone(&rota);
        let task = tokio::spawn(async move {
            loop {
                let Ok((mut client, _)) = listener.accept().await else { continue };
                let next = shared.lock().unwrap().next();
                tokio::spawn(async move {
                    let Some(port) = next else { return };
                    let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)).await else {
                        return;
                    };
                    let _ = copy_bidirectional(&mut client, &mut server).await;
                });
            }
        });
        Self { port, rota, task }
    }

    fn with<T>(&self, change: impl FnOnce(&mut Rota) -> T) -> T {
        change(&mut self.rota.lock().unwrap())
    }
}
