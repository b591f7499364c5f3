//! The current validity of an access token's session.

use std::sync::Arc;

use access::{KeyBounds, KeyId, KeyNo, SessionId, Timestamp, UserStatus};
use uuid::Uuid;

use super::{Session, SessionRow};
use crate::accounts::users::{User, UserRow, user_columns};
use crate::columns::bounds_row::BoundsRow;
use crate::error::DatabaseError;
use crate::opening::handle::Store;
use crate::sql::{statements, timestamp};

statements! {
    FIND = concat!("SELECT s.id AS session_id, s.user_id, s.key_id, s.address, s.agent, s.seen_at, s.expires_at, s.ended_at,
        s.created_at AS begun_at, k.no AS key_no, k.expires_at AS key_expires_at, k.revoked_at AS key_revoked_at,
        k.credits_per_day AS key_credits_per_day, k.requests_per_minute AS key_requests_per_minute, k.routes, k.models,
        k.addresses, k.control, ", user_columns!(), " JOIN sessions s ON s.user_id = u.id LEFT JOIN api_keys k ON k.id = s.key_id
        WHERE s.id = $1");
}

/// A session with its user, and the key that began it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionState {
    /// Session of the access token.
    pub session: Session,
    /// User who owns the session.
    pub user: User,
    /// Key that began the session; `None` for a password.
    pub key: Option<SessionKey>,
}

/// The key of a [`SessionState`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionKey {
    /// Public id of the key.
    pub id: KeyId,
    /// Number that usage events use for the key.
    pub no: KeyNo,
    /// Limits of the key in addition to those of its owner.
    pub bounds: Arc<KeyBounds>,
    /// The key is invalid from this time on.
    pub expires_at: Option<Timestamp>,
    /// Time at which the key was revoked.
    pub revoked_at: Option<Timestamp>,
}

/// Reason for which a session is invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvalidSession {
    /// The user is suspended.
    Suspended,
    /// The session was ended, or has expired.
    Ended,
    /// The key that began it was revoked.
    KeyRevoked,
    /// The key that began it has expired.
    KeyExpired,
    /// A key began it, and the user's keys are refused until open invoices are paid.
    Unpaid,
}

impl SessionState {
    /// Checks whether the session is valid at `now`.
    ///
    /// # Errors
    /// [`InvalidSession`] contains the reason for which it is invalid.
    pub fn open_at(&self, now: Timestamp) -> Result<(), InvalidSession> {
        if self.user.status == UserStatus::Suspended {
            return Err(InvalidSession::Suspended);
        }
        // Checked first: revoking a key also ends its sessions, and the revocation is the actual reason.
        if self.key.as_ref().is_some_and(|key| key.revoked_at.is_some()) {
            return Err(InvalidSession::KeyRevoked);
        }
        if self.session.ended_at.is_some() || self.session.expires_at <= now {
            return Err(InvalidSession::Ended);
        }
        if self.key.as_ref().is_some_and(|key| key.expires_at.is_some_and(|end| end <= now)) {
            return Err(InvalidSession::KeyExpired);
        }
        if self.key.is_some() && self.user.is_held {
            return Err(InvalidSession::Unpaid);
        }
        Ok(())
    }
}

#[derive(sqlx_macros::FromRow)]
struct StateRow {
    #[sqlx(flatten)]
    session: SessionRow,
    #[sqlx(flatten)]
    user: UserRow,
    #[sqlx(flatten)]
    key: SessionKeyRow,
}

/// Columns of a key, all null if there is no key.
#[derive(sqlx_macros::FromRow)]
struct SessionKeyRow {
    key_id: Option<Uuid>,
    key_no: Option<i64>,
    key_expires_at: Option<i64>,
    key_revoked_at: Option<i64>,
    #[sqlx(flatten)]
    bounds: BoundsRow,
}

impl SessionKeyRow {
    fn read(self) -> Result<Option<SessionKey>, DatabaseError> {
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
    /// Returns the session of an access token with its user and key, in one query; `None` if it does not exist any
    /// more.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn session_state(&self, id: SessionId) -> Result<Option<SessionState>, DatabaseError> {
        let row: Option<StateRow> = self.query(FIND).bind(id.0).find().await?;
        let Some(StateRow { session, user, key }) = row else { return Ok(None) };
        Ok(Some(SessionState { session: session.into(), user: user.try_into()?, key: key.read()? }))
    }
}
