//! Plain requests folded into counts by caller, route, status class and minute, written within 10 ms; those of a caller with a
//! quota are written ahead, in blocks. And what the spool did not take at once.

mod block;
mod late;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use access::Day;
use meter::{Caller, Counts};
use rustc_hash::FxHashMap;
use spool::{Record, SpoolError};
use tokio::time::sleep;

use crate::worker::Worker;

use block::Blocks;
pub(crate) use block::{Ahead, Ask};
pub use block::{BLOCK_PART_OF_LEFT, BLOCK_REQUESTS_MAX};
use late::Late;
pub(crate) use late::Owed;

/// What a crash may lose of requests that no quota limits.
pub const FOLDED_WITHIN: Duration = Duration::from_millis(10);
/// Counts in one record, which has at most 64 KiB; the rest waits for the next.
const RECORD_MAX: usize = 128;
/// Counts that wait while the spool takes nothing; what comes then is folded into what waits, or lost and logged.
const WAITING_MAX: usize = 100_000;
/// While the spool takes nothing it is asked again this often.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// A worker's counts that are not written yet.
#[derive(Default)]
pub(crate) struct Fold {
    waiting: RefCell<FxHashMap<Key, (u64, u64)>>,
    blocks: Blocks,
    late: RefCell<Late>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    caller: Option<Caller>,
    route: Arc<str>,
    status_class: u8,
    minute: u32,
    day: Day,
}

impl Fold {
    /// Adds to what waits; says whether there was room.
    pub(crate) fn add(&self, more: &Counts) -> bool {
        let key = Key {
            caller: more.caller,
            route: more.route.clone(),
            status_class: more.status_class,
            minute: more.minute,
            day: more.day,
        };
        let mut waiting = self.waiting.borrow_mut();
        if waiting.is_empty() {
            self.blocks.signal().notify();
        }
        if waiting.len() >= WAITING_MAX && !waiting.contains_key(&key) {
            tracing::error!(requests = more.requests, "counts are lost: the spool takes nothing, and too many wait");
            return false;
        }
        let (requests, credits) = waiting.entry(key).or_default();
        *requests += more.requests;
        *credits += more.credits;
        true
    }

    /// Has the spool know of a request before it is sent: its credits count whatever becomes of this process.
    ///
    /// # Errors
    /// As [`spool::Writer::append`]; the request cannot be recorded.
    pub(crate) fn write_ahead(&self, worker: &Worker, ask: Ask<'_>) -> Result<Ahead, SpoolError> {
        self.blocks.take(worker, ask)
    }

    /// Keeps the end of a request that the spool did not take.
    pub(crate) fn keep(&self, record: Record, owed: Owed) {
        self.late.borrow_mut().push(record, owed);
        self.blocks.signal().notify();
    }

    /// Writes all that waits; says whether the spool took it.
    pub(crate) fn flush(&self, worker: &Worker) -> bool {
        self.write(worker, Blocks::flush)
    }

    fn write(&self, worker: &Worker, of_blocks: fn(&Blocks, &Worker, &mut Late) -> bool) -> bool {
        let mut late = self.late.borrow_mut();
        let blocks = of_blocks(&self.blocks, worker, &mut late);
        let late = late.write(worker);
        self.flush_waiting(worker) && late && blocks
    }

    fn flush_waiting(&self, worker: &Worker) -> bool {
        let waiting = std::mem::take(&mut *self.waiting.borrow_mut());
        let counts: Vec<Counts> = waiting.into_iter().map(counts).collect();
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

fn counts((key, (requests, credits)): (Key, (u64, u64))) -> Counts {
    let Key { caller, route, status_class, minute, day } = key;
    Counts { caller, route, status_class, minute, day, requests, credits }
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
    let (fold, signal) = (&worker.fold, worker.fold.blocks.signal());
    loop {
        signal.filled().await;
        sleep(FOLDED_WITHIN).await;
        while !fold.write(&worker, Blocks::flush_due) {
            sleep(AGAIN_AFTER).await;
        }
        if signal.is_on() {
            signal.notify();
        }
    }
}
