//! The price of a plan: an amount per month or year in advance, and charges on usage in arrears.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::amounts::money::{Currency, Money, UnitPrice};

/// The maximum number of charges of a plan.
pub const CHARGES_MAX: usize = 20;
/// The maximum number of tiers of a charge.
pub const TIERS_MAX: usize = 20;
/// The maximum number of models to which a charge is limited.
pub const CHARGE_MODELS_MAX: usize = 100;
/// The maximum length of a charge's name, in characters.
pub const CHARGE_NAME_CHARS_MAX: usize = 100;
/// The longest trial, in days.
pub const TRIAL_DAYS_MAX: u32 = 366;
/// The highest price of a plan: far below the end of `i64`, so that sums of an invoice cannot overflow.
pub const PRICE_MAX: i64 = 1_000_000_000_000_000;
/// The highest markup in millionths: 1,000%.
pub const MARKUP_PPM_MAX: u32 = 10_000_000;

/// The price of a plan, which one plan version contains.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanPrice {
    /// The amount per interval, in advance, without tax.
    pub price: Money,
    /// The length of a period.
    pub interval: BillingInterval,
    /// Days of a trial, which is granted once per user; 0: no trial.
    pub trial_days: u32,
    /// Charges on usage, in arrears.
    pub charges: Vec<PlanCharge>,
}

/// The length of a period of a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BillingInterval {
    /// A period of one calendar month.
    Month,
    /// A period of twelve calendar months.
    Year,
}

/// A charge on the usage of a period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanCharge {
    /// The text of the invoice line.
    pub name: String,
    /// The usage that is charged.
    pub metric: ChargeMetric,
    /// Only usage of these models is charged; empty: all usage.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<String>,
    /// Units per period that are free: requests, credits or tokens; nano-USD for `cost`.
    #[serde(default)]
    pub included: u64,
    /// The computation of the amount.
    #[serde(flatten)]
    pub model: ChargeModel,
}

/// The usage that a charge counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChargeMetric {
    /// Requests of the period.
    Requests,
    /// Credits of the period.
    Credits,
    /// Tokens of all classes.
    Tokens,
    /// The known cost of LLM calls, in nano-USD.
    Cost,
}

/// The computation of a charge's amount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "model", rename_all = "snake_case")]
pub enum ChargeModel {
    /// Each unit has the same price.
    PerUnit {
        /// The price of a unit.
        unit: UnitPrice,
    },
    /// The units of each tier have the price of that tier (graduated).
    Tiered {
        /// Tiers in ascending order; only the last one has no end.
        tiers: Vec<ChargeTier>,
    },
    /// Each package of units that was begun has a price.
    Package {
        /// Units of a package; at least 1.
        size: u64,
        /// The price of a package.
        unit: UnitPrice,
    },
    /// The cost in dollars with a markup, at the exchange rate of each day.
    Cost {
        /// The markup in millionths: 200,000 is 20%.
        markup_ppm: u32,
    },
}

/// A tier of a graduated price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChargeTier {
    /// The last unit that has this price; `None` in the last tier.
    pub up_to: Option<u64>,
    /// The price of a unit.
    pub unit: UnitPrice,
}

/// Why a price of a plan is refused. The message describes the expected value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PlanPriceError {
    /// The price is negative or above [`PRICE_MAX`].
    #[error("a price of at most {PRICE_MAX}, in whole rupiah or nano-USD")]
    Price,
    /// A unit price has another currency than the price.
    #[error("prices of one currency in the whole plan")]
    Currency,
    /// The tiers do not ascend, or the end of one is missing.
    #[error("tiers with ascending `up_to`, where only the last one has none, at most {TIERS_MAX}")]
    Tiers,
    /// A package without units.
    #[error("a package of at least 1 unit")]
    Package,
    /// A metric with a model that does not fit.
    #[error("`cost` with a markup, and other metrics with a price per unit")]
    Metric,
    /// Too many charges, too many models, a name that cannot be printed, or a name that is used twice.
    #[error(
        "at most {CHARGES_MAX} charges, each with another name of 1 to {CHARGE_NAME_CHARS_MAX} visible characters and at \
         most {CHARGE_MODELS_MAX} models"
    )]
    Charges,
    /// The trial is too long.
    #[error("a trial of at most {TRIAL_DAYS_MAX} days")]
    Trial,
    /// The markup is too large.
    #[error("a markup of at most 1000%")]
    Markup,
}

impl BillingInterval {
    /// Calendar months of the interval.
    #[must_use]
    pub const fn months(self) -> u32 {
        match self {
            Self::Month => 1,
            Self::Year => 12,
        }
    }

    /// Returns `month` or `year`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Month => "month",
            Self::Year => "year",
        }
    }

    /// Returns the interval with this name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        [Self::Month, Self::Year].into_iter().find(|interval| interval.as_str() == name)
    }
}

impl ChargeMetric {
    /// Returns the name of a unit on an invoice.
    #[must_use]
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Credits => "credits",
            Self::Tokens => "tokens",
            Self::Cost => "nano-USD",
        }
    }
}

impl PlanPrice {
    /// The maximum of money per year, by which changes of a plan are upgrades or downgrades.
    #[must_use]
    pub const fn per_year(&self) -> i64 {
        match self.interval {
            BillingInterval::Month => self.price.amount.saturating_mul(12),
            BillingInterval::Year => self.price.amount,
        }
    }

    /// Returns the currency of every price of the plan.
    #[must_use]
    pub const fn currency(&self) -> Currency {
        self.price.currency
    }

    /// Checks every bound of the price.
    ///
    /// # Errors
    /// [`PlanPriceError`] names the first value that is refused.
    pub fn check(&self) -> Result<(), PlanPriceError> {
        if !(0..=PRICE_MAX).contains(&self.price.amount) {
            return Err(PlanPriceError::Price);
        }
        if self.trial_days > TRIAL_DAYS_MAX {
            return Err(PlanPriceError::Trial);
        }
        let names: std::collections::BTreeSet<&str> = self.charges.iter().map(|charge| charge.name.as_str()).collect();
        let fit = |charge: &PlanCharge| {
            (1..=CHARGE_NAME_CHARS_MAX).contains(&charge.name.chars().count())
                && crate::text::is_plain(&charge.name)
                && charge.models.len() <= CHARGE_MODELS_MAX
        };
        if self.charges.len() > CHARGES_MAX || names.len() != self.charges.len() || !self.charges.iter().all(fit) {
            return Err(PlanPriceError::Charges);
        }
        self.charges.iter().try_for_each(|charge| charge.check(self.currency()))
    }
}

impl PlanCharge {
    fn check(&self, currency: Currency) -> Result<(), PlanPriceError> {
        let is_of = |unit: &UnitPrice| unit.currency == currency;
        let is_cost = self.metric == ChargeMetric::Cost;
        match &self.model {
            ChargeModel::Cost { markup_ppm } if is_cost && *markup_ppm <= MARKUP_PPM_MAX => Ok(()),
            ChargeModel::Cost { .. } if is_cost => Err(PlanPriceError::Markup),
            ChargeModel::Cost { .. } => Err(PlanPriceError::Metric),
            _ if is_cost => Err(PlanPriceError::Metric),
            ChargeModel::PerUnit { unit } if is_of(unit) => Ok(()),
            ChargeModel::Package { size: 0, .. } => Err(PlanPriceError::Package),
            ChargeModel::Package { unit, .. } if is_of(unit) => Ok(()),
            ChargeModel::Tiered { tiers } if tiers.iter().all(|tier| is_of(&tier.unit)) => check_tiers(tiers),
            ChargeModel::PerUnit { .. } | ChargeModel::Package { .. } | ChargeModel::Tiered { .. } => {
                Err(PlanPriceError::Currency)
            }
        }
    }
}

/// Tiers that overlap would give a unit two prices.
fn check_tiers(tiers: &[ChargeTier]) -> Result<(), PlanPriceError> {
    let Some((last, before)) = tiers.split_last() else { return Err(PlanPriceError::Tiers) };
    let mut end = 0;
    let ascends = before.iter().all(|tier| {
        let next = tier.up_to.filter(|up_to| *up_to > end);
        end = next.unwrap_or(end);
        next.is_some()
    });
    if ascends && last.up_to.is_none() && tiers.len() <= TIERS_MAX { Ok(()) } else { Err(PlanPriceError::Tiers) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(text: &str) -> UnitPrice {
        UnitPrice::parse(text).unwrap()
    }

    fn with(model: ChargeModel) -> PlanPrice {
        let charge = PlanCharge {
            name: "Usage".to_owned(),
            metric: ChargeMetric::Credits,
            models: Vec::new(),
            included: 0,
            model,
        };
        let price = Money::rupiah(150_000);
        PlanPrice { price, interval: BillingInterval::Month, trial_days: 0, charges: vec![charge] }
    }

    #[test]
    fn tiers_that_overlap_are_refused() {
        let tiers = |ends: &[Option<u64>]| ChargeModel::Tiered {
            tiers: ends.iter().map(|up_to| ChargeTier { up_to: *up_to, unit: unit("1 IDR") }).collect(),
        };
        assert_eq!(with(tiers(&[Some(10), Some(20), None])).check(), Ok(()));
        for ends in [&[][..], &[Some(10)], &[None, None], &[Some(10), Some(10), None], &[Some(10), Some(5), None]] {
            assert_eq!(with(tiers(ends)).check(), Err(PlanPriceError::Tiers), "{ends:?}");
        }
        assert_eq!(with(tiers(&[Some(0), None])).check(), Err(PlanPriceError::Tiers));
    }

    #[test]
    fn one_plan_has_one_currency() {
        assert_eq!(with(ChargeModel::PerUnit { unit: unit("1 USD") }).check(), Err(PlanPriceError::Currency));
        assert_eq!(with(ChargeModel::Package { size: 0, unit: unit("1 IDR") }).check(), Err(PlanPriceError::Package));
        assert_eq!(with(ChargeModel::Cost { markup_ppm: 1 }).check(), Err(PlanPriceError::Metric));
        let mut twice = with(ChargeModel::PerUnit { unit: unit("1 IDR") });
        twice.charges.push(twice.charges[0].clone());
        assert_eq!(twice.check(), Err(PlanPriceError::Charges));
        twice.charges.clear();
        twice.price.amount = PRICE_MAX + 1;
        assert_eq!(twice.check(), Err(PlanPriceError::Price));
    }

    #[test]
    fn trials_and_markups_are_bounded_and_a_cost_has_a_markup() {
        let of_cost = |model: ChargeModel| {
            let mut price = with(model);
            price.charges[0].metric = ChargeMetric::Cost;
            price.check()
        };
        assert_eq!(of_cost(ChargeModel::Cost { markup_ppm: MARKUP_PPM_MAX }), Ok(()));
        assert_eq!(of_cost(ChargeModel::Cost { markup_ppm: MARKUP_PPM_MAX + 1 }), Err(PlanPriceError::Markup));
        assert_eq!(of_cost(ChargeModel::PerUnit { unit: unit("1 IDR") }), Err(PlanPriceError::Metric));
        let mut price = with(ChargeModel::PerUnit { unit: unit("1 IDR") });
        price.trial_days = TRIAL_DAYS_MAX;
        assert_eq!(price.check(), Ok(()));
        price.trial_days += 1;
        assert_eq!(price.check(), Err(PlanPriceError::Trial));
    }

    #[test]
    fn a_price_is_stored_and_read_as_json() {
        for model in [
            ChargeModel::PerUnit { unit: unit("0.02 IDR") },
            ChargeModel::Tiered { tiers: vec![ChargeTier { up_to: None, unit: unit("0.3 IDR") }] },
            ChargeModel::Package { size: 1_000, unit: unit("250 IDR") },
            ChargeModel::Cost { markup_ppm: 200_000 },
        ] {
            let price = with(model);
            let text = serde_json::to_string(&price.charges).unwrap();
            assert_eq!(serde_json::from_str::<Vec<PlanCharge>>(&text).unwrap(), price.charges, "{text}");
        }
    }
}
