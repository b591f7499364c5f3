//! Master keys that the store knows, by fingerprint, and their rotation, which seals all credentials with the next
//! master key: those of providers, the secrets of webhooks, and the key that signs exports.
//!
//! The store never sees a master key. An active one may seal credentials; the newest active one is in use.

use access::{Fingerprint, ProviderKeyId, SealedCredential, Timestamp, UserId, Vault, VaultError};
use serde_json::json;
use thiserror::Error;
use uuid::Uuid;

use crate::audit::{Act, Actor, AuditAction};
use crate::error::DatabaseError;
use crate::opening::handle::Store;
use crate::sql::{Transaction, micros, statements, timestamp, unsigned};

/// Number of credentials that one transaction reseals.
const BATCH: usize = 100;

statements! {
    KEYS = "SELECT id, fingerprint, retired_at, created_at,
        (SELECT count(*) FROM provider_keys WHERE provider_keys.master = master_keys.fingerprint)
        + (SELECT count(*) FROM webhook_endpoints WHERE webhook_endpoints.master = master_keys.fingerprint)
        + (SELECT count(*) FROM signing_keys WHERE signing_keys.master = master_keys.fingerprint
        AND signing_keys.retired_at IS NULL) AS sealed
        FROM master_keys ORDER BY created_at, id";
    ADD = "INSERT INTO master_keys (id, fingerprint, created_at, updated_at) VALUES ($1, $2, $3, $3)";
    RETIRE = "UPDATE master_keys SET retired_at = $2, updated_at = $2 WHERE id = $1 AND retired_at IS NULL";
    ACTIVE = "SELECT id FROM master_keys WHERE fingerprint = $1 AND retired_at IS NULL";
    OTHERS = "SELECT id, user_id, sealed, master FROM (SELECT id, user_id, sealed, master FROM provider_keys
        UNION ALL SELECT id, NULL, sealed, master FROM webhook_endpoints
        UNION ALL SELECT id, NULL, sealed, master FROM signing_keys WHERE retired_at IS NULL) credentials
        WHERE id > $1 AND master <> $2 ORDER BY id LIMIT $3";
    RESEAL = "UPDATE provider_keys SET sealed = $2, master = $3 WHERE id = $1 AND sealed = $4";
    RESEAL_WEBHOOK = "UPDATE webhook_endpoints SET sealed = $2, master = $3 WHERE id = $1 AND sealed = $4";
    RESEAL_SIGNING = "UPDATE signing_keys SET sealed = $2, master = $3 WHERE id = $1 AND sealed = $4";
    ANY = "SELECT count(*) FROM (SELECT 1 AS one FROM provider_keys UNION ALL SELECT 1 FROM webhook_endpoints LIMIT 1) anything";
    LOST = "SELECT (SELECT count(*) FROM provider_keys WHERE master <> $1 AND master <> $2)
        + (SELECT count(*) FROM webhook_endpoints WHERE master <> $1 AND master <> $2)";
    DELETE_LOST = "DELETE FROM provider_keys WHERE master <> $1 AND master <> $2";
    DELETE_LOST_DELIVERIES = "DELETE FROM webhook_deliveries WHERE endpoint_id IN (SELECT id FROM webhook_endpoints
        WHERE master <> $1 AND master <> $2)";
    DELETE_LOST_WEBHOOKS = "DELETE FROM webhook_endpoints WHERE master <> $1 AND master <> $2";
    RETIRE_LOST_SIGNING = "UPDATE signing_keys SET retired_at = $3, updated_at = $3
        WHERE retired_at IS NULL AND master <> $1 AND master <> $2";
}

/// A rotation has ended: this node's master key may no longer seal credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the master key of this server is retired: start it with the key that replaced it")]
pub struct RetiredMasterKey;

/// A credential could not be sealed.
#[derive(Debug, Error)]
#[error("the credential could not be sealed")]
pub struct SealingError(#[source] pub VaultError);

/// The error of a check or a change of master keys.
#[derive(Debug, Error)]
pub enum MasterKeyError {
    /// This node's master key is retired.
    #[error(transparent)]
    Retired(#[from] RetiredMasterKey),
    /// The store's credentials are sealed with another master key, which this node does not have.
    #[error("the store's credentials are sealed with the master key {newest}, which this server does not have")]
    Other {
        /// Fingerprint of the master key in use.
        newest: Fingerprint,
    },
    /// An error of the database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// The error of one batch of a rotation.
#[derive(Debug, Error)]
pub enum ResealError {
    /// A credential could not be sealed.
    #[error(transparent)]
    Sealing(#[from] SealingError),
    /// An error of the database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// A master key that the store knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownMasterKey {
    /// Id of its row.
    pub id: Uuid,
    /// Fingerprint of the master key.
    pub fingerprint: Fingerprint,
    /// Time at which the store saw it first.
    pub since: Timestamp,
    /// Time at which it was retired; it is never used again.
    pub retired_at: Option<Timestamp>,
    /// Number of credentials that are sealed with it.
    pub sealed: u64,
}

impl KnownMasterKey {
    /// Whether it may seal credentials.
    #[must_use]
    pub const fn is_active(&self) -> bool {
        self.retired_at.is_none()
    }
}

/// A master key that a node may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdmittedMasterKey {
    /// Time at which the store saw it first.
    pub since: Timestamp,
    /// Whether it is the newest; if not, another node uses a newer one.
    pub newest: bool,
}

/// Result of one batch of a rotation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResealResult {
    /// Number of credentials that this batch sealed with the current master key.
    pub done: u64,
    /// Credentials that no master key of the vault can decrypt; they are unchanged. That of a webhook or of a signing
    /// key has its id.
    pub undecryptable: Vec<ProviderKeyId>,
    /// Id after which the next batch begins; `None` after the last batch.
    pub next: Option<ProviderKeyId>,
}

#[derive(sqlx_macros::FromRow)]
struct MasterKeyRow {
    id: Uuid,
    fingerprint: Vec<u8>,
    retired_at: Option<i64>,
    created_at: i64,
    sealed: i64,
}

#[derive(sqlx_macros::FromRow)]
struct SealedRow {
    id: Uuid,
    user_id: Option<Uuid>,
    sealed: Vec<u8>,
    master: Vec<u8>,
}

impl TryFrom<MasterKeyRow> for KnownMasterKey {
    type Error = DatabaseError;

    fn try_from(row: MasterKeyRow) -> Result<Self, DatabaseError> {
        Ok(Self {
            id: row.id,
            fingerprint: fingerprint("master_keys", "fingerprint", &row.fingerprint)?,
            since: timestamp(row.created_at),
            retired_at: row.retired_at.map(timestamp),
            sealed: unsigned(row.sealed),
        })
    }
}

/// Converts a stored fingerprint of a master key.
///
/// # Errors
/// [`DatabaseError::Unreadable`] if the value has another length.
pub fn fingerprint(table: &'static str, column: &'static str, stored: &[u8]) -> Result<Fingerprint, DatabaseError> {
    stored.try_into().map(Fingerprint).map_err(|_| DatabaseError::Unreadable { table, column })
}

/// Returns an error if another node has retired the master key.
///
/// # Errors
/// [`RetiredMasterKey`], and database errors.
pub async fn refuse_retired<E: From<RetiredMasterKey> + From<DatabaseError>>(
    transaction: &mut Transaction,
    master: Fingerprint,
) -> Result<(), E> {
    let active: Option<(Uuid,)> = transaction.query(ACTIVE).bind(master.0.as_slice()).find().await?;
    Ok(active.map(|_| ()).ok_or(RetiredMasterKey)?)
}

impl Store {
    /// Returns every master key that was ever used, oldest first.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn master_keys(&self) -> Result<Vec<KnownMasterKey>, DatabaseError> {
        let rows: Vec<MasterKeyRow> = self.query(KEYS).all().await?;
        rows.into_iter().map(KnownMasterKey::try_from).collect()
    }

    /// Lets a node seal with the vault's current master key. It must be active, the first of the store, or the
    /// successor of the newest, which the vault then has as its previous one; in that case a rotation begins.
    ///
    /// # Errors
    /// [`MasterKeyError::Other`], [`MasterKeyError::Retired`], and database errors.
    pub async fn admit_master_key(&self, by: &Actor, vault: &Vault) -> Result<AdmittedMasterKey, MasterKeyError> {
        if let Some(admitted) = judge(&self.master_keys().await?, vault)? {
            return Ok(admitted);
        }
        let mut transaction = self.begin_revision().await?;
        let known = keys(&mut transaction).await?;
        // Another node may have added a master key meanwhile.
        if let Some(admitted) = judge(&known, vault)? {
            return Ok(admitted);
        }
        let (id, since) = self.add(&mut transaction, vault.current(), &known).await?;
        let after = known.iter().rfind(|key| key.is_active()).map(|key| key.fingerprint.to_string());
        let detail = json!({"begun": vault.current().to_string(), "after": after});
        self.note(&mut transaction, by, Act::new(AuditAction::VaultRotate, id, None).with(detail)).await?;
        transaction.commit().await?;
        Ok(AdmittedMasterKey { since, newest: true })
    }

    /// Checks the vault's current master key again, under the lock of changes, for a node that has joined. A node that
    /// replaces an unused master key looks for joined nodes under the same lock, so one of the two always sees the
    /// other.
    ///
    /// # Errors
    /// The errors of [`admit_master_key`](Self::admit_master_key).
    pub async fn confirm_master_key(&self, by: &Actor, vault: &Vault) -> Result<AdmittedMasterKey, MasterKeyError> {
        let mut transaction = self.begin_quiet().await?;
        let judged = judge(&keys(&mut transaction).await?, vault)?;
        transaction.rollback().await?;
        match judged {
            Some(admitted) => Ok(admitted),
            // The store was restored meanwhile, and knows no master key or only the previous one.
            None => self.admit_master_key(by, vault).await,
        }
    }

    /// Whether no credential is sealed, and no node runs that could seal one with its own master key: any other key can
    /// then replace it. On PostgreSQL this takes two beats.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn is_vault_unused(&self) -> Result<bool, DatabaseError> {
        Ok(!self.has_credentials().await? && self.servers().await? == 0)
    }

    /// Whether a credential is stored, which only a master key decrypts.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn has_credentials(&self) -> Result<bool, DatabaseError> {
        let (sealed,): (i64,) = self.query(ANY).one().await?;
        Ok(sealed > 0)
    }

    /// Replaces the known master keys, of which `newest` is the last, by the vault's current one, while no credential
    /// is sealed. A key that signs exports is retired if the vault cannot decrypt it.
    ///
    /// # Errors
    /// [`MasterKeyError::Other`] if a credential is sealed or another node has changed the master keys,
    /// [`MasterKeyError::Retired`], and database errors.
    pub async fn replace_unused_master_key(
        &self,
        by: &Actor,
        vault: &Vault,
        newest: Fingerprint,
    ) -> Result<AdmittedMasterKey, MasterKeyError> {
        let mut transaction = self.begin_revision().await?;
        let known = keys(&mut transaction).await?;
        let (sealed,): (i64,) = transaction.query(ANY).one().await?;
        let last = known.iter().rfind(|key| key.is_active()).map(|key| key.fingerprint);
        // Checked under the lock of changes, which a joined node takes when it confirms its master key.
        if sealed > 0 || last != Some(newest) || self.servers().await? > 0 {
            return Err(MasterKeyError::Other { newest: last.unwrap_or(newest) });
        }
        if known.iter().any(|key| key.fingerprint == vault.current()) {
            return Err(RetiredMasterKey.into());
        }
        for key in &known {
            transaction.query(RETIRE).bind(key.id).bind(self.now()).run().await?;
        }
        self.retire_lost_signing_key(&mut transaction, vault).await?;
        let (id, since) = self.add(&mut transaction, vault.current(), &known).await?;
        let detail = json!({"begun": vault.current().to_string(), "unused": newest.to_string()});
        self.note(&mut transaction, by, Act::new(AuditAction::VaultRotate, id, None).with(detail)).await?;
        transaction.commit().await?;
        Ok(AdmittedMasterKey { since, newest: true })
    }

    /// Retires the key that signs exports if the vault cannot decrypt it. The next export creates another one.
    async fn retire_lost_signing_key(&self, transaction: &mut Transaction, vault: &Vault) -> Result<(), DatabaseError> {
        let (one, other) = both(vault);
        let retire = transaction.query(RETIRE_LOST_SIGNING).bind(one.0.as_slice()).bind(other.0.as_slice());
        retire.bind(self.now()).run().await?;
        Ok(())
    }

    /// Adds a master key after the `known` ones, also if this node's clock is behind another's.
    async fn add(
        &self,
        transaction: &mut Transaction,
        key: Fingerprint,
        known: &[KnownMasterKey],
    ) -> Result<(Uuid, Timestamp), DatabaseError> {
        let latest = known.iter().map(|key| micros(key.since)).max().unwrap_or(0);
        let id = self.new_id();
        let since = self.now().max(latest.saturating_add(1));
        transaction.query(ADD).bind(id).bind(key.0.as_slice()).bind(since).run().await?;
        Ok((id, timestamp(since)))
    }

    /// Seals the next credentials after `after` with the vault's current master key, if they are sealed with another:
    /// at most 100, in one transaction. A credential that is replaced concurrently keeps its replacement.
    ///
    /// # Errors
    /// [`ResealError::Sealing`], and database errors.
    pub async fn reseal(&self, vault: &Vault, after: Option<ProviderKeyId>) -> Result<ResealResult, ResealError> {
        let mut transaction = self.begin().await?;
        let after = after.map_or(Uuid::nil(), |id| id.0);
        let limit = i64::try_from(BATCH).unwrap_or(i64::MAX);
        let others = transaction.query(OTHERS).bind(after).bind(vault.current().0.as_slice()).bind(limit);
        let rows: Vec<SealedRow> = others.all().await?;
        let next = rows.get(BATCH - 1).map(|last| ProviderKeyId(last.id));
        let mut resealed = ResealResult { next, ..ResealResult::default() };
        for row in rows {
            let id = ProviderKeyId(row.id);
            let owner = row.user_id.map(UserId);
            let master = fingerprint("provider_keys", "master", &row.master)?;
            let before = SealedCredential { master, bytes: row.sealed };
            let Ok(secret) = vault.open(id, owner, &before) else {
                resealed.undecryptable.push(id);
                continue;
            };
            let anew = vault.seal(id, owner, &secret).map_err(SealingError)?;
            let master = anew.master.0;
            // No two credentials have the same id.
            for sql in [RESEAL, RESEAL_WEBHOOK, RESEAL_SIGNING] {
                let reseal = transaction.query(sql).bind(id.0).bind(anew.bytes.clone()).bind(master.as_slice());
                resealed.done += reseal.bind(before.bytes.clone()).run().await?;
            }
        }
        transaction.commit().await?;
        Ok(resealed)
    }

    /// Retires every active master key, except the vault's current one, that seals no credential any more, and returns
    /// the retired ones. From then on no node seals with them.
    ///
    /// # Errors
    /// [`MasterKeyError::Retired`] if the current one is retired, and database errors.
    pub async fn retire_master_keys(
        &self,
        by: &Actor,
        current: Fingerprint,
    ) -> Result<Vec<Fingerprint>, MasterKeyError> {
        // Waits for transactions that seal with one of them now, because both raise the revision first.
        let mut transaction = self.begin_revision().await?;
        refuse_retired::<MasterKeyError>(&mut transaction, current).await?;
        let mut retired = Vec::new();
        for key in keys(&mut transaction).await? {
            if key.fingerprint == current || !key.is_active() || key.sealed > 0 {
                continue;
            }
            transaction.query(RETIRE).bind(key.id).bind(self.now()).run().await?;
            let detail = json!({"retired": key.fingerprint.to_string(), "current": current.to_string()});
            self.note(&mut transaction, by, Act::new(AuditAction::VaultRotate, key.id, None).with(detail)).await?;
            retired.push(key.fingerprint);
        }
        if !retired.is_empty() {
            transaction.commit().await?;
        }
        Ok(retired)
    }

    /// Returns the number of credentials that are sealed with a master key which the vault does not have.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn lost_provider_keys(&self, vault: &Vault) -> Result<u64, DatabaseError> {
        let (one, other) = both(vault);
        let (count,): (i64,) = self.query(LOST).bind(one.0.as_slice()).bind(other.0.as_slice()).one().await?;
        Ok(unsigned(count))
    }

    /// Deletes the credentials that are sealed with a master key which the vault does not have, retires those keys and
    /// a signing key under them, and activates the vault's current one. Returns the number of deleted credentials.
    ///
    /// # Errors
    /// [`MasterKeyError::Retired`], and database errors.
    pub async fn reset_vault(&self, by: &Actor, vault: &Vault) -> Result<u64, MasterKeyError> {
        let (one, other) = both(vault);
        let mut transaction = self.begin_revision().await?;
        let mut deleted = 0;
        for (sql, is_counted) in [(DELETE_LOST, true), (DELETE_LOST_DELIVERIES, false), (DELETE_LOST_WEBHOOKS, true)] {
            let rows = transaction.query(sql).bind(one.0.as_slice()).bind(other.0.as_slice()).run().await?;
            deleted += if is_counted { rows } else { 0 };
        }
        self.retire_lost_signing_key(&mut transaction, vault).await?;
        let known = keys(&mut transaction).await?;
        for key in known.iter().filter(|key| ![one, other].contains(&key.fingerprint)) {
            transaction.query(RETIRE).bind(key.id).bind(self.now()).run().await?;
        }
        let id = match known.iter().find(|key| key.fingerprint == one) {
            Some(key) if !key.is_active() => return Err(RetiredMasterKey.into()),
            Some(key) => key.id,
            None => self.add(&mut transaction, one, &known).await?.0,
        };
        let detail = json!({"reset": one.to_string(), "deleted": deleted});
        self.note(&mut transaction, by, Act::new(AuditAction::VaultRotate, id, None).with(detail)).await?;
        transaction.commit().await?;
        Ok(deleted)
    }
}

async fn keys(transaction: &mut Transaction) -> Result<Vec<KnownMasterKey>, DatabaseError> {
    let rows: Vec<MasterKeyRow> = transaction.query(KEYS).all().await?;
    rows.into_iter().map(KnownMasterKey::try_from).collect()
}

/// Returns the current and the previous key of the vault; the current one twice if it has only one.
fn both(vault: &Vault) -> (Fingerprint, Fingerprint) {
    (vault.current(), vault.previous().unwrap_or(vault.current()))
}

/// Returns whether the vault's current key may be used; `None` if it must be added first.
fn judge(known: &[KnownMasterKey], vault: &Vault) -> Result<Option<AdmittedMasterKey>, MasterKeyError> {
    let newest = known.iter().rfind(|key| key.is_active());
    let current = vault.current();
    if let Some(key) = known.iter().find(|key| key.fingerprint == current) {
        if !key.is_active() {
            return Err(RetiredMasterKey.into());
        }
        let newest = newest.is_none_or(|newest| newest.fingerprint == current);
        return Ok(Some(AdmittedMasterKey { since: key.since, newest }));
    }
    match newest {
        Some(newest) if vault.previous() != Some(newest.fingerprint) => {
            Err(MasterKeyError::Other { newest: newest.fingerprint })
        }
        Some(_) | None => Ok(None),
    }
}
