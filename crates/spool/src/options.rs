//! The sizes of a spool and their validation.

use crate::error::SpoolError;
use crate::records::segment;

/// The default size of a segment.
pub const SEGMENT_BYTES: u32 = 16 * 1024 * 1024;
/// The minimum default size of a segment, so that it can hold any record.
const SEGMENT_BYTES_USUAL_MIN: u32 = 256 * 1024;

/// The sizes of a spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpoolOptions {
    /// Maximum size of all segments together, in bytes; at least two segments per partition.
    pub size_bytes_max: u64,
    /// Size of new segments in bytes, from 4 KiB to 64 MiB.
    pub segment_bytes: u32,
    /// Number of partitions, one per worker.
    pub partitions: u32,
}

impl SpoolOptions {
    /// Returns options with segments of [`SEGMENT_BYTES`], or smaller ones so that four fit per partition.
    #[must_use]
    pub fn new(size_bytes_max: u64, partitions: u32) -> Self {
        let share = size_bytes_max / (u64::from(partitions.max(1)) * 4);
        let segment_bytes = u32::try_from(share).unwrap_or(u32::MAX).clamp(SEGMENT_BYTES_USUAL_MIN, SEGMENT_BYTES);
        Self { size_bytes_max, segment_bytes, partitions }
    }

    pub(crate) fn check(self) -> Result<(), SpoolError> {
        let Self { size_bytes_max, segment_bytes, partitions } = self;
        let min = segment::BYTES_MIN;
        let max = segment::BYTES_MAX;
        if !(min..=max).contains(&segment_bytes) {
            return Err(SpoolError::SegmentSize { segment_bytes, min, max });
        }
        let needed_bytes = u64::from(partitions) * 2 * u64::from(segment_bytes);
        if needed_bytes > size_bytes_max {
            return Err(SpoolError::TooSmall { partitions, needed_bytes, size_bytes_max });
        }
        Ok(())
    }
}
