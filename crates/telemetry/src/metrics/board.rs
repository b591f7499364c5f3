//! The backends and targets of this process's proxy, as metrics and the admin API show them: the proxy sets where they are
//! read.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::histogram::HistogramCounts;
use crate::cache_purge::CachePurge;

/// A function that reads the present states.
type Source<T> = Box<dyn Fn() -> Vec<T> + Send + Sync>;
/// A function that purges stored responses and returns their number.
type Purge = Box<dyn Fn(&CachePurge) -> u64 + Send + Sync>;
/// A function that returns the number of the last purge.
type LastPurge = Box<dyn Fn() -> u64 + Send + Sync>;

/// The backends of this process's proxy and the targets of its models, if it has a proxy.
#[derive(Default)]
pub struct BackendBoard {
    backends: OnceLock<Source<BackendStatus>>,
    targets: OnceLock<Source<TargetStatus>>,
    purge: OnceLock<(Purge, LastPurge)>,
}

/// Whether a backend gets requests, and if not, why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackendCondition {
    /// It gets its share of requests.
    Available,
    /// Its circuit breaker is open.
    Open,
    /// Its circuit breaker tries it with a few requests.
    HalfOpen,
    /// Its health checks have failed.
    Unhealthy,
    /// It is ejected after failures in a row.
    Ejected,
}

/// Why attempts fail: no connection, broken before the head of a response, no head in time, or a status of a failure.
pub const FAILURE_CAUSES: [&str; 4] = ["connect", "reset", "timeout", FAILURE_OF_STATUS];
/// The cause of failures with a response.
pub const FAILURE_OF_STATUS: &str = "status";

/// One backend of an upstream, or a provider. Counts begin with the process.
#[derive(Debug, Clone)]
pub struct BackendStatus {
    /// The name of the upstream or provider.
    pub upstream: Arc<str>,
    /// The URL of the backend.
    pub url: Arc<str>,
    /// The configured name whose address `url` has: backends with different names may have one URL.
    pub name: Option<Arc<str>>,
    /// Whether it gets requests.
    pub condition: BackendCondition,
    /// Why it gets no requests, or few: the error of a check, or one of [`FAILURE_CAUSES`].
    pub cause: Option<Arc<str>>,
    /// For how long it still gets none; `None` if the end is not known.
    pub ends_in: Option<Duration>,
    /// Requests that use it now.
    pub in_flight: u64,
    /// Requests that were sent to it.
    pub requests: u64,
    /// Attempts to send requests to it that failed, by their cause in the order of [`FAILURE_CAUSES`].
    pub failures: [u64; FAILURE_CAUSES.len()],
    /// Its responses with a status of 500 to 599, of which 502, 503 and 504 are failures too.
    pub server_errors: u64,
    /// The times until the heads of its responses.
    pub durations: HistogramCounts,
    /// Whether the health checks have found it unhealthy.
    pub is_unhealthy: bool,
    /// Whether it is ejected.
    pub is_ejected: bool,
    /// Whether its circuit breaker is open or half-open.
    pub is_broken: bool,
    /// How often it was ejected.
    pub ejections: u64,
    /// How often its circuit breaker opened.
    pub openings: u64,
    /// Health checks that succeeded.
    pub checks_succeeded: u64,
    /// Health checks that failed.
    pub checks_failed: u64,
}

impl BackendStatus {
    /// Returns the status of a backend that no request and no check has used yet.
    #[must_use]
    pub fn unused(upstream: &Arc<str>, url: &str, name: Option<&str>) -> Self {
        Self {
            upstream: upstream.clone(),
            url: url.into(),
            name: name.map(Into::into),
            condition: BackendCondition::Available,
            cause: None,
            ends_in: None,
            in_flight: 0,
            requests: 0,
            failures: [0; FAILURE_CAUSES.len()],
            server_errors: 0,
            durations: HistogramCounts::default(),
            is_unhealthy: false,
            is_ejected: false,
            is_broken: false,
            ejections: 0,
            openings: 0,
            checks_succeeded: 0,
            checks_failed: 0,
        }
    }
}

/// The results of attempts at targets: `succeeded`, or why they failed.
pub const TARGET_RESULTS: [&str; 10] =
    ["succeeded", "connect", "reset", "timeout", "5xx", "status", "quota", "credential", "not_found", "context"];

/// A limit of a target that its calls have reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReachedLimit {
    /// The key of the limit: `requests`, `tokens` or `concurrent`.
    pub limit: &'static str,
    /// For how long no call uses the target at least.
    pub left: Duration,
}

/// One target of models that may have more than one attempt or have limits. Counts begin with the process.
#[derive(Debug, Clone)]
pub struct TargetStatus {
    /// The name of the provider.
    pub provider: Arc<str>,
    /// The provider's name of the model.
    pub model: Arc<str>,
    /// The attempts by their result in the order of [`TARGET_RESULTS`].
    pub attempts: [u64; TARGET_RESULTS.len()],
    /// For how long the target is still left out after failures; `None` if calls may use it.
    pub cooled_down: Option<Duration>,
    /// The own limit that is reached, in any entry of `models`; `None` below all of them.
    pub reached_limit: Option<ReachedLimit>,
    /// How often a call skipped the target because of its limits.
    pub limit_skips: u64,
    /// The moving mean of the time until the first content, in microseconds; `None` before the first call.
    pub content_us: Option<u64>,
}

impl BackendBoard {
    /// Sets the function that reads the backends. The first one stays.
    pub fn set(&self, source: impl Fn() -> Vec<BackendStatus> + Send + Sync + 'static) {
        // A process has one proxy, so there is no second source.
        let _ = self.backends.set(Box::new(source));
    }

    /// Sets the function that reads the targets. The first one stays.
    pub fn set_targets(&self, source: impl Fn() -> Vec<TargetStatus> + Send + Sync + 'static) {
        let _ = self.targets.set(Box::new(source));
    }

    /// Sets the functions that purge stored responses and that return the number of the last purge. The first ones stay.
    pub fn set_purge(
        &self,
        purge: impl Fn(&CachePurge) -> u64 + Send + Sync + 'static,
        last: impl Fn() -> u64 + Send + Sync + 'static,
    ) {
        let _ = self.purge.set((Box::new(purge), Box::new(last)));
    }

    /// Purges stored responses and returns their number; `None` if this process has no proxy.
    #[must_use]
    pub fn purge(&self, purge: &CachePurge) -> Option<u64> {
        self.purge.get().map(|(of_proxy, _)| of_proxy(purge))
    }

    /// Returns the number of the last purge, 0 before the first; `None` if this process has no proxy.
    #[must_use]
    pub fn last_purge(&self) -> Option<u64> {
        self.purge.get().map(|(_, last)| last())
    }

    /// Returns whether this process has a proxy.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.backends.get().is_some()
    }

    /// Returns the backends; `None` if this process has no proxy.
    #[must_use]
    pub fn backends(&self) -> Option<Vec<BackendStatus>> {
        self.backends.get().map(|source| source())
    }

    /// Returns the targets that have been used; none without a proxy.
    #[must_use]
    pub fn targets(&self) -> Vec<TargetStatus> {
        self.targets.get().map(|source| source()).unwrap_or_default()
    }
}

impl fmt::Debug for BackendBoard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BackendBoard").field("is_set", &self.is_set()).finish()
    }
}
