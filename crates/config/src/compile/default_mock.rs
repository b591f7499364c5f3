//! The built-in mock in place of providers that are off, which production rules out.

use settings::input::{Input, ValueSource};

use super::llm::Providers;
use crate::resolve::MOCK;
use crate::schema::process::ProcessInput;
use crate::schema::traffic::{ProviderInput, TrafficInput};

/// Turns off the mock that no source names, with `production: true`: a missing credential must be an outage there, and not
/// invented text.
pub(super) fn rule_out(process: &ProcessInput, traffic: &mut TrafficInput, providers: &mut Providers) {
    let is_unnamed = |name: &Input<String>| name.value == MOCK && name.source == ValueSource::Default;
    let is_added = |entry: &ProviderInput| entry.name.as_ref().is_some_and(is_unnamed);
    if process.production.value && traffic.providers.list.iter().any(is_added) {
        traffic.providers.list.retain(|entry| !is_added(entry));
        providers.mock.on = false;
    }
}
