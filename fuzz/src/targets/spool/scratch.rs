//! The folder of a run, and what both targets check in it.

use std::cell::RefCell;
use std::path::Path;

use ::spool::{Record, Spool, SpoolError, SpoolOptions};
use tempfile::TempDir;

/// Segments of the minimum size, and a spool with room for many.
pub(super) const OPTIONS: SpoolOptions = SpoolOptions { size_bytes_max: 1 << 20, segment_bytes: 4096, partitions: 1 };
/// The maximum size of a segment.
const SEGMENT_BYTES_MAX: u32 = 64 << 20;

thread_local! {
    static FOLDER: RefCell<Option<TempDir>> = const { RefCell::new(None) };
}

/// Calls `with` in an empty folder.
pub(super) fn in_folder(with: impl FnOnce(&Path)) {
    FOLDER.with_borrow_mut(|folder| {
        let folder = folder.get_or_insert_with(|| tempfile::tempdir().unwrap());
        let path = folder.path().join("spool");
        if path.exists() {
            std::fs::remove_dir_all(&path).unwrap();
        }
        std::fs::create_dir(&path).unwrap();
        with(&path);
    });
}

/// Reads and releases all records; returns them and the error that ended it.
pub(super) fn drained(spool: &mut Spool) -> (Vec<Record>, Option<SpoolError>) {
    let mut records = Vec::new();
    loop {
        match spool.reader.next_batch(7) {
            Ok(batch) if batch.records.is_empty() => return (records, None),
            Ok(batch) => {
                assert!(batch.records.len() <= 7 && batch.record_positions().count() == batch.records.len());
                spool.reader.release(&batch).unwrap();
                records.extend(batch.records);
            }
            Err(error) => return (records, Some(error)),
        }
    }
}

/// An error about the folder's content names a file in the folder, and an offset within a segment.
pub(super) fn names_its_place(dir: &Path, error: &SpoolError) {
    match error {
        SpoolError::Corrupt { file, offset } | SpoolError::Newer { file, offset, .. } => {
            assert!(file.starts_with(dir) && file.exists() && *offset <= SEGMENT_BYTES_MAX, "{error}");
        }
        SpoolError::Missing { file } => assert!(file.starts_with(dir) && !file.exists(), "{error}"),
        SpoolError::Full { .. }
        | SpoolError::TooLarge { .. }
        | SpoolError::Io { .. }
        | SpoolError::TooSmall { .. }
        | SpoolError::OtherNode { .. }
        | SpoolError::SegmentSize { .. } => panic!("a damaged folder cannot cause this error: {error}"),
    }
}
