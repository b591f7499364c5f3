//! Keys that sign exports: the public key, and the private key sealed with the master key.

use access::{Fingerprint, SealedCredential};
use serde_json::json;
use thiserror::Error;
use uuid::Uuid;

use crate::audit::{Act, Actor, AuditAction};
use crate::error::DatabaseError;
use crate::opening::handle::Store;
use crate::sealed::vault::{self, RetiredMasterKey};
use crate::sql::statements;

statements! {
    ACTIVE = "SELECT id, public_key, sealed, master FROM signing_keys WHERE retired_at IS NULL ORDER BY created_at DESC, id DESC
        LIMIT 1";
    RETIRE = "UPDATE signing_keys SET retired_at = $2, updated_at = $2 WHERE id = $1";
    ADD = "INSERT INTO signing_keys (id, public_key, sealed, master, retired_at, created_at, updated_at)
        VALUES ($1, $2, $3, $4, NULL, $5, $5)";
}

/// A key that signs exports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSigningKey {
    /// Id of the row, to which the private key is bound.
    pub id: Uuid,
    /// The public key as hex digits.
    pub public_key: String,
    /// The private key, sealed.
    pub sealed: SealedCredential,
}

/// The reason why a key was not stored.
#[derive(Debug, Error)]
pub enum StoreSigningKeyError {
    /// This node's master key may not seal.
    #[error(transparent)]
    MasterKeyRetired(#[from] RetiredMasterKey),
    /// An error of the database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

#[derive(sqlx_macros::FromRow)]
struct SigningKeyRow {
    id: Uuid,
    public_key: String,
    sealed: Vec<u8>,
    master: Vec<u8>,
}

impl TryFrom<SigningKeyRow> for StoredSigningKey {
    type Error = DatabaseError;

    fn try_from(row: SigningKeyRow) -> Result<Self, DatabaseError> {
        let unreadable = |_| DatabaseError::Unreadable { table: "signing_keys", column: "master" };
        let master = row.master.try_into().map(Fingerprint).map_err(unreadable)?;
        let sealed = SealedCredential { master, bytes: row.sealed };
        Ok(Self { id: row.id, public_key: row.public_key, sealed })
    }
}

impl Store {
    /// Returns the key that signs exports; `None` before the first export.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn signing_key(&self) -> Result<Option<StoredSigningKey>, DatabaseError> {
        self.query(ACTIVE).find::<SigningKeyRow>().await?.map(TryInto::try_into).transpose()
    }

    /// Stores the first key, or the successor of `retired`, which signs no more. Returns the key in force, which is another one
    /// if another node was faster.
    ///
    /// # Errors
    /// [`StoreSigningKeyError`].
    pub async fn add_signing_key(
        &self,
        by: &Actor,
        new: StoredSigningKey,
        retired: Option<Uuid>,
    ) -> Result<StoredSigningKey, StoreSigningKeyError> {
        let mut transaction = self.begin_quiet().await?;
        let active: Option<SigningKeyRow> = transaction.query(ACTIVE).find().await?;
        if let Some(active) = active.filter(|active| Some(active.id) != retired) {
            return Ok(active.try_into()?);
        }
        vault::refuse_retired::<StoreSigningKeyError>(&mut transaction, new.sealed.master).await?;
        if let Some(retired) = retired {
            transaction.query(RETIRE).bind(retired).bind(self.now()).run().await?;
        }
        let add = transaction.query(ADD).bind(new.id).bind(new.public_key.clone()).bind(new.sealed.bytes.clone());
        add.bind(new.sealed.master.0.as_slice()).bind(self.now()).run().await?;
        let act = Act::new(AuditAction::SigningKeyCreate, new.id, None).with(json!({"public_key": new.public_key}));
        self.note(&mut transaction, by, act).await?;
        transaction.commit().await?;
        Ok(new)
    }
}
