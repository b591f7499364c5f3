//! The keys of a plan's price: the amount per interval, the trial, and charges on usage.

use std::time::Duration;

use super::forms::ANY_NAME;
use access::amounts::money::{Money, UnitPrice};
use access::amounts::plan_price::{
    CHARGE_MODELS_MAX, CHARGE_NAME_CHARS_MAX, CHARGES_MAX, MARKUP_PPM_MAX, TIERS_MAX, TRIAL_DAYS_MAX,
};
use access::amounts::usd;
use access::{BillingInterval, ChargeMetric, NanoUsd, text};
use settings::field::{Entries, ValueList, list, optional, required, sections};
use settings::form::{DurationForm, FormRefusal, Scalar, TextForm, Whole, Words, accept};
use settings::input::Input;
use settings::section;
use settings::section::setting::Value;
use settings::spec::Rule;

/// One day, in which trials are counted.
const DAY: Duration = Duration::from_secs(86_400);
/// Millionths in one percent.
const PPM_PER_PERCENT: u32 = 10_000;

section! {
    /// The price of a plan.
    PlanPriceInput {
        /// The amount per interval in advance, without tax.
        price: Option<Input<Money>> = optional(PRICE, "not for sale");
        /// The length of a period.
        interval: Option<Input<BillingInterval>> = optional(INTERVAL, "`month`");
        /// Time before the first invoice, in whole days, once per user.
        trial: Option<Input<Duration>> = optional(TRIAL, "none");
        /// Charges on usage, in arrears.
        charges: Entries<ChargeInput> = sections::<ChargeInput>("none").at_most(CHARGES_MAX);
        rules: Rule::Requires("interval", "price"), Rule::Requires("trial", "price"), Rule::Requires("charges", "price");
    }
}

section! {
    /// One charge on usage.
    ChargeInput {
        /// The text of the invoice line.
        name: Option<Input<String>> = required(CHARGE_NAME);
        /// The usage that is charged.
        metric: Option<Input<ChargeMetric>> = required(METRIC);
        /// A price per unit, per unit of a tier, or per begun package. Not for `cost`.
        model: Option<Input<ChargeModelWord>> = optional(MODEL, "`per_unit`");
        /// Only usage of these models.
        models: ValueList<String> = list(ANY_NAME, CHARGE_MODELS_MAX, "all usage");
        /// Free units per period; dollars for `cost`.
        included: Option<Input<IncludedQuantity>> = optional(INCLUDED, "none");
        /// The price of a unit or package.
        unit: Option<Input<UnitPrice>> = optional(UNIT, "");
        /// Units of a package.
        size: Option<Input<u64>> = optional(Whole::<u64>::new(1, COUNT_MAX), "");
        /// Tiers of `tiered`, in ascending order.
        tiers: Entries<ChargeTierInput> = sections::<ChargeTierInput>("none").at_most(TIERS_MAX);
        /// The markup of `cost`.
        markup: Option<Input<u32>> = optional(MARKUP, "`0%`");
    }
}

section! {
    /// One tier of a graduated price.
    ChargeTierInput {
        /// The last unit beyond `included` with this price.
        up_to: Option<Input<u64>> = optional(Whole::<u64>::new(1, COUNT_MAX), "without an end");
        /// The price of a unit.
        unit: Option<Input<UnitPrice>> = required(UNIT);
    }
}

/// The maximum of units in a tier, a package or an included amount.
const COUNT_MAX: u64 = 1_000_000_000_000_000;

/// The values of `charges[].model`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChargeModelWord {
    PerUnit,
    Tiered,
    Package,
}

/// The value of `charges[].included`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IncludedQuantity {
    Units(u64),
    Money(NanoUsd),
}

const INTERVAL: Words<BillingInterval> =
    Words::new(&[("month", BillingInterval::Month), ("year", BillingInterval::Year)]);
const METRIC: Words<ChargeMetric> = Words::new(&[
    ("requests", ChargeMetric::Requests),
    ("credits", ChargeMetric::Credits),
    ("tokens", ChargeMetric::Tokens),
    ("cost", ChargeMetric::Cost),
]);
const MODEL: Words<ChargeModelWord> = Words::new(&[
    ("per_unit", ChargeModelWord::PerUnit),
    ("tiered", ChargeModelWord::Tiered),
    ("package", ChargeModelWord::Package),
]);
const TRIAL: DurationForm = DurationForm::new(DAY, Duration::from_secs(86_400 * TRIAL_DAYS_MAX as u64));
const PRICE: TextForm<Money> = TextForm {
    parse: |text| Money::parse(text).map_err(|error| FormRefusal::Bad(error.to_string())),
    shown: |price| Value::text(price),
    cell: "money, `150000 IDR`",
    pattern: r"^[0-9]+(\.[0-9]+)? (IDR|USD)$",
    scalar: Scalar::Text,
};
const UNIT: TextForm<UnitPrice> = TextForm {
    parse: |text| UnitPrice::parse(text).map_err(|error| FormRefusal::Bad(error.to_string())),
    shown: |price| Value::text(price),
    cell: "money, `0.5 IDR`",
    pattern: r"^[0-9]+(\.[0-9]+)? (IDR|USD)$",
    scalar: Scalar::Text,
};
const INCLUDED: TextForm<IncludedQuantity> = TextForm {
    parse: |text| {
        let units = text.parse().ok().filter(|units| *units <= COUNT_MAX).map(IncludedQuantity::Units);
        let money = || usd::parse_money(text).ok().map(IncludedQuantity::Money);
        units.or_else(money).ok_or_else(|| FormRefusal::Bad("a whole number, or dollars such as \"5 USD\"".to_owned()))
    },
    shown: |included| match included {
        IncludedQuantity::Units(units) => Value::Number(*units),
        IncludedQuantity::Money(money) => Value::Text(usd::written_money(*money)),
    },
    cell: "whole number, or `5 USD` for `cost`",
    pattern: r"^[0-9]+((\.[0-9]+)? USD)?$",
    scalar: Scalar::Number,
};
const CHARGE_NAME: TextForm<String> = TextForm {
    parse: |name| {
        let has_length = (1..=CHARGE_NAME_CHARS_MAX).contains(&name.chars().count());
        accept(name, has_length && text::is_plain(name), "1 to 100 visible characters")
    },
    shown: |name| Value::text(name),
    cell: "1 to 100 characters",
    pattern: "^.{1,100}$",
    scalar: Scalar::Any,
};
/// A percentage with at most four decimal places, in millionths.
const MARKUP: TextForm<u32> = TextForm {
    parse: |text| {
        let ppm = text.strip_suffix('%').and_then(|number| usd::parse(number, 4).ok());
        let ppm = ppm.and_then(|ppm| u32::try_from(ppm).ok()).filter(|ppm| *ppm <= MARKUP_PPM_MAX);
        ppm.ok_or_else(|| FormRefusal::Bad("a percentage from 0% to 1000%".to_owned()))
    },
    shown: |ppm| Value::Text(format!("{}%", usd::written(u64::from(*ppm), PPM_PER_PERCENT.ilog10() as usize))),
    cell: "`0%` to `1000%`",
    pattern: r"^[0-9]+(\.[0-9]+)?%$",
    scalar: Scalar::Text,
};
