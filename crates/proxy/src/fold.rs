//! Plain requests folded into counts by caller, route, status class and minute, written within 10 ms.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use meter::{Caller, Counts, UsageEvent};
use rustc_hash::FxHashMap;
use tokio::sync::Notify;
use tokio::time::sleep;

use crate::worker::Worker;

/// What a crash may lose of requests whose cost was fixed at admission.
const FLUSH_AFTER: Duration = Duration::from_millis(10);
/// Counts in one record, which has at most 64 KiB; the rest waits for the next.
const RECORD_MAX: usize = 128;
/// Counts that wait while the spool takes nothing; what comes then is folded into what waits, or lost and logged.
const WAITING_MAX: usize = 100_000;
/// While the spool takes nothing it is asked again this often.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// A worker's counts that are not written yet.
#[derive(Default)]
pub(crate) struct Fold {
    counts: RefCell<FxHashMap<Key, (u64, u64)>>,
    lost: Cell<u64>,
    filled: Notify,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    caller: Option<Caller>,
    route: Arc<str>,
    status_class: u8,
    minute: u32,
    day: access::Day,
}

impl Fold {
    /// Counts one request.
    pub(crate) fn add(&self, event: &UsageEvent) {
        let key = Key {
            caller: event.caller,
            route: event.route.clone(),
            status_class: u8::try_from(event.status / 100).unwrap_or(0),
            minute: u32::try_from(event.started_at.unix_seconds() / 60).unwrap_or(u32::MAX),
            day: event.day,
        };
        let mut counts = self.counts.borrow_mut();
        let was_empty = counts.is_empty();
        if counts.len() >= WAITING_MAX && !counts.contains_key(&key) {
            self.lost.set(self.lost.get() + 1);
            return;
        }
        let (requests, credits) = counts.entry(key).or_default();
        *requests += 1;
        *credits += u64::from(event.credits.0);
        if was_empty {
            self.filled.notify_one();
        }
    }

    /// Writes what waits; says whether the spool took it all.
    pub(crate) fn flush(&self, worker: &Worker) -> bool {
        let mut waiting = self.counts.borrow_mut();
        while !waiting.is_empty() {
            let batch: Vec<Counts> =
                waiting.iter().take(RECORD_MAX).map(|(key, folded)| counts(key, *folded)).collect();
            let id = worker.ids.borrow_mut().next_uuid();
            let record = spool::Record::Counts { id, counts: batch };
            if let Err(error) = worker.spool.borrow_mut().append(&record) {
                tracing::error!(%error, lost = self.lost.get(), waiting = waiting.len(), "counts cannot be recorded");
                return false;
            }
            if let spool::Record::Counts { counts, .. } = &record {
                for written in counts {
                    waiting.remove(&key(written));
                }
            }
        }
        true
    }
}

fn counts(key: &Key, (requests, credits): (u64, u64)) -> Counts {
    Counts {
        caller: key.caller,
        route: key.route.clone(),
        status_class: key.status_class,
        minute: key.minute,
        day: key.day,
        requests,
        credits,
    }
}

fn key(counts: &Counts) -> Key {
    Key {
        caller: counts.caller,
        route: counts.route.clone(),
        status_class: counts.status_class,
        minute: counts.minute,
        day: counts.day,
    }
}

/// Writes within 10 ms of the first count, until the worker ends.
pub(crate) async fn flush_forever(worker: Rc<Worker>) {
    loop {
        worker.fold.filled.notified().await;
        sleep(FLUSH_AFTER).await;
        while !worker.fold.flush(&worker) {
            sleep(AGAIN_AFTER).await;
        }
    }
}
