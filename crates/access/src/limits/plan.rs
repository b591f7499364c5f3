//! Plans: the limits that apply to each user of a plan.

use std::num::NonZeroU32;

use serde::Serialize;

use crate::amounts::amount::Credits;
use crate::limits::budget::{Budget, LimitPeriod, Measure};
use crate::limits::quota_name::QuotaName;
use crate::limits::subscription_window::SubscriptionDates;

/// The limits of a plan. `None` means unlimited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// The unique name, in lowercase: `starter`.
    pub name: String,
    /// The quota of each user per UTC day, in whole credits, for all of their keys together.
    pub credits_per_day: Option<Credits>,
    /// Maximum requests per minute of each user, for all of their keys together; the burst has the same size.
    pub requests_per_minute: Option<NonZeroU32>,
    /// Budgets of each user besides the quota, for all of their keys together; each measure and period at most once.
    pub budgets: Vec<Budget>,
    /// Whether LLM requests may use shared provider credentials.
    pub shared_keys: bool,
}

/// The periods beyond a day in which some plan limits credits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LongPeriods {
    /// Whether it is a week.
    pub week: bool,
    /// Whether it is a month.
    pub month: bool,
}

impl LongPeriods {
    /// Returns the periods of these plans.
    #[must_use]
    pub fn of_plans(plans: &[Plan]) -> Self {
        let limits = |per| plans.iter().any(|plan| plan.limits_credits_per(per));
        Self { week: limits(LimitPeriod::Week), month: limits(LimitPeriod::Month) }
    }

    /// Returns each of the periods.
    pub fn periods(self) -> impl Iterator<Item = LimitPeriod> {
        let Self { week, month } = self;
        week.then_some(LimitPeriod::Week).into_iter().chain(month.then_some(LimitPeriod::Month))
    }
}

/// Maximum length of a plan's name.
const NAME_LEN_MAX: usize = 64;

impl Plan {
    /// Maximum credits per day: the largest whole number of credits that the store can represent.
    pub const CREDITS_MAX: Credits = Credits::whole(Budget::AMOUNT_MAX.credits().rounded_down());
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

    /// Returns the plan of a user with these dates.
    #[must_use]
    pub fn for_subscriber(self, dates: SubscriptionDates) -> Self {
        let mut budgets: Vec<Budget> = self.budgets.iter().map(|budget| budget.for_subscriber(dates)).collect();
        budgets.sort_unstable();
        Self { budgets, ..self }
    }

    /// Returns the name that the operator gave to a budget of this plan.
    #[must_use]
    pub fn quota_name(&self, measure: Measure, per: LimitPeriod) -> Option<QuotaName> {
        self.budgets.iter().find(|budget| budget.measure == measure && budget.per == per)?.name
    }

    /// Returns the quota as a budget, and the budgets.
    pub fn quotas(&self) -> impl Iterator<Item = Budget> {
        self.credits_per_day.map(Budget::quota).into_iter().chain(self.budgets.iter().copied())
    }

    /// Returns the quota and the budgets that limit clients without a user: those of credits.
    pub fn subject_quotas(&self) -> impl Iterator<Item = Budget> {
        self.quotas().filter(|budget| budget.measure == Measure::Credits)
    }

    /// Returns the credits per day that limit a client without a user: the smaller one of the quota and a budget of the day.
    #[must_use]
    pub fn subject_credits_per_day(&self) -> Option<Credits> {
        self.subject_quotas()
            .filter(|budget| budget.per == LimitPeriod::Day)
            .map(|budget| budget.amount.credits())
            .min()
    }

    /// Whether the plan limits credits: it has a quota, or a budget of credits.
    #[must_use]
    pub fn limits_credits(&self) -> bool {
        self.credits_per_day.is_some() || self.budgets.iter().any(|budget| budget.measure == Measure::Credits)
    }

    /// Whether the plan has a budget of credits in this period.
    fn limits_credits_per(&self, per: LimitPeriod) -> bool {
        self.budgets.iter().any(|budget| budget.measure == Measure::Credits && budget.per == per)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smaller_of_quota_and_budget_limits_the_day_of_a_client_without_a_user() {
        let budget = |measure: Measure, per, units| Budget::new(measure, per, measure.limit_of(units));
        let plan = |quota: Option<u64>, budgets| Plan {
            credits_per_day: quota.map(Credits::whole),
            budgets,
            ..Plan::unlimited("partner")
        };
        let of_day = budget(Measure::Credits, LimitPeriod::Day, 50);
        let others =
            vec![budget(Measure::Tokens, LimitPeriod::Day, 1), budget(Measure::Credits, LimitPeriod::Month, 2)];
        assert_eq!(plan(Some(100), vec![of_day]).subject_credits_per_day(), Some(Credits::whole(50)));
        assert_eq!(plan(Some(20), vec![of_day]).subject_credits_per_day(), Some(Credits::whole(20)));
        assert_eq!(plan(None, vec![of_day]).subject_credits_per_day(), Some(Credits::whole(50)));
        assert_eq!(plan(None, others).subject_credits_per_day(), None);
    }
}
