//! Exchange rates of US dollars to rupiah, by day.

use access::Day;

/// Rates with the first day of each, in ascending order.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ExchangeRates(Vec<ExchangeRate>);

/// A rate that applies until the first day of the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ExchangeRate {
    /// The first day of the rate.
    pub from: Day,
    /// Millionths of a rupiah per US dollar.
    pub micro_idr: u64,
}

impl ExchangeRates {
    /// Returns the rates in ascending order of their first days.
    #[must_use]
    pub fn new(mut rates: Vec<ExchangeRate>) -> Self {
        rates.sort_by_key(|rate| rate.from);
        Self(rates)
    }

    /// Returns the rate of a day; `None` before the first rate.
    #[must_use]
    pub fn on(&self, day: Day) -> Option<ExchangeRate> {
        self.0.iter().rev().find(|rate| rate.from <= day).copied()
    }
}
