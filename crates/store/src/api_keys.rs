//! Callers' keys. Only hashes are stored.

use access::{KeyHash, KeyId, KeyNo, Timestamp, UserId};
use uuid::Uuid;

use crate::error::{StoreError, check_text};
use crate::statement::{micros, statements, timestamp};
use crate::store::Store;

// `no`: as for users.
statements! {
    ADD = "INSERT INTO api_keys (id, no, user_id, label, hash, prefix, last4, expires_at, created_at, updated_at)
        VALUES ($1, (SELECT coalesce(max(no), 0) + 1 FROM api_keys), $2, $3, $4, $5, $6, $7, $8, $8)";
    REVOKE = "UPDATE api_keys SET revoked_at = $2, updated_at = $2 WHERE id = $1 AND revoked_at IS NULL";
    OWNER = "SELECT 1 FROM users WHERE id = $1";
    FIND = "SELECT id, no, user_id, label, prefix, last4, expires_at, revoked_at, created_at FROM api_keys WHERE id = $1";
    LIST = "SELECT id, no, user_id, label, prefix, last4, expires_at, revoked_at, created_at FROM api_keys ORDER BY no";
    LIST_OF_USER = "SELECT id, no, user_id, label, prefix, last4, expires_at, revoked_at, created_at FROM api_keys
        WHERE user_id = $1 ORDER BY no";
}

/// A key to be stored.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// Its owner.
    pub user: UserId,
    /// What its owner calls it.
    pub label: String,
    /// SHA-256 of the whole key.
    pub hash: KeyHash,
    /// What stands before the underscore.
    pub prefix: String,
    /// The last four digits.
    pub last4: String,
    /// From this moment on it opens nothing.
    pub expires_at: Option<Timestamp>,
}

/// A key as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Its id.
    pub id: KeyId,
    /// Its number in events.
    pub no: KeyNo,
    /// Its owner.
    pub user: UserId,
    /// What its owner calls it.
    pub label: String,
    /// What stands before the underscore.
    pub prefix: String,
    /// The last four digits.
    pub last4: String,
    /// From this moment on it opens nothing.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
}

#[derive(Debug, sqlx::FromRow)]
struct KeyRow {
    id: Uuid,
    no: i64,
    user_id: Uuid,
    label: String,
    prefix: String,
    last4: String,
    expires_at: Option<i64>,
    revoked_at: Option<i64>,
    created_at: i64,
}

impl From<KeyRow> for Key {
    fn from(row: KeyRow) -> Self {
        Self {
            id: KeyId(row.id),
            no: KeyNo(row.no),
            user: UserId(row.user_id),
            label: row.label,
            prefix: row.prefix,
            last4: row.last4,
            expires_at: row.expires_at.map(timestamp),
            revoked_at: row.revoked_at.map(timestamp),
            created_at: timestamp(row.created_at),
        }
    }
}

impl Store {
    /// Stores a key.
    ///
    /// # Errors
    /// [`StoreError::Invalid`], [`StoreError::NoUser`], [`StoreError::KeyTaken`], [`StoreError::Database`].
    pub async fn create_key(&self, new: NewKey) -> Result<Key, StoreError> {
        check_text("a key's label", &new.label)?;
        let mut transaction = self.change().await?;
        let owner = sqlx::query(OWNER).bind(new.user.0).fetch_optional(&mut *transaction).await?;
        if owner.is_none() {
            return Err(StoreError::NoUser { id: Some(new.user) });
        }
        let id = self.new_id();
        let add = sqlx::query(ADD)
            .bind(id)
            .bind(new.user.0)
            .bind(&new.label)
            .bind(new.hash.0.as_slice())
            .bind(&new.prefix)
            .bind(&new.last4)
            .bind(new.expires_at.map(micros))
            .bind(self.now());
        add.execute(&mut *transaction).await.map_err(|error| {
            // The id is new and the number was given under a lock: only the hash can be there already.
            let taken = error.as_database_error().is_some_and(|cause| cause.is_unique_violation());
            if taken { StoreError::KeyTaken } else { StoreError::Database(error) }
        })?;
        let row: KeyRow = sqlx::query_as(FIND).bind(id).fetch_one(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(row.into())
    }

    /// The keys of one user, or of all, in the order in which they were made.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn keys(&self, user: Option<UserId>) -> Result<Vec<Key>, StoreError> {
        let rows: Vec<KeyRow> = match user {
            Some(user) => sqlx::query_as(LIST_OF_USER).bind(user.0).fetch_all(self.readers()).await?,
            None => sqlx::query_as(LIST).fetch_all(self.readers()).await?,
        };
        Ok(rows.into_iter().map(Key::from).collect())
    }

    /// Revokes a key for good; it holds everywhere within a second. One that is revoked already keeps its time.
    ///
    /// # Errors
    /// [`StoreError::NoKey`], [`StoreError::Database`].
    pub async fn revoke_key(&self, id: KeyId) -> Result<Key, StoreError> {
        let mut transaction = self.change().await?;
        sqlx::query(REVOKE).bind(id.0).bind(self.now()).execute(&mut *transaction).await?;
        let row: Option<KeyRow> = sqlx::query_as(FIND).bind(id.0).fetch_optional(&mut *transaction).await?;
        let key = row.map(Key::from).ok_or(StoreError::NoKey { id })?;
        transaction.commit().await?;
        Ok(key)
    }
}
