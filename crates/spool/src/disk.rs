//! Every system call that changes the spool's files, in one place, so that a test can make the n-th of them fail, fill the
//! disk, or cut its power.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

const ZEROS_BYTES: usize = 64 * 1024;

/// What is asked of the disk.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(not(test), expect(dead_code, reason = "read by the simulated disk of the tests alone"))]
pub(crate) enum DiskCall<'a> {
    Create(&'a Path),
    Allocate,
    Write { file: &'a File, bytes: &'a [u8], offset: u64 },
    Rename { from: &'a Path, to: &'a Path },
    Remove(&'a Path),
    Sync(&'a File),
    SyncFolder,
}

/// A new or emptied file that only its owner may read.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    intercept(DiskCall::Create(path))?;
    OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(path)
}

/// Gives the file `bytes` bytes on the disk, zeros where it had none, so that later writes cannot find the disk full.
pub(crate) fn allocate(file: &File, bytes: u64) -> io::Result<()> {
    intercept(DiskCall::Allocate)?;
    match rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, bytes) {
        Ok(()) => Ok(()),
        // File systems without it (some network ones): written out, from where the file ends.
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {
            write_zeros(file, file.metadata()?.len(), bytes)
        }
        Err(error) => Err(error.into()),
    }
}

/// Zeros from `from` until `until`.
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

/// All of `bytes` at `offset`; on an error a part of them may stand there.
pub(crate) fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    intercept(DiskCall::Write { file, bytes, offset })?;
    file.write_all_at(bytes, offset)
}

/// Renames, replacing nothing that matters: names are used once.
pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    intercept(DiskCall::Rename { from, to })?;
    fs::rename(from, to)
}

/// Removes a file; that it is gone already is fine.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    intercept(DiskCall::Remove(path))?;
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// What was written of the file before is on the disk when this answers.
pub(crate) fn sync(file: &File) -> io::Result<()> {
    if intercept(DiskCall::Sync(file))?.is_simulated() { Ok(()) } else { file.sync_data() }
}

/// The names of the folder's files are on the disk when this answers.
pub(crate) fn sync_folder(dir: &Path) -> io::Result<()> {
    if intercept(DiskCall::SyncFolder)?.is_simulated() { Ok(()) } else { File::open(dir)?.sync_all() }
}

/// Whether a disk of a test did it already.
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

/// What a thread is to do, with the disk of the thread that starts it.
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
