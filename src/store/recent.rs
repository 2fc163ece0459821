//! Opened copies of what nearly every call reads, for as long as nothing at all is written.
//!
//! To look a record up in a file, open its seal and parse it takes longer than all else about a
//! short call, and most calls only look, at the same few records. A backend that can tell cheaply
//! what state it is in ([`Snapshot`]) is asked for that instead: while it is the same, a copy is
//! what would be read. The first look after a write, whoever wrote, drops all copies, so nothing is
//! told of what was removed, and nothing of it stays.

use std::{
    any::Any,
    collections::HashMap,
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use super::{Record, Snapshot, Versioned};

/// So many are kept, a few kilobytes each; one more, and it begins anew.
const MOST: usize = 1_024;

/// The copies of one state.
#[derive(Default)]
pub(super) struct Recent(RwLock<Copies>);

#[derive(Default)]
struct Copies {
    of: Option<Snapshot>,
    by_kind: HashMap<&'static str, HashMap<String, Arc<dyn Any + Send + Sync>>>,
}

impl Recent {
    /// The record as it is in this state, if it was read in it.
    pub(super) fn get<R: Record>(&self, now: &Snapshot, key: &str) -> Option<Versioned<R>> {
        let copies = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if copies.of.as_ref() != Some(now) {
            drop(copies);
            self.0.write().unwrap_or_else(PoisonError::into_inner).begin(now);
            return None;
        }
        let copy = Arc::clone(copies.by_kind.get(R::KIND)?.get(key)?);
        drop(copies);
        copy.downcast_ref::<Versioned<R>>().cloned()
    }

    /// Keeps a copy of what was read after it was asked for the state.
    pub(super) fn keep<R: Record>(&self, before: &Snapshot, key: &str, record: &Versioned<R>) {
        let copy = Arc::new(record.clone());
        let mut copies = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if copies.of.as_ref() != Some(before) || copies.count() >= MOST {
            copies.begin(before);
        }
        copies.by_kind.entry(R::KIND).or_default().insert(key.to_owned(), copy);
    }
}

impl Copies {
    fn begin(&mut self, state: &Snapshot) {
        self.of = Some(state.clone());
        // Few kinds, and their maps are of use again.
        self.by_kind.values_mut().for_each(HashMap::clear);
    }

    fn count(&self) -> usize {
        self.by_kind.values().map(HashMap::len).sum()
    }
}

impl fmt::Debug for Recent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recent").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::Timestamp,
        store::{
            Version,
            tests::{Note, note},
        },
    };

    fn record(text: &str) -> Versioned<Note> {
        Versioned { value: note(text), version: Version(1), expires_at: Timestamp::MAX_UTC }
    }

    #[test]
    fn a_copy_is_of_its_state_its_kind_and_its_key() {
        let (recent, one, two) =
            (Recent::default(), Snapshot::new([1; 48]), Snapshot::new([2; 48]));
        recent.keep(&one, "a", &record("first"));
        assert_eq!(recent.get::<Note>(&one, "a"), Some(record("first")));
        assert_eq!(recent.get::<Note>(&one, "b"), None);
        // A look in another state drops them all, for good.
        assert_eq!(recent.get::<Note>(&two, "a"), None);
        assert_eq!(recent.get::<Note>(&one, "a"), None);
        // What was read a state ago says nothing about this one.
        recent.keep(&one, "a", &record("late"));
        assert_eq!(recent.get::<Note>(&two, "a"), None);
    }

    #[test]
    fn there_are_only_so_many() {
        let (recent, state) = (Recent::default(), Snapshot::new([1; 48]));
        for number in 0..=MOST {
            recent.keep(&state, &number.to_string(), &record("x"));
        }
        let kept = (0..=MOST).filter(|it| recent.get::<Note>(&state, &it.to_string()).is_some());
        assert_eq!(kept.count(), 1);
    }
}
