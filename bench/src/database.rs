//! The database of one measurement: SQLite in a temporary folder, or a new database on an existing PostgreSQL server.

use std::fs;
use std::path::{Path, PathBuf};

use access::{Clock, Ids, Secret};
use anyhow::Context;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use store::{Options, Store};
use tempfile::TempDir;

use crate::process::CpuAccount;

/// The variable with the server's URL, as for tests: `cargo run -p xtask -- postgres --durable COMMAND…` sets it.
const SERVER: &str = "TOLLGATE_TEST_POSTGRES";

/// The kind of database under the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum DatabaseKind {
    /// A file in a temporary folder.
    Sqlite,
    /// A database on the server that TOLLGATE_TEST_POSTGRES names.
    Postgres,
}

/// A database. Dropping it deletes a temporary folder; a PostgreSQL database is deleted with its server.
pub(crate) struct BenchDatabase {
    pub(crate) url: Option<Secret>,
    folder: PathBuf,
    /// Deletes the folder at the end.
    temporary: Option<TempDir>,
    server: Option<LocalPostgres>,
}

/// A PostgreSQL server on this machine.
struct LocalPostgres {
    account: CpuAccount,
    settings: String,
}

impl BenchDatabase {
    /// Returns the SQLite database in `folder`, which is created if it is missing.
    pub(crate) fn kept(folder: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        Ok(Self { url: None, folder: folder.to_owned(), temporary: None, server: None })
    }

    /// Creates an empty database.
    pub(crate) async fn create(kind: DatabaseKind) -> anyhow::Result<Self> {
        let temporary = tempfile::tempdir()?;
        let mut sqlite = Self::kept(temporary.path())?;
        sqlite.temporary = Some(temporary);
        if kind == DatabaseKind::Sqlite {
            return Ok(sqlite);
        }
        let server = std::env::var(SERVER).with_context(|| {
            format!(
                "{SERVER} is not set: run cargo run -p xtask -- postgres --durable cargo run --release -p bench -- …"
            )
        })?;
        let name = format!("bench_{}", Ids::new(Clock::system()).next_uuid().simple());
        let mut connection = PgConnection::connect(&server).await.context("cannot connect to PostgreSQL")?;
        sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut connection).await?;
        let (pid,): (i32,) = sqlx::query_as("SELECT pg_backend_pid()").fetch_one(&mut connection).await?;
        let (settings,): (String,) = sqlx::query_as(
            "SELECT string_agg(name || '=' || setting || coalesce(unit, ''), ' ' ORDER BY name) FROM pg_settings
            WHERE name IN ('server_version', 'fsync', 'full_page_writes', 'synchronous_commit', 'shared_buffers')",
        )
        .fetch_one(&mut connection)
        .await?;
        connection.close().await?;
        let account = CpuAccount::Tree { root: parent(u32::try_from(pid)?)? };
        let (base, _) = server.rsplit_once('/').context("the server's URL has no database")?;
        let url = Some(Secret::new(format!("{base}/{name}")));
        Ok(Self { url, server: Some(LocalPostgres { account, settings }), ..sqlite })
    }

    /// Opens a store on the database.
    pub(crate) async fn open(&self) -> anyhow::Result<Store> {
        let url = self.url.as_ref();
        let data = self.folder();
        Ok(Store::open(Options { url, data, migrate: true, clock: Clock::system() }).await?)
    }

    /// The data folder of a Tollgate process that uses the database.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Microseconds of this process and of the server's processes so far.
    pub(crate) fn cpu_micros(&self) -> anyhow::Result<(u64, u64)> {
        let own = CpuAccount::Tree { root: std::process::id() }.micros()?;
        Ok((own, self.server.as_ref().map_or(Ok(0), |server| server.account.micros())?))
    }

    /// The size of SQLite's write-ahead log in bytes.
    pub(crate) fn log_bytes(&self) -> u64 {
        fs::metadata(self.folder().join("tollgate.db-wal")).map_or(0, |log| log.len())
    }

    /// The path of SQLite's database file.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder().join("tollgate.db")
    }

    /// The description in the report.
    pub(crate) fn describe(&self) -> String {
        match &self.server {
            None => "SQLite".to_owned(),
            Some(server) => format!("PostgreSQL ({})", server.settings),
        }
    }
}

/// The parent of a process. For a PostgreSQL backend it is the postmaster, the parent of all server processes.
fn parent(pid: u32) -> anyhow::Result<u32> {
    let status =
        fs::read_to_string(format!("/proc/{pid}/status")).context("PostgreSQL does not run on this machine")?;
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"));
    Ok(parent.context("the process has no parent")?.trim().parse()?)
}
