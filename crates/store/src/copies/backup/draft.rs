//! A SQLite file under a temporary name until it is complete.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Suffixes of the files that SQLite keeps next to a database, and of the database itself.
pub(super) const ENDS: [&str; 3] = ["-wal", "-shm", ""];
/// Suffixes of the files that SQLite would read with a database of their name.
pub(super) const LOG_ENDS: [&str; 2] = ["-wal", "-shm"];

/// A file under a temporary name, with the files that SQLite keeps next to it. Dropping it deletes all of them.
#[derive(Debug)]
pub struct Draft(PathBuf);

impl Draft {
    /// Creates an empty file that only this operating system user can read. Files that a killed process left under this
    /// name are removed first.
    ///
    /// # Errors
    /// I/O errors of the folder.
    pub fn make(file: PathBuf) -> io::Result<Self> {
        let draft = Self(file);
        draft.remove()?;
        OpenOptions::new().create_new(true).write(true).mode(0o600).open(&draft.0)?;
        Ok(draft)
    }

    /// Copies the contents of `file` into it, but not the permissions of `file`.
    ///
    /// # Errors
    /// I/O errors of either file.
    pub fn copy(self, file: &Path) -> io::Result<Self> {
        io::copy(&mut File::open(file)?, &mut OpenOptions::new().write(true).open(&self.0)?)?;
        Ok(self)
    }

    /// Path of the temporary file.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.0
    }

    /// Syncs the file and gives it its final name. No process may have it open. An existing file of that name is an
    /// error.
    pub(super) fn name(self, name: &Path) -> io::Result<()> {
        File::open(&self.0)?.sync_all()?;
        match fs::hard_link(&self.0, name) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(error),
            // Some filesystems do not support hard links.
            Err(_) => fs::rename(&self.0, name)?,
        }
        self.remove()?;
        sync_folder(name)
    }

    /// Syncs the file and replaces the file `name` with it. No process may have it open.
    pub(super) fn replace(self, name: &Path) -> io::Result<()> {
        File::open(&self.0)?.sync_all()?;
        fs::rename(&self.0, name)?;
        sync_folder(name)
    }

    fn remove(&self) -> io::Result<()> {
        ENDS.iter().try_for_each(|end| remove(&with_end(&self.0, end)))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // If this fails, the next draft of the same name removes the file.
        let _ = self.remove();
    }
}

/// Returns the file's name with `end` appended.
pub(super) fn with_end(file: &Path, end: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// Removes a file, which may be missing.
pub(super) fn remove(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn sync_folder(file: &Path) -> io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}
