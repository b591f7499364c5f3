//! `tollgate config show` and `tollgate schema`: the effective configuration, and its JSON Schema.

use std::process::ExitCode;

use config::Setting;
use serde_json::json;

use crate::cli::{ConfigCommand, ConfigCommands};
use crate::commands::{load, printable};
use crate::terminal::say;

/// Maximum width of the columns of keys and values; longer texts shift the rest of their line.
const COLUMN_MAX: usize = 48;

/// Prints the JSON Schema of the configuration.
pub(crate) fn schema() -> anyhow::Result<ExitCode> {
    say(&format!("{:#}\n", config::json_schema()));
    Ok(ExitCode::SUCCESS)
}

/// Loads the configuration as `serve` would, and prints the effective settings.
pub(crate) fn run(args: &ConfigCommands) -> anyhow::Result<ExitCode> {
    let ConfigCommand::Show { json, source, overrides, place } = &args.command;
    let loaded = load(place, &overrides.flags())?;
    let is_selected =
        |setting: &Setting| source.is_empty() || source.iter().any(|source| source.name() == setting.from.kind());
    let settings: Vec<Setting> = loaded.settings().iter().filter(|setting| is_selected(setting)).cloned().collect();
    let notes: Vec<String> = loaded.notes.iter().map(ToString::to_string).collect();
    if *json {
        say(&format!("{:#}\n", json!({"settings": settings, "notes": notes})));
        return Ok(ExitCode::SUCCESS);
    }
    say(&table(&settings));
    for note in notes {
        telemetry::logs::write_stderr(format!("note: {}\n", printable(&note)));
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns one line per setting: its key, value and source.
fn table(settings: &[Setting]) -> String {
    let rows: Vec<[String; 3]> = settings
        .iter()
        .map(|Setting { key, value, from }| {
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
    let (keys, values) = (width(|[key, ..]| key), width(|[_, value, _]| value));
    rows.iter().map(|[key, value, from]| format!("{key:keys$}  {value:values$}  {from}\n")).collect()
}
