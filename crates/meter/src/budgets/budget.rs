//! The periods of budgets and the amounts that requests charge to them. A daily quota of credits is a budget.

pub use access::limits::budget::{BudgetId, BudgetScope, LimitPeriod, Measure};
use access::{Amount, Credits, Day, NanoUsd, Timestamp, Tokens};
use serde::{Deserialize, Serialize};

/// A UTC day, week or month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Period {
    first: Day,
    per: LimitPeriod,
}

/// The amounts that a request uses, or may use at most. A budget takes the amount of its measure.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Charge {
    /// The amount of credits.
    pub credits: Credits,
    /// The amount of tokens.
    pub tokens: Tokens,
    /// The amount of money.
    pub money: NanoUsd,
    /// The amount of money that pooled budgets count: without calls with the user's own credential.
    pub pooled_money: NanoUsd,
}

impl Charge {
    /// Returns a charge of credits only.
    #[must_use]
    pub const fn credits(credits: Credits) -> Self {
        Self { credits, tokens: Tokens::ZERO, money: NanoUsd::ZERO, pooled_money: NanoUsd::ZERO }
    }

    /// Returns a charge of money only, which all budgets count.
    #[must_use]
    pub const fn money(money: NanoUsd) -> Self {
        Self { credits: Credits::ZERO, tokens: Tokens::ZERO, money, pooled_money: money }
    }

    /// Returns the saturating sum of both charges.
    #[must_use]
    pub const fn and(&self, other: &Self) -> Self {
        Self {
            credits: self.credits.saturating_add(other.credits),
            tokens: self.tokens.saturating_add(other.tokens),
            money: self.money.saturating_add(other.money),
            pooled_money: self.pooled_money.saturating_add(other.pooled_money),
        }
    }

    /// Returns the saturating difference of both charges.
    #[must_use]
    pub fn less(&self, other: &Self) -> Self {
        Self {
            credits: self.credits.saturating_sub(other.credits),
            tokens: self.tokens.saturating_sub(other.tokens),
            money: self.money.difference_or_zero(other.money),
            pooled_money: self.pooled_money.difference_or_zero(other.pooled_money),
        }
    }

    /// Returns the maximum of both charges, for each measure.
    #[must_use]
    pub fn or_more(&self, other: &Self) -> Self {
        Self {
            credits: self.credits.max(other.credits),
            tokens: self.tokens.max(other.tokens),
            money: self.money.max(other.money),
            pooled_money: self.pooled_money.max(other.pooled_money),
        }
    }

    /// Returns the amount of `measure`.
    #[must_use]
    pub const fn amount_of(&self, measure: Measure) -> Amount {
        match measure {
            Measure::Credits => Amount::of_credits(self.credits),
            Measure::Tokens => Amount::of_tokens(self.tokens),
            Measure::Money => Amount::of_money(self.money),
        }
    }

    /// Returns the charge of a call with the user's own credential, whose money pooled budgets do not count.
    #[must_use]
    pub const fn unpooled(self) -> Self {
        Self { pooled_money: NanoUsd::ZERO, ..self }
    }

    /// Returns the amount of money that pooled budgets do not count.
    #[must_use]
    pub fn own_money(&self) -> NanoUsd {
        self.money.difference_or_zero(self.pooled_money)
    }

    /// Returns the amount that a budget counts.
    #[must_use]
    pub const fn counted_by(&self, budget: BudgetId) -> Amount {
        match budget.measure {
            Measure::Money if budget.scope.is_pooled() => Amount::of_money(self.pooled_money),
            measure @ (Measure::Credits | Measure::Tokens | Measure::Money) => self.amount_of(measure),
        }
    }

    /// Returns the charge with a new amount of `measure`, which all budgets count.
    #[must_use]
    pub const fn with(mut self, measure: Measure, amount: Amount) -> Self {
        match measure {
            Measure::Credits => self.credits = amount.credits(),
            Measure::Tokens => self.tokens = amount.tokens(),
            Measure::Money => (self.money, self.pooled_money) = (amount.money(), amount.money()),
        }
        self
    }
}

impl Period {
    /// Returns the period that contains `day`.
    #[must_use]
    pub fn containing(per: LimitPeriod, day: Day) -> Self {
        let first = match per {
            LimitPeriod::Day => day,
            LimitPeriod::Week => Day(day.0.saturating_sub(day_of_week(day))),
            LimitPeriod::Month => Day(day.0.saturating_sub(day_of_month(day) - 1)),
        };
        Self { first, per }
    }

    /// Returns the first day of the period.
    #[must_use]
    pub const fn first(self) -> Day {
        self.first
    }

    /// Returns whether the period is a day, a week or a month.
    #[must_use]
    pub const fn per(self) -> LimitPeriod {
        self.per
    }

    /// Returns the time at which the period ends and the budget resets.
    #[must_use]
    pub fn end(self) -> Timestamp {
        self.next().first.start()
    }

    /// Returns the next period.
    #[must_use]
    pub fn next(self) -> Self {
        let first = match self.per {
            LimitPeriod::Day => self.first.next(),
            // The week of 1970-01-01 began before the first day.
            LimitPeriod::Week => Day(self.first.0.saturating_add(7 - day_of_week(self.first))),
            // 31 days after the first of a month is one of the first four days of the next month.
            LimitPeriod::Month => Period::containing(LimitPeriod::Month, Day(self.first.0.saturating_add(31))).first,
        };
        Self { first, per: self.per }
    }
}

/// Returns 0 for a Monday to 6 for a Sunday. 1970-01-01 was a Thursday.
const fn day_of_week(day: Day) -> u32 {
    (day.0 % 7 + 3) % 7
}

/// Returns 1 to 31. The algorithm uses the proleptic Gregorian calendar with years that begin in March, so that a leap
/// day is the last day (Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`).
fn day_of_month(day: Day) -> u32 {
    const DAYS_BEFORE_1970: u64 = 719_468;
    const DAYS_OF_400_YEARS: u64 = 146_097;
    let of_era = (u64::from(day.0) + DAYS_BEFORE_1970) % DAYS_OF_400_YEARS;
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    u32::try_from(of_year - (153 * month + 2) / 5 + 1).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_begin_on_their_first_calendar_day() {
        // Days since 1970-01-01 of 2024-02-29, 2024-03-01, 2025-12-31, 2100-02-28 (no leap year), 2000-02-29.
        for (day, first, next) in [
            (19_782, 19_754, 19_783),
            (19_783, 19_783, 19_814),
            (20_453, 20_423, 20_454),
            (47_540, 47_513, 47_541),
            (11_016, 10_988, 11_017),
            (0, 0, 31),
        ] {
            let month = Period::containing(LimitPeriod::Month, Day(day));
            assert_eq!((month.first(), month.next().first()), (Day(first), Day(next)), "day {day}");
        }
    }

    #[test]
    fn every_day_of_400_years_is_in_exactly_one_month() {
        let mut month = Period::containing(LimitPeriod::Month, Day(0));
        for day in 0..146_097 {
            let of = Period::containing(LimitPeriod::Month, Day(day));
            if of != month {
                assert_eq!((of, of.first()), (month.next(), Day(day)));
                assert!((28..=31).contains(&(day - month.first().0)));
                month = of;
            }
        }
    }

    #[test]
    fn every_day_of_400_years_is_in_exactly_one_week_that_begins_on_a_monday() {
        let mut week = Period::containing(LimitPeriod::Week, Day(0));
        assert_eq!((week.first(), week.next().first()), (Day(0), Day(4)), "1970-01-05 was a Monday");
        for day in 0..146_097 {
            let of = Period::containing(LimitPeriod::Week, Day(day));
            if of != week {
                assert_eq!((of, of.first()), (week.next(), Day(day)));
                week = of;
            }
            assert!(day - week.first().0 < 7);
        }
        // 2026-11-30 is a Monday.
        assert_eq!(Period::containing(LimitPeriod::Week, Day(20_787)).first(), Day(20_787));
        assert_eq!(Period::containing(LimitPeriod::Week, Day(20_786)).end(), Day(20_787).start());
    }

    #[test]
    fn period_ends_at_midnight() {
        assert_eq!(Period::containing(LimitPeriod::Day, Day(20_000)).end(), Day(20_001).start());
        assert_eq!(Period::containing(LimitPeriod::Month, Day(19_782)).end(), Day(19_783).start());
        assert_eq!(Period::containing(LimitPeriod::Month, Day(u32::MAX)).next().per(), LimitPeriod::Month);
    }

    #[test]
    fn charge_has_an_amount_of_each_measure() {
        let charge = Charge::credits(Credits(1)).with(Measure::Tokens, Amount(2)).with(Measure::Money, Amount(3));
        assert_eq!(
            [Measure::Credits, Measure::Tokens, Measure::Money].map(|part| charge.amount_of(part)),
            [1, 2, 3].map(Amount)
        );
        assert_eq!(charge.with(Measure::Credits, Amount(0)).credits, Credits(0));
    }
}
