//! Exchange rates of US dollars to rupiah, by day.

use access::Day;

use super::iso_day;
use super::period::BillingPeriod;

/// Rates with the first day of each, in ascending order.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ExchangeRates(Vec<ExchangeRate>);

/// A rate that applies until the first day of the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ExchangeRate {
    /// The first day of the rate.
    #[serde(with = "iso_day")]
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

    /// Returns the rates that apply on some day of a period.
    #[must_use]
    pub fn within(&self, days: BillingPeriod) -> Self {
        let first = self.rate_on(days.first_day);
        let later = self.0.iter().filter(|rate| rate.from > days.first_day && rate.from <= days.last_day);
        Self(first.into_iter().chain(later.copied()).collect())
    }

    /// Returns the rate of a day; `None` before the first rate.
    #[must_use]
    pub fn rate_on(&self, day: Day) -> Option<ExchangeRate> {
        self.0.iter().rev().find(|rate| rate.from <= day).copied()
    }
}
