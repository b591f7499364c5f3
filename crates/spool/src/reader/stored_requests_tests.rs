use std::collections::BTreeSet;

use meter::Charge;
use uuid::Uuid;

use crate::fixture::{SMALL, close_of, id, open, open_of, opened, record};
use crate::{OpenRequest, Position, Reader, Record, Spool, SpoolOpener, SpoolOptions};

/// The state of a store: positions and open requests, committed with each batch.
#[derive(Default)]
struct Store {
    positions: Vec<Position>,
    open: BTreeSet<Uuid>,
    closed: BTreeSet<Uuid>,
}

impl Store {
    fn ingest(&mut self, reader: &mut Reader, records_max: usize) -> usize {
        let batch = reader.next_batch(records_max).unwrap();
        self.commit(reader, &batch);
        reader.release(&batch).unwrap();
        batch.records.len()
    }

    fn commit(&mut self, reader: &Reader, batch: &crate::Batch) {
        let stored_requests = reader.requests_to_store(batch);
        assert!(stored_requests.is_empty() || reader.would_remove_segments(batch));
        // A request whose close was in an earlier, longer batch is not open.
        self.open.extend(stored_requests.iter().map(|opened| opened.id.0).filter(|id| !self.closed.contains(id)));
        for record in &batch.records {
            if let Record::Close(event) = record {
                self.open.remove(&event.id.0);
                self.closed.insert(event.id.0);
            }
        }
        self.positions.extend(batch.positions());
    }

    /// Returns the requests that a start finds open.
    fn interrupted(&self, dir: &std::path::Path, options: SpoolOptions) -> BTreeSet<Uuid> {
        let stored_requests: Vec<_> = self.open.iter().map(|id| opened(*id)).collect();
        let opener =
            SpoolOpener { stored_requests: &stored_requests, ..SpoolOpener::new(dir, options, &self.positions) };
        opener.open().unwrap().interrupted.iter().map(|one| one.request.id.0).collect()
    }
}

#[test]
fn open_request_of_a_removed_segment_is_reported_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path(), SMALL);
    let writer = &mut spool.writers[0];
    writer.append(&open_of(0, 0)).unwrap();
    writer.append(&open_of(0, 1)).unwrap();
    writer.append(&close_of(0, 1)).unwrap();
    (2..60).for_each(|n| writer.append(&record(0, n)).unwrap());
    let mut told = Vec::new();
    loop {
        let batch = spool.reader.next_batch(5).unwrap();
        if batch.records.is_empty() {
            break;
        }
        let stored_requests = spool.reader.requests_to_store(&batch);
        // The call can be repeated, as after a failed transaction.
        assert_eq!(spool.reader.requests_to_store(&batch), stored_requests);
        told.extend(stored_requests);
        spool.reader.release(&batch).unwrap();
    }
    assert_eq!(told, [opened(id(0, 0))]);
    spool.writers[0].append(&close_of(0, 0)).unwrap();
    assert_eq!(spool.reader.next_batch(5).unwrap().records, [close_of(0, 0)]);
}

#[test]
fn request_closed_in_the_same_batch_is_not_reported() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path(), SMALL);
    spool.writers[0].append(&open_of(0, 0)).unwrap();
    (2..40).for_each(|n| spool.writers[0].append(&record(0, n)).unwrap());
    let batch = spool.reader.next_batch(100).unwrap();
    assert_eq!(spool.reader.requests_to_store(&batch).len(), 1);
    spool.writers[0].append(&close_of(0, 0)).unwrap();
    let longer = spool.reader.next_batch(100).unwrap();
    assert!(spool.reader.would_remove_segments(&longer) && spool.reader.requests_to_store(&longer).is_empty());
}

#[test]
fn close_read_before_its_open_in_another_partition_closes_it() {
    let dir = tempfile::tempdir().unwrap();
    let two = SpoolOptions { partitions: 2, ..SMALL };
    let mut spool = open(dir.path(), two);
    spool.writers[1].append(&open_of(1, 0)).unwrap();
    (1..60).for_each(|n| spool.writers[1].append(&record(1, n)).unwrap());
    spool.writers[0].append(&close_of(1, 0)).unwrap();
    let mut store = Store::default();
    assert_eq!(store.ingest(&mut spool.reader, 1), 1);
    assert!(store.closed.contains(&id(1, 0)));
    while store.ingest(&mut spool.reader, 7) > 0 {}
    assert_eq!(store.open, BTreeSet::new());
    drop(spool);
    assert_eq!(store.interrupted(dir.path(), two), BTreeSet::new());
}

#[test]
fn the_last_open_of_a_request_counts() {
    let dir = tempfile::tempdir().unwrap();
    let two = SpoolOptions { partitions: 2, ..SMALL };
    let mut spool = open(dir.path(), two);
    let larger = |n| OpenRequest { reserved: Charge::default(), ..opened(id(1, n)) };
    for n in [0, 1] {
        spool.writers[1].append(&open_of(1, n)).unwrap();
        spool.writers[1].append(&Record::Open(larger(n))).unwrap();
    }
    let interrupted = |stored_requests: &[OpenRequest], positions: &[Position]| {
        let opener = SpoolOpener { stored_requests, ..SpoolOpener::new(dir.path(), two, positions) };
        opener.open().unwrap().interrupted.into_iter().map(|one| one.request).collect::<Vec<_>>()
    };
    (2..60).for_each(|n| spool.writers[1].append(&record(1, n)).unwrap());
    // This close is read before both opens of its request.
    spool.writers[0].append(&close_of(1, 1)).unwrap();
    drop(spool);
    assert_eq!(interrupted(&[], &[]), [larger(0)]);
    let mut spool = open(dir.path(), two);
    let mut told = Vec::new();
    let mut positions = Vec::new();
    loop {
        let batch = spool.reader.next_batch(7).unwrap();
        if batch.records.is_empty() {
            break;
        }
        told.extend(spool.reader.requests_to_store(&batch));
        positions.extend(batch.positions());
        spool.reader.release(&batch).unwrap();
    }
    assert_eq!(told, [larger(0)]);
    drop(spool);
    assert_eq!(interrupted(&told, &positions), [larger(0)]);
}

/// Random opens and closes in two partitions, batches of all sizes, commits with an unknown result, and restarts: a
/// start finds exactly the requests that were opened and not closed.
#[test]
fn startup_finds_exactly_the_unclosed_requests() {
    let two = SpoolOptions { partitions: 2, ..SMALL };
    for seed in 0..60_u64 {
        let dir = tempfile::tempdir().unwrap();
        let mut state = seed;
        let mut random = |bound: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % bound
        };
        let mut store = Store::default();
        let mut open = BTreeSet::new();
        let mut n = 0;
        for _ in 0..4 {
            let stored_requests: Vec<_> = store.open.iter().map(|id| opened(*id)).collect();
            let opener = SpoolOpener {
                stored_requests: &stored_requests,
                ..SpoolOpener::new(dir.path(), two, &store.positions)
            };
            let mut spool: Spool = opener.open().unwrap();
            let found: BTreeSet<_> = spool.interrupted.iter().map(|one| one.request.id.0).collect();
            assert_eq!(found, open, "seed {seed}");
            for _ in 0..random(150) {
                n += 1;
                let partition = usize::try_from(random(2)).unwrap();
                let number = u32::try_from(partition).unwrap();
                match random(5) {
                    0 | 1 => {
                        spool.writers[partition].append(&open_of(number, n)).unwrap();
                        open.insert(id(number, n));
                    }
                    2 | 3 => {
                        // The close goes to the partition of its open, in whichever run that was.
                        let Some(&id) = open.iter().nth(usize::try_from(random(8)).unwrap()) else { continue };
                        let partition = usize::from(id.as_bytes()[15]);
                        let event = crate::fixture::event(access::RequestId(id));
                        spool.writers[partition].append(&Record::Close(event)).unwrap();
                        open.remove(&id);
                    }
                    _ => {
                        let batch = spool.reader.next_batch(usize::try_from(1 + random(30)).unwrap()).unwrap();
                        store.commit(&spool.reader, &batch);
                        // Otherwise the result of the commit is unknown: the next batch begins with the same records.
                        if random(3) > 0 {
                            spool.reader.release(&batch).unwrap();
                        }
                    }
                }
            }
        }
    }
}
