//! Compiles the section `plans`.

use std::num::NonZeroU32;

use access::{Credits, Plan, PlanPrice, WeekStart, Zone};
use settings::field::{Entries, ValueList};
use settings::input::Input;
use settings::section::section_input::SectionInput;
use settings::section::{Location, SettingsReader};

use super::charged_models::ChargedModels;
use super::{UsedNames, budget, plan_price};
use crate::note::Note;
use crate::schema::traffic::{PlanInput, PlanPriceInput};

/// Plans if the file has none: name, credits per day, requests per minute.
const DEFAULT: [(&str, u64, u32); 3] = [("starter", 1_000, 60), ("pro", 10_000, 300), ("business", 100_000, 3_000)];

/// Returns the plans, and the prices of those that are for sale, by name.
pub(super) fn plans(
    reader: &SettingsReader<'_>,
    entries: &mut Entries<PlanInput>,
    charged: &ChargedModels,
    notes: &mut Vec<Note>,
) -> (Vec<Plan>, Vec<(String, PlanPrice)>) {
    if !entries.is_given {
        entries.list = DEFAULT
            .iter()
            .enumerate()
            .map(|(nth, (name, credits, requests))| default_plan(nth, name, *credits, *requests))
            .collect();
    }
    let mut taken = UsedNames::default();
    let mut plans = Vec::new();
    let mut prices = Vec::new();
    for plan in &entries.list {
        let budgets = budget::of_plan(reader, plan);
        let price = plan_price::plan_price(reader, &plan.price);
        let Some(name) = plan.name.as_ref().filter(|name| taken.take(reader, name, "plan")) else {
            continue;
        };
        prices.extend(price.map(|price| (name.value.clone(), price)));
        plans.push(Plan {
            name: name.value.clone(),
            credits_per_day: plan.credits_per_day.as_ref().map(|credits| Credits::whole(credits.value)),
            requests_per_minute: plan.requests_per_minute.as_ref().and_then(|rate| NonZeroU32::new(rate.value)),
            budgets,
            shared_keys: plan.shared_keys.value,
        });
    }
    charged.check(reader, entries, notes);
    (plans, prices)
}

fn default_plan(nth: usize, name: &str, credits: u64, requests: u32) -> PlanInput {
    PlanInput {
        location: Location::unset(format!("plans[{nth}]"), PlanInput::SPEC),
        name: Some(Input::default(name.to_owned())),
        credits_per_day: Some(Input::default(credits)),
        requests_per_minute: Some(Input::default(requests)),
        credits: None,
        shared_keys: Input::default(true),
        budgets: Entries { is_given: false, list: Vec::new() },
        quotas: Entries { is_given: false, list: Vec::new() },
        timezone: Input::default(Zone::UTC),
        week_start: Input::default(WeekStart::Monday),
        models: ValueList { list: Vec::new() },
        aliases: Vec::new(),
        rate_limits: Entries { is_given: false, list: Vec::new() },
        price: PlanPriceInput {
            location: Location::unset(format!("plans[{nth}]"), PlanPriceInput::SPEC),
            price: None,
            interval: None,
            trial: None,
            charges: Entries { is_given: false, list: Vec::new() },
        },
    }
}
