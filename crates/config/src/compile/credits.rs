//! Compiles `credits`, of the file and of plans.

use std::num::NonZeroU32;
use std::sync::Arc;

use access::Credits;
use meter::rating::credit_price::TokenWeights;
use settings::section::SettingsReader;

use crate::schema::traffic::{CreditsInput, FACTORS_MAX, TrafficInput};
use crate::snapshot::{CreditRates, PlanCreditRates};

/// Returns the credits by tokens of all plans.
pub(super) fn credit_rates(reader: &SettingsReader<'_>, traffic: &TrafficInput) -> PlanCreditRates {
    let default = traffic.credits.as_ref().map(|input| rates(reader, input));
    let plans = traffic.plans.list.iter().filter_map(|plan| {
        let rates = rates(reader, plan.credits.as_ref()?);
        Some((plan.name.as_ref()?.value.as_str().into(), rates))
    });
    PlanCreditRates { default, plans: plans.collect() }
}

fn rates(reader: &SettingsReader<'_>, input: &CreditsInput) -> Arc<CreditRates> {
    if let Some((_, beyond)) = input.models.get(FACTORS_MAX) {
        let at = beyond.value_origin().unwrap_or(input.location.at);
        reader.bad(at, &input.location.name("models"), format!("at most {FACTORS_MAX} entries"));
    }
    let weights = TokenWeights {
        input: input.weights.input.value,
        cached_input: input.weights.cached_input.value,
        cache_write: input.weights.cache_write.value,
        output: input.weights.output.value,
    };
    let per_tokens = NonZeroU32::new(input.per_tokens.value).unwrap_or(NonZeroU32::MIN);
    let factors = input.models.iter().take(FACTORS_MAX);
    let factors = factors.map(|(name, factor)| (name.as_str().into(), factor.value)).collect();
    Arc::new(CreditRates::new(weights, per_tokens, Credits(input.minimum.value.0), factors))
}
