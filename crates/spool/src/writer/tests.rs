use std::fs::OpenOptions;

use access::Clock;

use super::*;
use crate::Options;
use crate::fixture::{SMALL, drain, files, open, open_of, record, records};

const SIX: Options = Options { size_bytes_max: 6 * 4096, segment_bytes: 4096, lanes: 2 };

/// Asks until the answer is yes: the next segment is made on another thread.
fn comes_true(mut question: impl FnMut() -> bool) -> bool {
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

fn fill(writer: &mut Writer, lane: u32) -> u32 {
    for n in 0.. {
        match writer.append(&record(lane, n)) {
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
fn a_full_spool_says_so_and_goes_on_when_room_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path(), SIX);
    assert!(spool.writers.iter().all(Writer::room));
    let count = fill(&mut spool.writers[0], 0);
    assert!(!spool.writers[0].room());
    assert!(spool.reader.depth().unwrap().allocated_bytes <= SIX.size_bytes_max);
    assert!(files(dir.path()).len() <= 6);
    let (read, error) = drain(&mut spool.reader);
    assert!(error.is_none());
    assert_eq!(read, records(count));
    assert!(comes_true(|| spool.writers[0].room()));
    spool.writers[0].append(&record(0, count)).unwrap();
    assert_eq!(drain(&mut spool.reader).0, [record(0, count)]);
}

#[test]
fn a_spool_left_full_is_opened_without_room_and_drained() {
    let dir = tempfile::tempdir().unwrap();
    let count = fill(&mut open(dir.path(), SIX).writers[0], 0);
    let mut spool = open(dir.path(), Options { lanes: 3, ..SIX });
    assert!(!spool.writers[2].room());
    assert!(matches!(spool.writers[2].append(&record(2, 0)), Err(SpoolError::Full { .. })));
    assert_eq!(drain(&mut spool.reader).0, records(count));
    assert!(comes_true(|| spool.writers[2].room()));
    spool.writers[2].append(&record(2, 0)).unwrap();
    assert_eq!(drain(&mut spool.reader).0, [record(2, 0)]);
}

#[test]
fn what_was_admitted_while_there_was_room_can_be_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path(), SIX);
    let writer = &mut spool.writers[0];
    let mut n = 0;
    while writer.room() {
        writer.append(&record(0, n)).unwrap();
        n += 1;
    }
    // The names of records repeat after 400.
    let longest = (0..400).map(|n| writer.encoder.put(&record(0, n)).unwrap()).max().unwrap();
    let reserve = SIX.segment_bytes / 2 - longest;
    let mut used = 0;
    while used < reserve {
        used += writer.encoder.put(&record(0, n)).unwrap();
        writer.append(&record(0, n)).unwrap();
        n += 1;
    }
}

#[test]
fn the_next_segment_is_made_ahead() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path(), SMALL);
    for n in 0..40 {
        let writer = &spool.writers[0];
        assert!(comes_true(|| writer.room() && writer.lane.has_enough_ahead(&writer.folder)));
        spool.writers[0].append(&record(0, n)).unwrap();
    }
}

#[test]
fn more_is_made_before_there_is_no_room_for_more_opens() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { size_bytes_max: 4 * 1024 * 1024, segment_bytes: 64 * 1024, lanes: 1 };
    let mut spool = open(dir.path(), options);
    let writer = &mut spool.writers[0];
    for n in 0..200 {
        assert!(comes_true(|| writer.lane.has_enough_ahead(&writer.folder)));
        // However slow the disk is from here on, a quarter of a segment's closes can be opened.
        for more in 0..3 {
            writer.append(&open_of(0, 3 * n + more)).unwrap();
            assert!(writer.room(), "{} opens", writer.opens());
        }
    }
}

#[test]
fn a_record_larger_than_a_segment_is_refused_and_harms_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path(), SMALL);
    let Record::Event(mut event) = record(0, 0) else { panic!("an event") };
    event.route = "r".repeat(4096).into();
    assert!(matches!(spool.writers[0].append(&Record::Event(event)), Err(SpoolError::TooLarge { .. })));
    spool.writers[0].append(&record(0, 0)).unwrap();
    assert_eq!(drain(&mut spool.reader).0, records(1));
}

#[test]
fn segments_of_another_size_are_used_up() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path(), SMALL).writers[0].append(&record(0, 0)).unwrap();
    let larger = Options { segment_bytes: 64 * 1024, ..SMALL };
    let mut spool = open(dir.path(), larger);
    let Record::Event(mut event) = record(0, 1) else { panic!("an event") };
    event.route = "r".repeat(8192).into();
    let large = Record::Event(event);
    spool.writers[0].append(&large).unwrap();
    assert_eq!(drain(&mut spool.reader).0, [record(0, 0), large]);
}

#[test]
fn a_full_disk_is_an_error_and_the_next_append_writes_over_what_was_torn() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path(), SMALL);
    let writer = &mut spool.writers[0];
    writer.append(&record(0, 0)).unwrap();
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let file = writer.current.as_mut().unwrap().segment.replace_file(full);
    let before = writer.lane.published();
    match writer.append(&record(0, 1)) {
        Err(SpoolError::Io { source, .. }) => assert_eq!(source.kind(), std::io::ErrorKind::StorageFull),
        other => panic!("{other:?}"),
    }
    assert_eq!(writer.lane.published(), before);
    let current = writer.current.as_mut().unwrap();
    drop(current.segment.replace_file(file));
    current.segment.write(&[0xee; 90], current.offset).unwrap();
    assert_eq!(spool.reader.next_batch(9).unwrap().records, records(1));
    spool.writers[0].append(&record(0, 1)).unwrap();
    assert_eq!(drain(&mut spool.reader).0, records(2));
}
