//! Credentials of LLM providers, owned by a user or shared, sealed before they are stored.

use access::{Fingerprint, ProviderKeyId, SealedCredential, Secret, Timestamp, UserId, Vault, VaultError};
use serde_json::{Map, Value, json};
use thiserror::Error;
use uuid::Uuid;

use crate::accounts::users::NoUser;
use crate::audit::{Act, Actor, AuditAction};
use crate::error::{DatabaseError, InvalidText, check_text};
use crate::opening::handle::Store;
use crate::sealed::vault::{self, RetiredMasterKey, SealingError};
use crate::sql::{Transaction, statements, timestamp};

/// Maximum number of credentials per owner: a user, or all shared credentials.
pub const PROVIDER_KEYS_MAX: usize = 100;
/// Number of characters of a credential that are shown.
const SHOWN_CHARS: usize = 4;

/// Columns and table of a [`ProviderKeyRow`].
macro_rules! provider_key_columns {
    () => {
        "id, user_id, provider, label, last4, sealed, master, created_at, updated_at FROM provider_keys"
    };
}

statements! {
    ADD = "INSERT INTO provider_keys (id, user_id, provider, label, last4, sealed, master, created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)";
    RELABEL = "UPDATE provider_keys SET label = $2, updated_at = $3 WHERE id = $1";
    REPLACE = "UPDATE provider_keys SET sealed = $2, master = $3, last4 = $4, updated_at = $5 WHERE id = $1";
    DELETE = "DELETE FROM provider_keys WHERE id = $1";
    FIND = concat!("SELECT ", provider_key_columns!(), " WHERE id = $1");
    LIST_OWN = concat!("SELECT ", provider_key_columns!(), " WHERE user_id = $1 ORDER BY id");
    LIST_SHARED = concat!("SELECT ", provider_key_columns!(), " WHERE user_id IS NULL ORDER BY id");
    NAMES = "SELECT DISTINCT provider FROM provider_keys";
    COUNT_OWN = "SELECT count(*) FROM provider_keys WHERE user_id = $1";
    COUNT_SHARED = "SELECT count(*) FROM provider_keys WHERE user_id IS NULL";
    LABELLED_OWN = "SELECT id FROM provider_keys WHERE user_id = $1 AND label = $2";
    LABELLED_SHARED = "SELECT id FROM provider_keys WHERE user_id IS NULL AND label = $1";
    USER = "SELECT id FROM users WHERE id = $1";
}

/// The error of a change of credentials.
#[derive(Debug, Error)]
pub enum ProviderKeyError {
    /// The label is invalid.
    #[error(transparent)]
    Invalid(#[from] InvalidText),
    /// The user does not exist.
    #[error(transparent)]
    NoUser(#[from] NoUser),
    /// The credential does not exist.
    #[error("there is no credential {id}")]
    NoProviderKey {
        /// Id of the requested credential.
        id: ProviderKeyId,
    },
    /// Another credential of the same owner has this label.
    #[error("another credential has this label")]
    LabelTaken,
    /// The owner has the maximum number of credentials.
    #[error("the owner has the maximum of {PROVIDER_KEYS_MAX} credentials")]
    TooManyProviderKeys,
    /// This node's master key may no longer seal credentials.
    #[error(transparent)]
    MasterKeyRetired(#[from] RetiredMasterKey),
    /// The credential could not be sealed.
    #[error(transparent)]
    Sealing(#[from] SealingError),
    /// An error of the database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// A credential that is to be stored.
#[derive(Debug, Clone)]
pub struct NewProviderKey {
    /// User who owns it; `None` shares it with all users whose plan allows shared credentials.
    pub owner: Option<UserId>,
    /// Name of the configured provider.
    pub provider: String,
    /// Name that the owner gives it, unique per owner.
    pub label: String,
    /// The credential in clear.
    pub secret: Secret,
}

/// A credential as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredProviderKey {
    /// Public id of the credential.
    pub id: ProviderKeyId,
    /// User who owns it; `None` for a shared credential.
    pub owner: Option<UserId>,
    /// Name of the configured provider.
    pub provider: String,
    /// Name that the owner gives it.
    pub label: String,
    /// Last four characters of the credential.
    pub last4: String,
    /// Fingerprint of the master key that seals it.
    pub master: Fingerprint,
    /// Time at which it was stored first.
    pub created_at: Timestamp,
    /// Time at which it was last replaced or renamed; a rotation of the master key does not count.
    pub updated_at: Timestamp,
    sealed: SealedCredential,
}

/// Fields of a credential to change; `None` keeps a value.
#[derive(Debug, Clone, Default)]
pub struct ProviderKeyChange {
    /// Name that the owner gives it.
    pub label: Option<String>,
    /// The new credential in clear.
    pub secret: Option<Secret>,
}

impl StoredProviderKey {
    /// Decrypts the credential.
    ///
    /// # Errors
    /// [`VaultError`] if the vault cannot decrypt it.
    pub fn open(&self, vault: &Vault) -> Result<Secret, VaultError> {
        vault.open(self.id, self.owner, &self.sealed)
    }
}

#[derive(sqlx_macros::FromRow)]
pub(crate) struct ProviderKeyRow {
    id: Uuid,
    user_id: Option<Uuid>,
    provider: String,
    label: String,
    last4: String,
    sealed: Vec<u8>,
    master: Vec<u8>,
    created_at: i64,
    updated_at: i64,
}

impl TryFrom<ProviderKeyRow> for StoredProviderKey {
    type Error = DatabaseError;

    fn try_from(row: ProviderKeyRow) -> Result<Self, DatabaseError> {
        let master = vault::fingerprint("provider_keys", "master", &row.master)?;
        Ok(Self {
            id: ProviderKeyId(row.id),
            owner: row.user_id.map(UserId),
            provider: row.provider,
            label: row.label,
            last4: row.last4,
            master,
            created_at: timestamp(row.created_at),
            updated_at: timestamp(row.updated_at),
            sealed: SealedCredential { master, bytes: row.sealed },
        })
    }
}

impl Store {
    /// Seals a credential and stores it. All nodes use it within one second.
    ///
    /// # Errors
    /// [`ProviderKeyError::Invalid`], [`ProviderKeyError::NoUser`], [`ProviderKeyError::LabelTaken`],
    /// [`ProviderKeyError::TooManyProviderKeys`], [`ProviderKeyError::MasterKeyRetired`], [`ProviderKeyError::Sealing`],
    /// and database errors.
    pub async fn create_provider_key(
        &self,
        by: &Actor,
        vault: &Vault,
        new: NewProviderKey,
    ) -> Result<StoredProviderKey, ProviderKeyError> {
        check_text("a credential's label", &new.label)?;
        let id = ProviderKeyId(self.new_id());
        let sealed = vault.seal(id, new.owner, &new.secret).map_err(SealingError)?;
        let mut transaction = self.begin_revision().await?;
        vault::refuse_retired::<ProviderKeyError>(&mut transaction, sealed.master).await?;
        refuse_crowd(&mut transaction, new.owner).await?;
        refuse_taken(&mut transaction, new.owner, &new.label).await?;
        let add = transaction
            .query(ADD)
            .bind(id.0)
            .bind(new.owner.map(|owner| owner.0))
            .bind(new.provider.as_str())
            .bind(new.label.as_str())
            .bind(last4(&new.secret))
            .bind(sealed.bytes)
            .bind(sealed.master.0.as_slice())
            .bind(self.now());
        add.run().await?;
        let detail = json!({"provider": new.provider, "shared": new.owner.is_none()});
        self.note(&mut transaction, by, Act::new(AuditAction::ProviderKeyCreate, id.0, new.owner).with(detail)).await?;
        let made = find(&mut transaction, id).await?;
        transaction.commit().await?;
        Ok(made)
    }

    /// Returns the credentials of one user, or all shared ones, oldest first; at most [`PROVIDER_KEYS_MAX`].
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn provider_keys(&self, owner: Option<UserId>) -> Result<Vec<StoredProviderKey>, DatabaseError> {
        let rows: Vec<ProviderKeyRow> = match owner {
            Some(owner) => self.query(LIST_OWN).bind(owner.0).all().await?,
            None => self.query(LIST_SHARED).all().await?,
        };
        rows.into_iter().map(StoredProviderKey::try_from).collect()
    }

    /// Returns the names of the providers and upstreams for which any credential is stored.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn names_with_credentials(&self) -> Result<Vec<String>, DatabaseError> {
        let rows: Vec<(String,)> = self.query(NAMES).all().await?;
        Ok(rows.into_iter().map(|(name,)| name).collect())
    }

    /// Returns the credential with this id, whichever user owns it.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn find_provider_key(&self, id: ProviderKeyId) -> Result<Option<StoredProviderKey>, DatabaseError> {
        let row: Option<ProviderKeyRow> = self.query(FIND).bind(id.0).find().await?;
        row.map(StoredProviderKey::try_from).transpose()
    }

    /// Renames a credential, replaces it, or both. All nodes apply the change within one second.
    ///
    /// # Errors
    /// [`ProviderKeyError::NoProviderKey`], and the errors of [`create_provider_key`](Self::create_provider_key).
    pub async fn change_provider_key(
        &self,
        by: &Actor,
        vault: &Vault,
        id: ProviderKeyId,
        change: ProviderKeyChange,
    ) -> Result<StoredProviderKey, ProviderKeyError> {
        let mut transaction = self.begin_revision().await?;
        let stored = find(&mut transaction, id).await?;
        let mut detail = Map::new();
        detail.insert("provider".to_owned(), json!(stored.provider));
        if let Some(label) = change.label.filter(|label| *label != stored.label) {
            check_text("a credential's label", &label)?;
            refuse_taken(&mut transaction, stored.owner, &label).await?;
            transaction.query(RELABEL).bind(id.0).bind(label).bind(self.now()).run().await?;
            detail.insert("label".to_owned(), json!(true));
        }
        if let Some(secret) = change.secret {
            let sealed = vault.seal(id, stored.owner, &secret).map_err(SealingError)?;
            vault::refuse_retired::<ProviderKeyError>(&mut transaction, sealed.master).await?;
            let replace = transaction
                .query(REPLACE)
                .bind(id.0)
                .bind(sealed.bytes)
                .bind(sealed.master.0.as_slice())
                .bind(last4(&secret))
                .bind(self.now());
            replace.run().await?;
            detail.insert("secret".to_owned(), json!(true));
        }
        if detail.len() == 1 {
            return Ok(stored);
        }
        let act = Act::new(AuditAction::ProviderKeyChange, id.0, stored.owner).with(Value::Object(detail));
        self.note(&mut transaction, by, act).await?;
        let changed = find(&mut transaction, id).await?;
        transaction.commit().await?;
        Ok(changed)
    }

    /// Deletes a credential. All nodes stop using it within one second.
    ///
    /// # Errors
    /// [`ProviderKeyError::NoProviderKey`], and database errors.
    pub async fn delete_provider_key(&self, by: &Actor, id: ProviderKeyId) -> Result<(), ProviderKeyError> {
        let mut transaction = self.begin_revision().await?;
        let stored = find(&mut transaction, id).await?;
        transaction.query(DELETE).bind(id.0).run().await?;
        let detail = json!({"provider": stored.provider});
        let act = Act::new(AuditAction::ProviderKeyDelete, id.0, stored.owner).with(detail);
        self.note(&mut transaction, by, act).await?;
        transaction.commit().await?;
        Ok(())
    }
}

async fn find(transaction: &mut Transaction, id: ProviderKeyId) -> Result<StoredProviderKey, ProviderKeyError> {
    let row: Option<ProviderKeyRow> = transaction.query(FIND).bind(id.0).find().await?;
    Ok(row.ok_or(ProviderKeyError::NoProviderKey { id })?.try_into()?)
}

/// Refuses a credential beyond the maximum. Transactions that change credentials hold the lock of the revision's row,
/// so no other credential is added meanwhile.
async fn refuse_crowd(transaction: &mut Transaction, owner: Option<UserId>) -> Result<(), ProviderKeyError> {
    let (count,): (i64,) = match owner {
        Some(owner) => {
            let user: Option<(Uuid,)> = transaction.query(USER).bind(owner.0).find().await?;
            user.ok_or(NoUser { id: Some(owner) })?;
            transaction.query(COUNT_OWN).bind(owner.0).one().await?
        }
        None => transaction.query(COUNT_SHARED).one().await?,
    };
    let crowd = usize::try_from(count).is_ok_and(|count| count >= PROVIDER_KEYS_MAX);
    if crowd { Err(ProviderKeyError::TooManyProviderKeys) } else { Ok(()) }
}

async fn refuse_taken(
    transaction: &mut Transaction,
    owner: Option<UserId>,
    label: &str,
) -> Result<(), ProviderKeyError> {
    let taken: Option<(Uuid,)> = match owner {
        Some(owner) => transaction.query(LABELLED_OWN).bind(owner.0).bind(label).find().await?,
        None => transaction.query(LABELLED_SHARED).bind(label).find().await?,
    };
    if taken.is_some() { Err(ProviderKeyError::LabelTaken) } else { Ok(()) }
}

fn last4(secret: &Secret) -> String {
    let text = secret.expose();
    let from = text.char_indices().rev().nth(SHOWN_CHARS - 1).map_or(0, |(at, _)| at);
    text.get(from..).unwrap_or_default().to_owned()
}
