//! Damage is skipped on request, and reported otherwise.

use std::fs;
use std::path::Path;

use crate::fixture::{SMALL, close_of, drain, files, id, open, open_of, record, records, written};
use crate::records::segment::{self, HEADER_BYTES};
use crate::{Position, Record, SkippedDamage, Spool, SpoolError, SpoolOpener};

fn skipping(dir: &Path, ingested: &[Position]) -> Spool {
    SpoolOpener { skip_corrupt: true, ..SpoolOpener::new(dir, SMALL, ingested) }.open().unwrap()
}

/// The end of each record of partition 0.
fn places(dir: &Path) -> Vec<Position> {
    open(dir, SMALL).reader.next_batch(1_000).unwrap().record_positions().collect()
}

#[test]
fn each_damaged_record_is_skipped_alone_and_reported() {
    let whole = tempfile::tempdir().unwrap();
    written(whole.path(), SMALL, 40);
    let places = places(whole.path());
    for damaged in 0..30_usize {
        let dir = tempfile::tempdir().unwrap();
        for file in files(whole.path()) {
            fs::copy(&file, dir.path().join(file.file_name().unwrap())).unwrap();
        }
        let Position { segment, offset: to, .. } = places[damaged];
        let first = damaged == 0 || places[damaged - 1].segment != segment;
        let from = if first { HEADER_BYTES } else { places[damaged - 1].offset };
        let file = segment::path(dir.path(), 0, segment);
        let mut bytes = fs::read(&file).unwrap();
        bytes[from as usize + 20..to as usize].fill(0x5a);
        fs::write(&file, &bytes).unwrap();
        let refused = Spool::open(dir.path(), SMALL, &[]).unwrap_err();
        let SpoolError::Corrupt { file: named, offset } = refused else { panic!("{refused}") };
        assert_eq!((&named, offset), (&file, from));
        let mut spool = skipping(dir.path(), &[]);
        assert_eq!(spool.skipped_damage, [SkippedDamage { file: file.clone(), from, to }]);
        assert_eq!(fs::read(&file).unwrap(), bytes, "evidence stays");
        let (mut read, error) = drain(&mut spool.reader);
        assert!(error.is_none(), "{error:?}");
        read.insert(damaged, record(0, u32::try_from(damaged).unwrap()));
        assert_eq!(read, records(40));
        spool.writers[0].append(&record(0, 40)).unwrap();
        assert_eq!(drain(&mut spool.reader).0, [record(0, 40)]);
    }
}

#[test]
fn segment_with_a_damaged_header_is_skipped_whole() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), SMALL, 40);
    let places = places(dir.path());
    for segment in [2, 1] {
        let file = segment::path(dir.path(), 0, segment);
        let mut bytes = fs::read(&file).unwrap();
        bytes[3] ^= 1;
        fs::write(&file, bytes).unwrap();
    }
    let mut spool = skipping(dir.path(), &[]);
    let skipped =
        |segment| SkippedDamage { file: segment::path(dir.path(), 0, segment), from: 0, to: SMALL.segment_bytes };
    assert_eq!(spool.skipped_damage, [skipped(1), skipped(2)]);
    let left = places.iter().filter(|place| place.segment > 2).count();
    assert_eq!(drain(&mut spool.reader).0, records(40)[40 - left..]);
}

#[test]
fn damage_at_the_end_of_a_segment_is_skipped_with_its_end_record() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), SMALL, 40);
    let places = places(dir.path());
    let file = segment::path(dir.path(), 0, 1);
    let mut bytes = fs::read(&file).unwrap();
    let from = places[1].offset;
    bytes[from as usize..].fill(0);
    fs::write(&file, bytes).unwrap();
    let mut spool = skipping(dir.path(), &[]);
    assert_eq!(spool.skipped_damage, [SkippedDamage { file, from, to: SMALL.segment_bytes }]);
    let behind = places.iter().position(|place| place.segment == 2).unwrap();
    assert_eq!(drain(&mut spool.reader).0, [&records(2)[..], &records(40)[behind..]].concat());
    assert!(!segment::path(dir.path(), 0, 1).exists());
}

#[test]
fn intact_record_with_undecodable_payload_is_skipped() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path(), SMALL);
    spool.writers[0].append(&record(0, 0)).unwrap();
    let from = spool.writers[0].current.as_ref().unwrap().offset;
    spool.writers[0].append(&open_of(0, 1)).unwrap();
    let to = spool.writers[0].current.as_ref().unwrap().offset;
    spool.writers[0].append(&close_of(0, 2)).unwrap();
    drop(spool);
    let file = segment::path(dir.path(), 0, 1);
    let mut bytes = fs::read(&file).unwrap();
    bytes[from as usize + 28..to as usize].fill(0xff);
    crate::records::record::stamp(
        &mut bytes[from as usize..to as usize],
        crate::records::record::ChecksumSeed::new(0, 1),
        from,
    );
    fs::write(&file, bytes).unwrap();
    let refused = Spool::open(dir.path(), SMALL, &[]).unwrap_err();
    assert!(matches!(refused, SpoolError::Corrupt { offset, .. } if offset == from), "{refused}");
    let mut spool = skipping(dir.path(), &[]);
    assert_eq!(spool.skipped_damage, [SkippedDamage { file, from, to }]);
    assert_eq!(drain(&mut spool.reader).0, [record(0, 0), close_of(0, 2)]);
}

#[test]
fn damage_in_the_ingested_part_does_not_hide_later_opens() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path(), SMALL);
    spool.writers[0].append(&record(0, 0)).unwrap();
    spool.writers[0].append(&open_of(0, 1)).unwrap();
    let positions: Vec<_> = spool.reader.next_batch(9).unwrap().positions().collect();
    drop(spool);
    let file = segment::path(dir.path(), 0, 1);
    let mut bytes = fs::read(&file).unwrap();
    bytes[HEADER_BYTES as usize + 30] ^= 1;
    fs::write(&file, bytes).unwrap();
    let spool = Spool::open(dir.path(), SMALL, &positions).unwrap();
    assert_eq!(spool.interrupted.iter().map(|one| one.request.id.0).collect::<Vec<_>>(), [id(0, 1)]);
}

#[test]
fn nothing_is_skipped_without_damage() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), SMALL, 40);
    let mut spool = skipping(dir.path(), &[]);
    assert_eq!((spool.skipped_damage.len(), spool.truncated_tails.len()), (0, 0));
    assert_eq!(drain(&mut spool.reader).0, records(40));
    assert!(records(1).iter().all(|record| matches!(record, Record::Event(_))));
}
