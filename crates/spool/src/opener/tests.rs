use std::fs;

use super::*;
use crate::disk::simulated::SimulatedDisk;
use crate::fixture::{SMALL, files, record, rest};

fn open_as_node(dir: &Path, node: Option<u128>) -> Result<Spool, SpoolError> {
    SpoolOpener { node: node.map(Uuid::from_u128), ..SpoolOpener::new(dir, SMALL, &[]) }.open()
}

#[test]
fn folder_of_another_node_is_refused_and_unchanged() {
    let dir = tempfile::tempdir().unwrap();
    // A folder without an owner is accepted.
    open_as_node(dir.path(), None).unwrap().writers[0].append(&record(0, 0)).unwrap();
    drop(open_as_node(dir.path(), Some(7)).unwrap());
    let before: Vec<_> = files(dir.path()).iter().map(|file| fs::read(file).unwrap()).collect();
    let refused = open_as_node(dir.path(), Some(8)).unwrap_err();
    let SpoolError::OtherNode { folder, found, node } = refused else { panic!("{refused}") };
    assert_eq!((folder, found, node), (dir.path().to_owned(), Uuid::from_u128(7), Uuid::from_u128(8)));
    let after: Vec<_> = files(dir.path()).iter().map(|file| fs::read(file).unwrap()).collect();
    assert_eq!(before, after);
    drop(open_as_node(dir.path(), Some(7)).unwrap());
    assert_eq!(rest(dir.path(), SMALL, &[]), [record(0, 0)]);
    fs::write(dir.path().join("owner"), "nobody").unwrap();
    let named = dir.path().join("owner");
    assert!(
        matches!(open_as_node(dir.path(), Some(7)).unwrap_err(), SpoolError::Corrupt { file, offset: 0 } if file == named)
    );
}

#[test]
fn unwritable_folder_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    open_as_node(dir.path(), Some(7)).unwrap().writers[0].append(&record(0, 0)).unwrap();
    SimulatedDisk::install().make_read_only();
    let error = open_as_node(dir.path(), Some(7)).unwrap_err();
    assert_eq!(error.to_string(), format!("cannot write into {}", dir.path().display()));
    let SpoolError::Io { source, .. } = error else { panic!("{error}") };
    assert_eq!(source.kind(), std::io::ErrorKind::ReadOnlyFilesystem);
}
