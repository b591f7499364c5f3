use std::fs;

use super::*;
use crate::fixture::{self, SMALL, drain, files, open, record, records, rest, written};
use crate::records::segment::{CHUNK_BYTES, HEADER_BYTES};
use crate::{Spool, SpoolOptions};

fn opener(dir: &std::path::Path, ingested: &[Position]) -> SpoolError {
    Spool::open(dir, SMALL, ingested).unwrap_err()
}

/// Reads `count` records, and releases them if asked; returns the positions after them.
fn read(dir: &std::path::Path, count: usize, release: bool) -> Vec<Position> {
    let mut spool = open(dir, SMALL);
    let batch = spool.reader.next_batch(count).unwrap();
    assert_eq!(batch.records.len(), count);
    if release {
        spool.reader.release(&batch).unwrap();
    }
    batch.positions().collect()
}

#[test]
fn record_torn_at_any_byte_is_truncated_and_overwritten() {
    let whole = tempfile::tempdir().unwrap();
    written(whole.path(), SMALL, 3);
    let bytes = fs::read(&files(whole.path())[0]).unwrap();
    let last = read(whole.path(), 2, false)[0].offset as usize;
    let end = read(whole.path(), 3, false)[0].offset as usize;
    for torn_at in last..end {
        let dir = tempfile::tempdir().unwrap();
        let file = segment::path(dir.path(), 0, 1);
        let mut torn = bytes.clone();
        torn[torn_at..].fill(0);
        fs::write(&file, &torn).unwrap();
        let mut spool = open(dir.path(), SMALL);
        let cut: Vec<_> = spool.truncated_tails.iter().map(|cut| (cut.file.clone(), cut.offset as usize)).collect();
        assert_eq!(cut, if torn_at > last { vec![(file, last)] } else { vec![] }, "torn at {torn_at}");
        assert!(fs::read(&files(dir.path())[0]).unwrap()[last..].iter().all(|&byte| byte == 0), "torn at {torn_at}");
        spool.writers[0].append(&record(0, 9)).unwrap();
        drop(spool);
        let expected = [record(0, 0), record(0, 1), record(0, 9)];
        assert_eq!(rest(dir.path(), SMALL, &[]), expected, "torn at {torn_at}");
    }
}

#[test]
fn file_truncated_at_any_byte_yields_a_prefix_and_is_restored() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), SMALL, 3);
    let file = files(dir.path()).remove(0);
    let bytes = fs::read(&file).unwrap();
    for length in (HEADER_BYTES as usize..bytes.len()).step_by(7) {
        fs::write(&file, &bytes[..length]).unwrap();
        let read = rest(dir.path(), SMALL, &[]);
        assert_eq!(read, records(3)[..read.len()], "cut at {length}");
        assert_eq!(fs::metadata(&file).unwrap().len(), u64::from(SMALL.segment_bytes));
    }
    for length in 0..HEADER_BYTES as usize {
        fs::write(&file, &bytes[..length]).unwrap();
        assert!(matches!(opener(dir.path(), &[]), SpoolError::Corrupt { offset: 0, .. }), "cut at {length}");
    }
}

/// Other segments were read into the same memory before.
#[test]
fn the_missing_end_of_the_last_segment_is_read_as_zeros() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), SMALL, 30);
    let used = files(dir.path()).into_iter().rfind(|file| fs::read(file).unwrap()[HEADER_BYTES as usize] != 0).unwrap();
    assert_ne!(used, files(dir.path())[0]);
    let bytes = fs::read(&used).unwrap();
    let end = bytes.iter().rposition(|&byte| byte != 0).unwrap() + 1;
    fs::write(&used, &bytes[..end]).unwrap();
    let spool = open(dir.path(), SMALL);
    assert_eq!((spool.skipped_damage.len(), spool.truncated_tails.len()), (0, 0));
    drop(spool);
    assert_eq!(fs::read(&used).unwrap(), bytes);
    assert_eq!(rest(dir.path(), SMALL, &[]), records(30));
}

/// The end of the last record is in a part of the segment that has only zeros.
#[test]
fn a_record_that_ends_with_zeros_is_read_wherever_they_begin() {
    const OPTIONS: SpoolOptions = SpoolOptions { size_bytes_max: 4 << 20, segment_bytes: 1 << 20, partitions: 1 };
    let record = |n: u32, text: String| {
        let mut event = fixture::event(access::RequestId(fixture::id(0, n)));
        event.refusal = Some(text.into());
        Record::Close(event)
    };
    let mut crossing = 0;
    for before in (0..3_200).step_by(193) {
        let dir = tempfile::tempdir().unwrap();
        let mut written: Vec<Record> = (0..4).map(|n| record(n, "x".repeat(64_500))).collect();
        written.extend([record(4, "x".repeat(before)), record(5, "\0".repeat(60_000))]);
        let mut spool = open(dir.path(), OPTIONS);
        written.iter().for_each(|record| spool.writers[0].append(record).unwrap());
        drop(spool);
        let bytes = fs::read(&files(dir.path())[0]).unwrap();
        let end = bytes.iter().rposition(|&byte| byte != 0).unwrap() + 1;
        crossing += usize::from(end <= CHUNK_BYTES && end + 60_000 > CHUNK_BYTES);
        let spool = open(dir.path(), OPTIONS);
        assert_eq!((spool.skipped_damage.len(), spool.truncated_tails.len()), (0, 0), "{end}");
        drop(spool);
        assert_eq!(rest(dir.path(), OPTIONS, &[]), written, "{end}");
    }
    assert!((1..17).contains(&crossing), "{crossing}");
}

#[test]
fn truncated_sealed_segment_is_whole_or_reported() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), SMALL, 30);
    let file = files(dir.path()).remove(0);
    let bytes = fs::read(&file).unwrap();
    for length in bytes.len() - 800..bytes.len() {
        fs::write(&file, &bytes[..length]).unwrap();
        match Spool::open(dir.path(), SMALL, &[]) {
            Ok(mut spool) => assert_eq!(spool.reader.next_batch(30).unwrap().records, records(30), "cut at {length}"),
            Err(error) => assert!(matches!(error, SpoolError::Corrupt { .. }), "{error}"),
        }
    }
}

#[test]
fn damage_before_the_tail_names_file_and_offset() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), SMALL, 40);
    let damaged = files(dir.path());
    let position = read(dir.path(), 2, false)[0];
    let first = fs::read(&damaged[0]).unwrap();
    let corrupt_at = |bytes: &[u8], offset: u32| {
        fs::write(&damaged[0], bytes).unwrap();
        let error = opener(dir.path(), &[]);
        assert!(
            matches!(&error, SpoolError::Corrupt { file, offset: at } if *file == damaged[0] && *at == offset),
            "{error}"
        );
    };
    let mut flipped = first.clone();
    flipped[position.offset as usize + 40] ^= 4;
    corrupt_at(&flipped, position.offset);
    let mut hole = first.clone();
    hole[position.offset as usize..][..60].fill(0);
    corrupt_at(&hole, position.offset);
    // No intact record follows in this segment, but the segment is sealed.
    let mut ends_early = first.clone();
    ends_early[position.offset as usize..].fill(0);
    corrupt_at(&ends_early, position.offset);
    let mut header = first;
    header[9] ^= 1;
    corrupt_at(&header, 0);
}

#[test]
fn damage_in_ingested_records_is_ignored() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), SMALL, 5);
    let ingested = read(dir.path(), 2, false);
    let file = files(dir.path()).remove(0);
    let mut bytes = fs::read(&file).unwrap();
    bytes[HEADER_BYTES as usize..ingested[0].offset as usize].fill(0xaa);
    fs::write(&file, bytes).unwrap();
    assert_eq!(rest(dir.path(), SMALL, &ingested), records(5)[2..]);
}

#[test]
fn ingested_segments_that_a_crash_left_are_removed() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), SMALL, 60);
    let ingested = read(dir.path(), 59, false);
    assert!(ingested[0].segment > 2 && segment::path(dir.path(), 0, 1).exists());
    assert_eq!(rest(dir.path(), SMALL, &ingested), records(60)[59..]);
    assert_eq!(segment::list(dir.path()).unwrap()[&0][0], ingested[0].segment);
}

#[test]
fn missing_middle_segment_is_reported() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), SMALL, 60);
    let missing = |number: u32, ingested: &[Position]| {
        let file = segment::path(dir.path(), 0, number);
        let bytes = fs::read(&file).unwrap();
        fs::remove_file(&file).unwrap();
        let error = opener(dir.path(), ingested);
        assert!(matches!(&error, SpoolError::Missing { file: named } if *named == file), "{error}");
        fs::write(file, bytes).unwrap();
    };
    let first = read(dir.path(), 1, false);
    missing(2, &[]);
    missing(3, &first);
}

#[test]
fn lost_folder_restarts_after_the_committed_position() {
    let dir = tempfile::tempdir().unwrap();
    let ingested = [Position { partition: 0, segment: 7, offset: 400 }];
    let mut spool = Spool::open(dir.path(), SMALL, &ingested).unwrap();
    spool.writers[0].append(&record(0, 0)).unwrap();
    let positions: Vec<_> = spool.reader.next_batch(1).unwrap().positions().collect();
    assert!(positions[0] > ingested[0]);
    drop(spool);
    // The process was killed before anything of it was ingested, so the old position misses nothing.
    assert_eq!(Spool::open(dir.path(), SMALL, &ingested).unwrap().lost_segments, []);
    assert_eq!(rest(dir.path(), SMALL, &ingested), records(1));
}

#[test]
fn position_inside_a_record_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), SMALL, 5);
    for offset in [0, HEADER_BYTES + 1, SMALL.segment_bytes + 1, u32::MAX] {
        let error = opener(dir.path(), &[Position { partition: 0, segment: 1, offset }]);
        assert!(matches!(error, SpoolError::Corrupt { .. }), "{error}");
    }
}

#[test]
fn restarts_without_traffic_use_no_space() {
    let dir = tempfile::tempdir().unwrap();
    for n in 0..20 {
        let mut spool = open(dir.path(), SMALL);
        if n < 5 {
            spool.writers[0].append(&record(0, n)).unwrap();
        }
    }
    assert!(files(dir.path()).len() <= 2);
    assert_eq!(rest(dir.path(), SMALL, &[]), records(5));
}

#[test]
fn partitions_of_a_larger_run_are_read_and_removed() {
    let dir = tempfile::tempdir().unwrap();
    let three = SpoolOptions { partitions: 3, ..SMALL };
    written(dir.path(), three, 30);
    let mut spool = open(dir.path(), SMALL);
    let (all, error) = drain(&mut spool.reader);
    assert!(error.is_none());
    for partition in 0..3 {
        let of_partition = all.iter().filter(|one| (0..30).any(|n| fixture::id(partition, n) == one.id()));
        assert!(of_partition.eq(&(0..30).map(|n| record(partition, n)).collect::<Vec<_>>()), "partition {partition}");
    }
    assert_eq!(segment::list(dir.path()).unwrap().into_keys().collect::<Vec<_>>(), [0]);
    drop(spool);
    assert_eq!(open(dir.path(), three).writers.len(), 3);
}

#[test]
fn foreign_files_are_kept_and_incomplete_segments_are_removed() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("notes.txt"), "mine").unwrap();
    fs::write(dir.path().join("0-1.spool"), "not our spelling").unwrap();
    fs::write(dir.path().join("0000-0000000001.new"), "half made").unwrap();
    drop(open(dir.path(), SMALL));
    let names: Vec<_> = files(dir.path()).iter().map(|file| file.file_name().unwrap().to_owned()).collect();
    assert!(names.contains(&"notes.txt".into()) && names.contains(&"0-1.spool".into()));
    assert!(names.contains(&"0000-0000000001.spool".into()) && !names.contains(&"0000-0000000001.new".into()));
}

#[test]
fn invalid_options_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let refusal = |options| Spool::open(dir.path(), options, &[]).unwrap_err();
    assert!(matches!(
        refusal(SpoolOptions { size_bytes_max: 8_191, ..SMALL }),
        SpoolError::TooSmall { needed_bytes: 8_192, .. }
    ));
    assert!(matches!(refusal(SpoolOptions { segment_bytes: 4_095, ..SMALL }), SpoolError::SegmentSize { .. }));
    assert!(matches!(refusal(SpoolOptions { segment_bytes: u32::MAX, ..SMALL }), SpoolError::SegmentSize { .. }));
    assert_eq!(SpoolOptions::new(1 << 30, 4).segment_bytes, crate::SEGMENT_BYTES);
    assert_eq!(SpoolOptions::new(8 << 20, 4).segment_bytes, 512 * 1024);
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(matches!(Spool::open(&file.join("spool"), SMALL, &[]).unwrap_err(), SpoolError::Io { .. }));
}

#[test]
fn store_older_than_the_first_segment_reports_lost_segments() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), SMALL, 60);
    let first = read(dir.path(), 1, false);
    let mut spool = open(dir.path(), SMALL);
    while segment::path(dir.path(), 0, 3).exists() {
        let batch = spool.reader.next_batch(1).unwrap();
        spool.reader.release(&batch).unwrap();
    }
    let kept = spool.reader.next_batch(60).unwrap().records;
    drop(spool);
    assert!(kept.len() > 20);
    let opened = |ingested: &[Position]| {
        let mut spool = Spool::open(dir.path(), SMALL, ingested).unwrap();
        assert!(spool.reader.next_batch(60).unwrap().records == kept, "{ingested:?}");
        spool.lost_segments
    };
    assert_eq!(opened(&first), [LostSegments { partition: 0, first: 1, last: 3 }]);
    assert_eq!(opened(&[]), [LostSegments { partition: 0, first: 1, last: 3 }]);
    assert_eq!(
        opened(&[Position { partition: 0, segment: 3, offset: 500 }]),
        [LostSegments { partition: 0, first: 3, last: 3 }]
    );
    assert_eq!(opened(&[Position::start_of(0, 4)]), []);
}

#[test]
fn folder_is_private_to_its_owner() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("data/spool");
    drop(open(&folder, SMALL));
    for path in [vec![folder.clone()], files(&folder)].concat() {
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{} {mode:o}", path.display());
    }
}
