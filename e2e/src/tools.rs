//! The folder of the tools that `scripts/setup.sh` installs.

use std::path::PathBuf;

use crate::commands;

/// Appended to failures that a missing client causes.
pub const HOW: &str = "`make test` (or scripts/setup.sh test) installs what the clients need";

/// Returns the `tools` folder of the build folder, into which `scripts/setup.sh` installs.
#[must_use]
pub fn tools() -> PathBuf {
    let target = commands::binary().parent().and_then(|profile| profile.parent().map(PathBuf::from));
    target.unwrap_or_default().join("tools")
}
