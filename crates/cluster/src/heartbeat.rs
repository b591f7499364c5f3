//! The loop that reports that this node runs.

use std::future::Future;

use jobs::Outage;
use store::Node;
use store::node::BEAT;
use tokio::time::MissedTickBehavior;

/// Reports every second that this node runs, until `cancel` is done. On SQLite the folder's lock shows that.
pub async fn beat(node: Node, cancel: impl Future<Output = ()>) {
    let mut outage = Outage::new("heartbeat");
    let mut ticks = tokio::time::interval(BEAT);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let beats = async {
        if !node.store().is_shared() {
            return std::future::pending().await;
        }
        loop {
            ticks.tick().await;
            outage.note(&node.report().await);
        }
    };
    tokio::select! {
        () = beats => {}
        () = cancel => {}
    }
}
