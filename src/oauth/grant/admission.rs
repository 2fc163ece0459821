//! A grant as it stood when a request was let in, and whether it still does.

use std::time;

use tokio::{
    sync::watch,
    time::{Instant, timeout},
};

use super::{GrantId, Grants};
use crate::domain::failure::Result as Fallible;

/// How soon an ending at another instance is noticed.
const LOOK_EVERY: time::Duration = time::Duration::from_secs(2);

/// What is answered so soon was answered when the request was let in: a revocation that another
/// instance has acknowledged meanwhile might as well have come later. What this instance has
/// acknowledged counts at once.
const MOMENT: time::Duration = time::Duration::from_millis(50);

/// That a grant stood at a moment.
#[derive(Debug, Clone)]
pub struct Admission {
    grant: GrantId,
    at: Instant,
    endings: watch::Receiver<u64>,
}

impl Admission {
    /// By which grant.
    pub fn grant(&self) -> &GrantId {
        &self.grant
    }
}

impl Grants {
    /// To be made before the grant is looked up.
    pub(super) fn admission(&self, grant: GrantId) -> Admission {
        Admission { grant, at: Instant::now(), endings: self.endings.watch() }
    }

    /// Whether the grant still stands: asked again before an answer is given.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn still_stands(&self, admission: &Admission) -> Fallible<bool> {
        let is_now = admission.at.elapsed() < MOMENT;
        if is_now && !admission.endings.has_changed().unwrap_or(true) {
            return Ok(true);
        }
        self.is_live(&admission.grant).await
    }

    /// Returns when the grant no longer stands: at once if it is ended in this process.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn until_ended(&self, admission: &Admission) -> Fallible<()> {
        let mut endings = admission.endings.clone();
        loop {
            // The sender lives as long as this does.
            let _ = timeout(LOOK_EVERY, endings.changed()).await;
            if !self.is_live(&admission.grant).await? {
                return Ok(());
            }
        }
    }
}
