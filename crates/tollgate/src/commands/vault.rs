//! `tollgate vault status`, `rotate` and `reset`.

use std::process::ExitCode;

use access::{Clock, Vault};
use anyhow::{Context, bail};
use chrono::DateTime;
use config::snapshot::Process;
use store::{Actor, DatabaseError, KnownMasterKey, RunningServers, Store};

use crate::cli::{VaultCommand, VaultCommands};
use crate::commands::{block_on, confirmation, environment, load_for_store, open};
use crate::failure::{self, StartFault};
use crate::lock::Lock;
use crate::secrets::{self, InstallationSecrets};
use crate::terminal::say;

/// Maximum number of rounds: until they are restarted, servers may seal credentials with the previous key.
const ROUNDS_MAX: usize = 10;
/// Maximum number of credentials that are listed individually.
const NAMED: usize = 20;
/// Age in days from which a master key should be replaced.
const OLD_DAYS: u64 = 90;

/// Runs the command against the store.
pub(crate) fn run(args: &VaultCommands) -> anyhow::Result<ExitCode> {
    let place = match &args.command {
        VaultCommand::Status { place } | VaultCommand::Rotate { place } | VaultCommand::Reset { place, .. } => place,
    };
    let process = load_for_store(place)?;
    let found = InstallationSecrets::read(&environment(place)?, &process.data)?;
    block_on(async {
        let store = open(&process).await?;
        let done = match &args.command {
            VaultCommand::Status { .. } => status(&store, found.vault().as_ref()).await,
            VaultCommand::Rotate { .. } => rotate(&store, &process, &found).await,
            VaultCommand::Reset { yes, .. } => reset(&store, &process, &found, *yes).await,
        };
        store.close().await;
        done
    })
}

async fn status(store: &Store, vault: Option<&Vault>) -> anyhow::Result<ExitCode> {
    let keys = store.master_keys().await?;
    let newest = keys.iter().rfind(|key| key.is_active());
    for key in &keys {
        say(&line(key, newest, vault));
    }
    if keys.is_empty() {
        say("no server has used this store yet: it has no master key\n");
    }
    if vault.is_none() {
        say("this command has no master key: set MASTER_ENCRYPTION_KEY as for the servers, or name their data folder \
             with --data\n");
    }
    if keys.iter().filter(|key| key.is_active()).count() > 1 {
        say("a rotation is in progress: run `tollgate vault rotate` when every server has both keys\n");
    } else if newest.is_some_and(|key| age_days(key) >= OLD_DAYS) {
        say(&format!("the master key is at least {OLD_DAYS} days old: replace it as docs/vault.md describes\n"));
    }
    Ok(ExitCode::SUCCESS)
}

/// Describes one master key: fingerprint, first day, number of secrets, state, and the variable that contains it.
fn line(key: &KnownMasterKey, newest: Option<&KnownMasterKey>, vault: Option<&Vault>) -> String {
    let state = match key.retired_at {
        Some(at) => format!("retired {}", date(at.0)),
        None if newest.is_some_and(|newest| newest.id == key.id) => format!("in use, {} days old", age_days(key)),
        None => "being replaced".to_owned(),
    };
    let here = match vault {
        Some(vault) if vault.current() == key.fingerprint => "  MASTER_ENCRYPTION_KEY",
        Some(vault) if vault.previous() == Some(key.fingerprint) => "  MASTER_ENCRYPTION_KEY_PREVIOUS",
        Some(_) | None => "",
    };
    format!("{}  since {}  {:>6} secrets  {state}{here}\n", key.fingerprint, date(key.since.0), key.sealed)
}

fn date(micros: u64) -> String {
    let moment = i64::try_from(micros).ok().and_then(DateTime::from_timestamp_micros).unwrap_or_default();
    moment.format("%Y-%m-%d").to_string()
}

fn age_days(key: &KnownMasterKey) -> u64 {
    Clock::system().now().unix_seconds().saturating_sub(key.since.unix_seconds()) / 86_400
}

async fn rotate(store: &Store, process: &Process, found: &InstallationSecrets) -> anyhow::Result<ExitCode> {
    let vault = found.vault().context(NO_KEY)?;
    let admitted = admit(store, process, &vault).await?;
    if !admitted.newest {
        bail!("the store has a newer master key than this MASTER_ENCRYPTION_KEY: rotate with the key of the servers");
    }
    let mut done = 0;
    let mut undecryptable = Vec::new();
    for _ in 0..ROUNDS_MAX {
        let left = others(&store.master_keys().await?, &vault);
        if left == 0 {
            break;
        }
        undecryptable.clear();
        let mut next = None;
        let mut of_round = 0;
        loop {
            let batch = store.reseal(&vault, next).await?;
            done += batch.done;
            of_round += batch.done;
            undecryptable.extend(batch.undecryptable);
            if batch.done > 0 {
                say(&format!("{of_round} of {left}\n"));
            }
            next = batch.next;
            if next.is_none() {
                break;
            }
        }
        if of_round == 0 {
            break;
        }
    }
    let retired = store.retire_master_keys(&Actor::COMMAND, vault.current()).await?;
    if done > 0 {
        say(&format!("{done} credentials were sealed with {}\n", vault.current()));
    }
    for key in &retired {
        say(&format!("{key} is retired: no credential is sealed with it\n"));
    }
    let keys = store.master_keys().await?;
    let left = others(&keys, &vault);
    if left == 0 && keys.iter().filter(|key| key.is_active()).count() == 1 {
        if done == 0 && retired.is_empty() {
            say("nothing was changed\n");
        }
        say("all credentials are sealed with this MASTER_ENCRYPTION_KEY: the previous key can be removed at the next \
             restart\n");
        return Ok(ExitCode::SUCCESS);
    }
    for id in undecryptable.iter().take(NAMED) {
        say(&format!("credential {id} cannot be decrypted with either key\n"));
    }
    bail!(
        "{left} credentials are still sealed with another key, which must remain configured. If it is lost, stop all \
         servers and run `tollgate vault reset`, which deletes the credentials that cannot be decrypted; otherwise their \
         owners must replace or delete these. If servers added credentials meanwhile, restart all servers with both keys \
         and repeat this command"
    )
}

/// Returns the number of credentials that are sealed with another key than the current one.
fn others(keys: &[KnownMasterKey], vault: &Vault) -> u64 {
    keys.iter().filter(|key| key.fingerprint != vault.current()).map(|key| key.sealed).sum()
}

async fn admit(store: &Store, process: &Process, vault: &Vault) -> Result<store::AdmittedMasterKey, StartFault> {
    let of_store = |error: DatabaseError| failure::of_store(process, error);
    secrets::admit(store, vault).await.map_err(|refused| refused.unwrap_or_else(of_store))
}

const NO_KEY: &str = "this command has no master key: set MASTER_ENCRYPTION_KEY (and MASTER_ENCRYPTION_KEY_PREVIOUS) \
                      as for the servers, or name their data folder with --data. If the key is lost, stop all servers, \
                      set a new MASTER_ENCRYPTION_KEY and run `tollgate vault reset`";

async fn reset(store: &Store, process: &Process, found: &InstallationSecrets, yes: bool) -> anyhow::Result<ExitCode> {
    let _lock = Lock::take(&process.data)?;
    let servers = store.servers().await?;
    if servers > 0 {
        return Err(failure::of_store(process, RunningServers { servers }).into());
    }
    let vault = found.vault().context(
        "this command has no master key: set MASTER_ENCRYPTION_KEY to the new one, such as the output of `openssl rand \
         -base64 32`",
    )?;
    let lost = store.lost_provider_keys(&vault).await?;
    let deletes = format!(
        "{lost} credentials are sealed with master keys that this command does not have. The reset deletes them \
         permanently, and {} becomes the master key\n",
        vault.current()
    );
    confirmation::require(yes, &deletes).await?;
    let deleted = store.reset_vault(&Actor::COMMAND, &vault).await?;
    say(&format!("{deleted} credentials were deleted; {} is in use\n", vault.current()));
    Ok(ExitCode::SUCCESS)
}
