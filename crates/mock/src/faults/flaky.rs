//! Request counts of `flaky-N`, by name and request id.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// The number of counts in memory; all are deleted if one more is needed.
const COUNTS_MAX: usize = 4_096;

/// The number of requests per name.
#[derive(Debug, Default)]
pub(crate) struct FlakyCounts(Mutex<HashMap<String, u32>>);

impl FlakyCounts {
    /// Whether this request is one of the first `times` under `name`.
    pub(crate) fn fails(&self, name: String, times: u32) -> bool {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= COUNTS_MAX {
            counts.clear();
        }
        let count = counts.entry(name).or_default();
        let fails = *count < times;
        *count = count.saturating_add(1);
        fails
    }

    pub(crate) fn reset(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
