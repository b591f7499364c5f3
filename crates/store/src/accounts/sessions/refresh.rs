//! Renewal of a session with its single-use refresh token.

use access::{SessionId, TicketHash, Timestamp, UserId};
use uuid::Uuid;

use super::{Session, SessionRow};
use crate::audit::{Act, Actor, ActorKind, AuditAction};
use crate::error::DatabaseError;
use crate::opening::handle::Store;
use crate::sql::{Transaction, micros, statements};

statements! {
    // The row is the lock: if two requests present the same token at once, the second waits here and finds it used.
    USE = "UPDATE refresh_tokens SET used_at = $2, updated_at = $2 WHERE hash = $1 AND used_at IS NULL RETURNING session_id";
    REPLACE_UNREPORTED = "UPDATE refresh_tokens SET hash = $2, updated_at = $3 WHERE hash = $1 AND used_at IS NULL
        RETURNING session_id";
    SESSION_OF = "SELECT session_id, used_at FROM refresh_tokens WHERE hash = $1";
    // A key's session cannot be renewed after the key is revoked or expired.
    RENEW = "UPDATE sessions SET seen_at = $2, expires_at = $3, updated_at = $2 WHERE id = $1 AND ended_at IS NULL AND
        expires_at > $2 AND (key_id IS NULL OR EXISTS (SELECT 1 FROM api_keys k WHERE k.id = sessions.key_id AND
        k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > $2))) RETURNING id AS session_id, user_id, key_id, address, agent, seen_at, expires_at, ended_at,
        created_at AS begun_at";
    END_OPEN = "UPDATE sessions SET ended_at = $2, updated_at = $2 WHERE id = $1 AND ended_at IS NULL AND expires_at > $2
        RETURNING user_id";
}

/// The refresh token that replaces the presented one.
#[derive(Debug, Clone, Copy)]
pub struct NewRefresh {
    /// Hash of the token.
    pub hash: TicketHash,
    /// Expiry of the token, and so of the session unless it is renewed again. At most 30 days ahead: older tokens are
    /// deleted.
    pub expires_at: Timestamp,
}

/// Result of presenting a refresh token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefreshResult {
    /// The session continues with the new token.
    Renewed(Session),
    /// The token was used before; its session, which was open until now, is ended.
    Stolen {
        /// User who owns the session.
        user: UserId,
        /// Id of the session.
        session: SessionId,
    },
    /// The token does not exist, or was deleted.
    Unknown,
    /// The session, or the key that began it, has ended or expired before.
    Ended,
}

impl Store {
    /// Uses the refresh token `presented`, and replaces it by `next`. A token that was used before ends its session in
    /// the same transaction.
    ///
    /// After an error the outcome is unknown. The client may present the same token again, and the same process accepts
    /// it. The same applies if this future is dropped.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn refresh(
        &self,
        by: &Actor,
        presented: TicketHash,
        next: NewRefresh,
    ) -> Result<RefreshResult, DatabaseError> {
        let mut transaction = self.begin().await?;
        let Some(session) = self.take(&mut transaction, presented, next.hash).await? else {
            return self.judge_used(transaction, by, presented).await;
        };
        let renew = transaction.query(RENEW).bind(session.0).bind(self.now()).bind(micros(next.expires_at));
        let renewed: Option<SessionRow> = renew.find().await?;
        let Some(renewed) = renewed else { return Ok(RefreshResult::Ended) };
        let under_way = self.doubts().begin(presented, next.hash);
        transaction.commit().await?;
        under_way.settle();
        Ok(RefreshResult::Renewed(renewed.into()))
    }

    /// Uses `presented` and replaces it by `next`; `None` if it was used before or does not exist.
    async fn take(
        &self,
        transaction: &mut Transaction,
        presented: TicketHash,
        next: TicketHash,
    ) -> Result<Option<SessionId>, DatabaseError> {
        let now = self.now();
        let used: Option<(Uuid,)> = transaction.query(USE).bind(presented.0.to_vec()).bind(now).find().await?;
        if let Some((session,)) = used {
            let session = SessionId(session);
            self.add_token(transaction, session, next).await?;
            return Ok(Some(session));
        }
        for unreported in self.doubts().unreported(presented) {
            let replace =
                transaction.query(REPLACE_UNREPORTED).bind(unreported.0.to_vec()).bind(next.0.to_vec()).bind(now);
            if let Some((session,)) = replace.find::<(Uuid,)>().await? {
                return Ok(Some(SessionId(session)));
            }
        }
        Ok(None)
    }

    async fn judge_used(
        &self,
        mut transaction: Transaction,
        by: &Actor,
        presented: TicketHash,
    ) -> Result<RefreshResult, DatabaseError> {
        let Some((session, _)) = session_of(&mut transaction, presented).await? else {
            return Ok(RefreshResult::Unknown);
        };
        let Some(user) = self.end_open(&mut transaction, session).await? else { return Ok(RefreshResult::Ended) };
        self.note(&mut transaction, by, Act::new(AuditAction::SessionTheft, session.0, Some(user))).await?;
        transaction.commit().await?;
        warn_of_theft(user, session);
        Ok(RefreshResult::Stolen { user, session })
    }

    /// Ends the session of a refresh token permanently, without renewing it; `None` if it does not exist, or has ended
    /// or expired before. A used token counts as stolen here too, unless no client received its successor. A client may
    /// repeat the request: it then finds the session ended.
    ///
    /// `by` is an unauthenticated author; the token determines the user.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn sign_out(&self, by: &Actor, presented: TicketHash) -> Result<Option<SessionId>, DatabaseError> {
        let mut transaction = self.begin().await?;
        let Some((session, used)) = session_of(&mut transaction, presented).await? else { return Ok(None) };
        let Some(user) = self.end_open(&mut transaction, session).await? else { return Ok(None) };
        let stolen = used && self.doubts().unreported(presented).is_empty();
        let (action, by) = if stolen {
            (AuditAction::SessionTheft, *by)
        } else {
            (AuditAction::SessionEnd, Actor { by: ActorKind::User { user, session: Some(session) }, ..*by })
        };
        self.note(&mut transaction, &by, Act::new(action, session.0, Some(user))).await?;
        transaction.commit().await?;
        if stolen {
            warn_of_theft(user, session);
        }
        Ok(Some(session))
    }

    /// Ends an open session, and returns its user.
    async fn end_open(
        &self,
        transaction: &mut Transaction,
        session: SessionId,
    ) -> Result<Option<UserId>, DatabaseError> {
        let ended: Option<(Uuid,)> = transaction.query(END_OPEN).bind(session.0).bind(self.now()).find().await?;
        Ok(ended.map(|(user,)| UserId(user)))
    }
}

fn warn_of_theft(user: UserId, session: SessionId) {
    tracing::warn!(%user, %session, "a refresh token was used twice and may be stolen: its session was ended");
}

/// Returns the session of a refresh token, and whether the token was used.
async fn session_of(
    transaction: &mut Transaction,
    presented: TicketHash,
) -> Result<Option<(SessionId, bool)>, DatabaseError> {
    let found: Option<(Uuid, Option<i64>)> = transaction.query(SESSION_OF).bind(presented.0.to_vec()).find().await?;
    Ok(found.map(|(session, used_at)| (SessionId(session), used_at.is_some())))
}
