//! Settings from variables, such as `TOLLGATE_STORE__URL`, and from those of OpenTelemetry.

mod opentelemetry;

use settings::environment::Environment;
use settings::overlay::SettingNames;
use settings::section::SettingsReader;
use settings::section::section_input::SectionInput;
use settings::yaml::{Kind, YamlNode};

use crate::note::Note;
use crate::schema::RootInput;

/// `TOLLGATE_CONFIG` is the path of the file, `TOLLGATE_KEY` a client's API key, `TOLLGATE_TEST_*` are parameters of tests.
const NAMES: SettingNames = SettingNames {
    prefix: "TOLLGATE_",
    named: &[
        ("ADDR", &["control", "listen"], ""),
        ("DATABASE_URL", &["store", "url"], ""),
        ("EXAMPLES_DIR", &["examples_dir"], ""),
        ("MAX_CONNECTIONS", &["control", "connections", "max"], ""),
        ("MIDTRANS_CLIENT_KEY", &["midtrans", "client_key"], ""),
        ("MIDTRANS_SERVER_KEY", &["midtrans", "server_key"], ""),
        ("MOCK", &["mock"], ""),
        ("REDIS_URL", &["redis"], ""),
        ("TIMEOUT_SECONDS", &["control", "timeout"], "s"),
    ],
    others: &["CONFIG", "KEY", "TEST_*"],
    root: RootInput::SPEC,
};

/// The keys of which a variable that replaces the value of the file is noted.
const STORE: &str = "store.url";
const LISTENERS: &str = "listen";

/// Merges the variables into `root`. Reports their problems and adds notes.
pub(crate) fn lay(reader: &SettingsReader<'_>, root: &mut YamlNode, environment: &Environment, notes: &mut Vec<Note>) {
    if !matches!(root.kind, Kind::Map(_) | Kind::Null) {
        return;
    }
    // A text of the API has no note, and its references are not checked yet.
    let watched: &[_] = if reader.is_of_api() { &[] } else { &[STORE, LISTENERS] };
    let overruling = NAMES.lay(reader, root, environment, watched);
    notes.extend(overruling.into_iter().map(|(key, variable)| match key {
        LISTENERS => Note::ListenersFromEnvironment { variable },
        _ => Note::StoreFromEnvironment { variable },
    }));
    let settings = opentelemetry::settings(reader, root, environment);
    notes.extend(opentelemetry::note(&settings, environment));
    for (path, value) in settings {
        let path: Vec<String> = path.iter().map(|&key| key.to_owned()).collect();
        root.set(&path, value.at, value);
    }
}

/// Returns notes for variables that are named like settings but are neither settings nor named by a value. Call it
/// after all values were read.
pub(crate) fn unknown(reader: &SettingsReader<'_>, environment: &Environment) -> impl Iterator<Item = Note> {
    let unknown = NAMES.unknown(reader, environment);
    unknown.map(|unknown| Note::UnknownVariable { variable: unknown.variable, near: unknown.near })
}

#[cfg(test)]
mod tests;
