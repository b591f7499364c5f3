//! Notes about calls that servers refuse because of the configuration: `tollgate check` reports them before a client does.

use std::borrow::Cow;
use std::collections::BTreeMap;

use access::{Measure, Plan, Timestamp};
use ai::ProviderKind;

use crate::note::Note;
use crate::snapshot::{Model, Origin, Snapshot, Target, Traffic};

/// A URL in place of the one of the mock provider of a server.
const MOCK: &str = "http://127.0.0.1";
/// The holder of the budgets of `budgets.limits`.
const LIMITS: &str = "budgets.limits";

impl Snapshot {
    /// Whether plans are sold: billing is on, or a plan has a budget.
    #[must_use]
    pub fn sells_plans(&self) -> bool {
        self.traffic.billing.is_enabled || self.traffic.plans.iter().any(|plan| !plan.budgets.is_empty())
    }

    /// Returns a note if plans are for sale but no payment can be taken.
    #[must_use]
    pub fn payments_missing(&self) -> Option<Note> {
        let billing = &self.traffic.billing;
        let is_sold = billing.is_enabled && !self.traffic.plan_prices.is_empty();
        let is_payable = billing.is_stub || self.process.midtrans.server_key.is_some();
        if is_sold && !is_payable { Some(Note::PaymentsMissing) } else { None }
    }
}

impl Traffic {
    /// Returns notes about models and plans whose calls are refused on the day of `at`. Call it before the mock is added.
    #[must_use]
    pub fn refused_calls(&self, at: Timestamp) -> Vec<Note> {
        if self.ai.is_none() {
            return Vec::new();
        }
        let origin = if self.mock.on { Origin::parse(MOCK).ok() } else { None };
        let traffic = match origin {
            Some(origin) => Cow::Owned(self.clone().with_mock(origin)),
            None => Cow::Borrowed(self),
        };
        let plans = traffic.plans.iter().filter_map(|plan| without_models(&traffic, plan));
        unpriced(&traffic, at).into_iter().chain(plans).collect()
    }
}

/// Returns a note for each holder of a budget of money that applies to models without a price, with these models.
fn unpriced(traffic: &Traffic, at: Timestamp) -> Vec<Note> {
    let mut holders: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for model in traffic.models.iter().filter(|model| has_no_price(traffic, model, at)) {
        let Some(holder) = holder(traffic, model) else { continue };
        let target = model.targets.first().map(|target| format!("{}/{}", target.provider.name, target.model));
        let named = format!("{} ({})", model.name, target.unwrap_or_default());
        holders.entry(holder).or_default().push(named);
    }
    holders.into_iter().map(|(holder, models)| Note::ModelsUnpriced { holder, models }).collect()
}

/// Whether no target of an entry has a price. The names of an entry with `*` are not known.
fn has_no_price(traffic: &Traffic, model: &Model, at: Timestamp) -> bool {
    let is_unpriced = |target: &Target| {
        target.provider.kind != ProviderKind::Mock
            && traffic.price(&target.provider, (&target.model, None), at).is_none()
    };
    model.prefix().is_none() && model.targets.iter().all(is_unpriced)
}

/// Returns the holder of a budget of money that applies to calls of this model.
fn holder(traffic: &Traffic, model: &Model) -> Option<String> {
    if traffic.budgets.limits.iter().any(|limit| limit.budget.measure == Measure::Money) {
        return Some(LIMITS.to_owned());
    }
    let has_money = |plan: &&Plan| plan.budgets.iter().any(|budget| budget.measure == Measure::Money);
    let mut plans = traffic.plans.iter().filter(has_money);
    let plan = plans.find(|plan| traffic.serves_in_plan(&plan.name, &model.name))?;
    Some(format!("the plan {}", plan.name))
}

/// Returns a note if a plan names its models, and none of them is served.
fn without_models(traffic: &Traffic, plan: &Plan) -> Option<Note> {
    let listed = traffic.plan_models.get(plan.name.as_str())?.models.as_ref()?;
    let is_of_provider =
        |name: &str| name.split_once('/').is_some_and(|(provider, _)| traffic.provider(provider).is_some());
    let names_provider = listed.iter().any(|name| is_of_provider(name));
    let is_served = names_provider || !traffic.model_names_in_plan(&plan.name).is_empty();
    if is_served { None } else { Some(Note::PlanWithoutModels { plan: plan.name.clone() }) }
}

#[cfg(test)]
mod tests;
