use access::{Clock, Ids, KeyBounds, KeyNo, Plan, PlanId, SubjectId, SubjectText, UserNo};
use meter::{AdmissionRequest, Caller, Limits, Meter, RateSource, SubjectTerms, Terms};
use spool::{Reader, Spool, SpoolOptions};

use super::*;

const AT: Timestamp = Timestamp(1_795_176_000_000_000);
const CREDIT: Credits = Credits(1);

struct Worker {
    meter: Meter,
    recorder: Recorder,
    reader: Reader,
    batches: PreloggedBatches,
    unwritten: UnwrittenRecords,
    _folder: tempfile::TempDir,
}

impl Worker {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = SpoolOptions::new(64 * 1024 * 1024, 1);
        let Spool { mut writers, reader, .. } = Spool::open(folder.path(), options, &[]).unwrap();
        let clock = Clock::manual(AT);
        let (spool, ids) = (RefCell::new(writers.remove(0)), RefCell::new(Ids::new(clock.clone())));
        let (batches, unwritten) = (PreloggedBatches::default(), UnwrittenRecords::default());
        let recorder = Recorder { spool, ids, clock };
        Self { meter: Meter::default(), recorder, reader, batches, unwritten, _folder: folder }
    }

    /// Sends one request of a user with a large quota, to its end.
    fn call(&self, user: i64) {
        let caller = Caller { user: UserNo(user), key: KeyNo(user), plan: PlanId::NIL };
        let plan = Plan { credits_per_day: Some(Credits(100_000)), ..Plan::unlimited("large") };
        let limits = self.meter.limits(&Terms { caller, plan: &plan, bounds: &KeyBounds::default(), budgets: &[] });
        self.send(&Subject::Key(caller), &limits, "all");
    }

    /// Sends one request of a subject with these limits, to its end.
    fn send(&self, subject: &Subject, limits: &Arc<Limits>, route: &str) {
        let now = self.recorder.clock.mono();
        let (charge, rate) = (Some(Charge::credits(CREDIT)), RateSource::Here);
        let reservation = self.meter.admit(&AdmissionRequest { limits, charge, at: AT, now, rate }).unwrap();
        let (route, day) = (&Arc::from(route), AT.day());
        let ask =
            PrelogRequest { subject, day, route, started_at: AT, credits: CREDIT, reservation: &reservation, now };
        let part = self.batches.take(&self.recorder, ask).unwrap();
        let (subject, route) = (subject.clone(), route.clone());
        part.count(Counts { subject, route, status_class: 2, minute: 0, day, requests: 1, credits: CREDIT });
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
    assert_eq!(closed, [LOOKED_AT, 2 * LOOKED_AT, 3 * LOOKED_AT, KEYS]);
}

#[test]
fn closes_of_a_subject_with_the_longest_name_fit_into_the_room_of_a_close() {
    let mut worker = Worker::new();
    let subject = Subject::Token {
        issuer: SubjectText::parse(&"i".repeat(512)).unwrap(),
        sub: SubjectText::parse(&"s".repeat(255)).unwrap(),
    };
    let plan = Plan { credits_per_day: Some(Credits(100_000)), ..Plan::unlimited("large") };
    let terms = SubjectTerms { subject: SubjectId::of(&subject).unwrap(), plan: &plan, counts_month: false };
    let limits = worker.meter.limits_of_subject(&terms).unwrap();
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
