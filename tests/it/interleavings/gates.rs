//! Where every step waits until it is let go.
//!
//! A hand is one request that is being answered. Of all hands one runs at a time, so whoever comes to
//! a gate is that one, on whatever task it comes.

use std::{
    collections::BTreeMap,
    future::pending,
    sync::{Arc, Mutex, MutexGuard},
};

use tokio::sync::{Notify, oneshot};

/// A cheap handle.
#[derive(Debug, Clone, Default)]
pub struct Gates(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    state: Mutex<State>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct State {
    running: Option<usize>,
    /// By hand: what it is about to do, and how it is let go.
    waiting: BTreeMap<usize, (String, oneshot::Sender<()>)>,
}

impl Gates {
    /// Waits for the hand's turn. While no hand runs nobody is ordering steps, and everybody passes.
    pub async fn pass(&self, what: impl FnOnce() -> String) {
        let turn = {
            let mut state = self.state();
            let Some(hand) = state.running else { return };
            let (go, turn) = oneshot::channel();
            let other = state.waiting.insert(hand, (what(), go));
            assert!(other.is_none(), "a hand does one thing at a time");
            turn
        };
        self.0.arrived.notify_one();
        if turn.await.is_err() {
            // Its process is gone: what it was about to do never happens.
            pending::<()>().await;
        }
    }

    /// Lets this hand run on.
    pub fn release(&self, hand: usize) {
        let mut state = self.state();
        state.running = Some(hand);
        if let Some((_, go)) = state.waiting.remove(&hand) {
            let _ = go.send(());
        }
    }

    /// No hand runs.
    pub fn rest(&self) {
        self.state().running = None;
    }

    /// The hand is gone.
    pub fn forget(&self, hand: usize) {
        self.state().waiting.remove(&hand);
    }

    /// Which hand runs.
    pub fn running(&self) -> Option<usize> {
        self.state().running
    }

    /// What this hand is about to do, once it is at a gate.
    pub async fn until_waiting(&self, hand: usize) -> String {
        loop {
            if let Some((what, _)) = self.state().waiting.get(&hand) {
                return what.clone();
            }
            self.0.arrived.notified().await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap()
    }
}
