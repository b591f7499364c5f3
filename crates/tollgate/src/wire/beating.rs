//! That this server runs, told to the store from when it joins it until it leaves.

use std::future::pending;

use store::Node;
use tokio::task::JoinSet;

/// The node's beat. Dropped, it ends.
#[derive(Debug)]
pub(crate) struct Beating(JoinSet<()>);

impl Beating {
    pub(crate) fn start(node: &Node) -> Self {
        let mut tasks = JoinSet::new();
        tasks.spawn(store::node::beat(node.clone(), pending()));
        Self(tasks)
    }

    /// Ends it, and waits until it has.
    pub(crate) async fn end(mut self) {
        self.0.shutdown().await;
    }
}
