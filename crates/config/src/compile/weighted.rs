//! Compiles `routes[].upstreams`.

use std::collections::HashMap;

use settings::error::{Code, Problem, ValueOrigin};
use settings::field::{Either, Entries};
use settings::input::Input;
use settings::section::SettingsReader;

use super::upstream::{Upstreams, upstream, with_strategy};
use crate::schema::traffic::{StrategyWord, WeightedUpstreamInput};
use crate::snapshot::{Action, Split, WeightedUpstream};

/// Returns the action of a route that forwards requests, with its own `strategy` if it has one; `None` if an upstream is invalid.
pub(super) fn forward(
    reader: &SettingsReader<'_>,
    input: &Either<String, Entries<WeightedUpstreamInput>>,
    strategy: Option<&Input<StrategyWord>>,
    upstreams: &Upstreams,
) -> Option<Action> {
    let upstream = |name| {
        let found = upstream(reader, name, upstreams)?;
        Some(with_strategy(reader, &found, strategy, upstreams))
    };
    let entries = match input {
        Either::Single(name) => return upstream(name).map(Action::Forward),
        Either::Nested(entries) => entries,
    };
    let mut taken: HashMap<&str, Option<ValueOrigin>> = HashMap::new();
    let mut weighted = Vec::new();
    let mut has_changes = false;
    let mut are_valid = !entries.list.is_empty();
    for WeightedUpstreamInput { name, weight, transformations, .. } in &entries.list {
        let Some(found) = name.as_ref().and_then(upstream) else {
            are_valid = false;
            continue;
        };
        let Some(name) = name else { continue };
        if let Some(first) = taken.insert(&name.value, name.value_origin()) {
            report_second(reader, name, first);
            are_valid = false;
        }
        has_changes |= weight.value > 0 && transformations.is_some();
        // Changes depend on the path of the route.
        weighted.push(WeightedUpstream { upstream: found, weight: weight.value, changes: None });
    }
    if !are_valid {
        return None;
    }
    weighted.retain(|upstream| upstream.weight > 0);
    match weighted.as_slice() {
        [] => {
            let at = entries.list.first().and_then(|entry| entry.weight.value_origin());
            let problem = Problem::new(Code::BadValue, at, "no upstream of the route has a weight above 0");
            reader.report(problem.expected("at least one weight from 1 to 1000000"));
            None
        }
        [only] if !has_changes => Some(Action::Forward(only.upstream.clone())),
        _ => Some(Action::Split(Split { upstreams: weighted })),
    }
}

fn report_second(reader: &SettingsReader<'_>, name: &Input<String>, first: Option<ValueOrigin>) {
    let problem = Problem::new(Code::Duplicate, name.value_origin(), "the route has this upstream already");
    reader.report(problem.expected("one entry per upstream, with the sum of the weights").first(first));
}
