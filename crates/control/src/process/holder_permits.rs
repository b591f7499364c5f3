//! Limits on concurrent work per user or address.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

/// Permits by holder. Holders without permits use no memory.
#[derive(Debug)]
pub(crate) struct HolderPermits<K: Eq + Hash> {
    max: usize,
    counts: Arc<Mutex<HashMap<K, usize>>>,
}

/// One permit; dropping it returns the permit.
#[derive(Debug)]
pub(crate) struct HolderPermit<K: Eq + Hash> {
    holder: K,
    counts: Arc<Mutex<HashMap<K, usize>>>,
}

impl<K: Eq + Hash + Clone> HolderPermits<K> {
    /// Creates permits, `max` for each holder.
    pub(crate) fn new(max: usize) -> Self {
        Self { max, counts: Arc::default() }
    }

    /// Takes a permit; returns `None` if `holder` holds the maximum.
    pub(crate) fn take(&self, holder: K) -> Option<HolderPermit<K>> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.get(&holder).copied().unwrap_or(0);
        if count >= self.max {
            return None;
        }
        counts.insert(holder.clone(), count + 1);
        Some(HolderPermit { holder, counts: self.counts.clone() })
    }
}

impl<K: Eq + Hash> Drop for HolderPermit<K> {
    fn drop(&mut self) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(count) = counts.get_mut(&self.holder) else { return };
        *count -= 1;
        if *count == 0 {
            counts.remove(&self.holder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_holder_has_its_own_permits_and_idle_holders_are_forgotten() {
        let seats = HolderPermits::new(2);
        let first = seats.take("a").unwrap();
        let second = seats.take("a").unwrap();
        assert!(seats.take("a").is_none());
        let other = seats.take("b").unwrap();
        drop(first);
        let third = seats.take("a").unwrap();
        drop((second, third, other));
        assert!(seats.counts.lock().unwrap().is_empty());
    }
}
