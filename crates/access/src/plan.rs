//! Plans: what a user may use, and for what price.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

/// A plan's limits. An absent limit is no limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Unique, lowercase: `starter`.
    pub name: String,
    /// The user's quota a UTC day, over all of their keys.
    pub credits_per_day: Option<u64>,
    /// Requests a minute for each key; the burst is as large.
    pub requests_per_minute: Option<NonZeroU32>,
}
