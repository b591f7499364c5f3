//! Conversion of a key to and from its columns.

use access::exchange::key_clients::KeyClient;
use access::{KeyId, KeyNo, UserId};
use serde::Serialize;
use uuid::Uuid;

use crate::columns::bounds_row::BoundsRow;
use crate::columns::labels::stored_labels;
use crate::error::DatabaseError;
use crate::keys::api_keys::{Key, PreviousSecret};
use crate::sql::timestamp;

/// Columns that make a [`KeyRow`].
macro_rules! key_columns {
    () => {
        "id, no, user_id, label, prefix, last4, previous_last4, previous_until, previous_used_at,
        credits_per_day AS key_credits_per_day, requests_per_minute AS key_requests_per_minute, routes, models, addresses,
        control, admin, labels, used_at, used_from, used_client, expires_at, revoked_at, created_at"
    };
}
pub(crate) use key_columns;

#[derive(Debug, sqlx_macros::FromRow)]
pub(crate) struct KeyRow {
    id: Uuid,
    no: i64,
    user_id: Uuid,
    label: String,
    prefix: String,
    last4: String,
    previous_last4: Option<String>,
    previous_until: Option<i64>,
    previous_used_at: Option<i64>,
    #[sqlx(flatten)]
    bounds: BoundsRow,
    admin: bool,
    labels: Option<String>,
    used_at: Option<i64>,
    used_from: Option<String>,
    used_client: Option<String>,
    expires_at: Option<i64>,
    revoked_at: Option<i64>,
    created_at: i64,
}

impl TryFrom<KeyRow> for Key {
    type Error = DatabaseError;

    fn try_from(row: KeyRow) -> Result<Self, DatabaseError> {
        let previous = row.previous_last4.zip(row.previous_until).map(|(last4, until)| PreviousSecret {
            last4,
            until: timestamp(until),
            used_at: row.previous_used_at.map(timestamp),
        });
        Ok(Self {
            id: KeyId(row.id),
            no: KeyNo(row.no),
            user: UserId(row.user_id),
            label: row.label,
            prefix: row.prefix,
            last4: row.last4,
            previous,
            bounds: row.bounds.try_into()?,
            is_admin: row.admin,
            labels: stored_labels(row.labels.as_deref()),
            used_at: row.used_at.map(timestamp),
            used_by: row
                .used_from
                .and_then(|from| from.parse().ok())
                .map(|address| KeyClient { address, client: row.used_client }),
            expires_at: row.expires_at.map(timestamp),
            revoked_at: row.revoked_at.map(timestamp),
            created_at: timestamp(row.created_at),
        })
    }
}

/// Serialises a list for its column; `None` means that no bound is set.
pub(crate) fn list<T: Serialize>(entries: Option<&[T]>) -> Option<String> {
    // Serialising texts and networks cannot fail.
    entries.and_then(|entries| serde_json::to_string(entries).ok())
}
