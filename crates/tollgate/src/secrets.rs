//! The installation's own secrets: the master key of the vault and what signs access tokens. From the environment, else
//! from files in `DIR/secrets`, which the first start writes.

mod folder;

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use access::{MasterKey, Secret, Vault, VaultError, vault};
use config::{Environment, Snapshot};
use store::{Actor, Admitted, Store, StoreError};

use crate::failure::{self, StartFault};
use folder::Folder;

/// What signs an access token is at least as long as its hash (RFC 7518, 3.2), and at most this long.
const SIGNING_BYTES: std::ops::RangeInclusive<usize> = 32..=1_024;
/// Largest file that a variable may name.
const FILE_BYTES_MAX: u64 = 4_096;

/// One of the secrets: its variable, and its file.
struct Kind {
    variable: &'static str,
    file: &'static str,
    expected: &'static str,
}

const MASTER: Kind = Kind { variable: "MASTER_ENCRYPTION_KEY", file: "master_key", expected: MASTER_FORM };
const PREVIOUS: Kind =
    Kind { variable: "MASTER_ENCRYPTION_KEY_PREVIOUS", file: "master_key_previous", expected: MASTER_FORM };
const SIGNING: Kind = Kind { variable: "JWT_SECRET", file: "jwt_secret", expected: "32 to 1,024 bytes" };
const MASTER_FORM: &str = "32 bytes in base64, as `openssl rand -base64 32` makes them";

/// What was found of the secrets; nothing is made yet.
pub(crate) struct Found {
    folder: Folder,
    master: Option<MasterKey>,
    previous: Option<MasterKey>,
    signing: Option<Secret>,
}

/// The vault of a server, which the store has admitted.
#[derive(Debug)]
pub(crate) struct Keys {
    pub(crate) vault: Arc<Vault>,
    pub(crate) admitted: Admitted,
}

impl Found {
    /// Reads the secrets that there are: variables that are set and not empty come before files of the data folder.
    pub(crate) fn read(environment: &Environment, data: &Path) -> Result<Self, StartFault> {
        let folder = Folder::at(data);
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

    /// The vault, without making a key.
    pub(crate) fn vault(&self) -> Option<Vault> {
        self.master.as_ref().map(|master| Vault::new(master, self.previous.as_ref()))
    }

    /// The vault of a server. Where nothing was ever sealed, the first start makes a key, and another key than the one that
    /// the store knows may take its place.
    pub(crate) async fn open_vault(&self, store: &Store, snapshot: &Snapshot) -> Result<Keys, StartFault> {
        let of_store = |error| failure::of_store(snapshot, error);
        let (vault, made) = match self.vault() {
            Some(vault) => (vault, false),
            None => {
                let known = store.master_keys().await.map_err(of_store)?;
                if !known.is_empty() && !store.is_vault_unused().await.map_err(of_store)? {
                    return Err(StartFault::VaultKeyMissing { file: self.folder.path(MASTER.file) });
                }
                (self.make_vault()?, true)
            }
        };
        match admit_or_replace(store, &vault).await {
            Ok(admitted) => Ok(Keys { vault: Arc::new(vault), admitted }),
            Err(refused) => {
                if made {
                    // Another server's first start came first. Nothing is sealed with this one.
                    self.folder.remove(MASTER.file);
                }
                Err(refused.unwrap_or_else(of_store))
            }
        }
    }

    fn make_vault(&self) -> Result<Vault, StartFault> {
        let found = self.folder.make(MASTER.file, || vault::random_text().map_err(no_random))?;
        let master = MASTER.master_key(&Given { text: found, from: self.folder.path(MASTER.file) })?;
        Ok(Vault::new(&master, self.previous.as_ref()))
    }

    /// What signs access tokens; the first start makes it.
    pub(crate) fn signing(&self) -> Result<Secret, StartFault> {
        match &self.signing {
            Some(signing) => Ok(signing.clone()),
            None => self.folder.make(SIGNING.file, || vault::random_text().map_err(no_random)),
        }
    }
}

impl Keys {
    /// Has the store judge the key once more, of a server that has joined: until then another first start could replace it.
    pub(crate) async fn confirm(&self, store: &Store, snapshot: &Snapshot) -> Result<(), StartFault> {
        let judged = store.confirm_master_key(&Actor::SYSTEM, &self.vault).await;
        judged
            .map(|_| ())
            .map_err(|error| of_key(&self.vault, error).unwrap_or_else(|error| failure::of_store(snapshot, error)))
    }
}

/// As [`admit`]; a key that seals nothing makes way for this one.
async fn admit_or_replace(store: &Store, vault: &Vault) -> Result<Admitted, Result<StartFault, StoreError>> {
    match admit(store, vault).await {
        Err(Ok(StartFault::VaultKeyWrong { newest, .. })) if store.is_vault_unused().await.map_err(Err)? => {
            let replaced = store.replace_unused_master_key(&Actor::SYSTEM, vault, newest).await;
            replaced.map_err(|error| of_key(vault, error))
        }
        judged => judged,
    }
}

/// Lets the store judge the vault's current key.
pub(crate) async fn admit(store: &Store, vault: &Vault) -> Result<Admitted, Result<StartFault, StoreError>> {
    store.admit_master_key(&Actor::SYSTEM, vault).await.map_err(|error| of_key(vault, error))
}

/// What is wrong with the vault's current key, or else with the store.
#[expect(clippy::wildcard_enum_match_arm, reason = "what is no fault of the key is the database's")]
fn of_key(vault: &Vault, error: StoreError) -> Result<StartFault, StoreError> {
    match error {
        StoreError::OtherMasterKey { newest } => Ok(StartFault::VaultKeyWrong { current: vault.current(), newest }),
        StoreError::MasterKeyRetired => Ok(StartFault::VaultKeyRetired { current: vault.current() }),
        error => Err(error),
    }
}

fn no_random(error: VaultError) -> std::io::Error {
    std::io::Error::other(error)
}

/// A secret as it was given.
struct Given {
    text: Secret,
    /// The variable or the file.
    from: String,
}

impl Kind {
    fn find(&self, environment: &Environment, folder: &Folder) -> Result<Option<Given>, StartFault> {
        let Some(text) = environment.secret(self.variable) else {
            let text = folder.read(self.file)?;
            return Ok(text.map(|text| Given { text, from: folder.path(self.file) }));
        };
        let Some(path) = text.expose().strip_prefix("file:") else {
            return Ok(Some(Given { text, from: self.variable.to_owned() }));
        };
        let from = format!("{path}, which {} names,", self.variable);
        match content(path) {
            Ok(text) => Ok(Some(Given { text, from })),
            Err(source) => Err(StartFault::SecretUnreadable { from, source }),
        }
    }

    fn master_key(&self, given: &Given) -> Result<MasterKey, StartFault> {
        MasterKey::parse(given.text.expose()).map_err(|_| self.malformed(given))
    }

    fn malformed(&self, given: &Given) -> StartFault {
        StartFault::SecretMalformed { from: given.from.clone(), expected: self.expected }
    }
}

/// The text of a file that the operator names: who may read it is theirs to say.
fn content(path: &str) -> std::io::Result<Secret> {
    if !path.starts_with('/') {
        return Err(std::io::Error::other("file: takes a whole path, file:/…"));
    }
    text(File::open(path)?)
}

/// A file's text without the line end at its end.
fn text(file: File) -> std::io::Result<Secret> {
    let mut text = String::new();
    let read = file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
    if u64::try_from(read).unwrap_or(u64::MAX) > FILE_BYTES_MAX {
        return Err(std::io::Error::other("it is longer than any secret"));
    }
    let end = text.trim_end_matches(['\r', '\n']).len();
    text.truncate(end);
    Ok(Secret::new(text))
}

#[cfg(test)]
mod tests;
