//! A file with the number and the input of the current run. It outlives the session's process.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::Context;

const HEAD: usize = 16;

/// The file, with the content `runs u64 | length u64 | input` in little-endian order.
#[derive(Debug)]
pub struct Scratch {
    file: File,
    buffer: Vec<u8>,
}

impl Scratch {
    /// Opens the file, and creates it if it is missing.
    ///
    /// # Errors
    /// The file cannot be opened or created.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        Ok(Self { file: options.with_context(|| format!("cannot open {}", path.display()))?, buffer: Vec::new() })
    }

    /// Records that run number `runs` begins with `input`.
    ///
    /// # Errors
    /// The write fails, for example on a full disk.
    pub fn note(&mut self, runs: u64, input: &[u8]) -> anyhow::Result<()> {
        self.buffer.clear();
        self.buffer.extend_from_slice(&runs.to_le_bytes());
        self.buffer.extend_from_slice(&(input.len() as u64).to_le_bytes());
        self.buffer.extend_from_slice(input);
        self.file.write_all_at(&self.buffer, 0).context("cannot write the scratch file")
    }

    /// The number of the current run; 0 before the first.
    #[must_use]
    pub fn runs(&self) -> u64 {
        self.word(0)
    }

    /// The input of the current run.
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
        // The file is too short before the first run.
        let _ = self.file.read_exact_at(&mut word, at);
        u64::from_le_bytes(word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_reader_sees_the_last_note() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("scratch");
        let mut writer = Scratch::open(&path).unwrap();
        let reader = Scratch::open(&path).unwrap();
        assert_eq!((reader.runs(), reader.input()), (0, Vec::new()));
        writer.note(1, b"longer input").unwrap();
        writer.note(2, b"input").unwrap();
        assert_eq!((reader.runs(), reader.input()), (2, b"input".to_vec()));
    }
}
