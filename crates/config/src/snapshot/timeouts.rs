//! The deadlines of requests.

use std::time::Duration;

/// The time after which a request without a `total` ends. Arithmetic with it does not overflow.
const FAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The sections `timeouts`, `ai.timeouts` and `routes[].timeouts`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Maximum time until a connection to an upstream is established, TLS included. Default 2 s.
    pub connect: Duration,
    /// Maximum time from the request's last byte to the head of the response. Default 60 s, `ai` 10 min.
    pub first_byte: Duration,
    /// Maximum time without a byte of the upstream. Default 60 s, `ai` as its `first_byte`.
    pub idle: Duration,
    /// Maximum time without a byte that the client sends or reads. As `idle`; by default the general one for `ai`, whose
    /// providers may be silent while they think.
    pub client_idle: Duration,
    /// Maximum time of the whole request; `None` is no limit. Default 15 min, `ai` 30 min.
    pub total: Option<Duration>,
    /// Whether `total` also applies to event streams, gRPC and tunnels, which otherwise only `idle` bounds.
    pub bounds_streams: bool,
}

impl Timeouts {
    /// Returns the time after which a request ends; `is_stream` is that of an event stream, gRPC or a tunnel.
    #[must_use]
    pub fn total_of(&self, is_stream: bool) -> Duration {
        if self.bounds_streams || !is_stream { self.total.unwrap_or(FAR) } else { FAR }
    }

    /// Returns the shortest of the timeouts, by which the interval of checks is chosen.
    #[must_use]
    pub fn shortest(&self) -> Duration {
        self.idle.min(self.client_idle).min(self.first_byte).min(self.total.unwrap_or(FAR))
    }
}
