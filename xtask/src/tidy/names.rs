//! Names of files and folders are nouns of the domain.

use super::finding::Finding;
use super::tree::{File, Tree};

const VAGUE_NAMES: &[&str] =
    &["core", "common", "util", "utils", "shared", "helper", "helpers", "types", "manager", "service", "misc"];

/// Checks the folders and files that contain source code.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    tree.files.iter().filter(|file| file.is(&["rs", "ts", "tsx", "js", "mjs"])).filter_map(source).collect()
}

fn source(file: &File) -> Option<Finding> {
    if file.name() == "mod.rs" {
        return Some(file.whole().fails("is a `mod.rs`", "name it after its folder: `foo.rs` and `foo/`"));
    }
    let stem = file.path.rsplit_once('.').map_or(file.path.as_str(), |(stem, _)| stem);
    let bad = stem.split('/').find(|part| VAGUE_NAMES.contains(part) || part.starts_with("do_"))?;
    Some(file.whole().fails(format!("`{bad}` is not a noun of the domain"), "name it after its content"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::finding::messages;

    #[test]
    fn vague_names_and_mod_files_fail() {
        for path in [
            "crates/core/src/lib.rs",
            "crates/proxy/src/utils.rs",
            "crates/proxy/src/route/helpers/table.rs",
            "crates/proxy/src/do_route.rs",
            "crates/proxy/src/route/mod.rs",
            "e2e/sdk/common.mjs",
        ] {
            assert_eq!(messages(&check(&Tree::from_files(&[(path, "")]))).len(), 1, "{path}");
        }
    }

    #[test]
    fn nouns_pass() {
        for path in
            ["crates/proxy/src/route.rs", "crates/access/src/people/user.rs", "docs/core.md", "crates/x/src/encore.rs"]
        {
            assert!(check(&Tree::from_files(&[(path, "")])).is_empty(), "{path}");
        }
    }
}
