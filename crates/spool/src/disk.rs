//! Every system call that changes the spool's files. A test can make the n-th call fail, fill the disk or cut its
//! power.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

const ZEROS_BYTES: usize = 64 * 1024;

/// A system call, as the simulated disk of a test sees it.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(not(test), expect(dead_code, reason = "only the simulated disk of tests reads it"))]
pub(crate) enum DiskCall<'a> {
    Create(&'a Path),
    Allocate,
    Write { file: &'a File, bytes: &'a [u8], offset: u64 },
    Rename { from: &'a Path, to: &'a Path },
    Remove(&'a Path),
    Sync(&'a File),
    SyncFolder,
}

/// Creates a file, or empties it; only its owner may read it.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    intercept(DiskCall::Create(path))?;
    OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(path)
}

/// Allocates `bytes` bytes for the file, filled with zeros, so that later writes cannot fail with a full disk.
pub(crate) fn allocate(file: &File, bytes: u64) -> io::Result<()> {
    intercept(DiskCall::Allocate)?;
    match rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, bytes) {
        Ok(()) => Ok(()),
        // Some network file systems do not support `fallocate`; zeros are written from the end of the file.
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {
            write_zeros(file, file.metadata()?.len(), bytes)
        }
        Err(error) => Err(error.into()),
    }
}

/// Writes zeros from `from` until `until`.
pub(crate) fn write_zeros(file: &File, from: u64, until: u64) -> io::Result<()> {
    let zeros = vec![0; ZEROS_BYTES];
    let mut at = from;
    while at < until {
        let count = usize::try_from(until - at).unwrap_or(ZEROS_BYTES).min(ZEROS_BYTES);
        write_at(file, zeros.get(..count).unwrap_or_default(), at)?;
        at += count as u64;
    }
    Ok(())
}

/// Writes all of `bytes` at `offset`; after an error, a part of them may be written.
pub(crate) fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    intercept(DiskCall::Write { file, bytes, offset })?;
    file.write_all_at(bytes, offset)
}

/// Renames a file. Each target name is used once, so no file of value is replaced.
pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    intercept(DiskCall::Rename { from, to })?;
    fs::rename(from, to)
}

/// Removes a file, if it exists.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    intercept(DiskCall::Remove(path))?;
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Returns when all earlier writes to the file are on the disk.
pub(crate) fn sync(file: &File) -> io::Result<()> {
    if intercept(DiskCall::Sync(file))?.is_simulated() { Ok(()) } else { file.sync_data() }
}

/// Returns when the names of the folder's files are on the disk.
pub(crate) fn sync_folder(dir: &Path) -> io::Result<()> {
    if intercept(DiskCall::SyncFolder)?.is_simulated() { Ok(()) } else { File::open(dir)?.sync_all() }
}

/// Whether the simulated disk of a test has made the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CallOutcome(bool);

impl CallOutcome {
    const fn is_simulated(self) -> bool {
        self.0
    }
}

#[cfg(not(test))]
#[expect(clippy::unnecessary_wraps, reason = "fails in tests only")]
const fn intercept(_: DiskCall<'_>) -> io::Result<CallOutcome> {
    Ok(CallOutcome(false))
}

/// Returns `work` so that it uses the simulated disk of the current thread; only tests have one.
#[cfg(not(test))]
pub(crate) const fn inherit_disk<T, F: FnOnce() -> T>(work: F) -> F {
    work
}

#[cfg(test)]
pub(crate) mod simulated;
#[cfg(test)]
pub(crate) use simulated::inherit_disk;
#[cfg(test)]
use simulated::intercept;
