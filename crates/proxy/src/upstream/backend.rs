//! The states of backends, which all workers share. They survive a reload of the configuration.
//!
//! Each worker writes only its own counts, so that a request needs no atomic read-modify-write and no shared cache line.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use access::Refusal;
use config::snapshot::{BreakerRules, Origin, Provider, Upstream};
use http1::KnownName;
use telemetry::Metrics;
use telemetry::metrics::{BackendFailureLabels, BackendLabels, Counter, Gauge};
use thiserror::Error;
use tokio::time::Instant;

use crate::metrics::failure_log::FailureLog;
use crate::upstream::breaker::{Breaker, BreakerChange, TrialPermit};
use crate::upstream::response_head::UpstreamHead;

/// The states of all backends, also those of providers, that are configured or in use.
#[derive(Debug)]
pub struct Backends {
    states: Mutex<HashMap<BackendKey, Arc<BackendState>>>,
    metrics: Arc<Metrics>,
    /// The number of rotations that workers have begun.
    rotations: AtomicUsize,
}

/// A backend of two upstreams has two states. A provider is an upstream with one backend.
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
    unreachable: FailureLog,
    breaker: Arc<Breaker>,
}

/// No backend of the upstream takes the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("no backend of the upstream takes the request")]
pub(crate) struct NoBackend {
    /// The time after which one may take requests; `None` if the request has tried all backends.
    pub(crate) retry_after: Option<Duration>,
}

/// How an attempt to send a request to a backend ended, as far as the backend is concerned. An attempt is not reported if its
/// client disconnects, or if it is made again because an idle connection had ended: neither describes the backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AttemptResult {
    /// No connection, or no stream of one, was ready in time.
    ConnectFailed,
    /// The connection broke, or its protocol was violated, before the head of a response.
    Reset,
    /// The head of the response did not arrive in time.
    TimedOut,
    /// The head of a response arrived, with this status.
    Status(u16),
    /// The head of a response arrived, with the gRPC status 14 (`UNAVAILABLE`).
    GrpcUnavailable,
    /// The request could not be sent for a reason of its client or of Tollgate.
    Aborted,
}

/// Why attempts fail. The order is that of [`BackendCounts::failures`].
const CAUSES: [&str; 4] = ["connect", "reset", "timeout", "status"];

impl AttemptResult {
    /// Returns the result of an attempt without a response.
    pub(crate) fn of_refusal(refusal: Refusal) -> Self {
        const FAILED: [(Refusal, AttemptResult); 4] = [
            (Refusal::UpstreamConnect, AttemptResult::ConnectFailed),
            (Refusal::UpstreamReset, AttemptResult::Reset),
            (Refusal::UpstreamProtocol, AttemptResult::Reset),
            (Refusal::UpstreamTimeout, AttemptResult::TimedOut),
        ];
        FAILED.iter().find(|(of, _)| *of == refusal).map_or(Self::Aborted, |(_, result)| *result)
    }

    /// Returns the result of an attempt with this response.
    pub(crate) fn of_response(head: &UpstreamHead) -> Self {
        const UNAVAILABLE: &[u8] = b"14";
        let is_grpc = head.text(KnownName::ContentType).is_some_and(|of| of.starts_with("application/grpc"));
        if is_grpc && head.fields().named(b"grpc-status").next() == Some(UNAVAILABLE) {
            return Self::GrpcUnavailable;
        }
        Self::Status(head.status())
    }

    /// Returns the position in [`CAUSES`] if the backend failed. Of statuses, only those of a gateway that cannot reach the
    /// service behind it are failures (RFC 9110, 15.6).
    const fn cause(self) -> Option<usize> {
        match self {
            Self::ConnectFailed => Some(0),
            Self::Reset => Some(1),
            Self::TimedOut => Some(2),
            Self::Status(502..=504) | Self::GrpcUnavailable => Some(3),
            Self::Status(_) | Self::Aborted => None,
        }
    }
}

/// The counts of one worker, in their own cache line. Only that worker changes them.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(crate) struct BackendCounts {
    in_flight: AtomicU64,
    picks: AtomicU64,
    /// Failed attempts by their cause, in the order of [`CAUSES`].
    failures: [AtomicU64; CAUSES.len()],
}

/// The metrics of a backend, and the part of its counts that they contain.
#[derive(Debug)]
struct Published {
    in_flight: (Gauge, u64),
    picks: (Counter, u64),
    failures: [(Counter, u64); CAUSES.len()],
    breakers_open: (Gauge, bool),
    openings: (Counter, u64),
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
            failures: CAUSES.map(|cause| {
                let BackendLabels { upstream, backend } = labels.clone();
                (proxy.backend_failures.get_or_create(&BackendFailureLabels { upstream, backend, cause }), 0)
            }),
            breakers_open: (proxy.backend_breakers_open.get_or_create(&labels), false),
            openings: (proxy.backend_breaker_openings.get_or_create(&labels), 0),
        };
        Self {
            url,
            upstream: upstream.clone(),
            workers: Mutex::default(),
            published: Mutex::new(published),
            unreachable: FailureLog::default(),
            breaker: Arc::default(),
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
    fn log_unreachable(&self, cause: Option<&str>) {
        if let Some(failures) = self.unreachable.of(Instant::now()) {
            let (upstream, backend) = (&*self.upstream, &*self.url);
            tracing::warn!(upstream, backend, failures, cause, "a backend cannot be reached");
        }
    }

    /// Logs that the circuit breaker has opened or closed.
    fn log_breaker(&self, change: BreakerChange, cause: Option<&str>) {
        let (upstream, backend) = (&*self.upstream, &*self.url);
        match change {
            BreakerChange::Opened => {
                tracing::warn!(upstream, backend, cause, "the circuit breaker of a backend has opened");
            }
            BreakerChange::Closed(open_for) => {
                let open_ms = u64::try_from(open_for.as_millis()).unwrap_or(u64::MAX);
                tracing::info!(upstream, backend, open_ms, "the circuit breaker of a backend is closed again");
            }
        }
    }

    /// Returns the number of attempts that failed for a cause, by its position in [`CAUSES`].
    fn failures(&self, cause: usize) -> u64 {
        let workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        workers.iter().filter_map(|worker| worker.failures.get(cause)).map(|count| count.load(Ordering::Relaxed)).sum()
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
        let Published { in_flight: (gauge, known), picks, failures, breakers_open, openings } = &mut *published;
        let in_flight = self.sum(|worker| &worker.in_flight);
        gauge.inc_by(i64::try_from(in_flight).unwrap_or(0) - i64::try_from(*known).unwrap_or(0));
        *known = in_flight;
        let picked = (picks, self.sum(|worker| &worker.picks));
        let opened = (openings, self.breaker.openings());
        let (open_gauge, was_open) = breakers_open;
        let is_open = self.breaker.is_open();
        open_gauge.inc_by(i64::from(is_open) - i64::from(std::mem::replace(was_open, is_open)));
        let failed = failures.iter_mut().enumerate().map(|(cause, known)| (known, self.failures(cause)));
        for ((counter, known), total) in [picked, opened].into_iter().chain(failed) {
            counter.inc_by(total.saturating_sub(*known));
            *known = total;
        }
    }
}

/// A backend as one worker counts it.
pub(crate) struct BackendUse {
    pub(crate) state: Arc<BackendState>,
    pub(crate) counts: Arc<BackendCounts>,
    /// The index in the upstream's backends.
    pub(crate) index: usize,
    /// Whether the upstream has other backends.
    pub(crate) has_others: bool,
    /// The rules of the circuit breaker; `None` if it is off.
    pub(crate) breaker: Option<BreakerRules>,
}

impl BackendUse {
    /// Admits a request at `now`, with a permit if the circuit breaker is half-open.
    ///
    /// # Errors
    /// The circuit breaker is open.
    pub(crate) fn admit(&self, now: Instant) -> Result<Option<TrialPermit>, NoBackend> {
        let Some(rules) = &self.breaker else { return Ok(None) };
        self.state.breaker.admit(rules, now).map_err(|wait| NoBackend { retry_after: Some(wait) })
    }

    /// Counts the end of an attempt that was admitted with `permit`. `source` is the cause of a failed connection, for the
    /// log.
    pub(crate) fn report(&self, result: AttemptResult, source: Option<&str>, permit: Option<&TrialPermit>) {
        let cause = result.cause();
        if let Some(cause) = cause {
            self.counts.failed(cause);
        }
        if let Some(rules) = self.breaker.as_ref().filter(|_| result != AttemptResult::Aborted)
            && let Some(change) = self.state.breaker.note(rules, cause.is_some(), permit, Instant::now)
        {
            let cause = cause.and_then(|cause| CAUSES.get(cause)).copied();
            self.state.log_breaker(change, cause);
        }
        if result == AttemptResult::ConnectFailed {
            self.state.log_unreachable(source);
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

    fn failed(&self, cause: usize) {
        if let Some(count) = self.failures.get(cause) {
            raise(count);
        }
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
            breaker: None,
            place: None,
        });
        backends.of(&name, &origin(1)).counts(0).begin();
        let used = backends.of(&name, &origin(2));
        drop(backends.of(&name, &origin(3)));
        backends.retain(&[upstream], [].iter());
        assert_eq!(backends.states.lock().unwrap().len(), 2);
        assert_eq!(backends.of(&name, &origin(1)).sum(|worker| &worker.in_flight), 1);
        drop(used);
        backends.retain(&[], [].iter());
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
        let uses = |counts: &Arc<BackendCounts>| BackendUse {
            state: state.clone(),
            counts: counts.clone(),
            index: 0,
            has_others: false,
            breaker: None,
        };
        for (of, result, cause) in [
            (&first, AttemptResult::Status(200), None),
            (&first, AttemptResult::Status(500), None),
            (&first, AttemptResult::Aborted, None),
            (&first, AttemptResult::of_refusal(Refusal::Overloaded), None),
            (&second, AttemptResult::of_refusal(Refusal::UpstreamConnect), Some("refused")),
            (&first, AttemptResult::of_refusal(Refusal::UpstreamReset), None),
            (&second, AttemptResult::of_refusal(Refusal::UpstreamProtocol), None),
            (&first, AttemptResult::of_refusal(Refusal::UpstreamTimeout), None),
            (&first, AttemptResult::Status(502), None),
            (&second, AttemptResult::Status(503), None),
            (&second, AttemptResult::Status(504), None),
        ] {
            uses(of).report(result, cause, None);
        }
        backends.publish();
        first.end();
        backends.publish();
        let text = metrics.encode();
        let of = "upstream=\"u\",backend=\"http://127.0.0.1:1\"";
        let labels = format!("{{{of}}}");
        let failures = |cause: &str| format!("tollgate_backend_failures_total{{{of},cause=\"{cause}\"}}");
        for line in [
            format!("tollgate_backend_requests_total{labels} 2"),
            format!("tollgate_backend_requests_in_flight{labels} 1"),
            format!("{} 1", failures("connect")),
            format!("{} 2", failures("reset")),
            format!("{} 1", failures("timeout")),
            format!("{} 3", failures("status")),
        ] {
            assert!(text.contains(&line), "{line}\n{text}");
        }
    }
}
