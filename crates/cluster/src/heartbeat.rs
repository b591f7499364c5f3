//! The job that reports that this node runs.

use jobs::{Job, JobError, JobSpec, NextRun};
use store::Node;
use store::nodes::node::BEAT;

/// Each node reports every second, also on SQLite: billing periods and reviews of days wait until its usage is stored.
pub const SPEC: JobSpec = JobSpec::every("heartbeat", BEAT);

/// The job that reports to the store that this node runs.
#[derive(Debug, Clone)]
pub struct Heartbeat {
    node: Node,
}

impl Heartbeat {
    /// Returns the job of a node.
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
