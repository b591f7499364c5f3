//! Plans: what a user may use, and for what price.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use crate::budget::Budget;

/// A plan's limits. An absent limit is no limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Unique, lowercase: `starter`.
    pub name: String,
    /// The user's quota a UTC day, over all of their keys.
    pub credits_per_day: Option<u64>,
    /// Requests a minute for each key; the burst is as large.
    pub requests_per_minute: Option<NonZeroU32>,
    /// What holds each user beside the quota, over all of their keys; each measure and period once.
    pub budgets: Vec<Budget>,
    /// Whether LLM calls may go with a provider's credential that is not the user's own.
    pub shared_keys: bool,
}

/// Longest name of a plan.
const NAME_LEN_MAX: usize = 64;

impl Plan {
    /// Most credits a day.
    pub const CREDITS_MAX: u64 = Budget::AMOUNT_MAX;
    /// Most requests a minute: what the API's `int32` has room for.
    pub const REQUESTS_MAX: NonZeroU32 = match NonZeroU32::new(i32::MAX.unsigned_abs()) {
        Some(most) => most,
        None => NonZeroU32::MIN,
    };

    /// Whether `name` may name a plan: 1 to 64 of a-z, 0-9, `-`, `_` and `.`.
    #[must_use]
    pub fn is_name(name: &str) -> bool {
        (1..=NAME_LEN_MAX).contains(&name.len())
            && name
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'.'))
    }

    /// A plan that limits nothing.
    #[must_use]
    pub fn unlimited(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            credits_per_day: None,
            requests_per_minute: None,
            budgets: Vec::new(),
            shared_keys: true,
        }
    }
}
