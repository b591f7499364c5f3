//! Records and segments of other versions.

use std::fs;
use std::ops::Range;
use std::path::Path;

use crate::fixture::{SMALL, files, open, records, rest, written};
use crate::records::record::{self, ChecksumSeed};
use crate::records::segment::HEADER_BYTES;
use crate::{Position, RecordVersion, Spool, SpoolError, SpoolOpener, UnknownFormat};

fn refused(dir: &Path, ingested: &[Position]) -> SpoolError {
    Spool::open(dir, SMALL, ingested).unwrap_err()
}

/// The position after the first `count` records of partition 0.
fn end_of(dir: &Path, count: usize) -> Position {
    open(dir, SMALL).reader.next_batch(count).unwrap().positions().next().unwrap()
}

/// Changes the version of the record between two offsets of a segment of partition 0.
fn set_version(file: &Path, segment: u32, record: Range<u32>, version: u8) {
    let mut bytes = fs::read(file).unwrap();
    let from = record.start as usize;
    let until = record.end as usize;
    bytes[from + 8] = version;
    record::stamp(&mut bytes[from..until], ChecksumSeed::new(0, segment), record.start);
    fs::write(file, &bytes).unwrap();
}

#[test]
fn unknown_major_version_is_refused_and_not_truncated() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), SMALL, 2);
    let last = end_of(dir.path(), 1).offset;
    let end = end_of(dir.path(), 2).offset;
    let file = files(dir.path()).remove(0);
    set_version(&file, 1, last..end, 0x2e);
    let before = fs::read(&file).unwrap();
    for skip_corrupt in [false, true] {
        let opener = SpoolOpener { skip_corrupt, ..SpoolOpener::new(dir.path(), SMALL, &[]) };
        let error = opener.open().unwrap_err();
        assert!(matches!(error, SpoolError::Newer { offset, .. } if offset == last));
        assert_eq!(
            error.to_string(),
            format!(
                "{} cannot be read from byte {last} on: the record has version 2.14, and this release knows version {}; \
                 run the newer version, or move this file and the later files of its partition out of the folder, \
                 which loses their usage that is not stored yet",
                file.display(),
                RecordVersion::CURRENT
            )
        );
        assert_eq!(fs::read(&file).unwrap(), before);
    }
    let mut bytes = before;
    bytes[8] = 2;
    let checksum = crc32c::crc32c(&bytes[..28]);
    bytes[28..32].copy_from_slice(&checksum.to_le_bytes());
    fs::write(&file, &bytes).unwrap();
    let format = UnknownFormat::Segment { found: 2, known: 1 };
    assert!(matches!(refused(dir.path(), &[]), SpoolError::Newer { offset: 0, format: found, .. } if found == format));
}

#[test]
fn record_of_a_later_minor_version_is_read() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), SMALL, 2);
    let last = end_of(dir.path(), 1).offset;
    let end = end_of(dir.path(), 2).offset;
    set_version(&files(dir.path())[0], 1, last..end, 0x1f);
    assert_eq!(rest(dir.path(), SMALL, &[]), records(2));
}

/// A later version may have left a request open in the part that is ingested.
#[test]
fn unknown_major_version_is_refused_in_the_ingested_part_too() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), SMALL, 3);
    let first = end_of(dir.path(), 1).offset;
    let second = end_of(dir.path(), 2);
    set_version(&files(dir.path())[0], 1, first..second.offset, 0x20);
    assert!(matches!(refused(dir.path(), &[second]), SpoolError::Newer { offset, .. } if offset == first));
}

#[test]
fn records_before_the_files_of_an_unknown_version_are_read_after_those_are_moved_away() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), SMALL, 60);
    let paths = files(dir.path());
    assert!(paths.len() >= 4, "{paths:?}");
    let ends: Vec<Position> = open(dir.path(), SMALL).reader.next_batch(60).unwrap().record_positions().collect();
    let count = ends.iter().take_while(|end| end.segment < 3).count();
    set_version(&paths[2], 3, HEADER_BYTES..ends[count].offset, 0x20);
    let SpoolError::Newer { file, offset: HEADER_BYTES, .. } = refused(dir.path(), &[]) else { panic!() };
    assert_eq!(file, paths[2]);
    // Reading may have preallocated a further segment.
    files(dir.path())[2..].iter().for_each(|path| fs::remove_file(path).unwrap());
    assert_eq!(rest(dir.path(), SMALL, &[]), records(u32::try_from(count).unwrap()));
}
