//! How many keys have limits of their own.

use crate::error::StoreError;
use crate::statement::{statements, unsigned};
use crate::store::Store;

statements! {
    BOUND = "SELECT count(credits_per_day), max(credits_per_day), count(requests_per_minute), max(requests_per_minute)
        FROM api_keys WHERE revoked_at IS NULL";
}

/// Keys that are not revoked, by what limits them beside their owner's plan.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BoundKeys {
    /// By a quota of credits a day.
    pub credits_per_day: Bound,
    /// By a rate.
    pub requests_per_minute: Bound,
}

/// Keys that have one limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bound {
    /// How many.
    pub keys: u64,
    /// The largest; `None` where there is none.
    pub most: Option<u64>,
}

impl Store {
    /// How many keys have limits of their own, and the largest of those.
    ///
    /// # Errors
    /// What the database meets.
    pub async fn bound_keys(&self) -> Result<BoundKeys, StoreError> {
        let row: (i64, Option<i64>, i64, Option<i64>) = self.query(BOUND).one().await?;
        let bound = |keys, most: Option<i64>| Bound { keys: unsigned(keys), most: most.map(unsigned) };
        Ok(BoundKeys { credits_per_day: bound(row.0, row.1), requests_per_minute: bound(row.2, row.3) })
    }
}
