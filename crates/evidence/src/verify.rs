//! Verifies an export without its installation.

use std::io::{self, Read, Seek, SeekFrom};

use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::directory::{self, ZippedFile};
use crate::hex;
use crate::layout::{BEGIN, COMMENT, COMMENT_BYTES, MANIFEST, SIGNATURE_BYTES};
use crate::manifest::Manifest;
use crate::signing_key::{fingerprint, verifies};

/// The maximum size of a manifest.
const MANIFEST_BYTES_MAX: u64 = 16 << 20;

/// An export whose signature and files are valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedExport {
    /// The manifest of the export.
    pub manifest: Manifest,
    /// The fingerprint of the key that signed it.
    pub fingerprint: String,
}

/// The reason why an export is not valid.
#[derive(Debug, Error)]
pub enum VerifyError {
    /// The file was not written as an export.
    #[error("this file is not an export")]
    NotAnExport,
    /// Bytes of a file in the zip were changed.
    #[error("the file {name} was changed")]
    FileChanged {
        /// The name of the changed file.
        name: String,
    },
    /// Bytes of the zip outside of its files were changed.
    #[error("the zip was changed outside of its files, or its signature is not valid")]
    Changed,
    /// The export is signed with another key than the expected one.
    #[error("the export is signed with another key, whose fingerprint is {fingerprint}")]
    OtherKey {
        /// The fingerprint of the key that signed it.
        fingerprint: String,
    },
    /// The file cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Verifies every byte of an export. `expected` is the public key that must have signed it; without it, the signature shows
/// only that nobody without the key in the manifest has changed the export.
///
/// # Errors
/// [`VerifyError`].
pub fn verify(from: &mut (impl Read + Seek), expected: Option<[u8; 32]>) -> Result<VerifiedExport, VerifyError> {
    let length = from.seek(SeekFrom::End(0))?;
    let mut begin = [0; BEGIN.len()];
    from.seek(SeekFrom::Start(0))?;
    let has_begin = read_some(from, &mut begin)? == BEGIN.len() && begin == BEGIN;
    let comment_bytes = u64::try_from(COMMENT_BYTES).unwrap_or(u64::MAX);
    let mut comment = [0; COMMENT_BYTES];
    let signed = length.checked_sub(comment_bytes);
    if let Some(at) = signed {
        from.seek(SeekFrom::Start(at))?;
        from.read_exact(&mut comment)?;
    }
    let Some(signed) = signed else {
        return Err(if has_begin { VerifyError::Changed } else { VerifyError::NotAnExport });
    };
    let Some(signature) = comment.strip_prefix(COMMENT) else {
        return Err(if has_begin { VerifyError::Changed } else { VerifyError::NotAnExport });
    };
    let signature = hex::decode::<SIGNATURE_BYTES>(signature).ok_or(VerifyError::Changed)?;
    let digest = digest(from, signed)?;
    let files = directory::read(from, length)?.ok_or(VerifyError::Changed)?;
    let changed = |name: &str| VerifyError::FileChanged { name: name.to_owned() };
    let manifest = files.iter().find(|file| file.name == MANIFEST).ok_or(VerifyError::Changed)?;
    let text = manifest.bytes(from, MANIFEST_BYTES_MAX)?.ok_or_else(|| changed(MANIFEST))?;
    let manifest: Manifest = serde_json::from_slice(&text).map_err(|_| changed(MANIFEST))?;
    let public_key = hex::decode::<32>(manifest.public_key.as_bytes()).ok_or_else(|| changed(MANIFEST))?;
    check_files(from, &files, &manifest)?;
    if !verifies(public_key, &digest, signature) {
        return Err(VerifyError::Changed);
    }
    let fingerprint = fingerprint(public_key);
    if expected.is_some_and(|expected| expected != public_key) {
        return Err(VerifyError::OtherKey { fingerprint });
    }
    Ok(VerifiedExport { manifest, fingerprint })
}

/// Passes the bytes of one file of a verified export to `take`, in their order.
///
/// # Errors
/// [`VerifyError::FileChanged`] if the export does not have the file, or if its bytes cannot be read.
pub fn read_file(from: &mut (impl Read + Seek), name: &str, take: impl FnMut(&[u8])) -> Result<(), VerifyError> {
    let length = from.seek(SeekFrom::End(0))?;
    let files = directory::read(from, length)?.ok_or(VerifyError::Changed)?;
    let changed = || VerifyError::FileChanged { name: name.to_owned() };
    let file = files.iter().find(|file| file.name == name).ok_or_else(changed)?;
    if file.read(from, take)? { Ok(()) } else { Err(changed()) }
}

/// Checks that the zip has the files of the manifest, in its order, with their digests.
fn check_files(from: &mut (impl Read + Seek), files: &[ZippedFile], manifest: &Manifest) -> Result<(), VerifyError> {
    let others: Vec<&ZippedFile> = files.iter().filter(|file| file.name != MANIFEST).collect();
    if others.len() != manifest.files.len() || others.len() + 1 != files.len() {
        return Err(VerifyError::Changed);
    }
    for (file, listed) in others.iter().zip(&manifest.files) {
        if file.name != listed.name {
            return Err(VerifyError::Changed);
        }
        let expected = hex::decode::<32>(listed.sha256.as_bytes()).map(|digest| (digest, listed.size));
        if expected.is_none() || file.digest(from)? != expected {
            return Err(VerifyError::FileChanged { name: file.name.clone() });
        }
    }
    Ok(())
}

/// Returns the SHA-256 digest of the first bytes.
fn digest(from: &mut (impl Read + Seek), length: u64) -> io::Result<[u8; 32]> {
    from.seek(SeekFrom::Start(0))?;
    let mut digest = Sha256::new();
    let mut buffer = [0; 16 * 1024];
    let mut rest = from.take(length);
    loop {
        match rest.read(&mut buffer)? {
            0 => return Ok(digest.finalize().into()),
            count => digest.update(buffer.get(..count).unwrap_or_default()),
        }
    }
}

/// Reads until the buffer is full or the file ends, and returns the number of bytes.
fn read_some(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut read = 0;
    while let Some(rest) = buffer.get_mut(read..).filter(|rest| !rest.is_empty()) {
        match from.read(rest)? {
            0 => break,
            count => read += count,
        }
    }
    Ok(read)
}

#[cfg(test)]
mod tests;
