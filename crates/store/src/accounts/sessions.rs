//! Sessions: begun by sign-in, renewed with single-use refresh tokens, ended, and listed.
//!
//! A session is a family of refresh tokens, of which at most one is unused. A used token that is presented again was
//! stolen, from the owner or by the presenter (the store cannot distinguish them), and ends the session
//! (docs/decisions/0018-sessions.md).

mod refresh;
mod state;

use std::net::IpAddr;

use access::{KeyHash, KeyId, Secret, SessionId, TicketHash, Timestamp, UserId};
use serde_json::json;
use thiserror::Error;
use uuid::Uuid;

use crate::accounts::session_end::{self, CredentialGone};
use crate::accounts::users;
use crate::audit::{Act, Actor, AuditAction};
use crate::error::{DatabaseError, TEXT_CHARS_MAX};
use crate::opening::handle::Store;
use crate::sql::{Transaction, micros, statements, timestamp};

#[cfg(test)]
pub(crate) use refresh::STATEMENTS as REFRESH;
pub use refresh::{NewRefresh, RefreshResult};
#[cfg(test)]
pub(crate) use state::STATEMENTS as STATE;
pub use state::{InvalidSession, SessionKey, SessionState};

/// Maximum number of open sessions of one user by password, and of one key. A further session ends the one whose last
/// use is the oldest.
pub const OPEN_MAX: usize = 100;

statements! {
    // Waits for transactions that change the password or the status, and reads their result.
    HOLD_PASSWORD = "UPDATE users SET updated_at = updated_at WHERE id = $1 AND password = $2 AND status = 'active'";
    HOLD_USER = "UPDATE users SET updated_at = updated_at WHERE id = $1 AND status = 'active'";
    ADD = "INSERT INTO sessions (id, user_id, key_id, address, agent, seen_at, expires_at, created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $6, $6)";
    ADD_TOKEN = "INSERT INTO refresh_tokens (id, session_id, hash, created_at, updated_at) VALUES ($1, $2, $3, $4, $4)";
    END_OLDEST = "UPDATE sessions SET ended_at = $3, updated_at = $3 WHERE id IN (SELECT id FROM sessions
        WHERE user_id = $1 AND ended_at IS NULL AND key_id IS NOT DISTINCT FROM $2 ORDER BY seen_at DESC, id DESC
        LIMIT 1000 OFFSET $4)";
    OF_USER = "SELECT id AS session_id, user_id, key_id, address, agent, seen_at, expires_at, ended_at, created_at AS begun_at
        FROM sessions WHERE user_id = $1 AND ended_at IS NULL AND id < $2 AND expires_at > $3 ORDER BY id DESC LIMIT $4";
    END = "UPDATE sessions SET ended_at = $3, updated_at = $3 WHERE id = $1 AND user_id = $2 AND ended_at IS NULL";
    IS_OF_USER = "SELECT EXISTS (SELECT 1 FROM sessions WHERE id = $1 AND user_id = $2)";
    // A separate query: it runs while the user's row is locked, so it sees the result of a rotation. A replaced secret does
    // not count, because the session would outlive its grace.
    OPENS = "SELECT EXISTS (SELECT 1 FROM api_keys WHERE id = $1 AND user_id = $2 AND revoked_at IS NULL
        AND hash = $3)";
}

/// The error of the begin of a session.
#[derive(Debug, Error)]
pub enum SessionError {
    /// The credential is not valid any more.
    #[error(transparent)]
    CredentialGone(#[from] CredentialGone),
    /// An error of the database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// A credential for signing in, which was checked before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionCredential {
    /// A password with this stored hash. If the hash has changed by now, no session begins.
    Password(Secret),
    /// A key of the user. The session has the key's limits, and is invalid while the key is invalid.
    Key {
        /// Id of the key.
        key: KeyId,
        /// Hash of its secret: if the secret was replaced by now, no session begins.
        secret: KeyHash,
    },
}

/// A session that is to be begun.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// User who signs in.
    pub user: UserId,
    /// Credential that the user presented.
    pub credential: SessionCredential,
    /// Address of the client.
    pub address: Option<IpAddr>,
    /// `User-Agent` of the client; its first 200 characters are stored, without control characters.
    pub agent: Option<String>,
    /// Hash of the first refresh token.
    pub refresh: TicketHash,
    /// Expiry of the refresh token, and so of the session unless it is renewed.
    pub expires_at: Timestamp,
}

/// A session as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Public id of the session.
    pub id: SessionId,
    /// User who signed in.
    pub user: UserId,
    /// Key that began the session; `None` means a password.
    pub key: Option<KeyId>,
    /// Address of the client that began it.
    pub address: Option<IpAddr>,
    /// `User-Agent` of that client.
    pub agent: Option<String>,
    /// Time at which it was begun or last renewed.
    pub seen_at: Timestamp,
    /// The session is invalid from this time on, unless it is renewed before.
    pub expires_at: Timestamp,
    /// Time at which it was ended: by sign-out, a change of the password, or theft.
    pub ended_at: Option<Timestamp>,
    /// Time at which it was begun.
    pub created_at: Timestamp,
}

#[derive(sqlx_macros::FromRow)]
struct SessionRow {
    session_id: Uuid,
    user_id: Uuid,
    key_id: Option<Uuid>,
    address: Option<String>,
    agent: Option<String>,
    seen_at: i64,
    expires_at: i64,
    ended_at: Option<i64>,
    begun_at: i64,
}

impl From<SessionRow> for Session {
    fn from(row: SessionRow) -> Self {
        Self {
            id: SessionId(row.session_id),
            user: UserId(row.user_id),
            key: row.key_id.map(KeyId),
            address: row.address.and_then(|address| address.parse().ok()),
            agent: row.agent,
            seen_at: timestamp(row.seen_at),
            expires_at: timestamp(row.expires_at),
            ended_at: row.ended_at.map(timestamp),
            created_at: timestamp(row.begun_at),
        }
    }
}

impl Store {
    /// Begins a session. If more than [`OPEN_MAX`] exist for the same credential, the one whose last use is the oldest
    /// ends, which the audit line of the new session records.
    ///
    /// # Errors
    /// [`SessionError::CredentialGone`] if the password or the key's secret has changed by now or the user is suspended,
    /// and database errors.
    pub async fn begin_session(&self, by: &Actor, new: NewSession) -> Result<Session, SessionError> {
        let mut transaction = self.begin().await?;
        let begun = self.add_session(&mut transaction, by, new).await?;
        transaction.commit().await?;
        Ok(begun)
    }

    /// Begins a session within a transaction, as [`begin_session`](Self::begin_session) does.
    pub(crate) async fn add_session(
        &self,
        transaction: &mut Transaction,
        by: &Actor,
        new: NewSession,
    ) -> Result<Session, SessionError> {
        let (held, key, with) = match &new.credential {
            SessionCredential::Password(phc) => {
                let hold = transaction.query(HOLD_PASSWORD).bind(new.user.0).bind(phc.expose().to_owned());
                (hold.run().await?, None, "password")
            }
            SessionCredential::Key { key, secret } => {
                let held = transaction.query(HOLD_USER).bind(new.user.0).run().await?;
                let opens = transaction.query(OPENS).bind(key.0).bind(new.user.0).bind(secret.0.to_vec());
                let (opens,): (bool,) = opens.one().await?;
                (if opens { held } else { 0 }, Some(*key), "key")
            }
        };
        if held == 0 {
            return Err(CredentialGone.into());
        }
        let id = self.new_id();
        let now = self.now();
        let address = new.address.map(|address| address.to_canonical());
        let agent = new.agent.as_deref().map(plain);
        let add = transaction
            .query(ADD)
            .bind(id)
            .bind(new.user.0)
            .bind(key.map(|key| key.0))
            .bind(address.map(|address| address.to_string()))
            .bind(agent.clone())
            .bind(now)
            .bind(micros(new.expires_at));
        add.run().await?;
        self.add_token(transaction, SessionId(id), new.refresh).await?;
        let keep = i64::try_from(OPEN_MAX).unwrap_or(i64::MAX);
        let end_oldest = transaction.query(END_OLDEST).bind(new.user.0).bind(key.map(|key| key.0)).bind(now).bind(keep);
        let ended = end_oldest.run().await?;
        let act = Act::new(AuditAction::SessionCreate, id, Some(new.user)).with(json!({"with": with}));
        self.note(transaction, by, act.counting("sessions_ended", ended)).await?;
        Ok(Session {
            id: SessionId(id),
            user: new.user,
            key,
            address,
            agent,
            seen_at: timestamp(now),
            expires_at: new.expires_at,
            ended_at: None,
            created_at: timestamp(now),
        })
    }

    /// Returns the sessions of a user that are neither ended nor expired and precede `before`, newest first; at most
    /// `limit`.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn sessions_of(
        &self,
        user: UserId,
        before: Option<SessionId>,
        limit: u32,
    ) -> Result<Vec<Session>, DatabaseError> {
        let before = before.map_or(Uuid::max(), |session| session.0);
        let asked = self.query(OF_USER).bind(user.0).bind(before).bind(self.now()).bind(i64::from(limit));
        let rows: Vec<SessionRow> = asked.all().await?;
        Ok(rows.into_iter().map(Session::from).collect())
    }

    /// Ends a session permanently, and returns whether it belongs to this user. A session that has ended keeps its
    /// time.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn end_session(&self, by: &Actor, user: UserId, id: SessionId) -> Result<bool, DatabaseError> {
        let mut transaction = self.begin().await?;
        let ended = transaction.query(END).bind(id.0).bind(user.0).bind(self.now()).run().await?;
        if ended == 0 {
            let (is_theirs,): (bool,) = transaction.query(IS_OF_USER).bind(id.0).bind(user.0).one().await?;
            return Ok(is_theirs);
        }
        self.note(&mut transaction, by, Act::new(AuditAction::SessionEnd, id.0, Some(user))).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Ends all sessions of a user except `except` permanently, and returns their number. The audit log has one line
    /// for all of them, whose target is the user.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn end_sessions(
        &self,
        by: &Actor,
        user: UserId,
        except: Option<SessionId>,
    ) -> Result<u64, DatabaseError> {
        let mut transaction = self.begin().await?;
        // Locked first, so that two such transactions cannot deadlock on the sessions.
        users::hold(&mut transaction, user).await?;
        let ended = session_end::end_all(&mut transaction, user, except, self.now()).await?;
        if ended > 0 {
            let act = Act::new(AuditAction::SessionEnd, user.0, Some(user)).with(json!({"sessions_ended": ended}));
            self.note(&mut transaction, by, act).await?;
            transaction.commit().await?;
        }
        Ok(ended)
    }

    async fn add_token(
        &self,
        transaction: &mut Transaction,
        session: SessionId,
        hash: TicketHash,
    ) -> Result<(), DatabaseError> {
        let add = transaction.query(ADD_TOKEN).bind(self.new_id()).bind(session.0).bind(hash.0.to_vec());
        add.bind(self.now()).run().await?;
        Ok(())
    }
}

/// Removes control characters from a client's name and truncates it, so that it can be shown.
fn plain(agent: &str) -> String {
    agent.chars().filter(|c| !c.is_control()).take(TEXT_CHARS_MAX).collect()
}
