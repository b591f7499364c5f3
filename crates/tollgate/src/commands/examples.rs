//! `tollgate examples`: lists the examples in the binary, and writes one to a folder.

mod table;

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use self::table::EXAMPLES;
use crate::cli::Examples;
use crate::commands::printable;
use crate::failure::StartFault;
use crate::terminal::say;

/// The folder that the commands of the READMEs name.
const FOLDER: &str = "examples";
/// The file with the description of an example.
const README: &str = "README.md";

/// A folder of the examples.
struct Example {
    name: &'static str,
    files: &'static [ExampleFile],
}

/// A file of an example.
struct ExampleFile {
    /// The path in the folder of the example.
    path: &'static str,
    content: &'static [u8],
}

impl Example {
    /// The heading of the README.
    fn title(&self) -> &'static str {
        let readme = self.files.iter().find(|file| file.path == README);
        let text = readme.and_then(|file| std::str::from_utf8(file.content).ok()).unwrap_or_default();
        text.lines().next().unwrap_or_default().trim_start_matches("# ")
    }
}

/// Lists the examples, or writes the named one.
pub(crate) fn run(args: &Examples) -> anyhow::Result<ExitCode> {
    let Some(name) = &args.name else {
        say(&list());
        return Ok(ExitCode::SUCCESS);
    };
    let Some(example) = EXAMPLES.iter().find(|example| example.name == name) else {
        return Err(StartFault::ExampleUnknown { name: printable(name) }.into());
    };
    let folder = args.to.clone().unwrap_or_else(|| Path::new(FOLDER).join(example.name));
    write(example, &folder)?;
    let folder = printable(&folder.display().to_string());
    say(&format!("{} files were written to {folder}. Continue with {folder}/{README}\n", example.files.len()));
    Ok(ExitCode::SUCCESS)
}

/// Returns one line for each example.
fn list() -> String {
    let width = EXAMPLES.iter().map(|example| example.name.len()).max().unwrap_or_default();
    let lines = EXAMPLES.iter().map(|example| format!("{:<width$}  {}\n", example.name, example.title()));
    lines.collect::<String>() + "\n`tollgate examples NAME` writes one to examples/NAME.\n"
}

/// Writes the files of an example. If one exists, nothing is written.
fn write(example: &Example, folder: &Path) -> Result<(), StartFault> {
    let unwritable = |source| StartFault::ExampleUnwritable { folder: folder.to_owned(), source };
    let paths: Vec<PathBuf> = example.files.iter().map(|file| folder.join(file.path)).collect();
    // A broken symbolic link exists too.
    if let Some(path) = paths.iter().find(|path| path.symlink_metadata().is_ok()) {
        return Err(StartFault::ExampleExists { path: path.clone() });
    }
    for (file, path) in example.files.iter().zip(&paths) {
        create(path, file.content).map_err(unwritable)?;
    }
    Ok(())
}

/// Creates a file and its folders. An existing file is an error.
fn create(path: &Path, content: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    OpenOptions::new().write(true).create_new(true).open(path)?.write_all(content)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::process::Command;

    use super::*;

    /// Returns the paths in `examples/` that the repository contains: running an example leaves other files there.
    fn tracked(examples: &Path) -> BTreeSet<PathBuf> {
        let listed = Command::new("git").args(["ls-files", "-z"]).current_dir(examples).output().unwrap();
        assert!(listed.status.success(), "{listed:?}");
        let names = String::from_utf8(listed.stdout).unwrap();
        names.split_terminator('\0').map(|name| examples.join(name)).collect()
    }

    #[test]
    fn every_file_of_the_folder_is_in_the_binary() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
        let files = tracked(&root);
        let embedded: Vec<(PathBuf, &[u8])> = EXAMPLES
            .iter()
            .flat_map(|example| {
                example.files.iter().map(|file| (root.join(example.name).join(file.path), file.content))
            })
            .collect();
        for (path, content) in &embedded {
            assert_eq!(fs::read(path).unwrap(), *content, "{}", path.display());
        }
        let paths: BTreeSet<PathBuf> = embedded.into_iter().map(|(path, _)| path).collect();
        assert_eq!(paths, files, "src/commands/examples/table.rs has other files than examples/");
        assert!(EXAMPLES.is_sorted_by_key(|example| example.name));
    }

    #[test]
    fn every_example_has_a_title_in_the_list() {
        let list = list();
        for example in EXAMPLES {
            assert!(!example.title().is_empty(), "{}", example.name);
            assert!(list.lines().any(|line| line.starts_with(&format!("{} ", example.name))), "{list}");
        }
    }

    #[test]
    fn an_example_is_written_once_and_overwrites_nothing() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("new").join("folder");
        let example = EXAMPLES.iter().find(|example| example.name == "plain-api").unwrap();
        write(example, &folder).unwrap();
        for file in example.files {
            assert_eq!(fs::read(folder.join(file.path)).unwrap(), file.content, "{}", file.path);
        }
        // One file that exists is enough.
        for file in example.files.iter().filter(|file| file.path != README) {
            fs::remove_file(folder.join(file.path)).unwrap();
        }
        fs::write(folder.join(README), "mine").unwrap();
        let refused = write(example, &folder).unwrap_err().to_string();
        assert!(refused.starts_with("example_exists: ") && refused.contains("README.md"), "{refused}");
        assert_eq!(fs::read(folder.join(README)).unwrap(), b"mine");
        assert!(!folder.join("tollgate.yaml").exists());
    }

    #[test]
    fn a_folder_that_cannot_be_created_and_an_unknown_example_are_refused() {
        let parent = tempfile::tempdir().unwrap();
        let file = parent.path().join("file");
        fs::write(&file, "").unwrap();
        let refused = write(&EXAMPLES[0], &file.join("below")).unwrap_err().to_string();
        assert!(refused.starts_with("example_unwritable: "), "{refused}");
        let args = Examples { name: Some("none".to_owned()), to: Some(parent.path().join("none")) };
        let refused = run(&args).unwrap_err().to_string();
        assert!(refused.starts_with("example_unknown: ") && refused.contains("none"), "{refused}");
        assert!(!parent.path().join("none").exists());
    }
}
