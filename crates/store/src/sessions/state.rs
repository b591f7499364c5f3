//! What an access token's session is worth at the moment.

use std::sync::Arc;

use access::{KeyBounds, KeyId, KeyNo, SessionId, Timestamp, UserStatus};
use uuid::Uuid;

use super::{Session, SessionRow};
use crate::api_keys::row::BoundsRow;
use crate::error::StoreError;
use crate::statement::{statements, timestamp};
use crate::store::Store;
use crate::users::{User, UserRow, user_columns};

statements! {
    FIND = concat!("SELECT s.id AS session_id, s.user_id, s.key_id, s.address, s.agent, s.seen_at, s.expires_at, s.ended_at,
        s.created_at AS begun_at, k.no AS key_no, k.expires_at AS key_expires_at, k.revoked_at AS key_revoked_at,
        k.credits_per_day AS key_credits_per_day, k.requests_per_minute AS key_requests_per_minute, k.routes, k.models,
        k.addresses, ", user_columns!(), " JOIN sessions s ON s.user_id = u.id LEFT JOIN api_keys k ON k.id = s.key_id
        WHERE s.id = $1");
}

/// A session, whose it is, and the key that it was begun with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionState {
    /// The session.
    pub session: Session,
    /// Its user.
    pub user: User,
    /// The key, where it was begun with one.
    pub key: Option<SessionKey>,
}

/// The key of a [`SessionState`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionKey {
    /// Its id.
    pub id: KeyId,
    /// Its number in events.
    pub no: KeyNo,
    /// What it may do less than its owner.
    pub bounds: Arc<KeyBounds>,
    /// From this moment on it opens nothing.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

/// Why a session opens nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shut {
    /// Its user is suspended.
    Suspended,
    /// It was ended, or is expired.
    Ended,
    /// The key that it was begun with was revoked.
    KeyRevoked,
    /// The key that it was begun with has expired.
    KeyExpired,
}

impl SessionState {
    /// Whether the session opens anything at `now`.
    ///
    /// # Errors
    /// [`Shut`] says why it does not.
    pub fn open_at(&self, now: Timestamp) -> Result<(), Shut> {
        if self.user.status == UserStatus::Suspended {
            return Err(Shut::Suspended);
        }
        // First, since it is why such a session was ended.
        if self.key.as_ref().is_some_and(|key| key.revoked_at.is_some()) {
            return Err(Shut::KeyRevoked);
        }
        if self.session.ended_at.is_some() || self.session.expires_at <= now {
            return Err(Shut::Ended);
        }
        if self.key.as_ref().is_some_and(|key| key.expires_at.is_some_and(|end| end <= now)) {
            return Err(Shut::KeyExpired);
        }
        Ok(())
    }
}

#[derive(sqlx::FromRow)]
struct StateRow {
    #[sqlx(flatten)]
    session: SessionRow,
    #[sqlx(flatten)]
    user: UserRow,
    #[sqlx(flatten)]
    key: KeyRow,
}

/// All empty where there is no key.
#[derive(sqlx::FromRow)]
struct KeyRow {
    key_id: Option<Uuid>,
    key_no: Option<i64>,
    key_expires_at: Option<i64>,
    key_revoked_at: Option<i64>,
    #[sqlx(flatten)]
    bounds: BoundsRow,
}

impl KeyRow {
    fn read(self) -> Result<Option<SessionKey>, StoreError> {
        let bounds = KeyBounds::try_from(self.bounds)?;
        Ok(self.key_id.zip(self.key_no).map(|(id, no)| SessionKey {
            id: KeyId(id),
            no: KeyNo(no),
            bounds: if bounds.is_unbounded() { KeyBounds::none() } else { Arc::new(bounds) },
            expires_at: self.key_expires_at.map(timestamp),
            revoked_at: self.key_revoked_at.map(timestamp),
        }))
    }
}

impl Store {
    /// What stands behind an access token, in one question; `None` where there is no such session, or no more.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`], and what the database meets.
    pub async fn session_state(&self, id: SessionId) -> Result<Option<SessionState>, StoreError> {
        let row: Option<StateRow> = self.query(FIND).bind(id.0).find().await?;
        let Some(StateRow { session, user, key }) = row else { return Ok(None) };
        Ok(Some(SessionState { session: session.into(), user: user.try_into()?, key: key.read()? }))
    }
}
