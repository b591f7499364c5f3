//! A notification that waits to be sent.

use access::Timestamp;
use bytes::Bytes;

/// A notification that waits to be sent.
#[derive(Debug, Clone)]
pub(super) struct Delivery {
    pub(super) due: Timestamp,
    pub(super) url: String,
    pub(super) body: Bytes,
    /// Number of attempts that failed.
    pub(super) failed: usize,
}
