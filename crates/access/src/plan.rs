//! Plans: the limits that apply to each user of a plan.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use crate::amount::Credits;
use crate::budget::{Budget, Measure, Per};

/// The limits of a plan. `None` means unlimited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The unique name, in lowercase: `starter`.
    pub name: String,
    /// The quota of each user per UTC day, for all of their keys together.
    pub credits_per_day: Option<Credits>,
    /// Maximum requests per minute for each key; the burst has the same size.
    pub requests_per_minute: Option<NonZeroU32>,
    /// Budgets of each user besides the quota, for all of their keys together; each measure and period at most once.
    pub budgets: Vec<Budget>,
    /// Whether LLM requests may use shared provider credentials.
    pub shared_keys: bool,
}

/// Maximum length of a plan's name.
const NAME_LEN_MAX: usize = 64;

impl Plan {
    /// Maximum credits per day.
    pub const CREDITS_MAX: Credits = Budget::AMOUNT_MAX.credits();
    /// Maximum requests per minute: the maximum of the API's `int32`.
    pub const REQUESTS_MAX: NonZeroU32 = match NonZeroU32::new(i32::MAX.unsigned_abs()) {
        Some(most) => most,
        None => NonZeroU32::MIN,
    };

    /// Whether `name` is a valid name for a plan: 1 to 64 of a-z, 0-9, `-`, `_` and `.`.
    #[must_use]
    pub fn is_name(name: &str) -> bool {
        (1..=NAME_LEN_MAX).contains(&name.len())
            && name
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'.'))
    }

    /// Returns the quota as a budget, and the budgets.
    pub fn quotas(&self) -> impl Iterator<Item = Budget> {
        self.credits_per_day.map(Budget::quota).into_iter().chain(self.budgets.iter().copied())
    }

    /// Returns the quota and the budgets that limit clients without a user: those of credits.
    pub fn subject_quotas(&self) -> impl Iterator<Item = Budget> {
        self.quotas().filter(|budget| budget.measure == Measure::Credits)
    }

    /// Whether the plan limits credits: it has a quota, or a budget of credits.
    #[must_use]
    pub fn limits_credits(&self) -> bool {
        self.credits_per_day.is_some() || self.budgets.iter().any(|budget| budget.measure == Measure::Credits)
    }

    /// Whether the plan has a budget of credits per month.
    #[must_use]
    pub fn limits_credits_a_month(&self) -> bool {
        self.budgets.iter().any(|budget| budget.measure == Measure::Credits && budget.per == Per::Month)
    }

    /// Returns a plan without limits.
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
