//! Imports between the modules of one folder.

use std::collections::BTreeMap;
use std::fmt;

use super::super::finding::FileLine;
use super::module::Modules;

/// First segments of paths that begin at a module.
const ROOTS: &[&str] = &["crate", "self", "super"];

/// The name of a folder's own file among its modules.
const OWN: &str = "self";

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

/// The graph of each folder. Its key is the folder's path as a prefix: empty for the root, else `a::b::`. The folder's own
/// file is one of the modules, which its children import as far as they call functions of it.
pub(super) fn between_siblings<'a>(modules: &Modules<'a>) -> BTreeMap<String, Siblings<'a>> {
    let mut folders: BTreeMap<String, Siblings<'a>> = BTreeMap::new();
    for (from, file, mention) in modules.mentions() {
        let targets = modules.targets(from, &mention.segments);
        for (nth, to) in targets.iter().enumerate() {
            let shared = from.iter().zip(to).take_while(|(a, b)| a == b).count();
            let calls = || {
                shared > 0
                    && nth + 1 == targets.len()
                    && is_function(&mention.segments, to)
                    && !modules.has_macro(to, &mention.segments)
            };
            // Without a further segment on both sides, one module is an ancestor of the other.
            let (importing, imported) = match (from.get(shared), to.get(shared)) {
                (Some(importing), Some(imported)) => (importing.as_str(), imported.as_str()),
                (Some(importing), None) if calls() => (importing.as_str(), OWN),
                (None, Some(imported)) if shared > 0 => (OWN, imported.as_str()),
                (Some(_), None) | (None, _) => continue,
            };
            let folder: String = from.iter().take(shared).map(|segment| format!("{segment}::")).collect();
            let is_direct = mention.segments.first().is_some_and(|first| ROOTS.contains(&first.as_str()));
            let import = Import { file: &file.path, line: mention.line, path: mention.segments.join("::") };
            let siblings = folders.entry(folder).or_default();
            // A name that the same file imports is a further line for the same reason.
            let known = siblings.between(importing, imported).unwrap_or_default();
            if is_direct || !known.iter().any(|known| known.file == import.file) {
                siblings.add(importing, imported, import);
            }
        }
    }
    folders
}

/// Whether a path that ends in the module `to` names a function of it: neither a type or constant, nor a function of a
/// type, nor the module itself.
fn is_function(segments: &[String], to: &[String]) -> bool {
    let is_lowercase = |name: &String| name.starts_with(|first: char| first.is_ascii_lowercase());
    let mut last = segments.iter().rev();
    let name = last.next();
    let before = last.next();
    // A function may have the name of its module.
    let is_module = name == to.last() && name != before;
    name.is_some_and(is_lowercase) && before.is_none_or(is_lowercase) && !is_module
}
