//! The lock of a data folder: a file that names the only server that uses it. Each slot of the folder has its own.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use crate::failure::StartFault;
use crate::slot::Slot;

const FILE: &str = "tollgate.lock";
const HOLDER_BYTES_MAX: u64 = 1024;

/// The lock, which the operating system releases when the process ends.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
    /// The lock of the other slot, while this process alone uses the folder.
    other: Option<File>,
}

impl Lock {
    /// Locks the whole folder, and creates it if it is missing (mode 0700, as it contains the store).
    pub(crate) fn take(folder: &Path) -> Result<Self, StartFault> {
        let file = lock(folder)?;
        let next = Slot::Next.folder(folder);
        let other = if next.is_dir() { Some(lock(&next)?) } else { None };
        Ok(Self { file, other })
    }

    /// Locks one slot of the folder, while another process uses the other one.
    pub(crate) fn take_slot(data: &Path, slot: Slot) -> Result<Self, StartFault> {
        Ok(Self { file: lock(&slot.folder(data))?, other: None })
    }

    /// Returns the text with which the process that uses a slot has signed the lock; `None` if no process uses the slot.
    /// Nothing is created or changed.
    pub(crate) fn holder(data: &Path, slot: Slot) -> Option<String> {
        let file = File::open(slot.folder(data).join(FILE)).ok()?;
        let free = flock(&file, FlockOperation::NonBlockingLockShared);
        (free == Err(rustix::io::Errno::WOULDBLOCK)).then(|| holder(file))
    }

    /// Lets another process use the other slot.
    pub(crate) fn free_other(&mut self) {
        self.other = None;
    }

    /// Writes the process and its addresses into the file, once.
    pub(crate) fn sign(&mut self, addresses: &str) -> io::Result<()> {
        write!(self.file, "process {} ({addresses})", std::process::id())
    }
}

fn lock(folder: &Path) -> Result<File, StartFault> {
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
            Ok(file)
        }
        Err(rustix::io::Errno::WOULDBLOCK) => {
            Err(StartFault::DataInUse { folder: folder.to_owned(), holder: holder(file) })
        }
        Err(error) => Err(unwritable(error.into())),
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
        assert!(Lock::holder(folder.path(), Slot::Main).unwrap().contains("proxy 127.0.0.1:1"));
        assert_eq!(Lock::holder(folder.path(), Slot::Next), None);
        drop(first);
        assert_eq!(Lock::holder(folder.path(), Slot::Main), None);
        let _second = Lock::take(folder.path()).unwrap();
        let refused = Lock::take(folder.path()).unwrap_err().to_string();
        assert!(refused.contains("another tollgate process, which is starting"), "{refused}");
    }

    #[test]
    fn two_processes_use_the_two_slots_of_a_folder_and_no_third_one() {
        let folder = tempfile::tempdir().unwrap();
        let old = Lock::take(folder.path()).unwrap();
        let new = Lock::take_slot(folder.path(), Slot::Next).unwrap();
        assert!(Lock::take_slot(folder.path(), Slot::Next).is_err());
        drop(old);
        assert!(Lock::take(folder.path()).is_err(), "the successor runs");
        let newer = Lock::take_slot(folder.path(), Slot::Main).unwrap();
        drop((new, newer));
        let mut whole = Lock::take(folder.path()).unwrap();
        assert!(Lock::take_slot(folder.path(), Slot::Next).is_err(), "the folder is locked as a whole");
        whole.free_other();
        let _next = Lock::take_slot(folder.path(), Slot::Next).unwrap();
    }
}
