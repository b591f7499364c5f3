use std::fs;

use super::*;
use crate::disk::simulated::Disk;
use crate::fixture::{SMALL, files, record, rest};

fn of_node(dir: &Path, node: Option<u128>) -> Result<Spool, SpoolError> {
    Opening { node: node.map(Uuid::from_u128), ..Opening::new(dir, SMALL, &[]) }.open()
}

#[test]
fn a_folder_of_another_node_is_refused_by_name_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    // One that nobody claimed is taken.
    of_node(dir.path(), None).unwrap().writers[0].append(&record(0, 0)).unwrap();
    drop(of_node(dir.path(), Some(7)).unwrap());
    let before: Vec<_> = files(dir.path()).iter().map(|file| fs::read(file).unwrap()).collect();
    let refused = of_node(dir.path(), Some(8)).unwrap_err();
    let SpoolError::OtherNode { folder, found, node } = refused else { panic!("{refused}") };
    assert_eq!((folder, found, node), (dir.path().to_owned(), Uuid::from_u128(7), Uuid::from_u128(8)));
    let after: Vec<_> = files(dir.path()).iter().map(|file| fs::read(file).unwrap()).collect();
    assert_eq!(before, after);
    drop(of_node(dir.path(), Some(7)).unwrap());
    assert_eq!(rest(dir.path(), SMALL, &[]), [record(0, 0)]);
    fs::write(dir.path().join("owner"), "nobody").unwrap();
    let named = dir.path().join("owner");
    assert!(
        matches!(of_node(dir.path(), Some(7)).unwrap_err(), SpoolError::Corrupt { file, offset: 0 } if file == named)
    );
}

#[test]
fn a_folder_that_cannot_be_written_is_named_at_once() {
    let dir = tempfile::tempdir().unwrap();
    of_node(dir.path(), Some(7)).unwrap().writers[0].append(&record(0, 0)).unwrap();
    Disk::put_in().make_read_only();
    let error = of_node(dir.path(), Some(7)).unwrap_err();
    assert_eq!(error.to_string(), format!("cannot write into {}", dir.path().display()));
    let SpoolError::Io { source, .. } = error else { panic!("{error}") };
    assert_eq!(source.kind(), std::io::ErrorKind::ReadOnlyFilesystem);
}
