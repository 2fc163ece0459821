//! The processes of one run, on one store, and their end.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use chrono::DateTime;
use pr_summarizer::{
    domain::{AuthMode, Entropy, ManualClock, Secret},
    identity::{AccountLinking, Keyring, LinkingSettings, Sessions, linking::Accounts},
    store::{Backend, Memory, RedisAddress, Store},
    upstream::{
        scalekit::{Scalekit, ScalekitSettings},
        transport::Transport,
    },
};
use tempfile::TempDir;

use super::{gates::Gates, stepping::Stepping};
use crate::{
    bad_input::chance::Chance,
    fakes::{FakeScalekit, World},
    support::redis_server::RedisServer,
};

/// Where browsers are sent back to; nobody listens there.
const ORIGIN: &str = "http://127.0.0.1:3000";

/// Which store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Memory,
    Sqlite,
    Redis,
}

/// Where the records of one run are: what is left when a process ends.
pub enum Ground {
    Memory(Arc<Memory>),
    Sqlite(TempDir),
    Redis(RedisAddress),
}

impl Ground {
    pub fn memory() -> Self {
        Self::Memory(Arc::default())
    }

    /// In memory where that can be had: what is tested is not the disk.
    pub fn sqlite() -> Self {
        let shared_memory = Path::new("/dev/shm");
        Self::Sqlite(if shared_memory.is_dir() {
            tempfile::tempdir_in(shared_memory).unwrap()
        } else {
            tempfile::tempdir().unwrap()
        })
    }

    /// Whatever was there is gone.
    pub fn redis(server: &RedisServer) -> Self {
        assert!(server.ask("FLUSHALL").starts_with("+OK"));
        Self::Redis(RedisAddress::parse(&server.url()).unwrap())
    }

    async fn open(&self, clock: &ManualClock, entropy: &Arc<dyn Entropy>) -> Arc<dyn Backend> {
        let clock = Arc::new(clock.clone());
        match self {
            Self::Memory(memory) => memory.clone(),
            Self::Sqlite(folder) => {
                let file: PathBuf = folder.path().join("store.db");
                Store::sqlite(&file, clock).await.unwrap().backend()
            }
            Self::Redis(address) => {
                Store::redis(address, clock, entropy.clone()).await.unwrap().backend()
            }
        }
    }
}

/// Chance of a run, for its identifiers.
pub struct Repeatable(Mutex<Chance>);

impl Repeatable {
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(Chance::new(seed)))
    }
}

impl fmt::Debug for Repeatable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Repeatable")
    }
}

impl Entropy for Repeatable {
    fn fill(&self, bytes: &mut [u8]) {
        let mut chance = self.0.lock().unwrap();
        bytes.fill_with(|| u8::try_from(chance.below(256)).unwrap());
    }
}

/// One process: everything in it that is not in the store. Clones are the same one.
#[derive(Clone)]
pub struct Process {
    pub linking: AccountLinking,
    pub sessions: Sessions,
}

/// All processes of a run.
pub struct House {
    pub ground: Ground,
    pub clock: ManualClock,
    pub entropy: Arc<dyn Entropy>,
    pub gates: Gates,
    pub mode: AuthMode,
    pub processes: Vec<Process>,
    scalekit: ScalekitSettings,
    transport: Transport,
}

/// When runs begin.
pub fn beginning() -> ManualClock {
    ManualClock::new(DateTime::from_timestamp(1_800_000_000, 0).unwrap())
}

impl House {
    pub async fn open(
        ground: Ground,
        (mode, processes): (AuthMode, usize),
        (world, transport, clock): (&World, &Transport, &ManualClock),
        entropy: Arc<dyn Entropy>,
        gates: Gates,
    ) -> Self {
        let scalekit = ScalekitSettings {
            environment_url: world.scalekit.url().parse().unwrap(),
            client_id: FakeScalekit::CLIENT_ID.to_owned(),
            client_secret: Secret::from(FakeScalekit::CLIENT_SECRET.to_owned()),
            connection_name: FakeScalekit::CONNECTION_NAME.to_owned(),
        };
        let (clock, transport) = (clock.clone(), transport.clone());
        let mut house = Self {
            ground,
            clock,
            entropy,
            gates,
            mode,
            processes: Vec::new(),
            scalekit,
            transport,
        };
        for _ in 0..processes {
            let process = house.start().await;
            house.processes.push(process);
        }
        house
    }

    /// The process ends, with all that was in it, and another one starts in its place.
    pub async fn restart(&mut self, number: usize) {
        self.processes[number] = self.start().await;
    }

    async fn start(&self) -> Process {
        let backend = self.ground.open(&self.clock, &self.entropy).await;
        let clock = Arc::new(self.clock.clone());
        let stepping = Stepping::new(backend, self.gates.clone());
        let store = Store::new(Arc::new(stepping), clock.clone());
        let scalekit = Scalekit::new(self.scalekit.clone(), self.transport.clone(), clock.clone());
        let linking = AccountLinking::new(
            LinkingSettings { mode: self.mode, public_base_url: ORIGIN.parse().unwrap() },
            Accounts::Linked(scalekit),
            store.clone(),
            Keyring::new(Secret::from("k".repeat(32)), Vec::new()),
            None,
            clock.clone(),
            self.entropy.clone(),
        );
        let sessions = Sessions::new(store, self.mode, clock, self.entropy.clone());
        Process { linking, sessions }
    }
}
