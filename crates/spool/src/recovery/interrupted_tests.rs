use std::collections::BTreeSet;
use std::sync::Mutex;

use uuid::Uuid;

use crate::fixture::{SMALL, close_of, drain, event, files, id, open, open_of, opened, record, rest};
use crate::{Interrupted, Opening, Options, Record, Spool, segment};

fn ids(interrupted: &[Interrupted]) -> Vec<Uuid> {
    interrupted.iter().map(|one| one.opened.id.0).collect()
}

#[test]
fn what_has_no_close_is_found_and_settled_and_not_found_again() {
    let dir = tempfile::tempdir().unwrap();
    let two = Options { lanes: 2, ..SMALL };
    let mut spool = open(dir.path(), two);
    for n in 0..30 {
        for lane in 0..2 {
            spool.writers[lane as usize].append(&open_of(lane, n)).unwrap();
            if n % 3 > 0 {
                spool.writers[lane as usize].append(&close_of(lane, n)).unwrap();
            }
        }
    }
    drop(spool);
    let mut spool = open(dir.path(), two);
    let expected: Vec<_> = (0..30).step_by(3).flat_map(|n| [id(0, n), id(1, n)]).collect();
    assert_eq!(ids(&spool.interrupted), expected);
    assert!(spool.interrupted.iter().all(|one| one.opened == opened(one.opened.id.0)));
    let mut settled = Vec::new();
    spool
        .settle(|one| {
            settled.push(one.opened.id.0);
            event(one.opened.id)
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
fn every_record_that_was_not_released_is_shown_once_and_none_that_was() {
    let dir = tempfile::tempdir().unwrap();
    let three = Options { lanes: 3, ..SMALL };
    crate::fixture::written(dir.path(), three, 40);
    let mut spool = open(dir.path(), three);
    let batch = spool.reader.next_batch(50).unwrap();
    let positions: Vec<_> = batch.positions().collect();
    spool.reader.release(&batch).unwrap();
    let left = spool.reader.next_batch(1_000).unwrap().records;
    drop(spool);
    let shown = Mutex::new(Vec::new());
    let visit = |record: &Record| shown.lock().unwrap().push(record.clone());
    let opening = Opening { visit: Some(&visit), ..Opening::new(dir.path(), three, &positions) };
    drop(opening.open().unwrap());
    let shown = shown.into_inner().unwrap();
    assert_eq!((shown.len(), left.len()), (70, 70));
    for lane in 0..3 {
        let of = |records: &[Record]| -> Vec<Record> {
            records.iter().filter(|record| record.id().as_bytes()[15] == lane).cloned().collect()
        };
        assert_eq!(of(&shown), of(&left), "lane {lane}");
    }
}

#[test]
fn what_the_store_kept_is_interrupted_unless_its_close_waits_in_the_spool() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path(), SMALL);
    spool.writers[0].append(&close_of(0, 1)).unwrap();
    spool.writers[0].append(&open_of(0, 3)).unwrap();
    drop(spool);
    let carried = [opened(id(0, 1)), opened(id(0, 2)), opened(id(0, 3))];
    let mut spool = Opening { carried: &carried, ..Opening::new(dir.path(), SMALL, &[]) }.open().unwrap();
    assert_eq!(ids(&spool.interrupted), [id(0, 2), id(0, 3)]);
    assert_eq!(spool.interrupted.iter().map(|one| one.lane).collect::<Vec<_>>(), [None, Some(0)]);
    spool.settle(|one| event(one.opened.id)).unwrap();
    assert_eq!(drain(&mut spool.reader).0.len(), 4);
}

#[test]
fn an_open_in_the_ingested_part_of_a_segment_is_not_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path(), SMALL);
    spool.writers[0].append(&open_of(0, 0)).unwrap();
    spool.writers[0].append(&record(0, 1)).unwrap();
    let batch = spool.reader.next_batch(9).unwrap();
    assert!(!spool.reader.would_remove(&batch));
    let positions: Vec<_> = batch.positions().collect();
    drop(spool);
    let spool = Spool::open(dir.path(), SMALL, &positions).unwrap();
    assert_eq!(ids(&spool.interrupted), [id(0, 0)]);
}

#[test]
fn lanes_without_a_writer_close_what_they_opened_and_go() {
    let dir = tempfile::tempdir().unwrap();
    let three = Options { lanes: 3, ..SMALL };
    let mut spool = open(dir.path(), three);
    for n in 0..20 {
        (0..3).for_each(|lane| spool.writers[lane as usize].append(&open_of(lane, n)).unwrap());
    }
    drop(spool);
    let mut spool = open(dir.path(), SMALL);
    assert_eq!(spool.interrupted.len(), 60);
    spool.settle(|one| event(one.opened.id)).unwrap();
    let (read, error) = drain(&mut spool.reader);
    assert!(error.is_none());
    assert_eq!(read.len(), 120);
    assert_eq!(segment::list(dir.path()).unwrap().into_keys().collect::<Vec<_>>(), [0]);
}

#[test]
fn a_start_that_dies_while_it_settles_is_gone_on_with() {
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
fn a_torn_open_or_close_is_cut_at_every_byte() {
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
            spool.settle(|one| event(one.opened.id)).unwrap();
            drop(spool);
            assert_eq!(rest(dir.path(), SMALL, &[]), [open_of(0, 0), close_of(0, 0)], "torn at {torn_at}");
        }
    }
}
