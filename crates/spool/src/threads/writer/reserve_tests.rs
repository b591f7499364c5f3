//! The close of an open request always has room.

use crate::disk::simulated::SimulatedDisk;
use crate::fixture::{close_of, close_of_bytes, drain, open, open_of, record};
use crate::{CLOSE_BYTES_MAX, Record, Spool, SpoolError, SpoolOpener, SpoolOptions};

/// Three segments of four closes each.
const TIGHT: SpoolOptions = SpoolOptions { size_bytes_max: 3 * 20 * 1024, segment_bytes: 20 * 1024, partitions: 1 };

fn is_full(error: &SpoolError) -> bool {
    if let SpoolError::Io { source, .. } = error {
        return source.kind() == std::io::ErrorKind::StorageFull;
    }
    matches!(error, SpoolError::Full { .. })
}

/// Appends `next` until the spool is full; returns the number of appended records.
fn fill(spool: &mut Spool, mut next: impl FnMut(u32) -> Record) -> u32 {
    for n in 0.. {
        if let Err(error) = spool.writers[0].append(&next(n)) {
            assert!(is_full(&error), "{error}");
            return n;
        }
    }
    unreachable!("the spool is bounded")
}

#[test]
fn open_is_refused_without_room_for_its_close() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path(), TIGHT);
    let opens = fill(&mut spool, |n| open_of(0, n));
    // Three segments hold four of the largest closes each, less the room of the opens.
    assert!((11..=12).contains(&opens), "{opens}");
    assert!(!spool.writers[0].has_room());
    for n in 0..opens {
        spool.writers[0].append(&close_of_bytes(0, n, CLOSE_BYTES_MAX)).unwrap();
    }
    assert_eq!(spool.writers[0].opens(), 0);
    let (read, error) = drain(&mut spool.reader);
    assert!(error.is_none());
    assert_eq!(read.len(), 2 * opens as usize);
    assert!(spool.writers[0].append(&open_of(0, 900)).is_ok());
}

#[test]
fn other_records_do_not_use_room_reserved_for_closes() {
    let dir = tempfile::tempdir().unwrap();
    for opens in 1..9 {
        let dir = dir.path().join(opens.to_string());
        let mut spool = open(&dir, TIGHT);
        (0..opens).for_each(|n| spool.writers[0].append(&open_of(0, n)).unwrap());
        let others = fill(&mut spool, |n| record(0, 100 + n));
        assert!(others > 0 && !spool.writers[0].has_room());
        (0..opens).for_each(|n| spool.writers[0].append(&close_of_bytes(0, n, CLOSE_BYTES_MAX - n)).unwrap());
        let (read, error) = drain(&mut spool.reader);
        assert!(error.is_none());
        assert_eq!(read.len(), (2 * opens + others) as usize);
    }
}

/// The disk fills up at each allocation: in every order of opens, closes and other records, each accepted request can
/// be closed.
#[test]
fn every_open_request_can_be_closed_on_a_full_disk() {
    let mut n = 0;
    loop {
        let dir = tempfile::tempdir().unwrap();
        let disk = SimulatedDisk::install();
        disk.fill(n);
        let options = SpoolOptions { size_bytes_max: 40 * 20 * 1024, ..TIGHT };
        let mut spool = match Spool::open(dir.path(), options, &[]) {
            Ok(spool) => spool,
            Err(error) => {
                assert!(is_full(&error), "{error}");
                n += 1;
                continue;
            }
        };
        let mut open = Vec::new();
        let mut written = 0;
        for step in 0..120 {
            let next = if step % 3 == 2 { record(0, 1_000 + step) } else { open_of(0, step) };
            match spool.writers[0].append(&next) {
                Ok(()) => {
                    written += 1;
                    open.extend((step % 3 != 2).then_some(step));
                }
                Err(error) => assert!(is_full(&error), "{error}"),
            }
            if step % 4 == 3 && !open.is_empty() {
                let closed = open.remove(0);
                spool.writers[0].append(&close_of_bytes(0, closed, CLOSE_BYTES_MAX - step)).unwrap();
                written += 1;
            }
        }
        for (step, closed) in (0..).zip(open) {
            let close = if step % 2 == 0 { close_of_bytes(0, closed, CLOSE_BYTES_MAX) } else { close_of(0, closed) };
            spool.writers[0].append(&close).unwrap();
            written += 1;
        }
        let was_full = disk.is_full();
        disk.free_space();
        let (read, error) = drain(&mut spool.reader);
        assert!(error.is_none());
        assert_eq!(read.len(), written, "allocation {n}");
        if !was_full {
            assert!(n > 10, "{n}");
            return;
        }
        n += 1;
    }
}

#[test]
fn long_close_is_shortened_only_without_room() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path(), TIGHT);
    spool.writers[0].append(&open_of(0, 0)).unwrap();
    let long = close_of_bytes(0, 0, 3 * CLOSE_BYTES_MAX);
    spool.writers[0].append(&long).unwrap();
    assert_eq!(drain(&mut spool.reader).0[1], long);
    let opens = fill(&mut spool, |n| open_of(0, 1 + n));
    for n in 0..opens {
        spool.writers[0].append(&close_of_bytes(0, 1 + n, 3 * CLOSE_BYTES_MAX)).unwrap();
    }
    let read = drain(&mut spool.reader).0;
    let closes: Vec<_> = read.into_iter().filter(|record| matches!(record, Record::Close(_))).collect();
    assert_eq!(closes.len(), opens as usize);
    let Some(Record::Close(last)) = closes.last() else { panic!("a close") };
    let Record::Close(whole) = close_of(0, opens) else { panic!("a close") };
    assert!(last.route.len() <= 256 && last.attempts == whole.attempts);
    // The close is too long for any segment, and its request was not opened here; it is shortened nevertheless.
    spool.writers[0].append(&close_of_bytes(0, 999, 18 * 1024)).unwrap();
    let endless = close_of(0, 998);
    let Record::Close(mut event) = endless else { panic!("a close") };
    event.route = "r".repeat(200_000).into();
    spool.writers[0].append(&Record::Close(event)).unwrap();
}

#[test]
fn interrupted_requests_can_be_closed_after_a_restart_on_a_full_disk() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path(), TIGHT);
    let opens = fill(&mut spool, |n| open_of(0, n));
    drop(spool);
    SimulatedDisk::install().fill(0);
    let mut spool = SpoolOpener::new(dir.path(), TIGHT, &[]).open().unwrap();
    assert_eq!(spool.interrupted.len(), opens as usize);
    let Record::Close(longest) = close_of_bytes(0, 0, CLOSE_BYTES_MAX) else { panic!("a close") };
    spool.settle(|one| meter::UsageEvent { id: one.request.id, ..longest.clone() }).unwrap();
    assert!(spool.interrupted.is_empty());
    drop(spool);
    assert!(open(dir.path(), TIGHT).interrupted.is_empty());
}
