//! A configuration that replaces a running one: it keeps the state of upstreams, and refuses changes that need a restart.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;
use tls::UpstreamTls;

use crate::compile::CompiledConfig;
use crate::error::{At, Code, ConfigError, Problem};
use crate::load::{LoadedConfig, Sources, load_in_place_of};
use crate::place::Place;
use crate::schema::{RootInput, SectionInput};
use crate::section::Reader;
use crate::settings::{Setting, Value};
use crate::snapshot::Snapshot;
use crate::yaml::Node;

/// Maximum number of changes that [`changes`] returns.
pub const CHANGES_MAX: usize = 100;

/// The text of a configuration.
#[derive(Debug, Clone, Copy)]
pub struct ConfigText<'a> {
    /// The name in errors, in place of that of a file.
    pub name: &'a str,
    /// The YAML.
    pub text: &'a str,
    /// The files that a text of the API may name, besides others in their folders and in `/run/secrets`. `None` if the
    /// operator of this machine wrote the text: then it may name any file, and contain secrets.
    pub posted: Option<&'a [PathBuf]>,
}

/// The configuration of the running process.
#[derive(Debug, Clone, Copy)]
pub struct RunningConfig<'a> {
    /// The effective settings.
    pub settings: &'a [Setting],
    /// The snapshot that is in force.
    pub snapshot: &'a Snapshot,
    /// Whether the configuration may use the mock, because it runs or this process needs none.
    pub has_mock: bool,
}

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

impl RunningConfig<'_> {
    /// Returns the TLS of all upstreams.
    pub(crate) fn upstream_tls(&self) -> Vec<Arc<UpstreamTls>> {
        self.snapshot.traffic.upstreams.iter().filter_map(|upstream| upstream.tls.clone()).collect()
    }

    /// Reports each key of `compiled` whose change needs a restart.
    pub(crate) fn check(&self, reader: &Reader<'_>, root: &Node, compiled: &CompiledConfig) {
        let fixed = |settings: &[Setting]| -> BTreeMap<String, Value> {
            let fixed = settings.iter().filter(|setting| RootInput::SPEC.needs_restart(&setting.key));
            fixed.map(|setting| (setting.key.clone(), setting.value.clone())).collect()
        };
        let (running, new) = (fixed(self.settings), fixed(&compiled.settings));
        let keys = running.keys().chain(new.keys().filter(|key| !running.contains_key(*key)));
        for key in keys.filter(|key| running.get(*key) != new.get(*key)) {
            let value = running.get(key).map_or_else(|| "not set".to_owned(), ToString::to_string);
            let message = format!("`{key}` cannot change while Tollgate runs");
            let problem = Problem::new(Code::NeedsRestart, nearest(root, key), message);
            reader.report(problem.expected(format!("{value}, as in the running configuration, or a restart")));
        }
        if compiled.snapshot.traffic.mock.on && !self.has_mock {
            let message = "the mock provider does not run, and cannot begin to run while Tollgate runs";
            let problem = Problem::new(Code::NeedsRestart, nearest(root, "mock"), message);
            reader.report(problem.expected("another provider, or a restart"));
        }
    }
}

/// Returns the position of the setting, or of the nearest mapping around it that exists.
fn nearest(root: &Node, key: &str) -> At {
    let mut path = key;
    loop {
        if let Some(node) = root.find(path) {
            return node.at;
        }
        match path.rfind(['.', '[']) {
            Some(end) => path = path.get(..end).unwrap_or_default(),
            None => return At::File(Place::START),
        }
    }
}

/// Returns the settings that differ, at most [`CHANGES_MAX`], in the order of their names, and the number of the others.
#[must_use]
pub fn changes(before: &[Setting], after: &[Setting]) -> (Vec<Change>, usize) {
    let (before, mut after) = (by_name(before), by_name(after));
    let mut all: Vec<Change> = Vec::new();
    for (key, old) in before {
        let new = after.remove(&key);
        if new != Some(old) {
            all.push(Change { key, before: Some(old.clone()), after: new.cloned() });
        }
    }
    all.extend(after.into_iter().map(|(key, new)| Change { key, before: None, after: Some(new.clone()) }));
    all.sort_by(|a, b| a.key.cmp(&b.key));
    let more = all.len().saturating_sub(CHANGES_MAX);
    all.truncate(CHANGES_MAX);
    (all, more)
}

/// Returns the settings by their keys. An entry of a list with a unique name has it in place of the index, so that a new
/// entry does not change the keys of those behind it.
fn by_name(settings: &[Setting]) -> BTreeMap<String, &Value> {
    let mut names: BTreeMap<&str, &str> = BTreeMap::new();
    for Setting { key, value, .. } in settings {
        if let (Some(entry), Value::Text(name)) = (key.strip_suffix("].name"), value)
            && entry.matches('[').count() == 1
        {
            names.insert(entry, name);
        }
    }
    let mut named: BTreeMap<String, &Value> = BTreeMap::new();
    for Setting { key, value, .. } in settings {
        let renamed = key.split_once(']').and_then(|(entry, rest)| {
            let (list, _) = entry.split_once('[')?;
            Some(format!("{list}[{}]{rest}", names.get(entry)?))
        });
        let renamed = renamed.filter(|renamed| !named.contains_key(renamed));
        named.insert(renamed.unwrap_or_else(|| key.clone()), value);
    }
    named
}

#[cfg(test)]
mod tests;
