//! Changes, rotations and revocations of keys.

use std::num::NonZeroU32;
use std::time::Duration;

use access::{ControlScope, Credits, LabelSet, Timestamp};
use ipnet::IpNet;
use serde_json::{Map, Value, json};

use crate::accounts::{session_end, users};
use crate::audit::{Act, Actor, AuditAction};
use crate::columns::labels::labels_column;
use crate::error::check_text;
use crate::keys::api_keys::repeated::{self, PossibleRepeat, RepeatableRequest};
use crate::keys::api_keys::row::{KeyRow, key_columns, list};
use crate::keys::api_keys::{FIND, Key, KeyError, KeyRef, KeySecret, NoKey, detail};
use crate::opening::handle::Store;
use crate::sql::{Transaction, micros, signed, statements};

statements! {
    CHANGE = "UPDATE api_keys SET label = $2, expires_at = $3, credits_per_day = $4, requests_per_minute = $5, routes = $6,
        models = $7, addresses = $8, labels = $9, updated_at = $10, control = $11 WHERE id = $1";
    ROTATE = concat!("UPDATE api_keys SET previous_hash = hash, previous_last4 = last4, previous_until = $5,
        previous_used_at = NULL, hash = $2, prefix = $3, last4 = $4, updated_at = $6 WHERE id = $1 RETURNING ", key_columns!());
    REVOKE = "UPDATE api_keys SET revoked_at = $2, updated_at = $2 WHERE id = $1";
}

/// Fields of a key to change. `None` keeps a value; `Some(None)` removes a bound.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyChange {
    /// Name that the owner gives the key.
    pub label: Option<String>,
    /// The key is invalid from this time on.
    pub expires_at: Option<Option<Timestamp>>,
    /// New value of [`access::KeyBounds::credits_per_day`].
    pub credits_per_day: Option<Option<Credits>>,
    /// New value of [`access::KeyBounds::requests_per_minute`].
    pub requests_per_minute: Option<Option<NonZeroU32>>,
    /// New value of [`access::KeyBounds::routes`].
    pub routes: Option<Option<Vec<String>>>,
    /// New value of [`access::KeyBounds::models`].
    pub models: Option<Option<Vec<String>>>,
    /// New value of [`access::KeyBounds::addresses`].
    pub addresses: Option<Option<Vec<IpNet>>>,
    /// New value of [`access::KeyBounds::control`].
    pub control: Option<Option<ControlScope>>,
    /// Labels of the key's requests; the given ones replace all.
    pub labels: Option<LabelSet>,
}

/// Replacement of a key's secret.
#[derive(Debug, Clone)]
pub struct Rotation {
    /// New secret of the key.
    pub secret: KeySecret,
    /// Time for which the previous secret remains valid; zero invalidates it at once.
    pub grace: Duration,
}

impl KeyChange {
    /// Applies the change to `key`, and returns the difference for the audit log.
    fn apply(self, key: &mut Key) -> Value {
        let before = key.clone();
        let Self {
            label,
            expires_at,
            credits_per_day,
            requests_per_minute,
            routes,
            models,
            addresses,
            control,
            labels,
        } = self;
        set(&mut key.label, label);
        set(&mut key.expires_at, expires_at);
        set(&mut key.bounds.credits_per_day, credits_per_day);
        set(&mut key.bounds.requests_per_minute, requests_per_minute);
        set(&mut key.bounds.routes, routes);
        set(&mut key.bounds.models, models);
        set(&mut key.bounds.addresses, addresses);
        set(&mut key.bounds.control, control);
        set(&mut key.labels, labels);
        let mut said = Map::new();
        // The label itself is not logged: users choose it freely.
        said.extend((key.label != before.label).then(|| ("label".to_owned(), json!("changed"))));
        let limits = (before.expires_at, &before.bounds) != (key.expires_at, &key.bounds);
        if limits {
            said.insert("before".to_owned(), detail(before.expires_at, &before.bounds));
            said.insert("after".to_owned(), detail(key.expires_at, &key.bounds));
        }
        if key.labels != before.labels {
            said.insert("labels".to_owned(), json!({"before": before.labels.as_str(), "after": key.labels.as_str()}));
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
    /// Changes a key. All nodes apply a new expiry or bound within one second. A change without effect writes nothing.
    ///
    /// # Errors
    /// [`KeyError::Invalid`], [`KeyError::UnfitBound`], [`KeyError::NoKey`], [`KeyError::KeyRevoked`], and database errors.
    pub async fn change_key(&self, by: &Actor, key: impl Into<KeyRef>, change: KeyChange) -> Result<Key, KeyError> {
        let mut transaction = self.begin_quiet().await?;
        let before = find(&mut transaction, key.into()).await?;
        let mut after = before.clone();
        let said = change.apply(&mut after);
        if after == before {
            transaction.rollback().await?;
            return Ok(before);
        }
        if before.revoked_at.is_some() {
            return Err(KeyError::KeyRevoked);
        }
        check_text("a key's label", &after.label)?;
        after.bounds.check()?;
        if (before.expires_at, &before.bounds, &before.labels) != (after.expires_at, &after.bounds, &after.labels) {
            // Cached lookups do not contain the label, so a change of the label alone does not raise the revision.
            self.raise(&mut transaction).await?;
        }
        let bounds = &after.bounds;
        let write = transaction
            .query(CHANGE)
            .bind(after.id.0)
            .bind(after.label.as_str())
            .bind(after.expires_at.map(micros))
            .bind(bounds.credits_per_day.map(|credits| signed(credits.rounded_down())))
            .bind(bounds.requests_per_minute.map(|requests| i64::from(requests.get())))
            .bind(list(bounds.routes.as_deref()))
            .bind(list(bounds.models.as_deref()))
            .bind(list(bounds.addresses.as_deref()))
            .bind(labels_column(&after.labels))
            .bind(self.now())
            .bind(bounds.control.map(ControlScope::as_str));
        write.run().await?;
        let act = Act::new(AuditAction::KeyChange, after.id.0, Some(after.user)).with(said);
        self.note(&mut transaction, by, act).await?;
        transaction.commit().await?;
        Ok(after)
    }

    /// Replaces the secret of a key and keeps everything else. The previous secret remains valid for the grace period;
    /// the one before that is invalid at once. All nodes apply the rotation within one second. Sessions that were begun
    /// with the key end, except the session that requests the rotation: a person with the old secret may have signed in
    /// with it.
    ///
    /// # Errors
    /// [`KeyError::NoKey`], [`KeyError::KeyRevoked`], [`KeyError::KeyTaken`], and database errors.
    pub async fn rotate_key(&self, by: &Actor, key: impl Into<KeyRef>, rotation: Rotation) -> Result<Key, KeyError> {
        let mut transaction = self.begin_revision().await?;
        let key = self.replace_secret(&mut transaction, by, key.into(), rotation).await?;
        transaction.commit().await?;
        Ok(key)
    }

    /// Rotates a key, unless the request is a repeat: then only the secret of the first response is replaced.
    ///
    /// # Errors
    /// As [`rotate_key`](Self::rotate_key), and [`KeyError::OtherRequest`], [`KeyError::SecretReplaced`],
    /// [`KeyError::TooManyRequests`].
    pub async fn rotate_key_once(
        &self,
        by: &Actor,
        key: impl Into<KeyRef>,
        rotation: Rotation,
        request: &RepeatableRequest,
    ) -> Result<Key, KeyError> {
        let mut transaction = self.begin_quiet().await?;
        let repeat = PossibleRepeat { store: self, by, request, secret: rotation.secret.clone() };
        let key = match repeat.reissue(&mut transaction).await? {
            Some(key) => key,
            None => {
                self.raise(&mut transaction).await?;
                let key = self.replace_secret(&mut transaction, by, key.into(), rotation).await?;
                repeat.remember(&mut transaction, key.id).await?;
                key
            }
        };
        transaction.commit().await?;
        Ok(key)
    }

    /// Replaces the secret of a key, within a transaction that has raised the revision.
    async fn replace_secret(
        &self,
        transaction: &mut Transaction,
        by: &Actor,
        key: KeyRef,
        rotation: Rotation,
    ) -> Result<Key, KeyError> {
        let before = find(transaction, key).await?;
        if before.revoked_at.is_some() {
            return Err(KeyError::KeyRevoked);
        }
        // The user's row is locked before the key's row. Beginning a session takes the locks in the same order.
        users::hold(transaction, before.user).await?;
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
        let row: KeyRow = rotate.one().await.map_err(KeyError::of_insert)?;
        let asking = repeated::session(by);
        let ended = session_end::end_of_key(transaction, before.user, before.id, asking, micros(now)).await?;
        let said = json!({"grace_seconds": grace.as_secs(), "sessions_ended": ended});
        self.note(transaction, by, Act::new(AuditAction::KeyRotate, before.id.0, Some(before.user)).with(said)).await?;
        Ok(row.try_into()?)
    }

    /// Revokes a key permanently. All nodes apply the revocation within one second, and sessions that were begun with
    /// the key end. A key that is already revoked keeps its time, and the audit log gets no second line.
    ///
    /// # Errors
    /// [`KeyError::NoKey`], and database errors.
    pub async fn revoke_key(&self, by: &Actor, key: impl Into<KeyRef>) -> Result<Key, KeyError> {
        let mut transaction = self.begin_quiet().await?;
        let key = find(&mut transaction, key.into()).await?;
        if key.revoked_at.is_some() {
            transaction.rollback().await?;
            return Ok(key);
        }
        self.raise(&mut transaction).await?;
        users::hold(&mut transaction, key.user).await?;
        let now = self.clock().now();
        transaction.query(REVOKE).bind(key.id.0).bind(micros(now)).run().await?;
        let ended = session_end::end_of_key(&mut transaction, key.user, key.id, None, micros(now)).await?;
        let said = json!({"sessions_ended": ended});
        self.note(&mut transaction, by, Act::new(AuditAction::KeyRevoke, key.id.0, Some(key.user)).with(said)).await?;
        transaction.commit().await?;
        Ok(Key { revoked_at: Some(now), ..key })
    }
}

async fn find(transaction: &mut Transaction, key: KeyRef) -> Result<Key, KeyError> {
    let find = transaction.query(FIND).bind(key.id.0).bind(key.owner.map(|owner| owner.0));
    let row: Option<KeyRow> = find.find().await?;
    Ok(row.ok_or(NoKey { id: key.id })?.try_into()?)
}
