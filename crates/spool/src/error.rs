//! What can go wrong with the spool.

use std::io;
use std::path::{Path, PathBuf};

use uuid::Uuid;

/// Why the spool cannot be opened, written or read.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The bound of [`crate::SpoolOptions::size_bytes_max`] is reached; ingest makes room.
    #[error("the spool is full: its {size_bytes_max} bytes are taken by events that are not ingested yet")]
    Full {
        /// The bound.
        size_bytes_max: u64,
    },
    /// A record that no segment can hold; nothing was written.
    #[error("a record is larger than {payload_bytes_max} bytes")]
    TooLarge {
        /// The most that a record's payload may have.
        payload_bytes_max: u32,
    },
    /// The operating system refused.
    #[error("cannot {action} {}", file.display())]
    Io {
        /// What was tried: "write", "read", …
        action: &'static str,
        /// On which file or folder.
        file: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// Damage before the end of what was written: a record that is not intact, with intact ones after it.
    #[error("{} is damaged at byte {offset}", file.display())]
    Corrupt {
        /// The segment.
        file: PathBuf,
        /// Where the damage begins.
        offset: u32,
    },
    /// A segment is not there, while earlier and later ones of its lane are.
    #[error(
        "{} is missing, between other segments of its partition: put it back, or move those before it out of the folder to go \
         on without them",
        file.display()
    )]
    Missing {
        /// The segment.
        file: PathBuf,
    },
    /// An intact record or segment in a form that this version does not know.
    #[error("{} was written by a newer version (byte {offset})", file.display())]
    Newer {
        /// The segment.
        file: PathBuf,
        /// Where the record begins; 0 is the segment itself.
        offset: u32,
    },
    /// The folder is another node's: its records are that one's to ingest.
    #[error(
        "{} is the spool of node {found}, and this is node {node}: name this node's own folder, or give the folder back",
        folder.display()
    )]
    OtherNode {
        /// The folder.
        folder: PathBuf,
        /// Whose it is.
        found: Uuid,
        /// Who asks.
        node: Uuid,
    },
    /// Each lane needs a segment to write and one ahead.
    #[error("{partitions} lanes need a spool of at least {needed_bytes} bytes; the bound is {size_bytes_max}")]
    TooSmall {
        /// How many lanes were asked for.
        partitions: u32,
        /// The least that holds them.
        needed_bytes: u64,
        /// The bound.
        size_bytes_max: u64,
    },
    /// A size of segments outside of what the format allows.
    #[error("segments have {min} to {max} bytes, not {segment_bytes}")]
    SegmentSize {
        /// What was asked for.
        segment_bytes: u32,
        /// The least.
        min: u32,
        /// The most.
        max: u32,
    },
}

impl SpoolError {
    pub(crate) fn io(action: &'static str, file: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, file: file.to_path_buf(), source }
    }

    /// Whether a shorter record, or one that room is kept for, may be taken.
    pub(crate) fn is_out_of_room(&self) -> bool {
        let is_full =
            |error: &io::Error| matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        matches!(self, Self::Full { .. } | Self::TooLarge { .. })
            || matches!(self, Self::Io { source, .. } if is_full(source))
    }
}
