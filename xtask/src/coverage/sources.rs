//! The sources of the product, whose coverage counts.

use std::path::Path;

/// The crate under `crates/` whose source a file is, and the path within it; `None` for tests and other files.
pub(super) fn owner(file: &Path, root: &Path) -> Option<(String, String)> {
    let inside = file.strip_prefix(root.join("crates")).ok()?;
    let (owner, rest) = inside.to_str()?.split_once('/')?;
    let is_source = rest.starts_with("src/") && !rest.ends_with("tests.rs") && !rest.contains("/tests/");
    is_source.then(|| (owner.to_owned(), rest.to_owned()))
}
