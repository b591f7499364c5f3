//! All rates of a price at the terms of a request.

use access::Tokens;
use serde::{Deserialize, Serialize};

use crate::rating::{Line, Rates, UnitRates};
use crate::usage::Usage;

/// The rates of a price, without its days and its source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateCard {
    /// Rates of requests up to [`LongRates::above_tokens`] of input, if there is such a bound.
    pub rates: Rates,
    /// Rates of longer requests.
    pub long: Option<LongRates>,
    /// Rates of units other than tokens.
    pub units: UnitRates,
}

/// Higher rates of long requests: they apply to the whole request, including output and caches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LongRates {
    /// The rates apply if all input, including cache reads and writes, exceeds this number of tokens.
    pub above_tokens: Tokens,
    /// The rates that then apply.
    pub rates: Rates,
}

impl RateCard {
    /// Returns the cost of `usage` line by line; a free model may have no line. `None` if the cost is unknown.
    #[must_use]
    pub fn lines(&self, usage: &Usage) -> Option<Vec<Line>> {
        let mut lines = match (usage.has_tokens(), usage.tools.is_empty(), usage.billed) {
            (false, true, Some(billed)) => vec![self.units.line(billed)?],
            (false, ..) if self.is_free() => Vec::new(),
            (false, ..) => return None,
            (true, ..) => {
                let mut lines = self.rates_for(usage).lines(usage)?;
                lines.extend(self.units.tool_lines(&usage.tools)?);
                lines
            }
        };
        lines.extend(self.units.request_line());
        Some(lines)
    }

    /// Whether a token or unit of this class can have this rate, in requests of any length.
    #[must_use]
    pub fn has_rate(&self, class: &str, rate_pico: u64) -> bool {
        let long = self.long.map(|long| long.rates);
        let of_tokens = |rates: &Rates| rates.of_class(class) == Some(rate_pico);
        of_tokens(&self.rates) || long.as_ref().is_some_and(of_tokens) || self.units.of_class(class) == Some(rate_pico)
    }

    /// Whether every token and every unit is free.
    #[must_use]
    pub fn is_free(&self) -> bool {
        self.rates == Rates::flat(0) && self.units == UnitRates::flat(0)
    }

    /// Returns the rates that apply to a request.
    #[must_use]
    pub fn rates_for(&self, usage: &Usage) -> &Rates {
        match &self.long {
            Some(long) if usage.all_input() > Some(long.above_tokens) => &long.rates,
            _ => &self.rates,
        }
    }
}
