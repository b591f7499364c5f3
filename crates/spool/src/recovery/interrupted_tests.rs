use std::collections::BTreeSet;
use std::sync::Mutex;

use uuid::Uuid;

use crate::fixture::{SMALL, close_of, drain, event, files, id, open, open_of, opened, record, rest};
use crate::records::segment;
use crate::{InterruptedRequest, Record, Spool, SpoolOpener, SpoolOptions};

fn ids(interrupted: &[InterruptedRequest]) -> Vec<Uuid> {
    interrupted.iter().map(|one| one.request.id.0).collect()
}

#[test]
fn interrupted_request_is_found_and_settled_once() {
    let dir = tempfile::tempdir().unwrap();
    let two = SpoolOptions { partitions: 2, ..SMALL };
    let mut spool = open(dir.path(), two);
    for n in 0..30 {
        for partition in 0..2 {
            spool.writers[partition as usize].append(&open_of(partition, n)).unwrap();
            if n % 3 > 0 {
                spool.writers[partition as usize].append(&close_of(partition, n)).unwrap();
            }
        }
    }
    drop(spool);
    let mut spool = open(dir.path(), two);
    let expected: Vec<_> = (0..30).step_by(3).flat_map(|n| [id(0, n), id(1, n)]).collect();
    assert_eq!(ids(&spool.interrupted), expected);
    assert!(spool.interrupted.iter().all(|one| one.request == opened(one.request.id.0)));
    let mut settled = Vec::new();
    spool
        .settle(|one| {
            settled.push(one.request.id.0);
            event(one.request.id)
        })
        .unwrap();
    assert_eq!(settled, expected);
    drop(spool);
    let mut spool = open(dir.path(), two);
    assert!(spool.interrupted.is_empty());
    let closes = drain(&mut spool.reader).0.into_iter().filter(|record| matches!(record, Record::Close(_)));
    let closes: Vec<_> = closes.map(|record| record.id()).collect();
    assert_eq!((closes.len(), closes.into_iter().collect::<BTreeSet<_>>().len()), (60, 60));
}

#[test]
fn visit_sees_each_unreleased_record_once() {
    let dir = tempfile::tempdir().unwrap();
    let three = SpoolOptions { partitions: 3, ..SMALL };
    crate::fixture::written(dir.path(), three, 40);
    let mut spool = open(dir.path(), three);
    let batch = spool.reader.next_batch(50).unwrap();
    let positions: Vec<_> = batch.positions().collect();
    spool.reader.release(&batch).unwrap();
    let left = spool.reader.next_batch(1_000).unwrap().records;
    drop(spool);
    let shown = Mutex::new(Vec::new());
    let visit = |record: &Record| shown.lock().unwrap().push(record.clone());
    let opener = SpoolOpener { visit: Some(&visit), ..SpoolOpener::new(dir.path(), three, &positions) };
    drop(opener.open().unwrap());
    let shown = shown.into_inner().unwrap();
    assert_eq!((shown.len(), left.len()), (70, 70));
    for partition in 0..3 {
        let of = |records: &[Record]| -> Vec<Record> {
            records.iter().filter(|record| record.id().as_bytes()[15] == partition).cloned().collect()
        };
        assert_eq!(of(&shown), of(&left), "partition {partition}");
    }
}

#[test]
fn stored_request_is_interrupted_unless_its_close_is_in_the_spool() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path(), SMALL);
    spool.writers[0].append(&close_of(0, 1)).unwrap();
    spool.writers[0].append(&open_of(0, 3)).unwrap();
    drop(spool);
    let stored_requests = [opened(id(0, 1)), opened(id(0, 2)), opened(id(0, 3))];
    let mut spool =
        SpoolOpener { stored_requests: &stored_requests, ..SpoolOpener::new(dir.path(), SMALL, &[]) }.open().unwrap();
    assert_eq!(ids(&spool.interrupted), [id(0, 2), id(0, 3)]);
    assert_eq!(spool.interrupted.iter().map(|one| one.partition).collect::<Vec<_>>(), [None, Some(0)]);
    spool.settle(|one| event(one.request.id)).unwrap();
    assert_eq!(drain(&mut spool.reader).0.len(), 4);
}

#[test]
fn open_in_the_ingested_part_of_a_segment_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path(), SMALL);
    spool.writers[0].append(&open_of(0, 0)).unwrap();
    spool.writers[0].append(&record(0, 1)).unwrap();
    let batch = spool.reader.next_batch(9).unwrap();
    assert!(!spool.reader.would_remove_segments(&batch));
    let positions: Vec<_> = batch.positions().collect();
    drop(spool);
    let spool = Spool::open(dir.path(), SMALL, &positions).unwrap();
    assert_eq!(ids(&spool.interrupted), [id(0, 0)]);
}

#[test]
fn partitions_without_a_writer_close_their_requests_and_are_removed() {
    let dir = tempfile::tempdir().unwrap();
    let three = SpoolOptions { partitions: 3, ..SMALL };
    let mut spool = open(dir.path(), three);
    for n in 0..20 {
        (0..3).for_each(|partition| spool.writers[partition as usize].append(&open_of(partition, n)).unwrap());
    }
    drop(spool);
    let mut spool = open(dir.path(), SMALL);
    assert_eq!(spool.interrupted.len(), 60);
    spool.settle(|one| event(one.request.id)).unwrap();
    let (read, error) = drain(&mut spool.reader);
    assert!(error.is_none());
    assert_eq!(read.len(), 120);
    assert_eq!(segment::list(dir.path()).unwrap().into_keys().collect::<Vec<_>>(), [0]);
}

#[test]
fn settling_resumes_after_a_crash_during_startup() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path(), SMALL);
    (0..6).for_each(|n| spool.writers[0].append(&open_of(0, n)).unwrap());
    drop(spool);
    let mut spool = open(dir.path(), SMALL);
    spool.writers[0].append(&close_of(0, 0)).unwrap();
    spool.writers[0].append(&close_of(0, 1)).unwrap();
    drop(spool);
    assert_eq!(ids(&open(dir.path(), SMALL).interrupted), (2..6).map(|n| id(0, n)).collect::<Vec<_>>());
}

#[test]
fn open_or_close_torn_at_any_byte_is_truncated() {
    for last in [open_of(0, 1), close_of(0, 0)] {
        let whole = tempfile::tempdir().unwrap();
        let mut spool = open(whole.path(), SMALL);
        spool.writers[0].append(&open_of(0, 0)).unwrap();
        let from = spool.writers[0].current.as_ref().unwrap().offset as usize;
        spool.writers[0].append(&last).unwrap();
        let end = spool.writers[0].current.as_ref().unwrap().offset as usize;
        drop(spool);
        let bytes = std::fs::read(&files(whole.path())[0]).unwrap();
        for torn_at in from..end {
            let dir = tempfile::tempdir().unwrap();
            let mut torn = bytes.clone();
            torn[torn_at..].fill(0);
            std::fs::write(segment::path(dir.path(), 0, 1), torn).unwrap();
            let mut spool = open(dir.path(), SMALL);
            assert_eq!(ids(&spool.interrupted), [id(0, 0)], "torn at {torn_at}");
            spool.settle(|one| event(one.request.id)).unwrap();
            drop(spool);
            assert_eq!(rest(dir.path(), SMALL, &[]), [open_of(0, 0), close_of(0, 0)], "torn at {torn_at}");
        }
    }
}
