//! `tollgate config show` and `tollgate schema`: the effective configuration, and its JSON Schema.

use std::process::ExitCode;
use std::time::Duration;

use config::{Flags, LoadedConfig, Setting};
use control::configuration::{StartedConfig, configuration_at_start};
use serde_json::json;
use store::{ConfigurationSource, Node};

use crate::cli::{ConfigCommand, ConfigCommands, Place};
use crate::commands::{block_on, load_with_file, printable, sources};
use crate::terminal::say;

/// Maximum time for reading the store.
const STORE_WITHIN: Duration = Duration::from_secs(5);
/// Maximum width of the columns of keys and values; longer texts shift the rest of their line.
const COLUMN_MAX: usize = 48;

/// Prints the JSON Schema of the configuration.
pub(crate) fn schema() -> anyhow::Result<ExitCode> {
    say(&config::json_schema_text()?);
    Ok(ExitCode::SUCCESS)
}

/// Loads the configuration as `serve` would, and prints the effective settings.
pub(crate) fn run(args: &ConfigCommands) -> anyhow::Result<ExitCode> {
    let ConfigCommand::Show { json, source, overrides, place } = &args.command;
    let flags = overrides.flags();
    let (loaded, file) = load_with_file(place, &flags)?;
    let (mut loaded, stored) = in_force(loaded, &flags, place);
    loaded.notes.extend(file.note());
    let is_selected =
        |setting: &Setting| source.is_empty() || source.iter().any(|source| source.name() == setting.from.kind());
    let settings: Vec<Setting> = loaded.settings().iter().filter(|setting| is_selected(setting)).cloned().collect();
    let notes: Vec<String> = loaded.notes.iter().map(ToString::to_string).collect();
    if *json {
        let configuration = match &stored {
            ActiveConfiguration::Stored { number, source } => json!({"source": source.as_str(), "number": number}),
            ActiveConfiguration::File | ActiveConfiguration::Unknown(_) => json!({"source": "file", "number": null}),
        };
        say(&format!("{:#}\n", json!({"configuration": configuration, "settings": settings, "notes": notes})));
        return Ok(ExitCode::SUCCESS);
    }
    say(&table(&settings));
    if let Some(line) = stored.line() {
        telemetry::logs::write_stderr(format!("note: {}\n", printable(&line)));
    }
    for note in notes {
        telemetry::logs::write_stderr(format!("note: {}\n", printable(&note)));
    }
    Ok(ExitCode::SUCCESS)
}

/// The configuration that a start of `serve` would use.
pub(crate) enum ActiveConfiguration {
    /// The configuration file, or the defaults.
    File,
    /// A configuration of the admin API or of etcd, with its number in the history.
    Stored { number: u64, source: ConfigurationSource },
    /// The store could not be read, for this reason.
    Unknown(String),
}

impl ActiveConfiguration {
    /// Returns the line that is printed beside the settings.
    fn line(&self) -> Option<String> {
        match self {
            Self::File => None,
            Self::Stored { number, source: ConfigurationSource::Etcd } => Some(format!(
                "the stored configuration {number}, which was last read from etcd, is in force in place of the file"
            )),
            Self::Stored { number, source: ConfigurationSource::Api | ConfigurationSource::File } => Some(format!(
                "the stored configuration {number} of the admin API is in force in place of the file, until the file changes"
            )),
            Self::Unknown(reason) => Some(format!(
                "the store cannot be read, so that a configuration of the admin API is not considered: {reason}"
            )),
        }
    }
}

/// Returns the configuration that a start of `serve` with this file would use. A store that does not exist is not created.
pub(crate) fn in_force(file: LoadedConfig, flags: &Flags, place: &Place) -> (LoadedConfig, ActiveConfiguration) {
    let process = &file.snapshot.process;
    // Opening a store that cannot be reached has the reason.
    if matches!(super::has_store(process), Ok(false)) {
        return (file, ActiveConfiguration::File);
    }
    let sources = sources(place, flags, &file);
    let found = block_on(async {
        let read = async {
            let store = super::open(process).await?;
            let node = Node::id_in(&process.data).unwrap_or_default();
            let started = configuration_at_start(&store, node, file.clone(), &sources).await;
            store.close().await;
            anyhow::Ok(started?)
        };
        tokio::time::timeout(STORE_WITHIN, read).await?
    });
    match found {
        Ok(StartedConfig { loaded, running }) => {
            let in_force = running.stored.map_or(ActiveConfiguration::File, |stored| ActiveConfiguration::Stored {
                number: stored.number,
                source: stored.source,
            });
            (loaded, in_force)
        }
        Err(error) => (file, ActiveConfiguration::Unknown(error.to_string())),
    }
}

/// Returns one line per setting: its key, value and source.
fn table(settings: &[Setting]) -> String {
    let rows: Vec<[String; 3]> = settings
        .iter()
        .map(|Setting { key, value, from, .. }| {
            [key.clone(), value.to_string(), from.to_string()].map(|cell| printable(&cell))
        })
        .collect();
    let width = |column: fn(&[String; 3]) -> &String| {
        rows.iter()
            .map(|row| column(row).chars().count())
            .filter(|width| *width <= COLUMN_MAX)
            .max()
            .unwrap_or_default()
    };
    let keys = width(|[key, ..]| key);
    let values = width(|[_, value, _]| value);
    rows.iter().map(|[key, value, from]| format!("{key:keys$}  {value:values$}  {from}\n")).collect()
}
