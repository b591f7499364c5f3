//! Disks that are full, fail or lose unsynced writes, and shifted clocks: the counterpart of `faults/shim.c`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::setup::Setup;

const SOURCE: &str = include_str!("../faults/shim.c");
const ENTRY_BYTES: usize = 48;

/// The words of the control file, in the order of their places.
#[derive(Debug, Clone, Copy)]
enum ControlWord {
    Full,
    Fail,
    Count,
    Kinds,
    Failed,
    Power,
}

/// A set of kinds of system calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Calls(u64);

impl Calls {
    /// Calls that write bytes or truncate files.
    pub const WRITES: Self = Self(1);
    /// Calls of `fsync` and `fdatasync`.
    pub const SYNCS: Self = Self(2);
    /// Calls that rename files.
    pub const RENAMES: Self = Self(4);
    /// Calls of all these kinds.
    pub const ALL: Self = Self(7);
}

/// The compiled library in a temporary folder, with its control file.
#[derive(Debug)]
pub struct Shim {
    folder: TempDir,
    control: File,
}

/// A write that is recorded in the journal.
struct JournalEntry<'a> {
    kind: u64,
    inode: u64,
    offset: u64,
    size_before: u64,
    old: &'a [u8],
    new: &'a [u8],
}

impl Shim {
    /// Compiles the library; `cc` exists on every machine on which Rust links.
    #[must_use]
    pub fn new() -> Self {
        let Ok(folder) = tempfile::Builder::new().prefix("tollgate-shim-").tempdir() else { panic!("no folder") };
        let source = folder.path().join("shim.c");
        let control = folder.path().join("control");
        // PostgreSQL runs as another user and must read the folder.
        let created = fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))
            .and_then(|()| fs::write(&source, SOURCE))
            .and_then(|()| fs::write(folder.path().join("clock"), [0; 8]))
            .and_then(|()| fs::write(&control, [0; 48]))
            .and_then(|()| File::options().read(true).write(true).open(&control));
        let control = created.unwrap_or_else(|error| panic!("{}: {error}", source.display()));
        let mut cc = Command::new("cc");
        cc.args(["-O1", "-shared", "-fPIC", "-o"]).arg(folder.path().join("shim.so")).arg(&source);
        match cc.args(["-ldl", "-lpthread"]).output() {
            Ok(output) if output.status.success() => Self { folder, control },
            failed => panic!("cc: {failed:?}"),
        }
    }

    fn library(&self) -> String {
        self.folder.path().join("shim.so").display().to_string()
    }

    /// Returns the environment variables for a process whose wall clock [`Shim::set_ahead`] controls.
    #[must_use]
    pub fn clock(&self) -> [(String, String); 2] {
        let file = self.folder.path().join("clock").display().to_string();
        [("LD_PRELOAD".to_owned(), self.library()), ("TOLLGATE_SHIM_CLOCK".to_owned(), file)]
    }

    /// Sets the wall clocks `micros` microseconds ahead of the machine's clock.
    pub fn set_ahead(&self, micros: i64) {
        let clock = File::options().write(true).open(self.folder.path().join("clock"));
        let written = clock.and_then(|clock| clock.write_all_at(&micros.to_ne_bytes(), 0));
        assert!(written.is_ok(), "{written:?}");
    }

    /// Returns the setup of a server for which the library controls all files below `under`.
    #[must_use]
    pub fn over(&self, setup: Setup, under: &Path) -> Setup {
        setup
            .variable("LD_PRELOAD", &self.library())
            .variable("TOLLGATE_SHIM_UNDER", &under.display().to_string())
            .variable("TOLLGATE_SHIM_CONTROL", &self.folder.path().display().to_string())
    }

    fn set(&self, word: ControlWord, value: u64) {
        let written = self.control.write_all_at(&value.to_ne_bytes(), word as u64 * 8);
        assert!(written.is_ok(), "{written:?}");
    }

    fn get(&self, word: ControlWord) -> u64 {
        let mut bytes = [0; 8];
        let read = self.control.read_exact_at(&mut bytes, word as u64 * 8);
        assert!(read.is_ok(), "{read:?}");
        u64::from_ne_bytes(bytes)
    }

    /// Sets whether the disk is full: while it is, no file grows.
    pub fn set_full(&self, is_full: bool) {
        self.set(ControlWord::Full, is_full.into());
    }

    /// Lets the n-th of these calls from now on fail, once.
    pub fn fail(&self, calls: Calls, nth: u64) {
        self.set(ControlWord::Fail, 0);
        self.set(ControlWord::Kinds, calls.0);
        self.set(ControlWord::Count, 0);
        self.set(ControlWord::Failed, 0);
        self.set(ControlWord::Fail, nth);
    }

    /// Stops injecting failures; returns the number of calls counted so far.
    pub fn work(&self) -> u64 {
        self.set(ControlWord::Fail, 0);
        self.get(ControlWord::Count)
    }

    /// Returns how many calls have failed.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.get(ControlWord::Failed)
    }

    /// From now on unsynced writes can be lost; must be called before the server starts.
    pub fn set_power(&self) {
        self.set(ControlWord::Power, 1);
    }

    /// Simulates a power failure after the server was killed.
    ///
    /// Each unsynced write to a file in `dir` is kept only if `stays` returns true for it. Returns the number of
    /// unsynced writes and the number of lost ones. Empties the journal.
    pub fn cut_power(&self, dir: &Path, mut stays: impl FnMut() -> bool) -> (usize, usize) {
        let path = self.folder.path().join("journal");
        let journal = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut unsynced: BTreeMap<u64, Vec<JournalEntry<'_>>> = BTreeMap::new();
        let mut rest = journal.as_slice();
        while let Some(entry) = JournalEntry::first(&mut rest) {
            match entry.kind {
                2 => drop(unsynced.remove(&entry.inode)),
                _ => unsynced.entry(entry.inode).or_default().push(entry),
            }
        }
        let mut doubtful = 0;
        let mut lost = 0;
        for (file, inode) in files(dir) {
            let Some(entries) = unsynced.get(&inode) else { continue };
            doubtful += entries.len();
            entries.iter().rev().for_each(|entry| entry.undo(&file));
            for entry in entries {
                if stays() {
                    entry.redo(&file);
                } else {
                    lost += 1;
                }
            }
        }
        let emptied = fs::write(&path, []);
        assert!(emptied.is_ok(), "{emptied:?}");
        (doubtful, lost)
    }
}

impl Default for Shim {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a> JournalEntry<'a> {
    /// Takes the first entry from `rest`; `None` if the last one is incomplete because the process was killed.
    fn first(rest: &mut &'a [u8]) -> Option<Self> {
        let (head, behind) = rest.split_at_checked(ENTRY_BYTES)?;
        let word = |at: usize| {
            let bytes = head.get(at * 8..at * 8 + 8).and_then(|bytes| bytes.try_into().ok());
            u64::from_ne_bytes(bytes.unwrap_or_default())
        };
        let length = |at: usize| usize::try_from(word(at)).unwrap_or(usize::MAX);
        let (old, behind) = behind.split_at_checked(length(4))?;
        let (new, behind) = behind.split_at_checked(length(5))?;
        *rest = behind;
        Some(Self { kind: word(0), inode: word(1), offset: word(2), size_before: word(3), old, new })
    }

    fn undo(&self, file: &File) {
        let done = file.set_len(self.size_before).and_then(|()| file.write_all_at(self.old, self.offset));
        assert!(done.is_ok(), "{done:?}");
    }

    fn redo(&self, file: &File) {
        let done = if self.kind == 3 { file.set_len(self.offset) } else { file.write_all_at(self.new, self.offset) };
        assert!(done.is_ok(), "{done:?}");
    }
}

/// Returns all files below a folder, recursively, with their inodes.
fn files(dir: &Path) -> Vec<(File, u64)> {
    let paths: Vec<PathBuf> = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    let mut found = Vec::new();
    for path in paths {
        if path.is_dir() {
            found.extend(files(&path));
        } else if let Ok(file) = File::options().read(true).write(true).open(&path)
            && let Ok(metadata) = file.metadata()
        {
            found.push((file, metadata.ino()));
        }
    }
    found
}
