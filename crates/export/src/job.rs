//! The job that reads rows and hands them to the target.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use access::Clock;
use jobs::{Job, JobError, JobSpec, NextRun, RetryPauses};
use spool::{ExportBatch, ExportReader, SpoolError};
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use uuid::Uuid;

use crate::caller_ids::{CallerIds, IdLookup};
use crate::error::EventExportError;
use crate::row::{self, EncodedRow};
use crate::target::EventTarget;

/// Reads the spool each second; after failures, at most every 30 s. Targets have time limits of their own.
pub const SPEC: JobSpec = JobSpec {
    run_max: Duration::MAX,
    retry: RetryPauses { first: Duration::from_secs(1), longest: Duration::from_secs(30) },
    ..JobSpec::every("event_export", Duration::from_secs(1))
};

/// Maximum number of rows that are sent at once.
const ROWS_MAX: u64 = 4_000;
/// Maximum time at the end of the process for the rows that wait.
const LAST_MAX: Duration = Duration::from_secs(3);

/// What an export consists of.
#[derive(Debug, Clone)]
pub struct EventExportParts {
    /// The target of the rows.
    pub target: Arc<EventTarget>,
    /// Finds the ids of keys and users.
    pub lookup: IdLookup,
    /// The id of the node, in each row.
    pub node: Uuid,
    /// The clock of the process.
    pub clock: Clock,
}

/// The job. Clones continue with the same batch.
#[derive(Debug, Clone)]
pub struct EventExport {
    parts: EventExportParts,
    state: Arc<Mutex<ExportProgress>>,
    stats: Arc<EventExportStats>,
    ids: CallerIds,
}

/// The reader, and the batch that the target has not accepted yet.
#[derive(Debug)]
struct ExportProgress {
    reader: ExportReader,
    pending: Option<Arc<ExportBatch>>,
}

/// Counters of the export since the process began.
#[derive(Debug, Default)]
pub struct EventExportStats {
    /// Rows that the target has accepted.
    pub rows: AtomicU64,
    /// The number of failed attempts.
    pub failures: AtomicU64,
    /// The time of the oldest row that was read and not accepted, in microseconds since the Unix epoch; 0 without one.
    pub oldest_micros: AtomicU64,
}

impl EventExport {
    /// Returns the job of a reader.
    #[must_use]
    pub fn new(reader: ExportReader, parts: EventExportParts) -> Self {
        let state = Arc::new(Mutex::new(ExportProgress { reader, pending: None }));
        Self { parts, state, stats: Arc::default(), ids: CallerIds::default() }
    }

    /// Returns the counters, which clones share.
    #[must_use]
    pub fn stats(&self) -> Arc<EventExportStats> {
        self.stats.clone()
    }

    /// Exports rows until none waits.
    ///
    /// # Errors
    /// [`EventExportError`]; the rows remain, and a later start exports them.
    pub async fn drain(&mut self) -> Result<(), EventExportError> {
        while self.transfer().await? {}
        Ok(())
    }

    /// Exports one batch; returns `false` if there was none.
    async fn transfer(&mut self) -> Result<bool, EventExportError> {
        let Some(batch) = self.on_files(ExportProgress::next).await? else {
            self.stats.oldest_micros.store(0, Ordering::Relaxed);
            return Ok(false);
        };
        let oldest = batch.records.iter().filter_map(row::written_at).min();
        self.stats.oldest_micros.store(oldest.map_or(0, |oldest| oldest.0), Ordering::Relaxed);
        if let Err(error) = self.send(&batch).await {
            self.stats.failures.fetch_add(1, Ordering::Relaxed);
            if self.on_files(ExportProgress::skip_abandoned).await? {
                tracing::warn!(
                    rows = batch.rows,
                    "rows were skipped: the target of the export did not accept them before `export.max_size` was reached"
                );
            }
            return Err(error);
        }
        self.on_files(ExportProgress::confirm).await?;
        self.stats.rows.fetch_add(batch.rows, Ordering::Relaxed);
        Ok(true)
    }

    async fn send(&mut self, batch: &ExportBatch) -> Result<(), EventExportError> {
        let Self { parts, ids, .. } = self;
        if batch.records.is_empty() {
            return Ok(());
        }
        ids.learn(batch.records.iter().flat_map(row::callers), &parts.lookup).await?;
        let rows: Vec<EncodedRow> =
            batch.records.iter().flat_map(|record| row::rows(record, parts.node, ids)).collect();
        parts.target.send(rows, parts.clock.now()).await
    }

    /// Runs `work` on a thread that may block.
    async fn on_files<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut ExportProgress) -> Result<T, SpoolError> + Send + 'static,
    ) -> Result<T, EventExportError> {
        let state = self.state.clone();
        let done = spawn_blocking(move || work(&mut locked(&state))).await;
        match done {
            Ok(done) => Ok(done?),
            Err(ended) => match ended.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // Cancelled: the runtime shuts down, and this task with it.
                Err(_) => std::future::pending().await,
            },
        }
    }
}

fn locked(state: &Mutex<ExportProgress>) -> MutexGuard<'_, ExportProgress> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ExportProgress {
    /// Returns the batch that failed, or else the next one. The state keeps it: a dropped run must not lose it.
    fn next(&mut self) -> Result<Option<Arc<ExportBatch>>, SpoolError> {
        if self.pending.is_none() {
            let batch = self.reader.next_batch(ROWS_MAX)?;
            self.pending = (!batch.is_nothing()).then(|| Arc::new(batch));
        }
        Ok(self.pending.clone())
    }

    fn confirm(&mut self) -> Result<(), SpoolError> {
        // After an error, the batch is sent again.
        if let Some(batch) = &self.pending {
            self.reader.confirm(batch)?;
        }
        self.pending = None;
        Ok(())
    }

    /// Skips the batch if its segments were removed; returns whether they were.
    fn skip_abandoned(&mut self) -> Result<bool, SpoolError> {
        let Some(batch) = self.pending.clone().filter(|batch| self.reader.is_abandoned(batch)) else {
            return Ok(false);
        };
        self.reader.skip(&batch)?;
        self.pending = None;
        Ok(true)
    }
}

impl Job for EventExport {
    async fn run(&mut self) -> Result<NextRun, JobError> {
        Ok(if self.transfer().await? { NextRun::Now } else { NextRun::Period })
    }

    async fn stop(&mut self) -> Result<(), JobError> {
        match timeout(LAST_MAX, self.drain()).await {
            Ok(drained) => Ok(drained?),
            Err(late) => Err(late.into()),
        }
    }
}
