//! The test executables of the workspace, as Cargo built them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use serde_json::Value;

/// One selection of packages for all commands, as in the Makefile: another selection has other features.
const SELECTION: [&str; 3] = ["--workspace", "--bins", "--tests"];

/// A test executable of a package.
#[derive(Debug, Clone)]
pub(super) struct Binary {
    /// The package and the target, as in `control/control`; `control` alone for the unit tests of a library or binary.
    pub(super) name: String,
    pub(super) path: PathBuf,
    /// The folder of the package, in which Cargo runs its tests.
    pub(super) folder: PathBuf,
}

/// Builds all test executables (which `make test` has done already) and returns them by name.
pub(super) fn build(root: &Path) -> anyhow::Result<Vec<Binary>> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.arg("build").args(SELECTION).args(["--message-format", "json-render-diagnostics"]).current_dir(root);
    let output = command.stderr(Stdio::inherit()).output().context("cargo does not run")?;
    ensure!(output.status.success(), "the tests do not compile");
    let mut binaries = Vec::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let message: Value = serde_json::from_str(line).context("cargo printed a line that is not JSON")?;
        binaries.extend(test_executable(&message));
    }
    binaries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(binaries)
}

fn test_executable(message: &Value) -> Option<Binary> {
    let is_test = message.pointer("/profile/test")?.as_bool()?;
    let path = PathBuf::from(message.get("executable")?.as_str()?);
    let folder = Path::new(message.get("manifest_path")?.as_str()?).parent()?.to_owned();
    let package = folder.file_name()?.to_str()?;
    let target = message.pointer("/target/name")?.as_str()?;
    let is_unit = message.pointer("/target/kind/0")?.as_str()? != "test";
    let name = if is_unit { package.to_owned() } else { format!("{package}/{target}") };
    is_test.then_some(Binary { name, path, folder })
}

impl Binary {
    /// Returns the names of all tests of this executable that are not ignored.
    pub(super) async fn tests(&self) -> anyhow::Result<Vec<String>> {
        let list = async |more: &[&str]| -> anyhow::Result<Vec<String>> {
            let mut command = tokio::process::Command::new(&self.path);
            let output = command.args(["--list", "--format", "terse"]).args(more).current_dir(&self.folder).output();
            let output = output.await.with_context(|| format!("{} does not run", self.path.display()))?;
            ensure!(output.status.success(), "{} does not list its tests", self.path.display());
            let text = String::from_utf8_lossy(&output.stdout);
            Ok(text.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect())
        };
        let ignored = list(&["--ignored"]).await?;
        let mut tests = list(&[]).await?;
        tests.retain(|test| !ignored.contains(test));
        Ok(tests)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_test_executables_are_taken_and_named_by_package_and_target() {
        let message = |executable: &str, test: bool, kind: &str| {
            serde_json::json!({"reason": "compiler-artifact", "profile": {"test": test},
                "manifest_path": "/r/crates/control/Cargo.toml", "target": {"name": "control", "kind": [kind]},
                "executable": executable})
        };
        let name = |message: &Value| test_executable(message).map(|binary| binary.name);
        assert_eq!(name(&message("/t/control-1", true, "lib")).as_deref(), Some("control"));
        assert_eq!(name(&message("/t/control-2", true, "test")).as_deref(), Some("control/control"));
        assert_eq!(name(&message("/t/control", false, "lib")), None);
        assert_eq!(name(&serde_json::json!({"reason": "build-finished", "success": true})), None);
    }
}
