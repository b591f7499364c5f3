//! The aggregation of plain requests, and the records that the spool did not store at once.
//!
//! Counts per subject, route, status class and minute are written within 10 ms. Requests of clients with a quota are
//! pre-logged in batches.

mod prelogged;
mod unwritten;

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use access::{Credits, Day, LabelSet, Subject};
use meter::Counts;
use rustc_hash::FxHashMap;
use spool::{Record, SpoolError};
use tokio::time::sleep;

use crate::worker::recorder::Recorder;

use prelogged::PreloggedBatches;
pub(crate) use prelogged::{PrelogRequest, PreloggedPart};
use unwritten::UnwrittenRecords;
pub(crate) use unwritten::{PendingSettlement, settle};

/// Maximum age of unwritten counts of requests that no quota limits. A crash loses at most these counts.
const AGGREGATION_DELAY: Duration = Duration::from_millis(10);
/// Maximum number of counts in one record, whose size is at most 64 KiB. Further counts go to the next record.
const RECORD_MAX: usize = 128;
/// Maximum number of counts that wait while the spool stores nothing. Further requests are added to waiting counts with
/// the same key; without such counts they are lost and logged.
const WAITING_MAX: usize = 100_000;
/// Pause between attempts to write while the spool stores nothing.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// The counts of a worker that are not written yet.
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
    labels: LabelSet,
}

impl Aggregation {
    /// Adds to the waiting counts. Returns whether there was room.
    pub(crate) fn add(&self, more: Counts) -> bool {
        let Counts {
            subject,
            route,
            status_class,
            minute,
            day,
            requests: more_requests,
            credits: more_credits,
            labels,
        } = more;
        let key = AggregationKey { subject, route, status_class, minute, day, labels };
        let mut waiting = self.waiting.borrow_mut();
        if waiting.is_empty() {
            self.batches.signal().notify_one();
        }
        if waiting.len() >= WAITING_MAX && !waiting.contains_key(&key) {
            tracing::error!(requests = more_requests, "counts are lost: the spool takes nothing, and too many wait");
            return false;
        }
        let (requests, credits) = waiting.entry(key).or_default();
        *requests += more_requests;
        *credits = credits.saturating_add(more_credits);
        true
    }

    /// Records a request in the spool before it is sent, so that its credits count even if this process crashes.
    ///
    /// # Errors
    /// The request cannot be recorded; the errors are those of [`spool::Writer::append`].
    pub(crate) fn prelog(&self, recorder: &Recorder, ask: PrelogRequest<'_>) -> Result<PreloggedPart, SpoolError> {
        self.batches.take(recorder, ask)
    }

    /// Keeps the last record of a request, which the spool did not store, until the spool stores it.
    pub(crate) fn keep(&self, record: Record, owed: PendingSettlement) {
        self.unwritten.borrow_mut().push(record, owed);
        self.batches.signal().notify_one();
    }

    /// Writes all waiting counts, batches and records. Returns whether the spool stored them.
    pub(crate) fn flush(&self, recorder: &Recorder) -> bool {
        self.write(recorder, PreloggedBatches::flush)
    }

    /// Writes all waiting counts, batches and records. Returns whether none remains, also not of requests in flight.
    pub(crate) fn flush_all(&self, recorder: &Recorder) -> bool {
        self.flush(recorder) && !self.batches.are_open() && self.waiting.borrow().is_empty()
    }

    fn write(
        &self,
        recorder: &Recorder,
        of_batches: fn(&PreloggedBatches, &Recorder, &mut UnwrittenRecords) -> bool,
    ) -> bool {
        let mut unwritten = self.unwritten.borrow_mut();
        let batches = of_batches(&self.batches, recorder, &mut unwritten);
        let unwritten = unwritten.write(recorder);
        self.flush_waiting(recorder) && unwritten && batches
    }

    fn flush_waiting(&self, recorder: &Recorder) -> bool {
        let waiting = std::mem::take(&mut *self.waiting.borrow_mut());
        let counts: Vec<Counts> =
            waiting.into_iter().map(|(key, (requests, credits))| counts(key, requests, credits)).collect();
        let mut took_all = true;
        for batch in counts.chunks(RECORD_MAX) {
            took_all &= self.append(recorder, batch);
        }
        took_all
    }

    /// Writes the counts as one record, or as several if one would be too large. Counts that the spool did not store
    /// wait again. Returns whether it stored all.
    fn append(&self, recorder: &Recorder, batch: &[Counts]) -> bool {
        let id = recorder.ids.borrow_mut().next_uuid();
        let appended = recorder.spool.borrow_mut().append(&Record::Counts { id, counts: batch.to_vec() });
        match appended {
            Ok(()) => true,
            Err(SpoolError::TooLarge { .. }) if batch.len() > 1 => {
                let (one, other) = batch.split_at(batch.len() / 2);
                let took_one = self.append(recorder, one);
                self.append(recorder, other) && took_one
            }
            Err(error) => {
                tracing::error!(%error, waiting = batch.len(), "counts cannot be recorded yet");
                for left in batch {
                    self.add(left.clone());
                }
                false
            }
        }
    }
}

fn counts(key: AggregationKey, requests: u64, credits: Credits) -> Counts {
    let AggregationKey { subject, route, status_class, minute, day, labels } = key;
    Counts { subject, route, status_class, minute, day, requests, credits, labels }
}

/// Writes counts within 10 ms of the first one, and batches when they are due, until the worker ends.
pub(crate) async fn flush_forever(aggregation: &Aggregation, recorder: &Recorder) {
    let signal = aggregation.batches.signal();
    loop {
        signal.notified().await;
        sleep(AGGREGATION_DELAY).await;
        while !aggregation.write(recorder, PreloggedBatches::flush_due) {
            sleep(AGAIN_AFTER).await;
        }
        if aggregation.batches.are_open() {
            signal.notify_one();
        }
    }
}
