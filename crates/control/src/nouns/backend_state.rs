//! Whether a backend gets requests, as the admin API says it.

use serde::Serialize;
use telemetry::BackendCondition;
use utoipa::ToSchema;

/// Whether a backend gets requests.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum BackendStateWord {
    /// The backend gets its share of requests.
    Available,
    /// The circuit breaker sends the backend no requests.
    Open,
    /// The circuit breaker tries the backend with a few requests.
    HalfOpen,
    /// The health checks of the backend have failed.
    Unhealthy,
    /// The backend is ejected after failures in a row.
    Ejected,
    /// The weight of the backend is 0: it gets no new requests.
    Drained,
}

impl From<BackendCondition> for BackendStateWord {
    fn from(condition: BackendCondition) -> Self {
        match condition {
            BackendCondition::Available => Self::Available,
            BackendCondition::Open => Self::Open,
            BackendCondition::HalfOpen => Self::HalfOpen,
            BackendCondition::Unhealthy => Self::Unhealthy,
            BackendCondition::Ejected => Self::Ejected,
        }
    }
}
