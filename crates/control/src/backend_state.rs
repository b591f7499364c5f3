//! Whether a backend gets requests, as the control API says it.

use serde::Serialize;
use telemetry::BackendCondition;
use utoipa::ToSchema;

/// Whether a backend gets requests.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum BackendStateWord {
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
