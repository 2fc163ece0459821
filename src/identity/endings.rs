//! That access was taken away, told at once to whoever keeps or does something for its principal.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use tokio::sync::watch;

use crate::domain::PrincipalId;

type Listener = Box<dyn Fn(&PrincipalId) + Send + Sync>;

/// What ends in this process. A cheap handle.
#[derive(Clone, Default)]
pub struct AccessEndings(Arc<Inner>);

#[derive(Default)]
struct Inner {
    count: watch::Sender<u64>,
    listener: OnceLock<Listener>,
}

impl AccessEndings {
    /// Has `listener` told whose access has ended, after it did. It must not wait for anything. There
    /// is one; a second changes nothing.
    pub fn listen(&self, listener: impl Fn(&PrincipalId) + Send + Sync + 'static) {
        let _ = self.0.listener.set(Box::new(listener));
    }

    /// Tells that something of this principal's access has ended.
    pub fn tell(&self, principal: &PrincipalId) {
        if let Some(listener) = self.0.listener.get() {
            listener(principal);
        }
        self.0.count.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Moves with each ending, whosever it is.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.0.count.subscribe()
    }
}

impl fmt::Debug for AccessEndings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessEndings").finish_non_exhaustive()
    }
}
