//! The built-in mock in place of providers that are off, which production and sold plans rule out.

use settings::input::{Input, ValueSource};

use super::llm::Providers;
use crate::note::Note;
use crate::resolve::MOCK;
use crate::schema::process::ProcessInput;
use crate::schema::traffic::{ProviderInput, TrafficInput};

/// Turns off the mock that no source names, with `production: true` and where plans are sold: a missing credential must be an
/// outage for customers, and not invented text.
pub(super) fn rule_out(
    process: &ProcessInput,
    traffic: &mut TrafficInput,
    providers: &mut Providers,
    notes: &mut Vec<Note>,
) {
    let Some(because) = reason(process, traffic) else { return };
    let is_unnamed = |name: &Input<String>| name.value == MOCK && name.source == ValueSource::Default;
    let is_added = |entry: &ProviderInput| entry.name.as_ref().is_some_and(is_unnamed);
    if traffic.providers.list.iter().any(is_added) {
        traffic.providers.list.retain(|entry| !is_added(entry));
        providers.mock.on = false;
        if traffic.ai.enabled.value {
            notes.push(Note::NoProvider { because, is_offered: !providers.offered.is_empty() });
        }
    }
}

/// Returns why the mock may not take the place of a provider.
fn reason(process: &ProcessInput, traffic: &TrafficInput) -> Option<&'static str> {
    if process.production.value {
        return Some("`production` is true");
    }
    // The stub takes no money, so no customer relies on a response.
    if traffic.billing.enabled.value && !traffic.billing.stub.value {
        return Some("billing is on");
    }
    let has_budgets =
        traffic.plans.list.iter().any(|plan| !plan.budgets.list.is_empty() || !plan.quotas.list.is_empty());
    if has_budgets { Some("plans have budgets") } else { None }
}
