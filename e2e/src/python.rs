//! Python and its official client libraries: one environment per set of versions, below the build folder.

use tokio::process::Command;

use crate::sdk;
use crate::tools::{HOW, tools};

/// Builds the command `python SCRIPT` in `e2e/python`, with the packages of `requirements-SET.txt`.
///
/// # Panics
/// The environment is missing or differs from its requirements file.
#[must_use]
pub fn python(set: &str, script: &str) -> Command {
    let folder = sdk::folder("python");
    let environment = tools().join(format!("python-{set}"));
    let required = std::fs::read(folder.join(format!("requirements-{set}.txt"))).unwrap_or_default();
    let found = std::fs::read(environment.join("installed.txt")).unwrap_or_default();
    assert!(required == found, "{} differs from its requirements: {HOW}", environment.display());
    let mut command = Command::new(environment.join("bin/python"));
    command.current_dir(folder).arg(script).env_clear().env("PATH", sdk::path());
    // Bytecode is not written beside the sources; output is not buffered.
    command.env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONUNBUFFERED", "1");
    command
}
