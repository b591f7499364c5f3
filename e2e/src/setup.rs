//! The configuration of a server: sections of a file, flags and environment. The system picks the ports.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;

use crate::database::{Database, on_postgres};

/// The name of a plan without limits that every configured server has.
pub const OPEN: &str = "open";
/// The credential of the test's providers; it must never reach a client.
pub const CREDENTIAL: &str = "sk-upstream-credential";
/// The variable with the data folder that `xtask test` prepares: a SQLite database to which all migrations were applied.
const MIGRATED: &str = "TOLLGATE_TEST_MIGRATED";
/// The files of that database: its newest pages may be in the log.
const DATABASE: [&str; 2] = ["tollgate.db-wal", "tollgate.db"];

/// The sections of a configuration file, with flags and environment variables.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    sections: BTreeMap<String, String>,
    flags: Vec<String>,
    variables: Vec<(String, String)>,
    limited: bool,
}

/// The folder of one test with configuration, data and logs, and its PostgreSQL database if it uses one.
#[derive(Debug)]
pub struct Folder {
    dir: TempDir,
    database: Option<Arc<Database>>,
}

impl Setup {
    /// Returns a setup without a configuration file.
    #[must_use]
    pub fn bare() -> Self {
        Self::default()
    }

    /// Returns a setup with a short drain, a `recall_wait` of leases that suffices on slow machines, the plan
    /// [`OPEN`], and no upstream.
    #[must_use]
    pub fn new() -> Self {
        Self::bare()
            .section("drain", "{delay: 0s, timeout: 1s}")
            .section("lease", "{recall_wait: 10s}")
            .plans("{name: open}")
    }

    /// Returns [`Setup::new`] with the built-in mock.
    #[must_use]
    pub fn mocked() -> Self {
        Self::new().flag("--mock")
    }

    /// Returns [`Setup::new`] with one provider, named `up`.
    #[must_use]
    pub fn provider(kind: &str, address: SocketAddr) -> Self {
        Self::new().section("providers", &format!("[{}]", provider("up", kind, address)))
    }

    /// Returns [`Setup::new`] with an upstream named `backend` and these routes (items of a YAML list, in braces).
    #[must_use]
    pub fn routed(address: SocketAddr, routes: &str) -> Self {
        Self::new()
            .section("upstreams", &format!("[{{name: backend, backends: [{{url: \"http://{address}\"}}]}}]"))
            .section("routes", &format!("[{routes}]"))
    }

    /// Sets a top-level section; a later call with the same name replaces it.
    #[must_use]
    pub fn section(mut self, name: &str, yaml: &str) -> Self {
        self.sections.insert(name.to_owned(), yaml.to_owned());
        self
    }

    /// Returns whether the configuration file has a section of this name.
    #[must_use]
    pub fn has_section(&self, name: &str) -> bool {
        self.sections.contains_key(name)
    }

    /// Sets these plans (the items of a YAML list).
    #[must_use]
    pub fn plans(self, items: &str) -> Self {
        let all = if items.contains("name: open}") { items.to_owned() } else { format!("{{name: open}}, {items}") };
        self.section("plans", &format!("[{all}]"))
    }

    /// Adds a flag, or the value of a flag.
    #[must_use]
    pub fn flag(mut self, flag: &str) -> Self {
        self.flags.push(flag.to_owned());
        self
    }

    /// Adds an environment variable.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Keeps the default or configured rate limits. Without this call rate limits are off, because most tests send
    /// many requests.
    #[must_use]
    pub fn limited(mut self) -> Self {
        self.limited = true;
        self
    }

    /// Returns whether rate limits apply.
    #[must_use]
    pub const fn is_limited(&self) -> bool {
        self.limited
    }

    /// Returns the flags in order.
    #[must_use]
    pub fn flags(&self) -> &[String] {
        &self.flags
    }

    /// Returns the environment variables in order.
    #[must_use]
    pub fn variables(&self) -> &[(String, String)] {
        &self.variables
    }

    /// Returns the text of the configuration file; `None` without sections.
    #[must_use]
    pub fn yaml(&self) -> Option<String> {
        (!self.sections.is_empty())
            .then(|| self.sections.iter().map(|(name, yaml)| format!("{name}: {yaml}\n")).collect())
    }
}

/// Returns an item of the section `providers` with all formats of the kind, so that calls pass unchanged.
#[must_use]
pub fn provider(name: &str, kind: &str, address: SocketAddr) -> String {
    let (path, formats) = if kind == "openai" { ("/v1", ", formats: [responses, chat]") } else { ("", "") };
    format!("{{name: {name}, kind: {kind}, base_url: \"http://{address}{path}\", credential: {CREDENTIAL}{formats}}}")
}

impl Folder {
    /// Creates a folder, which is removed when dropped.
    #[must_use]
    pub fn new() -> Self {
        Self { database: on_postgres().then(|| Arc::new(Database::new())), ..Self::on_sqlite() }
    }

    /// Like [`Folder::new`], with a database to which no migration was applied.
    #[must_use]
    pub fn unmigrated() -> Self {
        Self { database: on_postgres().then(|| Arc::new(Database::empty())), ..Self::on_sqlite() }
    }

    /// Creates a folder whose store is SQLite, even if the suite runs on PostgreSQL.
    #[must_use]
    pub fn on_sqlite() -> Self {
        match tempfile::Builder::new().prefix("tollgate-e2e-").tempdir() {
            Ok(dir) => Self { dir, database: None },
            Err(error) => panic!("no temporary folder: {error}"),
        }
    }

    /// Puts a migrated SQLite database into the folder, if `xtask test` prepared one and the store is SQLite: a server then
    /// starts in two thirds of the time.
    #[must_use]
    pub fn with_tables(self) -> Self {
        if let None = &self.database
            && let Some(from) = std::env::var_os(MIGRATED)
            && let Err(error) = copy_database(Path::new(&from), &self.data())
        {
            panic!("no copy of the database in {}: {error}", Path::new(&from).display());
        }
        self
    }

    /// Creates a folder whose store is this database.
    #[must_use]
    pub fn on_postgres(database: Database) -> Self {
        Self { database: Some(Arc::new(database)), ..Self::on_sqlite() }
    }

    /// Creates a folder for another server on the same database.
    #[must_use]
    pub fn beside(&self) -> Self {
        assert!(self.database.is_some(), "servers share a PostgreSQL, never SQLite's file");
        Self { database: self.database.clone(), ..Self::on_sqlite() }
    }

    /// Returns the path of the folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Returns the PostgreSQL database of its servers and commands; `None` means SQLite in [`Folder::data`].
    #[must_use]
    pub fn database(&self) -> Option<&Database> {
        self.database.as_deref()
    }

    /// Returns the data folder, for `--data`.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    /// Writes a file into the folder and returns its path.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        match fs::write(&path, text) {
            Ok(()) => path,
            Err(error) => panic!("{}: {error}", path.display()),
        }
    }

    /// Reads a file of the folder; empty if it does not exist.
    #[must_use]
    pub fn read(&self, name: &str) -> String {
        fs::read(self.path().join(name)).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }
}

/// Copies a database into a new data folder, which only this user can access.
fn copy_database(from: &Path, data: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(data)?;
    let mut files = DATABASE.iter().filter(|name| from.join(name).exists());
    files.try_for_each(|name| fs::copy(from.join(name), data.join(name)).map(drop))
}

impl Default for Folder {
    fn default() -> Self {
        Self::new()
    }
}
