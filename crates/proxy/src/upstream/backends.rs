//! The states of all backends. They survive a reload of the configuration.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use config::Live;
use config::snapshot::{Origin, Traffic};
use telemetry::{BackendStatus, Metrics, TargetStatus};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::upstream::backend::BackendState;
use crate::upstream::retry_budget::RetryBudget;
use crate::upstream::targets::Targets;

/// The states of all backends, also those of providers, that are configured or in use.
#[derive(Debug)]
pub struct Backends {
    states: Mutex<HashMap<BackendKey, Arc<BackendState>>>,
    metrics: Arc<Metrics>,
    /// The number of states that were created.
    created: AtomicU64,
    /// The number of rotations that workers have begun.
    rotations: AtomicUsize,
    ejecting: Arc<Mutex<()>>,
    /// The retries in flight of each upstream that has them.
    retries: Mutex<HashMap<Arc<str>, Arc<RetryBudget>>>,
    /// Wakes all workers if a request waits for a connection.
    connection_wanted: Arc<Notify>,
    /// The states of the targets of models.
    pub(crate) targets: Targets,
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
        Self {
            states: Mutex::default(),
            metrics,
            created: AtomicU64::new(0),
            rotations: AtomicUsize::new(0),
            ejecting: Arc::default(),
            retries: Mutex::default(),
            connection_wanted: Arc::default(),
            targets: Targets::default(),
        }
    }

    /// Returns the metrics of the process.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Returns the states of the backends of `upstream`. A backend that is new beside others starts with a part of its share.
    pub fn states_of<'a>(
        &self,
        upstream: &Arc<str>,
        origins: impl IntoIterator<Item = &'a Origin>,
    ) -> Vec<Arc<BackendState>> {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        let key = |origin: &Origin| BackendKey { upstream: upstream.clone(), origin: origin.clone() };
        let keys: Vec<BackendKey> = origins.into_iter().map(key).collect();
        let has_others = keys.iter().any(|key| states.contains_key(key));
        let state_of = |key: BackendKey| {
            let new = |key: &BackendKey| {
                let number = self.created.fetch_add(1, Ordering::Relaxed);
                let state = BackendState::new(upstream, &key.origin, number, self.ejecting.clone());
                if has_others {
                    state.start(Instant::now());
                }
                Arc::new(state)
            };
            states.entry(key).or_insert_with_key(new).clone()
        };
        keys.into_iter().map(state_of).collect()
    }

    /// Returns the retries in flight of an upstream, of all workers.
    pub(crate) fn retries_of(&self, upstream: &Arc<str>) -> Arc<RetryBudget> {
        let mut retries = self.retries.lock().unwrap_or_else(PoisonError::into_inner);
        retries.retain(|name, budget| name == upstream || Arc::strong_count(budget) > 1);
        retries.entry(upstream.clone()).or_default().clone()
    }

    /// Wakes all workers if a request waits for a connection.
    pub(crate) fn connection_wanted(&self) -> &Arc<Notify> {
        &self.connection_wanted
    }

    /// Removes the states of backends and targets that are neither configured nor in use.
    pub(crate) fn retain(&self, live: &Live) {
        self.shown(live);
        self.targets.retain(&live.load_full().traffic.models);
    }

    /// Returns the number of the next rotation, so that workers do not all begin with the same backend.
    pub(crate) fn next_rotation(&self) -> usize {
        self.rotations.fetch_add(1, Ordering::Relaxed)
    }

    /// Returns the backends that are configured or have requests in flight, as the metrics and the admin API show them, in the
    /// order in which they were first used, then the configured ones without a state. The states of others are removed. It
    /// creates no state: the time at which a backend is read has no effect on its share.
    pub(crate) fn statuses(&self, live: &Live) -> Vec<BackendStatus> {
        let mut shown = self.shown(live);
        shown.sort_by_key(|state| state.number());
        let mut statuses: Vec<BackendStatus> = shown.iter().map(|state| state.status()).collect();
        let unused = unused(&statuses, &live.load_full().traffic);
        statuses.extend(unused);
        statuses
    }

    /// Returns the targets of the configured models that have been used.
    pub(crate) fn target_statuses(&self, live: &Live) -> Vec<TargetStatus> {
        self.targets.statuses(&live.load_full().traffic.models)
    }

    /// Removes the states of backends that are neither configured nor in use. Returns those that are configured or have requests
    /// in flight: a worker without requests keeps the states of the configuration that it used last.
    fn shown(&self, live: &Live) -> Vec<Arc<BackendState>> {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        // Read under the lock: a state that is created for a newer configuration is created afterwards.
        let traffic = &live.load_full().traffic;
        let members: Vec<_> = traffic.upstreams.iter().map(|upstream| (upstream, upstream.backends())).collect();
        let backends = members.iter().flat_map(|(upstream, backends)| {
            backends.iter().map(|backend| ((&*upstream.name, &backend.origin), upstream.breaker.is_some()))
        });
        let has_breaker = traffic.breaker.is_some();
        let of_providers: Vec<_> = traffic.known_providers().map(|provider| (provider, provider.backends())).collect();
        let providers = of_providers.iter().flat_map(|(provider, backends)| {
            backends.iter().map(move |backend| ((&*provider.name, &backend.origin), has_breaker))
        });
        let configured: HashMap<(&str, &Origin), bool> = backends.chain(providers).collect();
        let breaker_of = |key: &BackendKey| configured.get(&(&*key.upstream, &key.origin)).copied();
        let is_configured = |key: &BackendKey| breaker_of(key).is_some();
        states.retain(|key, state| Arc::strong_count(state) > 1 || is_configured(key));
        // A reload may have removed the rules of an open breaker.
        states.iter().filter(|(key, _)| breaker_of(key) == Some(false)).for_each(|(_, state)| state.remove_breaker());
        let shown = states.iter().filter(|(key, state)| is_configured(key) || state.in_flight() > 0);
        shown.map(|(_, state)| state.clone()).collect()
    }
}

/// Returns the configured backends that get a share of the requests and are not in `used`, with counters at zero. Providers
/// that a stored credential switches on are left out.
fn unused(used: &[BackendStatus], traffic: &Traffic) -> Vec<BackendStatus> {
    let key = |status: &BackendStatus| (status.upstream.clone(), status.url.clone(), status.name.clone());
    let of = |upstream, origin: &Origin| BackendStatus::unused(upstream, &origin.to_string(), origin.name());
    let mut known: HashSet<_> = used.iter().map(key).collect();
    let mut unused = Vec::new();
    for upstream in &traffic.upstreams {
        let backends = upstream.backends();
        let with_share = backends.iter().filter(|backend| backend.weight > 0);
        unused.extend(with_share.map(|backend| of(&upstream.name, &backend.origin)));
    }
    for provider in &traffic.providers {
        unused.extend(provider.backends().iter().map(|backend| of(&provider.name, &backend.origin)));
    }
    unused.retain(|status| known.insert(key(status)));
    unused
}

#[cfg(test)]
mod tests;
