//! The retries of requests, and the pools of connections to backends.

use std::time::Duration;

/// The rules of the section `upstreams[].retry`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryRules {
    /// Maximum number of retries. Default 2.
    pub attempts: u32,
    /// Whether methods that are not idempotent are sent again. Default no.
    pub allows_unsafe: bool,
    /// The longest pause before the first retry. Default 25 ms.
    pub backoff: Duration,
    /// The longest pause before any retry. Default 1 s.
    pub backoff_max: Duration,
    /// The failures after which a request is sent again.
    pub causes: Box<[RetryCause]>,
    /// Maximum share of the requests in flight that are retries, 0 to 100. Default 20.
    pub budget_percent: u32,
    /// Maximum size of a body that is kept. Default 64 KiB.
    pub body_bytes_max: u64,
}

/// A failure after which a request is sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryCause {
    /// There was no connection in time.
    Connect,
    /// The connection broke, or its protocol was violated, before the head of the response.
    Reset,
    /// The head of the response did not arrive in time.
    Timeout,
    /// Every status from 500 to 599.
    ServerErrors,
    /// One status. 503 includes the gRPC status 14.
    Status(u16),
}

impl RetryCause {
    /// The words of the configuration.
    pub(crate) const WORDS: [(&'static str, Self); 4] =
        [("connect", Self::Connect), ("reset", Self::Reset), ("timeout", Self::Timeout), ("5xx", Self::ServerErrors)];
}

impl RetryRules {
    /// Whether a request is sent again after a response with this status.
    #[must_use]
    pub fn includes_status(&self, status: u16) -> bool {
        self.causes.iter().any(|cause| match cause {
            RetryCause::ServerErrors => (500..=599).contains(&status),
            RetryCause::Status(of) => *of == status,
            RetryCause::Connect | RetryCause::Reset | RetryCause::Timeout => false,
        })
    }
}

/// The rules of the section `upstreams[].pool`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PoolRules {
    /// Maximum number of idle connections to one backend, per worker. Default 256.
    pub idle_max: u32,
    /// The time after which an idle connection is closed. Default 50 s: most servers keep idle connections for 60 s or more.
    pub idle_timeout: Duration,
    /// Maximum number of connections to one backend, of all workers. Default none.
    pub connections_max: Option<u32>,
    /// Maximum number of requests that wait for one of them. Default 1,024.
    pub pending_max: u32,
}

impl PoolRules {
    /// The rules of an upstream without the section, and of providers.
    pub const DEFAULT: Self =
        Self { idle_max: 256, idle_timeout: Duration::from_secs(50), connections_max: None, pending_max: 1_024 };
}
