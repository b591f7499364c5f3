//! The states of backends, which all workers share. They survive a reload of the configuration.
//!
//! Each worker writes only its own counts, so that a request needs no atomic read-modify-write and no shared cache line.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use config::snapshot::{Origin, Upstream};
use telemetry::Metrics;
use telemetry::metrics::{BackendLabels, Counter, Gauge};
use tokio::time::Instant;

use crate::metrics::failure_log::FailureLog;

/// The states of all backends that are configured or in use.
#[derive(Debug)]
pub struct Backends {
    states: Mutex<HashMap<BackendKey, Arc<BackendState>>>,
    metrics: Arc<Metrics>,
    /// The number of rotations that workers have begun.
    rotations: AtomicUsize,
}

/// A backend of two upstreams has two states.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct BackendKey {
    upstream: Arc<str>,
    origin: Origin,
}

/// The state of one backend.
#[derive(Debug)]
pub(crate) struct BackendState {
    /// The URL, in the log and in metrics.
    pub(crate) url: Arc<str>,
    upstream: Arc<str>,
    /// The counts of each worker, by its number.
    workers: Mutex<Vec<Arc<BackendCounts>>>,
    published: Mutex<Published>,
    connect_failures: FailureLog,
}

/// The counts of one worker, in their own cache line. Only that worker changes them.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(crate) struct BackendCounts {
    in_flight: AtomicU64,
    picks: AtomicU64,
    connect_failures: AtomicU64,
}

/// The metrics of a backend, and the part of its counts that they contain.
#[derive(Debug)]
struct Published {
    in_flight: (Gauge, u64),
    picks: (Counter, u64),
    connect_failures: (Counter, u64),
}

impl Backends {
    /// Returns no states yet.
    #[must_use]
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self { states: Mutex::default(), metrics, rotations: AtomicUsize::new(0) }
    }

    /// Returns the metrics of the process.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Returns the state of a backend of `upstream`.
    pub(crate) fn of(&self, upstream: &Arc<str>, origin: &Origin) -> Arc<BackendState> {
        let key = BackendKey { upstream: upstream.clone(), origin: origin.clone() };
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        let state = states.entry(key).or_insert_with(|| Arc::new(BackendState::new(upstream, origin, self)));
        state.clone()
    }

    /// Removes the states of backends that are neither in `upstreams` nor in use.
    pub(crate) fn retain(&self, upstreams: &[Arc<Upstream>]) {
        let configured: HashSet<(&str, &Origin)> = upstreams
            .iter()
            .flat_map(|upstream| upstream.backends.iter().map(|backend| (&*upstream.name, &backend.origin)))
            .collect();
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        states.retain(|key, state| Arc::strong_count(state) > 1 || configured.contains(&(&*key.upstream, &key.origin)));
    }

    /// Returns the number of the next rotation, so that workers do not all begin with the same backend.
    pub(crate) fn next_rotation(&self) -> usize {
        self.rotations.fetch_add(1, Ordering::Relaxed)
    }

    /// Adds the changes of all counts to the metrics.
    pub fn publish(&self) {
        for state in self.states.lock().unwrap_or_else(PoisonError::into_inner).values() {
            state.publish();
        }
    }
}

impl BackendState {
    fn new(upstream: &Arc<str>, origin: &Origin, backends: &Backends) -> Self {
        let url: Arc<str> = origin.to_string().into();
        let labels = BackendLabels { upstream: upstream.into(), backend: (&url).into() };
        let proxy = &backends.metrics.proxy;
        let published = Published {
            in_flight: (proxy.backend_in_flight.get_or_create(&labels), 0),
            picks: (proxy.backend_requests.get_or_create(&labels), 0),
            connect_failures: (proxy.backend_connect_failures.get_or_create(&labels), 0),
        };
        Self {
            url,
            upstream: upstream.clone(),
            workers: Mutex::default(),
            published: Mutex::new(published),
            connect_failures: FailureLog::default(),
        }
    }

    /// Returns the counts of a worker.
    pub(crate) fn counts(&self, worker: usize) -> Arc<BackendCounts> {
        let mut workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        while workers.len() <= worker {
            workers.push(Arc::default());
        }
        workers.get(worker).cloned().unwrap_or_default()
    }

    /// Logs that no connection could be opened, at most once per period.
    pub(crate) fn log_connect_failure(&self, cause: Option<&str>) {
        if let Some(failures) = self.connect_failures.of(Instant::now()) {
            let (upstream, backend) = (&*self.upstream, &*self.url);
            tracing::warn!(upstream, backend, failures, cause, "a backend cannot be reached");
        }
    }

    fn sum(&self, count: impl Fn(&BackendCounts) -> &AtomicU64) -> u64 {
        self.workers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .map(|worker| count(worker).load(Ordering::Relaxed))
            .sum()
    }

    /// Adds the changes since the last call. Backends beyond the maximum of series share metrics.
    fn publish(&self) {
        let mut published = self.published.lock().unwrap_or_else(PoisonError::into_inner);
        let Published { in_flight: (gauge, known), picks, connect_failures } = &mut *published;
        let in_flight = self.sum(|worker| &worker.in_flight);
        gauge.inc_by(i64::try_from(in_flight).unwrap_or(0) - i64::try_from(*known).unwrap_or(0));
        *known = in_flight;
        for ((counter, known), total) in
            [(picks, self.sum(|worker| &worker.picks)), (connect_failures, self.sum(|worker| &worker.connect_failures))]
        {
            counter.inc_by(total.saturating_sub(*known));
            *known = total;
        }
    }
}

impl Drop for BackendState {
    fn drop(&mut self) {
        self.publish();
    }
}

impl BackendCounts {
    /// Counts a request that begins to use the backend.
    pub(crate) fn begin(&self) {
        raise(&self.picks);
        raise(&self.in_flight);
    }

    /// Counts the end of a request.
    pub(crate) fn end(&self) {
        self.in_flight.store(self.in_flight.load(Ordering::Relaxed).wrapping_sub(1), Ordering::Relaxed);
    }

    pub(crate) fn connect_failed(&self) {
        raise(&self.connect_failures);
    }
}

/// Only one thread writes a count, so a load and a store are enough.
fn raise(count: &AtomicU64) {
    count.store(count.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;
    use config::snapshot::{Backend, Strategy};

    fn origin(port: u16) -> Origin {
        Origin::parse(&format!("http://127.0.0.1:{port}")).unwrap()
    }

    #[test]
    fn a_state_survives_while_it_is_configured_or_in_use() {
        let backends = Backends::new(Metrics::new());
        let name: Arc<str> = "u".into();
        let upstream = Arc::new(Upstream {
            name: name.clone(),
            backends: vec![Backend { origin: origin(1), weight: 1 }],
            strategy: Strategy::RoundRobin,
            tls: None,
            place: None,
        });
        backends.of(&name, &origin(1)).counts(0).begin();
        let used = backends.of(&name, &origin(2));
        drop(backends.of(&name, &origin(3)));
        backends.retain(&[upstream]);
        assert_eq!(backends.states.lock().unwrap().len(), 2);
        assert_eq!(backends.of(&name, &origin(1)).sum(|worker| &worker.in_flight), 1);
        drop(used);
        backends.retain(&[]);
        assert_eq!(backends.states.lock().unwrap().len(), 0);
    }

    #[test]
    fn metrics_are_the_sum_of_all_workers() {
        let metrics = Metrics::new();
        let backends = Backends::new(metrics.clone());
        let state = backends.of(&"u".into(), &origin(1));
        let (first, second) = (state.counts(0), state.counts(1));
        first.begin();
        second.begin();
        second.connect_failed();
        backends.publish();
        first.end();
        backends.publish();
        let text = metrics.encode();
        let labels = "{upstream=\"u\",backend=\"http://127.0.0.1:1\"}";
        for line in [
            format!("tollgate_backend_requests_total{labels} 2"),
            format!("tollgate_backend_requests_in_flight{labels} 1"),
            format!("tollgate_backend_connect_failures_total{labels} 1"),
        ] {
            assert!(text.contains(&line), "{line}\n{text}");
        }
    }
}
