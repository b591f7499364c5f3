//! The batch that is being sent, and the time before which the receiver wants no other request.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use access::Mono;
use bytes::Bytes;
use telemetry::metrics::ExportedRequest;

/// Spans that were encoded and that the receiver has not accepted yet.
#[derive(Debug, Clone)]
pub(crate) struct EncodedBatch {
    /// The body of the request.
    pub(crate) body: Bytes,
    /// The requests whose spans it contains.
    pub(crate) requests: Vec<ExportedRequest>,
    /// The number of times that it was sent.
    pub(crate) tries: u32,
}

/// The state of the export. It survives a run that is dropped.
#[derive(Debug, Clone, Default)]
pub(crate) struct ExportState(Arc<Mutex<Pending>>);

#[derive(Debug, Default)]
pub(crate) struct Pending {
    /// The batch that is sent again.
    pub(crate) batch: Option<EncodedBatch>,
    /// The receiver asked for no request before this time.
    not_before: Option<Mono>,
}

impl ExportState {
    pub(crate) fn get(&self) -> MutexGuard<'_, Pending> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pending {
    /// Whether the receiver still wants no request.
    pub(crate) fn is_paused(&self, now: Mono) -> bool {
        self.not_before.is_some_and(|until| now < until)
    }

    /// Pauses the export for as long as the receiver asks.
    pub(crate) fn pause(&mut self, now: Mono, wait: Option<Duration>) {
        self.not_before =
            wait.map(|wait| Mono(now.0.saturating_add(u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX))));
    }
}
