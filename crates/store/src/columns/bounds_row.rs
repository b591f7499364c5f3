//! Conversion of a key's bounds from their columns.

use std::num::NonZeroU32;

use access::{ControlScope, Credits, KeyBounds};
use serde::de::DeserializeOwned;

use crate::error::DatabaseError;
use crate::sql::unsigned;

/// The columns of a key's bounds.
#[derive(Debug, sqlx_macros::FromRow)]
pub(crate) struct BoundsRow {
    key_credits_per_day: Option<i64>,
    key_requests_per_minute: Option<i64>,
    routes: Option<String>,
    models: Option<String>,
    addresses: Option<String>,
    control: Option<String>,
}

impl TryFrom<BoundsRow> for KeyBounds {
    type Error = DatabaseError;

    fn try_from(row: BoundsRow) -> Result<Self, DatabaseError> {
        let requests = |stored| {
            u32::try_from(stored).ok().and_then(NonZeroU32::new).ok_or_else(|| unreadable("requests_per_minute"))
        };
        Ok(Self {
            credits_per_day: row.key_credits_per_day.map(|credits| Credits::whole(unsigned(credits))),
            requests_per_minute: row.key_requests_per_minute.map(requests).transpose()?,
            routes: read("routes", row.routes)?,
            models: read("models", row.models)?,
            addresses: read("addresses", row.addresses)?,
            control: row
                .control
                .map(|word| ControlScope::parse(&word).ok_or_else(|| unreadable("control")))
                .transpose()?,
        })
    }
}

fn read<T: DeserializeOwned>(column: &'static str, stored: Option<String>) -> Result<Option<Vec<T>>, DatabaseError> {
    stored.map(|text| serde_json::from_str(&text).map_err(|_| unreadable(column))).transpose()
}

const fn unreadable(column: &'static str) -> DatabaseError {
    DatabaseError::Unreadable { table: "api_keys", column }
}
