//! Every system call that changes the spool's files, in one place, so that a test can make the n-th of them fail.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

const ZEROS_BYTES: usize = 64 * 1024;

/// A new or emptied file that only its owner may read.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    fail_in_tests()?;
    OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(path)
}

/// Gives the file `bytes` bytes on the disk, zeros where it had none, so that later writes cannot find the disk full.
pub(crate) fn allocate(file: &File, bytes: u64) -> io::Result<()> {
    fail_in_tests()?;
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
    if let Err(error) = fail_in_tests() {
        file.write_all_at(bytes.get(..bytes.len() / 2).unwrap_or_default(), offset)?;
        return Err(error);
    }
    file.write_all_at(bytes, offset)
}

/// Renames, replacing nothing that matters: names are used once.
pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fail_in_tests()?;
    fs::rename(from, to)
}

/// Removes a file; that it is gone already is fine.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    fail_in_tests()?;
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(not(test))]
#[expect(clippy::unnecessary_wraps, reason = "fails in tests only")]
const fn fail_in_tests() -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
use fault::fail_in_tests;

#[cfg(test)]
pub(crate) mod fault {
    use std::cell::Cell;
    use std::io;

    thread_local! {
        static CALLS_LEFT: Cell<Option<u32>> = const { Cell::new(None) };
    }

    /// The `n`-th call of this thread from now on fails (0 is the next), once.
    pub(crate) fn arm(n: u32) {
        CALLS_LEFT.set(Some(n));
    }

    /// Disarms; says whether a call failed.
    pub(crate) fn fired() -> bool {
        CALLS_LEFT.take().is_none()
    }

    pub(super) fn fail_in_tests() -> io::Result<()> {
        match CALLS_LEFT.get() {
            Some(0) => {
                CALLS_LEFT.set(None);
                Err(io::Error::from(io::ErrorKind::StorageFull))
            }
            left => {
                CALLS_LEFT.set(left.map(|calls| calls - 1));
                Ok(())
            }
        }
    }
}
