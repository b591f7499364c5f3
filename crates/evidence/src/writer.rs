//! Writes the zip into memory, from which the caller takes the bytes as they are written.

use std::io::{self, Write};

use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::hex;
use crate::layout::{
    CENTRAL, COMMENT, COMMENT_BYTES, DATE, DEFLATE, DESCRIPTOR, END, FILES_MAX, FLAGS, LOCAL, MANIFEST, NAME_BYTES_MAX,
    TIME, VERSION,
};
use crate::manifest::{Manifest, ManifestFile};
use crate::signing_key::SigningKey;

/// The reason why no evidence can be written.
#[derive(Debug, Error)]
pub enum WriteEvidenceError {
    /// A file or the zip would have 4 GiB or more.
    #[error("the export is too large: a zip of this form has less than 4 GiB")]
    TooLarge,
    /// There are too many files, or a name is too long or repeated.
    #[error("the export has too many files, or an invalid name")]
    Files,
    /// The compression or the manifest failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A file in the central directory.
#[derive(Debug)]
struct DirectoryEntry {
    name: String,
    offset: u32,
    crc: u32,
    compressed: u32,
    size: u32,
}

/// The file that is being written.
#[derive(Debug)]
struct OpenFile {
    name: String,
    offset: u32,
    deflate: DeflateEncoder<Vec<u8>>,
    crc: Crc,
    digest: Sha256,
    size: u64,
    compressed: u64,
}

/// A zip that is being written.
#[derive(Debug, Default)]
pub struct EvidenceWriter {
    /// Bytes that the caller has not taken.
    pending: Vec<u8>,
    /// The number of all bytes.
    written: u64,
    digest: Sha256,
    directory: Vec<DirectoryEntry>,
    files: Vec<ManifestFile>,
    open: Option<OpenFile>,
}

impl EvidenceWriter {
    /// Creates a zip without files.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the bytes that were written since the last call.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.pending)
    }

    /// Begins a file, and ends the one before it.
    ///
    /// # Errors
    /// [`WriteEvidenceError`].
    pub fn begin(&mut self, name: &str) -> Result<(), WriteEvidenceError> {
        self.end()?;
        let is_repeated = self.files.iter().any(|file| file.name == name);
        if self.directory.len() >= FILES_MAX || !(1..=NAME_BYTES_MAX).contains(&name.len()) || is_repeated {
            return Err(WriteEvidenceError::Files);
        }
        let offset = fits(self.written)?;
        let mut header = Vec::new();
        put32(&mut header, LOCAL);
        for field in [VERSION, FLAGS, DEFLATE, TIME, DATE] {
            put16(&mut header, field);
        }
        // The checksum and both sizes follow the data.
        header.extend([0; 12]);
        put16(&mut header, name_length(name)?);
        put16(&mut header, 0);
        header.extend(name.as_bytes());
        self.append(&header);
        self.open = Some(OpenFile {
            name: name.to_owned(),
            offset,
            deflate: DeflateEncoder::new(Vec::new(), Compression::default()),
            crc: Crc::new(),
            digest: Sha256::new(),
            size: 0,
            compressed: 0,
        });
        Ok(())
    }

    /// Adds bytes to the file that was begun last. Without a file, they are lost.
    ///
    /// # Errors
    /// [`WriteEvidenceError`].
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), WriteEvidenceError> {
        let Some(file) = &mut self.open else { return Ok(()) };
        file.deflate.write_all(bytes)?;
        file.crc.update(bytes);
        file.digest.update(bytes);
        file.size = file.size.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        fits(file.size)?;
        let compressed = std::mem::take(file.deflate.get_mut());
        file.compressed = file.compressed.saturating_add(u64::try_from(compressed.len()).unwrap_or(u64::MAX));
        self.append(&compressed);
        Ok(())
    }

    /// Writes a whole file.
    ///
    /// # Errors
    /// [`WriteEvidenceError`].
    pub fn file(&mut self, name: &str, bytes: &[u8]) -> Result<(), WriteEvidenceError> {
        self.begin(name)?;
        self.write(bytes)
    }

    /// Ends the file that was begun last, without adding it to the directory and the manifest: readers do not see it. Its bytes
    /// remain in the zip and are signed.
    ///
    /// # Errors
    /// [`WriteEvidenceError`].
    pub fn discard(&mut self) -> Result<(), WriteEvidenceError> {
        self.close(false)
    }

    /// Writes the manifest, the directory and the signature. `manifest` has the values without the key and the files.
    ///
    /// # Errors
    /// [`WriteEvidenceError`].
    pub fn finish(&mut self, manifest: Manifest, key: &SigningKey) -> Result<(), WriteEvidenceError> {
        self.end()?;
        let manifest = Manifest { public_key: key.public_key(), files: self.files.clone(), ..manifest };
        let text = serde_json::to_vec_pretty(&manifest).map_err(io::Error::from)?;
        self.file(MANIFEST, &text)?;
        self.end()?;
        let begin = self.written;
        let mut directory = Vec::new();
        for entry in &self.directory {
            entry.write(&mut directory)?;
        }
        let count = u16::try_from(self.directory.len()).map_err(|_| WriteEvidenceError::Files)?;
        let length = fits(u64::try_from(directory.len()).unwrap_or(u64::MAX))?;
        put32(&mut directory, END);
        put32(&mut directory, 0);
        put16(&mut directory, count);
        put16(&mut directory, count);
        put32(&mut directory, length);
        put32(&mut directory, fits(begin)?);
        put16(&mut directory, u16::try_from(COMMENT_BYTES).map_err(|_| WriteEvidenceError::Files)?);
        self.append(&directory);
        fits(self.written)?;
        let digest: [u8; 32] = std::mem::take(&mut self.digest).finalize().into();
        let signature = key.sign(&digest);
        self.pending.extend(COMMENT);
        self.pending.extend(hex::encode(&signature).as_bytes());
        Ok(())
    }

    /// Ends the file that was begun last.
    fn end(&mut self) -> Result<(), WriteEvidenceError> {
        self.close(true)
    }

    fn close(&mut self, is_kept: bool) -> Result<(), WriteEvidenceError> {
        let Some(file) = self.open.take() else { return Ok(()) };
        let OpenFile { name, offset, deflate, crc, digest, size, compressed } = file;
        let rest = deflate.finish()?;
        let compressed = compressed.saturating_add(u64::try_from(rest.len()).unwrap_or(u64::MAX));
        self.append(&rest);
        let entry = DirectoryEntry {
            name: name.clone(),
            offset,
            crc: crc.sum(),
            compressed: fits(compressed)?,
            size: fits(size)?,
        };
        let mut descriptor = Vec::new();
        for field in [DESCRIPTOR, entry.crc, entry.compressed, entry.size] {
            put32(&mut descriptor, field);
        }
        self.append(&descriptor);
        if !is_kept {
            return Ok(());
        }
        self.directory.push(entry);
        let digest: [u8; 32] = digest.finalize().into();
        self.files.push(ManifestFile { name, size, sha256: hex::encode(&digest) });
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) {
        self.pending.extend(bytes);
        self.digest.update(bytes);
        self.written = self.written.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    }
}

impl DirectoryEntry {
    fn write(&self, out: &mut Vec<u8>) -> Result<(), WriteEvidenceError> {
        put32(out, CENTRAL);
        for field in [VERSION, VERSION, FLAGS, DEFLATE, TIME, DATE] {
            put16(out, field);
        }
        for field in [self.crc, self.compressed, self.size] {
            put32(out, field);
        }
        put16(out, name_length(&self.name)?);
        // No extra fields, no comment, the first disk, and no attributes.
        out.extend([0; 12]);
        put32(out, self.offset);
        out.extend(self.name.as_bytes());
        Ok(())
    }
}

fn fits(number: u64) -> Result<u32, WriteEvidenceError> {
    u32::try_from(number).ok().filter(|number| *number < u32::MAX).ok_or(WriteEvidenceError::TooLarge)
}

fn name_length(name: &str) -> Result<u16, WriteEvidenceError> {
    u16::try_from(name.len()).map_err(|_| WriteEvidenceError::Files)
}

fn put16(out: &mut Vec<u8>, field: u16) {
    out.extend(field.to_le_bytes());
}

fn put32(out: &mut Vec<u8>, field: u32) {
    out.extend(field.to_le_bytes());
}
