//! The counters of Tollgate and of the mock, compared with the requests that were sent.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::client::Loader;
use crate::product::Product;

const DRAIN_PATIENCE: Duration = Duration::from_secs(120);
const DRAIN_PAUSE: Duration = Duration::from_millis(100);
/// The time after which a worker has surely reported its aggregated counts.
const FOLD_PATIENCE: Duration = Duration::from_secs(90);

/// The requests that Tollgate counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ProductCounts {
    /// The metric `tollgate_requests_total`, over all routes, methods and statuses.
    pub(crate) metrics_requests: u64,
    /// The field `requests` of `GET /api/usage/today`. It is the count of one key, so it excludes open routes.
    pub(crate) usage_requests: u64,
}

impl ProductCounts {
    pub(crate) async fn read(product: &Product) -> anyhow::Result<Self> {
        let mut loader = Loader::connect(product.control, Some(&product.key)).await?;
        let usage = loader.get("/api/usage/today").await?.json().context("GET /api/usage/today")?;
        let metrics = metrics(&mut loader).await?;
        Ok(Self {
            metrics_requests: sum(&metrics, "tollgate_requests_total").unwrap_or(0),
            usage_requests: usage
                .get("requests")
                .and_then(Value::as_u64)
                .context("the usage response has no requests")?,
        })
    }

    /// The difference from `before`.
    pub(crate) const fn since(self, before: Self) -> Self {
        Self {
            metrics_requests: self.metrics_requests.saturating_sub(before.metrics_requests),
            usage_requests: self.usage_requests.saturating_sub(before.usage_requests),
        }
    }
}

/// Waits until the store has every record of the spool.
pub(crate) async fn drained(product: &Product) -> anyhow::Result<()> {
    let mut loader = Loader::connect(product.control, Some(&product.key)).await?;
    let deadline = Instant::now() + DRAIN_PATIENCE;
    loop {
        sleep(DRAIN_PAUSE).await;
        let bytes = sum(&metrics(&mut loader).await?, "tollgate_spool_bytes")
            .context("the metric tollgate_spool_bytes is missing")?;
        if bytes == 0 {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("the spool still has {bytes} bytes after {} s", DRAIN_PATIENCE.as_secs());
        }
    }
}

/// The current sum of a metric's samples; 0 if it has none.
pub(crate) async fn metric(product: &Product, name: &str) -> anyhow::Result<u64> {
    let mut loader = Loader::connect(product.control, Some(&product.key)).await?;
    Ok(sum(&metrics(&mut loader).await?, name).unwrap_or(0))
}

/// The number of requests that reached the mock.
pub(crate) async fn mock_requests(mock: SocketAddr) -> anyhow::Result<u64> {
    let report = Loader::connect(mock, None).await?.get("/mock/seen").await?.json()?;
    let models = report.get("models").and_then(Value::as_object).context("/mock/seen has no models")?;
    Ok(models.values().filter_map(|model| model.get("requests").and_then(Value::as_u64)).sum())
}

async fn metrics(loader: &mut Loader) -> anyhow::Result<String> {
    let response = loader.get("/metrics").await?;
    if response.status != 200 {
        bail!("GET /metrics: {}", response.status);
    }
    Ok(String::from_utf8_lossy(&response.body).into_owned())
}

/// The sum of a metric's samples; `None` if it has none.
fn sum(metrics: &str, name: &str) -> Option<u64> {
    let samples = metrics.lines().filter_map(|line| {
        let (sample, value) = line.rsplit_once(' ')?;
        let named = sample.strip_prefix(name)?;
        (named.is_empty() || named.starts_with('{')).then(|| value.parse::<u64>().ok())?
    });
    samples.fold(None, |sum: Option<u64>, value| Some(sum.unwrap_or(0) + value))
}

/// The requests that the mock received from one Tollgate, and those that it counted.
#[derive(Debug, Clone, Copy, Default)]
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
        let deadline = Instant::now() + FOLD_PATIENCE;
        loop {
            let counts = Self { counted: ProductCounts::read(product).await?.since(before), ..self };
            if counts.matches() || Instant::now() > deadline {
                return Ok(counts);
            }
            sleep(DRAIN_PAUSE).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_of_one_metric_are_summed() {
        let text = "# TYPE a counter\na_total{x=\"1 2\"} 3\na_total{x=\"2\"} 4\na_total_more 9\nb 0\n";
        assert_eq!(sum(text, "a_total"), Some(7));
        assert_eq!(sum(text, "b"), Some(0));
        assert_eq!(sum(text, "c"), None);
    }
}
