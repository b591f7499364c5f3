//! The states of all backends. They survive a reload of the configuration.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use config::snapshot::{Origin, Provider, Upstream};
use telemetry::{BackendStatus, Metrics};
use tokio::time::Instant;

use crate::upstream::backend::BackendState;

/// The states of all backends, also those of providers, that are configured or in use.
#[derive(Debug)]
pub struct Backends {
    states: Mutex<HashMap<BackendKey, Arc<BackendState>>>,
    metrics: Arc<Metrics>,
    /// The number of rotations that workers have begun.
    rotations: AtomicUsize,
    ejecting: Arc<Mutex<()>>,
}

/// A backend of two upstreams has two states. A provider is an upstream with one backend.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct BackendKey {
    upstream: Arc<str>,
    origin: Origin,
}

impl Backends {
    /// Returns no states yet.
    #[must_use]
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self { states: Mutex::default(), metrics, rotations: AtomicUsize::new(0), ejecting: Arc::default() }
    }

    /// Returns the metrics of the process.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Returns the states of the backends of `upstream`. A backend that is new beside others starts with a part of its share.
    pub fn of<'a>(&self, upstream: &Arc<str>, origins: impl IntoIterator<Item = &'a Origin>) -> Vec<Arc<BackendState>> {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        let key = |origin: &Origin| BackendKey { upstream: upstream.clone(), origin: origin.clone() };
        let keys: Vec<BackendKey> = origins.into_iter().map(key).collect();
        let has_others = keys.iter().any(|key| states.contains_key(key));
        let state_of = |key: BackendKey| {
            let new = |key: &BackendKey| {
                let state = BackendState::new(upstream, &key.origin, &self.metrics, self.ejecting.clone());
                if has_others {
                    state.start(Instant::now());
                }
                Arc::new(state)
            };
            states.entry(key).or_insert_with_key(new).clone()
        };
        keys.into_iter().map(state_of).collect()
    }

    /// Removes the states of backends that are neither configured nor in use.
    pub(crate) fn retain<'a>(&self, upstreams: &[Arc<Upstream>], providers: impl Iterator<Item = &'a Arc<Provider>>) {
        let backends = upstreams
            .iter()
            .flat_map(|upstream| upstream.backends.iter().map(|backend| (&*upstream.name, &backend.origin)));
        let providers = providers.map(|provider| (&*provider.name, &provider.origin));
        let configured: HashSet<(&str, &Origin)> = backends.chain(providers).collect();
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        states.retain(|key, state| Arc::strong_count(state) > 1 || configured.contains(&(&*key.upstream, &key.origin)));
    }

    /// Returns the number of the next rotation, so that workers do not all begin with the same backend.
    pub(crate) fn next_rotation(&self) -> usize {
        self.rotations.fetch_add(1, Ordering::Relaxed)
    }

    /// Returns the states of all backends, as the control API shows them.
    #[must_use]
    pub fn statuses(&self) -> Vec<BackendStatus> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner).values().map(|state| state.status()).collect()
    }

    /// Adds the changes of all counts to the metrics.
    pub fn publish(&self) {
        for state in self.states.lock().unwrap_or_else(PoisonError::into_inner).values() {
            state.publish();
        }
    }
}

#[cfg(test)]
mod tests;
