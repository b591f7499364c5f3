//! The heartbeat with which this server reports to the store that it is alive, from joining to leaving.

use std::time::Duration;

use cluster::heartbeat::{self, Heartbeat};
use jobs::Runner;
use store::Node;

use super::jobs::runner;

/// Maximum time for which the end of the last report is awaited.
const END_WITHIN: Duration = Duration::from_secs(2);

/// Starts the heartbeat, and returns the first runner of this server's jobs.
pub(super) fn start(node: &Node) -> Runner {
    let mut jobs = runner(node);
    let node = node.clone();
    jobs.add(heartbeat::SPEC, move || Heartbeat::new(node.clone()));
    jobs
}

/// Ends the heartbeat, and waits for its end.
pub(super) async fn end(heartbeat: Runner) {
    heartbeat.stop(END_WITHIN).await;
}
