//! One file a command.

pub(crate) mod check;
pub(crate) mod keys;
pub(crate) mod mock;
pub(crate) mod serve;
pub(crate) mod users;

use std::io::Write;

use access::Clock;
use config::Snapshot;
use config::load::{Flags, Loaded, Sources};
use store::{Options, Store, UserRef};

use crate::cli::Place;
use crate::failure::StartFault;

/// Reads the configuration.
pub(crate) fn load(place: &Place, flags: &Flags) -> Result<Loaded, StartFault> {
    let flags = Flags { data: place.data.clone(), ..flags.clone() };
    let env = |name: &str| std::env::var(name).ok();
    Ok(config::load(Sources { file: place.config.as_deref(), env: &env, flags })?)
}

/// Opens the store beside a server, or without one.
pub(crate) async fn open(snapshot: &Snapshot) -> anyhow::Result<Store> {
    let options = Options { data: &snapshot.data, migrate: snapshot.store.migrate, clock: Clock::system() };
    let store = Store::open(options).await.map_err(store_fault)?;
    store.ensure_plans(&snapshot.plans).await?;
    Ok(store)
}

/// A fault of opening the store, with a code where it has one.
pub(crate) fn store_fault(error: store::StoreError) -> anyhow::Error {
    if matches!(error, store::StoreError::Newer { .. }) { StartFault::StoreNewer(error).into() } else { error.into() }
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

/// Writes to stdout; a reader that is gone is no error.
pub(crate) fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
