//! Node and its official client libraries in `e2e/sdk`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use tokio::process::Command;

use crate::tools::{HOW, tools};

/// Builds the command `node SCRIPT` in `e2e/sdk`; of the environment it has `PATH` only.
///
/// # Panics
/// The installed packages differ from the lock file.
#[must_use]
pub fn node(script: &str) -> Command {
    let folder = folder("sdk");
    let lock_file = folder.join("package-lock.json");
    let found = folder.join("node_modules/.installed");
    let read = |path: &Path| std::fs::read(path).unwrap_or_default();
    assert!(read(&lock_file) == read(&found), "e2e/sdk/node_modules differs from its lock file: {HOW}");
    let mut command = Command::new("node");
    command.current_dir(folder).arg(script).env_clear().env("PATH", path());
    command
}

/// Returns the `PATH`: Node, the current Python clients, the coding agents, then the `PATH` of this process.
#[must_use]
pub fn path() -> OsString {
    let mut path = OsString::new();
    for folder in ["bin", "python-current/bin", "agents/node_modules/.bin"] {
        path.push(tools().join(folder));
        path.push(":");
    }
    path.push(std::env::var_os("PATH").unwrap_or_default());
    path
}

/// Returns the path of a folder of `e2e/`.
#[must_use]
pub fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}
