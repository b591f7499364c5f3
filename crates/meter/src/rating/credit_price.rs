//! The price of tokens in credits: weights of classes, summed in `i128` and rounded once, half to even.

use std::num::NonZeroU32;

use access::{Credits, Tokens};

use crate::usage::{TOKEN_CLASS_COUNT, Usage};

/// A weight or a factor in millionths: 1,000,000 is 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Millionths(pub u64);

impl Millionths {
    /// A weight or factor of 1.
    pub const ONE: Self = Self(1_000_000);
}

/// The weight of each class of tokens, in comparison to a token of weight 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenWeights {
    /// Input that no cache had: text, audio and images.
    pub input: Millionths,
    /// Input that was read from a cache.
    pub cached_input: Millionths,
    /// Input that was written to a cache, of any lifetime.
    pub cache_write: Millionths,
    /// Output: text, reasoning, audio and images.
    pub output: Millionths,
}

/// The price of the tokens of one model in credits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CreditPrice {
    /// The weights of the classes.
    pub weights: TokenWeights,
    /// The factor of the model.
    pub factor: Millionths,
    /// The number of tokens of weight 1 that cost a credit with the factor 1.
    pub per_tokens: NonZeroU32,
}

impl TokenWeights {
    /// The weights in the order of [`Usage::classes`].
    const fn of_classes(&self) -> [Millionths; TOKEN_CLASS_COUNT] {
        let Self { input, cached_input, cache_write, output } = *self;
        [input, cached_input, cache_write, cache_write, output, output, input, input, output, output]
    }

    /// Returns the largest weight of input.
    fn most_input(&self) -> Millionths {
        self.input.max(self.cached_input).max(self.cache_write)
    }
}

impl CreditPrice {
    /// Returns the credits of `usage`; unknown classes are left out, and units that are no tokens cost nothing.
    #[must_use]
    pub fn cost(&self, usage: &Usage) -> Credits {
        let classes = usage.classes().into_iter().zip(self.weights.of_classes());
        let weighted = classes.map(|(tokens, weight)| times(tokens.unwrap_or_default(), weight));
        self.rounded(weighted.fold(0, i128::saturating_add))
    }

    /// Returns the highest credits of a call with at most this input and output.
    #[must_use]
    pub fn most(&self, input: Tokens, output: Tokens) -> Credits {
        let input = times(input, self.weights.most_input());
        self.rounded(input.saturating_add(times(output, self.weights.output)))
    }

    /// Returns the largest output with which a call with this input costs at most `left`; `None` if the input alone costs
    /// more.
    #[must_use]
    pub fn output_within(&self, left: Credits, input: Tokens) -> Option<Tokens> {
        let factor = i128::from(self.factor.0.max(1));
        let weighted = i128::from(left.0).saturating_mul(self.divisor()) / factor;
        let rest = weighted.checked_sub(times(input, self.weights.most_input())).filter(|rest| *rest >= 0)?;
        let output = rest / i128::from(self.weights.output.0.max(1));
        Some(Tokens(u64::try_from(output).unwrap_or(u64::MAX)))
    }

    /// A token of weight 1 and factor 1 costs a million millionths of both, which is a credit divided by `per_tokens`.
    fn divisor(&self) -> i128 {
        i128::from(Millionths::ONE.0) * i128::from(self.per_tokens.get())
    }

    /// Returns micro-credits of tokens that are multiplied by their weights in millionths.
    fn rounded(&self, weighted: i128) -> Credits {
        let parts = weighted.saturating_mul(i128::from(self.factor.0));
        let divisor = self.divisor();
        let whole = parts.div_euclid(divisor);
        let twice = parts.rem_euclid(divisor) * 2;
        let up = twice > divisor || (twice == divisor && whole % 2 != 0);
        Credits(u64::try_from(whole + i128::from(up)).unwrap_or(u64::MAX))
    }
}

fn times(tokens: Tokens, weight: Millionths) -> i128 {
    i128::from(tokens.0).saturating_mul(i128::from(weight.0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::usage::Source;

    const WEIGHTS: TokenWeights = TokenWeights {
        input: Millionths::ONE,
        cached_input: Millionths(100_000),
        cache_write: Millionths(1_250_000),
        output: Millionths(5_000_000),
    };

    fn price(factor: u64, per_tokens: u32) -> CreditPrice {
        CreditPrice { weights: WEIGHTS, factor: Millionths(factor), per_tokens: NonZeroU32::new(per_tokens).unwrap() }
    }

    fn usage(classes: [Option<u64>; TOKEN_CLASS_COUNT]) -> Usage {
        Usage::of_classes(Source::Reported, classes.map(|class| class.map(Tokens)))
    }

    #[test]
    fn each_class_has_its_weight_and_each_model_its_factor() {
        let price = price(1_000_000, 1_000);
        let of = |place: usize| {
            let mut classes = [None; TOKEN_CLASS_COUNT];
            classes[place] = Some(1_000);
            price.cost(&usage(classes)).to_string()
        };
        let each: Vec<String> = (0..TOKEN_CLASS_COUNT).map(of).collect();
        assert_eq!(each, ["1", "0.1", "1.25", "1.25", "5", "5", "1", "1", "5", "5"]);
        let double = CreditPrice { factor: Millionths(2_000_000), ..price };
        let call = usage([Some(200_000), None, None, None, Some(4_000), None, None, None, None, None]);
        assert_eq!((price.cost(&call), double.cost(&call)), (Credits::whole(220), Credits::whole(440)));
        assert_eq!(price.cost(&Usage::empty(Source::Reported)), Credits::ZERO);
    }

    #[test]
    fn ties_are_rounded_half_to_even() {
        // One token costs half a micro-credit.
        let price = price(1_000_000, 2_000_000);
        let cost = |tokens| {
            price.most(Tokens::ZERO, Tokens(0)).0 + {
                let mut classes = [None; TOKEN_CLASS_COUNT];
                classes[0] = Some(tokens);
                price.cost(&usage(classes)).0
            }
        };
        assert_eq!([1, 2, 3, 5, 7].map(cost), [0, 1, 2, 2, 4]);
    }

    #[test]
    fn the_largest_usage_saturates() {
        let most = usage([Some(u64::MAX); TOKEN_CLASS_COUNT]);
        assert_eq!(price(1_000_000_000, 1).cost(&most), Credits::MAX);
    }

    fn any_price() -> impl Strategy<Value = CreditPrice> {
        let weight = || (1_u64..=1_000_000_000).prop_map(Millionths);
        let weights = (weight(), weight(), weight(), weight());
        (weights, weight(), 1_u32..=1_000_000_000).prop_map(
            |((input, cached_input, cache_write, output), factor, per)| {
                let weights = TokenWeights { input, cached_input, cache_write, output };
                CreditPrice { weights, factor, per_tokens: NonZeroU32::new(per).unwrap() }
            },
        )
    }

    fn any_usage() -> impl Strategy<Value = Usage> {
        prop::array::uniform10(prop::option::of(0_u64..1 << 32)).prop_map(usage)
    }

    proptest! {
        #[test]
        fn usage_within_the_bound_costs_at_most_the_reservation(price in any_price(), usage in any_usage()) {
            let classes = usage.classes().map(|class| class.unwrap_or_default().0);
            let output = classes[4] + classes[5] + classes[8] + classes[9];
            let input = classes.iter().sum::<u64>() - output;
            prop_assert!(price.cost(&usage) <= price.most(Tokens(input), Tokens(output)));
        }

        #[test]
        fn the_cost_is_the_sum_of_the_classes_within_the_rounding_of_each(price in any_price(), usage in any_usage()) {
            let alone = |place: usize| {
                let mut classes = [None; TOKEN_CLASS_COUNT];
                classes[place] = usage.classes()[place];
                i128::from(price.cost(&Usage::of_classes(Source::Reported, classes)).0)
            };
            let sum: i128 = (0..TOKEN_CLASS_COUNT).map(alone).sum();
            prop_assert!((i128::from(price.cost(&usage).0) - sum).abs() <= 6);
        }

        #[test]
        fn the_lowered_output_fits_and_one_token_more_does_not(price in any_price(), left in 0_u64..1 << 50, input in 0_u64..1 << 32) {
            let left = Credits(left);
            match price.output_within(left, Tokens(input)) {
                Some(output) => {
                    prop_assert!(price.most(Tokens(input), output) <= left);
                    // Two more, because half a micro-credit is rounded away.
                    let more = output.saturating_add(Tokens(2 + u64::try_from(price.divisor()).unwrap() / price.factor.0));
                    prop_assert!(price.most(Tokens(input), more) >= left);
                }
                None => prop_assert!(price.most(Tokens(input), Tokens::ZERO) >= left),
            }
        }
    }
}
