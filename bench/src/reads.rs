//! The latency of one read of the control API at a steady rate, each call with another key.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use serde_json::Value;

use crate::loader::Loader;
use crate::steady::{ApiCall, SteadyLoad};

/// The rate and the duration of each measurement.
pub(crate) struct Reads {
    pub(crate) address: SocketAddr,
    /// The keys that authenticate the calls, in turn.
    pub(crate) keys: Arc<[Arc<str>]>,
    pub(crate) calls_per_second: u32,
    pub(crate) duration: Duration,
    pub(crate) connections: u32,
}

impl Reads {
    /// Returns the response to one call of `path` with the first key.
    pub(crate) async fn first_json(&self, path: &str) -> anyhow::Result<Value> {
        let mut loader = Loader::connect(self.address, None).await?;
        loader.send_as(self.keys.first().map(|key| &**key), "GET", path, "").await?.json()
    }

    /// Calls `path`, and prints a line. Returns whether the 95th percentile is below `target`.
    pub(crate) async fn meet(&self, path: &str, target: Duration) -> anyhow::Result<bool> {
        let Self { address, calls_per_second, duration, connections, .. } = *self;
        let steady = SteadyLoad { address, calls_per_second, duration, connections };
        let (keys, asked) = (self.keys.clone(), path.to_owned());
        let call = move |nth: u64| ApiCall {
            method: "GET",
            path: asked.clone(),
            key: usize::try_from(nth).ok().and_then(|nth| keys.get(nth % keys.len())).cloned(),
            body: String::new(),
        };
        let results = steady.run(call).await?;
        let p95 = results.waits.percentile(95);
        let judged = if p95 < target { "met" } else { "MISSED" };
        println!(
            "  GET {path}, {calls_per_second}/s: p95 {:.2} ms, under {target:?}: {judged}; {}; statuses {:?}",
            p95.as_secs_f64() * 1_000.0,
            results.waits,
            results.statuses
        );
        ensure!(results.statuses.keys().all(|status| *status == 200), "responses other than 200");
        Ok(p95 < target)
    }
}
