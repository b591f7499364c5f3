//! Number of keys that have limits of their own.

use crate::error::DatabaseError;
use crate::opening::handle::Store;
use crate::sql::{statements, unsigned};

statements! {
    BOUND = "SELECT count(credits_per_day), max(credits_per_day), count(requests_per_minute), max(requests_per_minute)
        FROM api_keys WHERE revoked_at IS NULL";
}

/// Keys that are not revoked, by the limit that they have in addition to their owner's plan.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BoundKeys {
    /// Keys with a daily quota of credits.
    pub credits_per_day: BoundCount,
    /// Keys with a rate limit.
    pub requests_per_minute: BoundCount,
}

/// Number of keys that have one limit, and its largest value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BoundCount {
    /// Number of keys with the limit.
    pub keys: u64,
    /// Largest value of the limit; `None` if no key has it.
    pub most: Option<u64>,
}

impl Store {
    /// Counts the keys that have limits of their own, and returns the largest limits.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn bound_keys(&self) -> Result<BoundKeys, DatabaseError> {
        let row: (i64, Option<i64>, i64, Option<i64>) = self.query(BOUND).one().await?;
        let bound = |keys, most: Option<i64>| BoundCount { keys: unsigned(keys), most: most.map(unsigned) };
        Ok(BoundKeys { credits_per_day: bound(row.0, row.1), requests_per_minute: bound(row.2, row.3) })
    }
}
