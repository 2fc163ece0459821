//! How much of one caller, and how many newcomers, are attended to at the same time.
//!
//! Whoever asks for more is told at once to come back, so that one busy client fills neither the
//! store's queue nor the connections of the others. All doors count together.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

use crate::domain::PrincipalId;

/// Requests of one principal that are being answered. A person with several hosts has a handful.
pub const OF_ONE: usize = 32;
/// Sessions being opened. Each is a write to the disk, and outside of `oauth` mode nobody is known
/// yet who could be held to a share.
const NEWCOMERS: usize = 8;
/// How long a newcomer may wait for their turn.
const PATIENCE: Duration = Duration::from_secs(2);

/// Counts; clones share the count.
#[derive(Debug, Clone)]
pub struct Turnstile(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// By principal. A std mutex: it is never held across an await.
    inside: Mutex<HashMap<PrincipalId, usize>>,
    newcomers: Semaphore,
}

/// One request that is being answered, until this is dropped.
#[derive(Debug)]
pub struct Passage {
    turnstile: Turnstile,
    principal: PrincipalId,
}

impl Default for Turnstile {
    fn default() -> Self {
        let (inside, newcomers) = (Mutex::default(), Semaphore::new(NEWCOMERS));
        Self(Arc::new(Inner { inside, newcomers }))
    }
}

impl Turnstile {
    /// Lets a request of this principal in. `None`: enough of them are being answered.
    pub fn pass(&self, principal: &PrincipalId) -> Option<Passage> {
        let mut inside = self.lock();
        let count = inside.entry(principal.clone()).or_default();
        if *count >= OF_ONE {
            return None;
        }
        *count += 1;
        Some(Passage { turnstile: self.clone(), principal: principal.clone() })
    }

    /// The turn of somebody who opens a session. `None`: too many are waiting for theirs.
    pub async fn welcome(&self) -> Option<SemaphorePermit<'_>> {
        timeout(PATIENCE, self.0.newcomers.acquire()).await.ok()?.ok()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PrincipalId, usize>> {
        self.0.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        let mut inside = self.turnstile.lock();
        if let Some(count) = inside.get_mut(&self.principal) {
            *count -= 1;
            if *count == 0 {
                inside.remove(&self.principal);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::SystemEntropy;

    #[test]
    fn one_principal_has_a_share_and_not_the_others() {
        let turnstile = Turnstile::default();
        let (greedy, other) =
            (PrincipalId::mint(&SystemEntropy), PrincipalId::mint(&SystemEntropy));
        let mut inside: Vec<_> =
            (0..OF_ONE).map(|_| turnstile.pass(&greedy).expect("within the share")).collect();
        assert!(turnstile.pass(&greedy).is_none());
        assert!(turnstile.pass(&other).is_some());
        inside.pop();
        assert!(turnstile.pass(&greedy).is_some());
        drop(inside);
        assert!(turnstile.lock().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn newcomers_wait_for_their_turn_and_not_for_ever() {
        let turnstile = Turnstile::default();
        let mut turns = Vec::new();
        for _ in 0..NEWCOMERS {
            turns.push(turnstile.welcome().await.unwrap());
        }
        assert!(turnstile.welcome().await.is_none());
        turns.pop();
        assert!(turnstile.welcome().await.is_some());
    }
}
