//! What is done to a key: it is changed, rotated, revoked.

use std::num::NonZeroU32;
use std::time::Duration;

use access::Timestamp;
use ipnet::IpNet;
use serde_json::{Map, Value, json};

use crate::api_keys::row::{KeyRow, key_columns, list};
use crate::api_keys::{FIND, Key, KeyRef, KeySecret, detail, taken};
use crate::audit::{Act, Action, Actor, By};
use crate::dialect::Transaction;
use crate::error::{StoreError, check_text};
use crate::statement::{micros, signed, statements};
use crate::store::Store;
use crate::{sessions, users};

statements! {
    CHANGE = "UPDATE api_keys SET label = $2, expires_at = $3, credits_per_day = $4, requests_per_minute = $5, routes = $6,
        models = $7, addresses = $8, updated_at = $9 WHERE id = $1";
    ROTATE = concat!("UPDATE api_keys SET previous_hash = hash, previous_last4 = last4, previous_until = $5,
        previous_used_at = NULL, hash = $2, prefix = $3, last4 = $4, updated_at = $6 WHERE id = $1 RETURNING ", key_columns!());
    REVOKE = "UPDATE api_keys SET revoked_at = $2, updated_at = $2 WHERE id = $1";
}

/// What is to be different about a key; `None` stays as it is, `Some(None)` takes a bound away.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyChange {
    /// What its owner calls it.
    pub label: Option<String>,
    /// From when on it opens nothing.
    pub expires_at: Option<Option<Timestamp>>,
    /// [`access::KeyBounds::credits_per_day`].
    pub credits_per_day: Option<Option<u64>>,
    /// [`access::KeyBounds::requests_per_minute`].
    pub requests_per_minute: Option<Option<NonZeroU32>>,
    /// [`access::KeyBounds::routes`].
    pub routes: Option<Option<Vec<String>>>,
    /// [`access::KeyBounds::models`].
    pub models: Option<Option<Vec<String>>>,
    /// [`access::KeyBounds::addresses`].
    pub addresses: Option<Option<Vec<IpNet>>>,
}

/// Another secret for a key.
#[derive(Debug, Clone)]
pub struct Rotation {
    /// The new one.
    pub secret: KeySecret,
    /// How long the one before it still opens the key; zero is not at all.
    pub grace: Duration,
}

impl KeyChange {
    /// The key as it will be, and what the audit log says of the difference.
    fn apply(self, key: &mut Key) -> Value {
        let before = key.clone();
        let Self { label, expires_at, credits_per_day, requests_per_minute, routes, models, addresses } = self;
        set(&mut key.label, label);
        set(&mut key.expires_at, expires_at);
        set(&mut key.bounds.credits_per_day, credits_per_day);
        set(&mut key.bounds.requests_per_minute, requests_per_minute);
        set(&mut key.bounds.routes, routes);
        set(&mut key.bounds.models, models);
        set(&mut key.bounds.addresses, addresses);
        let mut said = Map::new();
        // Not what it says: that may be anything.
        said.extend((key.label != before.label).then(|| ("label".to_owned(), json!("changed"))));
        let limits = (before.expires_at, &before.bounds) != (key.expires_at, &key.bounds);
        if limits {
            said.insert("before".to_owned(), detail(before.expires_at, &before.bounds));
            said.insert("after".to_owned(), detail(key.expires_at, &key.bounds));
        }
        Value::Object(said)
    }
}

fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}

impl Store {
    /// Changes a key. A new end or bound holds everywhere within a second; what changes nothing leaves no trace.
    ///
    /// # Errors
    /// [`StoreError::Invalid`], [`StoreError::UnfitBound`], [`StoreError::NoKey`], [`StoreError::KeyRevoked`], and what the
    /// database meets.
    pub async fn change_key(&self, by: &Actor, key: impl Into<KeyRef>, change: KeyChange) -> Result<Key, StoreError> {
        let mut transaction = self.addition().await?;
        let before = find(&mut transaction, key.into()).await?;
        let mut after = before.clone();
        let said = change.apply(&mut after);
        if after == before {
            transaction.rollback().await?;
            return Ok(before);
        }
        if before.revoked_at.is_some() {
            return Err(StoreError::KeyRevoked);
        }
        check_text("a key's label", &after.label)?;
        after.bounds.check()?;
        if (before.expires_at, &before.bounds) != (after.expires_at, &after.bounds) {
            // A label is nothing that was answered to anybody who asked what a key opens.
            self.raise(&mut transaction).await?;
        }
        let bounds = &after.bounds;
        let write = transaction
            .query(CHANGE)
            .bind(after.id.0)
            .bind(after.label.as_str())
            .bind(after.expires_at.map(micros))
            .bind(bounds.credits_per_day.map(signed))
            .bind(bounds.requests_per_minute.map(|requests| i64::from(requests.get())))
            .bind(list(bounds.routes.as_deref()))
            .bind(list(bounds.models.as_deref()))
            .bind(list(bounds.addresses.as_deref()))
            .bind(self.now());
        write.run().await?;
        let act = Act::of(Action::KeyChange, after.id.0, Some(after.user)).with(said);
        self.note(&mut transaction, by, act).await?;
        transaction.commit().await?;
        Ok(after)
    }

    /// Gives a key another secret; all else about it stays. The one before it opens the key for its grace more, or not at
    /// all; one that was before that opens nothing from now on. It holds everywhere within a second. Sessions that were
    /// begun with the key end, but for the one that asks: who has a secret that is to go may have signed in with it.
    ///
    /// # Errors
    /// [`StoreError::NoKey`], [`StoreError::KeyRevoked`], [`StoreError::KeyTaken`], and what the database meets.
    pub async fn rotate_key(&self, by: &Actor, key: impl Into<KeyRef>, rotation: Rotation) -> Result<Key, StoreError> {
        let mut transaction = self.change().await?;
        let before = find(&mut transaction, key.into()).await?;
        if before.revoked_at.is_some() {
            return Err(StoreError::KeyRevoked);
        }
        // Before the key's row: who begins a session takes them in this order.
        users::hold(&mut transaction, before.user).await?;
        let now = self.clock().now();
        let Rotation { secret, grace } = rotation;
        let until = now.after(grace);
        let rotate = transaction
            .query(ROTATE)
            .bind(before.id.0)
            .bind(secret.hash.0.as_slice())
            .bind(secret.prefix.as_str())
            .bind(secret.last4.as_str())
            .bind(micros(until))
            .bind(micros(now));
        let row: KeyRow = rotate.one().await.map_err(taken)?;
        let asking = match by.by {
            By::User { session, .. } => session,
            By::Command | By::System | By::Key { .. } => None,
        };
        let ended = sessions::end_of_key(&mut transaction, (before.user, before.id), asking, micros(now)).await?;
        let said = json!({"grace_seconds": grace.as_secs(), "sessions_ended": ended});
        self.note(&mut transaction, by, Act::of(Action::KeyRotate, before.id.0, Some(before.user)).with(said)).await?;
        transaction.commit().await?;
        row.try_into()
    }

    /// Revokes a key for good; it holds everywhere within a second. Sessions that were begun with it end. One that is
    /// revoked already keeps its time, and leaves no second trace.
    ///
    /// # Errors
    /// [`StoreError::NoKey`], and what the database meets.
    pub async fn revoke_key(&self, by: &Actor, key: impl Into<KeyRef>) -> Result<Key, StoreError> {
        let mut transaction = self.addition().await?;
        let key = find(&mut transaction, key.into()).await?;
        if key.revoked_at.is_some() {
            transaction.rollback().await?;
            return Ok(key);
        }
        self.raise(&mut transaction).await?;
        users::hold(&mut transaction, key.user).await?;
        let now = self.clock().now();
        transaction.query(REVOKE).bind(key.id.0).bind(micros(now)).run().await?;
        let ended = sessions::end_of_key(&mut transaction, (key.user, key.id), None, micros(now)).await?;
        let said = json!({"sessions_ended": ended});
        self.note(&mut transaction, by, Act::of(Action::KeyRevoke, key.id.0, Some(key.user)).with(said)).await?;
        transaction.commit().await?;
        Ok(Key { revoked_at: Some(now), ..key })
    }
}

async fn find(transaction: &mut Transaction, key: KeyRef) -> Result<Key, StoreError> {
    let find = transaction.query(FIND).bind(key.id.0).bind(key.owner.map(|owner| owner.0));
    let row: Option<KeyRow> = find.find().await?;
    row.ok_or(StoreError::NoKey { id: key.id })?.try_into()
}
