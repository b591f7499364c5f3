//! The running configuration, for one that replaces it: the state of upstreams is kept, and changes that need a restart are
//! refused.

use std::collections::BTreeMap;
use std::sync::Arc;

use settings::error::{Code, Problem, ValueOrigin};
use settings::place::Place;
use settings::section::SettingsReader;
use settings::section::section_input::SectionInput;
use settings::section::setting::{Setting, Value};
use settings::yaml::YamlNode;
use tls::UpstreamTls;

use crate::compile::CompiledConfig;
use crate::schema::RootInput;
use crate::snapshot::Snapshot;

/// The text of a configuration.
#[derive(Debug, Clone, Copy)]
pub struct ConfigText<'a> {
    /// The name in errors, in place of that of a file.
    pub name: &'a str,
    /// The YAML that is compiled.
    pub text: &'a str,
    /// For a text of the API, the texts whose references it may keep. `None` if the operator of this machine wrote the text:
    /// then it may name any file and variable, and contain secrets.
    pub posted: Option<&'a [Arc<str>]>,
}

/// The configuration of the running process.
#[derive(Debug, Clone, Copy)]
pub struct RunningConfig<'a> {
    /// The settings that are in effect.
    pub settings: &'a [Setting],
    /// The snapshot that is in force.
    pub snapshot: &'a Snapshot,
    /// Whether the configuration may use the mock, because it runs or this process needs none.
    pub has_mock: bool,
    /// The settings of the file with which the process has started, at least those of `etcd`.
    pub started_with: &'a [Setting],
}

impl RunningConfig<'_> {
    /// Returns the TLS of all upstreams.
    pub(crate) fn upstream_tls(&self) -> Vec<Arc<UpstreamTls>> {
        self.snapshot.traffic.tls().cloned().collect()
    }

    /// Reports each key of `compiled` whose change needs a restart. `is_file`: whether it is the file of this process.
    pub(crate) fn check(&self, reader: &SettingsReader<'_>, root: &YamlNode, compiled: &CompiledConfig, is_file: bool) {
        // The process follows its configuration in the cluster with which it started, which the file names: that of a followed
        // configuration is for members only, and may differ.
        let follows_etcd = is_file && self.snapshot.process.config_key.is_some();
        let fixed = |settings: &[Setting], started_with: &[Setting]| -> BTreeMap<String, Value> {
            let fixed = settings.iter().filter(|setting| RootInput::SPEC.needs_restart(&setting.key));
            let of_etcd = started_with.iter().filter(|setting| follows_etcd && setting.key.starts_with("etcd."));
            fixed.chain(of_etcd).map(|setting| (setting.key.clone(), setting.value.clone())).collect()
        };
        let running = fixed(self.settings, self.started_with);
        let new = fixed(&compiled.settings, &compiled.settings);
        let keys = running.keys().chain(new.keys().filter(|key| !running.contains_key(*key)));
        let changed: Vec<&str> = keys.filter(|key| running.get(*key) != new.get(*key)).map(String::as_str).collect();
        for key in once_a_list(&changed) {
            let value = match running.get(key) {
                Some(value) => value.to_string(),
                None if changed.contains(&key) => "not set".to_owned(),
                None => "the same entries".to_owned(),
            };
            let message = format!("`{key}` cannot change while Tollgate runs");
            let problem = Problem::new(Code::NeedsRestart, nearest(root, key), message);
            reader.report(problem.expected(format!("{value}, as in the running configuration, or a restart")));
        }
        self.check_billing_files(reader, root, &compiled.snapshot);
        if compiled.snapshot.traffic.mock.on && !self.has_mock {
            let message = "the mock provider does not run, and cannot begin to run while Tollgate runs";
            let problem = Problem::new(Code::NeedsRestart, nearest(root, "mock"), message);
            reader.report(problem.expected("another provider, or a restart"));
        }
    }
}

impl RunningConfig<'_> {
    /// Reports a configuration that turns billing on although billing needs a file that is read at the start only.
    fn check_billing_files(&self, reader: &SettingsReader<'_>, root: &YamlNode, new: &Snapshot) {
        if self.snapshot.traffic.billing.is_enabled || !new.traffic.billing.is_enabled {
            return;
        }
        let has_mail_file = new.process.mail.as_ref().is_some_and(|mail| mail.ca.is_some());
        let has_webhooks_file = new.traffic.billing.webhooks_ca.is_some();
        let files = [("mail.ca", has_mail_file), ("billing.webhooks_ca", has_webhooks_file)];
        for (key, _) in files.into_iter().filter(|(_, is_set)| *is_set) {
            let message = format!("billing cannot be turned on while Tollgate runs: `{key}` is read at the start");
            let problem = Problem::new(Code::NeedsRestart, nearest(root, "billing.enabled"), message);
            reader.report(problem.expected(format!("no `{key}`, or a restart")));
        }
    }
}

/// Returns the keys, with a list in place of several keys of its entries: an entry more or less changes all that follow.
fn once_a_list<'a>(changed: &[&'a str]) -> Vec<&'a str> {
    let list = |key: &'a str| key.split_once('[').map(|(list, _)| list);
    let mut keys: Vec<&str> = Vec::new();
    for key in changed {
        let of_list = list(key).filter(|of| changed.iter().filter(|other| list(other) == Some(*of)).count() > 1);
        let key = of_list.unwrap_or(key);
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    keys
}

/// Returns the position of the setting, or of the nearest mapping around it that exists.
fn nearest(root: &YamlNode, key: &str) -> ValueOrigin {
    let mut path = key;
    loop {
        if let Some(node) = root.find(path) {
            return node.at;
        }
        match path.rfind(['.', '[']) {
            Some(end) => path = path.get(..end).unwrap_or_default(),
            None => return ValueOrigin::File(Place::START),
        }
    }
}
