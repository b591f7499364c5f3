//! The lists in force on disk, so that the next start does not depend on the sources.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;

use super::source::{FOUND_MAX, FoundMember};

/// Maximum size of the file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// The lists by the names of their sources.
pub(super) type StoredLists = BTreeMap<String, Arc<[FoundMember]>>;

/// Reads the file; no lists if it does not exist.
///
/// # Errors
/// The file cannot be read, or is damaged.
pub(super) fn read(path: &Path) -> io::Result<StoredLists> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(StoredLists::new()),
        Err(error) => return Err(error),
    };
    let mut text = Vec::new();
    file.take(FILE_BYTES_MAX).read_to_end(&mut text)?;
    let lists: BTreeMap<String, Vec<FoundMember>> = serde_json::from_slice(&text)?;
    let bounded = |mut list: Vec<FoundMember>| {
        list.truncate(FOUND_MAX);
        list.into()
    };
    Ok(lists.into_iter().map(|(name, list)| (name, bounded(list))).collect())
}

/// Replaces the file. A crash leaves the earlier one or the new one.
///
/// # Errors
/// The file cannot be written.
pub(super) fn write(path: &Path, lists: &StoredLists) -> io::Result<()> {
    let lists: BTreeMap<&str, &[FoundMember]> = lists.iter().map(|(name, list)| (name.as_str(), &**list)).collect();
    // During an upgrade in place, two processes write.
    let new = path.with_extension(format!("json.{}.new", std::process::id()));
    let mut file = File::create(&new)?;
    file.write_all(&serde_json::to_vec(&lists)?)?;
    file.sync_all()?;
    fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_survive_and_damage_is_reported() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("members.json");
        assert!(read(&path).unwrap().is_empty());
        let member = FoundMember {
            host: "10.0.0.1".to_owned(),
            port: 80,
            url: None,
            is_address: true,
            name: None,
            weight: Some(2),
        };
        let lists =
            StoredLists::from([("dns a:80".to_owned(), vec![member].into()), ("dns b:80".to_owned(), [].into())]);
        write(&path, &lists).unwrap();
        assert_eq!(read(&path).unwrap(), lists);
        for damaged in ["", "{", "[]", "{\"dns a:80\": [{}]}"] {
            fs::write(&path, damaged).unwrap();
            assert!(read(&path).is_err(), "{damaged}");
        }
        assert!(write(&folder.path().join("none/members.json"), &lists).is_err());
    }
}
