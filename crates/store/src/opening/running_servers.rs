//! The nodes that run on a PostgreSQL database.

use std::time::Duration;

use sqlx::PgConnection;
use thiserror::Error;
use uuid::Uuid;

use crate::error::DatabaseError;
use crate::sql::dialect::postgres::{EXISTS, PRESENT, WRITING};

/// Time for which the beats of other nodes are observed: two beats and their latency.
pub(crate) const LISTEN: Duration = Duration::from_millis(2_500);

/// The operation requires that no node runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("Tollgate servers run on this store ({servers}): stop them first")]
pub struct RunningServers {
    /// Number of running nodes.
    pub servers: usize,
}

/// Returns the number of nodes that beat or are writing. The clocks of nodes differ, so the function reads the beats
/// twice.
pub(crate) async fn count(connection: &mut PgConnection) -> Result<usize, DatabaseError> {
    // Without the table, no node can run: its migration is undone.
    let (exists,): (bool,) = sqlx::query_as(EXISTS).persistent(false).fetch_one(&mut *connection).await?;
    if !exists {
        return Ok(0);
    }
    let before: Vec<(Uuid, i64)> = sqlx::query_as(PRESENT).persistent(false).fetch_all(&mut *connection).await?;
    if before.is_empty() {
        return Ok(0);
    }
    tokio::time::sleep(LISTEN).await;
    let writing: Vec<(Uuid,)> = sqlx::query_as(WRITING).persistent(false).fetch_all(&mut *connection).await?;
    let after: Vec<(Uuid, i64)> = sqlx::query_as(PRESENT).persistent(false).fetch_all(&mut *connection).await?;
    Ok(after.iter().filter(|node| !before.contains(node) || writing.contains(&(node.0,))).count())
}
