//! The requests of the load that reached the mock, compared with Tollgate's counts.

use serde::Serialize;

use crate::counts::ProductCounts;
use crate::product::Product;

/// The requests that the mock received from one Tollgate, and those that it counted.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct LoadCounts {
    /// The rows of the load.
    pub(crate) what: &'static str,
    pub(crate) forwarded: u64,
    /// The number of those with the key of [`Product::key`].
    pub(crate) forwarded_with_key: u64,
    pub(crate) counted: ProductCounts,
    /// The number of requests that the load generator may have aborted at the end of a run.
    pub(crate) tolerance: u64,
}

impl LoadCounts {
    pub(crate) const fn matches(&self) -> bool {
        self.counted.metrics_requests.abs_diff(self.forwarded) <= self.tolerance
            && self.counted.usage_requests.abs_diff(self.forwarded_with_key) <= self.tolerance
    }

    /// Waits until Tollgate's counts since `before` match. Returns the last ones even after a timeout.
    pub(crate) async fn settle(self, product: &Product, before: ProductCounts) -> anyhow::Result<Self> {
        let of = |counted| Self { counted, ..self };
        Ok(of(ProductCounts::settle(product, before, |counted| of(*counted).matches()).await?))
    }
}
