//! The lock of a data folder: a file that names the only server that uses it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use crate::failure::StartFault;

const FILE: &str = "tollgate.lock";
const HOLDER_BYTES_MAX: u64 = 1024;

/// The lock, which the operating system releases when the process ends.
#[derive(Debug)]
pub(crate) struct Lock(File);

impl Lock {
    /// Locks the folder, and creates it if it is missing (mode 0700, as it contains the store).
    pub(crate) fn take(folder: &Path) -> Result<Self, StartFault> {
        let unwritable = |source: io::Error| StartFault::unwritable(folder, source);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(unwritable)?;
        let path = folder.join(FILE);
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(&path).map_err(unwritable)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {
                // The file must not name an earlier process until `sign` is called.
                file.set_len(0).map_err(unwritable)?;
                Ok(Self(file))
            }
            Err(rustix::io::Errno::WOULDBLOCK) => {
                Err(StartFault::DataInUse { folder: folder.to_owned(), holder: holder(file) })
            }
            Err(error) => Err(unwritable(error.into())),
        }
    }

    /// Writes the process and its addresses into the file, once.
    pub(crate) fn sign(&mut self, addresses: &str) -> io::Result<()> {
        write!(self.0, "process {} ({addresses})", std::process::id())
    }
}

fn holder(file: File) -> String {
    let mut text = String::new();
    match file.take(HOLDER_BYTES_MAX).read_to_string(&mut text) {
        Ok(_) if !text.is_empty() => text,
        _ => "another tollgate process, which is starting".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_process_learns_the_holder_of_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let mut first = Lock::take(folder.path()).unwrap();
        first.sign("proxy 127.0.0.1:1").unwrap();
        let refused = Lock::take(folder.path()).unwrap_err().to_string();
        assert!(refused.starts_with("data_in_use") && refused.contains("proxy 127.0.0.1:1"), "{refused}");
        drop(first);
        let _second = Lock::take(folder.path()).unwrap();
        let refused = Lock::take(folder.path()).unwrap_err().to_string();
        assert!(refused.contains("another tollgate process, which is starting"), "{refused}");
    }
}
