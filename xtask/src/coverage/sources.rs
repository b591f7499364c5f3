//! The sources of the product, whose coverage counts.

use std::path::{Component, Path, PathBuf};

/// The crate under `crates/` whose source a file is, and the path within it; `None` for tests, their fixtures and other
/// files.
pub(super) fn owner(file: &Path, root: &Path) -> Option<(String, String)> {
    let file = without_parents(file);
    let inside = file.strip_prefix(root.join("crates")).ok()?;
    let (owner, rest) = inside.to_str()?.split_once('/')?;
    let is_source = rest.starts_with("src/") && !rest.ends_with("tests.rs") && !rest.contains("/tests/");
    (is_source && !is_fixture(inside)).then(|| (owner.to_owned(), rest.to_owned()))
}

/// Whether a file has only what tests share, as its name says: `fixture.rs`, `usage_fixture.rs`.
fn is_fixture(file: &Path) -> bool {
    let name = file.file_stem().and_then(|name| name.to_str());
    name.is_some_and(|name| name == "fixture" || name.ends_with("_fixture"))
}

/// The path of a file that another crate includes by `#[path]`, without `..`.
fn without_parents(file: &Path) -> PathBuf {
    let mut path = PathBuf::new();
    for part in file.components() {
        if part == Component::ParentDir {
            path.pop();
        } else {
            path.push(part);
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_have_an_owner_and_tests_have_none() {
        let owner = |file: &str| owner(Path::new(file), Path::new("/r"));
        let of = |owner: &str, inside: &str| Some((owner.to_owned(), inside.to_owned()));
        assert_eq!(owner("/r/crates/meter/src/lease/client.rs"), of("meter", "src/lease/client.rs"));
        assert_eq!(owner("/r/crates/ledger/src/../../store/src/sql.rs"), of("store", "src/sql.rs"));
        assert_eq!(owner("/r/crates/ai/src/fixtures.rs"), of("ai", "src/fixtures.rs"));
        for test in [
            "/r/crates/ledger/src/ingest_fixture.rs",
            "/r/crates/store/src/fixture.rs",
            "/r/crates/ledger/src/../../store/src/fixture.rs",
            "/r/crates/meter/src/usage/tests.rs",
            "/r/crates/meter/src/usage/tests/lines.rs",
            "/r/crates/meter/tests/it/main.rs",
            "/r/crates/dashboard/src/../build/manifest.rs",
            "/r/e2e/src/lib.rs",
            "/elsewhere/crates/meter/src/lib.rs",
        ] {
            assert_eq!(owner(test), None, "{test}");
        }
    }
}
