//! The end of sessions when the credential that began them changes.

use access::{KeyId, SessionId, UserId};
use thiserror::Error;
use uuid::Uuid;

use crate::error::DatabaseError;
use crate::sql::{Transaction, statements};

statements! {
    END_ALL = "UPDATE sessions SET ended_at = $3, updated_at = $3 WHERE user_id = $1 AND id <> $2 AND ended_at IS NULL
        AND expires_at > $3";
    END_EVERYBODYS = "UPDATE sessions SET ended_at = $1, updated_at = $1 WHERE ended_at IS NULL";
    END_OF_KEY = "UPDATE sessions SET ended_at = $3, updated_at = $3 WHERE user_id = $1 AND id <> $2 AND ended_at IS NULL
        AND expires_at > $3 AND key_id = $4";
}

/// The credential that was checked is no longer valid: the password has changed, or the user is suspended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the password has changed since it was checked, or the user is suspended")]
pub struct CredentialGone;

/// Ends all sessions of a user except `except`, within a transaction that has locked the user's row. Returns their
/// number.
pub(crate) async fn end_all(
    transaction: &mut Transaction,
    user: UserId,
    except: Option<SessionId>,
    now: i64,
) -> Result<u64, DatabaseError> {
    let except = except.map_or(Uuid::nil(), |session| session.0);
    transaction.query(END_ALL).bind(user.0).bind(except).bind(now).run().await
}

/// Ends all sessions in the store, within a transaction without concurrent writers.
pub(crate) async fn end_everybodys(transaction: &mut Transaction, now: i64) -> Result<(), DatabaseError> {
    transaction.query(END_EVERYBODYS).bind(now).run().await?;
    Ok(())
}

/// Ends all sessions that a key began except `except`, within a transaction that has locked the user's row. Returns
/// their number.
pub(crate) async fn end_of_key(
    transaction: &mut Transaction,
    user: UserId,
    key: KeyId,
    except: Option<SessionId>,
    now: i64,
) -> Result<u64, DatabaseError> {
    let except = except.map_or(Uuid::nil(), |session| session.0);
    transaction.query(END_OF_KEY).bind(user.0).bind(except).bind(now).bind(key.0).run().await
}
