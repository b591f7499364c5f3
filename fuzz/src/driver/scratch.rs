//! A small file that says which run a session is in, and with what: it outlives the process.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::Context;

const HEAD: usize = 16;

/// See the module: `runs u64 | length u64 | input`, little-endian.
#[derive(Debug)]
pub struct Scratch {
    file: File,
    buffer: Vec<u8>,
}

impl Scratch {
    /// Opens it, made where it is missing.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        Ok(Self { file: options.with_context(|| format!("opens {}", path.display()))?, buffer: Vec::new() })
    }

    /// Run `runs` begins with `input`.
    ///
    /// # Errors
    /// When the disk is full, say.
    pub fn note(&mut self, runs: u64, input: &[u8]) -> anyhow::Result<()> {
        self.buffer.clear();
        self.buffer.extend_from_slice(&runs.to_le_bytes());
        self.buffer.extend_from_slice(&(input.len() as u64).to_le_bytes());
        self.buffer.extend_from_slice(input);
        self.file.write_all_at(&self.buffer, 0).context("writes the scratch file")
    }

    /// Which run it is in; 0 before the first.
    #[must_use]
    pub fn runs(&self) -> u64 {
        self.word(0)
    }

    /// The input of that run.
    #[must_use]
    pub fn input(&self) -> Vec<u8> {
        let length = usize::try_from(self.word(8)).unwrap_or(0).min(1 << 24);
        let mut input = vec![0; length];
        if self.file.read_exact_at(&mut input, HEAD as u64).is_err() {
            input.clear();
        }
        input
    }

    fn word(&self, at: u64) -> u64 {
        let mut word = [0; 8];
        // Nothing was written yet where it is too short.
        let _ = self.file.read_exact_at(&mut word, at);
        u64::from_le_bytes(word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_noted_last_is_read_by_another() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("scratch");
        let (mut writer, reader) = (Scratch::open(&path).unwrap(), Scratch::open(&path).unwrap());
        assert_eq!((reader.runs(), reader.input()), (0, Vec::new()));
        writer.note(1, b"longer input").unwrap();
        writer.note(2, b"input").unwrap();
        assert_eq!((reader.runs(), reader.input()), (2, b"input".to_vec()));
    }
}
