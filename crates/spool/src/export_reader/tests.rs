use std::path::Path;

use super::*;
use crate::fixture::{SMALL, files, record, records};
use crate::retained::RetainedSegments;
use crate::{ExportOptions, Position, Spool, SpoolOpener, SpoolOptions};

/// The folders of a spool and of its export.
struct Folders {
    spool: tempfile::TempDir,
    export: tempfile::TempDir,
}

const ROOMY: u64 = 1024 * 1024;

impl Folders {
    fn new() -> Self {
        Self { spool: tempfile::tempdir().unwrap(), export: tempfile::tempdir().unwrap() }
    }

    fn open(&self, ingested: &[Position], size_bytes_max: u64) -> (Spool, ExportReader) {
        self.open_with(SMALL, ingested, size_bytes_max)
    }

    fn open_with(&self, options: SpoolOptions, ingested: &[Position], size_bytes_max: u64) -> (Spool, ExportReader) {
        let export = ExportOptions { dir: self.export.path(), size_bytes_max };
        let opener = SpoolOpener { export: Some(export), ..SpoolOpener::new(self.spool.path(), options, ingested) };
        let mut spool = opener.open().unwrap();
        let export = spool.export.take().unwrap();
        (spool, export)
    }
}

/// The rows of the records from `from` until `until` of partition 0.
fn rows(from: u32, until: u32) -> u64 {
    (from..until).map(|n| if n % 5 == 4 { u64::from(n % 7) } else { 1 }).sum()
}

fn append(spool: &mut Spool, numbers: std::ops::Range<u32>) {
    for n in numbers {
        spool.writers[0].append(&record(0, n)).unwrap();
    }
}

fn ingest(spool: &mut Spool) -> Vec<Position> {
    let mut positions = Vec::new();
    loop {
        let batch = spool.reader.next_batch(7).unwrap();
        if batch.records.is_empty() {
            return positions;
        }
        positions.extend(batch.positions());
        spool.reader.release(&batch).unwrap();
    }
}

/// Exports everything in batches of a few rows.
fn export(reader: &mut ExportReader) -> Vec<Record> {
    let mut exported = Vec::new();
    loop {
        let mut batch = reader.next_batch(5).unwrap();
        if batch.is_nothing() {
            return exported;
        }
        reader.confirm(&batch).unwrap();
        exported.append(&mut batch.records);
    }
}

/// Records without rows are not exported.
fn with_rows(all: Vec<Record>) -> Vec<Record> {
    let has_rows = |record: &Record| !matches!(record, Record::Counts { counts, .. } if counts.is_empty());
    all.into_iter().filter(has_rows).collect()
}

fn segments(dir: &Path) -> usize {
    files(dir).iter().filter(|file| file.extension().is_some_and(|extension| extension == "spool")).count()
}

#[test]
fn records_are_exported_before_and_after_ingest_each_once() {
    let folders = Folders::new();
    let (mut spool, mut reader) = folders.open(&[], ROOMY);
    append(&mut spool, 0..20);
    let mut exported = export(&mut reader);
    append(&mut spool, 20..70);
    ingest(&mut spool);
    assert!(segments(folders.export.path()) > 1, "ingested segments wait for the export");
    append(&mut spool, 70..90);
    exported.append(&mut export(&mut reader));
    assert_eq!(exported, with_rows(records(90)));
    assert_eq!(segments(folders.export.path()), 0);
    assert_eq!(reader.counter().totals(), crate::ExportTotals::default());
    // An export that keeps up leaves nothing to move.
    append(&mut spool, 90..150);
    assert_eq!(export(&mut reader).len(), with_rows(records(150)).len() - exported.len());
    ingest(&mut spool);
    assert_eq!(segments(folders.export.path()), 0);
}

#[test]
fn a_start_continues_after_the_last_confirmed_batch() {
    let folders = Folders::new();
    let (mut spool, mut reader) = folders.open(&[], ROOMY);
    append(&mut spool, 0..60);
    let first = reader.next_batch(20).unwrap();
    reader.confirm(&first).unwrap();
    let second = reader.next_batch(20).unwrap();
    let ingested = ingest(&mut spool);
    drop((spool, reader));
    let (mut spool, mut reader) = folders.open(&ingested, ROOMY);
    append(&mut spool, 60..80);
    let again = export(&mut reader);
    assert_eq!(again[..second.records.len()], second.records, "a batch that was not confirmed is read again");
    assert_eq!([first.records, again].concat(), with_rows(records(80)));
}

#[test]
fn the_folder_stays_within_its_maximum_and_each_missing_row_is_counted() {
    let folders = Folders::new();
    let size_bytes_max = 4 * u64::from(SMALL.segment_bytes);
    let (mut spool, mut reader) = folders.open(&[], size_bytes_max);
    let in_flight = {
        append(&mut spool, 0..10);
        reader.next_batch(3).unwrap()
    };
    for from in (10..400).step_by(10) {
        append(&mut spool, from..from + 10);
        ingest(&mut spool);
        assert!(reader.counter().totals().retained_bytes <= size_bytes_max);
        assert!(segments(folders.export.path()) <= 4);
    }
    assert!(reader.is_abandoned(&in_flight), "its segment was removed");
    reader.skip(&in_flight).unwrap();
    let exported = export(&mut reader);
    let all = with_rows(records(400));
    assert_eq!(exported, all[all.len() - exported.len()..], "the newest records remain");
    let exported: u64 = exported.iter().map(rows_in).sum();
    assert!(exported > 0 && exported < rows(0, 400));
    assert_eq!(reader.counter().totals().skipped_rows, rows(0, 400) - exported);
    assert_eq!(reader.counter().totals().retained_bytes, 0);
}

/// On a disk that refuses changes, each batch of ingest tries to remove the segment again.
#[test]
fn a_segment_that_is_neither_moved_nor_removed_is_counted_once() {
    let folders = Folders::new();
    let (mut spool, _) = folders.open(&[], ROOMY);
    append(&mut spool, 0..100);
    let retained = RetainedSegments::open(ExportOptions { dir: folders.export.path(), size_bytes_max: 0 }).unwrap();
    let skipped: Vec<u64> = [1, 1, 2, 2]
        .map(|number| {
            assert!(!retained.retain(folders.spool.path(), 0, number));
            retained.totals().skipped_rows
        })
        .into();
    assert!(
        skipped[0] > 0 && skipped[0] == skipped[1] && skipped[1] < skipped[2] && skipped[2] == skipped[3],
        "{skipped:?}"
    );
}

fn rows_in(record: &Record) -> u64 {
    match record {
        Record::Counts { counts, .. } => counts.len() as u64,
        Record::Open(_) | Record::Close(_) | Record::Event(_) | Record::CloseBatch { .. } => 1,
    }
}

#[test]
fn rows_of_segments_that_a_start_finds_are_counted_too() {
    let folders = Folders::new();
    let (mut spool, reader) = folders.open(&[], ROOMY);
    append(&mut spool, 0..100);
    let ingested = ingest(&mut spool);
    assert!(segments(folders.export.path()) > 4);
    drop((spool, reader));
    let (_spool, mut reader) = folders.open(&ingested, 2 * u64::from(SMALL.segment_bytes));
    assert!(segments(folders.export.path()) <= 2);
    let exported: u64 = export(&mut reader).iter().map(rows_in).sum();
    assert_eq!(reader.counter().totals().skipped_rows, rows(0, 100) - exported);
}

#[test]
fn a_partition_that_no_worker_writes_any_more_is_exported_completely() {
    let folders = Folders::new();
    let two = SpoolOptions { partitions: 2, ..SMALL };
    let (mut spool, _) = folders.open_with(two, &[], ROOMY);
    (0..30).for_each(|n| spool.writers[1].append(&record(1, n)).unwrap());
    let ingested = ingest(&mut spool);
    (30..40).for_each(|n| spool.writers[1].append(&record(1, n)).unwrap());
    drop(spool);
    // The second start has one partition, and the third one finds the other's segments in the folder of the export only.
    let (mut spool, _) = folders.open(&ingested, ROOMY);
    let rest = ingest(&mut spool);
    drop(spool);
    let (_spool, mut reader) = folders.open(&[ingested, rest].concat(), ROOMY);
    assert_eq!(export(&mut reader), with_rows((0..40).map(|n| record(1, n)).collect()));
    assert_eq!(segments(folders.export.path()), 0);
}

#[test]
fn damage_in_the_folder_is_skipped_and_counted() {
    let folders = Folders::new();
    let (mut spool, reader) = folders.open(&[], ROOMY);
    append(&mut spool, 0..60);
    let ingested = ingest(&mut spool);
    drop((spool, reader));
    let file = segment::path(folders.export.path(), 0, 2);
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[usize::try_from(HEADER_BYTES).unwrap() + 40] ^= 0xff;
    std::fs::write(&file, bytes).unwrap();
    std::fs::write(folders.export.path().join("positions"), "not a position\n1 2\n").unwrap();
    let (_spool, mut reader) = folders.open(&ingested, ROOMY);
    let exported = export(&mut reader);
    assert_eq!(exported.len(), with_rows(records(60)).len() - 1);
    assert_eq!(reader.counter().totals().damaged, 1);
}

#[test]
fn a_segment_with_a_damaged_header_is_counted_once() {
    let folders = Folders::new();
    let two = SpoolOptions { partitions: 2, ..SMALL };
    let (mut spool, _) = folders.open_with(two, &[], ROOMY);
    (0..40).for_each(|n| spool.writers[1].append(&record(1, n)).unwrap());
    let ingested = ingest(&mut spool);
    drop(spool);
    // A start without a writer of the partition moves its last segment too.
    drop(folders.open(&ingested, ROOMY));
    let mut retained = files(folders.export.path());
    retained.retain(|file| file.extension().is_some_and(|extension| extension == "spool"));
    assert!(retained.len() > 2, "{retained:?}");
    for file in [&retained[1], &retained[retained.len() - 1]] {
        let mut bytes = std::fs::read(file).unwrap();
        bytes[0] ^= 0xff;
        std::fs::write(file, bytes).unwrap();
    }
    let (_spool, mut reader) = folders.open(&ingested, ROOMY);
    assert!(!export(&mut reader).is_empty());
    // No later segment exists, so each call tries the last one again.
    assert!(export(&mut reader).is_empty());
    assert_eq!(reader.counter().totals().damaged, 2);
}

#[test]
fn records_that_were_read_before_an_error_are_exported() {
    let folders = Folders::new();
    let (mut spool, mut reader) = folders.open_with(SpoolOptions { partitions: 2, ..SMALL }, &[], ROOMY);
    append(&mut spool, 0..30);
    (0..30).for_each(|n| spool.writers[1].append(&record(1, n)).unwrap());
    let file = files(folders.spool.path()).into_iter().find(|file| {
        let name = file.file_name().unwrap().to_str().unwrap();
        name.starts_with("0001-") && name.ends_with(".spool")
    });
    let file = file.unwrap();
    let aside = file.with_extension("aside");
    std::fs::rename(&file, &aside).unwrap();
    std::fs::create_dir(&file).unwrap();
    let batch = reader.next_batch(1_000).unwrap();
    assert_eq!(batch.records, with_rows(records(30)));
    reader.confirm(&batch).unwrap();
    assert!(matches!(reader.next_batch(1_000), Err(SpoolError::Io { .. })));
    std::fs::remove_dir(&file).unwrap();
    std::fs::rename(&aside, &file).unwrap();
    assert_eq!(export(&mut reader), with_rows((0..30).map(|n| record(1, n)).collect()));
}

#[test]
fn a_position_of_another_spool_exports_again_instead_of_nothing() {
    let folders = Folders::new();
    std::fs::write(folders.export.path().join("positions"), "0 4000000000 32\n").unwrap();
    let (mut spool, mut reader) = folders.open(&[], ROOMY);
    append(&mut spool, 0..30);
    assert_eq!(export(&mut reader), with_rows(records(30)));
    ingest(&mut spool);
}

#[test]
fn a_folder_that_cannot_take_segments_does_not_stop_ingest() {
    let folders = Folders::new();
    let (mut spool, mut reader) = folders.open(&[], ROOMY);
    append(&mut spool, 0..100);
    std::fs::remove_dir_all(folders.export.path()).unwrap();
    ingest(&mut spool);
    assert_eq!(spool.reader.depth().unwrap().records, 0);
    let left: u64 = {
        std::fs::create_dir(folders.export.path()).unwrap();
        export(&mut reader).iter().map(rows_in).sum()
    };
    assert_eq!(reader.counter().totals().skipped_rows + left, rows(0, 100));
    assert!(segments(folders.spool.path()) <= 2, "the spool keeps nothing for the export");
}
