//! Loads a configuration that replaces the running one, and compares both.

use std::collections::{BTreeMap, BTreeSet};

use crate::load::{LoadedConfig, Sources, load_in_place_of};
use crate::running::{ConfigText, RunningConfig};
use crate::snapshot::Provider;
use serde::Serialize;
use settings::error::ConfigError;
use settings::section::setting::{Setting, SettingOrigin, Value};

/// Maximum number of changes that [`changes`] returns.
pub const CHANGES_MAX: usize = 100;

/// A setting that two configurations have with different values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The full name; entries of a list with names have theirs in place of the index: `routes[users].path`.
    pub key: String,
    /// The earlier value; `None` if the setting did not exist.
    pub before: Option<Value>,
    /// The new value; `None` if the setting does not exist any more.
    pub after: Option<Value>,
}

/// The sections that find addresses of upstreams.
const SOURCES: [&str; 3] = ["dns", "etcd", "consul"];

/// Reads, checks and compiles a text that replaces the running configuration.
///
/// # Errors
/// Returns a [`ConfigError`] with the problems of the text. A key whose change needs a restart is one of them.
pub fn reload(
    running: &RunningConfig<'_>,
    text: ConfigText<'_>,
    sources: Sources<'_>,
) -> Result<LoadedConfig, ConfigError> {
    load_in_place_of(Some(running), text, sources)?.for_server()
}

/// Returns the settings that differ, at most [`CHANGES_MAX`], in the order of their names, and the number of the others. Values
/// of references are masked. The defaults of an entry that is new or removed are left out: nobody has written them.
#[must_use]
pub fn changes(before: &[Setting], after: &[Setting]) -> (Vec<Change>, usize) {
    let before = by_name(before);
    let mut after = by_name(after);
    let mut all: Vec<Change> = Vec::new();
    for (key, old) in before {
        let new = after.remove(&key);
        let is_other = match new {
            Some(new) => new.value != old.value,
            None => old.from != SettingOrigin::Default,
        };
        if is_other {
            all.push(Change { key, before: Some(shown(old)), after: new.map(shown) });
        }
    }
    after.retain(|_, new| new.from != SettingOrigin::Default);
    all.extend(after.into_iter().map(|(key, new)| Change { key, before: None, after: Some(shown(new)) }));
    all.sort_by(|a, b| a.key.cmp(&b.key));
    let more = all.len().saturating_sub(CHANGES_MAX);
    all.truncate(CHANGES_MAX);
    (all, more)
}

/// Returns the names of providers and upstreams whose requests may reach other servers in `new` than in the running
/// configuration, or that are new or missing in `new`: a removed server returns only as a new one.
#[must_use]
pub fn redirected(running: &RunningConfig<'_>, new: &LoadedConfig) -> BTreeSet<String> {
    let before = by_name(running.settings);
    let after = by_name(new.settings());
    let is_same = |key: &String| before.get(key).map(|old| &old.value) == after.get(key).map(|new| &new.value);
    let keys = before.keys().chain(after.keys());
    let changed: BTreeSet<&str> = keys.filter(|key| !is_same(key)).map(String::as_str).collect();
    let has_other_sources =
        changed.iter().any(|key| SOURCES.contains(&key.split(['.', '[']).next().unwrap_or_default()));
    let upstreams = new.snapshot.traffic.upstreams.iter().map(|upstream| &*upstream.name).filter(|name| {
        let addresses = ["backends", "discover", "tls"].map(|key| format!("upstreams[{name}].{key}"));
        has_other_sources || changed.iter().any(|key| addresses.iter().any(|address| key.starts_with(address)))
    });
    let known = &running.snapshot.traffic;
    let providers = new.snapshot.traffic.known_providers();
    let providers = providers.filter(|new| known.provider(&new.name).is_none_or(|old| !has_same_server(old, new)));
    let kept: BTreeSet<&str> = new.snapshot.traffic.known_providers().map(|provider| &*provider.name).collect();
    // Providers that no file lists return without an address of the file.
    let is_listed = |name: &&str| before.contains_key(&format!("providers[{name}].kind"));
    let removed = known.known_providers().map(|provider| &*provider.name).filter(|name| !kept.contains(name));
    let removed = removed.filter(is_listed);
    let kept: BTreeSet<&str> = new.snapshot.traffic.upstreams.iter().map(|upstream| &*upstream.name).collect();
    let removed_upstreams = known.upstreams.iter().map(|upstream| &*upstream.name).filter(|name| !kept.contains(name));
    let removed = removed.chain(removed_upstreams);
    upstreams.chain(providers.map(|provider| &*provider.name)).chain(removed).map(str::to_owned).collect()
}

fn has_same_server(old: &Provider, new: &Provider) -> bool {
    let [old_tls, new_tls] = [old, new].map(|provider| provider.tls.as_ref().map(|tls| tls.settings()));
    old.origin == new.origin && old_tls == new_tls
}

fn shown(setting: &Setting) -> Value {
    setting.without_reference().value
}

/// Returns the settings by their keys. An entry of a list with a unique name has it in place of the index, so that a new
/// entry does not change the keys of those behind it.
fn by_name(settings: &[Setting]) -> BTreeMap<String, &Setting> {
    let mut names: BTreeMap<&str, &str> = BTreeMap::new();
    for Setting { key, value, .. } in settings {
        if let Some(entry) = key.strip_suffix("].name")
            && let Value::Text(name) = value
            && entry.matches('[').count() == 1
        {
            names.insert(entry, name);
        }
    }
    let mut named: BTreeMap<String, &Setting> = BTreeMap::new();
    for setting in settings {
        let key = &setting.key;
        let renamed = key.split_once(']').and_then(|(entry, rest)| {
            let (list, _) = entry.split_once('[')?;
            Some(format!("{list}[{}]{rest}", names.get(entry)?))
        });
        let renamed = renamed.filter(|renamed| !named.contains_key(renamed));
        named.insert(renamed.unwrap_or_else(|| key.clone()), setting);
    }
    named
}

#[cfg(test)]
mod tests;
