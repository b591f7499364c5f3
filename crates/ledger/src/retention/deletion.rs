//! One transaction that deletes rows.

use store::{DatabaseError, Store};
use uuid::Uuid;

use crate::batch_sizer::BatchSizer;

/// Result of one deleting transaction.
pub(super) struct DeletionResult {
    pub(super) rows: u64,
    /// Id of the last deleted row; `None` if no row is left.
    pub(super) last: Option<Uuid>,
}

/// Selects the rows of a table to delete.
#[derive(Clone, Copy)]
pub(super) enum Bounds {
    /// Rows with ids from the first to before the second.
    Ids(Uuid, Uuid),
    /// Rows that had expired at this time.
    Moment(i64),
}

/// Deletes the first rows within `bounds`; `None` if another node is deleting.
pub(super) async fn delete(
    store: &Store,
    table: &'static str,
    bounds: Bounds,
    batch_sizer: &mut BatchSizer,
) -> Result<Option<DeletionResult>, DatabaseError> {
    let wanted = batch_sizer.rows();
    let mut transaction = store.begin().await?;
    let began = store.clock().mono();
    if let Some(alone) = transaction.kind().try_retention() {
        let (alone,): (bool,) = transaction.query(alone).one().await?;
        if !alone {
            return Ok(None);
        }
    }
    let limit = i64::try_from(wanted).unwrap_or(i64::MAX);
    let query = transaction.query(table);
    let query = match bounds {
        Bounds::Ids(from, end) => query.bind(from).bind(end),
        Bounds::Moment(moment) => query.bind(moment),
    };
    let ids: Vec<(Uuid,)> = query.bind(limit).all().await?;
    transaction.commit().await?;
    batch_sizer.note(ids.len(), store.clock().mono().since(began));
    let last = if ids.len() == wanted { ids.iter().map(|(id,)| *id).max() } else { None };
    Ok(Some(DeletionResult { rows: u64::try_from(ids.len()).unwrap_or(u64::MAX), last }))
}
