//! Compiles the price of a plan.

use std::time::Duration;

use crate::schema::traffic::{ChargeInput, ChargeModelWord, IncludedQuantity, PlanPriceInput};
use access::{BillingInterval, ChargeMetric, ChargeModel, ChargeTier, PlanCharge, PlanPrice};
use settings::error::{Code, Problem};
use settings::section::SettingsReader;

/// Seconds of a day.
const DAY: Duration = Duration::from_secs(86_400);

/// Returns the price of a plan; `None` if the plan is not for sale, or if the price is invalid.
pub(super) fn plan_price(reader: &SettingsReader<'_>, input: &PlanPriceInput) -> Option<PlanPrice> {
    let location = &input.location;
    let Some(price) = &input.price else {
        if ["interval", "trial", "charges"].iter().any(|key| location.has(key)) {
            location.missing(reader, &["price"]);
        }
        return None;
    };
    let charges: Option<Vec<PlanCharge>> = input.charges.list.iter().map(|entry| charge(reader, entry)).collect();
    let days = input.trial.as_ref().map_or(0, |trial| trial.value.as_secs() / DAY.as_secs());
    let compiled = PlanPrice {
        price: price.value,
        interval: input.interval.as_ref().map_or(BillingInterval::Month, |interval| interval.value),
        trial_days: u32::try_from(days).unwrap_or(u32::MAX),
        charges: charges?,
    };
    if input.trial.as_ref().is_some_and(|trial| trial.value != DAY * compiled.trial_days) {
        let message = format!("`{}` is not a number of whole days", location.name("trial"));
        reader.report(Problem::new(Code::BadValue, location.at, message).expected("whole days, such as `14d`"));
        return None;
    }
    match compiled.check() {
        Ok(()) => Some(compiled),
        Err(error) => {
            let message = format!("`{}` has an invalid price", location.path);
            reader.report(Problem::new(Code::BadValue, location.at, message).expected(error.to_string()));
            None
        }
    }
}

fn charge(reader: &SettingsReader<'_>, input: &ChargeInput) -> Option<PlanCharge> {
    let location = &input.location;
    let name = input.name.as_ref()?.value.clone();
    let metric = input.metric.as_ref()?.value;
    let invalid = |expected: &str| {
        let message = format!("`{}` is invalid", location.path);
        reader.report(Problem::new(Code::BadValue, location.at, message).expected(expected));
        None::<PlanCharge>
    };
    let is_cost = metric == ChargeMetric::Cost;
    let included = match input.included.as_ref().map(|included| included.value) {
        None => 0,
        Some(IncludedQuantity::Money(money)) if is_cost => u64::try_from(money.0).unwrap_or(0),
        Some(IncludedQuantity::Units(units)) if !is_cost => units,
        Some(IncludedQuantity::Money(_) | IncludedQuantity::Units(_)) => {
            return invalid("`included` in dollars for `cost`, and a whole number for other metrics");
        }
    };
    let of_units = ["model", "unit", "size", "tiers"];
    let model = if is_cost {
        if of_units.iter().any(|key| location.has(key)) {
            return invalid("only `markup` and `included` for `cost`");
        }
        ChargeModel::Cost { markup_ppm: input.markup.as_ref().map_or(0, |markup| markup.value) }
    } else if location.has("markup") {
        return invalid("`markup` for `cost` only");
    } else {
        let Some(model) = model_of_units(input) else {
            return invalid("`unit` for `per_unit`, `unit` and `size` for `package`, `tiers` for `tiered`");
        };
        model
    };
    let models = input.models.list.iter().map(|model| model.value.clone()).collect();
    Some(PlanCharge { name, metric, models, included, model })
}

/// Returns the model of a charge per unit; `None` if a key of the model is missing, or belongs to another model.
fn model_of_units(input: &ChargeInput) -> Option<ChargeModel> {
    let word = input.model.as_ref().map_or(ChargeModelWord::PerUnit, |model| model.value);
    let unit = input.unit.as_ref().map(|unit| unit.value);
    let size = input.size.as_ref().map(|size| size.value);
    let tiers: Vec<ChargeTier> = input
        .tiers
        .list
        .iter()
        .filter_map(|tier| {
            let up_to = tier.up_to.as_ref().map(|up_to| up_to.value);
            Some(ChargeTier { up_to, unit: tier.unit.as_ref()?.value })
        })
        .collect();
    match (word, unit, size, tiers.is_empty()) {
        (ChargeModelWord::PerUnit, Some(unit), None, true) => Some(ChargeModel::PerUnit { unit }),
        (ChargeModelWord::Package, Some(unit), Some(size), true) => Some(ChargeModel::Package { size, unit }),
        (ChargeModelWord::Tiered, None, None, false) => Some(ChargeModel::Tiered { tiers }),
        (ChargeModelWord::PerUnit | ChargeModelWord::Package | ChargeModelWord::Tiered, ..) => None,
    }
}
