//! The amounts that requests charge to budgets. A daily quota of credits is a budget.

pub use access::limits::budget::{BudgetId, BudgetScope, LimitPeriod, Measure};
use access::{Amount, Credits, NanoUsd, Tokens};

/// The amounts that a request uses, or may use at most. A budget takes the amount of its measure.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Charge {
    /// The amount of credits, in micro-credits.
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

#[cfg(test)]
mod tests {
    use super::*;

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
