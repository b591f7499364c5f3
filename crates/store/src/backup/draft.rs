//! A SQLite file in the making: it has a name of its own until it is whole.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// What SQLite keeps beside a database, and the database.
pub(super) const ENDS: [&str; 3] = ["-wal", "-shm", ""];

/// A file in the making, and what SQLite keeps beside it; dropped, all of it goes.
#[derive(Debug)]
pub struct Draft(PathBuf);

impl Draft {
    /// Makes an empty file, for this user alone. What a killed process left under its name goes first.
    ///
    /// # Errors
    /// What the folder meets.
    pub fn make(file: PathBuf) -> io::Result<Self> {
        let draft = Self(file);
        draft.remove()?;
        OpenOptions::new().create_new(true).write(true).mode(0o600).open(&draft.0)?;
        Ok(draft)
    }

    /// Makes it a copy of `file`, whose rights it does not take over.
    ///
    /// # Errors
    /// What either file meets.
    pub fn copy(self, file: &Path) -> io::Result<Self> {
        io::copy(&mut File::open(file)?, &mut OpenOptions::new().write(true).open(&self.0)?)?;
        Ok(self)
    }

    /// Where it is.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.0
    }

    /// Names it, now that nobody has it open, on the disk. A file of that name is an error.
    pub(super) fn name(self, name: &Path) -> io::Result<()> {
        File::open(&self.0)?.sync_all()?;
        match fs::hard_link(&self.0, name) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(error),
            // Not every filesystem has links.
            Err(_) => fs::rename(&self.0, name)?,
        }
        self.remove()?;
        sync_folder(name)
    }

    /// Names it, now that nobody has it open, on the disk, instead of the file that has the name.
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
        // Where it stays, the next of its name removes it.
        let _ = self.remove();
    }
}

/// The file's name, and more.
pub(super) fn with_end(file: &Path, end: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// Removes a file that need not be there.
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
