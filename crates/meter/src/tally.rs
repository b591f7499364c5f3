//! How reservations ended.

use std::sync::atomic::{AtomicU64, Ordering};

/// How reservations ended, since the process began.
#[derive(Debug, Default)]
pub struct Tally {
    /// Given back before anything was sent.
    pub released: AtomicU64,
    /// Settled with what truly was used.
    pub settled: AtomicU64,
    /// Dropped after the first byte, unsettled: what was reserved counts as used.
    pub interrupted: AtomicU64,
    /// Settled with more than was reserved, in one budget at least.
    pub overruns: AtomicU64,
}

impl Tally {
    pub(crate) fn one_more(count: &AtomicU64) {
        count.fetch_add(1, Ordering::Relaxed);
    }
}
