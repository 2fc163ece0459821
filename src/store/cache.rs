//! Opened copies of what nearly every call reads, for as long as nothing at all is written.
//!
//! To look a record up in a file, open its seal and parse it takes longer than all else about a
//! short call, and most calls only look, at the same few records. A backend that can tell its version
//! cheaply ([`DataVersion`]) is asked for that instead: while it is the same, a copy is what would be
//! read. The first look after a write, whoever wrote, drops all copies, so nothing is told of what
//! was changed or removed.

use std::{
    any::Any,
    collections::HashMap,
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use super::{DataVersion, Record, Versioned};

/// So many are kept; one more, and it begins anew.
const MOST: usize = 1_024;

/// What is longer, in bytes as it is kept, is not copied.
pub(super) const LONGEST: usize = 8 * 1024;

/// The copies of one version.
#[derive(Default)]
pub(super) struct Cache(RwLock<Copies>);

#[derive(Default)]
struct Copies {
    of: Option<DataVersion>,
    by_kind: HashMap<&'static str, HashMap<String, Arc<dyn Any + Send + Sync>>>,
}

impl Cache {
    /// The record as it is in this version, if it was read in it.
    pub(super) fn get<R: Record>(&self, now: &DataVersion, key: &str) -> Option<Versioned<R>> {
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

    /// Keeps a copy of what was read after it was asked for the version.
    pub(super) fn keep<R: Record>(&self, before: &DataVersion, key: &str, record: &Versioned<R>) {
        let copy = Arc::new(record.clone());
        let mut copies = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if copies.of.as_ref() != Some(before) || copies.count() >= MOST {
            copies.begin(before);
        }
        copies.by_kind.entry(R::KIND).or_default().insert(key.to_owned(), copy);
    }
}

impl Copies {
    fn begin(&mut self, version: &DataVersion) {
        self.of = Some(version.clone());
        // Few kinds, and their maps are of use again.
        self.by_kind.values_mut().for_each(HashMap::clear);
    }

    fn count(&self) -> usize {
        self.by_kind.values().map(HashMap::len).sum()
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").finish_non_exhaustive()
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
        let (cache, one, two) =
            (Cache::default(), DataVersion::new([1; 48]), DataVersion::new([2; 48]));
        cache.keep(&one, "a", &record("first"));
        assert_eq!(cache.get::<Note>(&one, "a"), Some(record("first")));
        assert_eq!(cache.get::<Note>(&one, "b"), None);
        // A look in another state drops them all, for good.
        assert_eq!(cache.get::<Note>(&two, "a"), None);
        assert_eq!(cache.get::<Note>(&one, "a"), None);
        // What was read a state ago says nothing about this one.
        cache.keep(&one, "a", &record("late"));
        assert_eq!(cache.get::<Note>(&two, "a"), None);
    }

    #[test]
    fn there_are_only_so_many() {
        let (cache, state) = (Cache::default(), DataVersion::new([1; 48]));
        for number in 0..=MOST {
            cache.keep(&state, &number.to_string(), &record("x"));
        }
        let kept = (0..=MOST).filter(|it| cache.get::<Note>(&state, &it.to_string()).is_some());
        assert_eq!(kept.count(), 1);
    }
}
