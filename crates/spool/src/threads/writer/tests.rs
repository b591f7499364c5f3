use std::fs::OpenOptions;

use access::Clock;

use super::*;
use crate::SpoolOptions;
use crate::fixture::{SMALL, drain, files, open, open_of, record, records};

const SIX: SpoolOptions = SpoolOptions { size_bytes_max: 6 * 4096, segment_bytes: 4096, partitions: 2 };

/// Repeats a check until it succeeds: another thread creates the next segment.
fn becomes_true(mut question: impl FnMut() -> bool) -> bool {
    let clock = Clock::system();
    let began = clock.mono();
    while clock.mono().since(began).as_secs() < 20 {
        if question() {
            return true;
        }
        std::thread::yield_now();
    }
    false
}

fn fill(writer: &mut Writer, partition: u32) -> u32 {
    for n in 0.. {
        match writer.append(&record(partition, n)) {
            Ok(()) => {}
            Err(SpoolError::Full { size_bytes_max }) => {
                assert_eq!(size_bytes_max, SIX.size_bytes_max);
                return n;
            }
            Err(error) => panic!("{error}"),
        }
    }
    unreachable!("the spool is bounded")
}

#[test]
fn full_spool_is_reported_and_accepts_records_after_a_release() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path(), SIX);
    assert!(spool.writers.iter().all(Writer::has_room));
    let count = fill(&mut spool.writers[0], 0);
    assert!(!spool.writers[0].has_room());
    assert!(spool.reader.depth().unwrap().allocated_bytes <= SIX.size_bytes_max);
    assert!(files(dir.path()).len() <= 6);
    let (read, error) = drain(&mut spool.reader);
    assert!(error.is_none());
    assert_eq!(read, records(count));
    assert!(becomes_true(|| spool.writers[0].has_room()));
    spool.writers[0].append(&record(0, count)).unwrap();
    assert_eq!(drain(&mut spool.reader).0, [record(0, count)]);
}

#[test]
fn full_spool_can_be_opened_and_drained() {
    let dir = tempfile::tempdir().unwrap();
    let count = fill(&mut open(dir.path(), SIX).writers[0], 0);
    let mut spool = open(dir.path(), SpoolOptions { partitions: 3, ..SIX });
    assert!(!spool.writers[2].has_room());
    assert!(matches!(spool.writers[2].append(&record(2, 0)), Err(SpoolError::Full { .. })));
    assert_eq!(drain(&mut spool.reader).0, records(count));
    assert!(becomes_true(|| spool.writers[2].has_room()));
    spool.writers[2].append(&record(2, 0)).unwrap();
    assert_eq!(drain(&mut spool.reader).0, [record(2, 0)]);
}

#[test]
fn requests_admitted_with_room_can_be_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path(), SIX);
    let writer = &mut spool.writers[0];
    let mut n = 0;
    while writer.has_room() {
        writer.append(&record(0, n)).unwrap();
        n += 1;
    }
    // The sizes of records repeat after 400.
    let longest = (0..400).map(|n| writer.encoder.encode(&record(0, n)).unwrap()).max().unwrap();
    let reserve = SIX.segment_bytes / 2 - longest;
    let mut used = 0;
    while used < reserve {
        used += writer.encoder.encode(&record(0, n)).unwrap();
        writer.append(&record(0, n)).unwrap();
        n += 1;
    }
}

#[test]
fn next_segment_is_preallocated() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path(), SMALL);
    for n in 0..40 {
        let writer = &spool.writers[0];
        assert!(becomes_true(|| writer.has_room() && writer.partition.has_enough_preallocated(&writer.folder)));
        spool.writers[0].append(&record(0, n)).unwrap();
    }
}

#[test]
fn preallocation_keeps_up_with_open_requests() {
    let dir = tempfile::tempdir().unwrap();
    let options = SpoolOptions { size_bytes_max: 4 * 1024 * 1024, segment_bytes: 64 * 1024, partitions: 1 };
    let mut spool = open(dir.path(), options);
    let writer = &mut spool.writers[0];
    for n in 0..200 {
        assert!(becomes_true(|| writer.partition.has_enough_preallocated(&writer.folder)));
        // Even on a slow disk, a quarter of a segment's closes can still be opened.
        for more in 0..3 {
            writer.append(&open_of(0, 3 * n + more)).unwrap();
            assert!(writer.has_room(), "{} opens", writer.opens());
        }
    }
}

#[test]
fn record_larger_than_a_segment_is_refused_without_effect() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path(), SMALL);
    let Record::Event(mut event) = record(0, 0) else { panic!("an event") };
    event.route = "r".repeat(4096).into();
    assert!(matches!(spool.writers[0].append(&Record::Event(event)), Err(SpoolError::TooLarge { .. })));
    spool.writers[0].append(&record(0, 0)).unwrap();
    assert_eq!(drain(&mut spool.reader).0, records(1));
}

#[test]
fn segments_of_another_size_are_used() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path(), SMALL).writers[0].append(&record(0, 0)).unwrap();
    let larger = SpoolOptions { segment_bytes: 64 * 1024, ..SMALL };
    let mut spool = open(dir.path(), larger);
    let Record::Event(mut event) = record(0, 1) else { panic!("an event") };
    event.route = "r".repeat(8192).into();
    let large = Record::Event(event);
    spool.writers[0].append(&large).unwrap();
    assert_eq!(drain(&mut spool.reader).0, [record(0, 0), large]);
}

#[test]
fn append_overwrites_a_torn_record_after_a_full_disk() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path(), SMALL);
    let writer = &mut spool.writers[0];
    writer.append(&record(0, 0)).unwrap();
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let file = writer.current.as_mut().unwrap().segment.replace_file(full);
    let before = writer.partition.published();
    match writer.append(&record(0, 1)) {
        Err(SpoolError::Io { source, .. }) => assert_eq!(source.kind(), std::io::ErrorKind::StorageFull),
        other => panic!("{other:?}"),
    }
    assert_eq!(writer.partition.published(), before);
    let current = writer.current.as_mut().unwrap();
    drop(current.segment.replace_file(file));
    current.segment.write(&[0xee; 90], current.offset).unwrap();
    assert_eq!(spool.reader.next_batch(9).unwrap().records, records(1));
    spool.writers[0].append(&record(0, 1)).unwrap();
    assert_eq!(drain(&mut spool.reader).0, records(2));
}
