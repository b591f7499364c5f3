//! Compiles the section `models`.

use std::sync::Arc;

use access::Credits;

use super::UsedNames;
use super::llm::Providers;
use crate::note::Note;
use crate::resolve::MOCK;
use crate::resolve::pattern::ANY;
use crate::schema::field::Entries;
use crate::schema::traffic::{ModelInput, TargetInput};
use crate::section::Reader;
use crate::snapshot::{MockModel, Model, Target};

/// Returns the entries whose provider is on; those of the built-in mock are stored separately until it listens.
pub(super) fn models(
    reader: &Reader<'_>,
    entries: &mut Entries<ModelInput>,
    providers: &mut Providers,
    notes: &mut Vec<Note>,
) -> Vec<Arc<Model>> {
    let mut taken = UsedNames::default();
    let mut models = Vec::new();
    entries.list.retain(|entry| {
        let name = entry.name.as_ref().filter(|name| taken.take(reader, name, "model"));
        let target = entry.targets.as_ref().and_then(|target| target_of(reader, target, providers));
        let (Some(name), Some((provider, model))) = (name, target) else {
            return false;
        };
        if !has_valid_stars(reader, entry) {
            return false;
        }
        let credits = Credits(entry.credits.value.into());
        let (name, model): (Arc<str>, Arc<str>) = (name.value.as_str().into(), model.into());
        if let Some(on) = providers.on.iter().find(|on| *on.name == *provider) {
            let target = Target { provider: Arc::clone(on), model };
            models.push(Arc::new(Model { name, credits, target }));
        } else if provider == MOCK && providers.mock.on {
            providers.mock.models.push(MockModel { name, credits, model });
        } else if providers.mock.on && providers.on.is_empty() {
            // The mock replaces all providers: calls cost the same credits. It gets the names as clients request them.
            notes.push(Note::ModelMocked { model: name.to_string(), provider: provider.to_owned() });
            providers.mock.models.push(MockModel { model: Arc::clone(&name), name, credits });
            return false;
        } else {
            notes.push(Note::ModelOff { model: name.to_string(), provider: provider.to_owned() });
            return false;
        }
        true
    });
    models
}

/// Reports a `*` that is not the last character, and one of a target that the name of the entry lacks.
fn has_valid_stars(reader: &Reader<'_>, entry: &ModelInput) -> bool {
    let (Some(name), Some(target)) = (&entry.name, &entry.targets) else { return true };
    let Some(model) = &target.model else { return true };
    let is_inside = |text: &str| text.strip_suffix(ANY).unwrap_or(text).contains(ANY);
    if is_inside(&name.value) {
        reader.bad(name.at().unwrap_or(entry.location.at), &entry.location.name("name"), "`*` only at the end");
        return false;
    }
    let expected = if is_inside(&model.value) {
        "`*` only at the end"
    } else if model.value.ends_with(ANY) && !name.value.ends_with(ANY) {
        "a model without `*`, as the name of the entry has none"
    } else {
        return true;
    };
    reader.bad(model.at().unwrap_or(target.location.at), &target.location.name("model"), expected);
    false
}

/// Returns the provider of a target, which the file defines, and its model.
fn target_of<'a>(reader: &Reader<'_>, target: &'a TargetInput, providers: &Providers) -> Option<(&'a str, &'a str)> {
    let provider = target.provider.as_ref()?;
    if !providers.names.contains(&provider.value) {
        reader.unknown_name(provider, "provider", providers.names.iter().map(String::as_str));
        return None;
    }
    Some((&provider.value, &target.model.as_ref()?.value))
}
