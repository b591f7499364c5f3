//! The heartbeat with which this server reports to the store that it is alive, from joining to leaving.

use std::future::pending;

use store::Node;
use tokio::task::JoinSet;

/// The heartbeat task of a node, which ends when this value is dropped.
#[derive(Debug)]
pub(crate) struct Heartbeat(JoinSet<()>);

impl Heartbeat {
    pub(crate) fn start(node: &Node) -> Self {
        let mut tasks = JoinSet::new();
        tasks.spawn(cluster::heartbeat::beat(node.clone(), pending()));
        Self(tasks)
    }

    /// Ends the task, and waits for its end.
    pub(crate) async fn end(mut self) {
        self.0.shutdown().await;
    }
}
