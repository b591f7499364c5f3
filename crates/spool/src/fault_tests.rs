//! Fails the n-th disk call, for every n. Every acknowledged record is read exactly once, and no other record is.

use std::path::Path;

use crate::disk::simulated::SimulatedDisk;
use crate::fixture::{SMALL, close_batch_of, close_of, event, open_of, record};
use crate::{OpenRequest, Position, Record, Spool, SpoolDurability, SpoolError, SpoolOpener};

/// A spool and the state of a store.
struct Scenario<'a> {
    dir: &'a Path,
    durability: SpoolDurability,
    written: Vec<Record>,
    read: Vec<Record>,
    positions: Vec<Position>,
    stored_requests: Vec<OpenRequest>,
}

fn ok_unless_io_error<T>(done: Result<T, SpoolError>) -> Option<T> {
    match done {
        Ok(done) => Some(done),
        Err(SpoolError::Io { .. }) => None,
        Err(error) => panic!("{error}"),
    }
}

impl Scenario<'_> {
    fn try_open(&self) -> Result<Spool, SpoolError> {
        let Self { dir, durability, positions, stored_requests, .. } = self;
        SpoolOpener { durability: *durability, stored_requests, ..SpoolOpener::new(dir, SMALL, positions) }.open()
    }

    /// Tries twice, because only one call fails.
    fn open(&self) -> Spool {
        ok_unless_io_error(self.try_open()).unwrap_or_else(|| self.try_open().unwrap())
    }

    fn append(&mut self, spool: &mut Spool, record: Record) -> bool {
        let done = ok_unless_io_error(spool.writers[0].append(&record)).is_some();
        if done {
            self.written.push(record);
        }
        done
    }

    fn ingest(&mut self, spool: &mut Spool, records_max: usize) -> usize {
        // Under power durability the reader sees only synced records.
        if ok_unless_io_error(spool.reader.sync()).is_none() {
            ok_unless_io_error(spool.reader.sync()).unwrap();
        }
        let batch = spool.reader.next_batch(records_max).unwrap();
        self.stored_requests.extend(spool.reader.requests_to_store(&batch));
        for record in &batch.records {
            self.stored_requests.retain(|opened| Some(opened.id.0) != record.closes());
        }
        self.positions.extend(batch.positions());
        ok_unless_io_error(spool.reader.release(&batch));
        let count = batch.records.len();
        self.read.extend(batch.records);
        count
    }

    /// One run of a process: opens, closes and other records; some requests stay open.
    fn run(&mut self, run: u32) {
        let mut spool = self.open();
        let before = spool.interrupted.clone();
        if ok_unless_io_error(spool.settle(|one| event(one.request.id))).is_none() {
            ok_unless_io_error(spool.settle(|one| event(one.request.id))).unwrap();
        }
        self.written.extend(before.into_iter().map(|one| Record::Close(event(one.request.id))));
        for n in (run * 100)..(run * 100 + 24) {
            let next = if n % 4 == 3 { record(0, n) } else { open_of(0, n) };
            let done = self.append(&mut spool, next);
            let close = || if n % 8 == 1 { close_of(0, n) } else { close_batch_of(0, n) };
            if done && n % 4 == 1 && !self.append(&mut spool, close()) {
                assert!(self.append(&mut spool, close()), "tried again");
            }
            if n % 7 == 0 {
                self.ingest(&mut spool, 5);
            }
        }
    }
}

fn every_call(durability: SpoolDurability) {
    for n in 0.. {
        let dir = tempfile::tempdir().unwrap();
        let disk = SimulatedDisk::install();
        let written = Vec::new();
        let read = Vec::new();
        let positions = Vec::new();
        let stored_requests = Vec::new();
        let mut scenario = Scenario { dir: dir.path(), durability, written, read, positions, stored_requests };
        disk.fail(n);
        (0..3).for_each(|run| scenario.run(run));
        let failed = disk.failed();
        let mut spool = scenario.open();
        assert!(spool.interrupted.iter().all(|one| scenario.written.contains(&Record::Open(one.request.clone()))));
        while scenario.ingest(&mut spool, 9) > 0 {}
        assert_eq!(scenario.read, scenario.written, "call {n}");
        if !failed {
            assert!(n > 120, "every append is a call: {n}");
            return;
        }
    }
}

#[test]
fn no_record_is_lost_or_duplicated_when_a_disk_call_fails() {
    every_call(SpoolDurability::Process);
}

#[test]
fn no_record_is_lost_or_duplicated_when_a_disk_call_fails_with_power_durability() {
    every_call(SpoolDurability::Power);
}
