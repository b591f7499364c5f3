//! Counters of totals that other crates count.

use std::sync::atomic::Ordering;

use prometheus_client::metrics::counter::Counter;

/// Raises a counter to a total that another crate counts. A smaller total is ignored, because counters never decrease.
pub fn set_total(counter: &Counter, total: u64) {
    counter.inner().fetch_max(total, Ordering::Relaxed);
}
