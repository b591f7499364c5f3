//! The job that sends the spans of finished requests to the receiver.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use access::Clock;
use bytes::Bytes;
use jobs::{Job, JobError, JobSpec, NextRun, RetryPauses};
use telemetry::Metrics;
use telemetry::metrics::{ExportedRequest, TraceMetrics};
use telemetry::traces::TracedRequest;
use tokio::time::timeout;

use crate::batch::{EncodedBatch, ExportState};
use crate::client::{OtlpClient, OtlpReceiver};
use crate::error::TraceExportError;
use crate::spans::{ExportedResource, encoded};

/// Sends the spans that wait. A run without any costs one lock.
pub const SPEC: JobSpec = JobSpec {
    retry: RetryPauses { first: Duration::from_secs(1), longest: Duration::from_secs(30) },
    ..JobSpec::every("trace_export", Duration::from_millis(500))
};

/// Maximum number of requests whose spans are sent at once.
const BATCH_MAX: usize = 512;
/// Maximum number of times that one batch is sent. With the pauses between them, they last for some minutes.
const TRIES_MAX: u32 = 10;
/// Maximum time at the end of the process for the spans that wait.
const LAST_MAX: Duration = Duration::from_secs(3);

/// The receiver, and the process whose spans it gets.
#[derive(Debug)]
pub struct ExportTarget {
    /// The receiver of the spans.
    pub receiver: OtlpReceiver,
    /// The process, as the receiver shows it.
    pub resource: ExportedResource,
    /// The client with the TLS of the process.
    pub client: OtlpClient,
}

/// The job that exports spans. Clones continue with the same batch.
#[derive(Clone)]
pub struct TraceExport {
    target: Arc<ExportTarget>,
    metrics: Arc<Metrics>,
    clock: Clock,
    state: ExportState,
}

impl TraceExport {
    /// Creates the job for one receiver.
    #[must_use]
    pub fn new(target: ExportTarget, metrics: Arc<Metrics>, clock: Clock) -> Self {
        Self { target: Arc::new(target), metrics, clock, state: ExportState::default() }
    }

    /// Returns the batch to send: the one that failed, or else the oldest spans that wait.
    fn next_batch(&self) -> Option<EncodedBatch> {
        let mut pending = self.state.get();
        if pending.batch.is_none() {
            let requests = self.metrics.traces.queue.take(BATCH_MAX);
            if requests.is_empty() {
                return None;
            }
            let body = Bytes::from(encoded(&self.target.resource, &requests));
            pending.batch =
                Some(EncodedBatch { body, requests: requests.iter().map(|of| exported(of)).collect(), tries: 0 });
        }
        let batch = pending.batch.as_mut()?;
        batch.tries += 1;
        Some(batch.clone())
    }

    /// Sends one batch; returns whether there was one. After a temporary failure, it remains to be sent again.
    async fn send_next(&self) -> Result<bool, TraceExportError> {
        let Some(EncodedBatch { body, requests, tries }) = self.next_batch() else { return Ok(false) };
        let sent = self.target.client.send(&self.target.receiver, body, self.clock.now()).await;
        let mut pending = self.state.get();
        match sent {
            Ok(rejected) => {
                pending.batch = None;
                pending.pause(self.clock.mono(), None);
                count_accepted(&self.metrics.traces, requests, rejected);
                Ok(true)
            }
            Err(error) => {
                pending.pause(self.clock.mono(), error.retry_after());
                if !error.is_temporary() || tries >= TRIES_MAX {
                    pending.batch = None;
                    self.metrics.traces.drop_for(TraceMetrics::REFUSED, requests.len());
                }
                Err(error)
            }
        }
    }

    /// Counts the spans that are not sent because the process ends.
    fn drop_rest(&self) {
        let unsent = self.state.get().batch.take().map_or(0, |batch| batch.requests.len());
        let waiting = self.metrics.traces.queue.take(usize::MAX).len();
        if unsent + waiting > 0 {
            self.metrics.traces.drop_for(TraceMetrics::ENDED, unsent + waiting);
            tracing::warn!(requests = unsent + waiting, "spans of the last requests were not exported");
        }
    }
}

/// Counts the requests of a batch that the receiver accepted without this number of spans. It does not name them: as many
/// requests count as dropped as can have a rejected span, and none of the batch is an exemplar.
fn count_accepted(traces: &TraceMetrics, requests: Vec<ExportedRequest>, rejected: u64) {
    let dropped = usize::try_from(rejected).unwrap_or(usize::MAX).min(requests.len());
    traces.exported.inc_by(u64::try_from(requests.len() - dropped).unwrap_or(u64::MAX));
    if rejected == 0 {
        requests.into_iter().for_each(|request| traces.exemplars.add(request));
        return;
    }
    traces.drop_for(TraceMetrics::REJECTED, dropped);
    tracing::warn!(spans = rejected, "the receiver of traces rejected spans");
}

/// Returns the facts that the metrics show of a request after its export.
fn exported(request: &TracedRequest) -> ExportedRequest {
    ExportedRequest {
        route: request.route.clone(),
        trace_id: request.trace_id,
        duration_us: request.duration_us,
        ended_at_us: request.began_at_us.saturating_add(request.duration_us),
    }
}

impl Job for TraceExport {
    async fn run(&mut self) -> Result<NextRun, JobError> {
        if self.state.get().is_paused(self.clock.mono()) {
            return Ok(NextRun::Period);
        }
        let is_sent = self.send_next().await?;
        Ok(if is_sent && !self.metrics.traces.queue.is_empty() { NextRun::Now } else { NextRun::Period })
    }

    async fn stop(&mut self) -> Result<(), JobError> {
        let all = async {
            while self.send_next().await? {}
            Ok::<_, TraceExportError>(())
        };
        let result = timeout(LAST_MAX, all).await;
        self.drop_rest();
        match result {
            Ok(result) => Ok(result?),
            Err(late) => Err(late.into()),
        }
    }
}

impl fmt::Debug for TraceExport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TraceExport").field("target", &self.target).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_with_rejected_spans_are_dropped_and_not_exported() {
        let check = |rejected, exported, dropped| {
            let metrics = Metrics::new();
            let request = |trace_id| ExportedRequest { route: "r".into(), trace_id, duration_us: 1, ended_at_us: 2 };
            count_accepted(&metrics.traces, (1..=3).map(|id| request([id; 16])).collect(), rejected);
            let shown = metrics.encode();
            let all = metrics.traces.exported.get();
            let reason = format!("tollgate_traces_dropped_total{{reason=\"rejected\"}} {dropped}\n");
            assert!(all == exported && shown.contains(&reason), "{rejected}: {all} {shown}");
        };
        check(0, 3, 0);
        check(2, 1, 2);
        check(3, 0, 3);
        // Each request has several spans.
        check(u64::MAX, 0, 3);
    }
}
