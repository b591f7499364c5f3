//! PostgreSQL, a server which may be slow, full, read-only, of an unsupported version, or unreachable.

use std::io;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, FromRow, PgConnection, PgPool};

use super::LOOKUPS;
use crate::error::DatabaseError;
use crate::open_error::OpenError;

/// Connections of one process in addition to those for look-ups: one each for ingest and the node's beat, the rest for
/// the admin API.
const CONNECTIONS_MAX: u32 = 11;
/// Maximum time that a server waits for a connection, which may have to be opened.
pub(crate) const ACQUIRE: Duration = Duration::from_secs(2);
/// Maximum time that the server executes one statement, including the wait for locks.
const STATEMENT: Duration = Duration::from_secs(5);
/// Maximum idle time of a transaction before the server ends it, so that a stopped process holds no locks.
const IDLE_IN_TRANSACTION: Duration = Duration::from_secs(10);
/// Maximum time to wait for a server that sends nothing, not even a notice that it cancelled the statement.
const SILENCE: Duration = Duration::from_secs(6);
/// A connection that was used within this time is assumed to be alive.
const FRESH: Duration = Duration::from_secs(1);
/// Maximum time for a connection to prove that it is usable.
const PING: Duration = Duration::from_secs(1);

/// Minimum supported version, as in `server_version_num`.
const VERSION_MIN: i64 = 150_000;

/// Query for the server properties that Tollgate requires.
const CHECK: &str = "SELECT current_setting('server_version_num')::bigint, current_setting('server_encoding'),
    current_setting('transaction_read_only') = 'on'";
/// Query for whether a connection can write, and is in no transaction: a standby is always read-only, and in a transaction, its
/// start is earlier than that of the statement.
const IS_USABLE: &str = "SELECT current_setting('transaction_read_only') = 'off' AND now() = statement_timestamp()";
/// Query for whether the table of nodes exists, in a database of which migrations may be undone.
pub(crate) const EXISTS: &str = "SELECT to_regclass('nodes') IS NOT NULL";
/// Query for the nodes that have not left, and their beats.
pub(crate) const PRESENT: &str = "SELECT id, seen_at FROM nodes WHERE left_at IS NULL";
/// Query for nodes whose rows are locked by a writer: a long transaction delays the beat of its node.
pub(crate) const WRITING: &str = "SELECT id FROM nodes WHERE left_at IS NULL AND id NOT IN
    (SELECT id FROM nodes WHERE left_at IS NULL FOR NO KEY UPDATE SKIP LOCKED)";
/// Query for the id of the server process that serves a connection.
const PROCESS: &str = "SELECT pg_backend_pid()";

/// Parses the URL of a server, without connecting to it.
pub(crate) fn options(url: &str) -> Result<PgConnectOptions, OpenError> {
    let known = url.starts_with("postgres://") || url.starts_with("postgresql://");
    let options = if known { url.parse::<PgConnectOptions>().ok() } else { None };
    let options = options.ok_or(OpenError::Url)?.application_name("tollgate").disable_statement_logging();
    // Poolers refuse a connection with a parameter that they do not know. Tollgate reads no floating-point values.
    Ok(options.extra_float_digits(None))
}

/// Opens one connection without time limits, for migrations.
///
/// # Errors
/// [`OpenError::OldServer`], [`OpenError::Encoding`], and database errors.
pub(crate) async fn connect(options: &PgConnectOptions) -> Result<PgConnection, OpenError> {
    let mut connection = bounded(PgConnection::connect_with(options)).await?;
    let answer = bounded(sqlx::raw_sql(CHECK).fetch_one(&mut connection)).await?;
    let (version, encoding, read_only): (i64, String, bool) = FromRow::from_row(&answer)?;
    if version < VERSION_MIN {
        return Err(OpenError::OldServer { found: version / 10_000 });
    }
    if encoding != "UTF8" {
        return Err(OpenError::Encoding { found: encoding });
    }
    if read_only {
        return Err(DatabaseError::ReadOnly(None).into());
    }
    if is_pooled(&mut connection, options).await? {
        return Err(DatabaseError::Pooled.into());
    }
    // Suppresses the notices "… already exists, skipping".
    bounded(sqlx::raw_sql("SET client_min_messages = warning").execute(&mut connection)).await?;
    Ok(connection)
}

/// Whether different server processes serve the transactions of one connection, or one process serves those of two.
/// Statements, settings and locks of one connection would then reach another. The check uses the simple protocol, which
/// a pooler accepts in any mode.
async fn is_pooled(one: &mut PgConnection, options: &PgConnectOptions) -> Result<bool, sqlx::Error> {
    let mut other = bounded(PgConnection::connect_with(options)).await?;
    let first = process(one).await?;
    bounded(sqlx::raw_sql("BEGIN").execute(&mut other)).await?;
    let inside = process(&mut other).await?;
    // Checked first: a pool of one process, which `other` occupies with its transaction, would make `one` wait.
    let pooled = first == inside || process(one).await? != first;
    bounded(other.close()).await?;
    Ok(pooled)
}

async fn process(connection: &mut PgConnection) -> Result<i32, sqlx::Error> {
    let (process,) = FromRow::from_row(&bounded(sqlx::raw_sql(PROCESS).fetch_one(connection)).await?)?;
    Ok(process)
}

/// Opens the pool of this process for all statements except look-ups.
pub(crate) async fn pool(options: PgConnectOptions, acquire: Duration) -> Result<PgPool, sqlx::Error> {
    connections(options, CONNECTIONS_MAX, acquire).await
}

/// Opens the pool of this process for look-ups.
pub(crate) async fn lookups(options: PgConnectOptions, acquire: Duration) -> Result<PgPool, sqlx::Error> {
    connections(options, LOOKUPS, acquire).await
}

async fn connections(options: PgConnectOptions, max: u32, acquire: Duration) -> Result<PgPool, sqlx::Error> {
    let pool = PgPoolOptions::new()
        .max_connections(max)
        .acquire_timeout(acquire)
        // Tested in `before_acquire` instead, with a time limit: a connection that never responds would occupy its
        // place in the pool.
        .test_before_acquire(false)
        .before_acquire(|connection, meta| {
            Box::pin(async move { Ok(meta.idle_for < FRESH || is_usable(connection).await) })
        })
        // sqlx pings a returned connection without a time limit: a connection whose server stopped responding within a
        // statement would occupy its place too. The task that returns the connection waits for the round trip of this
        // check, and a request only if all other connections are in use.
        .after_release(|connection, _| Box::pin(async { Ok(is_usable(connection).await) }))
        .after_connect(|connection, _| Box::pin(prepare(connection)));
    pool.connect_with(options).await
}

/// Whether a connection responds, can write, and is in no transaction, as after a call that was cancelled while it began one:
/// its next user would read an old state, and write nothing. After a fail-over, the earlier primary may respond as a standby: its
/// connections leave the pool, and the next ones reach the new primary. If no server accepts writes, each connection
/// serves once, so that reads continue.
async fn is_usable(connection: &mut PgConnection) -> bool {
    match tokio::time::timeout(PING, sqlx::raw_sql(IS_USABLE).fetch_one(connection)).await {
        Ok(Ok(row)) => <(bool,)>::from_row(&row).is_ok_and(|(is_usable,)| is_usable),
        Ok(Err(_)) | Err(_) => false,
    }
}

/// Sets limits for a connection. Released segments of the spool rely on commits that are on disk, so
/// `synchronous_commit` is not left `off`. A transaction that waited for a lock must see what the previous owner wrote.
/// Read-only mode is left as the server's operator has set it.
async fn prepare(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let set = "SELECT set_config('statement_timeout', $1, false), set_config('idle_in_transaction_session_timeout', $2, \
               false), set_config('synchronous_commit', CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' \
               ELSE current_setting('synchronous_commit') END, false), set_config('default_transaction_isolation', \
               'read committed', false)";
    let ms = |time: Duration| time.as_millis().to_string();
    sqlx::query(set).bind(ms(STATEMENT)).bind(ms(IDLE_IN_TRANSACTION)).persistent(false).execute(connection).await?;
    Ok(())
}

/// Time limit for the responses of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// Limits the wait as [`bounded`] does.
    Bounded,
    /// Waits without limit: a copy's statements and commit may take minutes, and its operator can abort it.
    Endless,
}

impl Patience {
    pub(crate) async fn wait<T>(self, asked: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
        match self {
            Self::Bounded => bounded(asked).await,
            Self::Endless => asked.await,
        }
    }
}

/// Returns an error for a server that does not respond: a network that drops all packets closes no connection.
pub(crate) async fn bounded<T>(asked: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    match tokio::time::timeout(SILENCE, asked).await {
        Ok(answered) => answered,
        Err(_) => Err(sqlx::Error::Io(io::ErrorKind::TimedOut.into())),
    }
}

#[cfg(test)]
mod tests;
