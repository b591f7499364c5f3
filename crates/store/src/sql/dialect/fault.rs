//! Classification of database errors as [`DatabaseError`].

use sqlx::migrate::MigrateError;

use crate::error::DatabaseError;
use crate::open_error::OpenError;

// SQLite's primary result codes (https://www.sqlite.org/rescode.html).
const PERM: u32 = 3;
const BUSY: u32 = 5;
const LOCKED: u32 = 6;
const READONLY: u32 = 8;
const CORRUPT: u32 = 11;
const FULL: u32 = 13;
const CANTOPEN: u32 = 14;
const NOTADB: u32 = 26;

impl From<sqlx::Error> for DatabaseError {
    fn from(error: sqlx::Error) -> Self {
        fault(error)
    }
}

impl From<MigrateError> for OpenError {
    fn from(error: MigrateError) -> Self {
        // Errors that any statement can return keep their own variant.
        use MigrateError::{Execute, ExecuteMigration};
        let known = matches!(&error, Execute(cause) | ExecuteMigration(cause, _) if is_known(cause));
        if known && let Execute(cause) | ExecuteMigration(cause, _) = error {
            return cause.into();
        }
        Self::Migration(error)
    }
}

/// Converts an error into the [`DatabaseError`] for its cause.
fn fault(error: sqlx::Error) -> DatabaseError {
    match kind(&error) {
        Some(known) => known(error),
        None => DatabaseError::Database(error),
    }
}

/// Whether [`fault`] can classify an error beyond [`DatabaseError::Database`].
fn is_known(error: &sqlx::Error) -> bool {
    kind(error).is_some()
}

/// Constructor of a [`DatabaseError`]; `None` is [`DatabaseError::Database`].
type DatabaseErrorConstructor = Option<fn(sqlx::Error) -> DatabaseError>;

fn kind(error: &sqlx::Error) -> DatabaseErrorConstructor {
    use sqlx::Error::{Io, PoolClosed, PoolTimedOut, Protocol, Tls, WorkerCrashed};
    let Some(cause) = error.as_database_error() else {
        let away = matches!(error, Io(_) | PoolClosed | PoolTimedOut | Protocol(_) | Tls(_) | WorkerCrashed);
        return if away { Some(DatabaseError::Unavailable) } else { None };
    };
    let code = cause.code().unwrap_or_default();
    if cause.try_downcast_ref::<sqlx::postgres::PgDatabaseError>().is_some() {
        of_postgres(&code)
    } else {
        of_sqlite(code.parse().unwrap_or(0))
    }
}

/// Classifies the primary result code, which is the lowest byte of an extended one.
fn of_sqlite(extended: u32) -> DatabaseErrorConstructor {
    Some(match extended & 0xff {
        PERM | READONLY | CANTOPEN => |error| DatabaseError::ReadOnly(Some(error)),
        FULL => DatabaseError::Full,
        CORRUPT | NOTADB => DatabaseError::Damaged,
        BUSY | LOCKED => DatabaseError::Unavailable,
        _ => return None,
    })
}

/// Classifies a SQLSTATE (PostgreSQL's documentation, appendix A).
fn of_postgres(code: &str) -> DatabaseErrorConstructor {
    Some(match code {
        // A prepared statement is missing or exists already: a pooler changes the connection between transactions.
        "26000" | "42P05" => |_| DatabaseError::Pooled,
        "25006" => |error| DatabaseError::ReadOnly(Some(error)),
        "53100" => DatabaseError::Full,
        // A page or an index of the database is damaged.
        "XX001" | "XX002" => DatabaseError::Damaged,
        // The user, the password, the database or a privilege is invalid or missing.
        "28000" | "28P01" | "3D000" | "42501" => DatabaseError::Forbidden,
        // Serialisation conflicts and deadlocks; an idle transaction that was ended; a lock that is not available.
        "40001" | "40P01" | "25P03" | "55P03" => DatabaseError::Unavailable,
        // Failures of the connection or of the server's resources, and interventions of its operator (a timeout, a
        // restart).
        _ if ["08", "53", "57"].iter().any(|class| code.starts_with(class)) => DatabaseError::Unavailable,
        _ => return None,
    })
}
