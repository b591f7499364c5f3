//! PostgreSQL: a server, which may be slow, full, read-only, of another make, or away.

use std::io;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, FromRow, PgConnection, PgPool};

use super::LOOKUPS;
use crate::error::StoreError;

/// Connections of one process beside those for look-ups: one each for ingest and the node's beat, the rest for the control
/// API.
const CONNECTIONS_MAX: u32 = 11;
/// How long anybody waits for a connection, which may have to be made.
const ACQUIRE: Duration = Duration::from_secs(2);
/// How long the server works on one statement; waiting for a lock is part of it.
const STATEMENT: Duration = Duration::from_secs(5);
/// How long a transaction may stand still before the server ends it: a process that is stopped holds no locks.
const IDLE_IN_TRANSACTION: Duration = Duration::from_secs(10);
/// How long we wait for a server that says nothing, not even that it stopped the statement.
const SILENCE: Duration = Duration::from_secs(6);
/// A connection that was used within this time is taken to be alive.
const FRESH: Duration = Duration::from_secs(1);
/// How long a connection may take to show that it is alive.
const PING: Duration = Duration::from_secs(1);

/// The oldest version, as `server_version_num` counts.
const VERSION_MIN: i64 = 150_000;

/// What has to be true of a server.
const CHECK: &str = "SELECT current_setting('server_version_num')::bigint, current_setting('server_encoding'),
    current_setting('transaction_read_only') = 'on'";
/// Servers in whose name something is being written: a long transaction holds up their beat.
pub(crate) const WRITING: &str = "SELECT id FROM nodes WHERE left_at IS NULL AND id NOT IN
    (SELECT id FROM nodes WHERE left_at IS NULL FOR NO KEY UPDATE SKIP LOCKED)";
/// Which of the server's processes serves a connection.
const PROCESS: &str = "SELECT pg_backend_pid()";

/// A server named by a URL; nothing is asked of it yet.
pub(crate) fn options(url: &str) -> Result<PgConnectOptions, StoreError> {
    let known = url.starts_with("postgres://") || url.starts_with("postgresql://");
    let options = if known { url.parse::<PgConnectOptions>().ok() } else { None };
    let options = options.ok_or(StoreError::Url)?.application_name("tollgate").disable_statement_logging();
    // Poolers refuse a connection with a parameter that they do not know; no float is ever read.
    Ok(options.extra_float_digits(None))
}

/// One connection without limits of time, for migrations.
///
/// # Errors
/// [`StoreError::OldServer`], [`StoreError::Encoding`], [`StoreError::ReadOnly`], [`StoreError::Pooled`], and what keeps us
/// from connecting.
pub(crate) async fn connect(options: &PgConnectOptions) -> Result<PgConnection, StoreError> {
    let mut connection = bounded(PgConnection::connect_with(options)).await?;
    let answer = bounded(sqlx::raw_sql(CHECK).fetch_one(&mut connection)).await?;
    let (version, encoding, read_only): (i64, String, bool) = FromRow::from_row(&answer)?;
    if version < VERSION_MIN {
        return Err(StoreError::OldServer { found: version / 10_000 });
    }
    if encoding != "UTF8" {
        return Err(StoreError::Encoding { found: encoding });
    }
    if read_only {
        return Err(StoreError::ReadOnly(None));
    }
    if is_pooled(&mut connection, options).await? {
        return Err(StoreError::Pooled);
    }
    // "… already exists, skipping" is no news.
    bounded(sqlx::raw_sql("SET client_min_messages = warning").execute(&mut connection)).await?;
    Ok(connection)
}

/// Whether transactions of one connection are served by different processes, or those of two by one: what is prepared,
/// set or locked for a connection would be another's. Asked in the simple protocol, which a pooler takes in any mode.
async fn is_pooled(one: &mut PgConnection, options: &PgConnectOptions) -> Result<bool, sqlx::Error> {
    let mut other = bounded(PgConnection::connect_with(options)).await?;
    let first = process(one).await?;
    bounded(sqlx::raw_sql("BEGIN").execute(&mut other)).await?;
    let inside = process(&mut other).await?;
    // A pool of one process, which `other` keeps in its transaction, would let `one` wait.
    let pooled = first == inside || process(one).await? != first;
    bounded(other.close()).await?;
    Ok(pooled)
}

async fn process(connection: &mut PgConnection) -> Result<i32, sqlx::Error> {
    let (process,) = FromRow::from_row(&bounded(sqlx::raw_sql(PROCESS).fetch_one(connection)).await?)?;
    Ok(process)
}

/// The connections of this process.
pub(crate) async fn pool(options: PgConnectOptions) -> Result<PgPool, sqlx::Error> {
    connections(options, CONNECTIONS_MAX).await
}

/// Those for look-ups.
pub(crate) async fn lookups(options: PgConnectOptions) -> Result<PgPool, sqlx::Error> {
    connections(options, LOOKUPS).await
}

async fn connections(options: PgConnectOptions, max: u32) -> Result<PgPool, sqlx::Error> {
    let pool = PgPoolOptions::new()
        .max_connections(max)
        .acquire_timeout(ACQUIRE)
        // Tested here instead, within a bound: a connection that nobody answers would keep its place in the pool.
        .test_before_acquire(false)
        .before_acquire(|connection, meta| {
            Box::pin(async move { Ok(meta.idle_for < FRESH || is_alive(connection).await) })
        })
        // sqlx pings what is given back, but without a bound: a connection whose server fell silent in the midst of a
        // statement would keep its place too. The first ping's round trip is waited for by nobody: with it, 8000 lookups one
        // after the other took 145 to 366 µs each, without it 215 to 426 (three rounds, a busy machine of two cores).
        .after_release(|connection, _| Box::pin(async { Ok(is_alive(connection).await) }))
        .after_connect(|connection, _| Box::pin(prepare(connection)));
    pool.connect_with(options).await
}

async fn is_alive(connection: &mut PgConnection) -> bool {
    tokio::time::timeout(PING, connection.ping()).await.is_ok_and(|answered| answered.is_ok())
}

/// Bounds what the server does for a connection. Released segments of the spool rely on commits that are on disk, so a
/// server that does not wait for it is told to; and whoever waited for a lock must see what its holder wrote. That it may
/// not be written to is left as its operator has set it.
async fn prepare(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let set = "SELECT set_config('statement_timeout', $1, false), set_config('idle_in_transaction_session_timeout', $2, \
               false), set_config('synchronous_commit', CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' \
               ELSE current_setting('synchronous_commit') END, false), set_config('default_transaction_isolation', \
               'read committed', false)";
    let ms = |time: Duration| time.as_millis().to_string();
    sqlx::query(set).bind(ms(STATEMENT)).bind(ms(IDLE_IN_TRANSACTION)).persistent(false).execute(connection).await?;
    Ok(())
}

/// How long we wait for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// As [`bounded`].
    Bounded,
    /// A copy's statements and its commit may take minutes; who runs it sees it, and can end it.
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

/// Gives up on a server that is silent: a network that drops everything ends no connection.
pub(crate) async fn bounded<T>(asked: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    match tokio::time::timeout(SILENCE, asked).await {
        Ok(answered) => answered,
        Err(_) => Err(sqlx::Error::Io(io::ErrorKind::TimedOut.into())),
    }
}

#[cfg(test)]
mod tests;
