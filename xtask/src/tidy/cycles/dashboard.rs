//! Imports between the files of the dashboard, types included.

use std::collections::BTreeSet;

use super::super::tree::{File, Tree};
use super::imports::{Import, Siblings};

const FOLDER: &str = "dashboard/";
/// What precedes the path of a module in quotation marks.
const IMPORTS: &[&str] = &["from \"", "import \"", "import(\""];
/// The prefix of a path from the dashboard's folder, as in its `tsconfig.json`.
const FROM_FOLDER: &str = "@/";

/// The graph of all files, by their paths in the dashboard's folder. Paths of packages are left out.
pub(super) fn between_files(tree: &Tree) -> Siblings<'_> {
    let files: Vec<(&File, &str)> = tree
        .below(FOLDER)
        .filter(|file| file.is(&["ts", "tsx"]))
        .filter_map(|file| Some((file, file.path.strip_prefix(FOLDER)?)))
        .collect();
    let paths: BTreeSet<&str> = files.iter().map(|(_, path)| *path).collect();
    let mut siblings = Siblings::default();
    for (file, from) in files {
        for (line, text) in file.lines() {
            for specifier in specifiers(text) {
                if let Some(to) = resolve(from, specifier, &paths) {
                    siblings.add(from, to, Import::new(file.line(line), specifier.to_owned()));
                }
            }
        }
    }
    siblings
}

/// The paths of modules in one line.
fn specifiers(line: &str) -> impl Iterator<Item = &str> {
    let behind = move |marker: &&'static str| line.split(*marker).skip(1);
    IMPORTS.iter().flat_map(behind).filter_map(|rest| rest.split('"').next())
}

/// The file that a path names in the file `from`.
fn resolve<'a>(from: &str, specifier: &str, paths: &BTreeSet<&'a str>) -> Option<&'a str> {
    let mut folder: Vec<&str> = Vec::new();
    let path = specifier.strip_prefix(FROM_FOLDER);
    if path.is_none() {
        specifier.starts_with('.').then_some(())?;
        folder.extend(from.rsplit_once('/')?.0.split('/'));
    }
    for part in path.unwrap_or(specifier).split('/') {
        match part {
            "." => {}
            ".." => _ = folder.pop(),
            name => folder.push(name),
        }
    }
    let path = folder.join("/");
    ["", ".ts", ".tsx"].iter().find_map(|ending| paths.get(format!("{path}{ending}").as_str()).copied())
}
