//! Charges on the usage of a period.

use access::{ChargeMetric, ChargeModel, ChargeTier, Credits, Currency, Day, PlanCharge, UnitPrice};
use thiserror::Error;

use super::exchange::ExchangeRates;
use super::iso_day;
use super::period::BillingPeriod;
use super::proration::share_of_included;
use super::rounding::{AmountOverflow, half_up};

/// Pico units in one unit of a currency.
const PICO: i128 = 1_000_000_000_000;
const NANO: i128 = 1_000_000_000;
const PPM: i128 = 1_000_000;

/// The recorded usage of a user on one UTC day, of all models or of one.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct UsageDay {
    /// The UTC day of admission.
    #[serde(with = "iso_day")]
    pub day: Day,
    /// The model; `None` for the totals of all requests.
    pub model: Option<String>,
    /// Number of requests on the day.
    pub requests: u64,
    /// Credits of the requests.
    pub credits: Credits,
    /// Tokens of all classes.
    pub tokens: u64,
    /// The known cost in nano-USD, without that of the user's own credentials.
    pub cost_nano: u64,
    /// Number of requests without a known cost, except for attempts with the user's own credentials.
    pub unpriced_requests: u64,
}

/// Whole days with one plan version, and the usage of the user.
#[derive(Debug, Clone, Copy)]
pub struct RatedUsage<'a> {
    /// The days with this plan version.
    pub days: BillingPeriod,
    /// The days of the whole period, by which included amounts are shared.
    pub whole_days: u32,
    /// Usage of any days; days outside of `days` are not counted.
    pub usage: &'a [UsageDay],
    /// Exchange rates for `cost`.
    pub rates: &'a ExchangeRates,
}

/// The amount of one charge.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RatedCharge {
    /// Units beyond the included amount.
    pub units: u64,
    /// The price of a unit, if all units have the same one.
    pub unit_price: Option<UnitPrice>,
    /// The amount, in the smallest unit of the currency.
    pub amount: i64,
}

/// Why usage has no amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RatingError {
    /// A day with cost in dollars has no exchange rate.
    #[error("{day} has no exchange rate: add one to billing.exchange")]
    NoRate {
        /// The first day without a rate.
        day: Day,
    },
    /// An amount does not fit.
    #[error(transparent)]
    Overflow(#[from] AmountOverflow),
}

impl RatedUsage<'_> {
    /// Returns the amount of a charge in `currency`; `None` without usage beyond the included amount.
    ///
    /// # Errors
    /// [`RatingError`] names the first day without an exchange rate.
    pub fn rate(&self, charge: &PlanCharge, currency: Currency) -> Result<Option<RatedCharge>, RatingError> {
        let included = share_of_included(charge.included, self.days.days(), self.whole_days);
        let counted = self.beyond(charge, included);
        let units = counted.iter().try_fold(0_u64, |sum, counted| sum.checked_add(counted.units));
        // A part of a credit is not charged.
        let units = units.ok_or(AmountOverflow)? / parts_of_unit(charge.metric);
        if units == 0 {
            return Ok(None);
        }
        let (unit_price, amount) = match &charge.model {
            ChargeModel::PerUnit { unit } => (Some(*unit), priced(priced_units(units, *unit)?, currency)?),
            ChargeModel::Package { size, unit } => {
                (Some(*unit), priced(priced_units(units.div_ceil((*size).max(1)), *unit)?, currency)?)
            }
            ChargeModel::Tiered { tiers } => (None, priced(tiered(units, tiers)?, currency)?),
            ChargeModel::Cost { markup_ppm } => (None, self.cost(&counted, *markup_ppm, currency)?),
        };
        Ok(Some(RatedCharge { units, unit_price, amount }))
    }

    /// Number of requests without a known cost.
    #[must_use]
    pub fn unpriced_requests(&self) -> u64 {
        let totals = self.usage.iter().filter(|of| of.model.is_none() && self.days.contains(of.day));
        totals.fold(0, |sum, of| sum.saturating_add(of.unpriced_requests))
    }

    /// Returns the [parts of units](parts_of_unit) of each day, in the order of days, beyond the included units, which the
    /// first days use.
    fn beyond(&self, charge: &PlanCharge, included: u64) -> Vec<CountedDay> {
        let is_counted = |of: &&UsageDay| match &of.model {
            None => charge.models.is_empty(),
            Some(model) => charge.models.contains(model),
        };
        let mut days: Vec<CountedDay> = self
            .usage
            .iter()
            .filter(|of| self.days.contains(of.day))
            .filter(is_counted)
            .map(|of| CountedDay { day: of.day, units: units_of(of, charge.metric) })
            .collect();
        days.sort_by_key(|counted| counted.day);
        let mut left = included.saturating_mul(parts_of_unit(charge.metric));
        for counted in &mut days {
            let free = counted.units.min(left);
            (counted.units, left) = (counted.units - free, left - free);
        }
        days
    }

    /// Adds the cost of each day at that day's rate, and rounds the sum once.
    fn cost(&self, days: &[CountedDay], markup_ppm: u32, currency: Currency) -> Result<i64, RatingError> {
        let mut sum = 0_i128;
        for counted in days.iter().filter(|counted| counted.units > 0) {
            let rate = match currency {
                // An amount in nano-USD needs no exchange.
                Currency::Usd => NANO * PPM,
                Currency::Idr => {
                    let rate = self.rates.rate_on(counted.day).ok_or(RatingError::NoRate { day: counted.day })?;
                    i128::from(rate.micro_idr)
                }
            };
            let of_day = i128::from(counted.units).checked_mul(rate).ok_or(AmountOverflow)?;
            sum = sum.checked_add(of_day).ok_or(AmountOverflow)?;
        }
        let with_markup = sum.checked_mul(PPM + i128::from(markup_ppm)).ok_or(AmountOverflow)?;
        Ok(half_up(with_markup, NANO * PPM * PPM)?)
    }
}

/// The parts of units of one day: micro-credits, or whole units.
#[derive(Debug, Clone, Copy)]
struct CountedDay {
    day: Day,
    units: u64,
}

/// Returns the parts of which the unit of a metric has this number: a credit has a million micro-credits.
const fn parts_of_unit(metric: ChargeMetric) -> u64 {
    match metric {
        ChargeMetric::Credits => Credits::MICRO,
        ChargeMetric::Requests | ChargeMetric::Tokens | ChargeMetric::Cost => 1,
    }
}

const fn units_of(of: &UsageDay, metric: ChargeMetric) -> u64 {
    match metric {
        ChargeMetric::Requests => of.requests,
        ChargeMetric::Credits => of.credits.0,
        ChargeMetric::Tokens => of.tokens,
        ChargeMetric::Cost => of.cost_nano,
    }
}

/// Returns pico units of the currency.
fn priced_units(units: u64, unit: UnitPrice) -> Result<i128, AmountOverflow> {
    i128::from(units).checked_mul(i128::from(unit.pico)).ok_or(AmountOverflow)
}

/// Adds the price of the units of each tier. The end of a tier belongs to it.
fn tiered(units: u64, tiers: &[ChargeTier]) -> Result<i128, AmountOverflow> {
    let mut sum = 0_i128;
    let mut below = 0_u64;
    for tier in tiers {
        let end = tier.up_to.unwrap_or(u64::MAX).min(units);
        let inside = end.saturating_sub(below);
        sum = sum.checked_add(priced_units(inside, tier.unit)?).ok_or(AmountOverflow)?;
        below = below.max(end);
    }
    Ok(sum)
}

/// Rounds pico units to the smallest unit of the currency.
fn priced(pico: i128, currency: Currency) -> Result<i64, AmountOverflow> {
    match currency {
        Currency::Idr => half_up(pico, PICO),
        Currency::Usd => half_up(pico, PICO / NANO),
    }
}

#[cfg(test)]
mod tests;
