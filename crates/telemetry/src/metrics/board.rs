//! The backends of this process's proxy, as metrics and the control API show them: the proxy sets where they are read.

use std::fmt;
use std::sync::{Arc, OnceLock};

use super::histogram::HistogramCounts;

/// A function that reads the backends.
type Source = Box<dyn Fn() -> Vec<BackendStatus> + Send + Sync>;

/// The backends of this process's proxy, if it has one.
#[derive(Default)]
pub struct BackendBoard {
    source: OnceLock<Source>,
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
pub const FAILURE_CAUSES: [&str; 4] = ["connect", "reset", "timeout", "status"];

/// One backend of an upstream, or a provider. Counts begin with the process.
#[derive(Debug, Clone)]
pub struct BackendStatus {
    /// The name of the upstream or provider.
    pub upstream: Arc<str>,
    /// The URL of the backend.
    pub url: Arc<str>,
    /// Whether it gets requests.
    pub condition: BackendCondition,
    /// Requests that use it now.
    pub in_flight: u64,
    /// Requests that were sent to it.
    pub requests: u64,
    /// Attempts to send requests to it that failed, by their cause in the order of [`FAILURE_CAUSES`].
    pub failures: [u64; FAILURE_CAUSES.len()],
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

impl BackendBoard {
    /// Sets the function that reads the backends. The first one stays.
    pub fn set(&self, source: impl Fn() -> Vec<BackendStatus> + Send + Sync + 'static) {
        // A process has one proxy, so there is no second source.
        let _ = self.source.set(Box::new(source));
    }

    /// Returns whether this process has a proxy.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.source.get().is_some()
    }

    /// Returns the backends; `None` if this process has no proxy.
    #[must_use]
    pub fn backends(&self) -> Option<Vec<BackendStatus>> {
        self.source.get().map(|source| source())
    }
}

impl fmt::Debug for BackendBoard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BackendBoard").field("has_source", &self.source.get().is_some()).finish()
    }
}
