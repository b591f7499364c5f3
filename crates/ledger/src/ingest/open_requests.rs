//! Requests that are still open when their segments of the spool are released: the store keeps them until their ends
//! are stored.

use std::collections::HashSet;

use spool::OpenRequest;
use sqlx::AssertSqlSafe;
use store::sql::{BulkQuery, BulkTransaction, StoreKind, statements};
use store::{DatabaseError, Node};
use uuid::Uuid;

use crate::ingest::tables::OPEN_REQUESTS;
use crate::ingest::write::{PRESENT, Rows};

/// Maximum number of ids in one statement.
const IDS_MAX: usize = 500;
const UNREADABLE: DatabaseError = DatabaseError::Unreadable { table: "open_requests", column: "opened" };
/// A list of ids follows.
const FORGET: &str = "DELETE FROM open_requests WHERE id IN ";

statements! {
    KEPT = "SELECT id, opened FROM open_requests WHERE node_id = $1 ORDER BY id";
}

/// Ids of the open requests that the store keeps; `None` before the first query.
#[derive(Debug, Default)]
pub(crate) struct StoredOpenRequests(Option<HashSet<Uuid>>);

/// Returns the open requests of the node that the store keeps, for [`spool::SpoolOpener::stored_requests`].
///
/// # Errors
/// Database errors of any kind.
pub async fn stored_requests(node: &Node) -> Result<Vec<OpenRequest>, DatabaseError> {
    let rows: Vec<(Uuid, Vec<u8>)> = node.store().query(KEPT).bind(node.id()).all().await?;
    let opened = |(_, opened): &(Uuid, Vec<u8>)| OpenRequest::from_stored(opened).map_err(|_| UNREADABLE);
    rows.iter().map(opened).collect()
}

impl StoredOpenRequests {
    /// Discards the ids, because the transaction that wrote them may not have been committed.
    pub(crate) fn forget(&mut self) {
        self.0 = None;
    }

    /// Deletes the requests that `rows` close, and stores those that `rows` carry.
    pub(crate) async fn write(
        &mut self,
        rows: &Rows,
        node: &Node,
        transaction: &mut BulkTransaction,
    ) -> Result<(), DatabaseError> {
        let kept = match &mut self.0 {
            Some(kept) => kept,
            None => {
                let rows: Vec<(Uuid, Vec<u8>)> = transaction.query(KEPT).bind(node.id()).all().await?;
                self.0.insert(rows.into_iter().map(|(id, _)| id).collect())
            }
        };
        let closed = rows.closed.iter().copied().filter(|id| kept.contains(id));
        // A request that is opened again, with a larger reservation, replaces the stored one.
        let replaced = rows.carried.iter().map(|opened| opened.id.0).filter(|id| kept.contains(id));
        let removed: Vec<Uuid> = closed.chain(replaced).collect();
        for ids in removed.chunks(IDS_MAX) {
            with_ids(transaction, FORGET, ids).run().await?;
        }
        for id in removed {
            kept.remove(&id);
        }
        let news: Vec<&OpenRequest> = rows.carried.iter().collect();
        // If a part of the batch is read again, the ends of these requests may already be stored.
        let mut ended = HashSet::new();
        for opened in news.chunks(IDS_MAX) {
            let ids: Vec<Uuid> = opened.iter().map(|opened| opened.id.0).collect();
            let found: Vec<(Uuid,)> = with_ids(transaction, PRESENT, &ids).all().await?;
            ended.extend(found.into_iter().map(|(id,)| id));
        }
        let news: Vec<&OpenRequest> = news.into_iter().filter(|opened| !ended.contains(&opened.id.0)).collect();
        let now = node.store().now();
        let stored = |opened: &OpenRequest| Ok((opened.id.0, opened.to_stored().map_err(|_| UNREADABLE)?));
        let news: Vec<(Uuid, Vec<u8>)> = news.into_iter().map(stored).collect::<Result<_, DatabaseError>>()?;
        OPEN_REQUESTS
            .bulk(transaction, now, &news, |(id, opened), row| {
                row.put(*id).put(node.id()).put(opened.as_slice());
            })
            .await?;
        kept.extend(news.into_iter().map(|(id, _)| id));
        Ok(())
    }
}

fn with_ids<'t>(transaction: &'t mut BulkTransaction, start: &str, ids: &[Uuid]) -> BulkQuery<'t> {
    let text = with_list(transaction.kind(), start, ids.len());
    ids.iter().fold(transaction.query(AssertSqlSafe(text)).once(), |query, id| query.bind(*id))
}

fn with_list(kind: StoreKind, start: &str, ids: usize) -> String {
    let mut text = start.to_owned();
    kind.placeholders(ids, &mut text);
    text
}

/// Returns every SQL text that this module builds.
#[cfg(test)]
pub(crate) fn texts(kind: StoreKind) -> Vec<String> {
    vec![with_list(kind, FORGET, IDS_MAX)]
}
