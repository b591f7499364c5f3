//! The loop that writes the times at which keys were last used.

use std::future::Future;
use std::time::Duration;

use jobs::Outage;
use store::Store;
use tokio::time::MissedTickBehavior;

/// Interval between checks for times to write.
const EVERY: Duration = Duration::from_secs(1);

/// Writes the times of last use until `cancel` is done.
pub async fn run(store: Store, cancel: impl Future<Output = ()>) {
    let mut outage = Outage::new("last_use");
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let write = async {
        loop {
            ticks.tick().await;
            outage.note(&store.write_last_use(false).await);
        }
    };
    tokio::select! {
        () = write => {}
        () = cancel => {}
    }
    // The remaining times are written as well; a process that cannot wait drops this future.
    let left = store.write_last_use(true).await;
    if let Err(error) = left {
        tracing::warn!(%error, "cannot write all times at which keys were last used");
    }
}
