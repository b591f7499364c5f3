//! The secrets of an installation: the master key of the vault and the signing secret of access tokens. They are read
//! from the environment, or else from files in `DIR/secrets`, which the first start creates.

mod file_text;
mod folder;

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use access::credentials::vault;
use access::{MasterKey, Secret, Vault, VaultError};
use config::Environment;
use config::snapshot::Process;
use store::{Actor, AdmittedMasterKey, DatabaseError, MasterKeyError, Store};

use crate::failure::{self, StartFault};
use folder::Folder;

/// Length of the signing secret in bytes: at least that of the signature (RFC 7518, 3.2).
const SIGNING_BYTES: std::ops::RangeInclusive<usize> = 32..=1_024;

/// One of the secrets, with its variable and its file.
struct SecretKind {
    variable: &'static str,
    file: &'static str,
    expected: &'static str,
}

const MASTER: SecretKind = SecretKind { variable: "MASTER_ENCRYPTION_KEY", file: "master_key", expected: MASTER_FORM };
const PREVIOUS: SecretKind =
    SecretKind { variable: "MASTER_ENCRYPTION_KEY_PREVIOUS", file: "master_key_previous", expected: MASTER_FORM };
const SIGNING: SecretKind = SecretKind { variable: "JWT_SECRET", file: "jwt_secret", expected: "32 to 1,024 bytes" };
const MASTER_FORM: &str = "32 bytes in base64, such as the output of `openssl rand -base64 32`";

/// The secrets that exist; missing ones are created later.
pub(crate) struct InstallationSecrets {
    folder: Folder,
    master: Option<MasterKey>,
    previous: Option<MasterKey>,
    signing: Option<Secret>,
}

/// The vault of a server, after the store has accepted its master key.
#[derive(Debug)]
pub(crate) struct AdmittedVault {
    pub(crate) vault: Arc<Vault>,
    /// `None` if the server has no master key, and no credential was stored when it started. Its vault then has a random key,
    /// with which the store accepts no credential.
    pub(crate) admitted: Option<AdmittedMasterKey>,
}

impl InstallationSecrets {
    /// Reads existing secrets. Variables that are set and not empty take precedence over files of the data folder.
    pub(crate) fn read(environment: &Environment, data: &Path) -> Result<Self, StartFault> {
        let folder = Folder::in_data_folder(data);
        let master = MASTER.find(environment, &folder)?.map(|found| MASTER.master_key(&found)).transpose()?;
        let previous = PREVIOUS.find(environment, &folder)?.map(|found| PREVIOUS.master_key(&found)).transpose()?;
        let signing = SIGNING.find(environment, &folder)?;
        if let Some(found) = &signing
            && !SIGNING_BYTES.contains(&found.text.expose().len())
        {
            return Err(SIGNING.malformed(found));
        }
        Ok(Self { folder, master, previous, signing: signing.map(|found| found.text) })
    }

    /// Returns the vault, without creating a master key.
    pub(crate) fn vault(&self) -> Option<Vault> {
        self.master.as_ref().map(|master| Vault::new(master, self.previous.as_ref()))
    }

    /// Returns the vault of a server. If no credential was ever sealed, the first start creates a master key, and a
    /// different key may replace the one that the store knows. A further server needs the key of the others only if a
    /// credential is stored.
    pub(crate) async fn open_vault(&self, store: &Store, process: &Process) -> Result<AdmittedVault, StartFault> {
        let of_store = |error| failure::of_store(process, error);
        let (vault, is_new) = match self.vault() {
            Some(vault) => (vault, false),
            None => {
                let known = store.master_keys().await.map_err(of_store)?;
                if !known.is_empty() && !store.is_vault_unused().await.map_err(of_store)? {
                    if store.has_credentials().await.map_err(of_store)? {
                        return Err(StartFault::VaultKeyMissing { file: self.folder.path(MASTER.file) });
                    }
                    return Ok(AdmittedVault { vault: Arc::new(self.keyless_vault()?), admitted: None });
                }
                (self.make_vault()?, true)
            }
        };
        match admit_or_replace(store, &vault).await {
            Ok(admitted) => Ok(AdmittedVault { vault: Arc::new(vault), admitted: Some(admitted) }),
            Err(refused) => {
                if is_new {
                    // The first start of another server was faster. No credential is sealed with this key.
                    self.folder.remove(MASTER.file);
                }
                Err(refused.unwrap_or_else(of_store))
            }
        }
    }

    fn make_vault(&self) -> Result<Vault, StartFault> {
        let found = self.folder.make(MASTER.file, || vault::random_text().map_err(no_random))?;
        let master = MASTER.master_key(&SourcedSecret { text: found, from: self.folder.path(MASTER.file) })?;
        Ok(Vault::new(&master, self.previous.as_ref()))
    }

    /// Returns a vault with a random key that is not stored.
    fn keyless_vault(&self) -> Result<Vault, StartFault> {
        let text = vault::random_text().map_err(|error| StartFault::SecretUnreadable {
            from: self.folder.path(MASTER.file),
            source: no_random(error),
        })?;
        let master = MASTER.master_key(&SourcedSecret { text, from: self.folder.path(MASTER.file) })?;
        Ok(Vault::new(&master, None))
    }

    /// Returns the signing secret of access tokens, which the first start creates.
    pub(crate) fn signing(&self) -> Result<Secret, StartFault> {
        match &self.signing {
            Some(signing) => Ok(signing.clone()),
            None => self.folder.make(SIGNING.file, || vault::random_text().map_err(no_random)),
        }
    }
}

impl AdmittedVault {
    /// Checks the master key again after the server has joined: earlier, the first start of another server could
    /// replace it.
    pub(crate) async fn confirm(&self, store: &Store, process: &Process) -> Result<(), StartFault> {
        if self.admitted.is_none() {
            return Ok(());
        }
        let judged = store.confirm_master_key(&Actor::SYSTEM, &self.vault).await;
        judged
            .map(|_| ())
            .map_err(|error| of_key(&self.vault, error).unwrap_or_else(|error| failure::of_store(process, error)))
    }
}

/// Like [`admit`], but replaces a stored key with which no credential is sealed.
async fn admit_or_replace(
    store: &Store,
    vault: &Vault,
) -> Result<AdmittedMasterKey, Result<StartFault, DatabaseError>> {
    match admit(store, vault).await {
        Err(Ok(StartFault::VaultKeyWrong { newest, .. })) if store.is_vault_unused().await.map_err(Err)? => {
            let replaced = store.replace_unused_master_key(&Actor::SYSTEM, vault, newest).await;
            replaced.map_err(|error| of_key(vault, error))
        }
        judged => judged,
    }
}

/// Checks the current master key of the vault against the store.
pub(crate) async fn admit(
    store: &Store,
    vault: &Vault,
) -> Result<AdmittedMasterKey, Result<StartFault, DatabaseError>> {
    store.admit_master_key(&Actor::SYSTEM, vault).await.map_err(|error| of_key(vault, error))
}

/// Returns the error for the current master key, or else the error of the database.
fn of_key(vault: &Vault, error: MasterKeyError) -> Result<StartFault, DatabaseError> {
    match error {
        MasterKeyError::Other { newest } => Ok(StartFault::VaultKeyWrong { current: vault.current(), newest }),
        MasterKeyError::Retired(_) => Ok(StartFault::VaultKeyRetired { current: vault.current() }),
        MasterKeyError::Database(error) => Err(error),
    }
}

fn no_random(error: VaultError) -> std::io::Error {
    std::io::Error::other(error)
}

/// The text of a secret with its source.
struct SourcedSecret {
    text: Secret,
    /// The name of the variable or the path of the file.
    from: String,
}

impl SecretKind {
    fn find(&self, environment: &Environment, folder: &Folder) -> Result<Option<SourcedSecret>, StartFault> {
        let Some(text) = environment.secret(self.variable) else {
            let text = folder.read(self.file)?;
            return Ok(text.map(|text| SourcedSecret { text, from: folder.path(self.file) }));
        };
        let Some(path) = text.expose().strip_prefix("file:") else {
            return Ok(Some(SourcedSecret { text, from: self.variable.to_owned() }));
        };
        let from = format!("{path}, which {} names,", self.variable);
        match content(path) {
            Ok(text) => Ok(Some(SourcedSecret { text, from })),
            Err(source) => Err(StartFault::SecretUnreadable { from, source }),
        }
    }

    fn master_key(&self, sourced: &SourcedSecret) -> Result<MasterKey, StartFault> {
        MasterKey::parse(sourced.text.expose()).map_err(|_| self.malformed(sourced))
    }

    fn malformed(&self, sourced: &SourcedSecret) -> StartFault {
        StartFault::SecretMalformed { from: sourced.from.clone(), expected: self.expected }
    }
}

/// Reads a file that the operator names. Its permissions are the operator's decision.
fn content(path: &str) -> std::io::Result<Secret> {
    if !path.starts_with('/') {
        return Err(std::io::Error::other("the path after file: must be absolute, as in file:/run/secrets/key"));
    }
    file_text::read(File::open(path)?)
}

#[cfg(test)]
mod tests;
