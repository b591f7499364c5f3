//! The input files: seeds in `corpus/TARGET/`, failing inputs of the past in `findings/TARGET/`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::random::hash;

/// An input in the repository.
#[derive(Debug, Clone)]
pub struct CorpusInput {
    /// The path of its file.
    pub path: PathBuf,
    /// The bytes of the file.
    pub bytes: Vec<u8>,
}

/// The folder of this package.
#[must_use]
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Seeds and past findings of a target, sorted by name.
///
/// # Errors
/// A file cannot be read.
pub fn read(target: &str) -> anyhow::Result<Vec<CorpusInput>> {
    let mut seeds = Vec::new();
    for folder in ["corpus", "findings"] {
        let folder = root().join(folder).join(target);
        if !folder.is_dir() {
            continue;
        }
        let mut paths = Vec::new();
        for entry in fs::read_dir(&folder)? {
            paths.push(entry?.path());
        }
        paths.sort();
        for path in paths {
            let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            seeds.push(CorpusInput { path, bytes });
        }
    }
    Ok(seeds)
}

/// Stores a failing input of `kind` (`panic`, `hang`, …) and returns its path. `make test` runs it from then on.
///
/// # Errors
/// The file cannot be written.
pub fn keep(target: &str, kind: &str, input: &[u8]) -> anyhow::Result<PathBuf> {
    let folder = root().join("findings").join(target);
    fs::create_dir_all(&folder)?;
    let path = folder.join(format!("{kind}-{:016x}", hash(input)));
    fs::write(&path, input).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}
