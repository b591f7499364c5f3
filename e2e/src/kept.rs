//! Files that a test keeps for other suites.

use std::path::Path;
use std::{env, fs};

/// Writes bytes into the folder that `TOLLGATE_TEST_KEPT` names; does nothing without that variable.
///
/// # Panics
/// The folder cannot be written.
pub fn keep(name: &str, bytes: &[u8]) {
    if let Some(folder) = env::var_os("TOLLGATE_TEST_KEPT") {
        let written = fs::write(Path::new(&folder).join(name), bytes);
        assert!(written.is_ok(), "{name} cannot be kept in {}: {written:?}", folder.display());
    }
}
