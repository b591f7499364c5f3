//! The files that git tracks or would add, read once.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};

use super::finding::FileLine;

/// The files of the repository.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    /// All files, sorted by path.
    pub(crate) files: Vec<File>,
}

/// One file of the repository.
#[derive(Debug)]
pub(crate) struct File {
    /// The path from the root, with slashes.
    pub(crate) path: String,
    /// The text; empty if it is not UTF-8.
    pub(crate) text: String,
}

impl Tree {
    /// Reads the files that `git ls-files` lists, including new files that are not ignored.
    ///
    /// # Errors
    /// Git is missing, or `root` is not a repository.
    pub(crate) fn read(root: &Path) -> anyhow::Result<Self> {
        let output = Command::new("git")
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(root)
            .output()
            .context("cannot run git to list the files: install git")?;
        let stderr = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "git cannot list the files: {}", stderr.trim());
        let names = String::from_utf8(output.stdout).context("the name of a file is not UTF-8")?;
        let mut files: Vec<File> = names.split('\0').filter_map(|path| File::read(root, path)).collect();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        files.dedup_by(|a, b| a.path == b.path);
        Ok(Self { files })
    }

    /// The file at `path`.
    pub(crate) fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    /// Files below `folder`, which ends in a slash.
    pub(crate) fn below<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = &'a File> {
        self.files.iter().filter(move |file| file.path.starts_with(folder))
    }
}

impl File {
    fn read(root: &Path, path: &str) -> Option<Self> {
        // Git may still list a file that was deleted.
        let bytes = std::fs::read(root.join(path)).ok()?;
        Some(Self { path: path.to_owned(), text: String::from_utf8(bytes).unwrap_or_default() })
    }

    /// The last part of the path.
    pub(crate) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// The whole file as a place.
    pub(crate) fn whole(&self) -> FileLine<'_> {
        self.line(0)
    }

    /// A line of the file, counted from 1.
    pub(crate) fn line(&self, line: usize) -> FileLine<'_> {
        FileLine { path: &self.path, line }
    }

    /// The lines with their numbers from 1.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }

    /// The lines of a document outside of code blocks, with their numbers from 1.
    pub(crate) fn prose_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let mut in_code = false;
        self.lines().filter(move |(_, line)| {
            let is_fence = line.trim_start().starts_with("```");
            in_code ^= is_fence;
            !in_code && !is_fence
        })
    }

    /// Whether the file has one of `extensions`.
    pub(crate) fn is(&self, extensions: &[&str]) -> bool {
        self.name().rsplit_once('.').is_some_and(|(_, extension)| extensions.contains(&extension))
    }
}

#[cfg(test)]
impl Tree {
    /// A tree of these paths and texts.
    pub(crate) fn from_files(files: &[(&str, &str)]) -> Self {
        let file = |(path, text): &(&str, &str)| File { path: (*path).to_owned(), text: (*text).to_owned() };
        Self { files: files.iter().map(file).collect() }
    }
}
