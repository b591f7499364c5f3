//! The revision, a counter that every change to users, keys and plans raises.

use uuid::Uuid;

use crate::error::DatabaseError;
use crate::sql::{Transaction, statements};

/// Id of the table's only row.
pub const ROW: Uuid = Uuid::max();

statements! {
    RAISE = "INSERT INTO revision (id, value, created_at, updated_at) VALUES ($1, 1, $2, $2)
        ON CONFLICT (id) DO UPDATE SET value = revision.value + 1, updated_at = excluded.updated_at";
    HOLD = "INSERT INTO revision (id, value, created_at, updated_at) VALUES ($1, 0, $2, $2)
        ON CONFLICT (id) DO UPDATE SET updated_at = excluded.updated_at";
    RAISE_NO_FLOOR = "INSERT INTO revision (id, value, no_floor, created_at, updated_at) VALUES ($1, 1, $2, $3, $3)
        ON CONFLICT (id) DO UPDATE SET updated_at = excluded.updated_at, no_floor =
        CASE WHEN revision.no_floor < excluded.no_floor THEN excluded.no_floor ELSE revision.no_floor END";
}

/// Raises the revision within the transaction of a change.
pub(crate) async fn raise(transaction: &mut Transaction, now: i64) -> Result<(), DatabaseError> {
    transaction.query(RAISE).bind(ROW).bind(now).run().await?;
    Ok(())
}

/// Locks the revision's row, which serialises the assignment of numbers, and keeps the revision.
pub(crate) async fn hold(transaction: &mut Transaction, now: i64) -> Result<(), DatabaseError> {
    transaction.query(HOLD).bind(ROW).bind(now).run().await?;
    Ok(())
}

/// Makes new users and keys get numbers greater than `floor`.
pub(crate) async fn raise_no_floor(transaction: &mut Transaction, floor: i64, now: i64) -> Result<(), DatabaseError> {
    transaction.query(RAISE_NO_FLOOR).bind(ROW).bind(floor).bind(now).run().await?;
    Ok(())
}
