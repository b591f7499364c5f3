//! The limit that refused a request, as it was at that time.

use std::sync::Arc;

use access::{Amount, BudgetScope, Measure, Timestamp};

use crate::admission::BudgetExceeded;
use crate::budgets::counter::RefusalCause;
use crate::limiter::LimitTerms;
use crate::limiter::tokens::TokenUnit;
use crate::limits::RateOwner;
use crate::rate::RateExceeded;

/// A limit, quota or budget that had too little left for a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedLimit {
    /// The scope that the limit belongs to.
    pub owner: LimitOwner,
    /// The unit of the amounts.
    pub unit: LimitUnit,
    /// The name of a rate limit of the configuration; `None` for limits of keys, plans and budgets.
    pub rule: Option<Arc<str>>,
    /// The length of the window or period in seconds; `None` for requests in flight.
    pub window_seconds: Option<u32>,
    /// The maximum amount of the limit.
    pub limit: Amount,
    /// The used and reserved amount; `None` if only other nodes know it.
    pub used: Option<Amount>,
    /// The amount that the request needed.
    pub requested: Amount,
    /// The time at which the limit is unused again, if it is not used further; `None` if that depends on other requests.
    pub full_at: Option<Timestamp>,
}

/// The scope that a limit belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LimitOwner {
    /// A scope that only a later release knows.
    Other,
    /// One key of a user.
    Key,
    /// One user with all of their keys.
    User,
    /// One identity without a key.
    Subject,
    /// All users of a plan together.
    Plan,
    /// All users of the gateway together.
    Gateway,
    /// A rate limit of the configuration.
    Rule,
}

/// The unit of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LimitUnit {
    /// A unit that only a later release knows.
    Other,
    /// Requests in a window.
    Requests,
    /// Requests that are in flight.
    InFlight,
    /// Whole credits, in records of releases before micro-credits.
    WholeCredits,
    /// Tokens of all classes.
    Tokens,
    /// Tokens of the input.
    InputTokens,
    /// Tokens of the output.
    OutputTokens,
    /// Billionths of a US dollar.
    Money,
    /// Millionths of the credits of routes, models and tokens.
    Credits,
}

/// Numbers and words of the enums in this module: a number never changes its meaning.
macro_rules! numbered {
    ($($name:ident { $($variant:ident = $number:literal $word:literal,)* })*) => {$(
        impl $name {
            /// All values in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Returns the number in records and in the store.
            #[must_use]
            pub const fn number(self) -> u8 {
                match self {
                    $(Self::$variant => $number,)*
                }
            }

            /// Returns the value with this number.
            #[must_use]
            pub const fn of_number(number: u8) -> Self {
                match number {
                    $($number => Self::$variant,)*
                    _ => Self::Other,
                }
            }

            /// Returns the word in the API.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }
        }
    )*};
}

numbered! {
    LimitOwner {
        Other = 0 "other",
        Key = 1 "key",
        User = 2 "user",
        Subject = 3 "subject",
        Plan = 4 "plan",
        Gateway = 5 "gateway",
        Rule = 6 "rule",
    }
    LimitUnit {
        Other = 0 "other",
        Requests = 1 "requests",
        InFlight = 2 "requests_in_flight",
        WholeCredits = 3 "credits",
        Tokens = 4 "tokens",
        InputTokens = 5 "input_tokens",
        OutputTokens = 6 "output_tokens",
        Money = 7 "money",
        Credits = 8 "credits",
    }
}

impl RefusedLimit {
    /// Returns the limit of requests a minute of a key or a user's plan, which is used up.
    #[must_use]
    pub fn of_rate(exceeded: &RateExceeded, owner: RateOwner, now: Timestamp) -> Self {
        Self {
            owner: match owner {
                RateOwner::Key => LimitOwner::Key,
                RateOwner::User => LimitOwner::User,
            },
            rule: None,
            window_seconds: Some(60),
            ..Self::used_up(LimitUnit::Requests, exceeded, now)
        }
    }

    /// Returns a rate limit of the configuration which has too little left for a request.
    #[must_use]
    pub fn of_rule(rule: Arc<str>, terms: LimitTerms, exceeded: &RateExceeded, now: Timestamp) -> Self {
        let unit = match terms {
            LimitTerms::Requests(_) => LimitUnit::Requests,
            LimitTerms::Concurrent(_) => LimitUnit::InFlight,
            LimitTerms::Tokens(tokens) => tokens.unit().into(),
        };
        let used_up = Self::used_up(unit, exceeded, now);
        // Requests in flight end when they end.
        let full_at = if unit == LimitUnit::InFlight { None } else { used_up.full_at };
        // Windows may be shorter than a second.
        let window_seconds = terms.window().map(|window| u32::try_from(window.as_millis().div_ceil(1_000)));
        Self { rule: Some(rule), window_seconds: window_seconds.and_then(Result::ok), full_at, ..used_up }
    }

    fn used_up(unit: LimitUnit, exceeded: &RateExceeded, now: Timestamp) -> Self {
        let limit = Amount(exceeded.limit.into());
        let reset_us = u64::try_from(exceeded.reset.as_micros()).unwrap_or(u64::MAX);
        Self {
            owner: LimitOwner::Rule,
            unit,
            rule: None,
            window_seconds: None,
            limit,
            used: Some(limit),
            requested: Amount(1),
            full_at: Some(Timestamp(now.0.saturating_add(reset_us))),
        }
    }

    /// Returns the amount that was left; `None` if only other nodes know it.
    #[must_use]
    pub fn left(&self) -> Option<Amount> {
        self.used.map(|used| self.limit.saturating_sub(used))
    }
}

impl LimitOwner {
    /// Returns whether several users share the limit, so that its amounts reveal the usage of others.
    #[must_use]
    pub const fn is_shared(self) -> bool {
        match self {
            Self::Plan | Self::Gateway | Self::Other => true,
            Self::Key | Self::User | Self::Subject | Self::Rule => false,
        }
    }
}

impl From<BudgetScope> for LimitOwner {
    fn from(scope: BudgetScope) -> Self {
        match scope {
            BudgetScope::Key(_) => Self::Key,
            BudgetScope::User(_) => Self::User,
            BudgetScope::Subject(_) => Self::Subject,
            BudgetScope::Plan(_) => Self::Plan,
            BudgetScope::Global => Self::Gateway,
        }
    }
}

impl From<Measure> for LimitUnit {
    fn from(measure: Measure) -> Self {
        match measure {
            Measure::Credits => Self::Credits,
            Measure::Tokens => Self::Tokens,
            Measure::Money => Self::Money,
        }
    }
}

impl From<TokenUnit> for LimitUnit {
    fn from(unit: TokenUnit) -> Self {
        match unit {
            TokenUnit::All => Self::Tokens,
            TokenUnit::Input => Self::InputTokens,
            TokenUnit::Output => Self::OutputTokens,
        }
    }
}

impl From<&BudgetExceeded> for RefusedLimit {
    fn from(exceeded: &BudgetExceeded) -> Self {
        let BudgetExceeded { budget, period, limit, used, requested, by } = *exceeded;
        let length = period.end().0.saturating_sub(period.begin().start().0) / 1_000_000;
        // Other nodes may have used a part of a leased budget that this node does not know.
        let is_known = by == RefusalCause::Limit || used >= limit;
        Self {
            owner: budget.scope.into(),
            unit: budget.measure.into(),
            rule: None,
            window_seconds: u32::try_from(length).ok(),
            limit,
            used: is_known.then_some(used),
            requested,
            full_at: Some(period.end()),
        }
    }
}

#[cfg(test)]
mod tests {
    use access::{BudgetId, Day, LimitPeriod, UserNo};

    use super::*;
    use crate::budgets::period::Period;

    #[test]
    fn numbers_are_frozen_and_those_of_later_releases_are_other() {
        for (number, owner) in (0..).zip(LimitOwner::ALL) {
            assert_eq!((owner.number(), LimitOwner::of_number(number)), (number, *owner));
        }
        for (number, unit) in (0..).zip(LimitUnit::ALL) {
            assert_eq!((unit.number(), LimitUnit::of_number(number)), (number, *unit));
        }
        assert_eq!((LimitOwner::of_number(7), LimitUnit::of_number(9)), (LimitOwner::Other, LimitUnit::Other));
    }

    #[test]
    fn a_budget_that_refuses_has_its_amounts_and_the_end_of_its_period() {
        let budget = BudgetId { scope: BudgetScope::User(UserNo(1)), measure: Measure::Tokens, per: LimitPeriod::Day };
        let period = Period::containing(LimitPeriod::Day, Day(20_000));
        let exceeded = |used, by| {
            let [limit, used, requested] = [1_000, used, 601].map(Amount);
            RefusedLimit::from(&BudgetExceeded { budget, period, limit, used, requested, by })
        };
        let refused = exceeded(400, RefusalCause::Limit);
        assert_eq!(
            (refused.owner, refused.unit, refused.window_seconds),
            (LimitOwner::User, LimitUnit::Tokens, Some(86_400))
        );
        assert_eq!((refused.used, refused.left()), (Some(Amount(400)), Some(Amount(600))));
        assert_eq!(refused.full_at, Some(Day(20_001).start()));
        assert_eq!(exceeded(400, RefusalCause::Lease).left(), None, "other nodes have a part");
        assert_eq!(exceeded(1_200, RefusalCause::Lease).left(), Some(Amount(0)));
    }
}
