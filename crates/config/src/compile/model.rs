//! Compiles the section `models`.

use std::sync::Arc;
use std::time::Duration;

use access::{Credits, Tokens};
use ai::ProviderPaths;
use ai::hosts::bedrock::has_messages;
use settings::field::Entries;
use settings::input::Input;
use settings::plain::PlainInput;
use settings::section::SettingsReader;

use super::UsedNames;
use super::llm::Providers;
use crate::note::Note;
use crate::resolve::MOCK;
use crate::resolve::pattern::ANY;
use crate::schema::traffic::{ModelInput, TargetInput};
use crate::snapshot::{FallbackRules, MockModel, MockTarget, Model, Target, TargetLimits};

/// Returns the entries whose provider is on, or which a stored credential switches on; those of the built-in mock are stored
/// separately until it listens.
pub(super) fn models(
    reader: &SettingsReader<'_>,
    entries: &mut Entries<ModelInput>,
    providers: &mut Providers,
    notes: &mut Vec<Note>,
) -> Vec<Arc<Model>> {
    let mut taken = UsedNames::default();
    let mut models = Vec::new();
    entries.list.retain(|entry| {
        let name = entry.name.as_ref().filter(|name| taken.take(reader, name, "model"));
        let Some(name) = name else { return false };
        if !has_valid_targets(reader, entry, providers) {
            return false;
        }
        let fallback = rules(reader, entry);
        if has_one_attempt(entry, fallback.as_deref())
            && let Some(place) = place_of_first_content(reader, entry)
        {
            notes.push(Note::FirstContentUnused { place, model: name.value.clone() });
        }
        let credits = Credits::whole(entry.credits.value.into());
        let name: Arc<str> = name.value.as_str().into();
        let mut targets = Vec::new();
        let mut off = Vec::new();
        for target in &entry.targets.list {
            let Some(provider) = &target.provider else { continue };
            let Some(model) = &target.model else { continue };
            let weight: u32 = target.weight.value;
            let model: Arc<str> = model.value.as_str().into();
            let limits = limits(target);
            let prompt_cache = target.prompt_cache.value;
            let adapts = entry.adapt.value;
            let with = |provider, model, limits| MockTarget { provider, model, weight, limits, prompt_cache, adapts };
            if let Some(on) = providers.on.iter().find(|on| *on.name == *provider.value) {
                targets.push(with(Some(Arc::clone(on)), model, limits));
            } else if provider.value == MOCK && providers.mock.on {
                targets.push(with(None, model, limits));
            } else if providers.mock.on && providers.on.is_empty() {
                // The mock replaces all providers: calls cost the same credits. It gets the names as clients request them.
                notes.push(Note::ModelMocked { model: name.to_string(), provider: provider.value.clone() });
                let target = with(None, Arc::clone(&name), None);
                providers.mock.models.push(MockModel { name, credits, targets: vec![target], fallback: None });
                return false;
            } else if let Some(offered) = providers.offered.iter().find(|of| *of.name == *provider.value) {
                // Calls skip it while the client has no stored credential.
                targets.push(with(Some(Arc::clone(offered)), model, limits));
            } else {
                off.push(provider.value.clone());
            }
        }
        let is_off = targets.is_empty();
        notes.extend(off.into_iter().map(|provider| match is_off {
            true => Note::ModelOff { model: name.to_string(), provider },
            false => Note::TargetOff { model: name.to_string(), provider },
        }));
        let on = |target: &MockTarget| {
            let MockTarget { provider, model, weight, limits, prompt_cache, adapts } = target;
            let provider = provider.clone()?;
            let model = Arc::clone(model);
            Some(Target {
                provider,
                model,
                weight: *weight,
                limits: *limits,
                prompt_cache: *prompt_cache,
                adapts: *adapts,
            })
        };
        match targets.iter().map(on).collect::<Option<Box<[Target]>>>() {
            Some(targets) if targets.is_empty() => return false,
            Some(targets) => models.push(Arc::new(Model { name, credits, targets, fallback })),
            None => providers.mock.models.push(MockModel { name, credits, targets, fallback }),
        }
        true
    });
    models
}

/// Returns the place of the time of the first content, if the entry has one.
fn place_of_first_content(reader: &SettingsReader<'_>, entry: &ModelInput) -> Option<String> {
    let place = entry.first_content.as_ref()?.value_origin()?.place()?;
    Some(format!("{}:{}:{}", reader.file(), place.line, place.column))
}

/// Returns the limits of a target, if it has any.
fn limits(target: &TargetInput) -> Option<TargetLimits> {
    let given = target.limits.as_ref()?;
    let limits = TargetLimits {
        requests: given.requests.as_ref().map(|limit| limit.value),
        tokens: given.tokens.as_ref().map(|limit| Tokens(limit.value)),
        concurrent: given.concurrent.as_ref().map(|limit| limit.value),
    };
    (limits != TargetLimits::default()).then_some(limits)
}

/// Whether a call of an entry with these rules has one attempt.
fn has_one_attempt(entry: &ModelInput, rules: Option<&FallbackRules>) -> bool {
    let is_repeated = |rules: &FallbackRules| rules.attempts > 0 && !rules.causes.is_empty();
    entry.targets.list.len() == 1 && !rules.is_some_and(is_repeated)
}

/// Returns the rules of the targets of an entry; `None` if it has one target without limits and a call has one attempt.
fn rules(reader: &SettingsReader<'_>, entry: &ModelInput) -> Option<Box<FallbackRules>> {
    let retry = &entry.retry;
    let cooldown = &entry.cooldown;
    let has_several = entry.targets.list.len() > 1;
    let is_retried = has_several || retry.location.has("attempts");
    let mut times = cooldown.plain();
    if !cooldown.location.has("max") {
        times.max = times.max.max(times.time);
    }
    let rules = FallbackRules {
        strategy: entry.strategy.value,
        attempts: if is_retried { retry.attempts.value } else { 0 },
        within: retry.within.value,
        backoff: retry.backoff.value,
        backoff_max: retry.max_backoff.value,
        causes: retry.on.list.iter().map(|cause| cause.value).collect(),
        cooldown: times,
        sticky: entry.sticky.value,
        first_content: entry.first_content.as_ref().map(|within| within.value),
    };
    let at = |input: &Input<Duration>| input.value_origin().unwrap_or(entry.location.at);
    if rules.within < rules.backoff {
        reader.bad(at(&retry.within), &retry.location.name("within"), "at least `backoff`");
    }
    if rules.cooldown.max < rules.cooldown.time {
        reader.bad(at(&cooldown.max), &cooldown.location.name("max"), "at least `time`");
    }
    let is_limited = entry.targets.list.iter().any(|target| limits(target).is_some());
    (!has_one_attempt(entry, Some(&rules)) || is_limited).then(|| Box::new(rules))
}

/// Reports targets with a provider that the file does not define, with an invalid `*`, without any weight, or that repeat
/// another.
fn has_valid_targets(reader: &SettingsReader<'_>, entry: &ModelInput, providers: &Providers) -> bool {
    let mut known = Vec::new();
    let mut are_valid = !entry.targets.list.is_empty();
    for target in &entry.targets.list {
        let Some((provider, model)) = target.provider.as_ref().zip(target.model.as_ref()) else {
            are_valid = false;
            continue;
        };
        if !providers.names.contains(&provider.value) {
            reader.unknown_name(provider, "provider", providers.names.iter().map(String::as_str));
            are_valid = false;
        }
        are_valid &= has_valid_stars(reader, entry, target) && has_format(reader, target, providers);
        let named = (provider.value.as_str(), model.value.as_str());
        if known.contains(&named) {
            let at = model.value_origin().unwrap_or(target.location.at);
            reader.bad(at, &target.location.name("model"), "a model that no other target of the entry has");
            are_valid = false;
        }
        known.push(named);
    }
    let last = entry.targets.list.last();
    if entry.targets.list.iter().all(|target| target.weight.value == 0)
        && let Some(last) = last
    {
        let at = last.weight.value_origin().unwrap_or(last.location.at);
        reader.bad(at, &last.location.name("weight"), "a weight above 0 for at least one target");
        are_valid = false;
    }
    are_valid
}

/// Reports a model that its endpoint of Bedrock does not serve.
fn has_format(reader: &SettingsReader<'_>, target: &TargetInput, providers: &Providers) -> bool {
    let Some(provider) = &target.provider else { return true };
    let Some(model) = &target.model else { return true };
    let all = providers.on.iter().chain(&providers.offered).chain(&providers.off);
    let is_runtime = all.into_iter().any(|of| *of.name == *provider.value && of.paths == ProviderPaths::BedrockRuntime);
    let known = target.price_as.as_ref().unwrap_or(model);
    if !is_runtime || known.value.ends_with(ANY) || has_messages(&known.value) {
        return true;
    }
    let expected = "a Claude, as `endpoint: runtime` serves no others; `endpoint: mantle` does";
    reader.bad(model.value_origin().unwrap_or(target.location.at), &target.location.name("model"), expected);
    false
}

/// Reports a `*` that is not the last character, and one of a target that the name of the entry lacks.
fn has_valid_stars(reader: &SettingsReader<'_>, entry: &ModelInput, target: &TargetInput) -> bool {
    let Some(name) = &entry.name else { return true };
    let Some(model) = &target.model else { return true };
    let is_inside = |text: &str| text.strip_suffix(ANY).unwrap_or(text).contains(ANY);
    if is_inside(&name.value) {
        reader.bad(
            name.value_origin().unwrap_or(entry.location.at),
            &entry.location.name("name"),
            "`*` only at the end",
        );
        return false;
    }
    let expected = if is_inside(&model.value) {
        "`*` only at the end"
    } else if model.value.ends_with(ANY) && !name.value.ends_with(ANY) {
        "a model without `*`, as the name of the entry has none"
    } else {
        return true;
    };
    reader.bad(model.value_origin().unwrap_or(target.location.at), &target.location.name("model"), expected);
    false
}
