//! A door before a world: what happens to connections before anybody speaks HTTP on them.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

/// A port of its own that leads to a world, as long as it is open.
pub struct Door {
    port: u16,
    target: String,
    visits: Arc<AtomicUsize>,
    keeper: Mutex<Option<JoinHandle<()>>>,
}

impl Door {
    /// An open door to the origin `url`.
    pub async fn to(url: &str) -> Self {
        let target = url.strip_prefix("http://").expect("an origin").to_owned();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let door = Self { port, target, visits: Arc::default(), keeper: Mutex::default() };
        door.keep(listener, true);
        door
    }

    /// The origin from this side.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Connections that came, open or not; one that is refused is not noticed.
    pub fn visits(&self) -> usize {
        self.visits.load(Ordering::SeqCst)
    }

    /// Nobody listens any more, and whoever was inside is cut off.
    pub async fn shut(&self) {
        let keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(keeper) = keeper {
            keeper.abort();
            let _ = keeper.await;
        }
    }

    /// Leads through again.
    pub async fn open(&self) {
        self.shut().await;
        self.keep(self.listen().await, true);
    }

    /// Takes connections and hangs up on them.
    pub async fn hang_up(&self) {
        self.shut().await;
        self.keep(self.listen().await, false);
    }

    async fn listen(&self) -> TcpListener {
        TcpListener::bind(("127.0.0.1", self.port)).await.expect("our own port")
    }

    fn keep(&self, listener: TcpListener, leads_through: bool) {
        let (target, visits) = (self.target.clone(), Arc::clone(&self.visits));
        let keeper = tokio::spawn(async move {
            // Dropped with this task: whoever is inside is cut off.
            let mut inside = JoinSet::new();
            while let Ok((mut here, _)) = listener.accept().await {
                visits.fetch_add(1, Ordering::SeqCst);
                let target = target.clone();
                if leads_through {
                    inside.spawn(async move {
                        let _ = here.set_nodelay(true);
                        if let Ok(mut there) = TcpStream::connect(target).await {
                            let _ = there.set_nodelay(true);
                            let _ = copy_bidirectional(&mut here, &mut there).await;
                        }
                    });
                }
            }
        });
        *self.keeper.lock().unwrap_or_else(PoisonError::into_inner) = Some(keeper);
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        if let Some(keeper) = self.keeper.lock().unwrap_or_else(PoisonError::into_inner).take() {
            keeper.abort();
        }
    }
}
