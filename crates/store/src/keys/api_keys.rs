//! Keys of users. Only their hashes are stored. [`change`] changes, rotates and revokes keys; [`everybody`] lists
//! those of all users; `repeated` recognises repeated requests; `row` maps a key to its columns.

pub(crate) mod bound;
pub mod change;
pub mod everybody;
pub(crate) mod repeated;
pub(crate) mod row;

use access::exchange::key_clients::KeyClient;
use access::{ApiKey, ControlScope, KeyBounds, KeyHash, KeyId, KeyNo, LabelSet, Timestamp, UserId};
use serde_json::{Value, json};
use thiserror::Error;
use uuid::Uuid;

use crate::accounts::users::{self, NoUser};
use crate::audit::{Act, Actor, AuditAction};
use crate::error::{DatabaseError, InvalidText, check_text};
use crate::opening::handle::Store;
use crate::sql::{Transaction, micros, signed, statements, unsigned};
use repeated::{PossibleRepeat, REPEATABLE_MAX, RepeatableRequest};
use row::{KeyRow, key_columns, list};

/// Maximum number of keys of one user that are not revoked.
pub const KEYS_MAX: u64 = 1_000;
/// Up to this number of keys, the keys of one user are created concurrently. Even with all connections of many nodes in
/// use, concurrent inserts cannot exceed [`KEYS_MAX`] from here.
const UNGUARDED_MAX: u64 = 500;
/// Maximum number of keys with the same last four characters that one look-up returns.
pub const KEYS_OF_LAST4_MAX: u32 = 50;
/// Maximum number of keys in one page, including the extra key that shows that another page exists.
pub const KEYS_PAGE_MAX: u32 = 201;

statements! {
    ADD = concat!("INSERT INTO api_keys (id, no, user_id, label, hash, prefix, last4, expires_at, credits_per_day,
        requests_per_minute, routes, models, addresses, control, admin, created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $16) RETURNING ", key_columns!());
    KEYS_OF_OWNER = "SELECT (SELECT count(*) FROM api_keys k WHERE k.user_id = u.id AND k.revoked_at IS NULL)
        FROM users u WHERE u.id = $1";
    FIND = concat!("SELECT ", key_columns!(), " FROM api_keys WHERE id = $1 AND user_id = coalesce($2, user_id)");
    LIST = concat!("SELECT ", key_columns!(), " FROM api_keys ORDER BY no");
    LIST_OF_USER = concat!("SELECT ", key_columns!(), " FROM api_keys WHERE user_id = $1 ORDER BY no");
    OF_LAST4 = concat!("SELECT ", key_columns!(), " FROM api_keys WHERE (last4 = $1 OR previous_last4 = $1)
        ORDER BY id DESC LIMIT $2");
    OF_HASH = concat!("SELECT ", key_columns!(), " FROM api_keys WHERE (hash = $1 OR previous_hash = $1) LIMIT 1");
    PAGE = concat!("SELECT ", key_columns!(), " FROM api_keys
        WHERE user_id = $1 AND id < $2 AND revoked_at IS NULL ORDER BY id DESC LIMIT $3");
    PAGE_WITH_REVOKED = concat!("SELECT ", key_columns!(), " FROM api_keys
        WHERE user_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3");
}

/// The key does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("there is no key {id}")]
pub struct NoKey {
    /// Id of the requested key.
    pub id: KeyId,
}

/// The error of a change of keys.
#[derive(Debug, Error)]
pub enum KeyError {
    /// The label is invalid.
    #[error(transparent)]
    Invalid(#[from] InvalidText),
    /// A bound of the key is invalid.
    #[error(transparent)]
    UnfitBound(#[from] access::limits::bounds::UnfitBound),
    /// The user does not exist.
    #[error(transparent)]
    NoUser(#[from] NoUser),
    /// The key does not exist.
    #[error(transparent)]
    NoKey(#[from] NoKey),
    /// The user has the maximum number of keys.
    #[error("this user has the maximum of {KEYS_MAX} keys that are not revoked")]
    TooManyKeys,
    /// The key is permanently revoked.
    #[error("the key is revoked: create another one")]
    KeyRevoked,
    /// The store already contains the same key.
    #[error("this API key already exists in the store")]
    KeyTaken,
    /// A repeated request differs from the first one.
    #[error("this `Idempotency-Key` was sent with another request within 24 hours: use a new one")]
    OtherRequest,
    /// The secret of a repeated request was replaced by a later one.
    #[error(
        "the secret of this request was replaced by a later rotation: rotate the key again with a new `Idempotency-Key`"
    )]
    SecretReplaced,
    /// The key of a repeated creation has another expiry than the request.
    #[error("the expiry of the key of this request was changed later: rotate the key instead")]
    ExpiryChanged,
    /// The user has the maximum number of requests that may be repeated.
    #[error(
        "this user has sent {REPEATABLE_MAX} requests with an `Idempotency-Key` within 24 hours: send none, or wait"
    )]
    TooManyRequests,
    /// An error of the database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl KeyError {
    /// Returns the error of an insert. Id and number are new, so only the hash can violate a unique index.
    fn of_insert(error: DatabaseError) -> Self {
        error.or_taken(Self::KeyTaken)
    }
}

/// A new key that is to be stored.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// User who owns the key.
    pub user: UserId,
    /// Name that the owner gives the key.
    pub label: String,
    /// Hash and visible parts of the secret.
    pub secret: KeySecret,
    /// The key is invalid from this time on.
    pub expires_at: Option<Timestamp>,
    /// Limits of the key in addition to those of its owner.
    pub bounds: KeyBounds,
    /// Whether the key may call what admins call, while its owner is an admin.
    pub is_admin: bool,
}

impl NewKey {
    /// Creates the description of a key without bounds that never expires.
    #[must_use]
    pub fn unbounded(user: UserId, label: impl Into<String>, secret: &ApiKey) -> Self {
        let label = label.into();
        let secret = KeySecret::from_key(secret);
        Self { user, label, secret, expires_at: None, bounds: KeyBounds::default(), is_admin: false }
    }
}

/// The stored part of a key's secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySecret {
    /// SHA-256 of the whole key.
    pub hash: KeyHash,
    /// Part of the key before the underscore.
    pub prefix: String,
    /// Last four characters of the key.
    pub last4: String,
}

impl KeySecret {
    /// Extracts the stored parts of `key`.
    #[must_use]
    pub fn from_key(key: &ApiKey) -> Self {
        Self { hash: key.hash(), prefix: key.prefix().to_owned(), last4: key.last4().to_owned() }
    }
}

/// A key as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Public id of the key.
    pub id: KeyId,
    /// Number that usage events use for the key.
    pub no: KeyNo,
    /// User who owns the key.
    pub user: UserId,
    /// Name that the owner gives the key.
    pub label: String,
    /// Part of the key before the underscore.
    pub prefix: String,
    /// Last four characters of the key.
    pub last4: String,
    /// Secret before the last rotation; `None` if the key was never rotated.
    pub previous: Option<PreviousSecret>,
    /// Limits of the key in addition to those of its owner.
    pub bounds: KeyBounds,
    /// Whether the key may call what admins call, while its owner is an admin.
    pub is_admin: bool,
    /// Labels of the key's requests.
    pub labels: LabelSet,
    /// Last client that used the key, accurate to about one minute; `None` if it is not known.
    pub used_by: Option<KeyClient>,
    /// Time of the last use, accurate to about one minute; see [`Store::last_use`](crate::Store::last_use).
    pub used_at: Option<Timestamp>,
    /// The key is invalid from this time on.
    pub expires_at: Option<Timestamp>,
    /// Time at which the key was revoked.
    pub revoked_at: Option<Timestamp>,
    /// Time at which the key was created.
    pub created_at: Timestamp,
}

/// The secret that a key had before its last rotation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviousSecret {
    /// Last four characters of the previous key.
    pub last4: String,
    /// The previous secret is invalid from this time on.
    pub until: Timestamp,
    /// Time of its last use since the rotation, accurate to about one minute.
    pub used_at: Option<Timestamp>,
}

/// Reference to a key, optionally restricted to one owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyRef {
    /// Public id of the key.
    pub id: KeyId,
    /// Required owner of the key; a key of another user is treated as missing. `None` accepts any owner.
    pub owner: Option<UserId>,
}

impl KeyRef {
    /// Refers to a key of this owner.
    #[must_use]
    pub const fn owned_by(owner: UserId, id: KeyId) -> Self {
        Self { id, owner: Some(owner) }
    }
}

impl From<KeyId> for KeyRef {
    fn from(id: KeyId) -> Self {
        Self { id, owner: None }
    }
}

/// Query for one page of a user's keys, newest first.
#[derive(Debug, Clone, Copy)]
pub struct KeyPageQuery {
    /// User whose keys are listed.
    pub user: UserId,
    /// Whether the page includes revoked keys.
    pub revoked: bool,
    /// Only keys that were created before this one.
    pub before: Option<KeyId>,
    /// Maximum number of keys, at most [`KEYS_PAGE_MAX`].
    pub limit: u32,
}

impl Store {
    /// Stores a key. The revision is not raised, so cached lookups remain valid. A client that presented the key before
    /// it was stored may be refused for at most 5 s.
    ///
    /// # Errors
    /// [`KeyError::Invalid`], [`KeyError::UnfitBound`], [`KeyError::NoUser`], [`KeyError::TooManyKeys`],
    /// [`KeyError::KeyTaken`], and database errors.
    pub async fn create_key(&self, by: &Actor, new: NewKey) -> Result<Key, KeyError> {
        check(&new)?;
        let no = self.next_key_no().await?;
        let mut transaction = self.begin().await?;
        let key = self.add_key(&mut transaction, by, new, no).await?;
        transaction.commit().await?;
        Ok(key)
    }

    /// Stores a key, unless the request is a repeat: then its key gets the secret of `new`, and the secret of the first
    /// response is invalid on all nodes within one second.
    ///
    /// # Errors
    /// As [`create_key`](Self::create_key), and [`KeyError::OtherRequest`], [`KeyError::SecretReplaced`],
    /// [`KeyError::KeyRevoked`], [`KeyError::ExpiryChanged`], [`KeyError::TooManyRequests`].
    pub async fn create_key_once(&self, by: &Actor, new: NewKey, request: &RepeatableRequest) -> Result<Key, KeyError> {
        check(&new)?;
        let no = self.next_key_no().await?;
        let mut transaction = self.begin_quiet().await?;
        let repeat = PossibleRepeat { store: self, by, request, secret: new.secret.clone() };
        let key = match repeat.reissue(&mut transaction).await? {
            // The permission to create a key with this expiry permits no secret of a key that is valid for longer.
            Some(key) if key.expires_at != new.expires_at => return Err(KeyError::ExpiryChanged),
            Some(key) => key,
            None => {
                let key = self.add_key(&mut transaction, by, new, no).await?;
                repeat.remember(&mut transaction, key.id).await?;
                key
            }
        };
        transaction.commit().await?;
        Ok(key)
    }

    /// Adds a key and its line of the audit log.
    async fn add_key(&self, transaction: &mut Transaction, by: &Actor, new: NewKey, no: i64) -> Result<Key, KeyError> {
        let id = self.new_id();
        let mut owned = owned(transaction, new.user).await?;
        if owned >= UNGUARDED_MAX {
            users::hold(transaction, new.user).await?;
            owned = self::owned(transaction, new.user).await?;
        }
        if owned >= KEYS_MAX {
            return Err(KeyError::TooManyKeys);
        }
        let NewKey { user, label, secret, expires_at, bounds, is_admin } = new;
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
            .bind(bounds.credits_per_day.map(|credits| signed(credits.rounded_down())))
            .bind(bounds.requests_per_minute.map(|requests| i64::from(requests.get())))
            .bind(list(bounds.routes.as_deref()))
            .bind(list(bounds.models.as_deref()))
            .bind(list(bounds.addresses.as_deref()))
            .bind(bounds.control.map(ControlScope::as_str))
            .bind(is_admin)
            .bind(self.now());
        let row: KeyRow = add.one().await.map_err(KeyError::of_insert)?;
        let act = Act::new(AuditAction::KeyCreate, id, Some(user)).with(detail_of_new(expires_at, &bounds, is_admin));
        self.note(transaction, by, act).await?;
        Ok(row.try_into()?)
    }

    /// Returns the keys of one user, or of all users, in order of creation.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn keys(&self, user: Option<UserId>) -> Result<Vec<Key>, DatabaseError> {
        let rows: Vec<KeyRow> = match user {
            Some(user) => self.query(LIST_OF_USER).bind(user.0).all().await?,
            None => self.query(LIST).all().await?,
        };
        rows.into_iter().map(Key::try_from).collect()
    }

    /// Returns one page of a user's keys, newest first.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn keys_page(&self, asked: KeyPageQuery) -> Result<Vec<Key>, DatabaseError> {
        let text = if asked.revoked { PAGE_WITH_REVOKED } else { PAGE };
        let before = asked.before.map_or(Uuid::max(), |key| key.0);
        let limit = i64::from(asked.limit.min(KEYS_PAGE_MAX));
        let rows: Vec<KeyRow> = self.query(text).bind(asked.user.0).bind(before).bind(limit).all().await?;
        rows.into_iter().map(Key::try_from).collect()
    }

    /// Returns the keys of all users whose current or previous secret ends with `last4`, newest first; at most
    /// [`KEYS_OF_LAST4_MAX`].
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn keys_of_last4(&self, last4: &str) -> Result<Vec<Key>, DatabaseError> {
        let rows: Vec<KeyRow> = self.query(OF_LAST4).bind(last4).bind(i64::from(KEYS_OF_LAST4_MAX)).all().await?;
        rows.into_iter().map(Key::try_from).collect()
    }

    /// Returns the key whose current or previous secret has this hash, also if it is not valid.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn key_of_hash(&self, hash: KeyHash) -> Result<Option<Key>, DatabaseError> {
        let row: Option<KeyRow> = self.query(OF_HASH).bind(hash.0.to_vec()).find().await?;
        row.map(Key::try_from).transpose()
    }

    /// Returns one key, also if it is revoked; `None` if it does not exist or belongs to another user.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn find_key(&self, key: impl Into<KeyRef>) -> Result<Option<Key>, DatabaseError> {
        let KeyRef { id, owner } = key.into();
        let row: Option<KeyRow> = self.query(FIND).bind(id.0).bind(owner.map(|owner| owner.0)).find().await?;
        row.map(Key::try_from).transpose()
    }
}

fn check(new: &NewKey) -> Result<(), KeyError> {
    check_text("a key's label", &new.label)?;
    Ok(new.bounds.check()?)
}

/// Counts the keys of a user that are not revoked.
async fn owned(transaction: &mut Transaction, user: UserId) -> Result<u64, KeyError> {
    let owned: Option<(i64,)> = transaction.query(KEYS_OF_OWNER).bind(user.0).find().await?;
    Ok(owned.map(|(owned,)| unsigned(owned)).ok_or(NoUser { id: Some(user) })?)
}

/// Returns the details of a new key for the audit log.
fn detail_of_new(expires_at: Option<Timestamp>, bounds: &KeyBounds, is_admin: bool) -> Value {
    let mut detail = detail(expires_at, bounds);
    if is_admin && let Some(fields) = detail.as_object_mut() {
        fields.insert("scope".to_owned(), "admin".into());
    }
    detail
}

/// Returns the details for the audit log: the bounds of a key and its expiry.
fn detail(expires_at: Option<Timestamp>, bounds: &KeyBounds) -> Value {
    let mut detail = json!({});
    if let Some(fields) = detail.as_object_mut() {
        fields.extend(expires_at.map(|end| ("expires_at_micros".to_owned(), end.0.into())));
        fields.extend((!bounds.is_unbounded()).then(|| ("bounds".to_owned(), json!(bounds))));
    }
    detail
}
