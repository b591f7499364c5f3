//! The files: seeds in `corpus/TARGET/`, past findings in `findings/TARGET/`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::random::hash;

/// An input that is kept.
#[derive(Debug, Clone)]
pub struct CorpusInput {
    /// Its file.
    pub path: PathBuf,
    /// What it holds.
    pub bytes: Vec<u8>,
}

/// The folder of this package.
#[must_use]
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Seeds and past findings of a target, by name.
///
/// # Errors
/// When a file cannot be read.
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
            let bytes = fs::read(&path).with_context(|| format!("reads {}", path.display()))?;
            seeds.push(CorpusInput { path, bytes });
        }
    }
    Ok(seeds)
}

/// Keeps a finding of `kind` (`panic`, `hang`, …); answers where. From then on `make test` runs it.
///
/// # Errors
/// When it cannot be written.
pub fn keep(target: &str, kind: &str, input: &[u8]) -> anyhow::Result<PathBuf> {
    let folder = root().join("findings").join(target);
    fs::create_dir_all(&folder)?;
    let path = folder.join(format!("{kind}-{:016x}", hash(input)));
    fs::write(&path, input).with_context(|| format!("writes {}", path.display()))?;
    Ok(path)
}
