//! Calls at a steady rate. Each call is due at a fixed time, even if earlier calls are slow; its latency is measured
//! from that time.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use crate::loader::Loader;
use crate::spread::Spread;

/// A response that takes longer ends the measurement.
const PATIENCE: Duration = Duration::from_secs(30);

/// One call of the API.
#[derive(Debug, Clone)]
pub(crate) struct ApiCall {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) key: Option<Arc<str>>,
    pub(crate) body: String,
}

/// The target of the calls, their rate, their duration, and the number of connections.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SteadyLoad {
    pub(crate) address: SocketAddr,
    pub(crate) calls_per_second: u32,
    pub(crate) duration: Duration,
    pub(crate) connections: u32,
}

/// The latencies, and the number of responses by status.
#[derive(Debug, Default)]
pub(crate) struct CallResults {
    pub(crate) waits: Spread,
    pub(crate) statuses: BTreeMap<u16, u64>,
}

impl SteadyLoad {
    /// Sends each call at its due time; `call` returns the call with a given number, counted from 0.
    pub(crate) async fn run(
        self,
        call: impl Fn(u64) -> ApiCall + Send + Clone + 'static,
    ) -> anyhow::Result<CallResults> {
        let calls = u64::from(self.calls_per_second) * self.duration.as_secs();
        let begins = Instant::now() + Duration::from_millis(100);
        let mut tasks: JoinSet<anyhow::Result<Vec<(u16, Duration)>>> = JoinSet::new();
        for connection in 0..u64::from(self.connections) {
            let call = call.clone();
            tasks.spawn(async move {
                let mut loader = Loader::connect(self.address, None).await?;
                let mut results = Vec::new();
                for nth in (connection..calls).step_by(usize::try_from(self.connections)?) {
                    let after = f64::from(u32::try_from(nth)?) / f64::from(self.calls_per_second);
                    let due = begins + Duration::from_secs_f64(after);
                    sleep_until(due).await;
                    let ApiCall { method, path, key, body } = call(nth);
                    let response = timeout(PATIENCE, loader.send_as(key.as_deref(), method, &path, &body));
                    let response = response.await.context("no response in time")??;
                    results.push((response.status, due.elapsed()));
                }
                Ok(results)
            });
        }
        let (mut waits, mut statuses) = (Vec::new(), BTreeMap::new());
        while let Some(done) = tasks.join_next().await {
            for (status, wait) in done?? {
                waits.push(wait);
                *statuses.entry(status).or_default() += 1;
            }
        }
        Ok(CallResults { waits: Spread::of(waits), statuses })
    }
}
