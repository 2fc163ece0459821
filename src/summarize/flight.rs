//! Single flight: what several ask for at the same time is fetched once.
//!
//! The first to ask fetches, the others wait. A failure that is about the first one alone (their
//! rights, their rate limit, their time, their leaving) is not handed on: another one tries.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};

/// So often somebody waits for another; then they go alone.
const ROUNDS: u32 = 3;

/// A failure that knows whom it concerns.
pub(super) trait Refusal: Clone {
    /// It would have met anybody.
    fn is_everybodys(&self) -> bool;
    /// The time to wait for somebody else was up.
    fn too_late() -> Self;
}

/// What came of a flight: nothing yet, or not for others, or a value or failure for all.
type Landing<V, R> = Option<Result<V, R>>;

/// Flights under way, by what they fetch.
#[derive(Debug)]
pub(super) struct Flights<V, R> {
    /// A std mutex: it is never held across an await.
    under_way: Mutex<HashMap<String, watch::Receiver<Landing<V, R>>>>,
}

/// What somebody got, and whether another fetched it.
pub(super) struct Landed<V> {
    pub(super) value: V,
    pub(super) is_shared: bool,
}

enum Seat<V, R> {
    Lead(watch::Sender<Landing<V, R>>),
    Follow(watch::Receiver<Landing<V, R>>),
    Alone,
}

impl<V: Clone, R: Refusal> Flights<V, R> {
    pub(super) fn new() -> Self {
        Self { under_way: Mutex::default() }
    }

    /// The value under `key`: already there according to `look`, fetched by somebody else at this
    /// moment, or fetched by `fetch`, which must leave it where `look` finds it.
    pub(super) async fn fly<F>(
        &self,
        key: &str,
        deadline: Instant,
        look: impl Fn() -> Option<V>,
        fetch: impl FnOnce() -> F,
    ) -> Result<Landed<V>, R>
    where
        F: Future<Output = Result<V, R>>,
    {
        for round in 0..=ROUNDS {
            let seat = {
                let mut under_way = self.lock();
                // Looked up under the lock: a flight leaves its value before it leaves this table.
                if let Some(value) = look() {
                    return Ok(Landed { value, is_shared: true });
                }
                match under_way.get(key) {
                    Some(_) if round == ROUNDS => Seat::Alone,
                    Some(flight) => Seat::Follow(flight.clone()),
                    None => {
                        let (sender, receiver) = watch::channel(None);
                        under_way.insert(key.to_owned(), receiver);
                        Seat::Lead(sender)
                    }
                }
            };
            match seat {
                Seat::Alone => break,
                Seat::Follow(mut flight) => {
                    match timeout_at(deadline, flight.wait_for(Option::is_some)).await {
                        Ok(Ok(landing)) => match &*landing {
                            Some(Ok(value)) => {
                                return Ok(Landed { value: value.clone(), is_shared: true });
                            }
                            Some(Err(refusal)) => return Err(refusal.clone()),
                            None => {}
                        },
                        // The one who fetched has left, or was refused for themselves.
                        Ok(Err(_)) => {}
                        Err(_) => return Err(R::too_late()),
                    }
                }
                Seat::Lead(sender) => {
                    let _departure = Departure { flights: self, key };
                    let outcome = fetch().await;
                    let is_for_all = match &outcome {
                        Ok(_) => true,
                        Err(refusal) => refusal.is_everybodys() && Instant::now() < deadline,
                    };
                    if is_for_all {
                        let _ = sender.send(Some(outcome.clone()));
                    }
                    return outcome.map(|value| Landed { value, is_shared: false });
                }
            }
        }
        fetch().await.map(|value| Landed { value, is_shared: false })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, watch::Receiver<Landing<V, R>>>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a flight off the table when it has landed, or its leader has left.
struct Departure<'a, V: Clone, R: Refusal> {
    flights: &'a Flights<V, R>,
    key: &'a str,
}

impl<V: Clone, R: Refusal> Drop for Departure<'_, V, R> {
    fn drop(&mut self) {
        self.flights.lock().remove(self.key);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicU32, Ordering},
        },
        time::Duration,
    };

    use futures_util::future::join_all;
    use tokio::sync::Semaphore;

    use super::*;

    #[derive(Debug, Clone, PartialEq, Eq)]
    enum Refused {
        Mine,
        Everybodys,
        Late,
    }

    impl Refusal for Refused {
        fn is_everybodys(&self) -> bool {
            *self == Self::Everybodys
        }
        fn too_late() -> Self {
            Self::Late
        }
    }

    struct World {
        flights: Flights<u32, Refused>,
        kept: Mutex<Option<u32>>,
        gate: Semaphore,
        fetches: AtomicU32,
        refusals: Mutex<Vec<Refused>>,
    }

    impl World {
        fn new(refusals: &[Refused]) -> Arc<Self> {
            Arc::new(Self {
                flights: Flights::new(),
                kept: Mutex::default(),
                gate: Semaphore::new(0),
                fetches: AtomicU32::new(0),
                refusals: Mutex::new(refusals.to_vec()),
            })
        }

        async fn ask(&self, deadline: Instant) -> Result<u32, Refused> {
            let look = || *self.kept.lock().unwrap();
            let fetch = || async {
                self.fetches.fetch_add(1, Ordering::SeqCst);
                self.gate.acquire().await.unwrap().forget();
                match self.refusals.lock().unwrap().pop() {
                    Some(refusal) => return Err(refusal),
                    None => *self.kept.lock().unwrap() = Some(7),
                }
                Ok(7)
            };
            self.flights.fly("key", deadline, look, fetch).await.map(|landed| landed.value)
        }
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(5)
    }

    #[tokio::test]
    async fn many_ask_and_one_fetches() {
        let world = World::new(&[]);
        world.gate.add_permits(1);
        let answers = join_all((0..50).map(|_| world.ask(soon()))).await;
        assert!(answers.iter().all(|answer| *answer == Ok(7)));
        assert_eq!(world.fetches.load(Ordering::SeqCst), 1);
        assert!(world.flights.lock().is_empty());
    }

    #[tokio::test]
    async fn a_refusal_of_the_first_is_theirs_alone() {
        let world = World::new(&[Refused::Mine]);
        world.gate.add_permits(100);
        let answers = join_all((0..10).map(|_| world.ask(soon()))).await;
        let refused = answers.iter().filter(|answer| **answer == Err(Refused::Mine)).count();
        assert_eq!((refused, world.fetches.load(Ordering::SeqCst)), (1, 2));
    }

    #[tokio::test]
    async fn a_failure_that_meets_everybody_is_met_once() {
        let world = World::new(&[Refused::Everybodys]);
        // Opened once all are waiting: a failure is for those who wait at that moment.
        let open = async { world.gate.add_permits(1) };
        let (answers, ()) = futures_util::join!(join_all((0..10).map(|_| world.ask(soon()))), open);
        assert!(answers.iter().all(|answer| *answer == Err(Refused::Everybodys)));
        assert_eq!(world.fetches.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn whoever_leaves_leaves_it_to_the_next() {
        let world = World::new(&[]);
        let ask = |world: &Arc<World>| {
            let world = Arc::clone(world);
            tokio::spawn(async move { world.ask(soon()).await })
        };
        let first = ask(&world);
        while world.fetches.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        let second = ask(&world);
        tokio::task::yield_now().await;
        first.abort();
        world.gate.add_permits(1);
        assert_eq!(second.await.unwrap(), Ok(7));
        assert_eq!(world.fetches.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn nobody_waits_beyond_their_time_for_another() {
        let world = World::new(&[]);
        let short = Instant::now() + Duration::from_millis(20);
        let (first, second) = futures_util::join!(
            tokio::time::timeout(Duration::from_millis(200), world.ask(soon())),
            world.ask(short),
        );
        assert!(first.is_err());
        assert_eq!(second, Err(Refused::Late));
    }
}
