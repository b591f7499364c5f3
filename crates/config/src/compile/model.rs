//! Compiles the section `models`.

use std::sync::Arc;

use access::Credits;

use super::UsedNames;
use super::llm::Providers;
use crate::note::Note;
use crate::resolve::MOCK;
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
        let credits = Credits(entry.credits.value.into());
        let (name, model): (Arc<str>, Arc<str>) = (name.value.as_str().into(), model.into());
        if let Some(on) = providers.on.iter().find(|on| *on.name == *provider) {
            let target = Target { provider: Arc::clone(on), model };
            models.push(Arc::new(Model { name, credits, target }));
        } else if provider == MOCK && providers.mock.on {
            providers.mock.models.push(MockModel { name, credits, model });
        } else {
            notes.push(Note::ModelOff { model: name.to_string(), provider: provider.to_owned() });
            return false;
        }
        true
    });
    models
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
