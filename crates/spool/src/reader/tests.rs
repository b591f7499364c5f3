use std::thread;

use access::RequestId;

use super::*;
use crate::fixture::{SMALL, drain, event, files, id, open, opened, record, records, written};
use crate::{Spool, SpoolError, SpoolOptions};

#[test]
fn unreleased_batch_is_returned_again() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), SMALL, 60);
    let mut reader = open(dir.path(), SMALL).reader;
    let first = reader.next_batch(30).unwrap();
    let longer = reader.next_batch(40).unwrap();
    assert_eq!((first.records.as_slice(), longer.records.as_slice()), (&records(30)[..], &records(40)[..]));
    reader.release(&longer).unwrap();
    // Releasing an older batch, or the same batch twice, has no effect.
    reader.release(&first).unwrap();
    reader.release(&longer).unwrap();
    assert_eq!(reader.depth().unwrap().records, 20);
    assert_eq!(reader.next_batch(100).unwrap().records, records(60)[40..]);
}

#[test]
fn fully_released_segment_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), SMALL, 60);
    let mut reader = open(dir.path(), SMALL).reader;
    assert!(reader.depth().unwrap().allocated_bytes >= 4 * u64::from(SMALL.segment_bytes));
    let mut last = 0;
    let mut removed = 0;
    loop {
        let batch = reader.next_batch(1).unwrap();
        let Some(position) = batch.positions().next() else { break };
        assert!(segment::path(dir.path(), 0, last.max(1)).exists());
        assert_eq!(reader.would_remove_segments(&batch), position.segment > last.max(1));
        reader.release(&batch).unwrap();
        (removed, last) = (position.segment - 1, position.segment);
        assert!((1..=removed).all(|number| !segment::path(dir.path(), 0, number).exists()));
    }
    assert!(removed > 2);
    // The segment that is written and the preallocated one.
    assert!(reader.depth().unwrap().allocated_bytes <= 2 * u64::from(SMALL.segment_bytes));
    assert!(files(dir.path()).len() <= 2);
}

#[test]
fn record_positions_end_at_the_position_of_the_batch() {
    let dir = tempfile::tempdir().unwrap();
    let two = SpoolOptions { partitions: 2, ..SMALL };
    written(dir.path(), two, 30);
    let batch = open(dir.path(), two).reader.next_batch(45).unwrap();
    let places: Vec<_> = batch.record_positions().collect();
    assert_eq!(places.len(), 45);
    assert!(places.is_sorted());
    for (partition, count) in [(0, 30), (1, 15)] {
        let of_partition: Vec<_> = places.iter().copied().filter(|place| place.partition == partition).collect();
        let end = batch.positions().find(|position| position.partition == partition).unwrap();
        assert_eq!(of_partition.len(), count);
        assert!(of_partition.iter().all(|place| *place <= end));
        // Opened at the position after its tenth record, the partition continues with the eleventh.
        let rest = Spool::open(dir.path(), two, &[of_partition[9]]).unwrap().reader.next_batch(90).unwrap().records;
        let next = rest.iter().find(|record| record.id().as_bytes()[15] == u8::try_from(partition).unwrap());
        assert_eq!(next, Some(&record(partition, 10)));
    }
}

#[test]
fn depth_reports_unreleased_records_and_the_oldest_time() {
    let dir = tempfile::tempdir().unwrap();
    let two = SpoolOptions { partitions: 2, ..SMALL };
    let mut spool = open(dir.path(), two);
    assert_eq!((spool.reader.depth().unwrap().records, spool.reader.is_idle()), (0, true));
    // Requests begin at the same time and end later by a time that depends on partition and number.
    let ended = |partition: u32, n: u32| Timestamp(1_000_000 + 500 * u64::from(n) + u64::from(partition));
    let ending = |partition, n| {
        let mut event = event(RequestId(id(partition, n)));
        (event.started_at, event.duration_us) = (Timestamp(1_000_000), ended(partition, n).0 - 1_000_000);
        Record::Event(event)
    };
    for n in 0..30 {
        spool.writers[1].append(&ending(1, n + 5)).unwrap();
        spool.writers[0].append(&ending(0, n + 50)).unwrap();
    }
    let depth = spool.reader.depth().unwrap();
    assert_eq!((depth.records, depth.oldest, spool.reader.is_idle()), (60, Some(ended(1, 5)), false));
    drop(spool);
    let mut reader = open(dir.path(), two).reader;
    assert_eq!((reader.depth().unwrap().records, reader.depth().unwrap().bytes), (60, depth.bytes));
    // The first batch is partition 0's, the second partition 1's, whose records are older.
    for (records, oldest) in [(55, ended(1, 5)), (50, ended(1, 10))] {
        let batch = reader.next_batch(5).unwrap();
        reader.release(&batch).unwrap();
        let depth = reader.depth().unwrap();
        assert_eq!((depth.records, depth.oldest), (records, Some(oldest)));
    }
    drain(&mut reader);
    let left = reader.depth().unwrap();
    assert_eq!((left.records, left.bytes, left.oldest, reader.is_idle()), (0, 0, None, true));
    // An open has the request's start, counts have the timestamp of their id.
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path(), SMALL);
    spool.writers[0].append(&record(0, 4)).unwrap();
    assert_eq!(spool.reader.depth().unwrap().oldest, Some(Timestamp(1_000_004_000)));
    spool.reader.next_batch(1).and_then(|batch| spool.reader.release(&batch)).unwrap();
    spool.writers[0].append(&Record::Open(opened(id(0, 9)))).unwrap();
    assert_eq!(spool.reader.depth().unwrap().oldest, Some(opened(id(0, 9)).started_at));
}

#[test]
fn busy_partition_does_not_starve_others() {
    let dir = tempfile::tempdir().unwrap();
    let two = SpoolOptions { partitions: 2, ..SMALL };
    let mut spool = open(dir.path(), two);
    (0..50).for_each(|n| spool.writers[0].append(&record(0, n)).unwrap());
    spool.writers[1].append(&record(1, 0)).unwrap();
    let mut read = Vec::new();
    for _ in 0..2 {
        let batch = spool.reader.next_batch(5).unwrap();
        spool.reader.release(&batch).unwrap();
        read.extend(batch.records);
    }
    assert!(read.contains(&record(1, 0)));
}

#[test]
fn runtime_damage_is_reported_after_all_readable_records() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path(), SpoolOptions { partitions: 2, ..SMALL });
    (0..3).for_each(|n| spool.writers[0].append(&record(0, n)).unwrap());
    (0..9).for_each(|n| spool.writers[1].append(&record(1, n)).unwrap());
    let position = spool.reader.next_batch(2).unwrap().positions().next().unwrap();
    let file = segment::path(dir.path(), 0, 1);
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[position.offset as usize + 30] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let (read, error) = drain(&mut spool.reader);
    assert_eq!(read.len(), 2 + 9);
    match error {
        Some(SpoolError::Corrupt { file: named, offset }) => assert_eq!((named, offset), (file, position.offset)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn concurrent_reader_sees_each_record_once_and_in_order() {
    const RECORDS: u32 = 4_000;
    let dir = tempfile::tempdir().unwrap();
    let options = SpoolOptions { size_bytes_max: 12 * 8192, segment_bytes: 8192, partitions: 3 };
    let spool = open(dir.path(), options);
    let mut reader = spool.reader;
    let mut read = Vec::new();
    let mut full = 0_u32;
    thread::scope(|scope| {
        let writing: Vec<_> = (0..)
            .zip(spool.writers)
            .map(|(partition, mut writer)| {
                scope.spawn(move || {
                    let mut n = 0;
                    let mut full = 0;
                    while n < RECORDS {
                        match writer.append(&record(partition, n)) {
                            Ok(()) => n += 1,
                            Err(SpoolError::Full { .. }) => {
                                full += 1;
                                thread::yield_now();
                            }
                            Err(error) => panic!("{error}"),
                        }
                    }
                    full
                })
            })
            .collect();
        while read.len() < 3 * RECORDS as usize {
            let batch = reader.next_batch(100).unwrap();
            reader.release(&batch).unwrap();
            read.extend(batch.records);
        }
        full = writing.into_iter().map(|thread| thread.join().unwrap()).sum();
    });
    assert!(full > 0, "the writers never filled the spool");
    for partition in 0..3 {
        let ids = read.iter().map(Record::id).filter(|read| read.as_bytes()[15] == partition);
        assert!(ids.eq((0..RECORDS).map(|n| id(partition.into(), n))), "partition {partition}");
    }
    assert_eq!(reader.depth().unwrap().records, 0);
}
