//! Compiles the section `models`.

use std::sync::Arc;

use access::Credits;

use super::UsedNames;
use super::llm::Providers;
use crate::grammar;
use crate::load::Note;
use crate::resolve::MOCK;
use crate::section::{Section, Text};
use crate::snapshot::{MockModel, Model, Target};

/// Longest name of a model, in bytes.
const MODEL_LEN_MAX: usize = 256;
const MODEL: &str = "1 to 256 visible ASCII characters without a space";

/// Returns the entries whose provider is on; those of the built-in mock are stored separately until it listens.
pub(super) fn models(root: &Section<'_>, providers: &mut Providers, notes: &mut Vec<Note>) -> Vec<Arc<Model>> {
    let mut taken = UsedNames::default();
    let mut models = Vec::new();
    for section in root.sections("models", &grammar::MODEL) {
        let name = model_name(&section, "name").filter(|name| taken.take(&section, name, "model"));
        let credits = Credits(section.whole_u32("credits", 0).unwrap_or(1));
        let (Some(name), Some((provider, model))) = (name, target(&section, providers)) else {
            continue;
        };
        let (name, model): (Arc<str>, Arc<str>) = (name.value.into(), model.value.into());
        if let Some(on) = providers.on.iter().find(|on| *on.name == *provider.value) {
            let target = Target { provider: Arc::clone(on), model };
            models.push(Arc::new(Model { name, credits, target }));
        } else if provider.value == MOCK && providers.mock.on {
            providers.mock.models.push(MockModel { name, credits, model });
        } else {
            notes.push(Note::ModelOff { model: name.to_string(), provider: provider.value });
        }
    }
    models
}

pub(super) fn is_model(name: &str) -> bool {
    (1..=MODEL_LEN_MAX).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic())
}

fn model_name(section: &Section<'_>, key: &str) -> Option<Text> {
    let name = section.required(key)?;
    if !is_model(&name.value) {
        section.bad(name.at, key, MODEL);
        return None;
    }
    Some(name)
}

/// Returns the single target: its provider, which the file defines, and its model.
fn target(section: &Section<'_>, providers: &Providers) -> Option<(Text, Text)> {
    if section.get("targets").is_none() {
        section.missing("targets");
        return None;
    }
    let mut targets = section.list("targets");
    let Some((first, path)) = targets.next() else {
        let at = section.get("targets").map_or(section.at, |node| node.at);
        section.bad(at, "targets", "one {provider, model}");
        return None;
    };
    if let Some((second, _)) = targets.next() {
        section.not_yet(second.at, &format!("a second entry of `{}`", section.name("targets")));
    }
    let first = section.reader().section(first, path, &grammar::TARGET)?;
    let model = model_name(&first, "model");
    let provider = first.required("provider")?;
    if !providers.names.contains(&provider.value) {
        first.unknown_name(&provider, "provider", providers.names.iter().map(String::as_str));
        return None;
    }
    Some((provider, model?))
}
