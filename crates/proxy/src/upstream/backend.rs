//! The state of a backend, which all workers share.
//!
//! Each worker writes only its own counts, so that a request needs no atomic read-modify-write and no shared cache line.

use std::rc::Rc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use config::snapshot::{BreakerRules, EjectionRules, Origin, PoolRules, WORKERS_MAX};
use telemetry::logs::events;
use telemetry::metrics::{HistogramCounts, WorkerHistogram};
use telemetry::{BackendCondition, BackendStatus, FAILURE_CAUSES};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::metrics::failure_log::FailureLog;
use crate::upstream::attempt_result::AttemptResult;
use crate::upstream::backend_causes::{BackendCauses, LeftOut};
use crate::upstream::breaker::{Breaker, BreakerChange, BreakerShown, TrialPermit};
use crate::upstream::connection_limit::ConnectionLimit;
use crate::upstream::ejection::{Ejection, EjectionPhase, may_eject};
use crate::upstream::no_backend::NoBackend;
use crate::upstream::retry_budget::RetryBudget;
use crate::upstream::strategy::load::PeakEwma;

/// The share of its requests with which a backend starts.
const STARTING_SHARE: f64 = 0.1;

/// The state of one backend.
#[derive(Debug)]
pub struct BackendState {
    /// The URL, in the log and in metrics.
    pub(crate) url: Arc<str>,
    /// The configured name whose address the URL has.
    name: Option<Arc<str>>,
    upstream: Arc<str>,
    /// The position in the order in which states were created.
    number: u64,
    /// The counts of each worker, by its number; those of the first workers are set.
    workers: Box<[OnceLock<Arc<BackendCounts>>]>,
    unreachable: FailureLog,
    breaker: Arc<Breaker>,
    ejection: Ejection,
    causes: BackendCauses,
    health: AtomicU8,
    /// When checks last changed the health, in nanoseconds since `begun`; 0 before that.
    changed_ns: AtomicU64,
    /// The number of checks that succeeded, and of those that failed.
    checks: [AtomicU64; 2],
    /// Held while it is decided whether a backend is ejected: two workers must not eject the last two.
    ejecting: Arc<Mutex<()>>,
    latency: PeakEwma,
    /// When the state was created.
    begun: Instant,
    /// The bound of the connections to it, if there is one.
    connections: Mutex<Option<Arc<ConnectionLimit>>>,
    /// When the backend began or was back, in nanoseconds since `begun`; 0 if its share is whole.
    starting_ns: AtomicU64,
}

/// The counts of one worker, in their own cache line. Only that worker changes them.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(crate) struct BackendCounts {
    in_flight: AtomicU64,
    picks: AtomicU64,
    /// Failed attempts by their cause, in the order of [`FAILURE_CAUSES`].
    failures: [AtomicU64; FAILURE_CAUSES.len()],
    /// Responses with a status of 500 to 599.
    server_errors: AtomicU64,
    /// The times until the heads of responses.
    durations: WorkerHistogram,
}

/// The values of a backend's health. Without a check, or before the first one, a backend is used.
const UNKNOWN: u8 = 0;
const HEALTHY: u8 = 1;
const UNHEALTHY: u8 = 2;

impl BackendState {
    pub(super) fn new(upstream: &Arc<str>, origin: &Origin, number: u64, ejecting: Arc<Mutex<()>>) -> Self {
        let begun = Instant::now();
        Self {
            url: origin.to_string().into(),
            name: origin.name().map(Into::into),
            upstream: upstream.clone(),
            number,
            workers: (0..WORKERS_MAX).map(|_| OnceLock::new()).collect(),
            unreachable: FailureLog::default(),
            breaker: Arc::default(),
            ejection: Ejection::default(),
            causes: BackendCauses::default(),
            health: AtomicU8::new(UNKNOWN),
            changed_ns: AtomicU64::new(0),
            checks: Default::default(),
            ejecting,
            latency: PeakEwma::new(begun),
            begun,
            connections: Mutex::default(),
            starting_ns: AtomicU64::new(0),
        }
    }

    /// Returns the position in the order in which states were created.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Returns the counts of a worker.
    pub(crate) fn counts(&self, worker: usize) -> Arc<BackendCounts> {
        let workers = self.workers.get(..=worker).unwrap_or_default();
        let counts = workers.iter().map(|counts| counts.get_or_init(Arc::default)).last();
        counts.cloned().unwrap_or_default()
    }

    /// Returns the bound of the connections to the backend, which all workers share. `wanted` wakes the workers.
    pub(super) fn connection_limit(&self, rules: &PoolRules, wanted: &Arc<Notify>) -> Option<Arc<ConnectionLimit>> {
        let mut known = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.as_ref().is_some_and(|limit| limit.is_of(rules)) {
            *known = ConnectionLimit::from_rules(rules, wanted);
        }
        known.clone()
    }

    /// Returns the requests that use the backend, of all workers.
    pub(crate) fn in_flight(&self) -> u64 {
        self.sum(|worker| &worker.in_flight)
    }

    /// Returns the expected latency at `now`, in microseconds, multiplied by the requests that would wait with one more.
    pub(crate) fn cost(&self, now: Instant) -> f64 {
        (self.latency.average_at(now) + 1.0) * (self.in_flight() as f64 + 1.0)
    }

    /// Notes the time until the head of a response, in microseconds.
    pub(crate) fn note_latency(&self, latency_us: u64, now: Instant) {
        self.latency.note(latency_us, now);
    }

    /// Begins to raise the share of the backend.
    pub(super) fn start(&self, now: Instant) {
        let since = u64::try_from(now.saturating_duration_since(self.begun).as_nanos()).unwrap_or(u64::MAX);
        self.starting_ns.store(since.max(1), Ordering::Relaxed);
    }

    /// Returns the part of its share that the backend gets at `now`, from [`STARTING_SHARE`] to 1, if it grows within
    /// `slow_start`.
    pub(crate) fn started_share(&self, slow_start: Duration, now: Instant) -> f64 {
        let since = self.starting_ns.load(Ordering::Relaxed);
        if since == 0 {
            return 1.0;
        }
        let started = now.saturating_duration_since(self.begun).saturating_sub(Duration::from_nanos(since));
        if started >= slow_start {
            // Another worker may have begun it again.
            let _ = self.starting_ns.compare_exchange(since, 0, Ordering::Relaxed, Ordering::Relaxed);
            return 1.0;
        }
        STARTING_SHARE + (1.0 - STARTING_SHARE) * (started.as_secs_f64() / slow_start.as_secs_f64())
    }

    /// Notes a health check, with its cause if it failed, and whether the backend is healthy after it.
    pub fn checked(&self, failure: Option<&str>, is_healthy: bool) {
        let [succeeded, failed] = &self.checks;
        (if failure.is_some() { failed } else { succeeded }).fetch_add(1, Ordering::Relaxed);
        let health = if is_healthy { HEALTHY } else { UNHEALTHY };
        if failure.is_some() {
            self.causes.note(LeftOut::Unhealthy, failure);
        }
        let was = self.health.swap(health, Ordering::Relaxed);
        let upstream = &*self.upstream;
        let backend = &*self.url;
        let now = Instant::now();
        if was != UNHEALTHY && !is_healthy {
            let healthy_ms = in_ms(self.health_lasted(now));
            tracing::warn!(
                event = events::BACKEND_UNHEALTHY,
                upstream,
                backend,
                cause = failure,
                healthy_ms,
                "a backend is unhealthy"
            );
        } else if was == UNHEALTHY && is_healthy {
            self.start(now);
            let unhealthy_ms = in_ms(self.health_lasted(now));
            tracing::info!(
                event = events::BACKEND_HEALTHY,
                upstream,
                backend,
                unhealthy_ms,
                "a backend is healthy again"
            );
        }
    }

    /// Returns how long the health did not change before `now`, and notes that it does.
    fn health_lasted(&self, now: Instant) -> Duration {
        let since = now.saturating_duration_since(self.begun);
        let since_ns = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
        since.saturating_sub(Duration::from_nanos(self.changed_ns.swap(since_ns, Ordering::Relaxed)))
    }

    /// Notes that the backend is not checked any more: it is used.
    pub fn unchecked(&self) {
        self.health.store(UNKNOWN, Ordering::Relaxed);
        self.health_lasted(Instant::now());
    }

    /// Closes the circuit breaker, because the configuration has none any more.
    pub(super) fn remove_breaker(&self) {
        if let Some(change) = self.breaker.reset(Instant::now()) {
            self.log_breaker(change, None);
        }
    }

    /// Returns the state as the metrics and the admin API show it. A backend that is out for several reasons has the first
    /// one for which a choice passes over it.
    pub(super) fn status(&self) -> BackendStatus {
        let now = Instant::now();
        let breaker = self.breaker.phase();
        let is_unhealthy = self.is_unhealthy();
        let is_ejected = self.is_ejected(now);
        let (condition, left_out, until) = match breaker {
            _ if is_unhealthy => (BackendCondition::Unhealthy, Some(LeftOut::Unhealthy), None),
            _ if is_ejected => (BackendCondition::Ejected, Some(LeftOut::Ejected), self.ejection.until()),
            Some(BreakerShown::Open { until }) => (BackendCondition::Open, Some(LeftOut::Open), Some(until)),
            Some(BreakerShown::HalfOpen) => (BackendCondition::HalfOpen, Some(LeftOut::Open), None),
            None => (BackendCondition::Available, None, None),
        };
        let mut durations = HistogramCounts::default();
        self.counted().for_each(|worker| durations.add(&worker.durations.counts()));
        let [checks_succeeded, checks_failed] = self.checks.each_ref().map(|checks| checks.load(Ordering::Relaxed));
        BackendStatus {
            upstream: self.upstream.clone(),
            url: self.url.clone(),
            name: self.name.clone(),
            condition,
            cause: left_out.and_then(|state| self.causes.last_cause(state)),
            ends_in: until.map(|until| until.saturating_duration_since(now)),
            in_flight: self.in_flight(),
            requests: self.sum(|worker| &worker.picks),
            failures: std::array::from_fn(|cause| self.failures(cause)),
            server_errors: self.sum(|worker| &worker.server_errors),
            durations,
            is_unhealthy,
            is_ejected,
            is_broken: self.breaker.is_open(),
            ejections: self.ejection.total(),
            openings: self.breaker.openings(),
            checks_succeeded,
            checks_failed,
        }
    }

    /// Returns whether the checks have found the backend unhealthy.
    fn is_unhealthy(&self) -> bool {
        self.health.load(Ordering::Relaxed) == UNHEALTHY
    }

    /// Returns whether the backend is ejected at `now`.
    fn is_ejected(&self, now: Instant) -> bool {
        match self.ejection.phase(now) {
            EjectionPhase::In => false,
            EjectionPhase::Out => true,
            EjectionPhase::Back { since, ejected_for } => {
                self.start(since);
                let upstream = &*self.upstream;
                let backend = &*self.url;
                let ejected_ms = in_ms(ejected_for);
                tracing::info!(
                    event = events::BACKEND_RETURNED,
                    upstream,
                    backend,
                    ejected_ms,
                    "a backend that was ejected gets requests again"
                );
                false
            }
        }
    }

    /// Ejects the backend, if enough of its upstream's backends remain: `peers` are all of them.
    fn eject(&self, rules: EjectionRules, peers: &[Arc<Self>], cause: Option<&str>) {
        let _deciding = self.ejecting.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let out = peers.iter().filter(|peer| peer.is_ejected(now)).count();
        if self.is_ejected(now) || !may_eject(rules, out, peers.len()) {
            return;
        }
        self.causes.note(LeftOut::Ejected, cause);
        let ejected_ms = in_ms(self.ejection.eject(rules, now));
        let upstream = &*self.upstream;
        let backend = &*self.url;
        tracing::warn!(event = events::BACKEND_EJECTED, upstream, backend, cause, ejected_ms, "a backend is ejected");
    }

    /// Logs that no connection could be opened, at most once per period.
    fn log_unreachable(&self, cause: Option<&str>) {
        if let Some(failures) = self.unreachable.count_failure(Instant::now()) {
            let upstream = &*self.upstream;
            let backend = &*self.url;
            tracing::warn!(
                event = events::BACKEND_UNREACHABLE,
                upstream,
                backend,
                failures,
                cause,
                "a backend cannot be reached"
            );
        }
    }

    /// Logs that the circuit breaker has opened or closed.
    fn log_breaker(&self, change: BreakerChange, cause: Option<&str>) {
        let upstream = &*self.upstream;
        let backend = &*self.url;
        match change {
            BreakerChange::Opened(open_for) => {
                self.causes.note(LeftOut::Open, cause);
                tracing::warn!(
                    event = events::BREAKER_OPENED,
                    upstream,
                    backend,
                    cause,
                    open_ms = in_ms(open_for),
                    "the circuit breaker of a backend has opened"
                );
            }
            BreakerChange::Closed(open_for) => {
                tracing::info!(
                    event = events::BREAKER_CLOSED,
                    upstream,
                    backend,
                    open_ms = in_ms(open_for),
                    "the circuit breaker of a backend is closed again"
                );
            }
        }
    }

    /// Returns the number of attempts that failed for a cause, by its position in [`FAILURE_CAUSES`].
    fn failures(&self, cause: usize) -> u64 {
        let counts = self.counted().filter_map(|worker| worker.failures.get(cause));
        counts.map(|count| count.load(Ordering::Relaxed)).sum()
    }

    fn sum(&self, count: impl Fn(&BackendCounts) -> &AtomicU64) -> u64 {
        self.counted().map(|worker| count(worker).load(Ordering::Relaxed)).sum()
    }

    /// Returns the counts of the workers that have used the backend.
    fn counted(&self) -> impl Iterator<Item = &BackendCounts> {
        self.workers.iter().map_while(|counts| counts.get()).map(|counts| &**counts)
    }
}

/// A backend as one worker counts it.
pub(crate) struct BackendUse {
    pub(crate) state: Arc<BackendState>,
    pub(crate) counts: Arc<BackendCounts>,
    /// The index in the upstream's backends that get requests.
    pub(crate) index: usize,
    /// Whether the upstream has other backends.
    pub(crate) has_others: bool,
    pub(crate) rules: BackendRules,
    /// The states of all backends of the upstream that get requests.
    pub(crate) peers: Rc<[Arc<BackendState>]>,
    /// The retries of the upstream that are in flight.
    pub(crate) retries: Arc<RetryBudget>,
}

/// What follows from the failures of a backend.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct BackendRules {
    /// The rules of the circuit breaker; `None` if it is off.
    pub(crate) breaker: Option<BreakerRules>,
    /// The rules of ejections; `None` if they are off.
    pub(crate) ejection: Option<EjectionRules>,
    /// Whether the backend is checked.
    pub(crate) checks_health: bool,
    /// Whether the latency of the backend is measured.
    pub(crate) measures_latency: bool,
}

impl BackendUse {
    /// Admits a request at `now`, with a permit if the circuit breaker is half-open.
    ///
    /// # Errors
    /// The circuit breaker is open.
    pub(crate) fn admit(&self, now: Instant) -> Result<Option<TrialPermit>, NoBackend> {
        let Some(rules) = &self.rules.breaker else { return Ok(None) };
        self.state.breaker.admit(rules, now).map_err(|wait| NoBackend { retry_after: Some(wait) })
    }

    /// Returns the time after which the circuit breaker may admit requests, if it admits none at `now`.
    pub(crate) fn refuses(&self, now: Instant) -> Option<Duration> {
        self.rules.breaker.as_ref().and_then(|rules| self.state.breaker.refuses(rules, now))
    }

    /// Returns whether the backend is neither unhealthy nor ejected.
    pub(crate) fn is_available(&self, now: Instant) -> bool {
        let BackendRules { ejection, checks_health, .. } = self.rules;
        !(ejection.is_some() && self.state.is_ejected(now) || checks_health && self.state.is_unhealthy())
    }

    /// Notes the time until the head of a response, in microseconds.
    pub(crate) fn answered(&self, latency_us: u64, now: Instant) {
        self.counts.durations.observe_us(latency_us);
        if self.rules.measures_latency {
            self.state.note_latency(latency_us, now);
        }
    }

    /// Counts the end of an attempt that was admitted with `permit`. `source` is the cause of a failed connection, for the
    /// log.
    pub(crate) fn report(&self, result: AttemptResult, source: Option<&str>, permit: Option<&TrialPermit>) {
        let cause = result.cause();
        if result.is_server_error() {
            raise(&self.counts.server_errors, 1);
        }
        if let Some(cause) = cause {
            self.counts.failed(cause);
            if self.rules.measures_latency {
                self.state.latency.note_failure(Instant::now());
            }
        }
        let has_failed = cause.is_some();
        let word = cause.and_then(|cause| FAILURE_CAUSES.get(cause)).copied();
        if result != AttemptResult::Aborted {
            if let Some(rules) = &self.rules.breaker
                && let Some(change) = self.state.breaker.note(rules, has_failed, permit, Instant::now)
            {
                if matches!(change, BreakerChange::Closed(_)) {
                    self.state.start(Instant::now());
                }
                self.state.log_breaker(change, word);
            }
            if let Some(rules) = self.rules.ejection
                && self.state.ejection.note(rules, has_failed)
            {
                self.state.eject(rules, &self.peers, word);
            }
        }
        if result == AttemptResult::ConnectFailed {
            self.state.log_unreachable(source);
        }
    }
}

impl BackendCounts {
    /// Counts a request that begins to use the backend.
    pub(crate) fn begin(&self) {
        raise(&self.picks, 1);
        raise(&self.in_flight, 1);
    }

    /// Counts the end of a request.
    pub(crate) fn end(&self) {
        self.in_flight.store(self.in_flight.load(Ordering::Relaxed).wrapping_sub(1), Ordering::Relaxed);
    }

    fn failed(&self, cause: usize) {
        if let Some(count) = self.failures.get(cause) {
            raise(count, 1);
        }
    }
}

/// Returns a duration in milliseconds, for the log.
fn in_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Only one thread writes a count, so a load and a store are enough.
fn raise(count: &AtomicU64, by: u64) {
    count.store(count.load(Ordering::Relaxed).wrapping_add(by), Ordering::Relaxed);
}
