//! Records of the spool: their format, their position, and the segments that contain them.

pub mod position;
pub mod record;
pub(crate) mod segment;
pub(crate) mod segment_bytes;
pub(crate) mod walk;
