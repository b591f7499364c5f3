//! Sessions, refresh tokens and links that have opened nothing for long.

use std::time::Duration;

use access::Timestamp;
use uuid::Uuid;

use super::{Bounds, PAUSE, ROWS_MAX, delete, first_id};
use crate::error::StoreError;
use crate::pace::Pace;
use crate::statement::{micros, statements};
use crate::store::Store;

/// For so long it can be seen who signed in, and a used refresh token is known as one.
pub(super) const KEPT: Duration = Duration::from_secs(30 * 86_400);

statements! {
    // Made so long ago, each has been used or has expired: none is made for more than 30 days.
    TOKENS = "DELETE FROM refresh_tokens WHERE id IN
        (SELECT id FROM refresh_tokens WHERE id >= $1 AND id < $2 ORDER BY id LIMIT $3) RETURNING id";
    LINKS = "DELETE FROM links WHERE id IN
        (SELECT id FROM links WHERE id >= $1 AND id < $2 ORDER BY id LIMIT $3) RETURNING id";
    // A session may be old and in use: its end counts.
    SESSIONS = "DELETE FROM sessions WHERE id IN (SELECT s.id FROM sessions s WHERE s.expires_at < $1 AND
        NOT EXISTS (SELECT 1 FROM refresh_tokens t WHERE t.session_id = s.id) ORDER BY s.expires_at LIMIT $2) RETURNING id";
}

/// Deletes what was made before a moment, of sessions what expired by then; how many rows.
pub(super) async fn expire(store: &Store, before: Timestamp) -> Result<u64, StoreError> {
    let (mut deleted, mut pace) = (0, Pace::new(store.kind(), ROWS_MAX));
    for (table, by_id) in [(TOKENS, true), (LINKS, true), (SESSIONS, false)] {
        let mut from = Uuid::nil();
        loop {
            let bounds = if by_id { Bounds::Ids(from, first_id(before)) } else { Bounds::Moment(micros(before)) };
            let Some(batch) = delete(store, table, bounds, &mut pace).await? else { break };
            deleted += batch.rows;
            let Some(last) = batch.last else { break };
            from = last;
            tokio::time::sleep(PAUSE).await;
        }
    }
    Ok(deleted)
}
