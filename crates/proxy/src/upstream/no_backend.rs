//! The answer of a choice that finds no backend.

use std::time::Duration;

use thiserror::Error;

/// No backend of the upstream takes the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("no backend of the upstream takes the request")]
pub(crate) struct NoBackend {
    /// The time after which one may take requests; `None` if the request has tried all backends.
    pub(crate) retry_after: Option<Duration>,
}

impl NoBackend {
    /// Returns the one that ends sooner.
    pub(crate) fn or_sooner(self, other: Self) -> Self {
        Self { retry_after: [self.retry_after, other.retry_after].into_iter().flatten().min() }
    }
}
