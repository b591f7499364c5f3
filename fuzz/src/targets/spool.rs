//! The spool's files, as a disk or a person may have left them.

mod damage;
mod segment;

use std::cell::RefCell;
use std::path::Path;

use ::spool::{Options, Record, Spool, SpoolError};
use tempfile::TempDir;

pub use damage::folder;
pub use segment::records;

/// See [`super::FuzzTarget::words`].
pub const WORDS: &[&str] = &[
    "\u{1}\u{2e}\u{0}",
    "\u{2}\u{20}\u{0}",
    "\u{5}",
    "\u{3}",
    "\u{0}",
    "\u{1}",
    "users",
    "gpt-5",
    "\u{10}",
    "\u{7f}",
    "\u{5}\u{20}\u{0}",
    "\u{3}\u{8}\u{0}",
    "\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}",
];

/// Segments of the least size, and room for many.
const OPTIONS: Options = Options { size_bytes_max: 1 << 20, segment_bytes: 4096, lanes: 1 };
/// The largest segment that there can be.
const SEGMENT_BYTES_MAX: u32 = 64 << 20;

thread_local! {
    static FOLDER: RefCell<Option<TempDir>> = const { RefCell::new(None) };
}

/// Calls `with` in a folder that is empty.
fn in_folder(with: impl FnOnce(&Path)) {
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

/// Everything that waits, released; and the error that ended it.
fn drained(spool: &mut Spool) -> (Vec<Record>, Option<SpoolError>) {
    let mut records = Vec::new();
    loop {
        match spool.reader.next_batch(7) {
            Ok(batch) if batch.records.is_empty() => return (records, None),
            Ok(batch) => {
                assert!(batch.records.len() <= 7 && batch.places().count() == batch.records.len());
                spool.reader.release(&batch).unwrap();
                records.extend(batch.records);
            }
            Err(error) => return (records, Some(error)),
        }
    }
}

/// An error of what stands in the folder names the file, in it, and a byte that a segment can have.
fn names_its_place(dir: &Path, error: &SpoolError) {
    match error {
        SpoolError::Corrupt { file, offset } | SpoolError::Newer { file, offset } => {
            assert!(file.starts_with(dir) && file.exists() && *offset <= SEGMENT_BYTES_MAX, "{error}");
        }
        SpoolError::Missing { file } => assert!(file.starts_with(dir) && !file.exists(), "{error}"),
        SpoolError::Full { .. }
        | SpoolError::TooLarge { .. }
        | SpoolError::Io { .. }
        | SpoolError::TooSmall { .. }
        | SpoolError::OtherNode { .. }
        | SpoolError::SegmentSize { .. } => panic!("not an error of a damaged folder: {error}"),
    }
}
