//! The loop that polls the revision of the store.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use access::{Clock, Revision};
use jobs::Outage;
use store::Store;
use tokio::time::MissedTickBehavior;

/// A change by another process is detected within this time plus one read.
const EVERY: Duration = Duration::from_millis(250);

/// Copies the store's revision to `revision` every 250 ms until `cancel` is done. While the store is unavailable, the
/// revision is not confirmed, so that its age grows.
pub async fn poll(store: Store, revision: Arc<Revision>, clock: Clock, cancel: impl Future<Output = ()>) {
    let mut outage = Outage::new("polling for changes");
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let watch = async {
        loop {
            ticks.tick().await;
            let asked_at = clock.mono();
            let read = store.revision().await;
            outage.note(&read);
            if let Ok(value) = read {
                revision.confirm(value, asked_at);
            }
        }
    };
    tokio::select! {
        () = watch => {}
        () = cancel => {}
    }
}
