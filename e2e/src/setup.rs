//! How a server is configured: sections of a file, flags and environment, on ports that the system picks.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

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
}

/// A folder of one test: the configuration, the data, the logs.
#[derive(Debug)]
pub struct Folder(TempDir);

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
        match tempfile::Builder::new().prefix("tollgate-e2e-").tempdir() {
            Ok(folder) => Self(folder),
            Err(error) => panic!("no temporary folder: {error}"),
        }
    }

    /// The folder itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
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
