//! How a server is configured: sections of a file, flags and environment, on ports that the system picks.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;

use crate::database::{Database, on_postgres};

/// A plan without limits that every configured server has.
pub const OPEN: &str = "open";
/// What our providers' credentials look like; it must never reach a caller.
pub const CREDENTIAL: &str = "sk-upstream-credential";

/// A configuration to be written, and flags.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    sections: BTreeMap<String, String>,
    flags: Vec<String>,
    variables: Vec<(String, String)>,
    limited: bool,
}

/// A folder of one test: the configuration, the data, the logs; and its database, where that is none of the data's files.
#[derive(Debug)]
pub struct Folder {
    dir: TempDir,
    database: Option<Arc<Database>>,
}

impl Setup {
    /// No file at all.
    #[must_use]
    pub fn bare() -> Self {
        Self::default()
    }

    /// A quick drain, the plan [`OPEN`], and nobody behind it.
    #[must_use]
    pub fn new() -> Self {
        Self::bare().section("drain", "{delay: 0s, timeout: 1s}").plans("{name: open}")
    }

    /// [`Setup::new`] with the built-in mock.
    #[must_use]
    pub fn mocked() -> Self {
        Self::new().flag("--mock")
    }

    /// [`Setup::new`] before one provider, named `up`.
    #[must_use]
    pub fn provider(kind: &str, address: SocketAddr) -> Self {
        Self::new().section("providers", &format!("[{}]", provider("up", kind, address)))
    }

    /// [`Setup::new`] before an upstream named `backend`, with these routes (the items of a YAML list in braces).
    #[must_use]
    pub fn routed(address: SocketAddr, routes: &str) -> Self {
        Self::new()
            .section("upstreams", &format!("[{{name: backend, backends: [{{url: \"http://{address}\"}}]}}]"))
            .section("routes", &format!("[{routes}]"))
    }

    /// With a top-level key; the last one of a name holds.
    #[must_use]
    pub fn section(mut self, name: &str, yaml: &str) -> Self {
        self.sections.insert(name.to_owned(), yaml.to_owned());
        self
    }

    /// With leases that are waited for as long as a slow machine takes.
    #[must_use]
    pub fn patient(self) -> Self {
        self.section("lease", "{recall_wait: 10s}")
    }

    /// With these plans (the items of a YAML list).
    #[must_use]
    pub fn plans(self, items: &str) -> Self {
        let all = if items.contains("name: open}") { items.to_owned() } else { format!("{{name: open}}, {items}") };
        self.section("plans", &format!("[{all}]"))
    }

    /// With a flag, or a flag's value.
    #[must_use]
    pub fn flag(mut self, flag: &str) -> Self {
        self.flags.push(flag.to_owned());
        self
    }

    /// With an environment variable.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With the limits of calls that hold by default, or as configured; without this there are none, as most tests make many calls.
    #[must_use]
    pub fn limited(mut self) -> Self {
        self.limited = true;
        self
    }

    /// Whether calls are limited.
    #[must_use]
    pub const fn is_limited(&self) -> bool {
        self.limited
    }

    /// The flags.
    #[must_use]
    pub fn flags(&self) -> &[String] {
        &self.flags
    }

    /// The environment.
    #[must_use]
    pub fn variables(&self) -> &[(String, String)] {
        &self.variables
    }

    /// The file's text; `None` without sections.
    #[must_use]
    pub fn yaml(&self) -> Option<String> {
        (!self.sections.is_empty())
            .then(|| self.sections.iter().map(|(name, yaml)| format!("{name}: {yaml}\n")).collect())
    }
}

/// An item of `providers`.
#[must_use]
pub fn provider(name: &str, kind: &str, address: SocketAddr) -> String {
    let path = if kind == "openai" { "/v1" } else { "" };
    format!("{{name: {name}, kind: {kind}, base_url: \"http://{address}{path}\", credential: {CREDENTIAL}}}")
}

impl Folder {
    /// A new one, removed when dropped.
    #[must_use]
    pub fn new() -> Self {
        Self { database: on_postgres().then(|| Arc::new(Database::new())), ..Self::on_sqlite() }
    }

    /// A new one whose rows are in SQLite, whatever the suite runs on.
    #[must_use]
    pub fn on_sqlite() -> Self {
        match tempfile::Builder::new().prefix("tollgate-e2e-").tempdir() {
            Ok(dir) => Self { dir, database: None },
            Err(error) => panic!("no temporary folder: {error}"),
        }
    }

    /// A new one whose rows are in this database.
    #[must_use]
    pub fn on_postgres(database: Database) -> Self {
        Self { database: Some(Arc::new(database)), ..Self::on_sqlite() }
    }

    /// A new one for another server on the same database.
    #[must_use]
    pub fn beside(&self) -> Self {
        assert!(self.database.is_some(), "servers share a PostgreSQL, never SQLite's file");
        Self { database: self.database.clone(), ..Self::on_sqlite() }
    }

    /// The folder itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The database on PostgreSQL that its servers and commands use; `None` is SQLite in [`Folder::data`].
    #[must_use]
    pub fn database(&self) -> Option<&Database> {
        self.database.as_deref()
    }

    /// `--data`.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    /// Writes a file into it and answers its path.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        match fs::write(&path, text) {
            Ok(()) => path,
            Err(error) => panic!("{}: {error}", path.display()),
        }
    }

    /// Reads a file of it; empty where there is none.
    #[must_use]
    pub fn read(&self, name: &str) -> String {
        fs::read(self.path().join(name)).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }
}

impl Default for Folder {
    fn default() -> Self {
        Self::new()
    }
}
