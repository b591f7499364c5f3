//! The job that reports that this node runs.

use jobs::{Job, JobError, JobSpec, NextRun};
use store::Node;
use store::node::BEAT;

/// Each node on PostgreSQL reports every second; on SQLite the folder's lock shows that it runs.
pub const SPEC: JobSpec = JobSpec::every("heartbeat", BEAT);

/// The job that reports to the store that this node runs.
#[derive(Debug, Clone)]
pub struct Heartbeat {
    node: Node,
}

impl Heartbeat {
    /// Returns the job of a node on PostgreSQL.
    #[must_use]
    pub const fn new(node: Node) -> Self {
        Self { node }
    }
}

impl Job for Heartbeat {
    async fn run(&mut self) -> Result<NextRun, JobError> {
        self.node.report().await?;
        Ok(NextRun::Period)
    }
}
