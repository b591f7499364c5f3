//! The location of the store.

use access::Clock;
use config::snapshot::Process;
use store::Options;

/// The SQLite database in the data folder.
pub(crate) const STORE_FILE: &str = "tollgate.db";

/// Returns the location of the store from the configuration.
pub(crate) fn options(process: &Process, clock: Clock) -> Options<'_> {
    let store = &process.store;
    Options { url: store.url.as_ref(), data: &process.data, migrate: store.migrate, clock }
}
