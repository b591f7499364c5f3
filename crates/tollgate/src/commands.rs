//! The commands, one file each.

mod amounts;
pub(crate) mod audit;
pub(crate) mod billing;
pub(crate) mod budgets;
pub(crate) mod check;
pub(crate) mod config_file;
mod confirmation;
pub(crate) mod copies;
pub(crate) mod credits;
pub(crate) mod examples;
pub(crate) mod explain;
pub(crate) mod generate;
pub(crate) mod jobs;
pub(crate) mod keys;
pub(crate) mod leases;
pub(crate) mod limits;
pub(crate) mod migrate;
pub(crate) mod mock;
pub(crate) mod nodes;
pub(crate) mod plans;
pub(crate) mod prices;
pub(crate) mod serve;
pub(crate) mod settings;
pub(crate) mod setup_link;
pub(crate) mod start;
pub(crate) mod upgrade;
pub(crate) mod usage;
pub(crate) mod users;
pub(crate) mod vault;
pub(crate) mod verify;

use std::path::Path;

use access::{Clock, KeyNo, Timestamp};
use chrono::{DateTime, SecondsFormat};
use config::Environment;
use config::snapshot::Process;
use config::{Flags, LoadedConfig, Sources};
use control::configuration::ConfigSources;
use store::{ScopeIds, Store, UserRef};

use crate::cli::Place;
use crate::commands::config_file::ConfigFile;
use crate::failure::{self, StartFault};
use crate::store_options::{STORE_FILE, options};

/// Loads the configuration from flags, environment and file, and warns if the file in the working folder is not read.
pub(crate) fn load(place: &Place, flags: &Flags) -> Result<LoadedConfig, StartFault> {
    let (loaded, file) = load_with_file(place, flags)?;
    file.warn();
    Ok(loaded)
}

/// Like [`load`], for a command that reports the note of its file itself.
pub(crate) fn load_with_file(place: &Place, flags: &Flags) -> Result<(LoadedConfig, ConfigFile), StartFault> {
    let flags = Flags { data: place.data.clone(), ..flags.clone() };
    let environment = environment(place)?;
    let file = ConfigFile::chosen(place, &environment);
    let loaded = config::load(Sources { file: file.path(), environment: &environment, flags })?;
    Ok((loaded, file))
}

/// Loads the settings that commands on the store need.
pub(crate) fn load_for_store(place: &Place) -> Result<Process, StartFault> {
    let flags = Flags { data: place.data.clone(), ..Flags::default() };
    let environment = environment(place)?;
    let file = ConfigFile::chosen(place, &environment);
    file.warn();
    Ok(config::load_for_store(Sources { file: file.path(), environment: &environment, flags })?)
}

/// Returns the sources from which [`load`] has read `loaded`, for later reloads.
pub(crate) fn sources(place: &Place, flags: &Flags, loaded: &LoadedConfig) -> ConfigSources {
    ConfigSources {
        file: ConfigFile::chosen(place, &loaded.environment).path().map(Path::to_owned),
        env_file: place.env_file.clone(),
        variables: Environment::new(std::env::vars_os()),
        flags: Flags { data: place.data.clone(), ..flags.clone() },
    }
}

/// Returns the variables of the process and of the `.env` file.
pub(crate) fn environment(place: &Place) -> Result<Environment, StartFault> {
    Ok(Environment::new(std::env::vars_os()).with_file(place.env_file.as_deref())?)
}

/// Opens the existing store; servers may be running.
pub(crate) async fn open(process: &Process) -> Result<Store, StartFault> {
    if !has_store(process)? {
        return Err(StartFault::StoreMissing { folder: process.data.clone() });
    }
    open_or_make(process).await
}

/// Whether the store exists: PostgreSQL, or its file in the data folder.
pub(crate) fn has_store(process: &Process) -> Result<bool, StartFault> {
    let unreadable = |source| StartFault::DataUnreadable { folder: process.data.clone(), source };
    Ok(process.store.url.is_some() || process.data.join(STORE_FILE).try_exists().map_err(unreadable)?)
}

/// Opens the store, and creates it if it does not exist.
pub(crate) async fn open_or_make(process: &Process) -> Result<Store, StartFault> {
    Store::open(options(process, Clock::system())).await.map_err(|error| failure::of_store(process, error))
}

/// Runs the future of a command to its end.
pub(crate) fn block_on<T>(task: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(task)
}

/// Returns the user with this address or id, or the service user with this name.
pub(crate) async fn user(store: &Store, text: &str) -> anyhow::Result<store::User> {
    let found = match UserRef::parse(text) {
        Ok(named) => store.find_user(&named).await?,
        Err(_) => service(store, text).await?,
    };
    let text = printable(text);
    found.ok_or_else(|| anyhow::anyhow!("user {text} does not exist: `tollgate users list` lists all users"))
}

/// Returns the service user with this name. Several may have the same.
pub(crate) async fn service(store: &Store, name: &str) -> anyhow::Result<Option<store::User>> {
    let users = store.users().await?;
    let mut named: Vec<store::User> =
        users.into_iter().filter(|user| user.email.is_none() && user.name == name).collect();
    if named.len() > 1 {
        let ids: Vec<String> = named.iter().map(|user| user.id.to_string()).collect();
        anyhow::bail!(
            "several service users have the name {}: name one by its id: {}",
            printable(name),
            ids.join(", ")
        );
    }
    Ok(named.pop())
}

/// Returns `text` for a terminal: characters that move the cursor, or change colours or the order of letters, are
/// escaped.
pub(crate) fn printable(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        // Besides control characters: line separators and characters that change the direction of writing (Unicode TR
        // 9).
        let moves =
            matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if c.is_control() || moves { escaped.extend(c.escape_default()) } else { escaped.push(c) }
    }
    escaped
}

/// Returns the last four digits of a key, to print after its id; empty if the store does not know the key.
pub(crate) fn last4(ids: &ScopeIds, key: KeyNo) -> String {
    ids.key(key).map(|(_, last4)| format!(" (…{})", printable(last4))).unwrap_or_default()
}

/// Formats a time for people.
pub(crate) fn moment(at: Timestamp) -> String {
    let at = i64::try_from(at.0).ok().and_then(DateTime::from_timestamp_micros);
    at.map_or_else(|| "never".to_owned(), |at| at.to_rfc3339_opts(SecondsFormat::Secs, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_are_printed_as_text() {
        assert_eq!(printable("a\u{1b}[2J\r\nb\t\u{202e}c\u{9b}"), "a\\u{1b}[2J\\r\\nb\\t\\u{202e}c\\u{9b}");
        assert_eq!(printable("Ключ für \"Ada\" \\ 🔑"), "Ключ für \"Ada\" \\ 🔑");
    }
}
