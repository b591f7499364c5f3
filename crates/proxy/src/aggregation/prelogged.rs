//! Plain requests of callers with a quota: their credits are in the spool before they are sent, so that no crash takes a quota
//! past its limit.
//!
//! One record a request would double what it costs. So the first of a caller opens a block of some requests, which the next ones
//! use; within half a second the block is closed by the counts of what was sent, and what nobody used of it goes back. Requests
//! that go on longer are opened anew by then, for as much as they are. What stands open after a crash counts, as with an LLM call; and as with
//! one it is reserved: by the requests themselves, and by the block for those that may come.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use access::{Credits, Day, Mono, RequestId, Subject, Timestamp};
use meter::{Caller, Charge, Counts, PreloggedCredits, Reservation};
use rustc_hash::FxHashMap;
use spool::{OpenRequest, Record, SpoolError};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::unwritten::{PendingSettlement, UnwrittenRecords};
use crate::worker::Worker;

/// A block has one request, and at most this part of what is left of its quota: so much a crash may take of it.
pub const BATCH_PART_OF_LEFT: u64 = 256;
/// And at most so many requests.
pub const BATCH_REQUESTS_MAX: u64 = 64;
/// A block is closed so long after it was opened; and at once, as counts are, where nothing of it is spare, others want what is, or
/// something of it was not sent after all.
const CLOSED_WITHIN: Duration = Duration::from_millis(500);
/// Where there are more than these, or the spool has no room for more, all are closed at once: it keeps room for the close of each.
const CURRENT_MAX: usize = 1_000;
/// Different counts that one block holds: they fit into the room that is kept for its close.
const COUNTS_MAX: usize = 16;

/// A request that is to be written ahead.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PrelogRequest<'a> {
    pub(crate) caller: Caller,
    pub(crate) day: Day,
    pub(crate) route: &'a Arc<str>,
    pub(crate) started_at: Timestamp,
    /// What it costs; more than nothing.
    pub(crate) credits: Credits,
    pub(crate) reservation: &'a Reservation,
    pub(crate) now: Mono,
}

/// A request's part of a block.
#[derive(Debug)]
pub(crate) struct PreloggedPart {
    batch: Rc<PreloggedBatch>,
    credits: Credits,
}

/// A worker's open blocks.
#[derive(Debug, Default)]
pub(super) struct PreloggedBatches {
    current: RefCell<FxHashMap<(Caller, Day), Rc<PreloggedBatch>>>,
    /// Nothing is taken from these any more: bounded by what is in flight, and by what is opened between two looks.
    retired: RefCell<Vec<Rc<PreloggedBatch>>>,
    signal: Rc<WriteSignal>,
}

/// When a worker's folds are written.
#[derive(Debug, Default)]
pub(super) struct WriteSignal {
    /// There is something to write.
    filled: Notify,
    /// Since when of a block.
    since: Cell<Option<Instant>>,
    hurried: Cell<bool>,
}

#[derive(Debug)]
struct PreloggedBatch {
    opened: RefCell<OpenRequest>,
    /// Credits that nobody has taken.
    spare: RefCell<PreloggedCredits>,
    /// Credits of what is under way.
    under_way: Cell<Credits>,
    retired: Cell<bool>,
    counts: RefCell<Vec<Counts>>,
    /// Of those that were not sent after all: the spool has them open until the block is closed.
    unsent: RefCell<Vec<Reservation>>,
    signal: Rc<WriteSignal>,
}

/// What is not closed stays taken: the next start counts it.
impl Drop for PreloggedBatch {
    fn drop(&mut self) {
        self.spare.take().forget();
        self.unsent.take().into_iter().for_each(Reservation::forget);
    }
}

impl WriteSignal {
    pub(super) async fn filled(&self) {
        self.filled.notified().await;
    }

    pub(super) fn notify(&self) {
        self.filled.notify_one();
    }

    /// There is something of a block to write.
    fn begins(&self) {
        if self.since.get().is_none() {
            self.since.set(Some(Instant::now()));
        }
        self.notify();
    }

    fn hurry(&self) {
        self.hurried.set(true);
        self.begins();
    }

    fn is_due(&self) -> bool {
        self.hurried.get() || self.since.get().is_some_and(|since| since.elapsed() >= CLOSED_WITHIN)
    }

    /// Whether a block is to be written, now or later.
    pub(super) fn is_on(&self) -> bool {
        self.since.get().is_some()
    }
}

impl PreloggedPart {
    /// It was sent, and came to this.
    pub(crate) fn count(mut self, more: Counts) {
        let is_like =
            |one: &Counts| (&one.route, one.status_class, one.minute) == (&more.route, more.status_class, more.minute);
        let mut counts = self.batch.counts.borrow_mut();
        match counts.iter_mut().find(|one| is_like(one)) {
            Some(one) => {
                one.requests += more.requests;
                one.credits = one.credits.saturating_add(more.credits);
            }
            None => counts.push(more),
        }
        drop(counts);
        self.batch.ends(std::mem::take(&mut self.credits));
    }

    /// It was not sent.
    pub(crate) fn unsent(mut self, reservation: Reservation) {
        self.batch.unsent.borrow_mut().push(reservation);
        self.batch.ends(std::mem::take(&mut self.credits));
        self.batch.signal.hurry();
    }
}

impl Drop for PreloggedPart {
    fn drop(&mut self) {
        let credits = std::mem::take(&mut self.credits);
        if !credits.is_zero() {
            self.batch.ends(credits);
        }
    }
}

impl PreloggedBatch {
    fn takes(&self, credits: Credits) -> bool {
        let mut spare = self.spare.borrow_mut();
        let takes = spare.credits() >= credits;
        if takes {
            spare.release(credits);
            self.under_way.set(self.under_way.get().saturating_add(credits));
        }
        takes
    }

    /// Whether there is no reason that it stays open.
    fn gives_way(&self) -> bool {
        let spare = self.spare.borrow();
        spare.credits().is_zero() || spare.is_needed_by_others()
    }

    fn ends(&self, credits: Credits) {
        self.under_way.set(self.under_way.get().saturating_sub(credits));
        if self.retired.get() {
            self.signal.begins();
        }
    }
}

impl PreloggedBatches {
    pub(super) fn signal(&self) -> &WriteSignal {
        &self.signal
    }

    /// A part of the caller's block, or of a new one, which the spool knows of before this answers.
    pub(super) fn take(&self, worker: &Worker, ask: PrelogRequest<'_>) -> Result<PreloggedPart, SpoolError> {
        let PrelogRequest { caller, day, credits, .. } = ask;
        let current = self.current.borrow().get(&(caller, day)).cloned();
        if let Some(batch) = current.filter(|batch| batch.takes(credits)) {
            return Ok(PreloggedPart { batch, credits });
        }
        let spare = ask.reservation.prelog(BATCH_REQUESTS_MAX - 1, BATCH_PART_OF_LEFT, ask.now);
        let has_spare = !spare.credits().is_zero();
        let opened = opened(worker, &ask, credits.saturating_add(spare.credits()));
        worker.spool.borrow_mut().append(&Record::Open(opened.clone()))?;
        let batch = Rc::new(PreloggedBatch {
            spare: RefCell::new(spare),
            opened: RefCell::new(opened),
            under_way: Cell::new(credits),
            retired: Cell::new(false),
            counts: RefCell::default(),
            unsent: RefCell::default(),
            signal: self.signal.clone(),
        });
        if !has_spare {
            self.retire(batch.clone());
        } else if let Some(before) = self.current.borrow_mut().insert((caller, day), batch.clone()) {
            self.retire(before);
        }
        self.signal.begins();
        Ok(PreloggedPart { batch, credits })
    }

    fn retire(&self, batch: Rc<PreloggedBatch>) {
        batch.retired.set(true);
        self.retired.borrow_mut().push(batch);
    }

    /// Closes batches that have ended, and batches whose surplus other requests need. When a flush is due, flushes all batches
    /// as [`PreloggedBatches::flush`] does.
    pub(super) fn flush_due(&self, worker: &Worker, unwritten: &mut UnwrittenRecords) -> bool {
        let are_many = || self.current.borrow().len() > CURRENT_MAX || !worker.spool.borrow().has_room();
        if self.signal.is_due() || are_many() {
            return self.flush(worker, unwritten);
        }
        self.current.borrow_mut().extract_if(|_, batch| batch.gives_way()).for_each(|(_, batch)| self.retire(batch));
        let is_over = |batch: &mut Rc<PreloggedBatch>| {
            batch.under_way.get().is_zero() || !batch.spare.borrow().credits().is_zero()
        };
        let over = self.retired.borrow_mut().extract_if(.., is_over).collect();
        self.settle(worker, over, unwritten)
    }

    /// Closes all batches, and opens new ones for requests still in flight. Returns whether the spool stored every record;
    /// records that it did not store are added to `unwritten`.
    pub(super) fn flush(&self, worker: &Worker, unwritten: &mut UnwrittenRecords) -> bool {
        self.signal.since.set(None);
        self.signal.hurried.set(false);
        let current = std::mem::take(&mut *self.current.borrow_mut());
        current.into_values().for_each(|batch| self.retire(batch));
        let batches = std::mem::take(&mut *self.retired.borrow_mut());
        self.settle(worker, batches, unwritten)
    }

    /// Closes `batches`. Batches with requests in flight, and those that the spool did not store, remain retired.
    fn settle(&self, worker: &Worker, batches: Vec<Rc<PreloggedBatch>>, unwritten: &mut UnwrittenRecords) -> bool {
        let mut took_all = true;
        for batch in batches {
            match settle(worker, &batch, unwritten) {
                Ok(true) => {}
                Ok(false) => self.retired.borrow_mut().push(batch),
                Err(error) => {
                    tracing::error!(%error, "what is under way cannot be recorded anew yet");
                    took_all = false;
                    self.retired.borrow_mut().push(batch);
                }
            }
        }
        if !took_all {
            self.signal.hurry();
        }
        took_all
    }
}

/// Closes the requests of a batch that were sent, with their counts. Returns whether none of the batch is in flight.
fn settle(worker: &Worker, batch: &PreloggedBatch, unwritten: &mut UnwrittenRecords) -> Result<bool, SpoolError> {
    loop {
        let (mut counts, mut spare) = (batch.counts.borrow_mut(), batch.spare.borrow_mut());
        let mut now = counts.len().min(COUNTS_MAX);
        let later_counts = counts.iter().skip(now).map(|one| one.credits);
        let mut later = later_counts.fold(batch.under_way.get(), Credits::saturating_add);
        let mut opened = batch.opened.borrow_mut();
        if now == 0 && !later.is_zero() && opened.reserved.credits == later {
            return Ok(false);
        }
        let id = opened.id;
        // Until the close is written it stands open twice, and is held twice. A quota with no room for that waits for the end of
        // the last of these.
        if !later.is_zero() && !spare.take_more(later, worker.shared.clock.mono()) {
            if !batch.under_way.get().is_zero() {
                return Ok(false);
            }
            (now, later) = (counts.len(), Credits::ZERO);
        }
        if !later.is_zero() {
            let id = RequestId(worker.ids.borrow_mut().next_uuid());
            let rest = OpenRequest { id, reserved: Charge::credits(later), ..opened.clone() };
            if let Err(error) = worker.spool.borrow_mut().append(&Record::Open(rest.clone())) {
                spare.release(later);
                return Err(error);
            }
            *opened = rest;
        }
        let counts = counts.drain(..now).collect();
        let owed = PendingSettlement::unused(spare.split(), batch.unsent.take());
        unwritten.push(Record::CloseBatch { id: id.0, counts }, owed);
        if later.is_zero() {
            return Ok(true);
        }
    }
}

/// A block of `credits`, for `ask` and what may come after it.
fn opened(worker: &Worker, ask: &PrelogRequest<'_>, credits: Credits) -> OpenRequest {
    OpenRequest {
        id: RequestId(worker.ids.borrow_mut().next_uuid()),
        subject: Subject::Key(ask.caller),
        started_at: ask.started_at,
        day: ask.day,
        reserved: Charge::credits(credits),
        route: ask.route.clone(),
        format: None,
        model: None,
        price_version: None,
    }
}
