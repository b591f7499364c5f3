//! A file of a verified export that is read in parts, with bounded memory.

use std::io::{Read, Seek, SeekFrom};

use sha2::{Digest, Sha256};

use crate::directory::{self, Inflated, is_damage};
use crate::hex;
use crate::manifest::ManifestFile;
use crate::verify::VerifyError;

/// A file of an export. The last read checks its size and digest, because the zip may have changed since it was verified.
pub struct ExportedFile<R> {
    listed: ManifestFile,
    bytes: Inflated<R>,
    digest: Sha256,
    size: u64,
}

impl<R: Read + Seek> ExportedFile<R> {
    /// Opens a file that the manifest lists.
    ///
    /// # Errors
    /// [`VerifyError::FileChanged`] if the export does not have the file.
    pub fn open(mut from: R, listed: &ManifestFile) -> Result<Self, VerifyError> {
        let length = from.seek(SeekFrom::End(0))?;
        let files = directory::read(&mut from, length)?.ok_or(VerifyError::Changed)?;
        let changed = || VerifyError::FileChanged { name: listed.name.clone() };
        let file = files.iter().find(|file| file.name == listed.name).ok_or_else(changed)?;
        let bytes = file.open(from)?.ok_or_else(changed)?;
        Ok(Self { listed: listed.clone(), bytes, digest: Sha256::new(), size: 0 })
    }

    /// Reads the next bytes and returns their number; 0 at the end of the file.
    ///
    /// # Errors
    /// [`VerifyError::FileChanged`] if the bytes are not those of the manifest.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize, VerifyError> {
        let changed = || VerifyError::FileChanged { name: self.listed.name.clone() };
        let count = match self.bytes.read(buffer) {
            Ok(count) => count,
            Err(error) if is_damage(error.kind()) => return Err(changed()),
            Err(error) => return Err(error.into()),
        };
        self.digest.update(buffer.get(..count).unwrap_or_default());
        self.size = self.size.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
        let is_end = count == 0 && !buffer.is_empty();
        let is_wrong = is_end
            && (self.size != self.listed.size || hex::encode(&self.digest.clone().finalize()) != self.listed.sha256);
        if is_wrong || self.size > self.listed.size { Err(changed()) } else { Ok(count) }
    }
}
