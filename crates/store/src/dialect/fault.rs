//! What a database's error means.

use crate::error::StoreError;

// SQLite's primary result codes (https://www.sqlite.org/rescode.html).
const PERM: u32 = 3;
const BUSY: u32 = 5;
const LOCKED: u32 = 6;
const READONLY: u32 = 8;
const CORRUPT: u32 = 11;
const FULL: u32 = 13;
const CANTOPEN: u32 = 14;
const NOTADB: u32 = 26;

/// Sorts an error by what is to be done about it.
pub(crate) fn fault(error: sqlx::Error) -> StoreError {
    match kind(&error) {
        Some(known) => known(error),
        None => StoreError::Database(error),
    }
}

/// Whether [`fault`] knows more of an error than that it is one.
pub(crate) fn is_known(error: &sqlx::Error) -> bool {
    kind(error).is_some()
}

/// A kind of [`StoreError`]; `None` is [`StoreError::Database`].
type Kind = Option<fn(sqlx::Error) -> StoreError>;

fn kind(error: &sqlx::Error) -> Kind {
    use sqlx::Error::{Io, PoolClosed, PoolTimedOut, Protocol, Tls, WorkerCrashed};
    let Some(cause) = error.as_database_error() else {
        let away = matches!(error, Io(_) | PoolClosed | PoolTimedOut | Protocol(_) | Tls(_) | WorkerCrashed);
        return if away { Some(StoreError::Unavailable) } else { None };
    };
    let code = cause.code().unwrap_or_default();
    if cause.try_downcast_ref::<sqlx::postgres::PgDatabaseError>().is_some() {
        of_postgres(&code)
    } else {
        of_sqlite(code.parse().unwrap_or(0))
    }
}

/// By the primary result code, which is an extended one's lowest byte.
fn of_sqlite(extended: u32) -> Kind {
    Some(match extended & 0xff {
        PERM | READONLY | CANTOPEN => |error| StoreError::ReadOnly(Some(error)),
        FULL => StoreError::Full,
        CORRUPT | NOTADB => StoreError::Damaged,
        BUSY | LOCKED => StoreError::Unavailable,
        _ => return None,
    })
}

/// By SQLSTATE (PostgreSQL's documentation, appendix A).
fn of_postgres(code: &str) -> Kind {
    Some(match code {
        // A prepared statement that is not there, or already: its connection is not always the same.
        "26000" | "42P05" => |_| StoreError::Pooled,
        "25006" => |error| StoreError::ReadOnly(Some(error)),
        "53100" => StoreError::Full,
        // A damaged page, or index.
        "XX001" | "XX002" => StoreError::Damaged,
        // A user, a password, a database or a right that is not there.
        "28000" | "28P01" | "3D000" | "42501" => StoreError::Forbidden,
        // Conflicts and deadlocks; a transaction that stood still; a lock that is not to be had.
        "40001" | "40P01" | "25P03" | "55P03" => StoreError::Unavailable,
        // The connection, the server's resources, its operator (a timeout, a restart).
        _ if ["08", "53", "57"].iter().any(|class| code.starts_with(class)) => StoreError::Unavailable,
        _ => return None,
    })
}
