//! One server a data folder: a lock on a file in it, which says who holds it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use anyhow::Context;
use rustix::fs::{FlockOperation, flock};

use crate::failure::StartFault;

const FILE: &str = "tollgate.lock";
const HOLDER_BYTES_MAX: u64 = 1024;

/// The lock; it ends with the process, however that ends.
#[derive(Debug)]
pub(crate) struct Lock(File);

impl Lock {
    /// Takes the folder, made where it is missing (0700: it holds the store).
    pub(crate) fn take(folder: &Path) -> anyhow::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).with_context(|| unwritable(folder))?;
        let path = folder.join(FILE);
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(&path).with_context(|| unwritable(folder))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self(file)),
            Err(rustix::io::Errno::WOULDBLOCK) => {
                Err(StartFault::DataInUse { folder: folder.to_owned(), holder: holder(file) }.into())
            }
            Err(error) => Err(io::Error::from(error)).with_context(|| unwritable(folder)),
        }
    }

    /// Writes down who holds it.
    pub(crate) fn sign(&mut self, addresses: &str) -> io::Result<()> {
        self.0.set_len(0)?;
        self.0.seek(SeekFrom::Start(0))?;
        write!(self.0, "process {} ({addresses})", std::process::id())
    }
}

fn holder(file: File) -> String {
    let mut text = String::new();
    match file.take(HOLDER_BYTES_MAX).read_to_string(&mut text) {
        Ok(_) if !text.is_empty() => text,
        _ => "another tollgate, which is starting".to_owned(),
    }
}

fn unwritable(folder: &Path) -> String {
    format!(
        "data_unwritable: the data folder {} cannot be written: give this user the right, or name another with --data",
        folder.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_is_told_of_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let mut first = Lock::take(folder.path()).unwrap();
        first.sign("proxy 127.0.0.1:1").unwrap();
        let refused = Lock::take(folder.path()).unwrap_err().to_string();
        assert!(refused.starts_with("data_in_use") && refused.contains("proxy 127.0.0.1:1"), "{refused}");
        drop(first);
        assert!(Lock::take(folder.path()).is_ok());
    }
}
