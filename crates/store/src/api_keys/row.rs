//! Conversion of a key to and from its columns.

use std::num::NonZeroU32;

use access::{Credits, KeyBounds, KeyId, KeyNo, UserId};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::api_keys::{Key, PreviousSecret};
use crate::error::StoreError;
use crate::sql::{timestamp, unsigned};

/// Columns that make a [`KeyRow`].
macro_rules! key_columns {
    () => {
        "id, no, user_id, label, prefix, last4, previous_last4, previous_until, previous_used_at,
        credits_per_day AS key_credits_per_day, requests_per_minute AS key_requests_per_minute, routes, models, addresses,
        used_at, expires_at, revoked_at, created_at"
    };
}
pub(crate) use key_columns;

#[derive(Debug, sqlx::FromRow)]
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
    used_at: Option<i64>,
    expires_at: Option<i64>,
    revoked_at: Option<i64>,
    created_at: i64,
}

/// The columns of a key's bounds.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct BoundsRow {
    key_credits_per_day: Option<i64>,
    key_requests_per_minute: Option<i64>,
    routes: Option<String>,
    models: Option<String>,
    addresses: Option<String>,
}

impl TryFrom<KeyRow> for Key {
    type Error = StoreError;

    fn try_from(row: KeyRow) -> Result<Self, StoreError> {
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
            used_at: row.used_at.map(timestamp),
            expires_at: row.expires_at.map(timestamp),
            revoked_at: row.revoked_at.map(timestamp),
            created_at: timestamp(row.created_at),
        })
    }
}

impl TryFrom<BoundsRow> for KeyBounds {
    type Error = StoreError;

    fn try_from(row: BoundsRow) -> Result<Self, StoreError> {
        let requests = |stored| {
            u32::try_from(stored).ok().and_then(NonZeroU32::new).ok_or_else(|| unreadable("requests_per_minute"))
        };
        Ok(Self {
            credits_per_day: row.key_credits_per_day.map(|credits| Credits(unsigned(credits))),
            requests_per_minute: row.key_requests_per_minute.map(requests).transpose()?,
            routes: read("routes", row.routes)?,
            models: read("models", row.models)?,
            addresses: read("addresses", row.addresses)?,
        })
    }
}

/// Serialises a list for its column; `None` means that no bound is set.
pub(crate) fn list<T: Serialize>(entries: Option<&[T]>) -> Option<String> {
    // Serialising texts and networks cannot fail.
    entries.and_then(|entries| serde_json::to_string(entries).ok())
}

fn read<T: DeserializeOwned>(column: &'static str, stored: Option<String>) -> Result<Option<Vec<T>>, StoreError> {
    stored.map(|text| serde_json::from_str(&text).map_err(|_| unreadable(column))).transpose()
}

const fn unreadable(column: &'static str) -> StoreError {
    StoreError::Unreadable { table: "api_keys", column }
}
