//! Reads files of certificates and keys.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use crate::error::{CertificateError, FileRole};

/// Largest file of certificates, in bytes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// Largest file of revocation lists, in bytes. A list has about 40 bytes for each revoked certificate.
const REVOCATIONS_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Permissions of the group and of all others.
const OTHERS: u32 = 0o077;
/// Permission of the group to read.
const GROUP_READS: u32 = 0o040;

/// Reads a whole file. The file of a private key must not be accessible by other users. Its group may read it only if
/// root owns the file, as PostgreSQL has it: secrets that a container runtime mounts are such files.
pub(crate) fn read(path: &Path, role: FileRole) -> Result<Vec<u8>, CertificateError> {
    let unreadable = |reason: String| CertificateError::Unreadable { file: path.to_owned(), role, reason };
    let failed = |error: io::Error| unreadable(error.to_string());
    // Opening a pipe without a writer would block.
    let file = rustix::fs::open(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty());
    let file = File::from(file.map_err(|error| failed(error.into()))?);
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(unreadable("it is not a regular file".to_owned()));
    }
    let mode = metadata.mode() & 0o777;
    let allowed = if metadata.uid() == 0 { GROUP_READS } else { 0 };
    if role == FileRole::Key && mode & OTHERS & !allowed != 0 {
        return Err(CertificateError::Exposed { file: path.to_owned(), mode });
    }
    let bytes_max = if role == FileRole::Revocations { REVOCATIONS_BYTES_MAX } else { FILE_BYTES_MAX };
    let read = read_bounded(file, bytes_max).map_err(failed)?;
    read.ok_or_else(|| unreadable(format!("it is larger than {bytes_max} bytes")))
}

fn read_bounded(file: File, bytes_max: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    file.take(bytes_max + 1).read_to_end(&mut bytes)?;
    Ok((u64::try_from(bytes.len()).unwrap_or(u64::MAX) <= bytes_max).then_some(bytes))
}
