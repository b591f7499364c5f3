//! The lines of a file of an export, read in parts.

use std::fs::File;
use std::path::PathBuf;

use evidence::{ExportedFile, ManifestFile};
use invoicing::VerificationError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::failure::of_verification;

/// The maximum length of a line.
const LINE_BYTES_MAX: usize = 1 << 20;
/// The number of bytes that are read at once.
const PART_BYTES: usize = 64 << 10;

/// The lines of one file, with their line breaks. The last line is returned after the digest of the file was checked.
#[pyclass(module = "tollgate._native")]
pub(crate) struct Lines {
    file: ExportedFile<File>,
    name: String,
    /// Bytes that were read; those before `taken` were returned.
    read: Vec<u8>,
    taken: usize,
    is_ended: bool,
}

#[pymethods]
impl Lines {
    /// Opens a file of a verified export by the size and the digest of its manifest.
    #[new]
    fn new(py: Python<'_>, path: PathBuf, name: String, size: u64, sha256: String) -> PyResult<Self> {
        let open = || {
            let from = File::open(&path).map_err(VerificationError::Unreadable)?;
            let listed = ManifestFile { name: name.clone(), size, sha256 };
            ExportedFile::open(from, &listed).map_err(VerificationError::from)
        };
        let file = open().map_err(|error| of_verification(py, &error))?;
        Ok(Self { file, name, read: Vec::new(), taken: 0, is_ended: false })
    }

    fn __iter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    fn __next__<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let line = self.next_line().map_err(|error| of_verification(py, &error))?;
        Ok(line.map(|line| PyBytes::new(py, line)))
    }
}

impl Lines {
    fn next_line(&mut self) -> Result<Option<&[u8]>, VerificationError> {
        let mut searched = 0;
        loop {
            let rest = self.read.get(self.taken..).unwrap_or_default();
            let found = rest.iter().skip(searched).position(|byte| *byte == b'\n').map(|at| searched + at + 1);
            searched = rest.len();
            let end = found.or((self.is_ended && !rest.is_empty()).then_some(rest.len()));
            if end.unwrap_or(searched) > LINE_BYTES_MAX {
                let name = std::mem::take(&mut self.name);
                return Err(VerificationError::from(evidence::VerifyError::FileChanged { name }));
            }
            // The last line waits for the check of the digest.
            if let Some(end) = end.filter(|end| *end < searched || self.is_ended) {
                let begin = self.taken;
                self.taken = begin + end;
                return Ok(self.read.get(begin..self.taken));
            }
            if self.is_ended {
                return Ok(None);
            }
            self.read_part()?;
        }
    }

    /// Reads the next bytes behind those that were not returned.
    fn read_part(&mut self) -> Result<(), VerificationError> {
        self.read.drain(..self.taken);
        self.taken = 0;
        let begin = self.read.len();
        self.read.resize(begin + PART_BYTES, 0);
        let count = self.file.read(self.read.get_mut(begin..).unwrap_or_default());
        let count = count.inspect_err(|_| self.is_ended = true).map_err(VerificationError::from);
        self.read.truncate(begin + *count.as_ref().unwrap_or(&0));
        self.is_ended |= count? == 0;
        Ok(())
    }
}
