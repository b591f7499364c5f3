//! The modules of one crate, and the module in which a path ends.

use std::collections::{BTreeMap, BTreeSet};

use super::super::finding::Finding;
use super::super::tree::File;
use super::source::{Mention, Source};

/// The path of a module from the root of its crate, which has no segments.
pub(super) type ModulePath = Vec<String>;

/// `use` declarations that export one another are followed up to this depth.
const EXPORTS_MAX: usize = 16;

/// All modules of one crate, except tests.
#[derive(Debug, Default)]
pub(super) struct Modules<'a> {
    modules: BTreeMap<ModulePath, Module<'a>>,
}

/// One module. The root of a crate with a library and a program has the content of both.
#[derive(Debug, Default)]
struct Module<'a> {
    mentions: Vec<(&'a File, Mention)>,
    names: BTreeMap<String, Vec<String>>,
    macros: BTreeSet<String>,
}

impl<'a> Modules<'a> {
    /// Reads the files of one crate. A file that cannot be read is a finding.
    pub(super) fn read(files: &[&'a File]) -> (Self, Vec<Finding>) {
        let mut modules = Self::default();
        let mut unreadable = Vec::new();
        let mut tests = Vec::new();
        for file in files {
            let Some(path) = path_of(file) else { continue };
            match Source::read(&file.text) {
                Ok(source) => modules.insert(file, path, source, &mut tests),
                Err(error) => {
                    let what = format!("tidy cannot read its tokens: {error}");
                    unreadable.push(file.whole().fails(what, "write it as rustfmt accepts it"));
                }
            }
        }
        modules.modules.retain(|path, _| !tests.iter().any(|test| path.starts_with(test)));
        (modules, unreadable)
    }

    fn insert(&mut self, file: &'a File, path: ModulePath, source: Source, tests: &mut Vec<ModulePath>) {
        let below = |name: String| path.iter().cloned().chain([name]).collect::<ModulePath>();
        tests.extend(source.test_modules.into_iter().map(below));
        for (name, inline) in source.inline {
            self.insert(file, below(name), inline, tests);
        }
        let module = self.modules.entry(path).or_default();
        module.mentions.extend(source.mentions.into_iter().map(|mention| (file, mention)));
        module.macros.extend(source.macros);
        module.names.extend(source.names.into_iter().map(|imported| (imported.name, imported.segments)));
    }

    /// Each path in each module, with its file.
    pub(super) fn mentions(&self) -> impl Iterator<Item = (&ModulePath, &'a File, &Mention)> {
        let of = |(path, module)| {
            let module: &Module<'a> = module;
            module.mentions.iter().map(move |(file, mention)| (path, *file, mention))
        };
        self.modules.iter().flat_map(of)
    }

    /// The modules on which a path in module `from` depends: the one that defines the name, and those that export it.
    /// It is empty for paths to other crates and to names of the same module.
    pub(super) fn targets(&self, from: &[String], segments: &[String]) -> Vec<ModulePath> {
        let mut targets = Vec::new();
        self.follow(from, segments, &mut targets);
        targets
    }

    /// Collects the modules on the way to the one in which the path ends.
    fn follow(&self, from: &[String], segments: &[String], targets: &mut Vec<ModulePath>) {
        let Some((first, mut rest)) = segments.split_first() else { return };
        let mut at = from.to_vec();
        match first.as_str() {
            "crate" => at.clear(),
            "self" => {}
            "super" => at.truncate(at.len().saturating_sub(1)),
            _ if self.contains(&at, first) || self.imported(&at, first, segments).is_some() => rest = segments,
            _ => return,
        }
        while let Some((name, after)) = rest.split_first() {
            if name == "super" {
                at.truncate(at.len().saturating_sub(1));
            } else if self.contains(&at, name) {
                at.push(name.clone());
            } else if let Some(path) = self.imported(&at, name, segments)
                && targets.len() < EXPORTS_MAX
            {
                let path: Vec<String> = path.iter().chain(after).cloned().collect();
                targets.push(at.clone());
                return self.follow(&at, &path, targets);
            } else {
                break;
            }
            rest = after;
        }
        targets.push(at);
    }

    /// Whether the path, which ends in module `at`, names a macro of this module.
    pub(super) fn has_macro(&self, at: &[String], segments: &[String]) -> bool {
        let macros = self.modules.get(at).map(|module| &module.macros);
        macros.zip(segments.last()).is_some_and(|(macros, name)| macros.contains(name))
    }

    /// Whether module `at` has the child module `name`.
    fn contains(&self, at: &[String], name: &str) -> bool {
        let child: ModulePath = at.iter().cloned().chain([name.to_owned()]).collect();
        self.modules.contains_key(&child)
    }

    /// The path behind a name that module `at` imports, unless it is the followed path itself (`use http::{self}`).
    fn imported(&self, at: &[String], name: &str, followed: &[String]) -> Option<&[String]> {
        let path = self.modules.get(at)?.names.get(name)?;
        (path != followed && path.first().is_some_and(|first| first != name)).then_some(path)
    }
}

/// The module that a file contains, unless it is a test.
fn path_of(file: &File) -> Option<ModulePath> {
    let (_, path) = file.path.split_once("src/")?;
    let path = path.strip_suffix(".rs")?;
    if matches!(path, "lib" | "main") {
        return Some(ModulePath::new());
    }
    let segments: ModulePath = path.split('/').map(str::to_owned).collect();
    (!segments.iter().any(|segment| segment == "tests")).then_some(segments)
}
