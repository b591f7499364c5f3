//! Limits on concurrent work per user or address.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

/// Permits by holder. Holders without permits use no memory.
#[derive(Debug)]
pub(crate) struct Seats<K: Eq + Hash> {
    max: usize,
    held: Arc<Mutex<HashMap<K, usize>>>,
}

/// One permit; dropping it returns the permit.
#[derive(Debug)]
pub(crate) struct Seat<K: Eq + Hash> {
    who: K,
    held: Arc<Mutex<HashMap<K, usize>>>,
}

impl<K: Eq + Hash + Clone> Seats<K> {
    /// Creates permits, `max` for each holder.
    pub(crate) fn new(max: usize) -> Self {
        Self { max, held: Arc::default() }
    }

    /// Takes a permit; returns `None` if `who` holds the maximum.
    pub(crate) fn take(&self, who: K) -> Option<Seat<K>> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let count = held.get(&who).copied().unwrap_or(0);
        if count >= self.max {
            return None;
        }
        held.insert(who.clone(), count + 1);
        Some(Seat { who, held: self.held.clone() })
    }
}

impl<K: Eq + Hash> Drop for Seat<K> {
    fn drop(&mut self) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(count) = held.get_mut(&self.who) else { return };
        *count -= 1;
        if *count == 0 {
            held.remove(&self.who);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_own_and_nobody_is_remembered() {
        let seats = Seats::new(2);
        let (first, second) = (seats.take("a").unwrap(), seats.take("a").unwrap());
        assert!(seats.take("a").is_none());
        let other = seats.take("b").unwrap();
        drop(first);
        let third = seats.take("a").unwrap();
        drop((second, third, other));
        assert!(seats.held.lock().unwrap().is_empty());
    }
}
