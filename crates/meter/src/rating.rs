//! Prices to money: pico-USD per token, summed in `i128`, rounded once, half to even.

use access::NanoUsd;
use serde::{Deserialize, Serialize};

use crate::usage::Usage;

const PICO_PER_NANO: i128 = 1_000;

/// What a token of each class costs, in pico-USD (1 USD per million tokens is 1,000,000).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rates {
    /// Input that no cache had.
    pub input: u64,
    /// Input read from a cache.
    pub cached_input: u64,
    /// Input written to a cache of the short lifetime.
    pub cache_write_short: u64,
    /// Input written to a cache of the long lifetime.
    pub cache_write_long: u64,
    /// Output; reasoning costs the same.
    pub output: u64,
}

impl Rates {
    /// The cost of `usage`, rounded to nano-USD once; a class that is not known costs nothing.
    ///
    /// `None` where no class is known at all: an unknown cost is never zero.
    #[must_use]
    pub fn cost(&self, usage: &Usage) -> Option<NanoUsd> {
        let rates =
            [self.input, self.cached_input, self.cache_write_short, self.cache_write_long, self.output, self.output];
        let mut known = false;
        let mut pico: i128 = 0;
        for (tokens, rate) in usage.classes().into_iter().zip(rates) {
            if let Some(tokens) = tokens {
                known = true;
                pico = pico.saturating_add(i128::from(tokens).saturating_mul(i128::from(rate)));
            }
        }
        known.then(|| NanoUsd(half_to_even(pico)))
    }
}

fn half_to_even(pico: i128) -> i64 {
    let (whole, rest) = (pico.div_euclid(PICO_PER_NANO), pico.rem_euclid(PICO_PER_NANO));
    let up = rest * 2 > PICO_PER_NANO || (rest * 2 == PICO_PER_NANO && whole % 2 != 0);
    i64::try_from(whole + i128::from(up)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::Source;

    #[test]
    fn ties_round_to_even() {
        for (pico, nano) in [(0, 0), (499, 0), (500, 0), (501, 1), (1_500, 2), (2_500, 2), (2_501, 3), (3_500, 4)] {
            assert_eq!(half_to_even(pico), nano, "{pico}");
        }
    }

    /// Claude Code's own figure for this usage (claude-opus-4-8 at 5, 25, 6.25 and 0.5 USD) is $0.00016475.
    #[test]
    fn a_cached_answer_costs_what_the_client_computes() {
        let rates = Rates {
            input: 5_000_000,
            cached_input: 500_000,
            cache_write_short: 6_250_000,
            cache_write_long: 10_000_000,
            output: 25_000_000,
        };
        let usage = Usage {
            input: Some(11),
            cached_input: Some(7),
            cache_write_short: Some(5),
            output: Some(3),
            ..Usage::empty(Source::Reported)
        };
        assert_eq!(rates.cost(&usage), Some(NanoUsd(164_750)));
    }

    #[test]
    fn unknown_usage_has_no_cost_and_a_true_zero_costs_zero() {
        let rates = Rates { input: 1, cached_input: 1, cache_write_short: 1, cache_write_long: 1, output: 1 };
        let empty = Usage::empty(Source::Reported);
        assert_eq!(rates.cost(&empty), None);
        assert_eq!(rates.cost(&Usage { output: Some(0), ..empty }), Some(NanoUsd(0)));
    }
}
