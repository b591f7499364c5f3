//! One file a command.

pub(crate) mod audit;
pub(crate) mod budgets;
pub(crate) mod check;
mod confirmation;
pub(crate) mod copies;
pub(crate) mod keys;
pub(crate) mod leases;
pub(crate) mod limits;
pub(crate) mod migrate;
pub(crate) mod mock;
pub(crate) mod plans;
pub(crate) mod prices;
pub(crate) mod serve;
pub(crate) mod settings;
pub(crate) mod setup_link;
pub(crate) mod start;
pub(crate) mod users;
pub(crate) mod vault;

use std::io::Write;

use access::{Clock, KeyNo, Timestamp};
use chrono::{DateTime, SecondsFormat};
use config::load::{Flags, Loaded, Sources};
use config::{Environment, Snapshot};
use store::{Options, Store, SubjectIds, UserRef};

use crate::cli::Place;
use crate::failure::{self, StartFault};

/// The database in the data folder, as `store` names it.
pub(crate) const STORE_FILE: &str = "tollgate.db";

/// Reads the configuration.
pub(crate) fn load(place: &Place, flags: &Flags) -> Result<Loaded, StartFault> {
    let flags = Flags { data: place.data.clone(), ..flags.clone() };
    let environment = environment(place)?;
    Ok(config::load(Sources { file: place.config.as_deref(), environment: &environment, flags })?)
}

/// The process's variables, and those of the `.env`.
fn environment(place: &Place) -> Result<Environment, StartFault> {
    Ok(Environment::new(std::env::vars_os()).with_file(place.env_file.as_deref())?)
}

/// Opens the store that there is, beside a server or without one.
pub(crate) async fn open(snapshot: &Snapshot) -> Result<Store, StartFault> {
    let data = &snapshot.data;
    if snapshot.store.url.is_none() && !data.join(STORE_FILE).exists() {
        return Err(StartFault::StoreMissing { folder: data.clone() });
    }
    open_or_make(snapshot).await
}

/// Where the store is, as the configuration says.
pub(crate) fn options(snapshot: &Snapshot, clock: Clock) -> Options<'_> {
    let store = &snapshot.store;
    Options { url: store.url.as_ref(), data: &snapshot.data, migrate: store.migrate, clock }
}

/// Opens the store, made where it is missing.
pub(crate) async fn open_or_make(snapshot: &Snapshot) -> Result<Store, StartFault> {
    Store::open(options(snapshot, Clock::system())).await.map_err(|error| failure::of_store(snapshot, error))
}

/// Runs one command's future to its end.
pub(crate) fn block_on<T>(task: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(task)
}

/// The user that `text` names by address or id.
pub(crate) async fn user(store: &Store, text: &str) -> anyhow::Result<store::User> {
    let found = store.find_user(&UserRef::parse(text)?).await?;
    found.ok_or_else(|| anyhow::anyhow!("there is no user {text}: `tollgate users list` shows them"))
}

/// `text` for a terminal: what would move its cursor, change its colours or the order of its letters is written out.
pub(crate) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        // Beside controls: the separators of lines, and what changes the direction of writing (Unicode TR 9).
        let moves =
            matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if c.is_control() || moves { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown
}

/// The last four digits of a key, behind its id; empty where the store does not know the key.
pub(crate) fn last4(ids: &SubjectIds, key: KeyNo) -> String {
    ids.key(key).map(|(_, last4)| format!(" (…{})", printable(last4))).unwrap_or_default()
}

/// A moment for people.
pub(crate) fn moment(at: Timestamp) -> String {
    let at = i64::try_from(at.0).ok().and_then(DateTime::from_timestamp_micros);
    at.map_or_else(|| "never".to_owned(), |at| at.to_rfc3339_opts(SecondsFormat::Secs, true))
}

/// Writes to stdout; a reader that is gone is no error.
pub(crate) fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_written_out() {
        assert_eq!(printable("a\u{1b}[2J\r\nb\t\u{202e}c\u{9b}"), "a\\u{1b}[2J\\r\\nb\\t\\u{202e}c\\u{9b}");
        assert_eq!(printable("Ключ für \"Ada\" \\ 🔑"), "Ключ für \"Ada\" \\ 🔑");
    }
}
