//! Retention of sessions, refresh tokens and links that have been invalid for long.

use std::time::Duration;

use access::Timestamp;
use store::sql::{micros, statements};
use store::{DatabaseError, Store};
use uuid::Uuid;

use super::deletion::{Bounds, delete};
use super::{PAUSE, ROWS_MAX};
use crate::batch_sizer::BatchSizer;
use crate::row_ids::first_id;

/// For this time, sign-ins remain visible, and a used refresh token is recognised as used.
pub(super) const KEPT: Duration = Duration::from_secs(30 * 86_400);

statements! {
    // Tokens and links of this age are used or expired: none is valid for more than 30 days.
    TOKENS = "DELETE FROM refresh_tokens WHERE id IN
        (SELECT id FROM refresh_tokens WHERE id >= $1 AND id < $2 ORDER BY id LIMIT $3) RETURNING id";
    LINKS = "DELETE FROM links WHERE id IN
        (SELECT id FROM links WHERE id >= $1 AND id < $2 ORDER BY id LIMIT $3) RETURNING id";
    // An old session may still be in use, so its end decides.
    SESSIONS = "DELETE FROM sessions WHERE id IN (SELECT s.id FROM sessions s WHERE s.expires_at < $1 AND
        NOT EXISTS (SELECT 1 FROM refresh_tokens t WHERE t.session_id = s.id) ORDER BY s.expires_at LIMIT $2) RETURNING id";
}

/// Deletes tokens and links created before a time, and sessions expired by then. Returns the number of rows.
pub(super) async fn expire(store: &Store, before: Timestamp) -> Result<u64, DatabaseError> {
    let mut deleted = 0;
    let mut batch_sizer = BatchSizer::new(store.kind(), ROWS_MAX);
    for (table, by_id) in [(TOKENS, true), (LINKS, true), (SESSIONS, false)] {
        let mut from = Uuid::nil();
        loop {
            let bounds = if by_id { Bounds::Ids(from, first_id(before)) } else { Bounds::Moment(micros(before)) };
            let Some(batch) = delete(store, table, bounds, &mut batch_sizer).await? else { break };
            deleted += batch.rows;
            let Some(last) = batch.last else { break };
            from = last;
            tokio::time::sleep(PAUSE).await;
        }
    }
    Ok(deleted)
}
