//! The days whose events and counts are complete.

use access::{Day, Timestamp};
use store::DatabaseError;
use store::sql::{Transaction, timestamp};

use super::{SLACK, USAGE_FROM};

/// Returns the first day whose events and counts are complete: rows created before a stored time may have been deleted.
pub(super) async fn comparable_from(tx: &mut Transaction) -> Result<Day, DatabaseError> {
    let (from,): (i64,) = tx.query(USAGE_FROM).one().await?;
    Ok(match timestamp(from) {
        Timestamp(0) => Day(0),
        from => from.after(SLACK).day().next(),
    })
}
