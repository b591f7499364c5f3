//! Errors of opening, writing and reading the spool.

use std::io;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::record_version::RecordVersion;

/// The reason why the spool cannot be opened, written or read.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The segments together have reached [`crate::SpoolOptions::size_bytes_max`]; ingest frees space.
    #[error("the spool is full: events that are not ingested yet use its {size_bytes_max} bytes")]
    Full {
        /// The maximum size of the spool.
        size_bytes_max: u64,
    },
    /// The record is larger than a segment; nothing was written.
    #[error("a record is larger than {payload_bytes_max} bytes")]
    TooLarge {
        /// The maximum size of a record's payload.
        payload_bytes_max: u32,
    },
    /// The operating system returned an error.
    #[error("cannot {action} {}", file.display())]
    Io {
        /// The failed operation: `write`, `read`, ….
        action: &'static str,
        /// The file or folder of the operation.
        file: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// A damaged record or header with intact records after it, or in a sealed segment.
    #[error("{} is damaged at byte {offset}", file.display())]
    Corrupt {
        /// The path of the segment.
        file: PathBuf,
        /// The offset at which the damage begins.
        offset: u32,
    },
    /// A segment does not exist, while earlier and later segments of its partition do.
    #[error(
        "the spool segment {} is missing: restore it, or move the earlier segments of its partition out of the folder to \
         continue without them",
        file.display()
    )]
    Missing {
        /// The path of the missing segment.
        file: PathBuf,
    },
    /// An intact record or segment has a version or kind that this release does not know.
    #[error(
        "{} cannot be read from byte {offset} on: {format}; run the newer version, or move this file and the later files \
         of its partition out of the folder, which loses their usage that is not stored yet",
        file.display()
    )]
    Newer {
        /// The path of the segment.
        file: PathBuf,
        /// The offset of the record; 0 for the segment's header.
        offset: u32,
        /// The version or kind that was found.
        format: UnknownFormat,
    },
    /// The folder belongs to another node, which must ingest its records.
    #[error(
        "the spool {} belongs to node {found}, and this is node {node}: configure this node's own data folder, or return the folder",
        folder.display()
    )]
    OtherNode {
        /// The path of the folder.
        folder: PathBuf,
        /// The node that owns the folder.
        found: Uuid,
        /// The node of this process.
        node: Uuid,
    },
    /// The maximum size is too small: each partition needs a segment to write and a preallocated one.
    #[error("{partitions} spool partitions need at least {needed_bytes} bytes; the maximum is {size_bytes_max}")]
    TooSmall {
        /// The number of partitions.
        partitions: u32,
        /// The minimum size for this number of partitions.
        needed_bytes: u64,
        /// The configured maximum size.
        size_bytes_max: u64,
    },
    /// The size of a segment is outside the range of the format.
    #[error("the segment size is {min} to {max} bytes, not {segment_bytes}")]
    SegmentSize {
        /// The requested size of a segment.
        segment_bytes: u32,
        /// The minimum size of a segment.
        min: u32,
        /// The maximum size of a segment.
        max: u32,
    },
}

/// A version or kind that this release does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnknownFormat {
    /// The version of a segment.
    #[error("the segment has version {found}, and this release knows version {known}")]
    Segment {
        /// The version in the segment's header.
        found: u16,
        /// The version that this release knows.
        known: u16,
    },
    /// The major version of a record.
    #[error("the record has version {found}, and this release knows version {known}")]
    Record {
        /// The version in the record's header.
        found: RecordVersion,
        /// The version that this release writes; it reads each minor version of the same major version.
        known: RecordVersion,
    },
    /// The kind of a record.
    #[error("the record of version {version} has kind {kind}, which this release does not know")]
    Kind {
        /// The kind in the record's header.
        kind: u8,
        /// The version in the record's header.
        version: RecordVersion,
    },
}

impl SpoolError {
    pub(crate) fn io(action: &'static str, file: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, file: file.to_path_buf(), source }
    }

    /// Returns whether a shorter record, or one with reserved room, may still be written.
    pub(crate) fn is_out_of_room(&self) -> bool {
        let is_full =
            |error: &io::Error| matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        matches!(self, Self::Full { .. } | Self::TooLarge { .. })
            || matches!(self, Self::Io { source, .. } if is_full(source))
    }
}
