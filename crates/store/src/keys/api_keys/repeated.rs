//! Requests with an `Idempotency-Key` that create or rotate a key. The secret of a lost response cannot be sent again, as
//! only its hash is stored: a repeat gives the same key another secret.

use std::time::Duration;

use access::{KeyId, SessionId, UserId};
use serde_json::json;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::accounts::{session_end, users};
use crate::audit::{Act, Actor, ActorKind, AuditAction};
use crate::error::DatabaseError;
use crate::keys::api_keys::row::{KeyRow, key_columns};
use crate::keys::api_keys::{Key, KeyError, KeySecret};
use crate::opening::handle::Store;
use crate::sql::{Transaction, micros, statements, unsigned};

/// Time for which a request may be repeated.
const REPEATABLE_FOR: Duration = Duration::from_hours(24);
/// Maximum number of requests of one user that may be repeated.
pub const REPEATABLE_MAX: u64 = 1_000;

statements! {
    FORGET = "DELETE FROM key_requests WHERE created_at <= $1";
    COUNT = "SELECT count(*) FROM key_requests WHERE user_id = $1";
    FIND = "SELECT r.request_hash, r.secret_hash, k.hash, k.id, k.user_id, k.revoked_at FROM key_requests r
        JOIN api_keys k ON k.id = r.key_id WHERE r.hash = $1";
    ADD = "INSERT INTO key_requests (id, hash, request_hash, secret_hash, user_id, key_id, created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $7)";
    RENEW = "UPDATE key_requests SET secret_hash = $2, updated_at = $3 WHERE hash = $1";
    REISSUE = concat!("UPDATE api_keys SET hash = $2, prefix = $3, last4 = $4, updated_at = $5 WHERE id = $1 RETURNING ",
        key_columns!());
}

/// A request that its caller may repeat within 24 hours.
#[derive(Debug, Clone)]
pub struct RepeatableRequest {
    user: UserId,
    hash: [u8; 32],
    request_hash: [u8; 32],
}

impl RepeatableRequest {
    /// Describes a request of `user`. `operation` names the endpoint and the key that it changes, `name` is the value of
    /// `Idempotency-Key`, and `body` is everything else that must be equal in a repeat.
    #[must_use]
    pub fn new(user: UserId, operation: &str, name: &[u8], body: &[u8]) -> Self {
        let mut hash = Sha256::new();
        hash.update(user.0.as_bytes());
        for part in [operation.as_bytes(), name] {
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(part);
        }
        Self { user, hash: hash.finalize().into(), request_hash: Sha256::digest(body).into() }
    }
}

/// A repeated request, with the state of its key.
#[derive(Debug, sqlx_macros::FromRow)]
struct RepeatedRow {
    request_hash: Vec<u8>,
    secret_hash: Vec<u8>,
    hash: Vec<u8>,
    id: Uuid,
    user_id: Uuid,
    revoked_at: Option<i64>,
}

/// A request that may be a repeat, with the new secret for its key.
pub(super) struct PossibleRepeat<'a> {
    pub(super) store: &'a Store,
    pub(super) by: &'a Actor,
    pub(super) request: &'a RepeatableRequest,
    pub(super) secret: KeySecret,
}

impl PossibleRepeat<'_> {
    /// Gives the key of a repeated request the new secret, within a transaction that has locked the revision. Returns `None`
    /// if the request is not a repeat. Sessions that were begun with the key end, as after a rotation.
    ///
    /// # Errors
    /// [`KeyError::OtherRequest`], [`KeyError::SecretReplaced`], [`KeyError::KeyRevoked`], [`KeyError::TooManyRequests`],
    /// [`KeyError::KeyTaken`], and database errors.
    pub(super) async fn reissue(&self, transaction: &mut Transaction) -> Result<Option<Key>, KeyError> {
        let Self { store, by, request, secret } = self;
        let now = store.clock().now();
        transaction.query(FORGET).bind(micros(now.before(REPEATABLE_FOR))).run().await?;
        let found: Option<RepeatedRow> = transaction.query(FIND).bind(request.hash.as_slice()).find().await?;
        let Some(repeated) = found else {
            let (stored,): (i64,) = transaction.query(COUNT).bind(request.user.0).one().await?;
            return if unsigned(stored) < REPEATABLE_MAX { Ok(None) } else { Err(KeyError::TooManyRequests) };
        };
        repeated.check(request)?;
        store.raise(transaction).await?;
        let owner = UserId(repeated.user_id);
        users::hold(transaction, owner).await?;
        let reissue = transaction
            .query(REISSUE)
            .bind(repeated.id)
            .bind(secret.hash.0.as_slice())
            .bind(secret.prefix.as_str())
            .bind(secret.last4.as_str())
            .bind(micros(now));
        let row: KeyRow = reissue.one().await.map_err(KeyError::of_insert)?;
        let renew = transaction.query(RENEW).bind(request.hash.as_slice()).bind(secret.hash.0.as_slice());
        renew.bind(micros(now)).run().await?;
        let key = KeyId(repeated.id);
        let ended = session_end::end_of_key(transaction, owner, key, session(by), micros(now)).await?;
        let act = Act::new(AuditAction::KeyRotate, repeated.id, Some(owner));
        store.note(transaction, by, act.with(json!({"repeated": true, "sessions_ended": ended}))).await?;
        Ok(Some(row.try_into()?))
    }

    /// Stores the request, which may be repeated from now on, with the key that its response contains.
    pub(super) async fn remember(&self, transaction: &mut Transaction, key: KeyId) -> Result<(), DatabaseError> {
        let Self { store, request, secret, .. } = self;
        let add = transaction
            .query(ADD)
            .bind(store.new_id())
            .bind(request.hash.as_slice())
            .bind(request.request_hash.as_slice())
            .bind(secret.hash.0.as_slice())
            .bind(request.user.0)
            .bind(key.0)
            .bind(store.now());
        add.run().await?;
        Ok(())
    }
}

impl RepeatedRow {
    /// Returns an error if the repeat differs from the first request, or its key may not get another secret.
    fn check(&self, request: &RepeatableRequest) -> Result<(), KeyError> {
        if self.request_hash != request.request_hash {
            return Err(KeyError::OtherRequest);
        }
        if self.revoked_at.is_some() {
            return Err(KeyError::KeyRevoked);
        }
        if self.secret_hash != self.hash { Err(KeyError::SecretReplaced) } else { Ok(()) }
    }
}

/// Returns the session of a request, which a new secret does not end.
pub(super) const fn session(by: &Actor) -> Option<SessionId> {
    match by.by {
        ActorKind::User { session, .. } => session,
        ActorKind::Command | ActorKind::System | ActorKind::Key { .. } => None,
    }
}
