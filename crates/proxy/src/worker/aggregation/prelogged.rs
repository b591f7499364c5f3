//! Pre-logged batches of plain requests: the credits of clients with a quota are in the spool before the requests are
//! sent. Thus no crash lets a client exceed its quota.
//!
//! One record per request would double the cost of a request. Therefore the first request of a client opens a batch with
//! credits for several requests, and the following requests use these credits. Within half a second, or within 5 seconds
//! if many clients are active, a record with the counts of the sent requests closes the batch, and its surplus credits are
//! released. If some of its requests are still in flight, a new batch with exactly their credits is opened before.
//!
//! After a crash, the next start charges open batches in full, as it does for LLM requests. Until then, the credits are
//! reserved: by the requests themselves, and by the batch for further requests.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use access::{Credits, Day, LabelSet, Mono, RequestId, Subject, Timestamp};
use meter::{Charge, Counts, PreloggedCredits, RequestOrigin, Reservation};
use rustc_hash::FxHashMap;
use spool::{OpenRequest, Record, SpoolError};
use tokio::sync::Notify;

use super::unwritten::{PendingSettlement, UnwrittenRecords};
use crate::worker::recorder::Recorder;

/// The divisor that limits the credits of a batch for further requests: they are at most this part of the amount that
/// is left of the quota. At most these unused credits of a batch are charged after a crash.
const BATCH_PART_OF_LEFT: u64 = 256;
/// Maximum number of requests in a batch, also if some cost less than its first request. If each has other counts, and the
/// longest name, one closing record can contain them.
const BATCH_REQUESTS_MAX: u64 = 64;
/// Maximum age of a batch that is looked at. A batch is closed earlier if its credits are used up, if other requests need
/// them, or if one of its requests was not sent.
const CLOSED_WITHIN: Duration = Duration::from_millis(500);
/// The same if there are more than [`FEW`] batches: each of many keys has few requests in half a second.
const CLOSED_WITHIN_OF_MANY: Duration = Duration::from_secs(5);
const FEW: usize = 1_000;
/// Maximum number of current batches; further batches have no surplus. The spool reserves 4 KiB for the close of each
/// batch. If it has no room for further records, all batches are closed.
const CURRENT_MAX: usize = 10_000;
/// The number of current batches that are looked at every 10 ms, so that many of them never stop a worker for long: 10,000
/// are looked at within about a second. Each look reads memory that no cache of the processor has.
const LOOKED_AT: usize = 128;
/// Maximum number of different counts that one closing record contains. They fit into the room that the spool reserves
/// for it.
const COUNTS_MAX: usize = 16;
/// The same for a subject with a name, which each of the counts contains.
const NAMED_COUNTS_MAX: usize = 4;
/// Maximum size of the labels in one closing record, in bytes. Two counts with the longest labels fit.
const LABEL_BYTES_MAX: usize = 2_000;

/// A request that is to be pre-logged.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PrelogRequest<'a> {
    /// The key or the named subject of the request.
    pub(crate) subject: &'a Subject,
    pub(crate) day: Day,
    pub(crate) route: &'a Arc<str>,
    pub(crate) labels: &'a LabelSet,
    pub(crate) started_at: Timestamp,
    /// The cost of the request; never zero.
    pub(crate) credits: Credits,
    pub(crate) reservation: &'a Reservation,
    pub(crate) now: Mono,
}

/// The part of a batch that one request uses.
#[derive(Debug)]
pub(crate) struct PreloggedPart {
    batch: Rc<PreloggedBatch>,
    credits: Credits,
}

/// A key or a named subject, and the day to which its requests count. A clone allocates nothing.
type SubjectDay = (Subject, Day);

/// The open batches of a worker.
#[derive(Debug, Default)]
pub(super) struct PreloggedBatches {
    /// The batches that further requests may use, at most one per subject and day.
    current: RefCell<FxHashMap<SubjectDay, Rc<PreloggedBatch>>>,
    /// The current batches, and those that were replaced since they were last looked at, in the order in which they are
    /// looked at.
    order: RefCell<VecDeque<(SubjectDay, Rc<PreloggedBatch>)>>,
    /// Batches that no further request may use. Their number is bounded by the requests in flight, and by the batches
    /// that are opened between two flushes.
    retired: RefCell<Vec<Rc<PreloggedBatch>>>,
    signal: Rc<Notify>,
}

/// A batch whose opening record is in the spool.
#[derive(Debug)]
struct PreloggedBatch {
    opened: RefCell<OpenRequest>,
    opened_at: Cell<Mono>,
    /// The number of requests that have used the batch.
    requests: Cell<u64>,
    /// Credits that no request has taken.
    spare: RefCell<PreloggedCredits>,
    /// Credits of requests in flight.
    under_way: Cell<Credits>,
    /// Whether no further request may use the batch.
    retired: Cell<bool>,
    /// Whether the batch is to be closed without delay.
    hurried: Cell<bool>,
    /// The counts of the requests that were sent.
    counts: RefCell<Vec<Counts>>,
    /// Reservations of requests that were not sent. Their credits remain in the spool until the batch is closed.
    unsent: RefCell<Vec<Reservation>>,
}

/// Credits of a batch that is not closed stay reserved, because the next start charges them.
impl Drop for PreloggedBatch {
    fn drop(&mut self) {
        self.spare.take().forget();
        self.unsent.take().into_iter().for_each(Reservation::forget);
    }
}

impl PreloggedPart {
    /// Counts the request, which was sent.
    pub(crate) fn count(mut self, more: Counts) {
        let is_like = |one: &Counts| {
            (&one.route, one.status_class, one.minute, &one.labels)
                == (&more.route, more.status_class, more.minute, &more.labels)
        };
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

    /// Ends the request, which was not sent.
    pub(crate) fn unsent(mut self, reservation: Reservation) {
        self.batch.unsent.borrow_mut().push(reservation);
        self.batch.ends(std::mem::take(&mut self.credits));
        self.batch.hurried.set(true);
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
        let takes = spare.credits() >= credits && !self.is_full();
        if takes {
            self.requests.set(self.requests.get() + 1);
            spare.release(credits);
            self.under_way.set(self.under_way.get().saturating_add(credits));
        }
        takes
    }

    /// Returns whether the batch has had as many requests as it may have.
    fn is_full(&self) -> bool {
        self.requests.get() >= BATCH_REQUESTS_MAX
    }

    /// Returns whether the batch has no reason to stay open: no further request may use it, its surplus is used up, or other
    /// requests need it.
    fn gives_way(&self) -> bool {
        let spare = self.spare.borrow();
        self.hurried.get() || self.is_full() || spare.credits().is_zero() || spare.is_needed_by_others()
    }

    /// Whether a batch that no further request may use is closed now, although some of its requests may be in flight.
    fn is_over(&self, is_old: bool) -> bool {
        let has_ended = self.under_way.get().is_zero() || !self.spare.borrow().credits().is_zero();
        has_ended || self.hurried.get() || is_old
    }

    fn ends(&self, credits: Credits) {
        self.under_way.set(self.under_way.get().saturating_sub(credits));
    }
}

impl PreloggedBatches {
    /// Notifies the writer that there is something to write.
    pub(super) fn signal(&self) -> &Notify {
        &self.signal
    }

    /// Returns whether a batch waits to be closed, now or later.
    pub(super) fn are_open(&self) -> bool {
        !self.order.borrow().is_empty() || !self.retired.borrow().is_empty()
    }

    /// Returns a part of the current batch of the subject, or of a new batch, whose record is in the spool when this
    /// function returns.
    pub(super) fn take(&self, recorder: &Recorder, ask: PrelogRequest<'_>) -> Result<PreloggedPart, SpoolError> {
        let PrelogRequest { subject, day, credits, .. } = ask;
        let of = (subject.clone(), day);
        let current = self.current.borrow().get(&of).cloned();
        if let Some(batch) = current.filter(|batch| batch.takes(credits)) {
            return Ok(PreloggedPart { batch, credits });
        }
        let current = self.current.borrow();
        let has_place = current.len() < CURRENT_MAX || current.contains_key(&of);
        drop(current);
        let more_max = if has_place { BATCH_REQUESTS_MAX - 1 } else { 0 };
        let spare = ask.reservation.prelog(more_max, BATCH_PART_OF_LEFT, ask.now);
        let has_spare = !spare.credits().is_zero();
        let opened = opened(recorder, &ask, credits.saturating_add(spare.credits()));
        recorder.spool.borrow_mut().append(&Record::Open(opened.clone()))?;
        let batch = Rc::new(PreloggedBatch {
            spare: RefCell::new(spare),
            opened: RefCell::new(opened),
            opened_at: Cell::new(ask.now),
            requests: Cell::new(1),
            under_way: Cell::new(credits),
            retired: Cell::new(false),
            hurried: Cell::new(false),
            counts: RefCell::default(),
            unsent: RefCell::default(),
        });
        if has_spare {
            self.order.borrow_mut().push_back((of.clone(), batch.clone()));
            if let Some(before) = self.current.borrow_mut().insert(of, batch.clone()) {
                self.retire(before);
            }
        } else {
            self.retire(batch.clone());
        }
        self.signal.notify_one();
        Ok(PreloggedPart { batch, credits })
    }

    fn retire(&self, batch: Rc<PreloggedBatch>) {
        batch.retired.set(true);
        self.retired.borrow_mut().push(batch);
    }

    /// Closes batches that have ended, that are old, or whose surplus other requests need. It looks at some of the current
    /// batches only, and at the others in later calls.
    pub(super) fn flush_due(&self, recorder: &Recorder, unwritten: &mut UnwrittenRecords) -> bool {
        if !recorder.spool.borrow().has_room() {
            return self.flush(recorder, unwritten);
        }
        let now = recorder.clock.mono();
        let within = if self.current.borrow().len() > FEW { CLOSED_WITHIN_OF_MANY } else { CLOSED_WITHIN };
        let is_old = |batch: &PreloggedBatch| now.since(batch.opened_at.get()) >= within;
        // The more batches were replaced, the more are looked at, so that their number remains bounded.
        let ordered = self.order.borrow().len();
        let replaced = ordered.saturating_sub(self.current.borrow().len());
        for _ in 0..ordered.min(LOOKED_AT + replaced) {
            let Some((key, batch)) = self.order.borrow_mut().pop_front() else { break };
            if batch.retired.get() {
                continue;
            }
            if is_old(&batch) || batch.gives_way() {
                self.current.borrow_mut().remove(&key);
                self.retire(batch);
            } else {
                self.order.borrow_mut().push_back((key, batch));
            }
        }
        let over = self.retired.borrow_mut().extract_if(.., |batch| batch.is_over(is_old(batch))).collect();
        self.settle(recorder, over, unwritten)
    }

    /// Closes all batches, and opens new ones for requests still in flight. Returns whether the spool stored every
    /// record; records that it did not store are added to `unwritten`.
    pub(super) fn flush(&self, recorder: &Recorder, unwritten: &mut UnwrittenRecords) -> bool {
        self.order.borrow_mut().clear();
        let current = std::mem::take(&mut *self.current.borrow_mut());
        current.into_values().for_each(|batch| self.retire(batch));
        let batches = std::mem::take(&mut *self.retired.borrow_mut());
        self.settle(recorder, batches, unwritten)
    }

    /// Closes `batches`. Batches with requests in flight, and those that the spool did not store, remain retired.
    fn settle(&self, recorder: &Recorder, batches: Vec<Rc<PreloggedBatch>>, unwritten: &mut UnwrittenRecords) -> bool {
        let mut took_all = true;
        for batch in batches {
            match settle(recorder, &batch, unwritten) {
                Ok(true) => {}
                Ok(false) => self.retired.borrow_mut().push(batch),
                Err(error) => {
                    tracing::error!(%error, "the requests in flight cannot be recorded again yet");
                    took_all = false;
                    batch.hurried.set(true);
                    self.retired.borrow_mut().push(batch);
                }
            }
        }
        took_all
    }
}

/// Closes the requests of a batch that were sent, with their counts. Returns whether none of the batch is in flight.
fn settle(recorder: &Recorder, batch: &PreloggedBatch, unwritten: &mut UnwrittenRecords) -> Result<bool, SpoolError> {
    loop {
        let mut counts = batch.counts.borrow_mut();
        let mut spare = batch.spare.borrow_mut();
        let mut now = counts_of_close(&counts, &batch.opened.borrow().subject);
        let later_counts = counts.iter().skip(now).map(|one| one.credits);
        let mut later = later_counts.fold(batch.under_way.get(), Credits::saturating_add);
        let mut opened = batch.opened.borrow_mut();
        if now == 0 && !later.is_zero() && opened.reserved.credits == later {
            return Ok(false);
        }
        let id = opened.id;
        // Until the close is written, the credits of requests in flight are in two open batches and are reserved twice.
        // If the quota has no room for that, the batch is closed when the last of these requests ends, with all counts in
        // one record. It may need more room than the spool reserves, as the opening record of a rest does: without that
        // room, the batch remains open in the spool, and its counts wait.
        if !later.is_zero() && !spare.take_more(later, recorder.clock.mono()) {
            if !batch.under_way.get().is_zero() {
                return Ok(false);
            }
            (now, later) = (counts.len(), Credits::ZERO);
        }
        if !later.is_zero() {
            let id = RequestId(recorder.ids.borrow_mut().next_uuid());
            let rest = OpenRequest { id, reserved: Charge::credits(later), ..opened.clone() };
            if let Err(error) = recorder.spool.borrow_mut().append(&Record::Open(rest.clone())) {
                spare.release(later);
                return Err(error);
            }
            *opened = rest;
            batch.opened_at.set(recorder.clock.mono());
            batch.hurried.set(false);
        }
        let counts = counts.drain(..now).collect();
        let owed = PendingSettlement::unused(spare.split(), batch.unsent.take());
        unwritten.push(Record::CloseBatch { id: id.0, counts }, owed);
        if later.is_zero() {
            return Ok(true);
        }
    }
}

/// Returns the number of counts that the next closing record contains. Labels take at most the half of its room.
fn counts_of_close(counts: &[Counts], subject: &Subject) -> usize {
    let counts_max = counts_max(subject);
    if counts.iter().all(|of| of.labels.is_empty()) {
        return counts.len().min(counts_max);
    }
    let mut label_bytes = 0;
    let fits = counts.iter().take(counts_max / 2).take_while(|of| {
        label_bytes += of.labels.as_str().len();
        label_bytes <= LABEL_BYTES_MAX
    });
    fits.count()
}

/// Returns the maximum number of counts of a subject that one closing record contains.
const fn counts_max(subject: &Subject) -> usize {
    match subject {
        Subject::Key(_) | Subject::Anonymous { .. } => COUNTS_MAX,
        Subject::Token { .. } | Subject::Basic { .. } | Subject::Certificate { .. } => NAMED_COUNTS_MAX,
    }
}

/// Returns the opening record of a batch with `credits`, for the request `ask` and further requests.
fn opened(recorder: &Recorder, ask: &PrelogRequest<'_>, credits: Credits) -> OpenRequest {
    OpenRequest {
        id: RequestId(recorder.ids.borrow_mut().next_uuid()),
        subject: ask.subject.clone(),
        started_at: ask.started_at,
        day: ask.day,
        windows: Vec::new(),
        reserved: Charge::credits(credits),
        route: ask.route.clone(),
        format: None,
        model: None,
        price_version: None,
        origin: RequestOrigin { labels: ask.labels.clone(), ..RequestOrigin::default() },
    }
}

#[cfg(test)]
mod tests;
