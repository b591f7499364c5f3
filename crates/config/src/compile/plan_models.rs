//! Compiles `models` and `aliases` of plans.

use std::collections::BTreeMap;

use settings::error::{Code, Problem};
use settings::field::Entries;
use settings::input::Input;
use settings::section::SettingsReader;

use super::charged_models::ChargedModels;
use crate::resolve::pattern::{ANY, is_match};
use crate::schema::traffic::{ALIASES_MAX, PlanInput};
use crate::snapshot::PlanModels;

/// Returns the models and aliases of the plans that have them, by name.
pub(super) fn plan_models(
    reader: &SettingsReader<'_>,
    plans: &Entries<PlanInput>,
    known: &ChargedModels,
) -> BTreeMap<Box<str>, PlanModels> {
    let mut all = BTreeMap::new();
    for plan in &plans.list {
        let of = PlanModels { models: models(reader, plan, known), aliases: aliases(reader, plan, known) };
        if of == PlanModels::default() {
            continue;
        }
        let Some(name) = &plan.name else { continue };
        all.insert(name.value.as_str().into(), of);
    }
    all
}

/// Returns the models of a plan; `None` if it has all.
fn models(reader: &SettingsReader<'_>, plan: &PlanInput, known: &ChargedModels) -> Option<Box<[Box<str>]>> {
    if !plan.location.has("models") {
        return None;
    }
    let is_valid = |model: &&Input<String>| {
        let name = model.value.as_str();
        let is_known = name.strip_suffix(ANY).map_or_else(|| known.has(name), |beginning| known.begins(beginning));
        if !is_known {
            reader.unknown_name(model, "model", known.names());
        }
        is_known
    };
    Some(plan.models.list.iter().filter(is_valid).map(|model| model.value.as_str().into()).collect())
}

/// Returns the aliases of a plan. Each is the name of a model that the plan includes.
fn aliases(reader: &SettingsReader<'_>, plan: &PlanInput, known: &ChargedModels) -> BTreeMap<Box<str>, Box<str>> {
    let key = plan.location.name("aliases");
    if let Some((_, beyond)) = plan.aliases.get(ALIASES_MAX) {
        reader.bad(beyond.value_origin().unwrap_or(plan.location.at), &key, format!("at most {ALIASES_MAX} entries"));
    }
    let mut aliases = BTreeMap::new();
    for (alias, model) in plan.aliases.iter().take(ALIASES_MAX) {
        let name = model.value.as_str();
        if !known.has(name) {
            reader.unknown_name(model, "model", known.names());
        } else if !includes(plan, known, name) {
            let message = format!("`{key}` has a model that `models` of the plan does not include");
            let problem = Problem::new(Code::UnknownName, model.value_origin(), message);
            reader.report(problem.expected("a model that `models` includes"));
        } else {
            aliases.insert(alias.as_str().into(), name.into());
        }
    }
    aliases
}

/// Whether the plan includes this name, by itself, by its entry, or by each target of its entry.
fn includes(plan: &PlanInput, known: &ChargedModels, name: &str) -> bool {
    let lists = |name: &str| plan.models.list.iter().any(|model| is_match(&model.value, name));
    let by_entry = || {
        let entry = known.entry(name)?;
        Some(lists(entry.name) || entry.targets.iter().all(|target| lists(target)))
    };
    !plan.location.has("models") || lists(name) || by_entry().unwrap_or(false)
}
