//! The files in the data folder by which `tollgate upgrade` and the server exchange a request and its result. A signal has no
//! content.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::{Path, PathBuf};

use rustix::process::geteuid;
use serde::{Deserialize, Serialize};
use serde_json as json;

use crate::slot::Slot;

/// The file with the request.
const REQUEST: &str = "upgrade.request";
/// The start of the name of the file with the result; the id of the request follows.
const RESULT: &str = "upgrade.result.";
/// The file that names the process which serves.
const SERVER: &str = "server";
/// Maximum size of a file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 64 * 1024;
/// Longest id of a request in bytes.
const ID_BYTES_MAX: usize = 64;

/// A request to replace the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpgradeRequest {
    /// Names the file with the result.
    pub(crate) id: String,
    /// The binary to start; `None` means the path of the running one.
    pub(crate) binary: Option<PathBuf>,
}

/// The result of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum UpgradeResult {
    /// The process with this id serves now.
    Replaced { pid: u32 },
    /// The server continues for this reason.
    Continues { reason: String },
}

/// The process that serves on a data folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ServingProcess {
    pub(crate) pid: u32,
    pub(crate) slot: Slot,
}

impl UpgradeRequest {
    /// Writes the request into the data folder. The owner of the folder can read it, also if root runs the command.
    pub(crate) fn write(&self, data: &Path) -> io::Result<()> {
        let owner = if geteuid().is_root() { Some(fs::metadata(data)?) } else { None };
        write_as(owner.as_ref(), &data.join(REQUEST), &json::to_vec(self)?)
    }

    /// Takes the request that a command has written; `None` if the signal came without one, or the file is damaged.
    pub(crate) fn take(data: &Path) -> io::Result<Option<Self>> {
        let path = data.join(REQUEST);
        let text = read(&path);
        if text.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            return Ok(None);
        }
        // A request is answered once.
        let _ = fs::remove_file(&path);
        let request: Option<Self> = json::from_slice(&text?).ok();
        Ok(request.filter(Self::is_valid))
    }

    fn is_valid(&self) -> bool {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        (1..=ID_BYTES_MAX).contains(&self.id.len()) && self.id.bytes().all(is_plain)
    }

    /// Writes the result of this request.
    pub(crate) fn answer(&self, data: &Path, result: &UpgradeResult) -> io::Result<()> {
        write(&self.result_file(data), &json::to_vec(result)?)
    }

    /// Takes the result of this request; `None` if there is no result yet.
    pub(crate) fn take_result(&self, data: &Path) -> io::Result<Option<UpgradeResult>> {
        let path = self.result_file(data);
        let text = match read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        fs::remove_file(&path)?;
        Ok(Some(json::from_slice(&text)?))
    }

    /// Removes the request, if the server has not taken it.
    pub(crate) fn withdraw(data: &Path) {
        let _ = fs::remove_file(data.join(REQUEST));
    }

    fn result_file(&self, data: &Path) -> PathBuf {
        data.join(format!("{RESULT}{}", self.id))
    }
}

/// Removes requests and results that no process waits for any more.
pub(crate) fn clean(data: &Path) {
    UpgradeRequest::withdraw(data);
    let Ok(entries) = fs::read_dir(data) else { return };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(RESULT) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

impl ServingProcess {
    /// Records which process serves.
    pub(crate) fn write(self, data: &Path) -> io::Result<()> {
        write(&data.join(SERVER), format!("{} {}\n", self.pid, self.slot.word()).as_bytes())
    }

    /// Returns the process that has served last; `None` if the folder names none.
    pub(crate) fn read(data: &Path) -> Option<Self> {
        let text = String::from_utf8(read(&data.join(SERVER)).ok()?).ok()?;
        let (pid, slot) = text.trim_end().split_once(' ')?;
        Some(Self { pid: pid.parse().ok()?, slot: Slot::of_word(slot)? })
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(path)?.take(FILE_BYTES_MAX).read_to_end(&mut text)?;
    Ok(text)
}

/// Replaces a file. Its readers see the earlier content or the new one.
fn write(path: &Path, text: &[u8]) -> io::Result<()> {
    write_as(None, path, text)
}

/// Replaces a file, and gives it to the owner of a folder.
fn write_as(owner: Option<&fs::Metadata>, path: &Path, text: &[u8]) -> io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    // The owner of the folder could have put a link here, and root gives the file away.
    if let Err(error) = fs::remove_file(&new)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&new)?;
    file.write_all(text)?;
    if let Some(owner) = owner {
        fchown(&file, Some(owner.uid()), Some(owner.gid()))?;
    }
    drop(file);
    fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_taken_once_and_its_result_too() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path();
        assert_eq!(UpgradeRequest::take(data).unwrap(), None);
        let request = UpgradeRequest { id: "7-a".to_owned(), binary: Some("/usr/bin/tollgate".into()) };
        request.write(data).unwrap();
        assert_eq!(UpgradeRequest::take(data).unwrap().as_ref(), Some(&request));
        assert_eq!(UpgradeRequest::take(data).unwrap(), None);
        assert_eq!(request.take_result(data).unwrap(), None);
        let result = UpgradeResult::Replaced { pid: 7 };
        request.answer(data, &result).unwrap();
        assert_eq!(request.take_result(data).unwrap(), Some(result));
        assert_eq!(request.take_result(data).unwrap(), None);
        request.answer(data, &UpgradeResult::Continues { reason: "x".to_owned() }).unwrap();
        request.write(data).unwrap();
        clean(data);
        assert_eq!(fs::read_dir(data).unwrap().count(), 0);
    }

    #[test]
    fn no_file_behind_a_link_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let other = folder.path().join("other");
        fs::write(&other, "kept").unwrap();
        std::os::unix::fs::symlink(&other, folder.path().join(format!("{REQUEST}.new"))).unwrap();
        UpgradeRequest { id: "7-a".to_owned(), binary: None }.write(folder.path()).unwrap();
        assert_eq!(fs::read_to_string(&other).unwrap(), "kept");
        assert!(fs::symlink_metadata(folder.path().join(REQUEST)).unwrap().is_file());
    }

    #[test]
    fn a_request_that_cannot_be_read_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        // Root, which may run the tests, can read the files of all users.
        fs::create_dir(folder.path().join(REQUEST)).unwrap();
        assert!(UpgradeRequest::take(folder.path()).is_err());
    }

    #[test]
    fn damaged_files_and_ids_that_are_paths_are_ignored() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path();
        for text in ["", "{", "{\"id\": \"../a\", \"binary\": null}", "{\"id\": \"\", \"binary\": null}"] {
            fs::write(data.join(REQUEST), text).unwrap();
            assert_eq!(UpgradeRequest::take(data).unwrap(), None, "{text}");
            assert!(!data.join(REQUEST).exists());
        }
        for text in ["", "7", "x main", "7 other", "7 main more"] {
            fs::write(data.join(SERVER), text).unwrap();
            assert_eq!(ServingProcess::read(data), None, "{text}");
        }
        let process = ServingProcess { pid: 9, slot: Slot::Next };
        process.write(data).unwrap();
        assert_eq!(ServingProcess::read(data), Some(process));
    }
}
