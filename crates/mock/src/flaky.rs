//! Who fails first and answers then: counts by name and id.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// More than that, and all begin anew.
const COUNTS_MAX: usize = 4_096;

/// How often each was refused.
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
