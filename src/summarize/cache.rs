//! What was read or written before, in memory and within a bound of bytes.
//!
//! A key is made of what GitHub has just returned for the caller's own account, so a hit holds
//! nothing that the caller could not read at this moment. Nothing is ever looked up by a name that
//! a caller chose.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Bytes that an entry costs beyond its key and value.
const OVERHEAD_BYTES: usize = 200;

/// Values by key; the least recently used go first when the bound is reached.
#[derive(Debug)]
pub struct Cache<V> {
    /// A std mutex: it is never held across an await.
    entries: Mutex<Entries<V>>,
    max_bytes: usize,
}

#[derive(Debug)]
struct Entries<V> {
    by_key: HashMap<String, Entry<V>>,
    /// Keys by when they were last used.
    by_use: BTreeMap<u64, String>,
    uses: u64,
    bytes: usize,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    bytes: usize,
    used: u64,
}

impl<V: Clone> Cache<V> {
    /// An empty cache of at most `max_bytes` bytes.
    pub fn new(max_bytes: usize) -> Self {
        let entries =
            Entries { by_key: HashMap::new(), by_use: BTreeMap::new(), uses: 0, bytes: 0 };
        Self { entries: Mutex::new(entries), max_bytes }
    }

    /// The value under `key`.
    pub fn get(&self, key: &str) -> Option<V> {
        let mut entries = self.lock();
        let Entries { by_key, by_use, uses, .. } = &mut *entries;
        let entry = by_key.get_mut(key)?;
        *uses += 1;
        if let Some(key) = by_use.remove(&entry.used) {
            by_use.insert(*uses, key);
        }
        entry.used = *uses;
        Some(entry.value.clone())
    }

    /// Keeps `value`, which takes `bytes`; what does not fit at all is not kept.
    pub fn put(&self, key: &str, value: V, bytes: usize) {
        let bytes = bytes.saturating_add(2 * key.len()).saturating_add(OVERHEAD_BYTES);
        if bytes > self.max_bytes {
            return;
        }
        let mut entries = self.lock();
        entries.remove(key);
        entries.uses += 1;
        let used = entries.uses;
        entries.bytes += bytes;
        entries.by_key.insert(key.to_owned(), Entry { value, bytes, used });
        entries.by_use.insert(used, key.to_owned());
        while entries.bytes > self.max_bytes {
            let Some(oldest) = entries.by_use.first_key_value().map(|(_, key)| key.clone()) else {
                break;
            };
            entries.remove(&oldest);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Entries<V>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<V> Entries<V> {
    fn remove(&mut self, key: &str) {
        if let Some(entry) = self.by_key.remove(key) {
            self.bytes -= entry.bytes;
            self.by_use.remove(&entry.used);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_goes_first() {
        let cache = Cache::new(3 * (OVERHEAD_BYTES + 102));
        for key in ["a", "b", "c"] {
            cache.put(key, key, 100);
        }
        assert_eq!(cache.get("a"), Some("a"));
        cache.put("d", "d", 100);
        assert_eq!((cache.get("b"), cache.get("a"), cache.get("d")), (None, Some("a"), Some("d")));
        cache.put("a", "A", 100);
        assert_eq!((cache.get("a"), cache.get("c")), (Some("A"), Some("c")));
    }

    #[test]
    fn the_bound_holds_whatever_comes() {
        let cache = Cache::new(10_000);
        cache.put("huge", 0, 20_000);
        assert_eq!(cache.get("huge"), None);
        for n in 0..1_000_usize {
            cache.put(&format!("{}", n % 70), n, n % 900);
            let entries = cache.lock();
            assert!(entries.bytes <= 10_000);
            assert_eq!(entries.by_key.len(), entries.by_use.len());
            assert_eq!(entries.bytes, entries.by_key.values().map(|e| e.bytes).sum::<usize>());
        }
    }
}
