//! The folder `DIR/secrets` with files that only their owner may read. A file is never incomplete.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use access::Secret;
use rustix::fs::{FileType, FlockOperation, Mode, OFlags, Stat, flock, fstat, open, openat};
use rustix::io::Errno;

use crate::failure::StartFault;

const NAME: &str = "secrets";
/// Permissions of the group and of all others.
const OTHERS: u32 = 0o077;

/// The folder, which may be missing.
pub(super) struct Folder {
    data: PathBuf,
    folder: PathBuf,
}

impl Folder {
    /// Returns the folder inside of the data folder `data`.
    pub(super) fn in_data_folder(data: &Path) -> Self {
        Self { data: data.to_owned(), folder: data.join(NAME) }
    }

    /// Returns the path of a file as text.
    pub(super) fn path(&self, file: &str) -> String {
        self.folder.join(file).display().to_string()
    }

    /// Returns the text of a file without its final line end; `None` if the file is missing.
    pub(super) fn read(&self, file: &str) -> Result<Option<Secret>, StartFault> {
        match self.opened()? {
            Some(folder) => self.read_in(&folder, file),
            None => Ok(None),
        }
    }

    fn read_in(&self, folder: &OwnedFd, file: &str) -> Result<Option<Secret>, StartFault> {
        let path = self.path(file);
        // A link could lead to a file that others may write; reading a pipe could block.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = match openat(folder, file, flags, Mode::empty()) {
            Ok(opened) => opened,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP) => return Err(StartFault::SecretOdd { path }),
            Err(error) => return Err(StartFault::SecretUnreadable { from: path, source: error.into() }),
        };
        let unreadable = |source: io::Error| StartFault::SecretUnreadable { from: self.path(file), source };
        let stat = fstat(&opened).map_err(|error| unreadable(error.into()))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(StartFault::SecretOdd { path });
        }
        refuse_exposed(&path, &stat, "600")?;
        super::file_text::read(File::from(opened)).map(Some).map_err(unreadable)
    }

    /// Writes a file unless it exists, and returns its content. After a crash at any time, the file is complete or
    /// missing.
    pub(super) fn make(&self, file: &str, text: impl FnOnce() -> io::Result<Secret>) -> Result<Secret, StartFault> {
        let unwritable = |source: io::Error| StartFault::SecretsUnwritable { folder: self.folder.clone(), source };
        match DirBuilder::new().mode(0o700).create(&self.folder) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(unwritable(error)),
        }
        let missing = || unwritable(ErrorKind::NotFound.into());
        let folder = self.opened()?.ok_or_else(missing)?;
        // Processes that start at the same time write one after the other. The lock of the data folder protects file
        // systems that cannot lock folders.
        let _ = flock(&folder, FlockOperation::LockExclusive);
        if let Some(there) = self.read_in(&folder, file)? {
            return Ok(there);
        }
        let secret = text().map_err(unwritable)?;
        self.write(file, &secret).map_err(unwritable)?;
        Ok(secret)
    }

    fn write(&self, file: &str, secret: &Secret) -> io::Result<()> {
        let part = self.folder.join(format!("{file}.part"));
        // An interrupted start may have left a part.
        match fs::remove_file(&part) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut new_file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part)?;
        // The umask may have removed permissions.
        new_file.set_permissions(Permissions::from_mode(0o600))?;
        new_file.write_all(secret.expose().as_bytes())?;
        new_file.write_all(b"\n")?;
        new_file.sync_all()?;
        fs::rename(&part, self.folder.join(file))?;
        File::open(&self.folder)?.sync_all()?;
        File::open(&self.data)?.sync_all()
    }

    /// Deletes a file; errors are ignored.
    pub(super) fn remove(&self, file: &str) {
        let _ = fs::remove_file(self.folder.join(file));
    }

    /// Returns the folder if it exists and others have no access to it.
    fn opened(&self) -> Result<Option<OwnedFd>, StartFault> {
        let path = self.folder.display().to_string();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = match open(&self.folder, flags, Mode::empty()) {
            Ok(folder) => folder,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP | Errno::NOTDIR) => return Err(StartFault::SecretOdd { path }),
            Err(error) => return Err(StartFault::SecretUnreadable { from: path, source: error.into() }),
        };
        let stat = fstat(&folder)
            .map_err(|error| StartFault::SecretUnreadable { from: path.clone(), source: error.into() })?;
        refuse_exposed(&path, &stat, "700")?;
        Ok(Some(folder))
    }
}

fn refuse_exposed(path: &str, stat: &Stat, right: &'static str) -> Result<(), StartFault> {
    let mode = stat.st_mode & 0o777;
    if mode & OTHERS == 0 {
        return Ok(());
    }
    Err(StartFault::SecretsExposed { path: path.to_owned(), mode, right })
}
