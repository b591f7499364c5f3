//! Upstreams, and the origins to which requests are sent.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use settings::field::default;
use settings::form::{DurationForm, FormRefusal, Scalar, TextForm, Whole};
use settings::input::Input;
use settings::place::Place;
use settings::section;
use settings::section::setting::Value;
use tls::UpstreamTls;

use super::discovery::Discovery;
use super::origin::Backend;
use super::retry::{PoolRules, RetryRules};

/// One entry of `upstreams`.
#[derive(Debug, Clone)]
pub struct Upstream {
    /// The name that routes use.
    pub name: Arc<str>,
    /// The servers that the file names; no two have the same origin. At least one, unless discovery finds them.
    pub configured: Arc<[Backend]>,
    /// The discovery of its members; `None` if only the file names them.
    pub discovery: Option<Arc<Discovery>>,
    /// The choice of the backend of a request.
    pub strategy: Strategy,
    /// The time in which the share of a backend that is back, or new, grows to its whole; zero is off. Default 10 s.
    pub slow_start: Duration,
    /// The TLS to backends with `https`; `None` means Mozilla's roots and no client certificate.
    pub tls: Option<Arc<UpstreamTls>>,
    /// The circuit breaker of each backend; `None` is off.
    pub breaker: Option<BreakerRules>,
    /// The checks of the backends; `None` is off.
    pub health_check: Option<Arc<HealthCheck>>,
    /// The ejection of backends; `None` is off.
    pub ejection: Option<EjectionRules>,
    /// The retries of requests that failed; `None` is off.
    pub retry: Option<Arc<RetryRules>>,
    /// The connections to each backend.
    pub pool: PoolRules,
    /// Its position in the file; `None` if a variable has it.
    pub place: Option<Place>,
}

impl Upstream {
    /// Returns an upstream whose other keys have their defaults, without a slow start.
    #[must_use]
    pub fn plain(name: &str, backends: Vec<Backend>) -> Self {
        Self {
            name: name.into(),
            configured: backends.into(),
            discovery: None,
            strategy: Strategy::RoundRobin,
            slow_start: Duration::ZERO,
            tls: None,
            breaker: None,
            health_check: None,
            ejection: None,
            retry: None,
            pool: PoolRules::DEFAULT,
            place: None,
        }
    }

    /// Returns the servers now.
    #[must_use]
    pub fn backends(&self) -> Arc<[Backend]> {
        self.discovery.as_ref().map_or_else(|| self.configured.clone(), |discovery| discovery.list().backends.clone())
    }
}

/// The rules of the section `circuit_breaker`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerRules {
    /// Failures in a row that open the breaker. Default 5.
    pub failure_threshold: u32,
    /// The share of failures that opens it; `None` is off.
    pub error_rate: Option<ErrorRate>,
    /// The time for which an open breaker admits nothing. Default 30 s.
    pub timeout: Duration,
    /// Maximum number of requests at once that a half-open breaker admits. Default 3.
    pub half_open_requests: u32,
    /// Successes that close a half-open breaker. Default 2.
    pub success_threshold: u32,
}

/// A share of failures within a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorRate {
    /// The share in percent, 1 to 100.
    pub percent: u32,
    /// Minimum number of results in the window. Default 20.
    pub min_requests: u32,
    /// The length of the window. Default 10 s.
    pub window: Duration,
}

/// The rules of the section `health_check`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCheck {
    /// The kind of the checks.
    pub probe: HealthProbe,
    /// The port of checks; `None` means that of the backend.
    pub port: Option<u16>,
    /// The pause between checks. Default 10 s.
    pub interval: Duration,
    /// Maximum time of a check. Default 5 s.
    pub timeout: Duration,
    /// Failed checks in a row that make a backend unhealthy. Default 3.
    pub unhealthy_threshold: u32,
    /// Successful checks in a row that make it healthy. Default 2.
    pub healthy_threshold: u32,
    /// The share of healthy backends up to which all are used, 0 to 100; `None` if unhealthy ones never are. Default 0.
    pub panic_percent: Option<u32>,
}

/// The kind of a health check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HealthProbe {
    /// Each check opens a connection.
    Tcp,
    /// Each check sends a GET request.
    Http {
        /// The path, below that of the backend's URL.
        path: String,
        /// The value of `Host`; `None` means that of the backend.
        host: Option<String>,
        /// Further fields of the request.
        headers: HeaderMap,
        /// The first and the last status of a healthy backend. Default 200 and 299.
        statuses: (u16, u16),
    },
    /// Each check runs a program: its absolute path, and its arguments.
    Script(Vec<String>),
    /// A call of the gRPC health service.
    Grpc {
        /// The name of the service; it may be empty.
        service: String,
    },
}

/// The number of results that change the state of a backend.
pub(crate) const COUNT: Whole<u32> = Whole::new(1, 1_000);
pub(crate) const PERCENT: TextForm<u32> = TextForm {
    parse: |text| {
        let percent = text.strip_suffix('%').and_then(|number| number.parse().ok());
        let percent = percent.filter(|percent| (1..=100).contains(percent));
        percent.ok_or_else(|| FormRefusal::Bad("a whole percentage from 1% to 100%".to_owned()))
    },
    shown: |percent| Value::Text(format!("{percent}%")),
    cell: "`1%` to `100%`",
    pattern: "^0*([1-9][0-9]?|100)%$",
    scalar: Scalar::Text,
};

section! {
    /// The rules of the section `ejection`.
    EjectionInput => #[derive(Copy, PartialEq, Eq)] pub EjectionRules {
        /// Consecutive failures that eject a backend.
        failures: Input<u32> = default(COUNT, || 5);
        /// Time of ejection, multiplied by the ejections in a row, at most 5 minutes.
        time: Input<Duration> =
            default(DurationForm::new(Duration::from_millis(100), Duration::from_secs(3_600)), || Duration::from_secs(30));
        /// Maximum share of ejected backends. The last one stays.
        max: Input<u32> = default(PERCENT, || 50);
    }
}

/// The values of `upstreams[].strategy`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Strategy {
    /// The backends in turn, each as often as its weight says. The default.
    RoundRobin,
    /// The backend with the fewest requests per weight.
    LeastConnections,
    /// The backend with the lowest expected latency per weight.
    Ewma,
    /// A backend by chance, each as probable as its weight says.
    Random,
    /// The backend that a value of the request determines.
    Hash(HashedValue),
}

impl Strategy {
    /// Returns the word of the strategy in the configuration.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::RoundRobin => "round_robin",
            Self::LeastConnections => "least_connections",
            Self::Ewma => "ewma",
            Self::Random => "random",
            Self::Hash(HashedValue::Address) => "ip_hash",
            Self::Hash(_) => "hash",
        }
    }
}

/// The value of a request that determines its backend. Requests without it take turns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HashedValue {
    /// The client's address; an IPv6 address counts with its whole /64.
    Address,
    /// The first value of a header, whose name is in lowercase.
    Header(Box<str>),
    /// The value of a cookie.
    Cookie(Box<str>),
    /// The value of a claim of the access token.
    Claim(Box<str>),
    /// The first value of a query parameter.
    Query(Box<str>),
}
