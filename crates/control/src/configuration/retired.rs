//! Replaced snapshots, which are freed on a blocking thread: a large one takes milliseconds, for which a worker would
//! serve no request.

use std::sync::{Arc, Mutex, PoisonError};

use config::Snapshot;

/// Maximum number of replaced snapshots that are kept. Of more, the oldest is freed where its last use ends.
const RETIRED_MAX: usize = 16;

/// Replaced snapshots that requests may still use.
#[derive(Debug, Default)]
pub(super) struct RetiredSnapshots(Mutex<Vec<Arc<Snapshot>>>);

impl RetiredSnapshots {
    /// Adds a snapshot, and frees those that no request uses.
    pub(super) async fn add(&self, snapshot: Arc<Snapshot>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(snapshot);
        self.free().await;
    }

    /// Frees the snapshots that no request uses.
    pub(super) async fn free(&self) {
        let free = self.unused();
        if !free.is_empty() {
            // A panic of a destructor has been logged.
            let _ = tokio::task::spawn_blocking(move || drop(free)).await;
        }
    }

    fn unused(&self) -> Vec<Arc<Snapshot>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut free, mut used): (Vec<_>, Vec<_>) =
            kept.drain(..).partition(|snapshot| Arc::strong_count(snapshot) == 1);
        free.extend(used.drain(..used.len().saturating_sub(RETIRED_MAX)));
        *kept = used;
        free
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshots_in_use_are_kept_up_to_the_maximum() {
        let environment = config::Environment::default();
        let sources = config::Sources { file: None, environment: &environment, flags: config::Flags::default() };
        let snapshot = config::load(sources).unwrap().snapshot;
        let used: Vec<Arc<Snapshot>> = (0..RETIRED_MAX + 2).map(|_| Arc::new(snapshot.clone())).collect();
        let retired = RetiredSnapshots::default();
        retired.0.lock().unwrap().extend(used.iter().cloned());
        retired.0.lock().unwrap().push(Arc::new(snapshot));
        assert_eq!(retired.unused().len(), 3);
        assert_eq!(retired.unused().len(), 0);
        drop(used);
        assert_eq!(retired.unused().len(), RETIRED_MAX);
    }
}
