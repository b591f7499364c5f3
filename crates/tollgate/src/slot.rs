//! The parts of a data folder that belong to one process each.
//!
//! During an [upgrade in place](../../../docs/upgrade.md#upgrade-in-place), two processes use one data folder. Each has its own
//! node id, its own spool and its own lock, so that neither writes to the other's files: the first process of a folder uses the
//! folder itself, its successor the folder `next` in it, and the successor of that the folder itself again.

use std::path::{Path, PathBuf};

/// The folder of a successor, in the data folder.
const NEXT: &str = "next";

/// The part of a data folder that one process uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slot {
    /// The data folder itself.
    Main,
    /// The folder `next` in it.
    Next,
}

impl Slot {
    /// Returns the folder with the node id, the spool and the lock.
    pub(crate) fn folder(self, data: &Path) -> PathBuf {
        match self {
            Self::Main => data.to_owned(),
            Self::Next => data.join(NEXT),
        }
    }

    /// Returns the slot of the predecessor and of the successor.
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Main => Self::Next,
            Self::Next => Self::Main,
        }
    }

    /// Returns the word in files and in messages between processes.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Next => NEXT,
        }
    }

    /// Returns the slot of a word.
    pub(crate) fn of_word(word: &str) -> Option<Self> {
        [Self::Main, Self::Next].into_iter().find(|slot| slot.word() == word)
    }
}
