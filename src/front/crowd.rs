//! The places for connections, and who leaves when they are all taken.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::Context,
};

use futures_util::task::AtomicWaker;

/// In which order those who wait are sent away: strangers first, then by how long they have waited.
type Turn = (Standing, u64);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    /// Has never sent a whole request.
    Stranger,
    /// Was answered before, and keeps its connection for the next request.
    Guest,
}

/// All places; clones share them.
#[derive(Debug, Clone)]
pub(super) struct Crowd(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    places: usize,
    /// A std mutex: it is never held across an await, and only for a map operation.
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    count: usize,
    next: u64,
    /// Those without a request that is being answered. The others cannot be sent away.
    waiting: BTreeMap<Turn, Arc<Dismissal>>,
}

/// Tells a connection to go.
#[derive(Debug, Default)]
struct Dismissal {
    told: AtomicBool,
    waker: AtomicWaker,
}

/// One connection's place; free again when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    crowd: Crowd,
    dismissal: Arc<Dismissal>,
    turn: Mutex<Option<Turn>>,
}

impl Crowd {
    pub(super) fn new(places: usize) -> Self {
        Self(Arc::new(Inner { places, taken: Mutex::default() }))
    }

    pub(super) fn len(&self) -> usize {
        self.lock().count
    }

    /// A place, if need be the one of who has waited longest. `None`: every one is being served.
    pub(super) fn enter(&self) -> Option<Place> {
        let dismissal = Arc::new(Dismissal::default());
        let mut taken = self.lock();
        // Who is told to go keeps its place until its task has run; the surplus is small, because
        // each newcomer sends one away.
        if taken.count >= self.0.places && !taken.dismiss() {
            return None;
        }
        taken.count += 1;
        let turn = taken.join(Standing::Stranger, &dismissal);
        drop(taken);
        Some(Place { crowd: self.clone(), dismissal, turn: Mutex::new(Some(turn)) })
    }

    /// Sends away who has waited longest, if anybody waits.
    pub(super) fn make_room(&self) {
        self.lock().dismiss();
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    fn join(&mut self, standing: Standing, dismissal: &Arc<Dismissal>) -> Turn {
        let turn = (standing, self.next);
        self.next += 1;
        self.waiting.insert(turn, Arc::clone(dismissal));
        turn
    }

    fn dismiss(&mut self) -> bool {
        let Some((_, dismissal)) = self.waiting.pop_first() else { return false };
        dismissal.told.store(true, Ordering::Release);
        dismissal.waker.wake();
        true
    }
}

impl Place {
    /// A whole request is there: from now on it cannot be sent away. False: it has been already.
    pub(super) fn begin(&self) -> bool {
        let mut taken = self.crowd.lock();
        if let Some(turn) = self.turn().take() {
            taken.waiting.remove(&turn);
        }
        !self.dismissal.told.load(Ordering::Acquire)
    }

    /// The request is answered.
    pub(super) fn end(&self) {
        let mut taken = self.crowd.lock();
        let mut turn = self.turn();
        if let Some(turn) = turn.take() {
            taken.waiting.remove(&turn);
        }
        *turn = Some(taken.join(Standing::Guest, &self.dismissal));
    }

    /// Whether it was told to go; if not yet, the task of `context` is woken when it is.
    pub(super) fn is_dismissed(&self, context: &Context<'_>) -> bool {
        self.dismissal.waker.register(context.waker());
        self.dismissal.told.load(Ordering::Acquire)
    }

    fn turn(&self) -> MutexGuard<'_, Option<Turn>> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.crowd.lock();
        taken.count -= 1;
        if let Some(turn) = self.turn().take() {
            taken.waiting.remove(&turn);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    fn is_told(place: &Place) -> bool {
        place.is_dismissed(&Context::from_waker(Waker::noop()))
    }

    #[test]
    fn strangers_go_before_guests_and_the_oldest_first() {
        let crowd = Crowd::new(3);
        let (guest, first, second) =
            (crowd.enter().unwrap(), crowd.enter().unwrap(), crowd.enter().unwrap());
        assert!(guest.begin());
        guest.end();
        let third = crowd.enter().unwrap();
        assert!(is_told(&first) && !is_told(&second) && !is_told(&guest));
        drop(first);
        let _fourth = crowd.enter().unwrap();
        assert!(is_told(&second) && !is_told(&third) && !is_told(&guest));
    }

    #[test]
    fn who_is_served_stays_and_who_was_told_is_not_served() {
        let crowd = Crowd::new(1);
        let served = crowd.enter().unwrap();
        assert!(served.begin());
        assert!(crowd.enter().is_none());
        served.end();
        let next = crowd.enter().unwrap();
        assert!(is_told(&served) && !served.begin());
        drop(served);
        assert!(next.begin());
        drop(next);
        assert_eq!(crowd.len(), 0);
        assert!(crowd.lock().waiting.is_empty());
    }
}
