//! Import cycles between the modules of one crate.
//!
//! An import connects two branches of the tree of modules, and counts where these branches separate: if `a/x.rs` imports
//! from `b/y.rs`, `a` imports `b`. The siblings of each folder must have an order in which no module imports a later one.
//!
//! `foo.rs` imports from its child `foo/bar.rs`, which may use types, constants and macros of `foo.rs`, but calls none of its
//! functions. For this rule, `foo.rs` is the sibling `self` of its children.
//!
//! A name that a module imports through the `use` of another module counts for both: the module that exports the name
//! and the one that defines it. Tests do not count. Method calls and `#[path]` do not count either.
//!
//! The files of the dashboard import each other without a cycle too.

mod dashboard;
mod imports;
mod module;
mod source;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use self::imports::{Import, Siblings};
use self::module::Modules;
use super::finding::Finding;
use super::tree::{File, Tree};

/// Folders with crates, and folders that are a crate.
const CRATES: &str = "crates/";
const SINGLE_CRATES: &[&str] = &["e2e/", "bench/", "fuzz/", "xtask/"];

/// Modules in the order of their imports; the last one imports the first one.
struct Cycle<'a> {
    folder: &'a str,
    modules: Vec<&'a str>,
}

/// Checks the sources of each crate, except its integration tests, and those of the dashboard.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let of_crates = crates(tree).into_iter().map(|(name, files)| CrateCycles::read(name, &files));
    of_crates.chain([CrateCycles::of_dashboard(tree)]).flat_map(CrateCycles::findings).collect()
}

/// The source files of each crate by its name.
fn crates(tree: &Tree) -> BTreeMap<&str, Vec<&File>> {
    let mut crates: BTreeMap<&str, Vec<&File>> = BTreeMap::new();
    for file in tree.files.iter().filter(|file| file.is(&["rs"])) {
        let below = file.path.strip_prefix(CRATES);
        let single = || SINGLE_CRATES.iter().any(|folder| file.path.starts_with(folder)).then_some(file.path.as_str());
        let parts = below.or_else(single).and_then(|path| path.split_once('/'));
        if let Some((name, rest)) = parts
            && rest.starts_with("src/")
        {
            crates.entry(name).or_default().push(file);
        }
    }
    crates
}

/// The imports and the cycles of one crate, or of the dashboard.
struct CrateCycles<'a> {
    name: &'a str,
    folders: BTreeMap<String, Siblings<'a>>,
    unreadable: Vec<Finding>,
}

impl<'a> CrateCycles<'a> {
    fn read(name: &'a str, files: &[&'a File]) -> Self {
        let (modules, unreadable) = Modules::read(files);
        Self { name, folders: imports::between_siblings(&modules), unreadable }
    }

    fn of_dashboard(tree: &'a Tree) -> Self {
        let folders = BTreeMap::from([(String::new(), dashboard::between_files(tree))]);
        Self { name: "dashboard", folders, unreadable: Vec::new() }
    }

    /// The shortest cycle of each module, the shortest of all first.
    fn cycles(&self) -> Vec<(&Siblings<'a>, Cycle<'_>)> {
        let mut found: BTreeSet<(usize, &str, Vec<&str>)> = BTreeSet::new();
        for (folder, siblings) in &self.folders {
            for module in siblings.imports.keys() {
                if let Some(mut modules) = shortest_cycle(siblings, module) {
                    let first = modules.iter().enumerate().min_by_key(|(_, name)| **name).map_or(0, |(at, _)| at);
                    modules.rotate_left(first);
                    found.insert((modules.len(), folder, modules));
                }
            }
        }
        let with_imports = |(_, folder, modules)| Some((self.folders.get(folder)?, Cycle { folder, modules }));
        found.into_iter().filter_map(with_imports).collect()
    }

    fn findings(self) -> Vec<Finding> {
        let cycles: Vec<Finding> =
            self.cycles().iter().filter_map(|(siblings, cycle)| self.finding(siblings, cycle)).collect();
        self.unreadable.into_iter().chain(cycles).collect()
    }

    fn finding(&self, siblings: &Siblings<'_>, cycle: &Cycle<'_>) -> Option<Finding> {
        let imported = cycle.modules.iter().cycle().skip(1);
        let steps: Vec<&[Import<'_>]> =
            cycle.modules.iter().zip(imported).filter_map(|(from, to)| siblings.between(from, to)).collect();
        let first = steps.first()?.first()?;
        let path = |module: &&str| format!("`{}{module}`", cycle.folder);
        let order: Vec<String> = cycle.modules.iter().chain(cycle.modules.first()).map(path).collect();
        let places: Vec<String> = steps.iter().map(|imports| places(imports)).collect();
        let what =
            format!("modules of `{}` import each other: {} ({})", self.name, order.join(" → "), places.join(" → "));
        Some(first.place().fails(what, "move the code that both need into one of them, or into a third module"))
    }
}

/// The imports of one step as text: at most three of them.
fn places(imports: &[Import<'_>]) -> String {
    const SHOWN_MAX: usize = 3;
    let mut shown: Vec<String> = imports.iter().take(SHOWN_MAX).map(ToString::to_string).collect();
    if imports.len() > SHOWN_MAX {
        shown.push(format!("{} more", imports.len() - SHOWN_MAX));
    }
    shown.join(", ")
}

/// The shortest way from a module over its imports back to itself.
fn shortest_cycle<'a>(siblings: &'a Siblings<'_>, start: &'a str) -> Option<Vec<&'a str>> {
    let mut reached_from: BTreeMap<&str, &str> = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(at) = queue.pop_front() {
        for next in siblings.imported_by(at) {
            if next == start {
                let before = |module: &&'a str| reached_from.get(module).copied();
                let mut modules: Vec<&str> = std::iter::successors(Some(at), before).collect();
                modules.reverse();
                return Some(modules);
            }
            reached_from.entry(next).or_insert_with(|| {
                queue.push_back(next);
                at
            });
        }
    }
    None
}

#[cfg(test)]
mod tests;
