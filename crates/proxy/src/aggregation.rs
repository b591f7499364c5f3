//! Plain requests folded into counts by subject, route, status class and minute, written within 10 ms; those of a caller with a
//! quota are written ahead, in blocks. And what the spool did not take at once.

mod prelogged;
mod unwritten;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use access::{Credits, Day, Subject};
use meter::Counts;
use rustc_hash::FxHashMap;
use spool::{Record, SpoolError};
use tokio::time::sleep;

use crate::worker::Worker;

use prelogged::PreloggedBatches;
pub use prelogged::{BATCH_PART_OF_LEFT, BATCH_REQUESTS_MAX};
pub(crate) use prelogged::{PrelogRequest, PreloggedPart};
pub(crate) use unwritten::PendingSettlement;
use unwritten::UnwrittenRecords;

/// What a crash may lose of requests that no quota limits.
pub const AGGREGATION_DELAY: Duration = Duration::from_millis(10);
/// Counts in one record, which has at most 64 KiB; the rest waits for the next.
const RECORD_MAX: usize = 128;
/// Counts that wait while the spool takes nothing; what comes then is folded into what waits, or lost and logged.
const WAITING_MAX: usize = 100_000;
/// While the spool takes nothing it is asked again this often.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// A worker's counts that are not written yet.
#[derive(Default)]
pub(crate) struct Aggregation {
    waiting: RefCell<FxHashMap<AggregationKey, (u64, Credits)>>,
    batches: PreloggedBatches,
    unwritten: RefCell<UnwrittenRecords>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct AggregationKey {
    subject: Subject,
    route: Arc<str>,
    status_class: u8,
    minute: u32,
    day: Day,
}

impl Aggregation {
    /// Adds to what waits; says whether there was room.
    pub(crate) fn add(&self, more: &Counts) -> bool {
        let key = AggregationKey {
            subject: more.subject.clone(),
            route: more.route.clone(),
            status_class: more.status_class,
            minute: more.minute,
            day: more.day,
        };
        let mut waiting = self.waiting.borrow_mut();
        if waiting.is_empty() {
            self.batches.signal().notify();
        }
        if waiting.len() >= WAITING_MAX && !waiting.contains_key(&key) {
            tracing::error!(requests = more.requests, "counts are lost: the spool takes nothing, and too many wait");
            return false;
        }
        let (requests, credits) = waiting.entry(key).or_default();
        *requests += more.requests;
        *credits = credits.saturating_add(more.credits);
        true
    }

    /// Has the spool know of a request before it is sent: its credits count whatever becomes of this process.
    ///
    /// # Errors
    /// As [`spool::Writer::append`]; the request cannot be recorded.
    pub(crate) fn prelog(&self, worker: &Worker, ask: PrelogRequest<'_>) -> Result<PreloggedPart, SpoolError> {
        self.batches.take(worker, ask)
    }

    /// Keeps the end of a request that the spool did not take.
    pub(crate) fn keep(&self, record: Record, owed: PendingSettlement) {
        self.unwritten.borrow_mut().push(record, owed);
        self.batches.signal().notify();
    }

    /// Writes all that waits; says whether the spool took it.
    pub(crate) fn flush(&self, worker: &Worker) -> bool {
        self.write(worker, PreloggedBatches::flush)
    }

    fn write(
        &self,
        worker: &Worker,
        of_batches: fn(&PreloggedBatches, &Worker, &mut UnwrittenRecords) -> bool,
    ) -> bool {
        let mut unwritten = self.unwritten.borrow_mut();
        let batches = of_batches(&self.batches, worker, &mut unwritten);
        let unwritten = unwritten.write(worker);
        self.flush_waiting(worker) && unwritten && batches
    }

    fn flush_waiting(&self, worker: &Worker) -> bool {
        let waiting = std::mem::take(&mut *self.waiting.borrow_mut());
        let counts: Vec<Counts> =
            waiting.into_iter().map(|(key, (requests, credits))| counts(key, requests, credits)).collect();
        let mut took_all = true;
        for batch in counts.chunks(RECORD_MAX) {
            if let Err(error) = append(worker, batch) {
                tracing::error!(%error, waiting = batch.len(), "counts cannot be recorded yet");
                took_all = false;
                for left in batch {
                    self.add(left);
                }
            }
        }
        took_all
    }
}

fn counts(key: AggregationKey, requests: u64, credits: Credits) -> Counts {
    let AggregationKey { subject, route, status_class, minute, day } = key;
    Counts { subject, route, status_class, minute, day, requests, credits }
}

/// One record, or several where one would be too large.
fn append(worker: &Worker, batch: &[Counts]) -> Result<(), SpoolError> {
    let id = worker.ids.borrow_mut().next_uuid();
    let appended = worker.spool.borrow_mut().append(&Record::Counts { id, counts: batch.to_vec() });
    match appended {
        Err(SpoolError::TooLarge { .. }) if batch.len() > 1 => {
            let (one, other) = batch.split_at(batch.len() / 2);
            append(worker, one).and_then(|()| append(worker, other))
        }
        other => other,
    }
}

/// Writes within 10 ms of the first count, and blocks a little later, until the worker ends.
pub(crate) async fn flush_forever(worker: Rc<Worker>) {
    let (aggregation, signal) = (&worker.aggregation, worker.aggregation.batches.signal());
    loop {
        signal.filled().await;
        sleep(AGGREGATION_DELAY).await;
        while !aggregation.write(&worker, PreloggedBatches::flush_due) {
            sleep(AGAIN_AFTER).await;
        }
        if signal.is_on() {
            signal.notify();
        }
    }
}
