//! Imports between the modules of one folder.

use std::collections::BTreeMap;
use std::fmt;

use super::super::finding::FileLine;
use super::module::Modules;

/// First segments of paths that begin at a module.
const ROOTS: &[&str] = &["crate", "self", "super"];

/// The modules of one folder: by the importing module and the imported one, the imports of all their descendants.
#[derive(Debug, Default)]
pub(super) struct Siblings<'a> {
    pub(super) imports: BTreeMap<String, BTreeMap<String, Vec<Import<'a>>>>,
}

/// One path to another module.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Import<'a> {
    file: &'a str,
    line: usize,
    path: String,
}

impl<'a> Siblings<'a> {
    /// Adds an import, unless the same line is known.
    pub(super) fn add(&mut self, from: &str, to: &str, import: Import<'a>) {
        let imports = self.imports.entry(from.to_owned()).or_default().entry(to.to_owned()).or_default();
        if !imports.contains(&import) {
            imports.push(import);
        }
    }

    /// The imports from one module to another.
    pub(super) fn between(&self, from: &str, to: &str) -> Option<&[Import<'a>]> {
        self.imports.get(from)?.get(to).map(Vec::as_slice)
    }

    /// The modules that a module imports.
    pub(super) fn imported_by(&self, from: &str) -> impl Iterator<Item = &str> {
        self.imports.get(from).into_iter().flat_map(BTreeMap::keys).map(String::as_str)
    }
}

impl<'a> Import<'a> {
    pub(super) const fn new(place: FileLine<'a>, path: String) -> Self {
        Self { file: place.path, line: place.line, path }
    }

    pub(super) const fn place(&self) -> FileLine<'a> {
        FileLine { path: self.file, line: self.line }
    }
}

impl fmt::Display for Import<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} `{}`", self.place(), self.path)
    }
}

/// The graph of each folder. Its key is the folder's path as a prefix: empty for the root, else `a::b::`.
pub(super) fn between_siblings<'a>(modules: &Modules<'a>) -> BTreeMap<String, Siblings<'a>> {
    let mut folders: BTreeMap<String, Siblings<'a>> = BTreeMap::new();
    for (from, file, mention) in modules.mentions() {
        for to in modules.targets(from, &mention.segments) {
            let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
            // Without a further segment on both sides, one module is an ancestor of the other.
            let (Some(importing), Some(imported)) = (from.get(shared), to.get(shared)) else { continue };
            let folder: String = from.iter().take(shared).map(|segment| format!("{segment}::")).collect();
            let is_direct = mention.segments.first().is_some_and(|first| ROOTS.contains(&first.as_str()));
            let import = Import { file: &file.path, line: mention.line, path: mention.segments.join("::") };
            let siblings = folders.entry(folder).or_default();
            let imports = siblings.imports.entry(importing.clone()).or_default().entry(imported.clone()).or_default();
            // A name that the same file imports is a further line for the same reason.
            let is_known = imports.iter().any(|known| known == &import || (!is_direct && known.file == import.file));
            if !is_known {
                imports.push(import);
            }
        }
    }
    folders
}
