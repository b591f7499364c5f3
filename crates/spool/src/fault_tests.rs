//! The n-th call to the disk fails, for every n: what was reported written is read once, and nothing else.

use std::path::Path;

use crate::disk::simulated::Disk;
use crate::fixture::{SMALL, close_of, counted_of, event, open_of, record};
use crate::{Durability, Opened, Opening, Position, Record, Spool, SpoolError};

/// A spool and what a store has of it.
struct Scenario<'a> {
    dir: &'a Path,
    durability: Durability,
    written: Vec<Record>,
    read: Vec<Record>,
    positions: Vec<Position>,
    carried: Vec<Opened>,
}

fn of_the_disk<T>(done: Result<T, SpoolError>) -> Option<T> {
    match done {
        Ok(done) => Some(done),
        Err(SpoolError::Io { .. }) => None,
        Err(error) => panic!("{error}"),
    }
}

impl Scenario<'_> {
    fn try_open(&self) -> Result<Spool, SpoolError> {
        let Self { dir, durability, positions, carried, .. } = self;
        Opening { durability: *durability, carried, ..Opening::new(dir, SMALL, positions) }.open()
    }

    /// Tried again once: one call fails, not two.
    fn open(&self) -> Spool {
        of_the_disk(self.try_open()).unwrap_or_else(|| self.try_open().unwrap())
    }

    fn append(&mut self, spool: &mut Spool, record: Record) -> bool {
        let done = of_the_disk(spool.writers[0].append(&record)).is_some();
        if done {
            self.written.push(record);
        }
        done
    }

    fn ingest(&mut self, spool: &mut Spool, records_max: usize) -> usize {
        // Under power the reader waits for the disk.
        if of_the_disk(spool.reader.sync()).is_none() {
            of_the_disk(spool.reader.sync()).unwrap();
        }
        let batch = spool.reader.next_batch(records_max).unwrap();
        self.carried.extend(spool.reader.carried(&batch));
        for record in &batch.records {
            self.carried.retain(|opened| Some(opened.id.0) != record.closes());
        }
        self.positions.extend(batch.positions());
        of_the_disk(spool.reader.release(&batch));
        let count = batch.records.len();
        self.read.extend(batch.records);
        count
    }

    /// A run: opens, closes, others; some are left open.
    fn run(&mut self, run: u32) {
        let mut spool = self.open();
        let before = spool.interrupted.clone();
        if of_the_disk(spool.settle(|one| event(one.opened.id))).is_none() {
            of_the_disk(spool.settle(|one| event(one.opened.id))).unwrap();
        }
        self.written.extend(before.into_iter().map(|one| Record::Close(event(one.opened.id))));
        for n in (run * 100)..(run * 100 + 24) {
            let next = if n % 4 == 3 { record(0, n) } else { open_of(0, n) };
            let done = self.append(&mut spool, next);
            let close = || if n % 8 == 1 { close_of(0, n) } else { counted_of(0, n) };
            if done && n % 4 == 1 && !self.append(&mut spool, close()) {
                assert!(self.append(&mut spool, close()), "tried again");
            }
            if n % 7 == 0 {
                self.ingest(&mut spool, 5);
            }
        }
    }
}

fn every_call(durability: Durability) {
    for n in 0.. {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::put_in();
        let (written, read) = (Vec::new(), Vec::new());
        let (positions, carried) = (Vec::new(), Vec::new());
        let mut scenario = Scenario { dir: dir.path(), durability, written, read, positions, carried };
        disk.fail(n);
        (0..3).for_each(|run| scenario.run(run));
        let failed = disk.failed();
        let mut spool = scenario.open();
        assert!(spool.interrupted.iter().all(|one| scenario.written.contains(&Record::Open(one.opened.clone()))));
        while scenario.ingest(&mut spool, 9) > 0 {}
        assert_eq!(scenario.read, scenario.written, "call {n}");
        if !failed {
            assert!(n > 120, "every append is a call: {n}");
            return;
        }
    }
}

#[test]
fn whichever_call_fails_nothing_is_lost_or_doubled() {
    every_call(Durability::Process);
}

#[test]
fn whichever_call_fails_nothing_is_lost_or_doubled_where_the_disk_is_waited_for() {
    every_call(Durability::Power);
}
