//! Integer amounts, one type for each measure. This module uses no floating-point numbers; its divisions round down.
//!
//! A request uses [`Credits`], [`Tokens`] and [`NanoUsd`]. A budget limits one of them: its [`Amount`] has the unit of
//! its [`Measure`](crate::Measure). Conversions are functions with a name, so that no unit changes unnoticed.

use serde::{Deserialize, Serialize};

/// Millionths of a credit, the unit of a plan's quota. A request costs the credits of its route or model, or those of its
/// tokens.
///
/// In text and in JSON it is a decimal number of credits with at most six places: `12`, `0.25`. Limits are whole credits;
/// usage may have a fraction. The store holds up to `i64::MAX` micro-credits, which are 9,223,372,036,854 credits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Credits(pub u64);

/// Tokens of one class, or of all classes of a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
#[repr(transparent)]
pub struct Tokens(pub u64);

/// Billionths of a US dollar. `i64` holds ±9.2 billion dollars.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
#[repr(transparent)]
pub struct NanoUsd(pub i64);

/// An amount of a budget, in the unit of the budget's measure: micro-credits, tokens or nano-USD. A negative amount does
/// not exist.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
#[repr(transparent)]
pub struct Amount(pub u64);

/// Defines the arithmetic of an unsigned amount.
macro_rules! unsigned_arithmetic {
    ($amount:ident) => {
        impl $amount {
            /// An amount of zero.
            pub const ZERO: Self = Self(0);
            /// The largest amount of this type.
            pub const MAX: Self = Self(u64::MAX);

            /// Returns whether the amount is zero.
            #[must_use]
            pub const fn is_zero(self) -> bool {
                self.0 == 0
            }

            /// Returns the sum, limited to the range of `u64`.
            #[must_use]
            pub const fn saturating_add(self, other: Self) -> Self {
                Self(self.0.saturating_add(other.0))
            }

            /// Returns the difference; zero if `other` is larger.
            #[must_use]
            pub const fn saturating_sub(self, other: Self) -> Self {
                Self(self.0.saturating_sub(other.0))
            }
        }
    };
}

unsigned_arithmetic!(Credits);
unsigned_arithmetic!(Tokens);
unsigned_arithmetic!(Amount);

impl Credits {
    /// Micro-credits in a credit.
    pub const MICRO: u64 = 1_000_000;

    /// Returns a number of whole credits, limited to the range of `u64` micro-credits.
    #[must_use]
    pub const fn whole(credits: u64) -> Self {
        Self(credits.saturating_mul(Self::MICRO))
    }

    /// Returns the number of whole credits, rounded down.
    #[must_use]
    pub const fn rounded_down(self) -> u64 {
        self.0 / Self::MICRO
    }

    /// Returns the number of whole credits, rounded up.
    #[must_use]
    pub const fn rounded_up(self) -> u64 {
        self.0.div_ceil(Self::MICRO)
    }

    /// Returns the product, limited to the range of `u64`.
    #[must_use]
    pub const fn saturating_mul(self, count: u64) -> Self {
        Self(self.0.saturating_mul(count))
    }

    /// Returns the number of requests that these credits pay for, if each costs `cost`; zero if `cost` is zero.
    #[must_use]
    pub const fn requests_of(self, cost: Self) -> u64 {
        match self.0.checked_div(cost.0) {
            Some(requests) => requests,
            None => 0,
        }
    }
}

impl NanoUsd {
    /// An amount of zero.
    pub const ZERO: Self = Self(0);
    /// The largest amount of this type.
    pub const MAX: Self = Self(i64::MAX);

    /// Returns the sum, limited to the range of `i64`.
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// Returns the difference; zero if `other` is larger.
    #[must_use]
    pub fn difference_or_zero(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0).max(0))
    }
}

impl Amount {
    /// Returns credits as an amount of a budget of credits.
    #[must_use]
    pub const fn of_credits(credits: Credits) -> Self {
        Self(credits.0)
    }

    /// Returns tokens as an amount of a budget of tokens.
    #[must_use]
    pub const fn of_tokens(tokens: Tokens) -> Self {
        Self(tokens.0)
    }

    /// Returns money as an amount of a budget of money. Budgets count no negative amounts: these become zero.
    #[must_use]
    pub const fn of_money(money: NanoUsd) -> Self {
        Self(if money.0 > 0 { money.0.unsigned_abs() } else { 0 })
    }

    /// Returns an amount of a budget of credits.
    #[must_use]
    pub const fn credits(self) -> Credits {
        Credits(self.0)
    }

    /// Returns an amount of a budget of tokens.
    #[must_use]
    pub const fn tokens(self) -> Tokens {
        Tokens(self.0)
    }

    /// Returns an amount of a budget of money, limited to the range of [`NanoUsd`].
    #[must_use]
    pub const fn money(self) -> NanoUsd {
        NanoUsd(if self.0 > i64::MAX.unsigned_abs() { i64::MAX } else { self.0.cast_signed() })
    }

    /// Returns the sum; `None` if it exceeds the range of `u64`.
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }

    /// Returns the difference; `None` if `other` is larger.
    #[must_use]
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(difference) => Some(Self(difference)),
            None => None,
        }
    }

    /// Returns the product, limited to the range of `u64`.
    #[must_use]
    pub const fn saturating_mul(self, count: u64) -> Self {
        Self(self.0.saturating_mul(count))
    }

    /// Returns one of `parts` equal parts, rounded down; zero if there are no parts.
    #[must_use]
    pub const fn part(self, parts: u64) -> Self {
        match self.0.checked_div(parts) {
            Some(part) => Self(part),
            None => Self(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_of_each_measure_convert_both_ways() {
        for number in [0, 1, i64::MAX.unsigned_abs()] {
            let amount = Amount(number);
            assert_eq!((amount.credits(), amount.tokens()), (Credits(number), Tokens(number)));
            assert_eq!(Amount::of_credits(amount.credits()), amount);
            assert_eq!(Amount::of_tokens(amount.tokens()), amount);
            assert_eq!(Amount::of_money(amount.money()), amount);
        }
    }

    #[test]
    fn money_is_limited_to_its_range_and_never_negative_in_a_budget() {
        assert_eq!((Amount::MAX.money(), Amount(1 << 63).money()), (NanoUsd::MAX, NanoUsd::MAX));
        assert_eq!((Amount::of_money(NanoUsd(-1)), Amount::of_money(NanoUsd(i64::MIN))), (Amount(0), Amount(0)));
        assert_eq!(NanoUsd(3).difference_or_zero(NanoUsd(5)), NanoUsd::ZERO);
        assert_eq!(NanoUsd(5).difference_or_zero(NanoUsd(3)), NanoUsd(2));
        assert_eq!(NanoUsd::MAX.difference_or_zero(NanoUsd(-1)), NanoUsd::MAX);
    }

    #[test]
    fn divisions_by_zero_give_nothing() {
        assert_eq!((Amount(7).part(2), Amount(7).part(0)), (Amount(3), Amount::ZERO));
    }
}
