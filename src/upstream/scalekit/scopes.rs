//! Which linked accounts lack GitHub's scope `read:org`, as GitHub's refusals have shown.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use chrono::TimeDelta;

use super::Scalekit;
use crate::domain::{Timestamp, UserId};

/// Whoever authorizes anew gets another identifier; this bounds what a change at GitHub alone makes
/// wrong.
const BELIEVED_FOR: TimeDelta = TimeDelta::hours(1);
/// Accounts remembered; beyond it the oldest are asked again, which costs each one request.
const MOST: usize = 10_000;

/// Until when each account, by its digest, is taken to lack the scope. A std mutex: it is never held
/// across an await.
#[derive(Debug, Default)]
pub(super) struct WithoutReadOrg(Mutex<BTreeMap<String, Timestamp>>);

impl WithoutReadOrg {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Timestamp>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Scalekit {
    /// Whether GitHub has refused of late what needs `read:org` to this account.
    pub fn lacks_read_org(&self, user: &UserId) -> bool {
        let known = self.0.without_read_org.lock();
        known.get(&user.digest()).is_some_and(|until| self.0.clock.now() < *until)
    }

    /// Remembers that GitHub has refused it.
    pub fn note_lack_of_read_org(&self, user: &UserId) {
        let now = self.0.clock.now();
        let mut known = self.0.without_read_org.lock();
        if known.len() >= MOST {
            known.retain(|_, until| now < *until);
        }
        if known.len() >= MOST {
            let oldest = known.iter().min_by_key(|(_, until)| **until);
            if let Some(oldest) = oldest.map(|(account, _)| account.clone()) {
                known.remove(&oldest);
            }
        }
        known.insert(user.digest(), now + BELIEVED_FOR);
    }
}
