//! Callers' keys. Only hashes are stored.
//!
//! Read [`change`] for what is done to a key, `row` for its columns.

pub(crate) mod bound;
pub mod change;
pub(crate) mod numbers;
pub(crate) mod row;

use access::{ApiKey, KeyBounds, KeyHash, KeyId, KeyNo, Timestamp, UserId};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::audit::{Act, Action, Actor};
use crate::dialect::Transaction;
use crate::error::{StoreError, check_text};
use crate::statement::{micros, signed, statements, unsigned};
use crate::store::Store;
use crate::users;
use row::{KeyRow, key_columns, list};

/// Keys of one user that are not revoked.
pub const KEYS_MAX: u64 = 1_000;
/// Up to so many, keys of one user are made beside each other: not even all connections of many servers make as many at once as
/// are then missing to [`KEYS_MAX`].
const UNGUARDED_MAX: u64 = 500;
/// Keys in one page, with the one that says that there is another.
pub const KEYS_PAGE_MAX: u32 = 201;

statements! {
    ADD = concat!("INSERT INTO api_keys (id, no, user_id, label, hash, prefix, last4, expires_at, credits_per_day,
        requests_per_minute, routes, models, addresses, created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $14) RETURNING ", key_columns!());
    KEYS_OF_OWNER = "SELECT (SELECT count(*) FROM api_keys k WHERE k.user_id = u.id AND k.revoked_at IS NULL)
        FROM users u WHERE u.id = $1";
    FIND = concat!("SELECT ", key_columns!(), " FROM api_keys WHERE id = $1 AND user_id = coalesce($2, user_id)");
    LIST = concat!("SELECT ", key_columns!(), " FROM api_keys ORDER BY no");
    LIST_OF_USER = concat!("SELECT ", key_columns!(), " FROM api_keys WHERE user_id = $1 ORDER BY no");
    PAGE = concat!("SELECT ", key_columns!(), " FROM api_keys
        WHERE user_id = $1 AND id < $2 AND revoked_at IS NULL ORDER BY id DESC LIMIT $3");
    PAGE_WITH_REVOKED = concat!("SELECT ", key_columns!(), " FROM api_keys
        WHERE user_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3");
}

/// A key to be stored.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// Its owner.
    pub user: UserId,
    /// What its owner calls it.
    pub label: String,
    /// What is stored of its secret.
    pub secret: KeySecret,
    /// From this moment on it opens nothing.
    pub expires_at: Option<Timestamp>,
    /// What it may do less than its owner.
    pub bounds: KeyBounds,
}

impl NewKey {
    /// A key without bounds and without an end.
    #[must_use]
    pub fn of(user: UserId, label: impl Into<String>, secret: &ApiKey) -> Self {
        let (label, secret) = (label.into(), KeySecret::of(secret));
        Self { user, label, secret, expires_at: None, bounds: KeyBounds::default() }
    }
}

/// What is stored of a key's secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySecret {
    /// SHA-256 of the whole key.
    pub hash: KeyHash,
    /// What stands before the underscore.
    pub prefix: String,
    /// The last four digits.
    pub last4: String,
}

impl KeySecret {
    /// What is kept of `key`.
    #[must_use]
    pub fn of(key: &ApiKey) -> Self {
        Self { hash: key.hash(), prefix: key.prefix().to_owned(), last4: key.last4().to_owned() }
    }
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
    /// The secret before the last rotation, where there was one.
    pub previous: Option<PreviousSecret>,
    /// What it may do less than its owner.
    pub bounds: KeyBounds,
    /// When it was last used, to about a minute; see [`crate::last_use`].
    pub used_at: Option<Timestamp>,
    /// From this moment on it opens nothing.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// The secret that a key had before its last rotation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviousSecret {
    /// The last four digits.
    pub last4: String,
    /// From this moment on it opens nothing.
    pub until: Timestamp,
    /// When it was last used since the rotation, to about a minute.
    pub used_at: Option<Timestamp>,
}

/// Which key is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyRef {
    /// Its id.
    pub id: KeyId,
    /// Whose it must be; another user's is as good as none. `None` is anybody's.
    pub owner: Option<UserId>,
}

impl KeyRef {
    /// A user's own.
    #[must_use]
    pub const fn of(owner: UserId, id: KeyId) -> Self {
        Self { id, owner: Some(owner) }
    }
}

impl From<KeyId> for KeyRef {
    fn from(id: KeyId) -> Self {
        Self { id, owner: None }
    }
}

/// Some of a user's keys, the newest first.
#[derive(Debug, Clone, Copy)]
pub struct KeysAsked {
    /// Whose.
    pub user: UserId,
    /// Whether revoked ones are told of.
    pub revoked: bool,
    /// Only keys made before this one.
    pub before: Option<KeyId>,
    /// At most so many, and [`KEYS_PAGE_MAX`].
    pub limit: u32,
}

impl Store {
    /// Stores a key. Keys that were answered for before are not asked for again: a new one is unknown to all, but for at
    /// most 5 s to whom presented it before it was stored.
    ///
    /// # Errors
    /// [`StoreError::Invalid`], [`StoreError::UnfitBound`], [`StoreError::NoUser`], [`StoreError::TooManyKeys`],
    /// [`StoreError::KeyTaken`], and what the database meets.
    pub async fn create_key(&self, by: &Actor, new: NewKey) -> Result<Key, StoreError> {
        check_text("a key's label", &new.label)?;
        new.bounds.check()?;
        let (id, no) = (self.new_id(), self.next_key_no().await?);
        let mut transaction = self.begin().await?;
        let mut owned = owned(&mut transaction, new.user).await?;
        if owned >= UNGUARDED_MAX {
            users::hold(&mut transaction, new.user).await?;
            owned = self::owned(&mut transaction, new.user).await?;
        }
        if owned >= KEYS_MAX {
            return Err(StoreError::TooManyKeys);
        }
        let NewKey { user, label, secret, expires_at, bounds } = new;
        let add = transaction
            .query(ADD)
            .bind(id)
            .bind(no)
            .bind(user.0)
            .bind(label.as_str())
            .bind(secret.hash.0.as_slice())
            .bind(secret.prefix.as_str())
            .bind(secret.last4.as_str())
            .bind(expires_at.map(micros))
            .bind(bounds.credits_per_day.map(signed))
            .bind(bounds.requests_per_minute.map(|requests| i64::from(requests.get())))
            .bind(list(bounds.routes.as_deref()))
            .bind(list(bounds.models.as_deref()))
            .bind(list(bounds.addresses.as_deref()))
            .bind(self.now());
        let row: KeyRow = add.one().await.map_err(taken)?;
        let act = Act::of(Action::KeyCreate, id, Some(user)).with(detail(expires_at, &bounds));
        self.note(&mut transaction, by, act).await?;
        transaction.commit().await?;
        row.try_into()
    }

    /// The keys of one user, or of all, in the order in which they were made.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`], and what the database meets.
    pub async fn keys(&self, user: Option<UserId>) -> Result<Vec<Key>, StoreError> {
        let rows: Vec<KeyRow> = match user {
            Some(user) => self.query(LIST_OF_USER).bind(user.0).all().await?,
            None => self.query(LIST).all().await?,
        };
        rows.into_iter().map(Key::try_from).collect()
    }

    /// Some of a user's keys, the newest first.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`], and what the database meets.
    pub async fn keys_page(&self, asked: KeysAsked) -> Result<Vec<Key>, StoreError> {
        let text = if asked.revoked { PAGE_WITH_REVOKED } else { PAGE };
        let before = asked.before.map_or(Uuid::max(), |key| key.0);
        let limit = i64::from(asked.limit.min(KEYS_PAGE_MAX));
        let rows: Vec<KeyRow> = self.query(text).bind(asked.user.0).bind(before).bind(limit).all().await?;
        rows.into_iter().map(Key::try_from).collect()
    }

    /// One key, a revoked one too; `None` where there is no such, or another user's.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`], and what the database meets.
    pub async fn find_key(&self, key: impl Into<KeyRef>) -> Result<Option<Key>, StoreError> {
        let KeyRef { id, owner } = key.into();
        let row: Option<KeyRow> = self.query(FIND).bind(id.0).bind(owner.map(|owner| owner.0)).find().await?;
        row.map(Key::try_from).transpose()
    }
}

/// Keys of a user that are not revoked.
async fn owned(transaction: &mut Transaction, user: UserId) -> Result<u64, StoreError> {
    let owned: Option<(i64,)> = transaction.query(KEYS_OF_OWNER).bind(user.0).find().await?;
    owned.map(|(owned,)| unsigned(owned)).ok_or(StoreError::NoUser { id: Some(user) })
}

/// Id and number are new: only the hash can be there already.
fn taken(error: sqlx::Error) -> StoreError {
    let taken = error.as_database_error().is_some_and(|cause| cause.is_unique_violation());
    if taken { StoreError::KeyTaken } else { error.into() }
}

/// What the audit log says of a key: what it is bound to, and until when.
fn detail(expires_at: Option<Timestamp>, bounds: &KeyBounds) -> Value {
    let mut detail = json!({});
    if let Some(fields) = detail.as_object_mut() {
        fields.extend(expires_at.map(|end| ("expires_at_micros".to_owned(), end.0.into())));
        fields.extend((!bounds.is_unbounded()).then(|| ("bounds".to_owned(), json!(bounds))));
    }
    detail
}
