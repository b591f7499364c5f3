//! The retries of requests, and the pools of connections to backends.

use std::time::Duration;

use settings::field::{default, optional};
use settings::form::{DurationForm, Whole};
use settings::input::Input;
use settings::section;

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

section! {
    /// The rules of the section `upstreams[].pool`.
    PoolInput => #[derive(Copy, PartialEq, Eq, Hash)] pub PoolRules {
        /// Maximum of idle connections to each backend, per worker.
        idle: Input<u32> = default(Whole::<u32>::new(0, 65_535), || PoolRules::DEFAULT.idle);
        /// Time after which an idle connection is closed.
        idle_timeout: Input<Duration> =
            default(DurationForm::new(Duration::from_secs(1), Duration::from_secs(3_600)), || PoolRules::DEFAULT.idle_timeout);
        /// Maximum of connections to each backend. Over HTTP/2, each worker has a share, at least one, and as many that accept no further streams.
        max_connections: Option<Input<u32>> = optional(Whole::<u32>::new(1, 1_000_000), "no limit");
        /// Maximum of requests that wait for a connection, for up to `timeouts.connect`.
        pending: Input<u32> = default(Whole::<u32>::new(0, 1_000_000), || PoolRules::DEFAULT.pending);
    }
}

section! {
    /// The rules of the section `providers[].pool`.
    ProviderPoolInput => #[derive(Copy, PartialEq, Eq)] pub ProviderPoolRules {
        /// Maximum of idle connections to the provider, per worker.
        idle: Input<u32> = default(Whole::<u32>::new(0, 65_535), || PoolRules::OF_PROVIDER.idle);
        /// Time after which an idle connection is closed: less than the server's own, which is often 5 seconds.
        idle_timeout: Input<Duration> =
            default(DurationForm::new(Duration::from_secs(1), Duration::from_secs(3_600)), || PoolRules::OF_PROVIDER.idle_timeout);
        /// Maximum of connections to the provider. Over HTTP/2, each worker has a share, at least one, and as many that accept no further streams.
        max_connections: Option<Input<u32>> = optional(Whole::<u32>::new(1, 1_000_000), "no limit");
        /// Maximum of requests that wait for a connection, for up to `timeouts.connect`.
        pending: Input<u32> = default(Whole::<u32>::new(0, 1_000_000), || PoolRules::OF_PROVIDER.pending);
    }
}

impl PoolRules {
    /// The rules of an upstream without the section.
    pub const DEFAULT: Self =
        Self { idle: 256, idle_timeout: Duration::from_secs(50), max_connections: None, pending: 1_024 };
    /// The rules of a provider without the section. Many servers close idle connections after 5 seconds; a call that crosses the
    /// end of its connection fails, as it cannot be sent twice.
    pub const OF_PROVIDER: Self = Self { idle_timeout: Duration::from_secs(4), ..Self::DEFAULT };
}

impl From<ProviderPoolRules> for PoolRules {
    fn from(rules: ProviderPoolRules) -> Self {
        let ProviderPoolRules { idle, idle_timeout, max_connections, pending } = rules;
        Self { idle, idle_timeout, max_connections, pending }
    }
}
