//! The choice among the backends of an upstream: the order in which a request considers them.

pub(crate) mod hash;
pub(crate) mod load;
pub(crate) mod rotation;

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};

use config::snapshot::{Backend, Strategy};
use rotation::Rotation;

/// Up to this number of backends, all are compared; beyond, the better of two that chance selects gets the request (the
/// power of two choices: Mitzenmacher, 2001).
const COMPARED_MAX: usize = 8;

/// The strategy of one upstream, as one worker uses it.
pub(crate) struct Chooser {
    strategy: Strategy,
    /// The weights of the backends, at least 1.
    weights: Box<[u32]>,
    /// The hashes of their URLs and names.
    urls: Box<[u64]>,
    /// The turns of round robin, and those of requests without a value to hash.
    rotation: Rotation,
    /// The turns of retries. They do not move `rotation`: otherwise, the request after a retry would get the backend that
    /// has just failed.
    retries: Rotation,
    random: Cell<u64>,
}

/// What the choice of a backend depends on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Choice<'a> {
    /// The backends that the request may not get, by their positions.
    pub(crate) passed: &'a [usize],
    /// Whether the request was sent to a backend before.
    pub(crate) is_retry: bool,
    /// The hash of the request's value, if the strategy needs one and the request has it.
    pub(crate) key: Option<u64>,
}

impl Chooser {
    /// Returns the strategy for these backends. The first turn skips `begin` turns, so that workers begin with different
    /// backends.
    pub(crate) fn new(strategy: &Strategy, backends: &[&Backend], begin: usize) -> Self {
        let weights: Box<[u32]> = backends.iter().map(|backend| backend.weight).collect();
        let urls = backends.iter().map(|backend| hash::hash(backend.origin.id().as_bytes())).collect();
        let rotation = Rotation::new(&weights, begin);
        let retries = Rotation::new(&weights, begin);
        let random = Cell::new(RandomState::new().hash_one(begin) | 1);
        Self { strategy: strategy.clone(), weights, urls, rotation, retries, random }
    }

    /// Returns the position of the backend that the request considers next; `None` after all. `load` is that of a backend, for
    /// the strategies that compare loads.
    pub(crate) fn next(&self, choice: Choice<'_>, load: impl Fn(usize) -> f64) -> Option<usize> {
        let Choice { passed, is_retry, key } = choice;
        if passed.len() >= self.weights.len() {
            return None;
        }
        match (&self.strategy, key) {
            (Strategy::Random, _) => self.random_except(passed),
            (Strategy::LeastConnections | Strategy::Ewma, _) => self.least(passed, load),
            (Strategy::Hash(_), Some(key)) => hash::best(key, &self.urls, &self.weights, passed),
            (Strategy::RoundRobin | Strategy::Hash(_), _) => {
                let rotation = if is_retry { &self.retries } else { &self.rotation };
                match passed {
                    [] => Some(rotation.next(self.weights.len())),
                    passed => rotation.next_except(self.weights.len(), passed),
                }
            }
        }
    }

    /// Returns whether the load of a backend is its expected latency.
    pub(crate) fn compares_latencies(&self) -> bool {
        self.strategy == Strategy::Ewma
    }

    /// Returns a number that the next one does not reveal to be regular (xorshift64*): the choice is not a secret.
    pub(crate) fn random(&self) -> u64 {
        let mut state = self.random.get();
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        self.random.set(state);
        state.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// Returns a number from 0 to below 1.
    pub(crate) fn fraction(&self) -> f64 {
        (self.random() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn rest<'a>(&'a self, passed: &'a [usize]) -> impl Iterator<Item = (usize, u32)> + 'a {
        self.weights.iter().copied().enumerate().filter(|(index, _)| !passed.contains(index))
    }

    /// Returns a position by chance, each as probable as its weight says.
    fn random_except(&self, passed: &[usize]) -> Option<usize> {
        let total: u64 = self.rest(passed).map(|(_, weight)| u64::from(weight)).sum();
        let mut at = self.fraction() * total as f64;
        for (index, weight) in self.rest(passed) {
            at -= f64::from(weight);
            if at < 0.0 {
                return Some(index);
            }
        }
        self.rest(passed).next().map(|(index, _)| index)
    }

    /// Returns the position with the least load per weight, of all or of two that chance selects. Of equal ones, the next in
    /// turn by weight is returned.
    fn least(&self, passed: &[usize], load: impl Fn(usize) -> f64) -> Option<usize> {
        let load = |index: usize| load(index) / f64::from(self.weights.get(index).copied().unwrap_or(1));
        let count = self.weights.len();
        if count - passed.len() > COMPARED_MAX {
            let first = self.random_except(passed)?;
            let both = [passed, &[first]].concat();
            let second = self.random_except(&both)?;
            return Some(if load(second) < load(first) { second } else { first });
        }
        let begin = self.rotation.next(count);
        let mut best: Option<(usize, f64)> = None;
        for index in (begin..count).chain(0..begin).filter(|index| !passed.contains(index)) {
            let load = load(index);
            if best.is_none_or(|(_, least)| load < least) {
                best = Some((index, load));
            }
        }
        best.map(|(index, _)| index)
    }
}

#[cfg(test)]
mod tests;
