use access::{Clock, Ids, KeyBounds, KeyNo, Plan, PlanId, SubjectId, SubjectText, UserNo};
use meter::{AdmissionRequest, Caller, Limits, Meter, RateSource, SubjectTerms, Terms};
use spool::{Reader, Spool, SpoolOptions};

use super::*;
use crate::worker::aggregation::{Aggregation, RECORD_MAX};

const AT: Timestamp = Timestamp(1_795_176_000_000_000);
const CREDIT: Credits = Credits::whole(1);

struct Worker {
    meter: Meter,
    recorder: Recorder,
    reader: Reader,
    batches: PreloggedBatches,
    unwritten: UnwrittenRecords,
    _folder: tempfile::TempDir,
}

const fn caller(user: i64) -> Caller {
    Caller { user: UserNo(user), key: KeyNo(user), plan: PlanId::NIL }
}

impl Worker {
    fn new() -> Self {
        Self::with_spool(64 * 1024 * 1024)
    }

    /// Returns a worker whose spool has at most `bytes`, in at least two segments.
    fn with_spool(bytes: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = SpoolOptions::new(bytes, 1);
        let Spool { mut writers, reader, .. } = Spool::open(folder.path(), options, &[]).unwrap();
        let clock = Clock::manual(AT);
        let spool = RefCell::new(writers.remove(0));
        let ids = RefCell::new(Ids::new(clock.clone()));
        let batches = PreloggedBatches::default();
        let unwritten = UnwrittenRecords::default();
        let recorder = Recorder { spool, ids, clock };
        Self { meter: Meter::default(), recorder, reader, batches, unwritten, _folder: folder }
    }

    /// Sends one request of a user with a large quota, to its end.
    fn call(&self, user: i64) {
        let caller = caller(user);
        let plan = Plan { credits_per_day: Some(Credits::whole(100_000)), ..Plan::unlimited("large") };
        let limits = self.meter.limits(&Terms { caller, plan: &plan, bounds: &KeyBounds::default(), budgets: &[] });
        self.send(&Subject::Key(caller), &limits, "all");
    }

    /// Sends one request of a subject with these limits, to its end.
    fn send(&self, subject: &Subject, limits: &Arc<Limits>, route: &str) {
        self.send_for(CREDIT, subject, limits, route);
    }

    /// The same for a request with this cost.
    fn send_for(&self, credits: Credits, subject: &Subject, limits: &Arc<Limits>, route: &str) {
        let now = self.recorder.clock.mono();
        let charge = Some(Charge::credits(credits));
        let rate = RateSource::Here;
        let reservation = self.meter.admit(&AdmissionRequest { limits, charge, at: AT, now, rate }).unwrap();
        let route = &Arc::from(route);
        let day = AT.day();
        let ask = PrelogRequest {
            subject,
            day,
            route,
            labels: &access::LabelSet::NONE,
            started_at: AT,
            credits,
            reservation: &reservation,
            now,
        };
        let part = self.batches.take(&self.recorder, ask).unwrap();
        let subject = subject.clone();
        let route = route.clone();
        part.count(Counts {
            subject,
            route,
            status_class: 2,
            minute: 0,
            day,
            requests: 1,
            credits,
            labels: access::LabelSet::NONE,
        });
        reservation.commit(AT).settle_as_reserved();
    }

    /// Closes the batches that are due. Returns the numbers of batches that were opened and closed so far.
    fn flush_due(&mut self) -> (usize, usize) {
        assert!(self.batches.flush_due(&self.recorder, &mut self.unwritten) && self.unwritten.write(&self.recorder));
        let records = self.reader.next_batch(100_000).unwrap().records;
        let opens = records.iter().filter(|record| matches!(record, Record::Open(_))).count();
        (opens, records.len() - opens)
    }
}

#[test]
fn batches_of_few_keys_close_within_half_a_second() {
    let mut worker = Worker::new();
    for user in [1, 2, 1, 1] {
        worker.call(user);
    }
    assert_eq!(worker.flush_due(), (2, 0));
    worker.recorder.clock.advance(CLOSED_WITHIN);
    assert_eq!(worker.flush_due(), (2, 2));
    assert!(!worker.batches.are_open());
}

#[test]
fn batches_of_many_keys_stay_open_longer_and_close_a_part_at_a_time() {
    const KEYS: usize = 2_000;
    let mut worker = Worker::new();
    for _ in 0..3 {
        (1..=2_000).for_each(|user| worker.call(user));
        assert_eq!(worker.flush_due(), (KEYS, 0));
        worker.recorder.clock.advance(CLOSED_WITHIN);
    }
    worker.recorder.clock.advance(CLOSED_WITHIN_OF_MANY);
    let closed: Vec<usize> = std::iter::from_fn(|| worker.batches.are_open().then(|| worker.flush_due().1)).collect();
    let parts: Vec<usize> = (1..=KEYS.div_ceil(LOOKED_AT)).map(|part| KEYS.min(part * LOOKED_AT)).collect();
    assert_eq!(closed, parts);
}

#[test]
fn replaced_batches_leave_within_two_flushes() {
    const KEYS: usize = 3 * LOOKED_AT;
    let mut worker = Worker::new();
    for user in 1..=i64::try_from(KEYS).unwrap() {
        (0..=BATCH_REQUESTS_MAX).for_each(|_| worker.call(user));
    }
    assert_eq!(worker.batches.order.borrow().len(), 2 * KEYS);
    assert_eq!(worker.flush_due(), (2 * KEYS, KEYS));
    assert_eq!(worker.flush_due(), (2 * KEYS, KEYS));
    assert_eq!(worker.batches.order.borrow().len(), KEYS);
}

#[test]
fn a_key_keeps_its_place_among_the_current_batches() {
    let worker = Worker::new();
    let keys = i64::try_from(CURRENT_MAX).unwrap();
    (1..=keys).for_each(|user| worker.call(user));
    (0..BATCH_REQUESTS_MAX).for_each(|_| worker.call(1));
    worker.call(keys + 1);
    let has_place = |key: i64| worker.batches.current.borrow().keys().any(|(of, _)| *of == Subject::Key(caller(key)));
    assert!(has_place(1) && !has_place(keys + 1));
    assert_eq!(worker.batches.order.borrow().len(), CURRENT_MAX + 1, "the second batch of the first key is current");
}

/// Returns the subject with the longest name.
fn longest() -> Subject {
    Subject::Token {
        issuer: SubjectText::parse(&"i".repeat(512)).unwrap(),
        sub: SubjectText::parse(&"s".repeat(255)).unwrap(),
    }
}

/// Returns the limits of a subject with a quota.
fn limits_of(meter: &Meter, subject: &Subject, credits_per_day: u64) -> Arc<Limits> {
    let plan = Plan { credits_per_day: Some(Credits::whole(credits_per_day)), ..Plan::unlimited("large") };
    let terms = SubjectTerms {
        subject: SubjectId::from_subject(subject).unwrap(),
        plan: &plan,
        counts: access::limits::plan::LongPeriods::default(),
    };
    meter.limits_of_subject(&terms).unwrap()
}

#[test]
fn a_batch_has_a_bounded_number_of_requests_although_some_cost_less_than_its_first() {
    let mut worker = Worker::new();
    let subject = longest();
    let requests = usize::try_from(BATCH_REQUESTS_MAX).unwrap();
    let limits = limits_of(&worker.meter, &subject, 1_000_000);
    worker.send_for(Credits::whole(10), &subject, &limits, "first");
    (2..requests).for_each(|_| worker.send(&subject, &limits, "all"));
    assert_eq!(worker.flush_due(), (1, 0));
    // The next request is the last one of the batch, although there are surplus credits, and one more opens another.
    (0..2).for_each(|_| worker.send(&subject, &limits, "all"));
    assert_eq!(worker.flush_due(), (2, 1));
}

/// Sends as many requests as a batch may have, each with other counts and the longest name of a route, and uses the rest of
/// the quota. Returns the subject.
fn fill_quota(worker: &Worker) -> Subject {
    const QUOTA: u64 = 20_000;
    let subject = longest();
    let now = worker.recorder.clock.mono();
    let limits = limits_of(&worker.meter, &subject, QUOTA);
    (0..BATCH_REQUESTS_MAX).for_each(|nth| worker.send(&subject, &limits, &format!("{nth:0>64}")));
    let charge = Some(Charge::credits(Credits::whole(QUOTA - BATCH_REQUESTS_MAX)));
    let rest = AdmissionRequest { limits: &limits, charge, at: AT, now, rate: RateSource::Here };
    worker.meter.admit(&rest).unwrap().commit(AT).settle_as_reserved();
    subject
}

/// Asserts that one record closes the batch, with the counts of all its requests.
fn is_closed_once(records: &[Record]) {
    let closes = records.iter().filter_map(|record| {
        let Record::CloseBatch { id, counts } = record else { return None };
        Some((*id, counts.len(), counts.iter().map(|of| of.credits.0).sum::<u64>()))
    });
    let opens = records.iter().filter_map(|record| {
        let Record::Open(opened) = record else { return None };
        Some((opened.id.0, usize::try_from(BATCH_REQUESTS_MAX).unwrap(), opened.reserved.credits.0))
    });
    assert_eq!(closes.collect::<Vec<_>>(), opens.collect::<Vec<_>>());
}

#[test]
fn a_batch_of_a_full_quota_is_closed_with_all_its_counts() {
    let mut worker = Worker::new();
    fill_quota(&worker);
    assert_eq!(worker.flush_due(), (1, 1));
    assert!(!worker.batches.are_open());
    is_closed_once(&worker.reader.next_batch(100_000).unwrap().records);
}

#[test]
fn a_large_close_that_a_full_spool_does_not_store_waits_for_room() {
    let mut worker = Worker::with_spool(512 * 1024);
    let subject = fill_quota(&worker);
    let count = |nth: usize| {
        let route = format!("{nth:0>64}").into();
        let subject = subject.clone();
        let day = AT.day();
        Counts {
            subject,
            route,
            status_class: 2,
            minute: 0,
            day,
            requests: 1,
            credits: Credits::ZERO,
            labels: access::LabelSet::NONE,
        }
    };
    let id = worker.recorder.ids.borrow_mut().next_uuid();
    let fill = Record::Counts { id, counts: (0..NAMED_COUNTS_MAX).map(count).collect() };
    while worker.recorder.spool.borrow_mut().append(&fill).is_ok() {}
    assert!(worker.batches.flush_due(&worker.recorder, &mut worker.unwritten));
    assert!(!worker.unwritten.write(&worker.recorder), "the spool has no room");
    let stored = worker.reader.next_batch(100_000).unwrap();
    assert!(!stored.records.iter().any(|record| matches!(record, Record::CloseBatch { .. })));
    worker.reader.release(&stored).unwrap();
    assert!(worker.unwritten.write(&worker.recorder));
    is_closed_once(&[stored.records, worker.reader.next_batch(100_000).unwrap().records].concat());
}

#[test]
fn closes_of_a_subject_with_the_longest_name_fit_into_the_room_of_a_close() {
    let mut worker = Worker::new();
    let subject = longest();
    let limits = limits_of(&worker.meter, &subject, 100_000);
    for nth in 0..10 {
        // The longest name of a route.
        worker.send(&subject, &limits, &format!("{nth:0>64}"));
    }
    worker.recorder.clock.advance(CLOSED_WITHIN);
    assert!(worker.batches.flush_due(&worker.recorder, &mut worker.unwritten));
    assert!(worker.unwritten.write(&worker.recorder));
    let batch = worker.reader.next_batch(100_000).unwrap();
    let ends: Vec<u32> = batch.record_positions().map(|position| position.offset).collect();
    let lengths = std::iter::zip(&ends, ends.iter().skip(1)).map(|(start, end)| end - start);
    assert!(lengths.clone().all(|bytes| bytes <= spool::CLOSE_BYTES_MAX), "{:?}", lengths.collect::<Vec<_>>());
    let counts = batch.records.iter().filter_map(|record| {
        let Record::CloseBatch { counts, .. } = record else { return None };
        Some(counts)
    });
    assert_eq!(counts.flatten().filter(|counts| counts.subject == subject).count(), 10);
}

/// Returns one request with long labels, of which one record cannot contain [`RECORD_MAX`].
fn labelled(route: &str, nth: usize) -> Counts {
    Counts {
        subject: Subject::Key(caller(1)),
        route: route.into(),
        status_class: 2,
        minute: 0,
        day: AT.day(),
        requests: 1,
        credits: Credits::ZERO,
        labels: access::LabelSet::of_text(&format!("team={nth:0>700}")),
    }
}

/// Appends up to `records` records with half of [`RECORD_MAX`] counts each. Returns how many the spool stored.
fn fill(worker: &Worker, records: usize) -> usize {
    let id = worker.recorder.ids.borrow_mut().next_uuid();
    let half = Record::Counts { id, counts: (0..RECORD_MAX / 2).map(|nth| labelled("fill", nth)).collect() };
    (0..records).take_while(|_| worker.recorder.spool.borrow_mut().append(&half).is_ok()).count()
}

#[test]
fn counts_of_a_split_record_are_stored_once_although_the_spool_is_full_after_its_first_half() {
    const SPOOL_BYTES: u64 = 512 * 1024;
    let halves = fill(&Worker::with_spool(SPOOL_BYTES), usize::MAX);
    let mut worker = Worker::with_spool(SPOOL_BYTES);
    let aggregation = Aggregation::default();
    assert_eq!(fill(&worker, halves - 1), halves - 1);
    assert!((0..RECORD_MAX).all(|nth| aggregation.add(labelled("send", nth))));
    assert!(!aggregation.flush(&worker.recorder), "the other half has no room");
    let stored = worker.reader.next_batch(100_000).unwrap();
    worker.reader.release(&stored).unwrap();
    assert!(aggregation.flush(&worker.recorder));
    let records = [stored.records, worker.reader.next_batch(100_000).unwrap().records].concat();
    let counts = records.iter().filter_map(|record| match record {
        Record::Counts { counts, .. } => Some(counts),
        Record::Open(_) | Record::Close(_) | Record::Event(_) | Record::CloseBatch { .. } => None,
    });
    let sent: Vec<usize> = counts.filter(|counts| &*counts[0].route == "send").map(Vec::len).collect();
    assert_eq!(sent, [RECORD_MAX / 2; 2]);
}
