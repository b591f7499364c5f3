//! A bounded map with two generations: it forgets entries that were not used recently, without updating a list on a
//! hit. Its hash has a random seed.

use std::collections::HashMap;
use std::hash::Hash;

use foldhash::fast::RandomState;

#[derive(Debug)]
pub(crate) struct Cache<K, V> {
    young: HashMap<K, V, RandomState>,
    old: HashMap<K, V, RandomState>,
    generation_max: usize,
}

impl<K: Eq + Hash + Copy, V: Clone> Cache<K, V> {
    /// Creates a map of at most `entries_max` entries. The most recently used half of them is always retained.
    pub(crate) fn new(entries_max: usize) -> Self {
        Self { young: HashMap::default(), old: HashMap::default(), generation_max: (entries_max / 2).max(1) }
    }

    pub(crate) fn get(&mut self, key: &K) -> Option<V> {
        if let Some(value) = self.young.get(key) {
            return Some(value.clone());
        }
        let value = self.old.remove(key)?;
        self.insert(*key, value.clone());
        Some(value)
    }

    pub(crate) fn insert(&mut self, key: K, value: V) {
        if self.young.len() >= self.generation_max && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.old.remove(&key);
        self.young.insert(key, value);
    }

    pub(crate) fn remove(&mut self, key: &K) {
        self.young.remove(key);
        self.old.remove(key);
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cache_is_bounded_and_retains_used_entries() {
        let mut cache = Cache::new(100);
        cache.insert(0, 0);
        for key in 1..10_000 {
            cache.insert(key, key);
            assert_eq!(cache.get(&0), Some(0));
            assert!(cache.len() <= 100);
        }
        assert_eq!(cache.get(&5_000), None);
    }
}
