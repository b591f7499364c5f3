//! Reads the example files with which the insights endpoints respond.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use insights::Examples;
use insights::examples::{CLASSIFICATION_FILE, FILE_BYTES_MAX, FILES_MAX, is_example};
use tempfile::TempDir;

use crate::failure::StartFault;

/// The folder below the given one that may contain the files.
const FOLDER: &str = "insights";
/// A folder in memory, where the system has one.
const IN_MEMORY: &str = "/dev/shm";
/// The maximum number of entries of a folder that are looked at.
const ENTRIES_MAX: usize = 100_000;

/// Reads the example files of `folder`, or of `insights` in it if `folder` has none.
pub(crate) fn read(folder: &Path) -> Result<Examples, StartFault> {
    let nested = folder.join(FOLDER);
    let is_nested = !folder.join(CLASSIFICATION_FILE).exists() && nested.is_dir();
    let folder = if is_nested { &nested } else { folder };
    let unreadable = |path: &Path, error| StartFault::examples(path, format!("the file cannot be read: {error}"));
    let mut files = BTreeMap::new();
    let entries = fs::read_dir(folder).map_err(|error| unreadable(folder, error))?;
    for entry in entries.take(ENTRIES_MAX) {
        let path = entry.map_err(|error| unreadable(folder, error))?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()).filter(|name| is_example(name)) else {
            continue;
        };
        if files.len() == FILES_MAX {
            return Err(StartFault::examples(folder, format!("the folder has more than {FILES_MAX} example files")));
        }
        let text = text(&path).map_err(|error| unreadable(&path, error))?;
        files.insert(name.to_owned(), text);
    }
    Examples::parse(&files).map_err(|error| StartFault::examples(folder, error.to_string()))
}

fn text(path: &Path) -> io::Result<String> {
    let file = File::open(path)?;
    // A named pipe would block the start.
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut text = String::new();
    file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > FILE_BYTES_MAX {
        return Err(io::Error::other("it is larger than 1 MiB"));
    }
    Ok(text)
}

/// Creates the data folder of a server with examples: in memory, where the system can. It is removed when dropped.
pub(crate) fn temporary_folder() -> Result<TempDir, StartFault> {
    let folder = tempfile::Builder::new().prefix("tollgate-").tempdir_in(IN_MEMORY).or_else(|_| tempfile::tempdir());
    folder.map_err(|error| StartFault::unwritable(&std::env::temp_dir(), error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_in_the_folder_or_below_it() {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
        assert!(read(&repository).unwrap().briefs.contains_key("test-001"));
        assert!(read(&repository.join(FOLDER)).unwrap().briefs.contains_key("test-001"));
    }

    #[test]
    fn a_bad_folder_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let says = |part: &str| {
            let error = read(folder.path()).unwrap_err().to_string();
            assert!(error.starts_with("examples_invalid") && error.contains(part), "{error}");
        };
        says("the example file classify_today.json is missing");
        fs::write(folder.path().join(CLASSIFICATION_FILE), "{\n  \"id\": 7}").unwrap();
        says("classify_today.json:2:9: invalid type");
        fs::write(folder.path().join(CLASSIFICATION_FILE), " ".repeat(1 << 21)).unwrap();
        says("it is larger than 1 MiB");
        fs::remove_file(folder.path().join(CLASSIFICATION_FILE)).unwrap();
        std::os::unix::fs::symlink("brief_a.json", folder.path().join("brief_a.json")).unwrap();
        says("brief_a.json");
        let missing = read(&folder.path().join("missing")).unwrap_err().to_string();
        assert!(missing.contains("missing"), "{missing}");
    }
}
