//! Nodes whose data folder is lost: an operator forgets them, so that nothing waits for their usage.

use std::time::Duration;

use access::Timestamp;
use serde_json::json;
use thiserror::Error;
use uuid::Uuid;

use crate::audit::{Act, Actor, AuditAction};
use crate::error::DatabaseError;
use crate::nodes::node::NodeProgress;
use crate::opening::handle::Store;
use crate::sql::{micros, statements};

/// A node that reported within this time may run. The clocks of nodes differ by less.
pub const SEEN_WITHIN: Duration = Duration::from_secs(300);

statements! {
    // The values satisfy `NodeProgress::has_left_nothing`, and the rule by which billing periods wait for nodes.
    FORGET = "UPDATE nodes SET left_at = seen_at, ingested_until = CASE WHEN ingested_until > seen_at THEN ingested_until
        ELSE seen_at END, spooled = 0, oldest_unsent_at = NULL, ingest_lag_us = 0, updated_at = $3
        WHERE id = $1 AND seen_at = $2";
}

/// The error of forgetting a node.
#[derive(Debug, Error)]
pub enum ForgetNodeError {
    /// The store has no node with this id.
    #[error("node {0} does not exist")]
    NoNode(Uuid),
    /// The node reported a short time ago.
    #[error("node {0} was seen within the last 5 minutes, so it may run: stop it first")]
    Seen(Uuid),
    /// The node ended after all its usage was stored.
    #[error("node {0} has stored all its usage and has left: it blocks nothing")]
    HasLeft(Uuid),
    /// An error of the database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl NodeProgress {
    /// Whether the node was seen so recently that it may run.
    #[must_use]
    pub fn may_run(&self, now: Timestamp) -> bool {
        self.seen_at.after(SEEN_WITHIN) >= now
    }
}

impl Store {
    /// Records that a node has left with an empty spool when it was seen last. Returns its progress until then. If it
    /// starts again on its data folder, its usage is awaited again.
    ///
    /// # Errors
    /// [`ForgetNodeError::NoNode`], [`ForgetNodeError::Seen`], [`ForgetNodeError::HasLeft`], and database errors.
    pub async fn forget_node(&self, by: &Actor, id: Uuid) -> Result<NodeProgress, ForgetNodeError> {
        let found = self.node_progress().await?.into_iter().find(|node| node.id == id);
        let node = found.ok_or(ForgetNodeError::NoNode(id))?;
        if node.has_left_nothing() {
            return Err(ForgetNodeError::HasLeft(id));
        }
        if node.may_run(self.clock().now()) {
            return Err(ForgetNodeError::Seen(id));
        }
        let mut transaction = self.begin().await?;
        let forget = transaction.query(FORGET).bind(id).bind(micros(node.seen_at)).bind(self.now());
        // The node may have reported since it was read.
        if forget.run().await? == 0 {
            transaction.rollback().await?;
            return Err(ForgetNodeError::Seen(id));
        }
        let detail = json!({
            "seen_at": node.seen_at, "ingested_until": node.ingested_until, "spooled": node.depth.records,
        });
        self.note(&mut transaction, by, Act::new(AuditAction::NodeForget, id, None).with(detail)).await?;
        transaction.commit().await?;
        Ok(node)
    }
}
